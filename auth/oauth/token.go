package oauth

import (
	"context"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/auth"
)

// Token answers the form that a client has sent to the token endpoint, with the
// Authorization header that came with it. It returns an *Error when the client
// gets no token.
//
// Beyond what SMART has, a client without a user may send the parameter
// organization, once for each, with ids of organisations that it acts for: the
// token is for these only.
// https://www.rfc-editor.org/rfc/rfc6749#section-5
func (s *Server) Token(ctx context.Context, form url.Values, authorization string) (TokenResponse, error) {
	p := params(form)
	if name := p.twice("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "aud", "resource"); name != "" {
		return TokenResponse{}, refused(invalidRequest, "%s is there twice.", name)
	}
	kind := p.get("grant_type")
	switch kind {
	case "authorization_code", "refresh_token", "client_credentials":
	case "":
		return TokenResponse{}, refused(invalidRequest, "grant_type is missing.")
	default:
		return TokenResponse{}, refused(unsupportedGrant, "grant_type is authorization_code, refresh_token or client_credentials.")
	}
	for _, name := range []string{"aud", "resource"} {
		if v := p.get(name); v != "" && strings.TrimSuffix(v, "/") != s.config.FHIRBase {
			return TokenResponse{}, refused(invalidTarget, "%s is not the address of this FHIR server, which is %s.", name, s.config.FHIRBase)
		}
	}
	if kind == "refresh_token" && authorization == "" && p.get("client_id")+p.get("client_assertion") == "" {
		c, err := s.holder(ctx, p.get("refresh_token"))
		if err != nil {
			return TokenResponse{}, err
		}
		return s.refresh(ctx, c, p)
	}
	c, err := s.authenticate(ctx, p, authorization)
	if err != nil {
		return TokenResponse{}, err
	}
	switch kind {
	case "authorization_code":
		return s.redeem(ctx, c, p)
	case "refresh_token":
		return s.refresh(ctx, c, p)
	}
	return s.clientCredentials(ctx, c, p)
}

// scopes returns what is understood of text.
func (s *Server) scopes(text string) auth.Scopes {
	scopes, _ := auth.ParseScopes(text, s.config.Known)
	return scopes
}
