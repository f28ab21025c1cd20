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
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/subscription"
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
	criteria    bool     // its query says what is searched for, and the handler reads it
}

// methods returns r's method, and HEAD beside GET.
func (r route) methods() []string {
	if r.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{r.method}
}

// paths returns r's path, and the same with a slash at its end, or without, where
// R4 writes it either way. https://hl7.org/fhir/R4/http.html#cond-update
func (r route) paths() []string {
	switch r.path {
	case "/":
		return []string{"/", ""}
	case "/:type":
		return []string{r.path, r.path + "/"}
	}
	return []string{r.path}
}

// routes is everything the API serves.
func (s *Server) routes() []route {
	subset := []string{"_summary", "_elements"}
	history := []string{"_since", "_at", "_count", "_page", "_summary", "_elements"}
	routes := []route{
		{"GET", "/metadata", public, "", s.capabilities, []string{"mode"}, false, false},
		{"GET", "/" + access.Published().String(), public, "", s.compartment, subset, false, false},
		{"POST", "/", granted, bundled, s.bundle, nil, false, false},
		{"GET", "/_history", granted, access.HistorySystem, s.history, history, false, false},
		{"GET", "/$changes", granted, interaction.Changes, s.changes, changesParams(), false, false},
		{"POST", "/:type", granted, access.Create, s.create, nil, true, false},
		{"GET", "/:type/_history", granted, access.HistoryType, s.history, history, false, false},
		{"GET", "/:type/:id", granted, access.Read, s.read, append(subset, "_at"), false, false},
		{"PUT", "/:type/:id", granted, access.Update, s.changeOne, nil, true, false},
		{"PATCH", "/:type/:id", granted, access.Patch, s.changeOne, nil, true, false},
		{"DELETE", "/:type/:id", granted, access.Delete, s.changeOne, nil, true, false},
		{"GET", "/:type/:id/_history", granted, access.HistoryInstance, s.history, history, false, false},
		{"GET", "/:type/:id/_history/:vid", granted, access.VRead, s.vread, subset, false, false},
		{"GET", "/$reindex", granted, access.Reindex, s.reindexing, nil, false, false},
		{"POST", "/$reindex", granted, access.Reindex, s.reindex, nil, true, false},
	}
	routes = append(routes, s.operationRoutes()...)
	if s.config.Purge {
		routes = append(routes, route{"POST", "/:type/:id/$purge", granted, access.Purge, s.purge, nil, true, false})
	}
	return s.withPublished(slices.Concat(routes, s.bulkRoutes(), s.subscriptionRoutes(), s.inTurn(s.validationRoutes()), s.inTurn(s.formRoutes()), s.inTurn(s.installRoutes()), s.serviceRoutes(), s.conversationRoutes(), s.inTurn(s.questionRoutes()), s.recordRoutes(), s.inTurn(s.identityRoutes()), s.inTurn(s.terminologyRoutes()), s.searchRoutes(), s.conditionalRoutes()))
}

// operationRoutes are those of operations on one resource.
func (s *Server) operationRoutes() []route {
	routes := []route{
		{"GET", "/:type/:id/$meta", granted, interaction.Meta, s.meta, nil, false, false},
		{"POST", "/:type/:id/$meta-add", granted, interaction.MetaAdd, s.metaAdd, nil, true, false},
		{"POST", "/:type/:id/$meta-delete", granted, interaction.MetaDelete, s.metaDelete, nil, true, false},
	}
	if s.config.GrantOf != nil {
		routes = append(routes, route{"POST", "/:type/:id/$access-explain", granted, interaction.ExplainAccess, s.explainAccess, nil, false, false})
	}
	return routes
}

// searchRoutes are those whose query, or form, is a search.
func (s *Server) searchRoutes() []route {
	var routes []route
	for _, r := range []route{
		{path: "", interaction: access.SearchSystem},
		{path: "/:type", interaction: access.SearchType},
		{path: "/:type/:id/:inner", interaction: access.SearchType},
	} {
		r.rule, r.serve, r.criteria = granted, s.search, true
		get, post := r, r
		get.method, post.method = http.MethodGet, http.MethodPost
		get.path, post.path = r.path+"/", r.path+"/_search"
		if r.path != "" {
			get.path = r.path
		}
		routes = append(routes, get, post)
	}
	return routes
}

// conditionalRoutes are those whose query finds what is written.
func (s *Server) conditionalRoutes() []route {
	return []route{
		{"PUT", "/:type", granted, access.Update, s.changeFound, nil, true, true},
		{"PATCH", "/:type", granted, access.Patch, s.changeFound, nil, true, true},
		{"DELETE", "/:type", granted, access.Delete, s.changeFound, nil, true, true},
	}
}

// served tells conformance what the routes serve.
func (s *Server) served(routes []route) conformance.Served {
	served := conformance.Served{Version: s.config.Version, Date: s.config.Started, Security: s.config.Security}
	if s.config.Engine != nil {
		served.Parameters, served.Recorded = s.config.Engine.Registry, s.config.Engine.Recorded()
		for _, k := range s.config.Engine.CodeSystems() {
			served.CodeSystems = append(served.CodeSystems, conformance.CodeSystem{URL: k.URL, Version: k.Version, Listed: k.Listed})
		}
		served.Expansion = expandNames()
	}
	if s.config.Subscriptions != nil {
		for _, t := range subscription.Topics() {
			served.Topics = append(served.Topics, t.URL())
		}
	}
	for _, p := range publishedOf(routes) {
		served.Published = append(served.Published, p.Key)
	}
	for _, r := range routes {
		code := string(r.interaction)
		switch {
		case strings.HasPrefix(r.path, jobPath):
		case strings.Contains(r.path, "$"):
			served.Operations = withCode(served.Operations, r.path)
		case r.interaction == "":
		case r.interaction == bundled:
			served.System = withCode(withCode(served.System, typeTransaction), typeBatch)
		case r.interaction == access.HistorySystem, r.interaction == access.SearchSystem:
			served.System = withCode(served.System, code)
		default:
			served.Type = withCode(served.Type, code)
		}
		switch {
		case r.interaction == access.Create:
			served.ConditionalCreate = true
		case r.criteria && r.interaction == access.Update:
			served.ConditionalUpdate = true
		case r.criteria && r.interaction == access.Delete:
			served.ConditionalDelete = true
		}
	}
	return served
}

func withCode(codes []string, code string) []string {
	if slices.Contains(codes, code) {
		return codes
	}
	return append(codes, code)
}

// nothingHere is what an address that is none is answered with.
func nothingHere() error {
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is nothing at this address; the FHIR API is under %s, and %s/metadata says what it serves.", base, base)
}

// A reserved is an address that would be taken for that of a type, or of an id,
// by methods that it does not take itself.
type reserved struct {
	path  string // "/_history", "/:type/_history"
	takes []string
}

// reservedPaths are addresses whose last name is no type and no id.
func reservedPaths() []reserved {
	return []reserved{
		{"/metadata", []string{http.MethodGet, http.MethodHead}},
		{"/_history", []string{http.MethodGet, http.MethodHead}},
		{"/_search", []string{http.MethodPost}},
		{"/$changes", []string{http.MethodGet, http.MethodHead}},
		{"/$reindex", []string{http.MethodGet, http.MethodHead, http.MethodPost}},
		{"/$export", []string{http.MethodGet, http.MethodHead, http.MethodPost}},
		{"/$import", []string{http.MethodPost}},
		{"/$task-machine", []string{http.MethodGet, http.MethodHead}},
		{"/:type/_history", []string{http.MethodGet, http.MethodHead}},
		{"/:type/_search", []string{http.MethodPost}},
		{"/:type/:id/$meta", []string{http.MethodGet, http.MethodHead}},
		{"/:type/:id/$meta-add", []string{http.MethodPost}},
		{"/:type/:id/$meta-delete", []string{http.MethodPost}},
	}
}

// reservedBy returns the reserved path that an address below base is, or nil.
func reservedBy(path string) *reserved {
	names := strings.Split(path, "/")
	for _, p := range reservedPaths() {
		own := strings.Split(p.path, "/")
		if len(names) == len(own) && names[len(names)-1] == own[len(own)-1] {
			return &p
		}
	}
	return nil
}

// allowed returns the methods that an address below base takes, none if it is
// none. The router by itself has no way to say so that is safe: while it looks
// for other methods it runs out of room for the choices that it may take back.
func (s *Server) allowed(path string) []string {
	if p := reservedBy(path); p != nil {
		return p.takes
	}
	var methods []string
	for _, r := range s.routes() {
		if slices.ContainsFunc(r.paths(), func(template string) bool { return fits(template, path) }) {
			methods = append(methods, r.methods()...)
		}
	}
	order := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	return slices.DeleteFunc(order, func(method string) bool { return !slices.Contains(methods, method) })
}

// fits reports whether path is one of template's. A name of ours, which begins
// with _ or $, stands for no type and no id.
func fits(template, path string) bool {
	names, own := strings.Split(path, "/"), strings.Split(template, "/")
	if len(names) != len(own) {
		return false
	}
	for i, name := range names {
		variable := strings.HasPrefix(own[i], ":")
		if !variable && name != own[i] || variable && (name == "" || name[0] == '_' || name[0] == '$') {
			return false
		}
	}
	return true
}

// unserved answers an address that is none, and a method that an address does not
// take. An address of no resource type takes none at all.
func (s *Server) unserved(c *gin.Context) error {
	path, ours := strings.CutPrefix(c.Request.URL.Path, base)
	allow := s.allowed(path)
	if !ours || len(allow) == 0 {
		return nothingHere()
	}
	if first := strings.Split(path+"/", "/")[1]; first != "" && first[0] != '_' && first[0] != '$' && path != "/metadata" {
		if _, err := resourceType(first); err != nil {
			return err
		}
	}
	c.Header("Allow", strings.Join(append(allow, http.MethodOptions), ", "))
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
