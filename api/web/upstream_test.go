package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth/login"
)

// A provider is an OpenID provider at which everybody is signed in already. How
// sure it is who they are is up to the test.
type provider struct {
	*httptest.Server
	mu     sync.Mutex
	nonce  string // of who was there last
	vector string // vot
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{vector: "P9.Cp.Cd"}
	answer := func(w http.ResponseWriter, body any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "k"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.nonce = r.FormValue("nonce")
		http.Redirect(w, r, r.FormValue("redirect_uri")+"?"+url.Values{"code": {"c"}, "state": {r.FormValue("state")}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		body, err := json.Marshal(map[string]any{"iss": p.URL, "sub": "s", "aud": "us", "nonce": p.nonce, "exp": time.Now().Add(time.Minute).Unix(), "nhs_number": "9434765919", "vot": p.vector, "name": "Ada from afar"})
		if err != nil {
			t.Error(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "k"}}, nil)
		if err != nil {
			t.Error(err)
			return
		}
		signed, err := signer.Sign(body)
		if err != nil {
			t.Error(err)
			return
		}
		compact, err := signed.CompactSerialize()
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": compact})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) config() login.Provider {
	return login.Provider{Name: "nhs", Display: "NHS login", Issuer: p.URL, ClientID: "us", ClientSecret: "s", Claim: "nhs_number", System: "https://fhir.nhs.uk/Id/nhs-number", Link: "Patient", VOT: []string{"P9.Cp.Cd"}}
}

// travel goes from the sign-in page to the provider and returns the address that
// leads back.
func (b *browser) travel(p *page) string {
	b.t.Helper()
	to := ""
	p.each("a", func(a map[string]string) {
		if a["id"] == "provider-nhs" {
			to = a["href"]
		}
	})
	away := b.get(to).Header.Get("Location")
	if !strings.HasPrefix(away, b.w.idp.URL+"/authorize?") {
		b.t.Fatalf("%q leads to %q", to, away)
	}
	there := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := there.Get(away)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	back, ok := strings.CutPrefix(resp.Header.Get("Location"), b.w.URL)
	if !ok {
		b.t.Fatalf("the provider leads to %s", back)
	}
	return back
}

func TestUpstreamSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.get("/auth/authorize?" + w.request(everything).Encode())
	p.wants(t, 200, "Continue with <bdi>NHS login")
	// C14: somebody else cannot be signed in by the address that leads back.
	stranger := w.browser(t)
	stranger.get("/auth/sign-in")
	stolen := b.travel(p)
	stranger.get(stolen).wants(t, 403, "belongs to another browser")
	back := b.travel(p)
	p = b.get(back)
	p.wants(t, 200, "Allow Growth", "Ada Lovelace", "Ada from afar")
	if answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow"))); answer.Patient != "ada" {
		t.Errorf("%+v", answer)
	}
	w.browser(t).get(back).wants(t, 403, "used before")
}

func TestUpstreamWeakAssuranceOpensNoRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.idp.vector = "P0"
	b := w.browser(t)
	p := b.get(b.travel(b.get("/auth/authorize?" + w.request(everything).Encode())))
	p.wants(t, 403, "not connected to a record", "does not prove well enough who you are")
	if strings.Contains(p.text, "Lovelace") {
		t.Error("the page names a patient")
	}
}

func TestUpstreamProviderIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.idp.Close()
	w.browser(t).get("/auth/upstream/nhs").wants(t, 503, "NHS login does not answer")
	w.browser(t).get("/auth/upstream/other").wants(t, 404, "no such way")
}
