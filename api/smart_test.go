package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A smartWorld is an authorization server that is reached over HTTP.
type smartWorld struct {
	t      *testing.T
	url    string
	server *oauth.Server
	secret map[string]string
	key    *ecdsa.PrivateKey
}

func newSmartWorld(t *testing.T) *smartWorld {
	t.Helper()
	w := &smartWorld{t: t, secret: map[string]string{}}
	var handler http.Handler
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(site.Close)
	w.url = site.URL
	var err error
	w.server, err = oauth.Open(t.Context(), pgtest.New(t).DB, oauth.Config{
		Issuer: site.URL, FHIRBase: site.URL + "/fhir", Log: slog.New(slog.DiscardHandler),
		Sees: func(context.Context, fhir.Key, string) (bool, error) { return true, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	handler = api.Smart(api.SmartConfig{Server: w.server, Caller: w.verifier().Request, Log: slog.New(slog.DiscardHandler),
		Sees: func(_ context.Context, _ access.Grant, patient string) (bool, error) { return patient == "p1", nil }})
	if w.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	const scopes = "openid fhirUser launch launch/patient offline_access patient/*.rs user/*.rs"
	w.add(oauth.Client{ID: "spa", Name: "App", Public: true, RedirectURIs: []string{"https://app.example.org/cb"}, LaunchURLs: []string{"https://app.example.org/launch?v=1"}, Scopes: scopes, Active: true})
	w.add(oauth.Client{ID: "ehr", Name: "Record system", RedirectURIs: []string{"https://ehr.example.org/cb"}, Scopes: scopes, Launches: true, Active: true})
	w.add(oauth.Client{ID: "backend", Name: "Warehouse", JWKS: set, Scopes: "system/Patient.rs", Organizations: []string{"a"}, Launches: true, Active: true})
	return w
}

func (w *smartWorld) add(c oauth.Client) {
	w.t.Helper()
	_, secret, err := w.server.AddClient(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.secret[c.ID] = secret
}

// verifier is a resource server for the tokens of w.
func (w *smartWorld) verifier() *bearer.Verifier {
	return bearer.New(bearer.Config{
		Audiences: []string{w.server.FHIRBase()}, Issuer: w.server.Issuer(), Keys: w.server.JWKS, Live: w.server.Live,
		Known: func(string, string) bool { return false },
		Profile: func(_ context.Context, c auth.Claims) (auth.Profile, error) {
			p := auth.Profile{Active: true, Organizations: []string{"a"}}
			if c.FHIRUser != "" {
				p.User = fhir.Key{Type: "Practitioner", ID: "dr"}
			}
			return p, nil
		},
	})
}

// send sends a request, "METHOD path", with headers "Name: value".
func (w *smartWorld) send(request, body string, headers ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		w.t.Fatal(err)
	}
	var v map[string]any
	_ = json.Unmarshal(text, &v) // what is not JSON shows as no fields
	return answer, v
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// assertion is a client assertion as SMART has it: no iat, aud is the token URL.
func (w *smartWorld) assertion() string {
	w.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES384, Key: jose.JSONWebKey{Key: w.key, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		w.t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": "backend", "sub": "backend", "aud": w.url + "/auth/token", "exp": time.Now().Add(5 * time.Minute).Unix(), "jti": rand.Text()})
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *smartWorld) backend() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.rs"}, "client_assertion": {w.assertion()},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
}

// TestSmartBackend is a backend client from discovery to a token, and the token at
// a resource server, before and after it was revoked.
func TestSmartBackend(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	answer, discovered := w.send("GET /fhir/.well-known/smart-configuration", "", "Accept: application/fhir+xml")
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" || discovered["token_endpoint"] != w.url+"/auth/token" {
		t.Fatalf("%d %v", answer.StatusCode, discovered)
	}
	answer, got := w.send("POST /auth/token", w.backend().Encode(), formType)
	if answer.StatusCode != http.StatusOK || got["token_type"] != "Bearer" || got["expires_in"] != 300.0 || got["scope"] != "system/Patient.rs" || got["refresh_token"] != nil {
		t.Fatalf("%d %v", answer.StatusCode, got)
	}
	token, _ := got["access_token"].(string)
	g, err := w.verifier().Grant(t.Context(), []string{"Bearer " + token})
	if err != nil || g.Allow(access.Read, "Patient") != nil || g.Allow(access.Read, "Observation") == nil || g.Client() != "backend" || strings.Join(g.Terms().Organizations, "") != "a" {
		t.Errorf("%+v, %v", g.Terms(), err)
	}
	answer, got = w.send("POST /auth/introspect", url.Values{"token": {token}}.Encode(), formType, "Authorization: Bearer "+token)
	if answer.StatusCode != http.StatusOK || got["active"] != true || got["client_id"] != "backend" {
		t.Errorf("%d %v", answer.StatusCode, got)
	}
	form := url.Values{"token": {token}, "client_assertion": {w.assertion()}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	if answer, _ = w.send("POST /auth/revoke", form.Encode(), formType); answer.StatusCode != http.StatusOK {
		t.Errorf("revoke: %d", answer.StatusCode)
	}
	if _, err := w.verifier().Grant(t.Context(), []string{"Bearer " + token}); err == nil {
		t.Error("g10 9.3: a revoked token is good")
	}
	form = w.backend()
	form.Set("grant_type", "not_a_grant_type")
	if answer, got = w.send("POST /auth/token", form.Encode(), formType); answer.StatusCode != http.StatusBadRequest || got["error"] != "unsupported_grant_type" {
		t.Errorf("smart_backend_services_invalid_grant_type: %d %v", answer.StatusCode, got)
	}
}

// authorized goes through authorization as a clinician, and returns the form that
// redeems the code.
func (w *smartWorld) authorized(client string) url.Values {
	w.t.Helper()
	uri := map[string]string{"spa": "https://app.example.org/cb", "ehr": "https://ehr.example.org/cb"}[client]
	r, err := w.server.Ask(w.t.Context(), url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {uri}, "state": {"s"}, "aud": {w.server.FHIRBase()},
		"scope": {"openid fhirUser launch/patient patient/*.rs user/*.rs"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}})
	if err != nil {
		w.t.Fatal(err)
	}
	to, err := w.server.Grant(w.t.Context(), oauth.Decision{Request: r.ID, Account: "acc", User: fhir.Key{Type: "Practitioner", ID: "dr"}, Patient: "p1", Scopes: r.Scopes, AuthTime: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {u.Query().Get("code")}, "redirect_uri": {uri}, "code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}}
}

// TestSmartTokenHeaders is smart_token_response_headers and RFC 6749 section 5: also
// an error is not to be kept.
func TestSmartTokenHeaders(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	basic := "Authorization: Basic ZWhyOg=="
	for name, tt := range map[string]struct {
		request, body string
		headers       []string
		status        int
		code          string
	}{
		"good":                   {"POST /auth/token", w.authorized("spa").Encode(), []string{formType}, 200, ""},
		"charset":                {"POST /auth/token", w.authorized("spa").Encode(), []string{formType + ";charset=UTF-8"}, 200, ""},
		"bad code":               {"POST /auth/token", "grant_type=authorization_code&client_id=spa&code=x&redirect_uri=x&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", []string{formType}, 400, "invalid_grant"},
		"bad client":             {"POST /auth/token", "grant_type=client_credentials&client_id=nobody", []string{formType}, 401, "invalid_client"},
		"bad Basic":              {"POST /auth/token", "grant_type=client_credentials", []string{formType, basic}, 401, "invalid_client"},
		"GET":                    {"GET /auth/token?grant_type=client_credentials&client_id=spa", "", nil, 405, "invalid_request"},
		"in the address":         {"POST /auth/token?" + w.authorized("spa").Encode(), "", []string{formType}, 400, "invalid_request"},
		"JSON":                   {"POST /auth/token", "{}", []string{"Content-Type: application/json"}, 400, "invalid_request"},
		"no type":                {"POST /auth/token", "grant_type=x", nil, 400, "invalid_request"},
		"semicolon":              {"POST /auth/token", "grant_type=x;y", []string{formType}, 400, "invalid_request"},
		"Authorization twice":    {"POST /auth/token", "grant_type=x", []string{formType, basic, basic}, 400, "invalid_request"},
		"long body":              {"POST /auth/token", strings.Repeat("x", 70<<10), []string{formType}, 413, "invalid_request"},
		"introspection, nobody":  {"POST /auth/introspect", "token=x", []string{formType}, 401, "invalid_client"},
		"revocation, nobody":     {"POST /auth/revoke", "token=x", []string{formType}, 401, "invalid_client"},
		"registration, no token": {"POST /auth/register", "{}", nil, 401, "invalid_token"},
		"keys by POST":           {"POST /auth/jwks", "", nil, 405, "invalid_request"},
	} {
		answer, got := w.send(tt.request, tt.body, tt.headers...)
		code, _ := got["error"].(string)
		if answer.StatusCode != tt.status || code != tt.code || answer.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v", name, answer.StatusCode, got)
		}
		if h := answer.Header; name != "keys by POST" && (h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache") {
			t.Errorf("%s: %v", name, h)
		}
		challenged := answer.Header.Get("WWW-Authenticate") != ""
		if challenged != (name == "bad Basic" || name == "registration, no token") {
			t.Errorf("%s: WWW-Authenticate %q", name, answer.Header.Get("WWW-Authenticate"))
		}
	}
}

// TestSmartCORS is smart_cors_well_known_endpoint, smart_cors_token_exchange and A17.
func TestSmartCORS(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	const ours, ehr, evil = "https://app.example.org", "https://ehr.example.org", "https://evil.example"
	token := "POST /auth/token"
	good := func() string { return w.authorized("spa").Encode() }
	for name, tt := range map[string]struct{ request, body, origin, want string }{
		"smart-configuration":                  {"GET /fhir/.well-known/smart-configuration", "", evil, "*"},
		"openid-configuration":                 {"GET /.well-known/openid-configuration", "", evil, "*"},
		"oauth-authorization-server":           {"GET /.well-known/oauth-authorization-server", "", evil, "*"},
		"keys":                                 {"GET /auth/jwks", "", evil, "*"},
		"style":                                {"GET /auth/style/1.json", "", evil, "*"},
		"preflight of discovery":               {"OPTIONS /fhir/.well-known/smart-configuration", "", evil, "*"},
		"token":                                {token, good(), ours, ours},
		"token, elsewhere":                     {token, good(), evil, ""},
		"token, origin of another client":      {token, good(), ehr, ""},
		"token, null":                          {token, good(), "null", ""},
		"token, error":                         {token, "client_id=spa&grant_type=x", ours, ours},
		"token, error of an unknown client":    {token, "client_id=nobody&grant_type=x", ours, ""},
		"token, error of no client":            {token, "grant_type=refresh_token&refresh_token=x", ours, ours},
		"token, error of no client, elsewhere": {token, "grant_type=refresh_token&refresh_token=x", evil, ""},
		"preflight of token":                   {"OPTIONS /auth/token", "", ours, ours},
		"preflight of token, another client":   {"OPTIONS /auth/token", "", ehr, ehr},
		"preflight of token, elsewhere":        {"OPTIONS /auth/token", "", evil, ""},
		"preflight of revocation":              {"OPTIONS /auth/revoke", "", ours, ours},
		"revocation":                           {"POST /auth/revoke", "client_id=spa&token=x", ours, ours},
		"registration":                         {"POST /auth/register", "{}", ours, ""},
	} {
		answer, _ := w.send(tt.request, tt.body, formType, "Origin: "+tt.origin, "Access-Control-Request-Method: POST")
		h := answer.Header
		if got := h.Get("Access-Control-Allow-Origin"); got != tt.want || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if tt.want != "*" && !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
			t.Errorf("%s: Vary is %v", name, h.Values("Vary"))
		}
		if strings.HasPrefix(tt.request, "OPTIONS") && (answer.StatusCode != http.StatusNoContent || (h.Get("Access-Control-Allow-Headers") != "") != (tt.want != "")) {
			t.Errorf("%s: %d %v", name, answer.StatusCode, h)
		}
	}
}

// TestSmartDocuments looks at what can be fetched: at least one RSA key, a style
// that is JSON, and pages for the rest.
func TestSmartDocuments(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	_, keys := w.send("GET /auth/jwks", "")
	text, err := json.Marshal(keys)
	if err != nil || !strings.Contains(string(text), `"kty":"RSA"`) || strings.Contains(string(text), `"d":`) {
		t.Errorf("smart_openid_retrieve_jwks: %s", text)
	}
	if answer, style := w.send("GET /auth/style/1.json", ""); answer.StatusCode != http.StatusOK || style["color_background"] == nil {
		t.Errorf("g10_smart_style_url: %d %v", answer.StatusCode, style)
	}
	if answer, _ := w.send("GET /auth/sign-in", ""); answer.StatusCode != http.StatusNotFound {
		t.Errorf("without pages: %d", answer.StatusCode)
	}
	if answer, _ := w.send("HEAD /.well-known/openid-configuration", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", answer.StatusCode)
	}
}

// TestSmartLaunch mints launches over HTTP: who may, for whom, with which patient.
func TestSmartLaunch(t *testing.T) {
	t.Parallel()
	w := newSmartWorld(t)
	_, backend := w.send("POST /auth/token", w.backend().Encode(), formType)
	form := w.authorized("ehr")
	form.Set("client_secret", w.secret["ehr"])
	_, staff := w.send("POST /auth/token", form.Encode(), formType)
	_, app := w.send("POST /auth/token", w.authorized("spa").Encode(), formType)
	for name, tt := range map[string]struct {
		as     map[string]any
		body   string
		status int
	}{
		"staff":                           {staff, `{"client_id":"spa","patient":"p1","intent":"reconcile"}`, 201},
		"staff, no patient":               {staff, `{"client_id":"spa"}`, 201},
		"staff, themselves":               {staff, `{"client_id":"spa","user":"Practitioner/dr"}`, 201},
		"staff, for somebody else":        {staff, `{"client_id":"spa","user":"Practitioner/other"}`, 403},
		"staff, for an account":           {staff, `{"client_id":"spa","account":"acc2"}`, 403},
		"staff, patient not theirs":       {staff, `{"client_id":"spa","patient":"p2"}`, 403},
		"system, for a clinician":         {backend, `{"client_id":"spa","patient":"p1","user":"Practitioner/dr"}`, 201},
		"system, for nobody":              {backend, `{"client_id":"spa","patient":"p1"}`, 400},
		"system, for a user far away":     {backend, `{"client_id":"spa","user":"https://x.example/fhir/Practitioner/dr"}`, 400},
		"app that may not":                {app, `{"client_id":"spa","patient":"p1"}`, 403},
		"no token":                        {nil, `{"client_id":"spa","patient":"p1"}`, 401},
		"unknown app":                     {staff, `{"client_id":"nobody"}`, 400},
		"launch address of somebody else": {staff, `{"client_id":"spa","launch_url":"https://evil.example/launch"}`, 400},
		"no JSON":                         {staff, `{`, 400},
	} {
		token, _ := tt.as["access_token"].(string)
		headers := []string{"Content-Type: application/json"}
		if token != "" {
			headers = append(headers, "Authorization: Bearer "+token)
		}
		answer, got := w.send("POST /smart/launch", tt.body, headers...)
		if answer.StatusCode != tt.status {
			t.Errorf("%s: %d %v", name, answer.StatusCode, got)
			continue
		}
		if tt.status != http.StatusCreated {
			continue
		}
		opened, _ := got["launch_url"].(string)
		handle, _ := got["launch"].(string)
		if len(handle) != 43 || got["expires_in"] != 300.0 || !strings.HasPrefix(opened, "https://app.example.org/launch?v=1&iss=") || !strings.Contains(opened, "launch="+handle) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
