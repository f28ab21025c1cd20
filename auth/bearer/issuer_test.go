package bearer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/openconsult/openconsult/fhir"
)

// keycloak is a published issuer with the shapes of Keycloak.
type keycloak struct {
	*published
	*world
}

func newKeycloak(t *testing.T) *keycloak {
	t.Helper()
	k := &keycloak{published: newPublished(t), world: newWorld()}
	k.publish("/.well-known/openid-configuration", k.discovery("/keys", k.URL, `["RS256","ES256","PS256","HS256"]`))
	k.publish("/keys", testKeysJSON(t))
	return k
}

func (k *keycloak) discovery(jwks, issuer, algs string) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":"https://x/a","token_endpoint":"https://x/t","response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":%s}`, issuer, k.URL+jwks, algs)
}

// verifier returns one that accepts tokens of k, with the setting changed.
func (k *keycloak) verifier(change func(*Issuer)) *Verifier {
	i := Issuer{URL: k.URL, Type: "JWT"}
	if change != nil {
		change(&i)
	}
	c := k.world.config()
	c.External, c.HTTP = []Issuer{i}, NewClient(Guard{AllowLoopback: true})
	return New(c)
}

// token returns an access token as Keycloak writes them, with other claims.
func (k *keycloak) token(t *testing.T, with map[string]any) string {
	t.Helper()
	return k.signed(t, `{"alg":"RS256","typ":"JWT","kid":"r1"}`, with)
}

func (k *keycloak) signed(t *testing.T, header string, with map[string]any) string {
	t.Helper()
	now := k.now().Unix()
	return sign(t, header, asJSON(t, map[string]any{
		"iss": k.URL, "aud": testBase, "sub": "f3a1", "typ": "Bearer", "azp": "app", "sid": "s1", "acr": "1", "jti": "onrtac:1",
		"iat": now, "exp": now + 300, "scope": "openid user/Patient.rs", "fhirUser": "Practitioner/p1",
	}, with), jwt.SigningMethodRS256, testRSAKey())
}

func TestExternal(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	accepts(t, k.verifier(nil), k.token(t, map[string]any{"patient": "Patient/7"}))
	c := k.seen()
	if c.Issuer != k.URL || c.Client != "app" || c.Subject != "f3a1" || c.OwnIssuer || c.Grant != "" || c.Patient != "7" || c.FHIRUser != "Practitioner/p1" || c.Scope != "openid user/Patient.rs" {
		t.Errorf("claims %+v", c)
	}
	accepts(t, k.verifier(nil), sign(t, `{"alg":"ES256","typ":"JWT","kid":"k1"}`, asJSON(t, map[string]any{
		"iss": k.URL, "aud": []string{testBase}, "sub": "x", "client_id": "app", "iat": k.now().Unix(), "exp": k.now().Unix() + 300, "scope": "user/Patient.rs",
	}, nil), jwt.SigningMethodES256, testECKey()))
}

// TestExternalMapping finds claims where an issuer has them.
func TestExternalMapping(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	for _, tt := range []struct {
		name   string
		claims Mapping
		with   map[string]any
		want   string // patient, client, scope, organisations
	}{
		{"scope as an array", Mapping{}, map[string]any{"scope": []string{"user/Patient.rs", "openid"}}, " app user/Patient.rs openid []"},
		{"patient in context", Mapping{}, map[string]any{"context": map[string]any{"patient": "7"}}, "7 app openid user/Patient.rs []"},
		{"client_id before azp", Mapping{}, map[string]any{"client_id": "app2"}, " app2 openid user/Patient.rs []"},
		{"other names", Mapping{Patient: "ehr.pid", Client: "cid", Scope: "scp", Organizations: "orgs"}, map[string]any{"ehr": map[string]any{"pid": "8"}, "cid": "c", "scp": "user/Patient.rs", "orgs": []string{"o1"}}, "8 c user/Patient.rs [o1]"},
		{"a URL", Mapping{Patient: "https://example.org/claims/patient.id"}, map[string]any{"https://example.org/claims/patient.id": "9"}, "9 app openid user/Patient.rs []"},
		{"the first that is there", Mapping{Organizations: "a.b c"}, map[string]any{"a": "x", "c": "o2"}, " app openid user/Patient.rs [o2]"},
	} {
		v := k.verifier(func(i *Issuer) { i.Claims = tt.claims })
		accepts(t, v, k.token(t, tt.with))
		c := k.seen()
		if got := fmt.Sprintf("%s %s %s %v", c.Patient, c.Client, c.Scope, c.Organizations); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	v := k.verifier(func(i *Issuer) { i.Claims = Mapping{Patient: "ehr.pid", Client: "cid"} })
	refuses(t, v, k.token(t, map[string]any{"cid": nil}))
	refuses(t, v, k.token(t, map[string]any{"cid": "c", "ehr": map[string]any{"pid": 8}}))
	refuses(t, v, k.token(t, map[string]any{"cid": "c", "EHR": map[string]any{"pid": "8"}}))
}

// TestC3IDToken sends id_tokens and others of an issuer whose typ tells
// nothing.
func TestC3IDToken(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	v := k.verifier(func(i *Issuer) { i.SharedAudience = true })
	accepts(t, v, k.token(t, nil))
	accepts(t, v, k.token(t, map[string]any{"typ": nil}))
	for _, with := range []map[string]any{
		{"typ": "ID"}, {"typ": "Refresh"}, {"typ": "Offline"}, {"typ": "Logout"}, {"typ": "bearer"}, {"typ": 1},
		{"nonce": "n"}, {"at_hash": "x"}, {"c_hash": "x"}, {"s_hash": "x"}, {"events": map[string]any{}},
		{"aud": "app"}, {"aud": []string{testBase, "app"}}, {"azp": testBase}, {"client_id": testBase}, {"client_id": "x", "aud": []string{testBase, "app"}},
		{"azp": nil}, {"sub": nil}, {"iat": nil}, {"exp": nil}, {"aud": nil}, {"iss": nil}, {"Nonce": "n"},
	} {
		refuses(t, v, k.token(t, with))
	}
	// Of an issuer that says at+jwt, nothing else is one.
	strict := k.verifier(func(i *Issuer) { i.Type = "" })
	accepts(t, strict, k.signed(t, `{"alg":"RS256","typ":"at+jwt","kid":"r1"}`, nil))
	accepts(t, strict, k.signed(t, `{"alg":"RS256","typ":"application/at+JWT","kid":"r1"}`, nil))
	refuses(t, strict, k.signed(t, `{"alg":"RS256","typ":"JWT","kid":"r1"}`, nil))
	refuses(t, strict, k.signed(t, `{"alg":"RS256","kid":"r1"}`, nil))
	refuses(t, v, k.signed(t, `{"alg":"RS256","kid":"r1"}`, nil))
}

func TestC4ExternalAudience(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	for _, tt := range []struct {
		change func(*Issuer)
		aud    any
		ok     bool
	}{
		{nil, testBase, true},
		{nil, []string{testBase}, true},
		{nil, []string{testBase, "account"}, false},
		{nil, "account", false},
		{func(i *Issuer) { i.SharedAudience = true }, []string{"account", testBase}, true},
		{func(i *Issuer) { i.SharedAudience = true }, []string{"account", testBase + "/x"}, false},
		{func(i *Issuer) { i.Audience = "fhir-api" }, "fhir-api", true},
		{func(i *Issuer) { i.Audience = "fhir-api" }, testBase, false},
		{func(i *Issuer) { i.Audience = "fhir-api" }, "fhir-api2", false},
	} {
		_, err := grant(t, k.verifier(tt.change), k.token(t, map[string]any{"aud": tt.aud}))
		if (err == nil) != tt.ok {
			t.Errorf("audience %v: %v", tt.aud, err)
		}
	}
}

func TestC7ExternalTimes(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	v := k.verifier(nil)
	now := k.now().Unix()
	for _, tt := range []struct {
		iat, exp int64
		ok       bool
	}{
		{now, now + 7200, true}, {now, now + 7200 + 31, false}, {now + 30, now + 300, true}, {now + 31, now + 300, false}, {now - 300, now - 29, true}, {now - 300, now - 30, false},
	} {
		if _, err := grant(t, v, k.token(t, map[string]any{"iat": tt.iat, "exp": tt.exp})); (err == nil) != tt.ok {
			t.Errorf("from %d to %d: %v", tt.iat-now, tt.exp-now, err)
		}
	}
}

// TestC1ExternalAlgorithms takes those that the issuer says and we accept.
func TestC1ExternalAlgorithms(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	token := k.token(t, nil)
	for algs, ok := range map[string]bool{`["RS256"]`: true, `null`: true, `["ES256"]`: false, `["HS256","none"]`: false, `[]`: false} {
		k.publish("/.well-known/openid-configuration", k.discovery("/keys", k.URL, algs))
		if _, err := grant(t, k.verifier(nil), token); (err == nil) != ok {
			t.Errorf("algorithms %s: %v", algs, err)
		}
	}
	rs512 := sign(t, `{"alg":"RS512","typ":"JWT","kid":"r1"}`, asJSON(t, map[string]any{"iss": k.URL}, nil), jwt.SigningMethodRS512, testRSAKey())
	k.publish("/.well-known/openid-configuration", k.discovery("/keys", k.URL, `["RS256","RS512"]`))
	refuses(t, k.verifier(nil), rs512)
}

// TestTrustedIssuers sends tokens of issuers that are not known, and with keys
// of one as if they were of another.
func TestTrustedIssuers(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	v := k.verifier(nil)
	before := k.published.asked.Load()
	for _, iss := range []string{k.URL + "/", strings.ToUpper(k.URL), "https://evil.example", ""} {
		refuses(t, v, k.token(t, map[string]any{"iss": iss}))
	}
	if k.published.asked.Load() != before {
		t.Error("an issuer is asked about a token that is not of it")
	}
	// The issuer has the same keys as this server here, but may not sign for
	// it.
	refuses(t, v, k.token(t, map[string]any{"iss": testIssuer, "gid": "g1", "client_id": "app"}))
	accepts(t, v, k.token(t, nil))
}

// TestC5Verifier sends a hundred tokens with kids that there are not, as the
// trap of the library has it.
func TestC5Verifier(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	v := k.verifier(nil)
	accepts(t, v, k.token(t, nil))
	k.advance(2 * time.Minute)
	before := k.published.asked.Load()
	for i := range 100 {
		refuses(t, v, k.signed(t, fmt.Sprintf(`{"alg":"RS256","typ":"JWT","kid":"junk%d"}`, i), nil))
	}
	if n := k.published.asked.Load() - before; n != 1 {
		t.Errorf("%d requests for a hundred unknown kids", n)
	}
	accepts(t, v, k.token(t, nil))
}

// TestIssuerAway has the issuer not answer, or say that it is another one.
func TestIssuerAway(t *testing.T) {
	t.Parallel()
	const secret = "what the issuer answered"
	for name, answer := range map[string]func(*keycloak) string{
		"no JSON":        func(*keycloak) string { return secret },
		"another issuer": func(k *keycloak) string { return k.discovery("/keys", "https://evil.example", `["RS256"]`) },
		"no keys":        func(k *keycloak) string { return k.discovery("/none", k.URL, `["RS256"]`) },
		"no jwks_uri":    func(k *keycloak) string { return fmt.Sprintf(`{"issuer":%q}`, k.URL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeycloak(t)
			v := k.verifier(nil)
			good := k.discovery("/keys", k.URL, `["RS256"]`)
			k.publish("/.well-known/openid-configuration", answer(k))
			for i := range 10 {
				_, err := grant(t, v, k.token(t, map[string]any{"jti": fmt.Sprint(i)}))
				if class(t, err) != fhir.Unavailable || strings.Contains(fhir.AsOutcome(err).Error(), secret) {
					t.Errorf("error %v", err)
				}
			}
			if n := k.published.asked.Load(); n > 2 {
				t.Errorf("%d requests within five seconds", n)
			}
			k.publish("/.well-known/openid-configuration", good)
			k.advance(discoveredFor)
			accepts(t, v, k.token(t, nil))
		})
	}
}

// TestIssuerKeys has the keys at a URL that is configured, so that nothing is
// discovered, and behind the guard.
func TestIssuerKeys(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	v := k.verifier(func(i *Issuer) { i.JWKS = k.URL + "/keys" })
	accepts(t, v, k.token(t, nil))
	if n := k.published.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	c := k.world.config()
	c.External, c.HTTP = []Issuer{{URL: k.URL, Type: "JWT"}}, NewClient(Guard{})
	if _, err := grant(t, New(c), k.token(t, nil)); class(t, err) != fhir.Unavailable {
		t.Errorf("an issuer on this machine: %v", err)
	}
	c.External[0].JWKS = k.URL + "/keys"
	if _, err := grant(t, New(c), k.token(t, nil)); !errors.Is(err, ErrDestination) {
		t.Errorf("keys on this machine: %v", err)
	}
}
