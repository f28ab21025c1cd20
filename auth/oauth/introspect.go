package oauth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth/bearer"
)

// An Introspection says what a token is. When it is not Active, nothing else is
// said.
// https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html
type Introspection struct {
	Active      bool          `json:"active"`
	Scope       string        `json:"scope,omitempty"`
	Client      string        `json:"client_id,omitempty"`
	TokenType   string        `json:"token_type,omitempty"`
	Expires     int64         `json:"exp,omitempty"`
	Issued      int64         `json:"iat,omitempty"`
	Issuer      string        `json:"iss,omitempty"`
	Subject     string        `json:"sub,omitempty"`
	Audience    string        `json:"aud,omitempty"`
	ID          string        `json:"jti,omitempty"`
	Patient     string        `json:"patient,omitempty"`
	Encounter   string        `json:"encounter,omitempty"`
	FHIRContext []ContextItem `json:"fhirContext,omitempty"`
	NeedBanner  *bool         `json:"need_patient_banner,omitempty"`
	Intent      string        `json:"intent,omitempty"`
	StyleURL    string        `json:"smart_style_url,omitempty"`
	FHIRUser    string        `json:"fhirUser,omitempty"` // absolute
}

// Introspect says what the token in a form is to who may know: a confidential
// client by its credentials, or any client by an access token of its own, asks
// about tokens that were given to it; one that is registered for that asks about
// all. What is not for the caller to know is inactive. It returns an *Error when
// the caller is not known.
// https://www.rfc-editor.org/rfc/rfc7662
func (s *Server) Introspect(ctx context.Context, form url.Values, authorization string) (Introspection, error) {
	p := params(form)
	if p.twice("token", "token_type_hint") != "" || p.get("token") == "" {
		return Introspection{}, refused(invalidRequest, "token is missing, or there twice.")
	}
	c, err := s.inquirer(ctx, p, authorization)
	if err != nil {
		return Introspection{}, err
	}
	g, i, err := s.known(ctx, p.get("token"))
	if err != nil || g == nil || g.Client != c.ID && !c.Introspects {
		return Introspection{}, err
	}
	i.Active, i.Client, i.Issuer, i.Subject, i.Audience = true, g.Client, s.config.Issuer, g.subject(), g.Context.Audience
	i.Patient, i.Encounter, i.FHIRContext = g.Context.Patient, g.Context.Encounter, g.Context.Items
	i.NeedBanner, i.Intent = g.Context.Banner, g.Context.Intent
	if g.Account != "" {
		i.StyleURL = s.config.Issuer + StylePath
	}
	if s.scopes(i.Scope).FHIRUser && g.Context.fhirUser() != "" {
		i.FHIRUser = s.config.FHIRBase + "/" + g.Context.fhirUser()
	}
	return i, nil
}

// inquirer returns the client that asks about a token.
func (s *Server) inquirer(ctx context.Context, p params, authorization string) (Client, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		c, err := s.authenticate(ctx, p, authorization)
		if err == nil && c.Public {
			return Client{}, unknownClient()
		}
		return c, err
	}
	bad := refused(invalidToken, "The access token is not good.")
	bad.Challenge = `Bearer error="invalid_token"`
	g, _, err := s.knownAccess(ctx, strings.TrimSpace(token))
	if err != nil {
		return Client{}, err
	}
	if g == nil {
		return Client{}, bad
	}
	c, err := s.activeClient(ctx, g.Client)
	if err == nil && c == nil {
		return Client{}, bad
	}
	if err != nil {
		return Client{}, err
	}
	return *c, nil
}

// known returns the grant of a token of any kind, and what the token itself says;
// nil when it is not good.
func (s *Server) known(ctx context.Context, token string) (*grant, Introspection, error) {
	if strings.Count(token, ".") == 2 {
		return s.knownAccess(ctx, token)
	}
	const query = `SELECT ` + grantColumns + `, (SELECT created FROM oauth_refresh WHERE hash = $1) FROM oauth_grant g
		WHERE id = (SELECT grant_id FROM oauth_refresh WHERE hash = $1 AND replaced IS NULL)
		AND revoked IS NULL AND expires > $2 AND EXISTS (SELECT FROM oauth_client c WHERE c.id = g.client AND c.active)`
	var g grant
	var created time.Time
	switch err := g.scanned(s.db.QueryRowContext(ctx, query, hashOf(token), s.now()), &created); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, Introspection{}, nil
	case err != nil:
		return nil, Introspection{}, fmt.Errorf("look for a refresh token: %w", err)
	}
	return &g, Introspection{Scope: g.Scopes, Expires: g.Expires.Unix(), Issued: created.Unix()}, nil
}

// knownAccess is known for access tokens.
func (s *Server) knownAccess(ctx context.Context, token string) (*grant, Introspection, error) {
	c, err := s.readAccess(ctx, token)
	if err != nil || c == nil || c.Expires <= s.now().Unix() {
		return nil, Introspection{}, err
	}
	g, err := s.liveGrant(ctx, c.Grant)
	if err != nil || g == nil || g.Client != c.Client {
		return nil, Introspection{}, err
	}
	return g, Introspection{Scope: c.Scope, Expires: c.Expires, Issued: c.Issued, ID: c.ID, TokenType: "Bearer"}, nil
}

// readAccess returns what an access token of this server says, expired or not; nil
// when it is none.
func (s *Server) readAccess(ctx context.Context, token string) (*accessClaims, error) {
	set, err := s.JWKS(ctx)
	if err != nil {
		return nil, err
	}
	all := func(string, string) ([]jose.JSONWebKey, error) { return set.Keys, nil }
	payload, header, err := bearer.Verify(token, all, []string{accessAlg})
	if err != nil || header.Type != accessType || header.KeyID == "" {
		return nil, nil // what is wrong with it is nobody's business
	}
	var c accessClaims
	if err := json.Unmarshal(payload, &c); err != nil || c.Issuer != s.config.Issuer || c.Audience != s.config.FHIRBase {
		return nil, nil // as above
	}
	return &c, nil
}

// liveGrant returns a grant that is still good, or nil.
func (s *Server) liveGrant(ctx context.Context, id string) (*grant, error) {
	const query = `SELECT ` + grantColumns + ` FROM oauth_grant g WHERE id = $1 AND revoked IS NULL AND expires > $2
		AND EXISTS (SELECT FROM oauth_client c WHERE c.id = g.client AND c.active)`
	var g grant
	switch err := g.scanned(s.db.QueryRowContext(ctx, query, id, s.now())); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read a grant: %w", err)
	}
	return &g, nil
}
