package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/oauth"
)

// bearerText is what RFC 6750, section 2.1, lets a bearer token be made of.
var bearerText = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// backendToken returns a token of a client that acts for itself.
func (w *world) backendToken() oauth.TokenResponse {
	w.t.Helper()
	got, err := w.Token(w.t.Context(), backendForm(w.signed(w.claim())), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// TestRequirementLifetimes: every access token says how long it is good, which is
// not longer than an hour, and five minutes without a user, and is refused then.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#response-5
func TestRequirementLifetimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, got := range map[string]oauth.TokenResponse{
		"public": w.tokens(nil), "confidential": w.tokens(map[string]string{"client_id": "web"}), "backend": w.backendToken(),
	} {
		claims := w.claims(got.AccessToken)
		most := 3600
		if name == "backend" {
			most = 300
		}
		if got.ExpiresIn <= 60 || got.ExpiresIn > most || claims["exp"] != claims["iat"].(float64)+float64(got.ExpiresIn) {
			t.Errorf("%s: expires in %d, claims %v", name, got.ExpiresIn, claims)
		}
		for kind, token := range map[string]string{"access": got.AccessToken, "refresh": got.RefreshToken} {
			if token != "" && !bearerText.MatchString(token) {
				t.Errorf("%s: an %s token has other characters: %s", name, kind, token)
			}
		}
		if said, err := w.introspect(got.AccessToken, "Bearer "+got.AccessToken, nil); err != nil || !said.Active {
			t.Errorf("%s, at once: %+v, %v", name, said, err)
		}
		now := w.clock.Now()
		w.clock.pass(time.Duration(got.ExpiresIn) * time.Second)
		if _, err := w.introspect(got.AccessToken, "Bearer "+got.AccessToken, nil); err == nil {
			t.Errorf("%s: it is good after it has expired", name)
		}
		w.clock.pass(now.Sub(w.clock.Now()))
	}
}

// TestRequirementTokenSize: the longest list of scopes that a client may ask for
// makes an access token that fits into the header of a request.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scope-size-over-the-wire
func TestRequirementTokenSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var scopes strings.Builder
	scopes.WriteString("launch/patient")
	for i := 0; scopes.Len() < 4000; i++ {
		scopes.WriteString(" patient/Observation.rs?category=http://example.org|" + strings.Repeat("x", 20) + string(rune('a'+i%26)) + string(rune('a'+i/26)))
	}
	got := w.tokens(map[string]string{"scope": scopes.String()})
	if got.Scope != scopes.String() {
		t.Fatalf("granted %s", got.Scope)
	}
	if n := len("Bearer " + got.AccessToken); n > 8<<10 {
		t.Errorf("the header has %d bytes", n)
	}
	_, err := w.Ask(t.Context(), request(map[string]string{"scope": scopes.String() + " " + scopes.String()}))
	if err == nil {
		t.Error("a list twice as long is taken")
	}
}

// TestRequirementScopesSupported grants each scope that the discovery document
// lists.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#metadata
func TestRequirementScopesSupported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	supported := w.Configuration().Scopes
	all := strings.Join(slices.DeleteFunc(slices.Clone(supported), func(s string) bool { return strings.HasPrefix(s, "system/") }), " ")
	secret := w.add(oauth.Client{ID: "all", Name: "All scopes", RedirectURIs: []string{callback}, LaunchURLs: []string{callback}, Scopes: all, Active: true})
	w.add(oauth.Client{ID: "systems", Name: "All systems", JWKS: w.keys.set, Scopes: "system/*.cruds", All: true, Active: true})
	for _, scope := range supported {
		var got oauth.TokenResponse
		var err error
		if strings.HasPrefix(scope, "system/") {
			c := w.claim()
			c.body["iss"], c.body["sub"] = "systems", "systems"
			form := backendForm(w.signed(c))
			form.Set("scope", scope)
			got, err = w.Token(t.Context(), form, "")
		} else {
			asked := map[string]string{"client_id": "all", "scope": scope + " user/Patient.r"}
			if scope == "launch" {
				handle, err := w.MintLaunch(t.Context(), oauth.Launch{Client: "all", Account: "acc1"})
				if err != nil {
					t.Fatal(err)
				}
				asked["launch"] = handle
			}
			r, wrong := w.Ask(t.Context(), request(asked))
			if wrong != nil {
				t.Errorf("%s: %v", scope, wrong)
				continue
			}
			q := w.agree(r, oauth.Decision{Patient: "p1", Encounter: "e1", Session: "s1"})
			got, err = w.Token(t.Context(), redemption(q.Get("code"), map[string]string{"client_id": ""}), basicAuth("all", secret))
		}
		if err != nil || !scopeSet(got.Scope)[scope] {
			t.Errorf("%s: granted %q, %v", scope, got.Scope, err)
		}
		if strings.HasPrefix(scope, "patient/") != (got.Patient != "") && scope != "launch/patient" {
			t.Errorf("%s: the patient is %q", scope, got.Patient)
		}
	}
}

// TestRequirementCapabilities fixes what the server says it can do: each is a
// promise that conformance/smart.md names the tests of.
// https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#capabilities
func TestRequirementCapabilities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.Configuration()
	has := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if !slices.Contains(c.Capabilities, name) {
				t.Errorf("there is no capability %s", name)
			}
		}
	}
	t.Run("patient access for standalone apps", func(t *testing.T) {
		has("launch-standalone", "client-public", "client-confidential-symmetric", "context-standalone-patient", "permission-patient")
	})
	t.Run("patient access for EHR launch", func(t *testing.T) {
		has("launch-ehr", "client-public", "context-ehr-patient", "permission-patient")
	})
	t.Run("clinician access for standalone", func(t *testing.T) {
		has("launch-standalone", "client-public", "permission-user", "permission-patient")
	})
	t.Run("clinician access for EHR launch", func(t *testing.T) {
		has("launch-ehr", "client-public", "context-ehr-patient", "context-ehr-encounter", "permission-user", "permission-patient")
	})
	proved := []string{"authorize-post", "client-confidential-asymmetric", "client-confidential-symmetric", "client-public", "context-banner", "context-ehr-encounter", "context-ehr-patient",
		"context-standalone-patient", "context-style", "launch-ehr", "launch-standalone", "permission-offline", "permission-online", "permission-patient", "permission-user", "permission-v1",
		"permission-v2", "sso-openid-connect"}
	if got := slices.Sorted(slices.Values(c.Capabilities)); !slices.Equal(got, proved) {
		t.Errorf("the capabilities are %v; those that tests prove are %v", got, proved)
	}
	if !slices.Equal(c.Challenges, []string{"S256"}) || !slices.Equal(c.ResponseTypes, []string{"code"}) || !slices.Contains(c.GrantTypes, "client_credentials") {
		t.Errorf("%+v", c)
	}
}

// TestRequirementIntrospectsAnyClient: a resource server that has a bearer token of
// its own introspects tokens of every client.
// https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html#authorization-to-perform-token-introspection
func TestRequirementIntrospectsAnyClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.Client(t.Context(), "backend")
	if err != nil {
		t.Fatal(err)
	}
	own := w.backendToken().AccessToken
	others := map[string]oauth.TokenResponse{"spa": w.tokens(nil), "web": w.tokens(map[string]string{"client_id": "web"})}
	for _, may := range []bool{false, true} {
		c.Introspects = may
		if err := w.UpdateClient(t.Context(), *c); err != nil {
			t.Fatal(err)
		}
		for client, of := range others {
			said, err := w.introspect(of.AccessToken, "Bearer "+own, nil)
			if err != nil || said.Active != may || may && (said.Client != client || said.Scope != of.Scope || said.Patient != "p1") {
				t.Errorf("%s: %+v, %v", client, said, err)
			}
		}
	}
}

// TestRequirementOptionalParameters: what OpenID Connect lets clients ask for, and
// the server has no use for, does no harm; what would change the meaning of a
// request is refused.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-identity-data
func TestRequirementOptionalParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, value := range map[string]string{"id_token_hint": "ey", "acr_values": "x", "display": "page", "ui_locales": "en", "claims_locales": "en", "claims": `{"id_token":{"email":null}}`, "prompt": "consent"} {
		if _, err := w.Ask(t.Context(), request(map[string]string{name: value})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"request", "request_uri"} {
		if _, err := w.Ask(t.Context(), request(map[string]string{name: "https://app.example.org/r"})); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if c := w.OpenIDConfiguration(); c.RequestParameter == nil || *c.RequestParameter || c.RequestURIParameter == nil || *c.RequestURIParameter {
		t.Error("request objects are announced")
	}
}

// TestRequirementKeySets: a client brings its keys, or tells where they are; they
// are fetched by GET; nobody who registers changes those of another client.
// https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
func TestRequirementKeySets(t *testing.T) {
	t.Parallel()
	var set atomic.Pointer[[]byte]
	var methods atomic.Pointer[string]
	keys := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		methods.Store(&r.Method)
		_, _ = rw.Write(*set.Load())
	}))
	t.Cleanup(keys.Close)
	w := worldOf(t, func(c *oauth.Config) {
		c.Local, c.HTTP = true, bearer.NewClient(bearer.Guard{AllowLoopback: true})
	})
	set.Store(&w.keys.set)
	token, err := w.AddRegistration(t.Context(), oauth.Registration{Scopes: "system/Patient.rs", Organizations: []string{"a"}, Uses: 5, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"client_name":"New","scope":"system/Patient.rs","grant_types":["client_credentials"],"token_endpoint_auth_method":"private_key_jwt","client_id":"backend",`
	for name, body := range map[string]string{"by URL": head + `"jwks_uri":"` + keys.URL + `/jwks"}`, "directly": head + `"jwks":` + string(w.keys.set) + `}`} {
		added, err := w.Register(t.Context(), "Bearer "+token, []byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if added.ID == "" || added.ID == "backend" || added.Secret != "" {
			t.Errorf("%s: %+v", name, added)
		}
		c := w.claim()
		c.body["iss"], c.body["sub"] = added.ID, added.ID
		if _, err := w.Token(t.Context(), backendForm(w.signed(c)), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m := methods.Load(); m == nil || *m != http.MethodGet {
		t.Error("the keys were not fetched by GET")
	}
	before := w.keys
	w.keys = newKeyPair(t)
	if _, err := w.Register(t.Context(), "Bearer "+token, []byte(head+`"jwks":`+string(w.keys.set)+`}`)); err != nil {
		t.Fatal(err)
	}
	_, err = w.Token(t.Context(), backendForm(w.signed(w.claim())), "")
	wants(t, err, "invalid_client")
	w.keys = before
	w.backendToken()
}

// TestRequirementOfflineIsRegistered: who may have a refresh token is said when the
// client is registered.
// https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#refresh-access-token
func TestRequirementOfflineIsRegistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(oauth.Client{ID: "brief", Name: "Brief", Public: true, RedirectURIs: []string{callback}, Scopes: "launch/patient patient/*.rs", Active: true})
	got := w.tokens(map[string]string{"client_id": "brief", "scope": "launch/patient offline_access online_access patient/*.rs"})
	if got.RefreshToken != "" || got.Scope != "launch/patient patient/*.rs" {
		t.Errorf("got %+v", got)
	}
	_, err := w.Token(t.Context(), url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.AccessToken}, "client_id": {"brief"}}, "")
	wants(t, err, "invalid_grant")
}

// TestEKeysFromInside is row E: the address of a client's keys leads nowhere
// inside, and all that is wrong with it looks alike.
func TestEKeysFromInside(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(inside.Close)
	w := worldOf(t, func(c *oauth.Config) { c.HTTP = bearer.NewClient(bearer.Guard{}) })
	texts := map[string]bool{}
	for i, address := range []string{inside.URL + "/jwks", "https://169.254.169.254/latest/meta-data/", "https://[::1]/jwks", "https://10.0.0.1/jwks", "https://localhost/jwks"} {
		id := "remote" + string(rune('a'+i))
		if _, _, err := w.AddClient(t.Context(), oauth.Client{ID: id, Name: "Remote", JWKSURL: address, Scopes: "system/Patient.rs", Organizations: []string{"a"}, Active: true}); err != nil {
			continue // not even registered
		}
		c := w.claim()
		c.body["iss"], c.body["sub"] = id, id
		_, err := w.Token(t.Context(), backendForm(w.signed(c)), "")
		wants(t, err, "invalid_client")
		texts[err.Error()] = true
	}
	if asked.Load() != 0 || len(texts) != 1 {
		t.Errorf("asked %d times; answers %v", asked.Load(), texts)
	}
}

// TestRequirementIntrospectionMethods introspects by each way that the server
// announces.
// https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html#authorization-to-perform-token-introspection
func TestRequirementIntrospectionMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	web, backend := w.tokens(map[string]string{"client_id": "web"}).AccessToken, w.backendToken().AccessToken
	ways := map[string]func() (oauth.Introspection, error){
		"client_secret_basic": func() (oauth.Introspection, error) { return w.introspect(web, w.basic(), nil) },
		"client_secret_post": func() (oauth.Introspection, error) {
			return w.introspect(web, "", url.Values{"client_id": {"web"}, "client_secret": {w.secret}})
		},
		"private_key_jwt": func() (oauth.Introspection, error) {
			form := backendForm(w.signed(w.claim()))
			form.Del("grant_type")
			form.Del("scope")
			return w.introspect(backend, "", form)
		},
	}
	for _, way := range w.OpenIDConfiguration().IntrospectionMethods {
		try := ways[way]
		if try == nil {
			t.Errorf("nothing tries %s", way)
			continue
		}
		delete(ways, way)
		if said, err := try(); err != nil || !said.Active {
			t.Errorf("%s: %+v, %v", way, said, err)
		}
	}
	if len(ways) > 0 {
		t.Errorf("%d ways are not announced", len(ways))
	}
}
