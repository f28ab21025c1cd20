package bearer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
)

const (
	// ownLife is how long an access token of ours lives at most, otherLife one
	// of others.
	ownLife, otherLife = 10 * time.Minute, 2 * time.Hour
	// ownSkew is how far the clocks of our own servers may be apart, otherSkew
	// those of others and ours.
	ownSkew, otherSkew = 5 * time.Second, 30 * time.Second
)

// A reader takes claims out of the members of a token, and keeps the first
// error.
type reader struct {
	Fields
	err error
}

// fail keeps err, unless there is one already.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// text returns a claim that is a string. It must be there if needed is true.
func (r *reader) text(name string, needed bool) string {
	s, err := r.Text(name)
	if err == nil && s == "" && needed {
		err = fmt.Errorf("it has no %s", name)
	}
	r.fail(err)
	return s
}

// texts returns a claim that is a string or an array of strings.
func (r *reader) texts(name string) []string {
	list, err := r.Texts(name)
	r.fail(err)
	return list
}

// id returns a claim that is the id of a resource of a type, or "Type/id".
func (r *reader) id(name, typ string) string {
	id := strings.TrimPrefix(r.text(name, false), typ+"/")
	if id != "" && !fhir.ValidID(id) {
		r.fail(fmt.Errorf("%s is not the id of a resource", name))
		return ""
	}
	return id
}

// at returns the value that a path of Mapping leads to: nil when there is none.
func (f Fields) at(paths string) any {
	for _, path := range strings.Fields(paths) {
		if v := f.along(path); v != nil {
			return v
		}
	}
	return nil
}

// along follows one path.
func (f Fields) along(path string) any {
	// Some names of claims are URLs.
	if v, ok := f[path]; ok {
		return v
	}
	name, rest, deeper := strings.Cut(path, ".")
	inner, ok := f[name].(Fields)
	if !deeper || !ok {
		return nil
	}
	return inner.along(rest)
}

// claims reads what every access token has: who issued it, for whom, and when.
func (r *reader) claims() auth.Claims {
	c := auth.Claims{
		Issuer:   r.text("iss", true),
		Subject:  r.text("sub", true),
		Audience: r.texts("aud"),
	}
	r.text("jti", false) // is text, if it is there
	var errExpires, errIssued error
	c.Expires, errExpires = r.Time("exp")
	c.Issued, errIssued = r.Time("iat")
	r.fail(errors.Join(errExpires, errIssued))
	return c
}

// checkTimes returns an error unless a token with the claims c is good at now.
func (r *reader) checkTimes(c auth.Claims, now time.Time, skew, life time.Duration) error {
	after, err := r.Time("nbf")
	switch {
	case err != nil:
		return err
	case c.Expires.IsZero() || c.Issued.IsZero():
		return errors.New("it does not say when it was issued and when it expires (iat, exp)")
	case !now.Before(c.Expires.Add(skew)):
		return errExpired
	case c.Issued.After(now.Add(skew)) || after.After(now.Add(skew)):
		return errors.New("it is good only later (iat, nbf); the clock of the server may be slow")
	case c.Expires.Sub(c.Issued) > life+skew:
		return fmt.Errorf("it is good for longer than %.0f minutes", life.Minutes())
	}
	return nil
}

// errExpired is the most frequent reason to refuse a token.
var errExpired = errors.New("it has expired")

// registered returns the names of claims that count, whatever the issuer.
func registered() []string {
	return []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "scope", "typ", "nonce", "at_hash", "c_hash", "s_hash", "gid", "patient", "encounter", "fhirUser", "org", "cnf"}
}

// ownClaims reads an access token of this server, which [auth/oauth] writes.
// https://www.rfc-editor.org/rfc/rfc9068.html#section-2.2
func ownClaims(h Header, f Fields, audiences []string, now time.Time) (auth.Claims, error) {
	if h.Type != "at+jwt" {
		return auth.Claims{}, errType
	}
	r := &reader{Fields: f}
	r.fail(f.Spelled(registered()...))
	c := r.claims()
	c.OwnIssuer = true
	c.Client = r.text("client_id", true)
	c.Grant = r.text("gid", true)
	r.text("jti", true)
	c.Scope = r.text("scope", false)
	c.Patient = r.id("patient", "Patient")
	r.id("encounter", "Encounter") // is for the app; here it only has to be one
	c.FHIRUser = r.text("fhirUser", false)
	c.Organizations = r.texts("org")
	switch {
	case r.err != nil:
		return auth.Claims{}, r.err
	case len(c.Audience) != 1 || !slices.Contains(audiences, c.Audience[0]):
		return auth.Claims{}, errAudience
	case f["cnf"] != nil:
		return auth.Claims{}, errBound
	}
	return c, r.checkTimes(c, now, ownSkew, ownLife)
}

var (
	errType     = errors.New("it is not an access token (typ)")
	errIDToken  = errors.New("it is an id_token, not an access token")
	errAudience = errors.New("it is for another server (aud)")
	errBound    = errors.New("it is bound to a key (cnf), whose possession is not checked here")
)

// claims reads an access token of s.
func (s Issuer) claims(h Header, f Fields, audiences []string, now time.Time) (auth.Claims, error) {
	if !s.isAccessToken(h) {
		return auth.Claims{}, errType
	}
	m := s.Claims.filled()
	r := &reader{Fields: f}
	r.fail(f.Spelled(append(registered(), m.names()...)...))
	c := r.claims()
	// What is mapped is read like the rest, under names of its own.
	mapped := &reader{Fields: m.apply(f)}
	c.Client = mapped.text("client", true)
	c.Scope = strings.Join(mapped.texts("scope"), " ")
	c.Patient = mapped.id("patient", "Patient")
	c.FHIRUser = mapped.text("fhirUser", false)
	c.Organizations = mapped.texts("organizations")
	r.fail(mapped.err)
	if s.Audience != "" {
		audiences = []string{s.Audience}
	}
	switch {
	case r.err != nil:
		return auth.Claims{}, r.err
	case f.isIDToken(c):
		return auth.Claims{}, errIDToken
	case !s.isFor(c.Audience, audiences):
		return auth.Claims{}, errAudience
	case f["cnf"] != nil:
		return auth.Claims{}, errBound
	}
	return c, r.checkTimes(c, now, otherSkew, otherLife)
}

// isAccessToken reports whether a header is one of access tokens of s.
func (s Issuer) isAccessToken(h Header) bool {
	want := s.Type
	if want == "" {
		want = "at+jwt"
	}
	return strings.EqualFold(strings.TrimPrefix(h.Type, "application/"), want)
}

// isFor reports whether audience is one of accepted, and no other unless s
// shares.
func (s Issuer) isFor(audience, accepted []string) bool {
	ours := func(a string) bool { return slices.Contains(accepted, a) }
	return slices.ContainsFunc(audience, ours) && (len(audience) == 1 || s.SharedAudience)
}

// isIDToken reports whether f is what an id_token, or a refresh or logout
// token, says: it answers to a nonce or hashes, it is for the client itself, or
// it says what it is, as Keycloak does in the claim typ ("Bearer", "ID").
// https://openid.net/specs/openid-connect-core-1_0.html#IDToken
func (f Fields) isIDToken(c auth.Claims) bool {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, ok := f[name]; ok {
			return true
		}
	}
	if typ, ok := f["typ"]; ok && typ != "Bearer" {
		return true
	}
	azp, _ := f["azp"].(string)
	return slices.Contains(c.Audience, c.Client) || azp != "" && slices.Contains(c.Audience, azp)
}

// filled returns m with what its empty paths stand for.
func (m Mapping) filled() Mapping {
	for path, unsaid := range map[*string]string{
		&m.Scope: "scope", &m.Patient: "patient context.patient",
		&m.FHIRUser: "fhirUser", &m.Client: "client_id azp",
	} {
		if *path == "" {
			*path = unsaid
		}
	}
	return m
}

// names returns the names of members that the paths of m begin with.
func (m Mapping) names() []string {
	var names []string
	for _, paths := range []string{m.Scope, m.Patient, m.FHIRUser, m.Client, m.Organizations} {
		for _, path := range strings.Fields(paths) {
			name, _, _ := strings.Cut(path, ".")
			names = append(names, path, name)
		}
	}
	return names
}

// apply returns what the paths of m lead to in f, under the names of the fields
// of m.
func (m Mapping) apply(f Fields) Fields {
	mapped := Fields{}
	for name, paths := range map[string]string{
		"scope": m.Scope, "patient": m.Patient, "fhirUser": m.FHIRUser,
		"client": m.Client, "organizations": m.Organizations,
	} {
		if v := f.at(paths); v != nil {
			mapped[name] = v
		}
	}
	return mapped
}
