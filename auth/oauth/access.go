package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

const (
	userLife    = 10 * time.Minute // of an access token with a user, and the most
	backendLife = 5 * time.Minute  // and of one without
)

// accessType is what the header of an access token calls it, so that no other
// token is taken for one. https://www.rfc-editor.org/rfc/rfc9068#section-2.1
const accessType = "at+jwt"

// accessClaims are what an access token says.
type accessClaims struct {
	Issuer        string   `json:"iss"`
	Audience      string   `json:"aud"`
	Subject       string   `json:"sub"`
	Client        string   `json:"client_id"`
	Scope         string   `json:"scope"`
	Expires       int64    `json:"exp"`
	Issued        int64    `json:"iat"`
	ID            string   `json:"jti"`
	Grant         string   `json:"gid"`
	Patient       string   `json:"patient,omitempty"`
	Encounter     string   `json:"encounter,omitempty"`
	FHIRUser      string   `json:"fhirUser,omitempty"` // relative
	Organizations []string `json:"org,omitempty"`
}

// identityClaims are what an identity token says.
// https://openid.net/specs/openid-connect-core-1_0.html#IDToken
type identityClaims struct {
	Issuer     string `json:"iss"`
	Subject    string `json:"sub"`
	Audience   string `json:"aud"`
	Expires    int64  `json:"exp"`
	Issued     int64  `json:"iat"`
	AuthTime   int64  `json:"auth_time,omitempty"`
	Nonce      string `json:"nonce,omitempty"`
	ACR        string `json:"acr,omitempty"`
	FHIRUser   string `json:"fhirUser,omitempty"` // absolute
	AccessHash string `json:"at_hash"`
}

// lifeFor returns how long access tokens of a client live, with a user or
// without.
func (c Client) lifeFor(user bool) time.Duration {
	switch {
	case c.AccessMinutes > 0:
		return time.Duration(c.AccessMinutes) * time.Minute
	case user:
		return userLife
	}
	return backendLife
}

// subject returns whom a token is about: an account, or the client itself.
func (g *grant) subject() string {
	if g.Account != "" {
		return g.Account
	}
	return g.Client
}

// accessToken returns an access token of g with some scopes, until a time.
func (s *Server) accessToken(ctx context.Context, g *grant, scopes string, until time.Time) (string, error) {
	return s.sign(ctx, accessAlg, accessType, accessClaims{
		Issuer: s.config.Issuer, Audience: g.Context.Audience, Subject: g.subject(), Client: g.Client, Scope: scopes,
		Expires: until.Unix(), Issued: s.now().Unix(), ID: newID(), Grant: g.ID,
		Patient: g.Context.Patient, Encounter: g.Context.Encounter, FHIRUser: g.Context.fhirUser(), Organizations: g.Organizations,
	})
}

// identityToken returns an identity token beside an access token.
func (s *Server) identityToken(ctx context.Context, g *grant, nonce string, with TokenResponse) (string, error) {
	c := identityClaims{
		Issuer: s.config.Issuer, Subject: g.subject(), Audience: g.Client, Nonce: nonce, AuthTime: g.Context.AuthTime, ACR: g.Context.ACR,
		Expires: s.now().Add(time.Duration(with.ExpiresIn) * time.Second).Unix(), Issued: s.now().Unix(),
	}
	sum := sha256.Sum256([]byte(with.AccessToken))
	c.AccessHash = base64.RawURLEncoding.EncodeToString(sum[:16])
	if scopes := s.scopes(with.Scope); scopes.FHIRUser && g.Context.fhirUser() != "" {
		c.FHIRUser = s.config.FHIRBase + "/" + g.Context.fhirUser()
	}
	return s.sign(ctx, identityAlg, "JWT", c)
}

// answer returns an access token of g with some scopes, and the context that goes
// with it.
func (s *Server) answer(ctx context.Context, c Client, g *grant, scopes string) (TokenResponse, error) {
	now := s.now()
	until := now.Add(c.lifeFor(g.Account != ""))
	if until.After(g.Expires) {
		until = g.Expires
	}
	token, err := s.accessToken(ctx, g, scopes, until)
	if err != nil {
		return TokenResponse{}, err
	}
	t := TokenResponse{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: int(until.Sub(now).Round(time.Second) / time.Second), Scope: scopes,
		Patient: g.Context.Patient, Encounter: g.Context.Encounter, FHIRContext: g.Context.Items, NeedBanner: g.Context.Banner, Intent: g.Context.Intent,
		Client: g.Client, Grant: g.ID,
	}
	if g.Account != "" {
		t.StyleURL = s.config.Issuer + StylePath
	}
	return t, nil
}
