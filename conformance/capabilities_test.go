package conformance_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// A clinic is a whole server with people, records and apps.
type clinic struct {
	*testing.T
	*subject
	grace, ada *guest // a doctor and her patient
	secrets    map[string]string
	key        *ecdsa.PrivateKey // of the client backend
}

const signInWord = "correct horse battery staple"

func newClinic(t *testing.T, c api.Config) *clinic {
	t.Helper()
	p := &clinic{T: t, subject: serveSignIn(t, c), secrets: map[string]string{}}
	coded := func(id, patient, category string) string {
		return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/` + patient + `"},"encounter":{"reference":"Encounter/visit"},"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"` + category + `"}]}]}`
	}
	for _, body := range []string{
		`{"resourceType":"Organization","id":"practice","name":"Practice"}`,
		`{"resourceType":"Practitioner","id":"grace","name":[{"family":"Grace"}]}`,
		`{"resourceType":"PractitionerRole","id":"grace","practitioner":{"reference":"Practitioner/grace"},"organization":{"reference":"Organization/practice"}}`,
		`{"resourceType":"Patient","id":"ada","name":[{"family":"Ada"}],"managingOrganization":{"reference":"Organization/practice"}}`,
		`{"resourceType":"Patient","id":"ben","name":[{"family":"Ben"}]}`,
		`{"resourceType":"Encounter","id":"visit","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/ada"}}`,
		coded("pulse", "ada", "vital-signs"), coded("glucose", "ada", "laboratory"), strings.Replace(coded("bens", "ben", "laboratory"), `"encounter":{"reference":"Encounter/visit"},`, "", 1),
	} {
		p.put(body)
	}
	for name, user := range map[string]string{"grace": "Practitioner/grace", "ada": "Patient/ada"} {
		typ, id, _ := strings.Cut(user, "/")
		if _, err := p.door.accounts.AddAccount(t.Context(), login.Account{Name: name, Staff: name == "grace", User: fhir.Key{Type: typ, ID: id}}, signInWord); err != nil {
			t.Fatal(err)
		}
	}
	p.grace, p.ada = newGuest(t, p.base, "grace", signInWord), newGuest(t, p.base, "ada", signInWord)
	p.register()
	return p
}

func (p *clinic) register() {
	p.Helper()
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		p.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k"}}})
	if err != nil {
		p.Fatal(err)
	}
	const scopes = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.cruds user/*.cruds"
	for _, c := range []oauth.Client{
		{ID: "app", Name: "App", Public: true, RedirectURIs: []string{appCallback}, LaunchURLs: []string{"https://app.example.org/launch"}, Scopes: scopes},
		{ID: "portal", Name: "Portal", RedirectURIs: []string{appCallback}, Scopes: scopes, Launches: true},
		{ID: "backend", Name: "Backend", JWKS: set, Scopes: "system/*.rs", Organizations: []string{"practice"}},
	} {
		c.Active = true
		_, secret, err := p.door.authority.AddClient(p.Context(), c)
		if err != nil {
			p.Fatal(err)
		}
		p.secrets[c.ID] = secret
	}
}

func (p *clinic) put(body string) {
	p.Helper()
	var r struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		p.Fatal(err)
	}
	x, err := p.by(actor{role: "administrator"}, request{method: http.MethodPut, path: "/fhir/" + r.ResourceType + "/" + r.ID, body: body})
	if err != nil || x.status >= 300 {
		p.Fatalf("%v\n%s", err, x)
	}
}

// read sends GET with an access token and returns the status and what came.
func (p *clinic) read(token, path string) view {
	p.Helper()
	return p.ada.send(http.MethodGet, p.base+"/"+path, nil, "Authorization: Bearer "+token)
}

// shows wants a token to show some resources by their addresses and not others.
func (p *clinic) shows(t *testing.T, token string, want map[string]int) {
	t.Helper()
	for path, status := range want {
		if got := p.read(token, path); got.StatusCode != status {
			t.Errorf("%s: %d, want %d: %.300s", path, got.StatusCode, status, got.text)
		}
	}
}

// tokens has a guest allow a client what it asks for.
func (p *clinic) tokens(v *guest, client, scope string, more ...string) view {
	p.Helper()
	asked := v.asking(client, scope)
	for i := 0; i+1 < len(more); i += 2 {
		asked.Set(more[i], more[i+1])
	}
	back := v.allow(http.MethodGet, asked, "ada")
	if back.Get("code") == "" || back.Get("state") != "a state" || back.Get("iss") != v.origin {
		p.Fatalf("sent back with %v", back)
	}
	form := redeem(client, back.Get("code"))
	if secret := p.secrets[client]; secret != "" {
		form.Set("client_secret", secret)
	}
	got := v.send(http.MethodPost, "/auth/token", form)
	if got.StatusCode != http.StatusOK {
		p.Fatalf("%d %s", got.StatusCode, got.text)
	}
	return got
}

// assertion is a client assertion of the client backend.
func (p *clinic) assertion() string {
	p.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES384, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		p.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"iss": "backend", "sub": "backend", "aud": p.ada.origin + "/auth/token", "exp": time.Now().Add(4 * time.Minute).Unix(), "jti": rand.Text()})
	if err != nil {
		p.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		p.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		p.Fatal(err)
	}
	return text
}

// launch opens the app as the record system of the practice does.
func (p *clinic) launch(ehr view, body string) string {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.grace.origin+"/smart/launch", strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+ehr.field("access_token"))
	got := p.grace.do(r)
	if got.StatusCode != http.StatusCreated || !strings.Contains(got.field("launch_url"), "iss="+url.QueryEscape(p.base)) {
		p.Fatalf("%d %s", got.StatusCode, got.text)
	}
	return got.field("launch")
}

// TestRequirementCapabilitiesWork does what each capability of the discovery
// document promises, on a whole server: from its sign-in pages to its records.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#capabilities
func TestRequirementCapabilitiesWork(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	config := p.ada.send(http.MethodGet, p.base+"/.well-known/smart-configuration", nil)
	listed, _ := config.fields["capabilities"].([]any)
	tried := p.promises()
	for _, c := range listed {
		name, _ := c.(string)
		try := tried[name]
		if try == nil {
			t.Errorf("nothing tries the capability %v", c)
			continue
		}
		delete(tried, name)
		t.Run(name, try)
	}
	if len(tried) > 0 || len(listed) == 0 {
		t.Errorf("not listed: %v", tried)
	}
}

// promises are what proves each capability.
func (p *clinic) promises() map[string]func(*testing.T) {
	const standalone = "launch/patient patient/*.rs"
	return map[string]func(*testing.T){
		"launch-standalone": func(t *testing.T) {
			p.shows(t, p.tokens(p.ada, "app", standalone).field("access_token"), map[string]int{"Patient/ada": 200, "Observation/pulse": 200, "Patient/ben": 404, "Observation/bens": 404})
		},
		"launch-ehr": p.launches,
		"authorize-post": func(t *testing.T) {
			back := p.ada.allow(http.MethodPost, p.ada.asking("app", standalone), "")
			if got := p.ada.send(http.MethodPost, "/auth/token", redeem("app", back.Get("code"))); got.field("patient") != "ada" {
				t.Errorf("%d %s", got.StatusCode, got.text)
			}
		},
		"client-public": func(t *testing.T) {
			back := p.ada.allow(http.MethodGet, p.ada.asking("app", standalone), "")
			form := redeem("app", back.Get("code"))
			form.Set("client_secret", "x")
			if got := p.ada.send(http.MethodPost, "/auth/token", form); got.StatusCode != 401 {
				t.Errorf("with a secret that it cannot have: %d", got.StatusCode)
			}
			p.tokens(p.ada, "app", standalone)
		},
		"client-confidential-symmetric": func(t *testing.T) {
			back := p.ada.allow(http.MethodGet, p.ada.asking("portal", standalone), "")
			if got := p.ada.send(http.MethodPost, "/auth/token", redeem("portal", back.Get("code"))); got.StatusCode != 401 || got.field("error") != "invalid_client" {
				t.Errorf("without its secret: %d", got.StatusCode)
			}
			p.tokens(p.ada, "portal", standalone)
		},
		"client-confidential-asymmetric": p.backs,
		"sso-openid-connect":             p.identifies,
		"context-banner":                 p.launches,
		"context-ehr-patient":            p.launches,
		"context-ehr-encounter":          p.launches,
		"context-style": func(t *testing.T) {
			address := p.tokens(p.ada, "app", standalone).field("smart_style_url")
			if got := p.ada.send(http.MethodGet, address, nil); got.StatusCode != 200 || got.field("color_text") == "" {
				t.Errorf("%s: %d %s", address, got.StatusCode, got.text)
			}
		},
		"context-standalone-patient": func(t *testing.T) {
			got := p.tokens(p.grace, "app", standalone)
			if got.field("patient") != "ada" {
				t.Errorf("%v", got.fields)
			}
			p.shows(t, got.field("access_token"), map[string]int{"Patient/ada": 200})
		},
		"permission-offline": func(t *testing.T) { p.refreshes(t, "offline_access") },
		"permission-online":  func(t *testing.T) { p.refreshes(t, "online_access") },
		"permission-patient": func(t *testing.T) {
			p.shows(t, p.tokens(p.ada, "app", "patient/Observation.rs").field("access_token"), map[string]int{"Observation/pulse": 200, "Observation/bens": 404, "Patient/ada": 403, "Observation": 200, "Encounter": 403})
		},
		"permission-user": func(t *testing.T) {
			p.shows(t, p.tokens(p.grace, "app", "user/Observation.rs").field("access_token"), map[string]int{"Observation/pulse": 200, "Observation/bens": 404, "Patient/ada": 403})
		},
		"permission-v1": func(t *testing.T) {
			got := p.tokens(p.ada, "app", "launch/patient patient/Observation.read patient/Patient.read")
			if scopes := strings.Fields(got.field("scope")); !slices.Contains(scopes, "patient/Observation.read") || !slices.Contains(scopes, "patient/Patient.read") {
				t.Errorf("granted %v", scopes)
			}
			p.shows(t, got.field("access_token"), map[string]int{"Observation/pulse": 200, "Observation": 200, "Patient/ada": 200, "Encounter/visit": 403})
		},
		"permission-v2": func(t *testing.T) {
			const granular = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
			got := p.tokens(p.ada, "app", "launch/patient "+granular)
			if !slices.Contains(strings.Fields(got.field("scope")), granular) {
				t.Errorf("granted %s", got.field("scope"))
			}
			p.shows(t, got.field("access_token"), map[string]int{"Observation/pulse": 200, "Observation/glucose": 404})
			if all := p.read(got.field("access_token"), "Observation"); strings.Contains(all.text, "glucose") || !strings.Contains(all.text, "pulse") {
				t.Errorf("a search: %s", all.text)
			}
		},
	}
}

// launches opens the app from the record system.
func (p *clinic) launches(t *testing.T) {
	ehr := p.tokens(p.grace, "portal", "openid fhirUser user/*.cruds")
	handle := p.launch(ehr, `{"client_id":"app","patient":"ada","encounter":"visit","intent":"reconcile","need_patient_banner":false,"fhirContext":[{"reference":"Observation/pulse"}]}`)
	got := p.tokens(p.grace, "app", "launch patient/*.rs user/Encounter.rs", "launch", handle)
	if got.field("patient") != "ada" || got.field("encounter") != "visit" || got.field("intent") != "reconcile" || got.fields["need_patient_banner"] != false {
		t.Errorf("%v", got.fields)
	}
	p.shows(t, got.field("access_token"), map[string]int{"Patient/ada": 200, "Encounter/visit": 200, "Patient/ben": 404})
}

// backs gets a token by a client assertion.
func (p *clinic) backs(t *testing.T) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Observation.rs"}, "client_assertion": {p.assertion()}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	got := p.ada.send(http.MethodPost, "/auth/token", form)
	if got.StatusCode != 200 || got.fields["refresh_token"] != nil || got.fields["expires_in"] != 300.0 {
		t.Fatalf("%d %s", got.StatusCode, got.text)
	}
	p.shows(t, got.field("access_token"), map[string]int{"Observation/pulse": 200, "Observation/bens": 404, "Patient/ada": 403})
	if again := p.ada.send(http.MethodPost, "/auth/token", form); again.StatusCode != 401 {
		t.Errorf("the same assertion again: %d", again.StatusCode)
	}
}

// identifies verifies an identity token as an app does, and reads its fhirUser.
func (p *clinic) identifies(t *testing.T) {
	for v, user := range map[*guest]string{p.ada: "Patient/ada", p.grace: "Practitioner/grace"} {
		got := p.tokens(v, "app", "openid fhirUser", "nonce", "n-0S6")
		config := v.send(http.MethodGet, "/.well-known/openid-configuration", nil)
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(v.send(http.MethodGet, config.field("jwks_uri"), nil).text), &set); err != nil {
			t.Fatal(err)
		}
		signed, err := jose.ParseSignedCompact(got.field("id_token"), []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		keys := set.Key(signed.Signatures[0].Header.KeyID)
		if len(keys) != 1 {
			t.Fatalf("%d keys of the identity token", len(keys))
		}
		payload, err := signed.Verify(keys[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		if claims["fhirUser"] != p.base+"/"+user || claims["nonce"] != "n-0S6" || claims["aud"] != "app" || claims["iss"] != config.field("issuer") {
			t.Errorf("%v", claims)
		}
		p.shows(t, got.field("access_token"), map[string]int{user: 200, "Observation/pulse": 403})
	}
}

// refreshes uses a refresh token.
func (p *clinic) refreshes(t *testing.T, scope string) {
	got := p.tokens(p.ada, "portal", scope+" launch/patient patient/*.rs")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.field("refresh_token")}, "client_id": {"portal"}, "client_secret": {p.secrets["portal"]}}
	again := p.ada.send(http.MethodPost, "/auth/token", form)
	if again.StatusCode != 200 || again.field("scope") != got.field("scope") || again.field("patient") != "ada" {
		t.Fatalf("%d %s", again.StatusCode, again.text)
	}
	p.shows(t, again.field("access_token"), map[string]int{"Observation/pulse": 200})
	if scope == "offline_access" {
		return
	}
	// Online access ends when the person signs out.
	out := p.ada.send(http.MethodGet, "/auth/sign-out", nil)
	p.ada.send(http.MethodPost, "/auth/sign-out", out.form())
	if gone := p.ada.send(http.MethodPost, "/auth/token", form); gone.StatusCode != 400 || gone.field("error") != "invalid_grant" {
		t.Errorf("after signing out: %d %s", gone.StatusCode, gone.text)
	}
}

// TestRequirementEndpointsAnswer calls every address of the discovery documents.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#metadata
func TestRequirementEndpointsAnswer(t *testing.T) {
	t.Parallel()
	p := newClinic(t, api.Config{})
	for _, path := range []string{"/fhir/.well-known/smart-configuration", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		config := p.ada.send(http.MethodGet, path, nil, "Accept: application/fhir+xml", "Origin: https://anywhere.example")
		if config.StatusCode != 200 || config.Header.Get("Content-Type") != "application/json" || config.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, config.StatusCode, config.Header)
		}
		for name, want := range map[string]struct {
			method string
			status int
		}{
			"authorization_endpoint": {"GET", 400}, "token_endpoint": {"POST", 400}, "introspection_endpoint": {"POST", 400}, "revocation_endpoint": {"POST", 400},
			"registration_endpoint": {"POST", 401}, "jwks_uri": {"GET", 200}, "management_endpoint": {"GET", 200},
		} {
			address := config.field(name)
			if name == "management_endpoint" && !strings.HasPrefix(path, "/fhir") {
				continue
			}
			var form url.Values
			if want.method == http.MethodPost {
				form = url.Values{"x": {"y"}}
			}
			if got := p.ada.send(want.method, address, form); got.StatusCode != want.status || !strings.HasPrefix(address, p.ada.origin+"/") {
				t.Errorf("%s: %s %s: %d %.200s", path, name, address, got.StatusCode, got.text)
			}
		}
	}
	// The FHIR API lets scripts of apps in, too, and discovery is for anybody.
	for _, path := range []string{"/fhir/metadata", "/fhir/Patient/ada"} {
		if got := p.ada.send(http.MethodGet, path, nil, "Origin: https://app.example.org"); got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, got.Header)
		}
	}
	// Where one Patient leads to another, the statement says what that means.
	if got := p.ada.send(http.MethodGet, "/fhir/metadata", nil); !strings.Contains(got.text, "Patient.link") {
		t.Error("the statement says nothing of Patient.link")
	}
}

// TestRequirementTokensAtTheServer: a token opens what its scopes cover, and one for
// another server opens nothing.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#response-6
func TestRequirementTokensAtTheServer(t *testing.T) {
	t.Parallel()
	p, other := newClinic(t, api.Config{}), serveSignIn(t, api.Config{})
	grace := actor{role: "practitioner", id: "grace", scopes: "user/Observation.rs"}
	token, err := p.door.token(context.Background(), grace)
	if err != nil {
		t.Fatal(err)
	}
	p.shows(t, token, map[string]int{"Observation/pulse": 200, "Patient/ada": 403, "Patient": 403, "Observation/pulse/_history": 200})
	foreign, err := other.door.token(context.Background(), grace)
	if err != nil {
		t.Fatal(err)
	}
	p.shows(t, foreign, map[string]int{"Observation/pulse": 401, "Nonsense/x": 401})
}
