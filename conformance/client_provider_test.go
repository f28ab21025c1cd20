package conformance_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// A nationalLogin is an OpenID provider that knows people by their NHS numbers.
type nationalLogin struct {
	*httptest.Server
	t    *testing.T
	keys *keyring
	key  jose.JSONWebKey

	mu    sync.Mutex
	says  map[string]any       // of whoever comes next; guarded by mu
	codes map[string]departure // guarded by mu
}

// A departure is what the provider was asked for, and what it says of the person.
type departure struct {
	asked url.Values
	says  map[string]any
}

func newNationalLogin(t *testing.T) *nationalLogin {
	t.Helper()
	p := &nationalLogin{t: t, key: newKey(t, jose.RS256), codes: map[string]departure{}}
	p.keys = newKeyring(t, p.key)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// next sets what the provider says of whoever comes next.
func (p *nationalLogin) next(says map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says = says
}

func answerJSON(w http.ResponseWriter, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // who asked may be gone
}

func (p *nationalLogin) discovery(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.keys.URL,
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"pairwise"}, "id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// authorize sends the person back at once.
func (p *nationalLogin) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, code := r.URL.Query(), rand.Text()
	p.codes[code] = departure{q, p.says}
	if q.Get("client_id") != "openconsult" || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" {
		p.t.Errorf("the provider is asked %v", q)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
}

func (p *nationalLogin) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := r.PostFormValue("code")
	d, ok := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != d.asked.Get("code_challenge") || id != "openconsult" || secret != "a-secret" {
		w.WriteHeader(http.StatusBadRequest)
		answerJSON(w, map[string]any{"error": "invalid_grant"})
		return
	}
	claims := with(map[string]any{"iss": p.URL, "aud": "openconsult", "exp": minutes(5), "iat": minutes(0), "nonce": d.asked.Get("nonce"), "acr": "strong"}, d.says)
	answerJSON(w, map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": signed(p.t, p.key, "JWT", claims)})
}

// TestUpstreamProvider has patients sign in at a national provider: each is linked
// to the one Patient with the number that the provider vouches for, or to nobody.
func TestUpstreamProvider(t *testing.T) {
	t.Parallel()
	p := newNationalLogin(t)
	s := newStation(t, "--providers="+writeFile(t, "providers.yaml", `
- name: national
  display: National login
  issuer: `+p.URL+`
  client-id: openconsult
  client-secret: a-secret
  scopes: [profile]
  claim: nhs_number
  system: https://fhir.nhs.uk/Id/nhs-number
  link: Patient
  acr: [strong]
`))
	s.command("client", "add", "--id", "registrar", "--name", "Registrar", "--all", "--role", "administer", "--scope", "system/*.cruds")
	registrar := s.token("--client", "registrar")
	for range 2 {
		s.expect(201, registrar, "POST Patient", `{"resourceType":"Patient","identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990000042"}],"managingOrganization":{"reference":"Organization/demo-practice"}}`)
	}
	verifier := oauth2.GenerateVerifier()
	leave := func(t *testing.T, says map[string]any) *visitor {
		p.next(says)
		v := newVisitor(t, phoneRedirect)
		v.open(s.phoneRequest("openid fhirUser launch/patient patient/*.rs", oauth2.S256ChallengeFromVerifier(verifier)))
		v.open(s.origin + attribute(v.element("provider-national"), "href"))
		return v
	}
	t.Run("linked", func(t *testing.T) {
		for range 2 {
			v := leave(t, map[string]any{"sub": "person-1", "nhs_number": "9990000018", "name": "Ada Sample"})
			v.press("allow", nil)
			a := (&phone{station: s, verifier: verifier}).redeem(v.returned().Get("code"))
			if a.status != 200 || a.text("patient") != "demo-ada" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			s.expect(200, a.text("access_token"), "GET Patient/demo-ada", "")
			s.expect(404, a.text("access_token"), "GET Patient/demo-ben", "")
		}
	})
	t.Run("linked no more", func(t *testing.T) {
		v := leave(t, map[string]any{"sub": "person-7", "nhs_number": "9990000018"})
		v.press("allow", nil)
		token := (&phone{station: s, verifier: verifier}).redeem(v.returned().Get("code")).text("access_token")
		s.expect(200, token, "GET Patient/demo-ada", "")
		if v := leave(t, map[string]any{"sub": "person-7", "nhs_number": "9990000999"}); v.find("unlinked") == nil {
			t.Errorf("at %s it says %s", v.at, v.says())
		}
		refusedSoon(t, s.base, token, "Patient/demo-ada")
	})
	for name, tt := range map[string]struct {
		says map[string]any
		want string
	}{
		"several have the number": {map[string]any{"sub": "person-2", "nhs_number": "9990000042"}, "More than one"},
		"nobody has it":           {map[string]any{"sub": "person-3", "nhs_number": "9990000999"}, "Nobody with your number"},
		"no number":               {map[string]any{"sub": "person-4"}, "did not tell us your number"},
		"weak":                    {map[string]any{"sub": "person-5", "nhs_number": "9990000026", "acr": "weak"}, "does not prove well enough"},
	} {
		t.Run(name, func(t *testing.T) {
			v := leave(t, tt.says)
			if v.find("unlinked") == nil || !strings.Contains(v.says(), tt.want) {
				t.Errorf("at %s it says %s", v.at, v.says())
			}
			v.press("refuse", nil)
			if got := v.returned().Get("error"); got != "access_denied" {
				t.Errorf("the app is told %q", got)
			}
		})
	}
	for name, says := range map[string]map[string]any{
		"another audience": {"sub": "person-6", "nhs_number": "9990000026", "aud": "somebody"},
		"another issuer":   {"sub": "person-6", "nhs_number": "9990000026", "iss": "https://elsewhere.example"},
		"another nonce":    {"sub": "person-6", "nhs_number": "9990000026", "nonce": "x"},
		"expired":          {"sub": "person-6", "nhs_number": "9990000026", "exp": minutes(-5)},
	} {
		t.Run(name, func(t *testing.T) {
			if v := leave(t, says); v.find("error-summary") == nil || v.find("allow") != nil {
				t.Errorf("at %s it says %s", v.at, v.says())
			}
		})
	}
}
