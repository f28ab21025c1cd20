package api

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/bulk"
)

// importPath is the address of imports, below base.
const importPath = "/$import"

// importing serves POST [base]/$import: lines of NDJSON, or Parameters that say where
// they are.
func (s *Server) importing(c *gin.Context) error {
	i := bulk.Import{Request: s.baseURL(c.Request) + importPath}
	var body io.Reader
	switch {
	case isLines(c.Request):
		var err error
		if body, err = arriving(c); err != nil {
			return err
		}
	default:
		r, err := s.decode(c, "Parameters")
		if err != nil {
			return err
		}
		if i.Sources, err = sources(r); err != nil {
			return err
		}
	}
	id, err := s.config.Bulk.Import(c.Request.Context(), noteOf(c.Request).grant, s.originOf(c.Request), i, body)
	if err != nil {
		if cut, is := errors.AsType[*arrivalError](err); is {
			return cutShort(cut.error)
		}
		return err
	}
	return s.begun(c, id)
}

// isLines reports whether a request sends NDJSON.
func isLines(r *http.Request) bool {
	name, ok := splitType(r.Header.Get("Content-Type"))
	return ok && (name == ndjsonType || name == "application/ndjson" || name == "application/x-ndjson")
}

// isStreamed reports whether the body of a request is never held in memory, and may
// take its time.
func (s *Server) isStreamed(r *http.Request) bool {
	return s.config.Bulk != nil && r.Method == http.MethodPost && r.URL.Path == base+importPath && isLines(r)
}

// sources reads the Parameters of an import.
// https://github.com/smart-on-fhir/bulk-import/blob/master/import-manifest.md
func sources(r *fhir.Resource) ([]bulk.Source, error) {
	var all []bulk.Source
	var problems []fhir.Issue
	refuse := func(text string) {
		problems = append(problems, fhir.Issue{Code: fhir.NotSupported, Expression: "Parameters.parameter", Text: text})
	}
	for p := range r.Root().Each("parameter") {
		switch name := p.Child("name").Text(); name {
		case "inputFormat":
			if v := p.Child("value").Text(); formatOf(v) != unknownFormat || v != ndjsonType && v != "application/ndjson" && v != "ndjson" {
				refuse("inputFormat is application/fhir+ndjson; there is no other.")
			}
		case "inputSource":
		case "input":
			var in bulk.Source
			for part := range p.Each("part") {
				switch part.Child("name").Text() {
				case "type":
					in.Type = part.Child("value").Text()
				case "url":
					in.URL = part.Child("value").Text()
				default:
					refuse("An input has the parts type and url; there is no " + shown(part.Child("name").Text()) + ".")
				}
			}
			if _, err := resourceType(in.Type); in.Type != "" && err != nil {
				refuse("The type of an input is an R4 resource type.")
			}
			all = append(all, in)
		default:
			refuse("There is no parameter " + shown(name) + " here; the ones there are: inputFormat, inputSource, input.")
		}
	}
	if len(all) == 0 {
		refuse("Say what to import: parameters input with the parts type and url.")
	}
	if len(problems) > 0 {
		return nil, &fhir.Outcome{Issues: problems}
	}
	return all, nil
}

// arriving returns the body of a request that may be large, unpacked, and lets it
// arrive as long as it does not stall.
func arriving(c *gin.Context) (io.Reader, error) {
	body := &arrivalReader{c.Request.Body, http.NewResponseController(c.Writer)}
	switch c.GetHeader("Content-Encoding") {
	case "", "identity":
		return body, nil
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The body is not what Content-Encoding says.")
		}
		return r, nil
	}
	return nil, &refusal{http.StatusUnsupportedMediaType, fhir.NotSupported, "The server takes bodies as they are, or with Content-Encoding gzip."}
}

// An arrivalError is why a body did not arrive.
type arrivalError struct{ error }

type arrivalReader struct {
	body       io.Reader
	connection *http.ResponseController
}

// Read reads what has arrived.
func (r *arrivalReader) Read(p []byte) (int, error) {
	deadline := time.Now().Add(stall)
	// Recorders of tests have no deadlines.
	_ = r.connection.SetReadDeadline(deadline)
	_ = r.connection.SetWriteDeadline(deadline.Add(maxWrite))
	n, err := r.body.Read(p)
	if err != nil && err != io.EOF {
		err = &arrivalError{err}
	}
	return n, err
}
