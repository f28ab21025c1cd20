package login

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/openconsult/openconsult/fhir"
)

// awayFor is how long somebody may take to sign in at a provider.
const awayFor = 10 * time.Minute

// Depart returns the address of the provider to send a browser to. The cookie
// browser is a secret of that browser, so that nobody else can come back in its
// place; back comes back from Arrive. An unknown provider is an Outcome of class
// Unknown, one that does not answer one of class Unavailable; when too many have
// left and not come back, it is one of class Busy.
// https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
func (l *Login) Depart(ctx context.Context, provider, browser, back string) (address string, err error) {
	u := l.providers[provider]
	if u == nil {
		return "", fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such way to sign in.")
	}
	remote, err := u.discovered(ctx)
	if err != nil {
		return "", unanswered(u, err)
	}
	state, nonce, verifier := Secret(), Secret(), oauth2.GenerateVerifier()
	// Anybody may leave, so those who never came back are removed here too.
	const depart = `WITH lost AS (DELETE FROM login_upstream WHERE began < $8)
		INSERT INTO login_upstream (state, browser, provider, nonce, verifier, back, began)
		SELECT $1::bytea, $2::bytea, $3, $4, $5, $6, $7::timestamptz
		WHERE (SELECT count(*) FROM (SELECT FROM login_upstream WHERE began >= $8 LIMIT $9) AS away) < $9`
	now := l.now()
	done, err := l.db.ExecContext(ctx, depart, digest(state), digest(browser), provider, nonce, verifier, back, now, now.Add(-awayFor), maxAway)
	switch err := changed(done, err); {
	case errors.Is(err, sql.ErrNoRows):
		return "", fhir.Errorf(fhir.Busy, fhir.Throttled, "", "Too many people are signing in. Wait a minute and try again.")
	case err != nil:
		return "", fmt.Errorf("note who leaves for %s: %w", provider, err)
	}
	return u.departure(remote, state, nonce, verifier)
}

// A trip is a browser that has left for a provider.
type trip struct{ nonce, verifier, back string }

// Arrive takes what a provider has sent a browser back with, once, and returns
// the proof of who it is and what Depart was given as back. The proof speaks for
// the one Patient or Practitioner that has the identifier; for nobody, with a
// reason, if that is not certain. Who did not leave from this browser, said no, or
// comes with something forged gets an Outcome of class Unauthorized; no answer from
// the provider is one of class Unavailable.
func (l *Login) Arrive(ctx context.Context, provider, browser string, query url.Values) (p Proof, back string, err error) {
	u := l.providers[provider]
	if u == nil {
		return p, "", fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such way to sign in.")
	}
	t, err := l.returned(ctx, provider, browser, query.Get("state"))
	if err != nil {
		return p, "", err
	}
	if iss := query["iss"]; query.Get("error") != "" || len(query["code"]) != 1 || iss != nil && (len(iss) != 1 || iss[0] != u.Issuer) {
		return p, t.back, notSigned("%s did not sign you in. Try again, or choose another way.", u.Label())
	}
	who, err := l.ask(ctx, u, query.Get("code"), t)
	if err != nil {
		return p, t.back, err
	}
	p, err = l.recognise(ctx, u, who)
	return p, t.back, err
}

func notSigned(format string, args ...any) error {
	return fhir.Errorf(fhir.Unauthorized, fhir.Login, "", format, args...)
}

func unanswered(u *upstream, err error) error {
	return errors.Join(fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "%s does not answer. Try again later, or choose another way.", u.Label()), err)
}

// returned uses up the note of a browser that has left.
func (l *Login) returned(ctx context.Context, provider, browser, state string) (t trip, err error) {
	const use = `DELETE FROM login_upstream WHERE state = $1 AND provider = $2 AND began > $3 RETURNING browser, nonce, verifier, back`
	var left []byte
	err = l.db.QueryRowContext(ctx, use, digest(state), provider, l.now().Add(-awayFor)).Scan(&left, &t.nonce, &t.verifier, &t.back)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return trip{}, fmt.Errorf("read who left for %s: %w", provider, err)
	case err != nil || browser == "" || subtle.ConstantTimeCompare(left, digest(browser)) != 1:
		return trip{}, notSigned("This way back was used before, is too old or belongs to another browser. Start again.")
	}
	return t, nil
}

// Claims that a provider makes about a person.
type claims struct {
	subject    string
	acr, vot   string
	methods    []string
	identifier string
	name       string
}

// ask redeems a code and returns what the provider says.
func (l *Login) ask(ctx context.Context, u *upstream, code string, t trip) (claims, error) {
	ctx = oidc.ClientContext(ctx, u.client)
	remote, err := u.discovered(ctx)
	if err != nil {
		return claims{}, unanswered(u, err)
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(t.verifier)}
	if u.Key.Key != nil {
		assertion, err := l.assertion(u, remote.Endpoint().TokenURL)
		if err != nil {
			return claims{}, err
		}
		options = append(options,
			oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
			oauth2.SetAuthURLParam("client_assertion", assertion))
	}
	token, err := u.oauth(remote).Exchange(ctx, code, options...)
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < 500 {
		return claims{}, errors.Join(notSigned("%s did not sign you in. Try again, or choose another way.", u.Label()), err)
	}
	if err != nil {
		return claims{}, unanswered(u, fmt.Errorf("redeem a code at %s: %w", u.Name, err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := remote.VerifierContext(ctx, &oidc.Config{ClientID: u.ClientID, Now: l.config.Now}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.nonce)) != 1 || text(id.Subject) == "" {
		return claims{}, errors.Join(notSigned("What %s says of you cannot be trusted. Try again, or choose another way.", u.Label()), err)
	}
	said := map[string]any{}
	if err := id.Claims(&said); err != nil {
		return claims{}, fmt.Errorf("read the ID token of %s: %w", u.Name, err)
	}
	c := claims{subject: id.Subject, acr: text(said["acr"]), vot: text(said["vot"]), methods: texts(said["amr"]), identifier: text(said[u.Claim]), name: text(said["name"])}
	if c.identifier == "" && remote.UserInfoEndpoint() != "" {
		return u.more(ctx, remote, token, c)
	}
	return c, nil
}

// more completes what the ID token leaves out by the userinfo, which must be
// about the same person.
func (u *upstream) more(ctx context.Context, remote *oidc.Provider, token *oauth2.Token, c claims) (claims, error) {
	info, err := remote.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return claims{}, unanswered(u, fmt.Errorf("read the userinfo of %s: %w", u.Name, err))
	}
	said := map[string]any{}
	if err := info.Claims(&said); err != nil {
		return claims{}, fmt.Errorf("read the userinfo of %s: %w", u.Name, err)
	}
	if info.Subject != c.subject {
		return claims{}, notSigned("What %s says of you cannot be trusted. Try again, or choose another way.", u.Label())
	}
	c.identifier = text(said[u.Claim])
	if c.name == "" {
		c.name = text(said["name"])
	}
	return c, nil
}

// text returns a claim that is a text which can be looked up, "" for any other.
func text(v any) string {
	if s, ok := v.(string); ok && fhir.Storable(s) {
		return s
	}
	return ""
}

func texts(v any) []string {
	list, _ := v.([]any)
	all := []string{}
	for _, v := range list {
		if s := text(v); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// assertion returns a private_key_jwt for the token endpoint at audience.
// https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
func (l *Login) assertion(u *upstream, audience string) (string, error) {
	now := l.now()
	body, err := json.Marshal(map[string]any{"iss": u.ClientID, "sub": u.ClientID, "aud": audience, "jti": Secret(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	if err != nil {
		return "", fmt.Errorf("write an assertion: %w", err)
	}
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(u.Key.Algorithm), Key: u.Key}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("sign in as a client at %s: %w", u.Name, err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("sign in as a client at %s: %w", u.Name, err)
	}
	return signed.CompactSerialize()
}
