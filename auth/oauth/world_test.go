package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

const (
	issuer   = "https://fhir.example.org"
	fhirBase = issuer + "/fhir"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	callback = "https://app.example.org/cb"
)

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A world is a server with some clients.
type world struct {
	*oauth.Server
	t      testing.TB
	db     *pgtest.Database
	clock  *clock
	secret string // of the client "web"
	keys   *keyPair

	mu      sync.Mutex
	revoked []string
	gone    map[string]bool // browser sessions that have ended
}

func newWorld(t testing.TB) *world { return worldOf(t, func(*oauth.Config) {}) }

func worldOf(t testing.TB, change func(*oauth.Config)) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.New(t), clock: &clock{now: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}, keys: newKeyPair(t), gone: map[string]bool{}}
	c := oauth.Config{
		Issuer: issuer, FHIRBase: fhirBase, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler),
		Known: func(typ, param string) bool { return param == "category" },
		Sees:  func(_ context.Context, _ fhir.Key, patient string) (bool, error) { return patient != "hidden", nil },
		Session: func(_ context.Context, id string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return !w.gone[id], nil
		},
		Revoked: func(grant string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.revoked = append(w.revoked, grant)
		},
	}
	change(&c)
	s, err := oauth.Open(t.Context(), w.db.DB, c)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	const scopes = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.cruds user/*.cruds"
	w.add(oauth.Client{ID: "spa", Name: "Growth chart", Public: true, RedirectURIs: []string{callback, callback + "?tab=1"}, LaunchURLs: []string{"https://app.example.org/launch"}, Scopes: scopes, Active: true})
	w.add(oauth.Client{ID: "cli", Name: "Command line", Public: true, Native: true, RedirectURIs: []string{"http://127.0.0.1/cb", "org.example.app:/cb"}, Scopes: scopes, Active: true})
	w.secret = w.add(oauth.Client{ID: "web", Name: "Portal", RedirectURIs: []string{callback}, Scopes: scopes, Active: true})
	w.add(oauth.Client{ID: "other", Name: "Another app", Public: true, RedirectURIs: []string{callback}, Scopes: scopes, Active: true})
	w.add(oauth.Client{ID: "off", Name: "Switched off", Public: true, RedirectURIs: []string{callback}, Scopes: scopes})
	w.add(oauth.Client{ID: "backend", Name: "Warehouse", JWKS: w.keys.set, Scopes: "system/Patient.rs system/Observation.rs", Organizations: []string{"a", "b"}, Active: true})
	return w
}

// add registers a client and returns its secret.
func (w *world) add(c oauth.Client) string {
	w.t.Helper()
	_, secret, err := w.AddClient(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// request is an authorization request that is good, but for what change says. An
// empty value takes a parameter away.
func request(change map[string]string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"spa"}, "redirect_uri": {callback}, "state": {"s t&=ate"}, "aud": {fhirBase},
		"scope":          {"openid fhirUser launch/patient offline_access patient/*.rs"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for name, value := range change {
		v.Set(name, value)
		if value == "" {
			v.Del(name)
		}
	}
	return v
}

// code goes through authorization and returns the parameters that the client gets.
func (w *world) code(change map[string]string) url.Values {
	w.t.Helper()
	r, err := w.Ask(w.t.Context(), request(change))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.agree(r, oauth.Decision{Patient: "p1"})
}

// agree lets a clinician agree to all that r asks.
func (w *world) agree(r *oauth.Request, d oauth.Decision) url.Values {
	w.t.Helper()
	to, err := w.Grant(w.t.Context(), w.decision(r, d))
	if err != nil {
		w.t.Fatal(err)
	}
	return queryOf(w.t, to)
}

func (w *world) decision(r *oauth.Request, d oauth.Decision) oauth.Decision {
	d.Request, d.Scopes, d.AuthTime = r.ID, r.Scopes, w.clock.Now()
	if d.Account == "" {
		d.Account, d.User = "acc1", fhir.Key{Type: "Practitioner", ID: "dr"}
	}
	return d
}

func queryOf(t testing.TB, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// redemption is the form that redeems a code of request.
func redemption(code string, change map[string]string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "client_id": {"spa"}, "code_verifier": {verifier}}
	for name, value := range change {
		v.Set(name, value)
		if value == "" {
			v.Del(name)
		}
	}
	return v
}

// tokens goes all the way to tokens.
func (w *world) tokens(change map[string]string) oauth.TokenResponse {
	w.t.Helper()
	c := w.code(change)
	form := redemption(c.Get("code"), nil)
	authorization := ""
	if id := change["client_id"]; id != "" {
		form.Set("client_id", id)
		if id == "web" {
			authorization = w.basic()
		}
	}
	t, err := w.Token(w.t.Context(), form, authorization)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) basic() string { return basicAuth("web", w.secret) }

func (w *world) refresh(client, token string, more map[string]string) (oauth.TokenResponse, error) {
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {client}}
	for name, value := range more {
		v.Set(name, value)
	}
	authorization := ""
	if client == "web" {
		authorization = w.basic()
	}
	return w.Token(w.t.Context(), v, authorization)
}

// live reports whether an access token is good, as a resource server that knows
// the keys would find.
func (w *world) live(token string) bool {
	w.t.Helper()
	claims := w.claims(token)
	live, err := w.Live(w.t.Context(), claims["gid"].(string))
	if err != nil {
		w.t.Fatal(err)
	}
	return live && time.Unix(int64(claims["exp"].(float64)), 0).After(w.clock.Now())
}

// claims verifies the signature of a token of the server, and returns what it
// says.
func (w *world) claims(token string) jwt.MapClaims {
	w.t.Helper()
	parsed, err := jwt.NewParser(jwt.WithoutClaimsValidation()).Parse(token, w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return maps.Clone(parsed.Claims.(jwt.MapClaims))
}

func (w *world) key(t *jwt.Token) (any, error) {
	set, err := w.JWKS(w.t.Context())
	if err != nil {
		return nil, err
	}
	for _, k := range set.Keys {
		if k.KeyID == t.Header["kid"] && k.Algorithm == t.Header["alg"] {
			return k.Key, nil
		}
	}
	return nil, errors.New("no key")
}

// codeOf returns the code of an *Error with its status, or "".
func codeOf(err error) (string, int) {
	if e, ok := errors.AsType[*oauth.Error](err); ok {
		return e.Code, e.Status
	}
	return "", 0
}

// wants fails the test unless err is an *Error with that code.
func wants(t testing.TB, err error, code string) {
	t.Helper()
	if got, status := codeOf(err); got != code || status != 400 && status != 401 {
		t.Errorf("got %v (%d), want %s", err, status, code)
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func scopeSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, s := range strings.Fields(text) {
		set[s] = true
	}
	return set
}

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}
