package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// stand makes the request that entry i stands for: by the sender of the Bundle, who
// is known already, and under an id that tells it from the others.
func (p *processing) stand(i int, method string, address *url.URL) *gin.Context {
	outer := p.c.Request
	n := noteOf(outer)
	inner := &note{id: fmt.Sprintf("%.58s.%d", n.id, i), grant: n.grant, inner: true, base: n.base}
	r := &http.Request{Method: method, URL: address, Host: outer.Host, TLS: outer.TLS, RemoteAddr: outer.RemoteAddr, Header: http.Header{"Accept": {"application/fhir+json"}}, Body: http.NoBody}
	if hops := outer.Header.Values("X-Forwarded-For"); len(hops) > 0 {
		r.Header["X-Forwarded-For"] = hops
	}
	if parsePrefer(outer.Header.Values("Prefer")).Lenient {
		r.Header.Set("Prefer", "handling=lenient")
	}
	return &gin.Context{Request: r.WithContext(context.WithValue(outer.Context(), noteKey{}, inner))}
}

// reading understands the address of a GET in a transaction, which sees what the
// transaction writes: a resource, a version of one, or a search.
func (p *processing) reading(a *asking, path []string, at string) {
	a.entry.Reading = &interaction.Reading{}
	versioned := len(path) == 4 && path[2] == "_history"
	reads := versioned || len(path) == 2
	var err error
	switch {
	case !reads && p.searches(path):
		err = p.searching(a, path)
	case !reads:
		err = fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "In a transaction GET reads a resource or a version of it, or searches; ask for anything else in a batch.")
	default:
		a.c.Params = gin.Params{{Key: "type", Value: path[0]}, {Key: "id", Value: path[1]}}
		err = a.read(versioned, path)
	}
	if err != nil {
		a.refuse(at+".request.url", err)
	}
	if a.c.Request.Header.Get("If-Match") != "" {
		a.refuse(at+".request.ifMatch", fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "ifMatch has no meaning for a GET in a transaction; leave it out."))
	}
	if header := a.c.Request.Header.Get("If-None-Match"); header != "" {
		t, ok := parseTags(header)
		if ok && len(t.list) == 1 {
			a.entry.Reading.IfNoneMatch, ok = versionNumber(t.list[0])
		}
		if !ok || len(t.list) != 1 {
			a.refuse(at+".request.ifNoneMatch", fhir.Errorf(fhir.BadRequest, fhir.Value, "", `In a transaction ifNoneMatch takes the ETag of one version, such as W/"3".`))
		}
	}
}

// read understands the address of a resource or a version of it.
func (a *asking) read(versioned bool, path []string) (err error) {
	if a.entry.Key, err = keyParam(a.c); err != nil {
		return err
	}
	if versioned {
		n, ok := versionNumber(path[3])
		if !ok {
			return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The address names no version; write its number after _history.")
		}
		a.entry.Reading.Version = n
	}
	if err = checkParams(route{params: []string{"_summary", "_elements"}}, a.c.Request.URL.RawQuery); err != nil {
		return err
	}
	a.shown, err = selectionOf(a.c, a.entry.Key.Type)
	return err
}

// searches reports whether a path is that of a search: of the system, a type or a
// compartment.
func (p *processing) searches(path []string) bool {
	for _, name := range path {
		if name == "" || name == "metadata" || name[0] == '_' || name[0] == '$' {
			return false
		}
	}
	return len(path) != 2 && len(path) < 4
}

// searching understands the address of a search.
func (p *processing) searching(a *asking, path []string) error {
	if a.c.Request.URL.Query().Has(cursorParam) {
		return fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "A page link cannot be followed in a transaction; follow it by itself.")
	}
	for i, name := range path {
		a.c.Params = append(a.c.Params, gin.Param{Key: []string{"type", "id", "inner"}[i], Value: name})
	}
	page, _, err := p.pageOf(a.c)
	a.entry.Key.Type = searchedType(a.c)
	a.entry.Reading.Page = &page
	return err
}

// An overheard is the answer to a request that an entry stands for.
type overheard struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the headers of the answer.
func (o *overheard) Header() http.Header { return o.header }

// WriteHeader notes the first status.
func (o *overheard) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
}

// Write keeps what is answered.
func (o *overheard) Write(b []byte) (int, error) {
	o.WriteHeader(http.StatusOK)
	return o.body.Write(b)
}

// ask sends the request of an entry through the router, and returns the answer as an
// entry of the answer to the Bundle.
func (p *processing) ask(a *asking) fhir.Entry {
	o := &overheard{header: http.Header{}}
	p.router.ServeHTTP(o, a.c.Request)
	o.WriteHeader(http.StatusOK)
	e := fhir.Entry{Status: statusLine(o.status), ETag: o.header.Get("ETag"), LastModified: noteOf(a.c.Request).updated}
	body := o.body.Bytes()
	switch {
	case len(body) == 0 || a.entry.Method == http.MethodHead && o.status < http.StatusBadRequest:
	case o.status >= http.StatusBadRequest:
		e.Outcome = body
	default:
		e.Resource = body
	}
	return e
}

func statusLine(status int) string { return strconv.Itoa(status) + " " + http.StatusText(status) }
