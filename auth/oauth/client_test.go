package oauth_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestClients keeps every field of a client.
func TestClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := oauth.Client{
		ID: "full", Name: "All fields", JWKSURL: "https://x.example/jwks", RedirectURIs: []string{"https://x.example/cb"}, LaunchURLs: []string{"https://x.example/launch"},
		Origins: []string{"https://x.example"}, Scopes: "system/*.rs", Organizations: []string{"a"}, All: true, Roles: access.Operate | access.Labels, Clearance: []string{"R"},
		AccessMinutes: 7, Rotates: true, Launches: true, Introspects: true, Active: true,
	}
	added, secret, err := w.AddClient(t.Context(), c)
	if err != nil || secret != "" {
		t.Fatal(err)
	}
	got, err := w.Client(t.Context(), "full")
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Comparer(func(a, b oauth.Client) bool { return cmp.Equal(mustJSON(t, a), mustJSON(t, b)) })
	got.JWKS, got.Created = nil, added.Created
	if diff := cmp.Diff(added, *got, same); diff != "" {
		t.Error(diff)
	}
	if all, err := w.Clients(t.Context()); err != nil || len(all) != 7 || all[0].ID != "backend" {
		t.Errorf("%d clients, %v", len(all), err)
	}
	c.Name, c.Origins = "Changed", nil
	if err := w.UpdateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, err = w.Client(t.Context(), "full"); err != nil || got.Name != "Changed" || got.Origins[0] != "https://x.example" || got.Created.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := w.AddClient(t.Context(), c); err == nil {
		t.Error("added twice")
	}
	c.ID = "nobody"
	if err := w.UpdateClient(t.Context(), c); !errors.Is(err, oauth.ErrNoClient) {
		t.Error(err)
	}
	if _, err := w.NewSecret(t.Context(), "full"); err == nil {
		t.Error("a client with keys got a secret")
	}
	made, _, err := w.AddClient(t.Context(), oauth.Client{Name: "No id", Public: true})
	if err != nil || len(made.ID) != 22 {
		t.Errorf("%+v, %v", made, err)
	}
}

// TestClientRules says who cannot be registered.
func TestClientRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	base := oauth.Client{ID: "new", Name: "New", RedirectURIs: []string{"https://x.example/cb"}, Scopes: "openid", Active: true}
	for name, change := range map[string]func(*oauth.Client){
		"id with a slash":        func(c *oauth.Client) { c.ID = "a/b" },
		"id with a colon":        func(c *oauth.Client) { c.ID = "a:b" },
		"long id":                func(c *oauth.Client) { c.ID = strings.Repeat("a", 129) },
		"no name":                func(c *oauth.Client) { c.Name = "" },
		"name with a line break": func(c *oauth.Client) { c.Name = "a\nb" },
		"name that turns around": func(c *oauth.Client) { c.Name = "a\u202eb" },
		"public with keys":       func(c *oauth.Client) { c.Public, c.JWKSURL = true, "https://x.example/jwks" },
		"public with rights":     func(c *oauth.Client) { c.Public, c.All = true, true },
		"public that launches":   func(c *oauth.Client) { c.Public, c.Launches = true, true },
		"native with a secret":   func(c *oauth.Client) { c.Native = true },
		"two kinds of keys":      func(c *oauth.Client) { c.JWKSURL, c.JWKS = "https://x.example/jwks", w.keys.set },
		"secret and keys":        func(c *oauth.Client) { c.SecretHash, c.JWKS = make([]byte, 32), w.keys.set },
		"no key":                 func(c *oauth.Client) { c.JWKS = []byte(`{"keys":[]}`) },
		"keys that are none":     func(c *oauth.Client) { c.JWKS = []byte(`{`) },
		"symmetric key":          func(c *oauth.Client) { c.JWKS = []byte(`{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`) },
		"key without kid":        func(c *oauth.Client) { c.JWKS = []byte(strings.Replace(string(w.keys.set), `"kid":"rsa",`, "", 1)) },
		"one kid twice": func(c *oauth.Client) {
			c.JWKS = []byte(strings.Replace(string(w.keys.set), `"kid":"rsa"`, `"kid":"ec"`, 1))
		},
		"http keys":                func(c *oauth.Client) { c.JWKSURL = "http://x.example/jwks" },
		"http launch":              func(c *oauth.Client) { c.LaunchURLs = []string{"http://x.example/launch"} },
		"http redirect":            func(c *oauth.Client) { c.RedirectURIs = []string{"http://x.example/cb"} },
		"origin with a path":       func(c *oauth.Client) { c.Origins = []string{"https://x.example/"} },
		"any origin":               func(c *oauth.Client) { c.Origins = []string{"*"} },
		"null origin":              func(c *oauth.Client) { c.Origins = []string{"null"} },
		"scope nobody understands": func(c *oauth.Client) { c.Scopes = "openid patient/Patient.sr" },
		"organization of none":     func(c *oauth.Client) { c.Organizations = []string{"Organization/1"} },
		"two hours":                func(c *oauth.Client) { c.AccessMinutes = 120 },
	} {
		c := base
		change(&c)
		if _, _, err := w.AddClient(t.Context(), c); err == nil {
			t.Errorf("%s: registered", name)
		} else if code, _ := codeOf(err); code != "invalid_client_metadata" && code != "invalid_redirect_uri" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, secret, err := w.AddClient(t.Context(), base); err != nil || len(secret) != 43 {
		t.Error(err)
	}
}

// TestOrigins says whose scripts may read answers.
func TestOrigins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		client, origin string
		ok             bool
	}{
		{"spa", "https://app.example.org", true}, {"", "https://app.example.org", true}, {"backend", "https://app.example.org", false},
		{"spa", "https://evil.example", false}, {"", "https://evil.example", false}, {"spa", "null", false}, {"", "", false}, {"off", "https://app.example.org", false},
		{"sp\x00a", "https://app.example.org", false}, {"\xff", "https://app.example.org", false}, {"spa", "https://app.example.org\xff", false}, {"", "\x00", false},
	} {
		if got, err := w.AllowsOrigin(t.Context(), tt.client, tt.origin); err != nil || got != tt.ok {
			t.Errorf("%+v: %t, %v", tt, got, err)
		}
	}
}

// TestErrorText is RFC 6749 section 5.2: which characters an error_description has.
func TestErrorText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, err := w.AddClient(t.Context(), oauth.Client{Name: "x", Public: true, RedirectURIs: []string{"a\"b\\c\u00e4\n<script>"}})
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok || e.Description == "" || strings.ContainsFunc(e.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		t.Errorf("%v", err)
	}
}

// BenchmarkLive asks what a resource server asks for a token that it has not seen
// in the last seconds.
func BenchmarkLive(b *testing.B) {
	w := newWorld(b)
	grant := w.tokens(nil).Grant
	for b.Loop() {
		if live, err := w.Live(b.Context(), grant); err != nil || !live {
			b.Fatal(live, err)
		}
	}
}

// BenchmarkClientCredentials gives a token to a backend.
func BenchmarkClientCredentials(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		if _, err := w.Token(b.Context(), backendForm(w.signed(w.claim())), ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefresh uses a refresh token that stays.
func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	token := w.tokens(map[string]string{"client_id": "web"}).RefreshToken
	for b.Loop() {
		if _, err := w.refresh("web", token, nil); err != nil {
			b.Fatal(err)
		}
	}
}
