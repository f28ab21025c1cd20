package api

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
)

// asyncPreference is the preference of who does not wait for an answer.
// https://hl7.org/fhir/R4/async.html
const asyncPreference = "respond-async"

// asksAsync reports whether a request is to be answered later.
func asksAsync(r *http.Request) bool {
	_, asks := withoutAsync(r.Header.Values("Prefer"))
	return asks
}

// withoutAsync returns Prefer headers as one, without the wish for a later answer,
// and whether there was one.
func withoutAsync(headers []string) (rest string, asks bool) {
	var kept []string
	for _, header := range headers {
		for entry := range strings.SplitSeq(header, ",") {
			name, _, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(name), asyncPreference) {
				asks = true
			} else if entry = strings.TrimSpace(entry); entry != "" {
				kept = append(kept, entry)
			}
		}
	}
	return strings.Join(kept, ", "), asks
}

// serving returns what serves a request of a route that was admitted: the route, or
// for who does not wait, what keeps the request for later.
func (s *Server) serving(c *gin.Context, r route) func(*gin.Context) error {
	if s.config.Bulk == nil || r.rule != granted || r.interaction == jobbed || r.path == "" || noteOf(c.Request).inner || !asksAsync(c.Request) {
		return r.serve
	}
	return func(c *gin.Context) error { return s.later(c, r) }
}

// keptHeaders are those that shape what a request does, or its answer.
func keptHeaders() []string {
	return []string{"Content-Type", "If-Match", "If-Modified-Since", "If-None-Match", noneExist, idempotencyKey, pastHeader, "X-Security-Context"}
}

// later keeps a request, to be performed when there is time.
func (s *Server) later(c *gin.Context, r route) error {
	kept := bulk.Request{Method: c.Request.Method, Base: s.baseURL(c.Request), Repeatable: isRepeatable(r.interaction), Header: map[string]string{}}
	kept.Path = strings.TrimPrefix(c.Request.URL.EscapedPath(), base)
	if query := withoutFormat(c.Request.URL.RawQuery); query != "" {
		kept.Path += "?" + query
	}
	for _, name := range keptHeaders() {
		if v := c.Request.Header.Get(name); v != "" {
			kept.Header[name] = v
		}
	}
	if rest, _ := withoutAsync(c.Request.Header.Values("Prefer")); rest != "" {
		kept.Header["Prefer"] = rest
	}
	if c.Request.ContentLength != 0 {
		limit := s.limitOf(c.Param("type"))
		if r.interaction == bundled {
			limit = s.config.Limits.Bundle
		}
		var err error
		if kept.Body, err = s.readBody(c, limit); err != nil {
			return err
		}
	}
	id, err := s.config.Bulk.Later(c.Request.Context(), noteOf(c.Request).grant, s.originOf(c.Request), kept)
	if err != nil {
		return err
	}
	c.Header("Preference-Applied", asyncPreference)
	return s.begun(c, id)
}

// withoutFormat returns a query without what it says of the form of the answer: the
// answer becomes part of a Bundle.
func withoutFormat(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); pair != "" && (err != nil || name != "_format" && name != "_pretty") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

type performedBy struct{}

// Performer returns what performs requests that were kept for later: as the server
// serves them, for who has the Grant that it is given.
func (s *Server) Performer() func(context.Context, bulk.Performance) bulk.Response {
	config := s.config
	config.Caller = func(r *http.Request) (access.Grant, error) {
		if g, ok := r.Context().Value(performedBy{}).(access.Grant); ok {
			return g, nil
		}
		return access.Grant{}, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Nobody asks for this.")
	}
	inner := &Server{config: config, memory: s.memory, small: s.small, signing: s.signing, heavy: s.heavy, listening: s.listening, metadata: s.metadata}
	inner.router = inner.newRouter(inner.routes())
	return inner.performLater
}

func (s *Server) performLater(ctx context.Context, p bulk.Performance) bulk.Response {
	ctx = context.WithValue(context.WithValue(ctx, performedBy{}, p.Grant), noteKey{}, &note{id: p.From.Request, base: p.Base})
	r, err := http.NewRequestWithContext(ctx, p.Method, "http://localhost"+base+p.Path, bytes.NewReader(p.Body))
	if err != nil {
		_, outcome := translate(fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "The address of the request cannot be read."))
		return bulk.Response{Status: http.StatusBadRequest, Body: outcome.JSON()}
	}
	r.Header.Set("Accept", "application/fhir+json")
	for name, value := range p.Header {
		r.Header.Set(name, value)
	}
	if p.Repeatable && r.Header.Get(idempotencyKey) == "" && !isDry(r) {
		r.Header.Set(idempotencyKey, p.Key)
	}
	if p.From.Address != "" {
		r.RemoteAddr = net.JoinHostPort(p.From.Address, "0")
	}
	o := &overheard{header: http.Header{}}
	s.router.ServeHTTP(o, r)
	o.WriteHeader(http.StatusOK)
	answer := bulk.Response{Status: o.status, Header: o.header}
	if strings.HasPrefix(o.header.Get("Content-Type"), "application/fhir+json") {
		answer.Body = o.body.Bytes()
	}
	return answer
}
