package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/spec"
)

// base is where the FHIR API lives.
const base = "/fhir"

// A rule says who may use a route.
type rule uint8

const (
	unruled rule = iota // nobody has decided; the server does not start
	public              // anybody
	granted             // who has a Grant, which the interaction itself asks
)

// A route is one address of the API and what it serves.
type route struct {
	method      string
	path        string
	rule        rule
	interaction access.Interaction // that it performs; empty for none
	serve       func(*gin.Context) error
	params      []string // query parameters that it takes beside _format and _pretty
	writes      bool     // it stores something
}

// methods returns r's method, and HEAD beside GET.
func (r route) methods() []string {
	if r.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{r.method}
}

// routes is everything the API serves.
func (s *Server) routes() []route {
	subset := []string{"_summary", "_elements"}
	history := []string{"_since", "_at", "_count", "_page", "_summary", "_elements"}
	routes := []route{
		{"GET", "/metadata", public, "", s.capabilities, []string{"mode"}, false},
		{"GET", "/_history", granted, access.HistorySystem, s.history, history, false},
		{"POST", "/:type", granted, access.Create, s.create, nil, true},
		{"GET", "/:type/_history", granted, access.HistoryType, s.history, history, false},
		{"GET", "/:type/:id", granted, access.Read, s.read, append(subset, "_at"), false},
		{"PUT", "/:type/:id", granted, access.Update, s.update, nil, true},
		{"PATCH", "/:type/:id", granted, access.Patch, s.patch, nil, true},
		{"DELETE", "/:type/:id", granted, access.Delete, s.delete, nil, true},
		{"GET", "/:type/:id/_history", granted, access.HistoryInstance, s.history, history, false},
		{"GET", "/:type/:id/_history/:vid", granted, access.VRead, s.vread, subset, false},
	}
	if s.config.Purge {
		routes = append(routes, route{"POST", "/:type/:id/$purge", granted, access.Purge, s.purge, nil, true})
	}
	return routes
}

// served tells conformance what the routes serve.
func (s *Server) served(routes []route) conformance.Served {
	served := conformance.Served{Version: s.config.Version, BaseURL: s.config.BaseURL, Date: s.config.Started, Purge: s.config.Purge}
	for _, r := range routes {
		switch r.interaction {
		case "", access.Purge:
		case access.HistorySystem:
			served.System = append(served.System, string(r.interaction))
		default:
			served.Type = append(served.Type, string(r.interaction))
		}
	}
	return served
}

// noRoute answers an address that is none.
func (s *Server) noRoute(c *gin.Context) error {
	if strings.TrimSuffix(c.Request.URL.Path, "/") == base {
		return fhir.Errorf(fhir.Unknown, fhir.NotSupported, "", "There are no batches, transactions and searches of the whole system here; send each request to the address that it is about. %s/metadata says what there is.", base)
	}
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is nothing at this address; the FHIR API is under %s, and %s/metadata says what it serves.", base, base)
}

// readOnly are the addresses right under base that are no type of resource.
var readOnly = []string{"metadata", "_history"}

// noMethod answers a method that an address does not take. An address of no
// resource type takes none at all.
func (s *Server) noMethod(c *gin.Context) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(c.Request.URL.Path, base+"/"), "/")
	allow := c.Writer.Header().Get("Allow")
	switch _, err := resourceType(first); {
	case slices.Contains(readOnly, first):
		allow = "GET, HEAD"
	case err != nil:
		c.Writer.Header().Del("Allow")
		return err
	}
	c.Header("Allow", allow+", OPTIONS")
	if c.Request.Method == http.MethodOptions {
		c.Status(http.StatusNoContent)
		return nil
	}
	return &refusal{http.StatusMethodNotAllowed, fhir.NotSupported, "This address does not take " + c.Request.Method + "; the Allow header says what it takes."}
}

// typeParam returns the resource type that the address names.
func typeParam(c *gin.Context) (string, error) { return resourceType(c.Param("type")) }

func resourceType(name string) (string, error) {
	if spec.R4().Resource(name) != nil {
		return name, nil
	}
	for _, t := range spec.R4().Resources() {
		if strings.EqualFold(t.Name, name) {
			return "", fhir.Errorf(fhir.Unknown, fhir.NotSupported, "", "There is no such resource type; did you mean %s? Names are case-sensitive.", t.Name)
		}
	}
	return "", fhir.Errorf(fhir.Unknown, fhir.NotSupported, "", "The address names no R4 resource type; %s/metadata lists them.", base)
}

// keyParam returns the resource that the address names.
func keyParam(c *gin.Context) (fhir.Key, error) {
	typ, err := typeParam(c)
	if err != nil {
		return fhir.Key{}, err
	}
	id := c.Param("id")
	// As part of an address these two mean other addresses.
	if !fhir.ValidID(id) || id == "." || id == ".." {
		return fhir.Key{}, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The address has no valid id: 1 to 64 letters, digits, hyphens and full stops.")
	}
	return fhir.Key{Type: typ, ID: id}, nil
}

// checkParams refuses query parameters that r does not take, so that none is
// silently ignored.
func checkParams(r route, query string) error {
	if query == "" {
		return nil
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The address has a query that cannot be read; write name=value, separated by &, with other characters as %%XX.")
	}
	o := &fhir.Outcome{}
	known := append([]string{"_format", "_pretty"}, r.params...)
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case !slices.Contains(known, name):
			o.Issues = append(o.Issues, fhir.Issue{Code: fhir.NotSupported, Text: "There is no parameter " + shown(name) + " here; the ones there are: " + strings.Join(known, ", ") + "."})
		case len(q[name]) > 1:
			o.Issues = append(o.Issues, fhir.Issue{Code: fhir.Invalid, Text: "The parameter " + name + " is given twice; give it once."})
		case name == "_pretty" && !slices.Contains([]string{"", "true", "false"}, q.Get(name)):
			o.Issues = append(o.Issues, fhir.Issue{Code: fhir.Value, Text: "_pretty is true or false."})
		}
	}
	if len(o.Issues) > 0 {
		return o
	}
	return nil
}

// shown cuts what a client sent to what may stand in a sentence.
func shown(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "?") + `"`
}
