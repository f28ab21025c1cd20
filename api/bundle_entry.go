package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// An asking is one entry as it was understood.
type asking struct {
	c       *gin.Context // of the request that the entry stands for; it answers nobody
	entry   interaction.Entry
	shown   fhir.Selection // of a read
	problem *fhir.Outcome  // beside what is structurally wrong
}

// reads reports whether a stores nothing.
func (a *asking) reads() bool { return isReading(a.entry.Method) }

// refuse notes a problem of one element of the entry.
func (a *asking) refuse(expression string, err error) {
	o := fhir.AsOutcome(err)
	if o == nil {
		_, o = translate(err)
	}
	if a.problem == nil {
		a.problem = &fhir.Outcome{Class: o.Class}
	}
	for _, is := range o.Issues {
		is.Expression = expression
		a.problem.Issues = append(a.problem.Issues, is)
	}
}

// understand makes of entry i the request that it stands for.
func (p *processing) understand(i int) asking {
	n := &p.sent.Entries[i]
	at := fmt.Sprintf("Bundle.entry[%d]", i)
	a := asking{entry: interaction.Entry{Method: n.Method, FullURL: n.FullURL, Resource: n.Resource}}
	if n.Method == "" || n.URL == "" {
		return a // which is a structural problem
	}
	path, err := p.inside(i, &a)
	if err != nil {
		a.refuse(at+".request.url", err)
		return a
	}
	a.headers(n, at+".request")
	a.content(n, at+".resource")
	switch {
	case a.entry.Method == http.MethodPost:
		p.create(&a, path, at)
	case !a.reads():
		p.change(&a, path, at)
	case p.sent.Type == typeTransaction:
		p.reading(&a, path, at)
	}
	return a
}

// inside makes the request that an entry stands for, and returns the names in its
// address, which is relative to the base or begins with it.
func (p *processing) inside(i int, a *asking) ([]string, error) {
	n := &p.sent.Entries[i]
	// R4's own examples write a slash before what is relative to the base.
	u, err := url.Parse(strings.TrimPrefix(n.URL, p.baseURL(p.c.Request)+"/"))
	if err == nil && u.Host == "" && u.Scheme == "" {
		u.Path = strings.TrimPrefix(u.Path, "/")
	}
	switch {
	case err != nil:
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This is no address; write it relative to the base, such as Patient/123, with other characters as %%XX.")
	case u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/") || u.Fragment != "":
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This address is not one of this server; write it relative to the base, such as Patient/123.")
	case strings.Contains(strings.ToLower(u.RawPath), "%2f"):
		return nil, nothingHere()
	}
	if err := refuseToken(u.RawQuery); err != nil {
		return nil, err
	}
	path := u.Path
	if n.Method == http.MethodPost && (path == "_search" || strings.HasSuffix(path, "/_search")) {
		// In an entry there is no form, so that it is the same as a search by GET.
		path = strings.TrimSuffix(strings.TrimSuffix(path, "_search"), "/")
		a.entry.Method = http.MethodGet
	}
	for _, name := range []string{"_format", "_pretty"} {
		if u.Query().Has(name) {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "The answer is part of a Bundle; say %s for all of it, in the address of the request.", name)
		}
	}
	a.c = p.stand(i, a.entry.Method, &url.URL{Path: base + "/" + path, RawQuery: u.RawQuery})
	return names(path), nil
}

// names returns the names in a path.
func names(path string) []string {
	if path = strings.TrimSuffix(path, "/"); path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// headers gives the request the conditions of the entry, as far as it has a use for
// them.
func (a *asking) headers(n *fhir.Submitted, at string) {
	for _, h := range []struct {
		element, name, value string
		useful               bool
	}{
		{"ifMatch", "If-Match", n.IfMatch, a.entry.Method != http.MethodPost},
		{"ifNoneMatch", "If-None-Match", n.IfNoneMatch, a.reads() || a.entry.Method == http.MethodPut},
		{"ifModifiedSince", "If-Modified-Since", n.IfModifiedSince, a.reads()},
		{"ifNoneExist", noneExist, n.IfNoneExist, a.entry.Method == http.MethodPost},
	} {
		switch {
		case h.value == "":
		case !h.useful:
			a.refuse(at+"."+h.element, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "%s has no meaning for %s; leave it out.", h.element, a.entry.Method))
		case h.name == "If-Modified-Since":
			if t, err := time.Parse(time.RFC3339Nano, h.value); err == nil {
				a.c.Request.Header.Set(h.name, t.UTC().Format(http.TimeFormat))
			}
		default:
			a.c.Request.Header.Set(h.name, h.value)
		}
	}
}

// content holds the resource of the entry against its method.
func (a *asking) content(n *fhir.Submitted, at string) {
	takes := a.entry.Method == http.MethodPost || a.entry.Method == http.MethodPut || a.entry.Method == http.MethodPatch
	switch {
	case len(n.Problems) > 0:
	case takes && n.Resource == nil:
		a.refuse(at, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "%s needs a resource.", a.entry.Method))
	case !takes && n.Resource != nil:
		a.refuse(at, fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "%s takes no resource; leave it out.", n.Method))
	case a.entry.Method == http.MethodPatch:
		a.patch(at)
	}
}

// patch takes the patch out of the resource of an entry: a Binary with a JSON Patch,
// or Parameters with a FHIRPath Patch. https://hl7.org/fhir/R4/http.html#jsonpatch
func (a *asking) patch(at string) {
	r := a.entry.Resource
	a.entry.Resource, a.entry.Patch = nil, &interaction.Change{}
	if r.Type() == "Parameters" {
		a.entry.Patch.FHIRPath = r
		return
	}
	name, _ := splitType(r.Root().Child("contentType").Text())
	if r.Type() != "Binary" || formatOf(name) != patchFormat {
		a.refuse(at, fhir.Errorf(fhir.BadRequest, fhir.Value, "", "PATCH takes a Binary with the contentType application/json-patch+json, or Parameters with a FHIRPath Patch."))
		return
	}
	data := strings.Join(strings.Fields(r.Root().Child("data").Text()), "")
	content, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		a.refuse(at+".data", fhir.Errorf(fhir.BadRequest, fhir.Value, "", "This is not base64; use the standard alphabet with padding."))
	}
	a.entry.Patch.JSON = content
}

// create understands the address of a POST.
func (p *processing) create(a *asking, path []string, at string) {
	if len(path) != 1 || strings.HasPrefix(path[0], "$") {
		a.refuse(at+".request.url", fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "In a Bundle POST creates a resource, as in Patient, or searches, as in Patient/_search; send operations by themselves."))
		return
	}
	typ, err := resourceType(path[0])
	if err != nil {
		a.refuse(at+".request.url", err)
		return
	}
	a.entry.Key.Type = typ
	if query := a.c.Request.URL.RawQuery; query != "" {
		a.refuse(at+".request.url", fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "The address of a create has no query; put the criteria of a conditional one into ifNoneExist."))
	}
	a.entry.Criteria = a.c.Request.Header.Get(noneExist)
	a.entry.Conditional = a.entry.Criteria != ""
	a.fits(at)
}

// change understands the address of a PUT, a PATCH or a DELETE, which names a
// resource or criteria that find it.
func (p *processing) change(a *asking, path []string, at string) {
	var err error
	query := a.c.Request.URL.RawQuery
	switch len(path) {
	case 1:
		a.c.Params = gin.Params{{Key: "type", Value: path[0]}}
		if a.entry.Key.Type, err = typeParam(a.c); err == nil {
			a.entry.Conditional = true
			a.entry.Criteria, err = criteria(a.c)
		}
	case 2:
		a.c.Params = gin.Params{{Key: "type", Value: path[0]}, {Key: "id", Value: path[1]}}
		if a.entry.Key, err = keyParam(a.c); err == nil {
			err = checkParams(route{}, query)
		}
	default:
		err = fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "In a Bundle %s takes the address of a resource, as in Patient/123, or of a type with criteria, as in Patient?identifier=system|value.", a.entry.Method)
	}
	if err != nil {
		a.refuse(at+".request.url", err)
	}
	if a.entry.Expect, err = demanded(a.c.Request); err != nil {
		a.refuse(at+".request.ifMatch", err)
	}
	a.fits(at)
}

// fits makes sure that the resource of an entry is of the type of its address.
func (a *asking) fits(at string) {
	r, typ := a.entry.Resource, a.entry.Key.Type
	if r != nil && typ != "" && r.Type() != typ {
		a.refuse(at+".resource", fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "The address of this entry takes a %s; the resource is a %s.", typ, r.Type()))
	}
}
