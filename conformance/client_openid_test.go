package conformance_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// TestOpenID signs people in to a relying party that holds the server to OpenID
// Connect.
func TestOpenID(t *testing.T) {
	t.Parallel()
	s := newStation(t)
	const party = "http://127.0.0.1:9/callback" // nobody needs to be there
	secret := secretIn(s.command("client", "add", "--id", "portal", "--name", "Portal", "--redirect", party, "--scope", "openid fhirUser profile launch/patient offline_access user/*.rs patient/*.rs"))
	ctx := t.Context()
	provider, err := oidc.NewProvider(ctx, s.origin)
	if err != nil {
		t.Fatal(err)
	}
	r := &relyingParty{t: t, station: s, provider: provider, config: oauth2.Config{ClientID: "portal", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: party, Scopes: []string{"openid", "fhirUser", "user/Practitioner.rs"}}}
	token, id := r.signIn(ctx, "demo-grace")
	var claims struct {
		FHIRUser string `json:"fhirUser"`
		AuthTime int64  `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if claims.FHIRUser != s.base+"/Practitioner/demo-grace" || claims.AuthTime == 0 || id.Subject == "" || len(id.Audience) != 1 {
		t.Errorf("the ID token says %+v and %+v", id, claims)
	}
	s.expect(200, token.AccessToken, "GET "+strings.TrimPrefix(claims.FHIRUser, s.base+"/"), "")
	if raw, _ := token.Extra("id_token").(string); s.ask(raw, "GET Practitioner/demo-grace", "").status != 401 {
		t.Error("an ID token opens the API")
	}
	// The same person is the same again, another one is another.
	if _, again := r.signIn(ctx, "demo-grace"); again.Subject != id.Subject {
		t.Errorf("demo-grace is %s and then %s", id.Subject, again.Subject)
	}
	r.config.Scopes = []string{"openid", "fhirUser", "offline_access", "launch/patient", "patient/Patient.r"}
	token, other := r.signIn(ctx, "demo-ada")
	if other.Subject == id.Subject {
		t.Errorf("demo-ada and demo-grace are %s", other.Subject)
	}
	s.expect(200, token.AccessToken, "GET Patient/demo-ada", "")
	renewed, err := r.config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || renewed.AccessToken == token.AccessToken {
		t.Fatalf("refreshing: %v", err)
	}
	s.expect(200, renewed.AccessToken, "GET Patient/demo-ada", "")
	s.command("keys", "rotate")
	_, rotated := r.signIn(ctx, "demo-ada")
	if rotated.Subject != other.Subject {
		t.Errorf("after the keys have changed demo-ada is %s", rotated.Subject)
	}
}

// secretIn returns the secret that a command prints.
func secretIn(text string) string {
	_, secret, _ := strings.Cut(text, "secret: ")
	return strings.TrimSpace(secret)
}

// A relyingParty is a web application that has people sign in at the server.
type relyingParty struct {
	t        *testing.T
	station  *station
	provider *oidc.Provider
	config   oauth2.Config
}

// signIn returns what the relying party gets for somebody, once it has checked it.
func (r *relyingParty) signIn(ctx context.Context, name string) (*oauth2.Token, *oidc.IDToken) {
	r.t.Helper()
	const state, nonce = "a state", "a nonce"
	verifier := oauth2.GenerateVerifier()
	v := newVisitor(r.t, r.config.RedirectURL)
	v.open(r.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("aud", r.station.base)))
	v.signIn(name, "demo-password")
	v.press("allow", nil)
	q := v.returned()
	if q.Get("state") != state || q.Get("iss") != r.station.origin {
		r.t.Fatalf("it is sent back with %v", q)
	}
	token, err := r.config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		r.t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := r.provider.Verifier(&oidc.Config{ClientID: r.config.ClientID}).Verify(ctx, raw)
	if err != nil {
		r.t.Fatal(err)
	}
	if id.Nonce != nonce || id.Issuer != r.station.origin {
		r.t.Errorf("the ID token has the nonce %q and the issuer %q", id.Nonce, id.Issuer)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		r.t.Errorf("at_hash: %v", err)
	}
	if id.VerifyAccessToken(token.AccessToken+"x") == nil {
		r.t.Error("at_hash fits another token")
	}
	if _, err := r.config.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		r.t.Error("a code is good twice")
	}
	// Using it twice has ended what it was good for; once more, then.
	v.open(r.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("aud", r.station.base)))
	v.press("allow", nil)
	token, err = r.config.Exchange(ctx, v.returned().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		r.t.Fatal(err)
	}
	return token, id
}
