package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/api/web"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// baseURL returns the public address of the API, without a last slash.
func (s *Server) baseURL(r *http.Request) string {
	if s.config.BaseURL != "" {
		return s.config.BaseURL
	}
	if n := noteOf(r); n.base != "" {
		return n.base
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + base
}

// versionHeaders says which version an answer is about.
func versionHeaders(c *gin.Context, v *store.Version) {
	c.Header("ETag", etag(v.Number))
	c.Header("Last-Modified", v.Updated.UTC().Format(http.TimeFormat))
	noteOf(c.Request).updated = v.Updated
}

// resource answers with one version of a resource, or the part of it that the
// request asks for.
func (s *Server) resource(c *gin.Context, status int, v *store.Version) error {
	selection, err := selectionOf(c, v.Key.Type)
	if err != nil {
		return err
	}
	body, err := fhir.Subset(v.Key.Type, v.Resource(), selection)
	if err != nil {
		return err
	}
	s.render(c, status, body)
	return nil
}

// written answers a write that leaves something, by what Prefer asks for. What was
// only tried out has no version.
func (s *Server) written(c *gin.Context, method string, r interaction.Result) error {
	status := http.StatusOK
	dry := isDry(c.Request)
	if !dry {
		versionHeaders(c, &r.Version)
	}
	if r.Outcome == store.Created || r.Repeated {
		status = http.StatusCreated
	}
	if r.Repeated {
		c.Header(replayed, "true")
	}
	if !dry && (r.Outcome == store.Created || method == http.MethodPost) {
		s.location(c, &r.Version)
	}
	if !dry {
		s.linked(c, r.Links)
	}
	return s.answerWrite(c, status, r, writeText(method, r, dry))
}

// location says where the version is that a create led to.
func (s *Server) location(c *gin.Context, v *store.Version) {
	c.Header("Location", fmt.Sprintf("%s/%s/_history/%d", s.baseURL(c.Request), v.Key, v.Number))
}

// answerWrite answers with what was written, with text, or with nothing, as Prefer
// asks. Who may not read it gets nothing of it.
func (s *Server) answerWrite(c *gin.Context, status int, r interaction.Result, text string) error {
	switch preferred := parsePrefer(c.Request.Header.Values("Prefer")).Return; {
	case preferred == "OperationOutcome":
		s.render(c, status, success(text, r.Notes...).JSON())
		return nil
	case preferred == "minimal", r.Hidden:
		c.Status(status)
		return nil
	}
	return s.resource(c, status, &r.Version)
}

// writeText says what became of a write, or would become of it.
func writeText(method string, r interaction.Result, dry bool) string {
	the, was := "The "+r.Key.Type, " was "
	if dry {
		was = " would be "
	}
	switch {
	case r.Outcome == store.Created:
		return the + was + "created."
	case r.Repeated:
		return the + " was created before, under the same identifier."
	case r.Outcome == store.Unchanged && method == http.MethodPost:
		return "There already is a " + r.Key.Type + " that answers the criteria; nothing" + was + "created."
	case r.Outcome == store.Unchanged:
		return the + " already is what you sent; there is no new version."
	case r.Outcome == store.Removed:
		return the + was + "deleted."
	case r.Outcome == store.Nothing:
		return "There was no such " + r.Key.Type + ", so nothing" + was + "deleted."
	}
	return the + was + "updated."
}

// success says that something was done, and what is to be noted about it.
func success(text string, notes ...fhir.Issue) *fhir.Outcome {
	return &fhir.Outcome{Issues: append([]fhir.Issue{{Severity: fhir.Information, Code: fhir.Informational, Text: text}}, notes...)}
}

// render answers with a resource, given as JSON, in the format that the request
// asks for. An error about the format itself is told in JSON.
func (s *Server) render(c *gin.Context, status int, body []byte) {
	f, err := negotiate(c.Request)
	if err != nil {
		f = jsonFormat
	}
	if f == htmlFormat || f == jsonFormat && isPretty(c.Request) {
		body = indented(body)
	}
	switch f {
	case xmlFormat:
		s.renderXML(c, status, body)
	case htmlFormat:
		page := web.Page{Title: below(c.Request.URL.Path), Query: c.Request.URL.RawQuery, Status: status, Base: s.baseURL(c.Request), JSON: body}
		if s.config.Pages[web.FrontPath] != nil {
			page.Front = web.FrontPath
		}
		web.Headers(c.Writer.Header())
		c.Data(status, "text/html; charset=utf-8", page.HTML())
	default:
		c.Data(status, jsonType, body)
	}
}

// below returns what of a path is below base, without slashes around it.
func below(path string) string {
	name, ok := strings.CutPrefix(path+"/", base+"/")
	if !ok {
		return ""
	}
	return strings.Trim(name, "/")
}

// privately lets a client keep an answer for itself, if it asks before it shows it
// again.
const privately = "private, no-cache"

// answerHeaders sets what is true of every answer: what it depends on, that it
// is what it says it is, and that nobody keeps it for others or shows it again
// without asking. R4 says nothing about caches; answers are about patients.
func answerHeaders(h http.Header) {
	h.Set("Cache-Control", privately)
	h.Set("Vary", "Accept, Accept-Encoding, Authorization, Origin, Prefer")
	h.Set("X-Content-Type-Options", "nosniff")
}

func (s *Server) renderXML(c *gin.Context, status int, body []byte) {
	r, err := fhir.Decode("", body)
	if err != nil {
		s.config.Log.ErrorContext(c.Request.Context(), "a resource of ours does not decode", "request", requestID(c.Request), "route", routeOf(c.Request), "err", err)
		c.Data(http.StatusInternalServerError, jsonType, fhir.Errorf(fhir.BadRequest, fhir.Exception, "", "The server could not write this resource as XML; ask for JSON. The id of this request is %s.", requestID(c.Request)).JSON())
		return
	}
	doc := r.AppendXML(nil)
	if isPretty(c.Request) {
		doc = fhir.IndentXML(doc)
	}
	c.Data(status, xmlType, doc)
}

func isPretty(r *http.Request) bool { return r.URL.Query().Get("_pretty") == "true" }

// indented returns JSON for people. Numbers keep their text.
func indented(body []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return body
	}
	return b.Bytes()
}
