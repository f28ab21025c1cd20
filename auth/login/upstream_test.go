package login_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// An issuer is an OpenID provider for one test. What a code says is up to the test.
type issuer struct {
	*httptest.Server
	clock *clock
	key   jose.JSONWebKey

	mu    sync.Mutex
	codes map[string]map[string]any // code → claims; "challenge" is no claim
	info  map[string]any            // the userinfo
	form  url.Values                // of the last token request
}

func newIssuer(t *testing.T, c *clock) *issuer {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{clock: c, key: jose.JSONWebKey{Key: private, KeyID: "k", Algorithm: "ES384"}, codes: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(t, w, map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/jwks",
			"userinfo_endpoint": i.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES384"},
		})
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) {
		i.answer(t, w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	})
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) { i.answer(t, w, i.info) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { i.token(t, w, r) })
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) answer(t *testing.T, w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		t.Error(err)
	}
}

func (i *issuer) token(t *testing.T, w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		t.Error(err)
	}
	i.form = r.PostForm
	claims := i.codes[r.PostForm.Get("code")]
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if claims == nil || claims["challenge"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		i.answer(t, w, map[string]string{"error": "invalid_grant"})
		return
	}
	i.answer(t, w, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": i.sign(t, claims)})
}

func (i *issuer) sign(t *testing.T, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(i.key.Algorithm), Key: i.key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// grant has somebody sign in who was sent to address, and returns what the browser
// comes back with. more are claims beside the usual ones.
func (i *issuer) grant(t *testing.T, address string, more map[string]any) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(address, i.URL+"/authorize?") || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		t.Fatalf("sent to %s", address)
	}
	claims := map[string]any{
		"iss": i.URL, "sub": "s", "aud": q.Get("client_id"), "nonce": q.Get("nonce"), "exp": i.clock.Now().Add(time.Minute).Unix(), "iat": i.clock.Now().Unix(),
		"challenge": q.Get("code_challenge"), "name": "Ada Lovelace", "vot": "P9.Cp.Cd",
	}
	for name, value := range more {
		claims[name] = value
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	code := rand.Text()
	i.codes[code] = claims
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

// upstream returns a Login with the provider nhs, on whose numbers the Patients
// of registry are found.
func upstream(t *testing.T, change func(*login.Provider)) (*login.Login, *issuer, *pgtest.Database) {
	t.Helper()
	c := newClock()
	i := newIssuer(t, c)
	p := login.Provider{
		Name: "nhs", Display: "NHS login", Issuer: i.URL, ClientID: "us", ClientSecret: "s3", Scopes: []string{"profile"},
		Claim: "nhs_number", System: "https://fhir.nhs.uk/Id/nhs-number", Link: "Patient", VOT: []string{"P9.Cp.Cd"},
	}
	if change != nil {
		change(&p)
	}
	registry := map[string][]fhir.Key{"1": {{Type: "Patient", ID: "one"}}, "2": {{Type: "Patient", ID: "a"}, {Type: "Patient", ID: "b"}}, "3": {{Type: "Practitioner", ID: "p"}}}
	db := pgtest.New(t)
	l := reopen(t, db, login.Config{Cost: cheap(), Now: c.Now, Issuer: "https://us.example", Providers: []login.Provider{p}, HTTP: i.Client(),
		Find: func(_ context.Context, typ, system, value string) ([]fhir.Key, error) {
			if typ != "Patient" || system != "https://fhir.nhs.uk/Id/nhs-number" {
				return nil, errors.New("asked for " + typ + " of " + system)
			}
			return registry[value], nil
		}})
	return l, i, db
}

const browser = "the secret of a browser"

func depart(t *testing.T, l *login.Login) string {
	t.Helper()
	address, err := l.Depart(t.Context(), "nhs", browser, "request-1")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestUpstreamLinksToExactlyOnePatient(t *testing.T) {
	t.Parallel()
	l, i, _ := upstream(t, nil)
	for _, tt := range []struct {
		what     string
		claims   map[string]any
		user     string
		unlinked login.Reason
	}{
		{"one", map[string]any{"nhs_number": "1"}, "Patient/one", ""},
		{"weak", map[string]any{"nhs_number": "1", "vot": "P5.Cp.Cd"}, "/", login.WeakAssurance},
		{"no assurance", map[string]any{"nhs_number": "1", "vot": nil}, "/", login.WeakAssurance},
		{"assurance of a wrong kind", map[string]any{"nhs_number": "1", "vot": []string{"P9.Cp.Cd"}}, "/", login.WeakAssurance},
		{"nobody", map[string]any{"nhs_number": "9"}, "/", login.NoRecord},
		{"two", map[string]any{"nhs_number": "2"}, "/", login.SeveralFound},
		{"again one", map[string]any{"nhs_number": "1"}, "Patient/one", ""},
		{"blank", map[string]any{"nhs_number": " "}, "/", login.NoIdentifier},
		{"a number of a wrong kind", map[string]any{"nhs_number": 1, "sub": "t"}, "/", login.NoIdentifier},
	} {
		i.info = map[string]any{"sub": "s"}
		if sub, ok := tt.claims["sub"]; ok {
			i.info["sub"] = sub
		}
		p, back, err := l.Arrive(t.Context(), "nhs", browser, i.grant(t, depart(t, l), tt.claims))
		if err != nil || p.User.String() != tt.user || p.Unlinked != tt.unlinked || back != "request-1" || p.Account.Staff || p.Provider != "nhs" {
			t.Errorf("%s: %+v, %q, %v", tt.what, p, back, err)
			continue
		}
		cookie, err := l.Begin(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Session(t.Context(), cookie)
		if err != nil || s.User != p.User || s.Unlinked != tt.unlinked || s.Account.Display != "Ada Lovelace" || s.Provider != "nhs" {
			t.Errorf("%s: %+v, %v", tt.what, s, err)
		}
	}
	all, err := l.Accounts(t.Context())
	if err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestUpstreamAccounts(t *testing.T) {
	t.Parallel()
	l, i, _ := upstream(t, nil)
	arrive := func(claims map[string]any) (login.Proof, error) {
		p, _, err := l.Arrive(t.Context(), "nhs", browser, i.grant(t, depart(t, l), claims))
		return p, err
	}
	first, err := arrive(map[string]any{"nhs_number": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SignIn(t.Context(), login.Credentials{Name: first.Account.Name}, home()); class(err) != "unauthorized" {
		t.Errorf("it takes an empty password: %v", err)
	}
	cookie, err := l.Begin(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := arrive(map[string]any{"nhs_number": "1", "vot": "P0"}); err != nil {
		t.Fatal(err)
	}
	if s, err := l.Session(t.Context(), cookie); err != nil || s.Account.User.ID != "one" {
		t.Errorf("a weak sign-in has changed the link: %+v, %v", s, err)
	}
	if _, err := arrive(map[string]any{"nhs_number": "2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Session(t.Context(), cookie); class(err) != "unauthorized" {
		t.Errorf("the session outlived its link: %v", err)
	}
	if err := l.Disable(t.Context(), first.Account.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := arrive(map[string]any{"nhs_number": "1"}); class(err) != "unauthorized" {
		t.Errorf("a disabled account: %v", err)
	}
}

func TestUpstreamRefusesForgeries(t *testing.T) {
	t.Parallel()
	l, i, _ := upstream(t, nil)
	number := map[string]any{"nhs_number": "1"}
	with := func(name string, value any) map[string]any { return map[string]any{"nhs_number": "1", name: value} }
	for what, query := range map[string]func(address string) url.Values{
		"nonce":             func(a string) url.Values { return i.grant(t, a, with("nonce", "other")) },
		"no nonce":          func(a string) url.Values { return i.grant(t, a, with("nonce", "")) },
		"audience":          func(a string) url.Values { return i.grant(t, a, with("aud", "them")) },
		"issuer":            func(a string) url.Values { return i.grant(t, a, with("iss", "https://evil.example")) },
		"expired":           func(a string) url.Values { return i.grant(t, a, with("exp", i.clock.Now().Add(-time.Hour).Unix())) },
		"no subject":        func(a string) url.Values { return i.grant(t, a, with("sub", "")) },
		"no text":           func(a string) url.Values { return i.grant(t, a, with("sub", "a\x00b")) },
		"number of no text": func(a string) url.Values { return i.grant(t, a, with("nhs_number", "1\x00")) },
		"challenge":         func(a string) url.Values { return i.grant(t, a, with("challenge", "other")) },
		"state": func(a string) url.Values {
			q := i.grant(t, a, number)
			q.Set("state", "forged")
			return q
		},
		"other issuer": func(a string) url.Values {
			q := i.grant(t, a, number)
			q.Set("iss", "https://evil.example")
			return q
		},
		"two codes": func(a string) url.Values {
			q := i.grant(t, a, number)
			q.Add("code", "injected")
			return q
		},
		"error": func(a string) url.Values {
			q := i.grant(t, a, number)
			q.Set("error", "access_denied")
			return q
		},
	} {
		if p, _, err := l.Arrive(t.Context(), "nhs", browser, query(depart(t, l))); class(err) != "unauthorized" || p.User.ID != "" {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	good := i.grant(t, depart(t, l), number)
	for _, other := range []string{"", "another browser"} {
		q := i.grant(t, depart(t, l), number)
		if _, _, err := l.Arrive(t.Context(), "nhs", other, q); class(err) != "unauthorized" {
			t.Errorf("browser %q: %v", other, err)
		}
	}
	if _, _, err := l.Arrive(t.Context(), "nhs", browser, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if _, _, err := l.Arrive(t.Context(), "nhs", browser, good); class(err) != "unauthorized" {
		t.Errorf("the good one again: %v", err)
	}
	late := i.grant(t, depart(t, l), number)
	i.clock.pass(10 * time.Minute)
	if _, _, err := l.Arrive(t.Context(), "nhs", browser, late); class(err) != "unauthorized" {
		t.Errorf("after ten minutes: %v", err)
	}
	if _, _, err := l.Arrive(t.Context(), "other", browser, good); class(err) != "unknown" {
		t.Errorf("an unknown provider: %v", err)
	}
}

func TestUpstreamUserinfo(t *testing.T) {
	t.Parallel()
	l, i, _ := upstream(t, nil)
	i.info = map[string]any{"sub": "s", "nhs_number": "1", "vot": "P0"}
	p, _, err := l.Arrive(t.Context(), "nhs", browser, i.grant(t, depart(t, l), nil))
	if err != nil || p.User.String() != "Patient/one" {
		t.Errorf("%+v, %v", p, err)
	}
	i.info = map[string]any{"sub": "somebody else", "nhs_number": "1"}
	if p, _, err := l.Arrive(t.Context(), "nhs", browser, i.grant(t, depart(t, l), nil)); class(err) != "unauthorized" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestUpstreamPrivateKey(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "ours", Algorithm: "ES256"}
	l, i, _ := upstream(t, func(p *login.Provider) { p.ClientSecret, p.Key = "", key })
	if _, _, err := l.Arrive(t.Context(), "nhs", browser, i.grant(t, depart(t, l), map[string]any{"nhs_number": "1"})); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(i.form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	body, err := signed.Verify(key.Public())
	if err != nil || signed.Signatures[0].Header.KeyID != "ours" {
		t.Fatal(err)
	}
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	if err := json.Unmarshal(body, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Iss != "us" || claims.Sub != "us" || claims.Aud != i.URL+"/token" || claims.Jti == "" || claims.Exp != i.clock.Now().Add(time.Minute).Unix() {
		t.Errorf("%s", body)
	}
	if i.form.Get("client_secret") != "" || i.form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		t.Errorf("%v", i.form)
	}
}

func TestUpstreamIsDown(t *testing.T) {
	t.Parallel()
	l, i, _ := upstream(t, nil)
	i.Close()
	if _, err := l.Depart(t.Context(), "nhs", browser, ""); class(err) != "unavailable" {
		t.Error(err)
	}
}

func TestProvidersAreChecked(t *testing.T) {
	t.Parallel()
	good := login.Provider{Name: "nhs", Issuer: "https://idp.example", ClientID: "us", ClientSecret: "s", Claim: "c", System: "s", Link: "Patient"}
	open := func(p ...login.Provider) error {
		_, err := login.Open(t.Context(), nil, login.Config{Cost: cheap(), Issuer: "https://us.example", Providers: p, HTTP: http.DefaultClient,
			Find: func(context.Context, string, string, string) ([]fhir.Key, error) { return nil, nil }})
		return err
	}
	if err := open(good); err != nil {
		t.Error(err)
	}
	if err := open(good, good); err == nil {
		t.Error("two of one name")
	}
	for what, change := range map[string]func(*login.Provider){
		"name":   func(p *login.Provider) { p.Name = "NHS/../x" },
		"issuer": func(p *login.Provider) { p.Issuer = "idp.example" },
		"client": func(p *login.Provider) { p.ClientID = "" },
		"secret": func(p *login.Provider) { p.ClientSecret = "" },
		"claim":  func(p *login.Provider) { p.Claim = "" },
		"link":   func(p *login.Provider) { p.Link = "Person" },
		"both":   func(p *login.Provider) { p.Key = jose.JSONWebKey{Key: []byte("x"), Algorithm: "HS256"} },
		"key":    func(p *login.Provider) { p.ClientSecret, p.Key = "", jose.JSONWebKey{Key: []byte("x")} },
	} {
		bad := good
		change(&bad)
		if open(bad) == nil {
			t.Errorf("a wrong %s is taken", what)
		}
	}
}
