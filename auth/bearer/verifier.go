package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Config is what a Verifier is made of. A function that is nil says no.
type Config struct {
	// Audiences are the FHIR base URLs that tokens must be for.
	Audiences []string
	// Issuer is the iss of tokens of this server; empty when it issues none.
	Issuer string
	// Keys returns the public keys of this server.
	Keys func(context.Context) (jose.JSONWebKeySet, error)
	// Live reports whether a grant, the claim gid, is still good. It is asked
	// about tokens of this server.
	Live func(ctx context.Context, grant string) (bool, error)
	// Profile returns what is known of who a token names. An error that is an
	// Outcome is for the caller; any other means that it could not be found
	// out.
	Profile func(ctx context.Context, c auth.Claims) (auth.Profile, error)
	// Known reports whether a scope may have a search parameter in it.
	Known func(typ, param string) bool
	// External are the other issuers.
	External []Issuer
	// HTTP is the client that reads keys of other issuers: one of NewClient.
	// Nil is that of the zero Guard.
	HTTP *http.Client
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// A Verifier turns access tokens into grants. It keeps what it found out about
// a token for five seconds, so that a revocation takes effect within them. It
// is safe for concurrent use.
type Verifier struct {
	Config
	sources map[string]*source
	cache   *cache
}

// New returns a Verifier.
func New(c Config) *Verifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HTTP == nil {
		c.HTTP = NewClient(Guard{})
	}
	v := &Verifier{Config: c, sources: map[string]*source{}, cache: newCache()}
	for _, i := range c.External {
		v.sources[i.URL] = &source{Issuer: i, client: c.HTTP, now: c.Now}
	}
	return v
}

// away is the error of not being able to find something out.
type away struct{ err error }

// Error says what it was.
func (a *away) Error() string { return a.err.Error() }

// Unwrap returns the cause.
func (a *away) Unwrap() error { return a.err }

// Request returns what the sender of a request may do. Like [Verifier.Grant],
// but it also refuses a token in the URL, where logs and others would read it.
func (v *Verifier) Request(r *http.Request) (access.Grant, error) {
	// A query that cannot be parsed is taken as it is.
	if q := r.URL.RawQuery; q != "" {
		if _, ok := r.URL.Query()["access_token"]; ok || strings.Contains(q, "access_token=") {
			return access.Grant{}, fhir.Errorf(fhir.Unauthorized, fhir.Security, "", "Send the access token in the Authorization header. Have this one revoked, since addresses are written to logs.")
		}
	}
	return v.Grant(r.Context(), r.Header.Values("Authorization"))
}

// Grant returns what the sender of a request with these Authorization headers
// may do. The error is an Outcome of class Unauthorized without exactly one
// good bearer token, and one of class Unavailable, with the cause in its chain,
// when that cannot be found out. Its code is login when there is no token at
// all, else security.
func (v *Verifier) Grant(ctx context.Context, authorization []string) (access.Grant, error) {
	text, err := tokenIn(authorization)
	if err != nil {
		return access.Grant{}, err
	}
	return v.cache.get(ctx, text, v.Now, v.judge)
}

// Forget has what is known of tokens of a grant found out anew.
func (v *Verifier) Forget(grant string) { v.cache.forget(grant) }

// tokenIn returns the bearer token in Authorization headers.
// https://www.rfc-editor.org/rfc/rfc6750.html#section-2.1
func tokenIn(authorization []string) (string, error) {
	switch len(authorization) {
	case 0:
		return "", fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Sign in: send an access token as Authorization: Bearer, followed by the token.")
	case 1:
	default:
		return "", fhir.Errorf(fhir.Unauthorized, fhir.Security, "", "Send one Authorization header, not several.")
	}
	scheme, text, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Send an access token as Authorization: Bearer, followed by the token; no other scheme is understood.")
	}
	other := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}
	if text == "" || len(text) > maxToken || strings.ContainsFunc(text, other) {
		return "", refused(errors.New("it is not one JWT"))
	}
	return text, nil
}

// refused returns the Outcome for a token that is not accepted. The texts of
// reasons are those of this package and repeat nothing of the token.
func refused(reason error) *fhir.Outcome {
	if errors.Is(reason, errExpired) {
		return fhir.Errorf(fhir.Unauthorized, fhir.Security, "", "The access token has expired. Get a new one.")
	}
	return fhir.Errorf(fhir.Unauthorized, fhir.Security, "", "The access token is not accepted: %s. Get another one from an authorization server of this server.", reason)
}

// unavailable returns the error of not being able to find out whether a token
// is good.
func unavailable(doing string, cause error) error {
	o := fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "Whether the access token is good cannot be found out now, and nothing was stored. Try again later.")
	o.Issues[0].Detail = "not-stored"
	return fmt.Errorf("%s: %w: %w", doing, o, cause)
}

// judge finds out about a token, and until when that is good at most.
func (v *Verifier) judge(ctx context.Context, text string) (verdict, error) {
	claims, err := v.verified(ctx, text)
	if a, ok := errors.AsType[*away](err); ok {
		return verdict{}, unavailable("verify an access token", a.err)
	}
	if err != nil {
		return verdict{}, refused(err)
	}
	if err := v.alive(ctx, claims); err != nil {
		return verdict{}, err
	}
	g, err := v.grant(ctx, claims)
	return verdict{grant: g, id: claims.Grant, expires: claims.Expires}, err
}

// verified returns what a token says, once it is known to be good in itself.
func (v *Verifier) verified(ctx context.Context, text string) (auth.Claims, error) {
	t, err := parse(text)
	if err != nil {
		return auth.Claims{}, err
	}
	if t.header.URL != "" {
		return auth.Claims{}, errors.New("the header names a jku")
	}
	f, err := DecodeFields(t.payload)
	if err != nil {
		return auth.Claims{}, err
	}
	iss, err := f.Text("iss")
	if err != nil {
		return auth.Claims{}, err
	}
	if v.Issuer != "" && iss == v.Issuer {
		if err := t.verify(v.ownKeys(ctx), []string{"ES256"}, checkSignature); err != nil {
			return auth.Claims{}, err
		}
		return ownClaims(t.header, f, v.Audiences, v.Now())
	}
	s, ok := v.sources[iss]
	if !ok || iss == "" {
		return auth.Claims{}, errors.New("its issuer is not known here (iss)")
	}
	if err := s.verify(ctx, t); err != nil {
		return auth.Claims{}, err
	}
	return s.claims(t.header, f, v.Audiences, v.Now())
}

// ownKeys returns how to find a key of this server. A token of ours always
// names one.
func (v *Verifier) ownKeys(ctx context.Context) func(kid, alg string) ([]jose.JSONWebKey, error) {
	return func(kid, _ string) ([]jose.JSONWebKey, error) {
		if v.Keys == nil || kid == "" {
			return nil, ErrNoKey
		}
		set, err := v.Keys(ctx)
		if err != nil {
			return nil, &away{err}
		}
		return set.Keys, nil
	}
}

// alive returns an error unless the grant of a token of this server is good.
func (v *Verifier) alive(ctx context.Context, c auth.Claims) error {
	if !c.OwnIssuer {
		return nil
	}
	if v.Live == nil {
		return refused(errRevoked)
	}
	live, err := v.Live(ctx, c.Grant)
	if err != nil {
		return unavailable("ask whether a grant is live", err)
	}
	if !live {
		return refused(errRevoked)
	}
	return nil
}

var errRevoked = errors.New("what it was issued for has been revoked")

// grant returns what the holder of a good token may do.
func (v *Verifier) grant(ctx context.Context, c auth.Claims) (access.Grant, error) {
	if v.Profile == nil {
		return access.Grant{}, refused(errors.New("nobody is known here"))
	}
	p, err := v.Profile(ctx, c)
	if o := fhir.AsOutcome(err); o != nil {
		return access.Grant{}, err
	}
	if err != nil {
		return access.Grant{}, unavailable("look up who an access token names", err)
	}
	known := v.Known
	if known == nil {
		known = func(string, string) bool { return false }
	}
	scopes, _ := auth.ParseScopes(c.Scope, known)
	terms, err := auth.TermsOf(c, p, scopes)
	if err != nil {
		return access.Grant{}, fmt.Errorf("find out what a token grants: %w", err)
	}
	return access.NewGrant(terms), nil
}
