package bearer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

const (
	testIssuer = "https://fhir.example.org"
	testBase   = "https://fhir.example.org/fhir"
	goodHeader = `{"alg":"ES256","typ":"at+jwt","kid":"k1"}`
)

// testECKey and testRSAKey are made once for all tests.
var (
	testECKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
	testRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func testKeys() jose.JSONWebKeySet {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: testECKey().Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"},
		{Key: testRSAKey().Public(), KeyID: "r1", Use: "sig"},
	}}
}

// sign makes a token of any header and payload, with the method and key given.
func sign(tb testing.TB, header, payload string, m jwt.SigningMethod, key any) string {
	tb.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	sig, err := m.Sign(signed, key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed + "." + b64(sig)
}

// signES signs with the EC key of the tests.
func signES(tb testing.TB, header, payload string) string {
	tb.Helper()
	return sign(tb, header, payload, jwt.SigningMethodES256, testECKey())
}

// clock is a clock that tests move.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// claims are those of a good token of ours, changed by with. A nil takes a
// claim away.
func (c *clock) claims(tb testing.TB, with map[string]any) string {
	tb.Helper()
	now := c.now().Unix()
	all := map[string]any{
		"iss": testIssuer, "aud": testBase, "sub": "account-1", "client_id": "app", "scope": "user/Patient.rs", "jti": "t1", "gid": "g1",
		"iat": now, "exp": now + 300, "fhirUser": "Practitioner/p1",
	}
	return asJSON(tb, all, with)
}

// asJSON returns the members of all, changed by with.
func asJSON(tb testing.TB, all, with map[string]any) string {
	tb.Helper()
	maps.Copy(all, with)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// world is what a Verifier asks.
type world struct {
	*clock
	mu       sync.Mutex
	revoked  map[string]bool
	inactive bool
	away     error // of every question
	claims   auth.Claims
	asked    atomic.Int64 // profiles
	pause    chan struct{}
}

func newWorld() *world { return &world{clock: newClock(), revoked: map[string]bool{}} }

func (w *world) live(_ context.Context, grant string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.revoked[grant], w.away
}

func (w *world) profile(_ context.Context, c auth.Claims) (auth.Profile, error) {
	if w.pause != nil {
		<-w.pause
	}
	w.asked.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.claims = c
	return auth.Profile{
		User: fhir.Key{Type: "Practitioner", ID: "p1"}, Parties: []access.Key{{Kind: access.Party, Of: "Practitioner/p1"}}, Active: !w.inactive,
	}, w.away
}

func (w *world) revoke(grant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[grant] = true
}

func (w *world) seen() auth.Claims {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.claims
}

func (w *world) config() Config {
	return Config{
		Audiences: []string{testBase}, Issuer: testIssuer, Now: w.now, Live: w.live, Profile: w.profile,
		Keys:  func(context.Context) (jose.JSONWebKeySet, error) { return testKeys(), nil },
		Known: func(string, string) bool { return true },
	}
}

// grant asks v with one token.
func grant(tb testing.TB, v *Verifier, token string) (access.Grant, error) {
	tb.Helper()
	return v.Grant(tb.Context(), []string{"Bearer " + token})
}

// accepts fails the test unless v accepts a token.
func accepts(tb testing.TB, v *Verifier, token string) {
	tb.Helper()
	g, err := grant(tb, v, token)
	if err != nil {
		tb.Fatalf("a good token is refused: %v", err)
	}
	if err := g.Allow(access.Read, "Patient"); err != nil {
		tb.Fatalf("the grant of a good token: %v", err)
	}
}

// class returns the class of the Outcome in err.
func class(tb testing.TB, err error) fhir.Class {
	tb.Helper()
	o := fhir.AsOutcome(err)
	if o == nil {
		tb.Fatalf("error %v has no Outcome", err)
	}
	return o.Class
}

// refuses fails the test unless v refuses a token with status 401.
func refuses(tb testing.TB, v *Verifier, token string) {
	tb.Helper()
	g, err := grant(tb, v, token)
	if err == nil {
		tb.Fatal("a bad token is accepted")
	}
	if got := class(tb, err); got != fhir.Unauthorized {
		tb.Fatalf("error %v is of class %d", err, got)
	}
	if g.Allow(access.Read, "Patient") == nil {
		tb.Fatal("a refused token grants something")
	}
}

// published is a server of JSON texts by path that counts what it is asked.
type published struct {
	*httptest.Server
	asked  atomic.Int64
	mu     sync.Mutex
	texts  map[string]string
	header http.Header
}

func newPublished(tb testing.TB) *published {
	tb.Helper()
	p := &published{texts: map[string]string{}, header: http.Header{}}
	p.Server = httptest.NewServer(p)
	tb.Cleanup(p.Close)
	return p
}

// ServeHTTP answers with the text of the path.
func (p *published) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked.Add(1)
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", "application/json")
	text, ok := p.texts[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = w.Write([]byte(text))
}

func (p *published) publish(path, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.texts[path] = text
}

func (p *published) say(cacheControl string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.header.Set("Cache-Control", cacheControl)
}

func testKeysJSON(tb testing.TB) string {
	tb.Helper()
	b, err := json.Marshal(testKeys())
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
