package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// identify asks who sends the request and keeps the answer with it. Who may not
// do what r does is refused before anything is read; the interaction asks again.
func (s *Server) identify(c *gin.Context, r route) error {
	// What is told under a token is nobody's to keep, a refusal included.
	c.Header("Cache-Control", "no-store")
	if noteOf(c.Request).inner {
		return s.session(c).Allow(r.interaction, fhir.Key{Type: searchedType(c), ID: c.Param("id")})
	}
	if s.config.Caller == nil {
		return fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Sign in first.")
	}
	g, err := s.config.Caller(c.Request)
	if err != nil {
		return err
	}
	if g.IsTrusted() {
		c.Header("Cache-Control", privately)
	}
	noteOf(c.Request).grant = g
	if (r.interaction == bundled || r.interaction == jobbed) && (g.IsTrusted() || len(g.Terms().Scopes) > 0) {
		return nil // each entry asks for itself
	}
	return s.session(c).Allow(r.interaction, fhir.Key{Type: searchedType(c), ID: c.Param("id")})
}

// session returns the interactions of the request's sender. Without a Grant they
// all refuse.
func (s *Server) session(c *gin.Context) *interaction.Session {
	session := s.config.Engine.For(noteOf(c.Request).grant, s.originOf(c.Request))
	if parsePrefer(c.Request.Header.Values("Prefer")).Return == "OperationOutcome" {
		return session.Advised()
	}
	return session
}

// originOf says where a request came from.
func (s *Server) originOf(r *http.Request) interaction.Origin {
	o := interaction.Origin{Request: requestID(r)}
	if from := s.config.Proxies.Address(r); from.IsValid() {
		o.Address = from.String()
	}
	return o
}

// tokenParam is the parameter by which RFC 6750 lets a token stand in an address
// or a form. Addresses are logged, kept and passed on, so it is refused.
const tokenParam = "access_token"

// refuseToken refuses a query with a token in it.
func refuseToken(query string) error {
	if !strings.Contains(query, "%") && !strings.Contains(strings.ToLower(query), tokenParam) {
		return nil
	}
	// What cannot be read is refused where it is used.
	q, _ := url.ParseQuery(query)
	for name := range q {
		if strings.EqualFold(name, tokenParam) {
			return fhir.Errorf(fhir.BadRequest, fhir.Security, "", "Send the token in the header Authorization only, and have this one revoked: addresses are kept in many places.")
		}
	}
	return nil
}

// challenge returns what WWW-Authenticate says of a refusal with the given status,
// or "". https://www.rfc-editor.org/rfc/rfc6750#section-3
func challenge(r *http.Request, status int, o *fhir.Outcome) string {
	const scheme = `Bearer realm="OpenConsult"`
	switch {
	case status == http.StatusUnauthorized && len(r.Header.Values("Authorization")) == 0:
		return scheme
	case status == http.StatusUnauthorized:
		return scheme + `, error="invalid_token"`
	case status == http.StatusForbidden && len(o.Issues) > 0 && o.Issues[0].Detail == interaction.LacksScope:
		return scheme + `, error="insufficient_scope"`
	}
	return ""
}
