package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/oauth"
)

func (w *world) introspect(token, authorization string, more url.Values) (oauth.Introspection, error) {
	form := url.Values{"token": {token}}
	for name, v := range more {
		form[name] = v
	}
	return w.Introspect(w.t.Context(), form, authorization)
}

// TestIntrospection holds introspection against RFC 7662, SMART and the two Inferno
// groups smart_token_introspection_request and _response.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.tokens(map[string]string{"client_id": "web"})
	i, err := w.introspect(got.AccessToken, w.basic(), url.Values{"token_type_hint": {"nonsense"}})
	if err != nil {
		t.Fatal(err)
	}
	id := w.claims(got.IDToken)
	if !i.Active || i.Client != "web" || i.Scope != got.Scope || i.Expires != w.clock.Now().Unix()+600 || i.Patient != got.Patient || i.Issuer != id["iss"] || i.Subject != id["sub"] ||
		i.FHIRUser != id["fhirUser"] || i.TokenType != "Bearer" || i.NeedBanner == nil || i.Audience != fhirBase {
		t.Errorf("got %+v", i)
	}
	if i, err = w.introspect(got.AccessToken, "Bearer "+got.AccessToken, nil); err != nil || !i.Active {
		t.Errorf("by a bearer token: %+v, %v", i, err)
	}
	if i, err = w.introspect(got.RefreshToken, w.basic(), nil); err != nil || !i.Active || i.Scope != got.Scope || i.Client != "web" {
		t.Errorf("refresh token: %+v, %v", i, err)
	}
	others := w.tokens(nil)
	inactive := func(name, token, authorization string) {
		t.Helper()
		i, err := w.introspect(token, authorization, nil)
		if text := mustJSON(t, i); err != nil || text != `{"active":false}` {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	inactive("invalid_token_value", "invalid_token_value", w.basic())
	inactive("C20 token of another client", others.AccessToken, w.basic())
	inactive("C20 refresh token of another client", others.RefreshToken, w.basic())
	inactive("id token", got.IDToken, w.basic())
	inactive("changed token", got.AccessToken[:len(got.AccessToken)-3]+"AAA", w.basic())
	resource := w.add(oauth.Client{ID: "rs", Name: "Resource server", Introspects: true, Active: true})
	if i, err = w.introspect(others.AccessToken, basicAuth("rs", resource), nil); err != nil || !i.Active || i.Client != "spa" {
		t.Errorf("by a resource server: %+v, %v", i, err)
	}
	for name, authorization := range map[string]string{"nobody": "", "wrong secret": basicAuth("web", "x"), "bad token": "Bearer x", "id token": "Bearer " + got.IDToken} {
		_, err := w.introspect(got.AccessToken, authorization, nil)
		if _, status := codeOf(err); status != http.StatusUnauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.introspect(others.AccessToken, "", url.Values{"client_id": {"spa"}})
	wants(t, err, "invalid_client")
	_, err = w.introspect("", w.basic(), nil)
	wants(t, err, "invalid_request")
	w.clock.pass(10 * time.Minute)
	inactive("expired", got.AccessToken, w.basic())
	if err := w.RevokeAccount(t.Context(), "acc1"); err != nil {
		t.Fatal(err)
	}
	inactive("revoked", got.RefreshToken, w.basic())
	_, err = w.introspect(got.AccessToken, "Bearer "+got.AccessToken, nil)
	wants(t, err, "invalid_token")
}

// TestRevocation holds revocation against RFC 7009, g10 9.3 and attack C20.
func TestRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revoke := func(token, client string) error {
		form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
		if client == "web" {
			return w.Revoke(t.Context(), form, w.basic())
		}
		form.Set("client_id", client)
		return w.Revoke(t.Context(), form, "")
	}
	for _, client := range []string{"web", "spa"} {
		for _, pick := range []func(oauth.TokenResponse) string{
			func(r oauth.TokenResponse) string { return r.RefreshToken },
			func(r oauth.TokenResponse) string { return r.AccessToken },
		} {
			got := w.tokens(map[string]string{"client_id": client})
			if err := revoke(pick(got), "other"); err != nil || !w.live(got.AccessToken) {
				t.Errorf("C20: another client: %v", err)
			}
			if err := revoke(pick(got), client); err != nil || w.live(got.AccessToken) {
				t.Errorf("%s: %v", client, err)
			}
			_, err := w.refresh(client, got.RefreshToken, nil)
			wants(t, err, "invalid_grant")
			if err := revoke(pick(got), client); err != nil {
				t.Errorf("again: %v", err)
			}
		}
	}
	// An access token that has expired still says which grant to end.
	got := w.tokens(map[string]string{"client_id": "web"})
	w.clock.pass(time.Hour)
	if err := revoke(got.AccessToken, "web"); err != nil {
		t.Fatal(err)
	}
	_, err := w.refresh("web", got.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if err := revoke("unknown", "web"); err != nil {
		t.Errorf("unknown token: %v", err)
	}
	wants(t, revoke("unknown", "nobody"), "invalid_client")
	wants(t, revoke("", "web"), "invalid_request")
}

// TestGrants lists what a person has allowed, and takes it back.
func TestGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.tokens(map[string]string{"client_id": "web"})
	w.clock.pass(time.Minute)
	w.tokens(nil)
	list, err := w.Grants(t.Context(), "acc1")
	if err != nil || len(list) != 2 || list[0].Client != "spa" || list[1].Name != "Portal" || list[1].Scopes != got.Scope || list[1].Patient != "p1" || !list[1].Offline {
		t.Fatalf("%+v, %v", list, err)
	}
	if none, err := w.Grants(t.Context(), ""); err != nil || none != nil {
		t.Errorf("%+v, %v", none, err)
	}
	if err := w.RevokeGrant(t.Context(), "acc2", list[1].ID); err != nil || !w.live(got.AccessToken) {
		t.Errorf("somebody else has revoked it: %v", err)
	}
	if err := w.RevokeGrant(t.Context(), "acc1", list[1].ID); err != nil || w.live(got.AccessToken) {
		t.Errorf("revoked: %v", err)
	}
	if list, err = w.Grants(t.Context(), "acc1"); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestRegistration holds dynamic registration against RFC 7591 and attack C19.
func TestRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const scopes = "openid fhirUser launch launch/patient offline_access patient/*.rs"
	token, err := w.AddRegistration(t.Context(), oauth.Registration{Note: "developers", Scopes: scopes, Uses: 3, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	register := func(token, body string) (oauth.Registered, error) {
		return w.Register(t.Context(), "Bearer "+token, []byte(body))
	}
	const app = `{"client_name":"New app","redirect_uris":["https://new.example.org/cb"],"scope":"openid patient/Patient.rs user/Patient.rs"`
	got, err := register(token, app+`}`)
	if err != nil {
		t.Fatal(err)
	}
	text := mustJSON(t, got)
	for _, want := range []string{`"client_id":`, `"client_secret":`, `"client_secret_expires_at":0`, `"scope":"openid patient/Patient.rs"`, `"token_endpoint_auth_method":"client_secret_basic"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %s", text, want)
		}
	}
	public, err := register(token, app+`,"token_endpoint_auth_method":"none"}`)
	if err != nil || public.Secret != "" || strings.Contains(mustJSON(t, public), "secret_expires") {
		t.Errorf("%+v, %v", public, err)
	}
	if _, err := w.Ask(t.Context(), request(map[string]string{"client_id": public.ID, "redirect_uri": "https://new.example.org/cb", "scope": "openid patient/Patient.rs"})); err != nil {
		t.Errorf("the new client asks: %v", err)
	}
	for name, body := range map[string]string{
		"no JSON":            `{`,
		"no name":            `{"redirect_uris":["https://x.example/cb"],"scope":"openid"}`,
		"no redirect_uris":   `{"client_name":"x","scope":"openid"}`,
		"http":               `{"client_name":"x","redirect_uris":["http://x.example/cb"],"scope":"openid"}`,
		"javascript":         `{"client_name":"x","redirect_uris":["javascript:alert(1)"],"scope":"openid"}`,
		"fragment":           `{"client_name":"x","redirect_uris":["https://x.example/cb#"],"scope":"openid"}`,
		"loopback":           `{"client_name":"x","redirect_uris":["http://127.0.0.1/cb"],"scope":"openid"}`,
		"wildcard scope":     app[:len(app)-len(`"openid patient/Patient.rs user/Patient.rs"`)] + `"patient/*.rs"}`,
		"only other scopes":  app[:len(app)-len(`"openid patient/Patient.rs user/Patient.rs"`)] + `"user/Patient.rs"}`,
		"unknown method":     app + `,"token_endpoint_auth_method":"tls_client_auth"}`,
		"implicit":           app + `,"grant_types":["implicit"]}`,
		"response token":     app + `,"response_types":["token"]}`,
		"software statement": app + `,"software_statement":"ey"}`,
		"keys without JWT":   app + `,"jwks_uri":"https://x.example/jwks"}`,
		"JWT without keys":   app + `,"token_endpoint_auth_method":"private_key_jwt"}`,
		"http keys":          app + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://x.example/jwks"}`,
		"private keys":       app + `,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}}`,
		"keys of no text":    app + `,"token_endpoint_auth_method":"private_key_jwt","jwks":` + strings.Replace(string(w.keys.set), `"kid":"`, `"note":"`+"\xff"+`","kid":"`, 1) + `}`,
		"name of no text":    strings.Replace(app, "New app", `New\u0000app`, 1) + `}`,
		"URI of no text":     strings.Replace(app, "/cb", `/cb\u0000`, 1) + `}`,
		"scope of no text":   strings.Replace(app, "Patient.rs ", `Patient.rs?name=\u0000 `, 1) + `}`,
		"native with secret": app + `,"application_type":"native"}`,
	} {
		_, err := register(token, body)
		if code, status := codeOf(err); !slices.Contains([]string{"invalid_client_metadata", "invalid_redirect_uri", "invalid_software_statement"}, code) || status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := register(token, app+`,"token_endpoint_auth_method":"private_key_jwt","jwks":`+string(w.keys.set)+`}`); err != nil {
		t.Errorf("with keys: %v", err)
	}
	_, err = register(token, app+`}`)
	wants(t, err, "invalid_token")
	_, err = w.Register(t.Context(), "", []byte(app+`}`))
	wants(t, err, "invalid_token")
	if token, err = w.AddRegistration(t.Context(), oauth.Registration{Scopes: scopes, Uses: 1, Life: time.Hour}); err != nil {
		t.Fatal(err)
	}
	var good atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := register(token, app+`}`); err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("a token for one client has registered %d", good.Load())
	}
	if token, err = w.AddRegistration(t.Context(), oauth.Registration{Scopes: scopes, Uses: 1, Life: time.Hour}); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(time.Hour)
	_, err = register(token, app+`}`)
	wants(t, err, "invalid_token")
}

// TestDiscovery holds the documents against SMART's table, and
// g10_smart_well_known_capabilities and smart_openid_required_configuration_fields.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := func(v any) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(mustJSON(t, v)), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	smart := read(w.Configuration())
	for _, name := range []string{"issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "management_endpoint", "registration_endpoint"} {
		if s, _ := smart[name].(string); !strings.HasPrefix(s, issuer) {
			t.Errorf("%s is %v", name, smart[name])
		}
	}
	has := func(m map[string]any, name string, want ...string) {
		t.Helper()
		list, _ := m[name].([]any)
		for _, v := range want {
			if !slices.Contains(list, any(v)) {
				t.Errorf("%s has no %s", name, v)
			}
		}
	}
	has(smart, "grant_types_supported", "authorization_code", "client_credentials")
	has(smart, "scopes_supported", "openid", "fhirUser", "launch", "launch/patient", "offline_access", "patient/*.rs", "user/*.cruds", "system/*.rs")
	has(smart, "response_types_supported", "code")
	has(smart, "token_endpoint_auth_methods_supported", "private_key_jwt", "client_secret_basic")
	has(smart, "token_endpoint_auth_signing_alg_values_supported", "RS384", "ES384")
	has(smart, "capabilities", "launch-standalone", "launch-ehr", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric", "sso-openid-connect",
		"context-standalone-patient", "permission-offline", "permission-patient", "permission-user", "authorize-post", "permission-v2", "permission-v1", "context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter")
	if text := mustJSON(t, smart["code_challenge_methods_supported"]); text != `["S256"]` {
		t.Errorf("code_challenge_methods_supported is %s", text)
	}
	openID := read(w.OpenIDConfiguration())
	for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"} {
		if openID[name] == nil {
			t.Errorf("openid-configuration has no %s", name)
		}
	}
	has(openID, "id_token_signing_alg_values_supported", "RS256")
	if openID["authorization_response_iss_parameter_supported"] != true || openID["request_uri_parameter_supported"] != false {
		t.Errorf("openid-configuration: %v", openID)
	}
}
