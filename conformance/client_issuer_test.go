package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// A realm is an authorization server of somebody else, which writes tokens as
// Keycloak does: the type of the token is in a claim, the client in azp, and what
// it knows of a person where its administrator has put it.
type realm struct {
	*httptest.Server
	url  string
	keys *keyring
	key  jose.JSONWebKey
}

func newRealm(t *testing.T) *realm {
	t.Helper()
	r := &realm{key: newKey(t, jose.RS256)}
	r.keys = newKeyring(t, r.key)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realms/care/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{ // who asked may be gone
			"issuer": r.url, "jwks_uri": r.keys.URL + "/realms/care/protocol/openid-connect/certs",
			"authorization_endpoint": r.url + "/protocol/openid-connect/auth", "token_endpoint": r.url + "/protocol/openid-connect/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256", "ES256"},
		})
	})
	r.Server = httptest.NewServer(mux)
	r.url = r.URL + "/realms/care"
	t.Cleanup(r.Close)
	return r
}

// token returns an access token for a person.
func (r *realm) token(t *testing.T, others map[string]any) string {
	t.Helper()
	return signed(t, r.key, "JWT", with(map[string]any{
		"exp": minutes(5), "iat": minutes(0), "jti": "onrtac:4d2e", "iss": r.url, "aud": "openconsult", "sub": "f3a0e5c2", "typ": "Bearer", "azp": "care-app",
		"sid": "9f0c", "acr": "1", "scope": "profile openid email patient/*.rs", "email_verified": true, "preferred_username": "ada",
		"realm_access": map[string]any{"roles": []string{"default-roles-care", "offline_access"}},
		"care":         map[string]any{"patient": "demo-ada", "person": "Patient/demo-ada"},
	}, others))
}

// TestExternalIssuer opens the API with tokens of somebody else's authorization
// server, which is trusted by the settings.
func TestExternalIssuer(t *testing.T) {
	t.Parallel()
	trusted, stranger := newRealm(t), newRealm(t)
	s := newStation(t, "--issuers="+writeFile(t, "issuers.yaml", `
- url: `+trusted.url+`
  audience: openconsult
  type: JWT
  claims:
    patient: care.patient
    fhir-user: care.person
    client: azp
    organizations: care.organizations
`))
	token := trusted.token(t, nil)
	s.expect(200, token, "GET Patient/demo-ada", "")
	if found := s.expect(200, token, "GET Task", "").ids(); !slices.Equal(found, []string{"Task/demo-sore-throat"}) {
		t.Errorf("the patient finds %v", found)
	}
	s.expect(404, token, "GET Patient/demo-ben", "")
	s.expect(403, token, "POST Communication", practiceMessage)

	grace := trusted.token(t, map[string]any{"scope": "user/*.rs", "sub": "7d1b", "care": map[string]any{"person": "Practitioner/demo-grace"}})
	s.expect(200, grace, "GET Patient/demo-ben", "")
	system := trusted.token(t, map[string]any{"scope": "system/Task.rs", "azp": "reports", "sub": "reports", "care": map[string]any{"organizations": []string{"demo-practice"}}})
	if found := s.expect(200, system, "GET Task", "").ids(); len(found) != 1 {
		t.Errorf("the system of the practice finds %v", found)
	}
	elsewhere := trusted.token(t, map[string]any{"scope": "system/Task.rs", "azp": "reports", "sub": "reports", "care": map[string]any{"organizations": "demo-hospital"}})
	if found := s.expect(200, elsewhere, "GET Task", "").ids(); len(found) != 0 {
		t.Errorf("the system of the hospital finds %v", found)
	}

	// Before a stranger has sent the name of a key that there is not: for that the keys
	// are read once a minute.
	old := trusted.key
	trusted.key = newKey(t, jose.RS256)
	trusted.keys.rotate(trusted.key, old)
	s.expect(200, trusted.token(t, nil), "GET Patient/demo-ada", "")
	s.expect(200, signedBy(t, trusted, old), "GET Patient/demo-ada", "")

	for name, bad := range map[string]string{
		"an ID token":                   trusted.token(t, map[string]any{"typ": "ID", "aud": "care-app"}),
		"an ID token for the server":    trusted.token(t, map[string]any{"typ": "ID"}),
		"one with a nonce":              trusted.token(t, map[string]any{"typ": nil, "nonce": "n"}),
		"one with at_hash":              trusted.token(t, map[string]any{"typ": nil, "at_hash": "x"}),
		"a refresh token":               trusted.token(t, map[string]any{"typ": "Refresh"}),
		"one for another server":        trusted.token(t, map[string]any{"aud": "account"}),
		"one for two servers":           trusted.token(t, map[string]any{"aud": []string{"openconsult", "account"}}),
		"one that has expired":          trusted.token(t, map[string]any{"exp": minutes(-5), "iat": minutes(-10)}),
		"one without a client":          trusted.token(t, map[string]any{"azp": nil}),
		"one of a realm not trusted":    stranger.token(t, nil),
		"one that only says it is ours": stranger.token(t, map[string]any{"iss": trusted.url}),
		"one that says it is of here":   trusted.token(t, map[string]any{"iss": s.origin, "aud": s.base}),
		"one for nobody":                trusted.token(t, map[string]any{"care": nil}),
		"one for a patient who is not":  trusted.token(t, map[string]any{"care": map[string]any{"patient": "nobody", "person": "Patient/nobody"}}),
		"one without a signature":       token[:len(token)-342],
	} {
		if a := s.ask(bad, "GET Patient/demo-ada", ""); a.status != 401 {
			t.Errorf("%s is answered with %d %s", name, a.status, a.body)
		}
	}
	s.expect(403, trusted.token(t, map[string]any{"scope": "profile openid email"}), "GET Patient/demo-ada", "")
}

// signedBy returns a token that a realm signs with an earlier key.
func signedBy(t *testing.T, r *realm, k jose.JSONWebKey) string {
	t.Helper()
	earlier := *r
	earlier.key = k
	return earlier.token(t, map[string]any{"jti": "another"})
}
