package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/bulk"
)

// ndjsonType is the content type of files.
const ndjsonType = "application/fhir+ndjson"

// A manifest says what a job has made.
// https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---output-manifest
type manifest struct {
	TransactionTime     string         `json:"transactionTime"`
	Request             string         `json:"request"`
	RequiresAccessToken bool           `json:"requiresAccessToken"`
	Output              []manifestFile `json:"output"`
	Deleted             []manifestFile `json:"deleted,omitempty"`
	Error               []manifestFile `json:"error"`
	Extension           *extension     `json:"extension,omitempty"`
}

type manifestFile struct {
	Type     string `json:"type,omitempty"`
	URL      string `json:"url,omitempty"`
	InputURL string `json:"inputUrl,omitempty"`
	Count    int64  `json:"count"`
}

// An extension holds what is our own: the lines that were rejected, to be corrected
// and sent again.
type extension struct {
	Rejected []manifestFile `json:"https://fhir.openconsult.example/StructureDefinition/import-rejected"`
}

// manifest returns what a job has made, at addresses that are good for who may.
func (s *Server) manifest(c *gin.Context, j *bulk.Job) manifest {
	m := manifest{
		TransactionTime: j.At.UTC().Format(fhir.InstantFormat), Request: j.Request, RequiresAccessToken: true,
		Output: []manifestFile{}, Error: []manifestFile{},
	}
	for _, in := range j.Inputs {
		m.Output = append(m.Output, manifestFile{Type: in.Type, InputURL: in.URL, Count: in.Stored})
	}
	for _, f := range j.Files {
		file := manifestFile{Type: f.Type, URL: s.baseURL(c.Request) + jobPath + j.ID + "/" + f.Name, Count: f.Count}
		switch f.Kind {
		case "deleted":
			file.Type = "Bundle"
			m.Deleted = append(m.Deleted, file)
		case "error":
			m.Error = append(m.Error, file)
		case "rejected":
			m.Extension = &extension{Rejected: []manifestFile{file}}
		default:
			m.Output = append(m.Output, file)
		}
	}
	return m
}

// stall is how long a client may take for a piece of a file.
const stall = 30 * time.Second

// jobFile serves GET [base]/$bulk/[job]/[file].
func (s *Server) jobFile(c *gin.Context) error {
	f, err := s.config.Bulk.Open(c.Request.Context(), noteOf(c.Request).grant, s.originOf(c.Request), c.Param("job"), c.Param("file"))
	if err != nil {
		return err
	}
	c.Header("Content-Type", ndjsonType)
	c.Header("Expires", f.Expires.UTC().Format(http.TimeFormat))
	if c.Request.Method == http.MethodHead {
		c.Status(http.StatusOK)
		return nil
	}
	connection := http.NewResponseController(c.Writer)
	begun := false
	err = f.Each(c.Request.Context(), func(piece []byte) error {
		if !begun {
			begun = true
			c.Status(http.StatusOK)
		}
		// Recorders of tests have no deadlines.
		_ = connection.SetWriteDeadline(time.Now().Add(stall))
		_, err := c.Writer.Write(piece)
		return err
	})
	switch {
	case err != nil && begun:
		// What was sent is whole lines, perhaps: only a connection that breaks off says
		// that there should be more.
		s.config.Log.WarnContext(c.Request.Context(), "a file has broken off", "request", requestID(c.Request), "route", routeOf(c.Request), "err", err)
		panic(http.ErrAbortHandler)
	case err != nil:
		c.Writer.Header().Del("Expires")
		return err
	case !begun:
		c.Status(http.StatusOK)
	}
	return nil
}
