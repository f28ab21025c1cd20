package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/search"
)

// jobbed is the interaction of beginning a job, and of what is asked of one later.
// Package bulk decides who may.
const jobbed access.Interaction = "job"

// jobPath is the address of a job, below base, but for its id.
const jobPath = "/$bulk/"

// bulkRoutes are those of jobs.
// https://hl7.org/fhir/uv/bulkdata/STU2/export.html
func (s *Server) bulkRoutes() []route {
	if s.config.Bulk == nil {
		return nil
	}
	var routes []route
	for _, path := range []string{"/$export", "/Patient/$export", "/Group/:id/$export"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			routes = append(routes, route{method: method, path: path, rule: granted, interaction: jobbed, serve: s.export, criteria: true})
		}
	}
	return append(routes,
		route{method: http.MethodPost, path: importPath, rule: granted, interaction: jobbed, serve: s.importing, writes: true},
		route{method: http.MethodGet, path: jobPath + ":job", rule: granted, interaction: jobbed, serve: s.job},
		route{method: http.MethodDelete, path: jobPath + ":job", rule: granted, interaction: jobbed, serve: s.cancel},
		route{method: http.MethodGet, path: jobPath + ":job/:file", rule: granted, interaction: jobbed, serve: s.jobFile},
	)
}

// export serves GET and POST $export of the system, of all patients and of a Group.
func (s *Server) export(c *gin.Context) error {
	if c.Request.Method == http.MethodHead {
		return &refusal{http.StatusMethodNotAllowed, fhir.NotSupported, "An export is begun by GET or POST."}
	}
	if !asksAsync(c.Request) {
		return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "An export takes its time: send Prefer: respond-async, and ask the address in Content-Location for the files.")
	}
	x := bulk.Export{Group: c.Param("id"), Lenient: parsePrefer(c.Request.Header.Values("Prefer")).Lenient}
	x.Level = c.Param("type")
	x.Request = s.baseURL(c.Request) + strings.TrimPrefix(c.Request.URL.RequestURI(), base)
	asked, err := s.exportParameters(c)
	if err != nil {
		return err
	}
	if err := readExport(&x, asked); err != nil {
		return err
	}
	id, err := s.config.Bulk.Export(c.Request.Context(), noteOf(c.Request).grant, s.originOf(c.Request), x)
	if err != nil {
		return err
	}
	return s.begun(c, id)
}

// begun says where a job is found.
func (s *Server) begun(c *gin.Context, id string) error {
	c.Header("Content-Location", s.baseURL(c.Request)+jobPath+id)
	s.render(c, http.StatusAccepted, success("The work has begun; the address in Content-Location says how far it is.").JSON())
	return nil
}

// exportParameters returns what an export asks, in its address or as Parameters.
func (s *Server) exportParameters(c *gin.Context) ([]search.Parameter, error) {
	list, err := parameters(c.Request.URL.RawQuery)
	if err != nil || c.Request.Method != http.MethodPost || c.Request.ContentLength == 0 {
		return list, err
	}
	r, err := s.decode(c, "Parameters")
	if err != nil {
		return nil, err
	}
	for p := range r.Root().Each("parameter") {
		in := search.Parameter{Name: p.Child("name").Text(), Value: p.Child("value").Text()}
		if in.Name == "patient" {
			in.Value = p.Child("value").Child("reference").Text()
		}
		list = append(list, in)
	}
	return list, nil
}

// nextFilter finds where one search in _typeFilter ends and the next begins. Commas
// are within searches, too.
var nextFilter = regexp.MustCompile(`,([A-Z][A-Za-z]*\?)`)

// readExport reads the parameters of an export. What it does not know is refused, or
// left out for who asks for leniency.
func readExport(x *bulk.Export, asked []search.Parameter) error {
	var problems []fhir.Issue
	refuse := func(code fhir.Code, name, text string) {
		if !x.Lenient {
			problems = append(problems, fhir.Issue{Code: code, Expression: "http." + name, Text: text})
		}
	}
	for _, p := range asked {
		switch p.Name {
		case "_format", "_pretty":
		case "_outputFormat":
			if !slices.Contains([]string{"application/fhir+ndjson", "application/ndjson", "ndjson"}, strings.ReplaceAll(p.Value, " ", "+")) {
				refuse(fhir.NotSupported, p.Name, "_outputFormat is application/fhir+ndjson; there is no other.")
			}
		case "_since":
			at, err := time.Parse(time.RFC3339Nano, p.Value)
			if err != nil || !x.Since.IsZero() {
				problems = append(problems, fhir.Issue{Code: fhir.Value, Expression: "http._since", Text: "_since is one instant, such as 2026-05-01T12:00:00Z."})
			}
			x.Since = at
		case "_type":
			x.Types = append(x.Types, words(p.Value)...)
		case "_elements":
			x.Elements = append(x.Elements, words(p.Value)...)
		case "_typeFilter":
			x.Filters = append(x.Filters, strings.Split(nextFilter.ReplaceAllString(p.Value, "\x00$1"), "\x00")...)
		case "patient":
			ref, ok := fhir.ParseReference(p.Value)
			if !ok || ref.Key.Type != "Patient" || x.Level == "" {
				refuse(fhir.Value, p.Name, "patient is a reference such as Patient/1, for an export of patients or of a Group.")
				continue
			}
			x.Patients = append(x.Patients, ref.Key.ID)
		default:
			refuse(fhir.NotSupported, p.Name, "There is no parameter "+shown(p.Name)+" here; the ones there are: _outputFormat, _since, _type, _typeFilter, _elements, patient.")
		}
	}
	if len(problems) > 0 {
		return &fhir.Outcome{Issues: problems}
	}
	return nil
}

// words returns what commas divide.
func words(list string) []string {
	var all []string
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			all = append(all, w)
		}
	}
	return all
}

// job serves GET [base]/$bulk/[job]: how far a job is, and at the end what there is
// to fetch, or the answer.
func (s *Server) job(c *gin.Context) error {
	j, err := s.config.Bulk.Find(c.Request.Context(), noteOf(c.Request).grant, c.Param("job"))
	if err != nil {
		return err
	}
	c.Header("Expires", j.Expires.UTC().Format(http.TimeFormat))
	switch {
	case j.Wait > 0:
		c.Header("X-Progress", j.Progress)
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(j.Wait.Seconds()))))
		c.Status(http.StatusAccepted)
		return nil
	case j.Failed != nil:
		s.render(c, failedStatus(j.Failed), j.Failed)
		return nil
	case j.Answer != nil:
		s.render(c, http.StatusOK, j.Answer)
		return nil
	}
	text, err := json.Marshal(s.manifest(c, j))
	if err != nil {
		return fmt.Errorf("write the manifest of a job: %w", err)
	}
	c.Data(http.StatusOK, "application/json", text)
	return nil
}

// failedStatus returns the status of a job that has failed with an outcome.
func failedStatus(outcome []byte) int {
	if strings.Contains(string(outcome), `"code":"`+string(fhir.Exception)+`"`) {
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}

// cancel serves DELETE [base]/$bulk/[job].
func (s *Server) cancel(c *gin.Context) error {
	if err := s.config.Bulk.Cancel(c.Request.Context(), noteOf(c.Request).grant, c.Param("job")); err != nil {
		return err
	}
	s.render(c, http.StatusAccepted, success("The job was ended, and what it has made is gone.").JSON())
	return nil
}
