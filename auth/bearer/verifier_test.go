package bearer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

func TestOwnToken(t *testing.T) {
	t.Parallel()
	w := newWorld()
	token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"patient": "p2", "encounter": "e1", "org": []string{"o1", "o2"}}))
	accepts(t, New(w.config()), token)
	c := w.seen()
	if c.Issuer != testIssuer || c.Subject != "account-1" || c.Client != "app" || c.Grant != "g1" || c.Scope != "user/Patient.rs" || !c.OwnIssuer {
		t.Errorf("claims %+v", c)
	}
	if c.Patient != "p2" || c.FHIRUser != "Practitioner/p1" || fmt.Sprint(c.Organizations) != "[o1 o2]" || !c.Expires.Equal(w.now().Add(300*time.Second)) {
		t.Errorf("claims %+v", c)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	for _, tt := range []struct {
		headers []string
		code    fhir.Code // empty: it is accepted
	}{
		{[]string{"Bearer " + token}, ""},
		{[]string{"bearer " + token}, ""},
		{[]string{"BEARER " + token}, ""},
		{nil, fhir.Login},
		{[]string{""}, fhir.Login},
		{[]string{"Basic YTpi"}, fhir.Login},
		{[]string{"DPoP " + token}, fhir.Login},
		{[]string{token}, fhir.Login},
		{[]string{"Bearer"}, fhir.Security},
		{[]string{"Bearer "}, fhir.Security},
		{[]string{"Bearer  " + token}, fhir.Security},
		{[]string{"Bearer\t" + token}, fhir.Login},
		{[]string{"Bearer " + token + " "}, fhir.Security},
		{[]string{"Bearer " + token, "Bearer " + token}, fhir.Security},
		{[]string{"Bearer " + token, "Basic YTpi"}, fhir.Security},
		{[]string{"Bearer " + token + ", Bearer " + token}, fhir.Security},
		{[]string{"Bearer " + token + ",Basic YTpi"}, fhir.Security},
		{[]string{`Bearer "` + token + `"`}, fhir.Security},
		{[]string{"Bearer " + strings.Repeat("a", maxToken+1)}, fhir.Security},
	} {
		g, err := v.Grant(t.Context(), tt.headers)
		if tt.code == "" {
			if err != nil || g.Allow(access.Read, "Patient") != nil {
				t.Errorf("%.30q: %v", tt.headers, err)
			}
			continue
		}
		if class(t, err) != fhir.Unauthorized || fhir.AsOutcome(err).Issues[0].Code != tt.code {
			t.Errorf("%.30q: %v", tt.headers, err)
		}
	}
}

// TestC18TokenInURL refuses a token in the query, also next to a good one in
// the header.
func TestC18TokenInURL(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	for target, ok := range map[string]bool{
		"/fhir/Patient?name=x":                  true,
		"/fhir/Patient?access_token=" + token:   false,
		"/fhir/Patient?access%5Ftoken=" + token: false,
		"/fhir/Patient?a=%zz&access_token=x":    false,
		"/fhir/Patient?access_token":            false,
	} {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		_, err := v.Request(r)
		if (err == nil) != ok || err != nil && class(t, err) != fhir.Unauthorized {
			t.Errorf("%.40s: %v", target, err)
		}
		r.Header.Del("Authorization")
		if _, err := v.Request(r); err == nil {
			t.Errorf("%.40s is accepted without a header", target)
		}
	}
}

// TestC18NoEcho looks for the token in what its sender is told.
func TestC18NoEcho(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	const secret = "echo-of-a-secret"
	for _, payload := range []string{
		`{"iss":"` + secret + `"}`, `{"iss":"` + testIssuer + `","aud":"` + secret + `"}`, `{"` + secret + `":1,"` + secret + `":2}`, secret,
		w.clock.claims(t, map[string]any{"patient": secret + "!"}), w.clock.claims(t, map[string]any{"aud": secret}),
	} {
		for _, header := range []string{goodHeader, `{"alg":"` + secret + `"}`, `{"alg":"ES256","kid":"` + secret + `"}`, secret} {
			if _, err := grant(t, v, signES(t, header, payload)); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s of %s: %v", payload, header, err)
			}
		}
	}
}

// TestC3Mistaken sends other things that are signed by this server, and what
// lacks what an access token has.
func TestC3Mistaken(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	good := w.clock.claims(t, nil)
	accepts(t, v, signES(t, goodHeader, good))
	for _, header := range []string{
		`{"alg":"ES256","kid":"k1"}`, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, `{"alg":"ES256","kid":"k1","typ":"at+JWT"}`, `{"alg":"ES256","kid":"k1","typ":"application/at+jwt"}`,
		`{"alg":"ES256","typ":"at+jwt"}`, `{"alg":"ES256","kid":"k2","typ":"at+jwt"}`, `{"alg":"ES256","kid":"k1","typ":"at+jwt","jku":"https://fhir.example.org/auth/jwks"}`,
	} {
		refuses(t, v, signES(t, header, good))
	}
	// The id_token key signs no access tokens.
	refuses(t, v, sign(t, `{"alg":"RS256","typ":"at+jwt","kid":"r1"}`, good, jwt.SigningMethodRS256, testRSAKey()))
	for _, name := range []string{"iss", "aud", "sub", "client_id", "jti", "gid", "iat", "exp"} {
		refuses(t, v, signES(t, goodHeader, w.clock.claims(t, map[string]any{name: nil})))
		for _, wrong := range []any{"", 17, true, []any{}, map[string]any{"a": 1}, []any{1}} {
			refuses(t, v, signES(t, goodHeader, w.clock.claims(t, map[string]any{name: wrong})))
		}
	}
	for name, wrong := range map[string]any{"scope": 1, "patient": "a b", "encounter": "Patient/1", "fhirUser": []any{"a"}, "org": 1, "nbf": "x", "cnf": map[string]any{"jkt": "x"}} {
		refuses(t, v, signES(t, goodHeader, w.clock.claims(t, map[string]any{name: wrong})))
	}
	for _, twice := range []string{`"sub":"a",`, `"Sub":"a",`, `"GID":"g2",`, `"Nbf":1,`} {
		refuses(t, v, signES(t, goodHeader, strings.Replace(good, "{", "{"+twice, 1)))
	}
}

// TestC4Audience sends tokens for others. TestC22 has lists.
func TestC4Audience(t *testing.T) {
	t.Parallel()
	w := newWorld()
	c := w.config()
	c.Audiences = append(c.Audiences, "https://fhir.example.org/r4")
	v := New(c)
	for aud, ok := range map[string]bool{
		testBase: true, "https://fhir.example.org/r4": true, testBase + "/": false, "https://fhir.example.org": false, "HTTPS://FHIR.EXAMPLE.ORG/FHIR": false,
		"https://other.example.org/fhir": false, testBase + ".evil.example": false, "app": false, "": false,
	} {
		token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"aud": aud}))
		if _, err := grant(t, v, token); (err == nil) != ok {
			t.Errorf("audience %q: %v", aud, err)
		}
	}
	c.Audiences = nil
	refuses(t, New(c), signES(t, goodHeader, w.clock.claims(t, nil)))
}

func TestC22AudienceList(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	accepts(t, v, signES(t, goodHeader, w.clock.claims(t, map[string]any{"aud": []string{testBase}})))
	for _, aud := range []any{[]string{testBase, "https://evil.example"}, []string{"https://evil.example", testBase}, []string{testBase, testBase}, []any{testBase, 1}, []any{[]string{testBase}}, testBase + " https://evil.example"} {
		refuses(t, v, signES(t, goodHeader, w.clock.claims(t, map[string]any{"aud": aud})))
	}
}

// TestC7Times moves the times of a token around now.
func TestC7Times(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	now := w.now().Unix()
	for _, tt := range []struct {
		name          string
		iat, exp, nbf any
		ok            bool
	}{
		{"now", now, now + 300, nil, true},
		{"for ten minutes", now, now + 600, nil, true},
		{"for ten minutes, and clocks apart", now, now + 605, nil, true},
		{"for longer", now, now + 606, nil, false},
		{"for a year, issued long ago", now - 86400*365, now + 60, nil, false},
		{"about to expire", now - 300, now + 1, nil, true},
		{"expired, and clocks apart", now - 300, now - 4, nil, true},
		{"expired", now - 300, now - 5, nil, false},
		{"issued by a clock that is fast", now + 5, now + 300, nil, true},
		{"issued later", now + 6, now + 300, nil, false},
		{"good since now", now, now + 300, now, true},
		{"good later", now, now + 300, now + 6, false},
		{"parts of a second", float64(now) + 0.5, float64(now) + 300.5, nil, true},
		{"expires never", now, nil, nil, false},
		{"issued never", nil, now + 300, nil, false},
		{"far too late", now, 1e15, nil, false},
		{"negative", -1, now + 300, nil, false},
		{"text", now, fmt.Sprint(now + 300), nil, false},
	} {
		token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"iat": tt.iat, "exp": tt.exp, "nbf": tt.nbf}))
		if _, err := grant(t, v, token); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestC1Verifier sends forged tokens in at the front door.
func TestC1Verifier(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	good := w.clock.claims(t, nil)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	accepts(t, v, signES(t, goodHeader, good))
	refuses(t, v, sign(t, goodHeader, good, jwt.SigningMethodES256, other))
	refuses(t, v, sign(t, `{"alg":"HS256","typ":"at+jwt","kid":"k1"}`, good, jwt.SigningMethodHS256, []byte("k1")))
	refuses(t, v, sign(t, `{"alg":"none","typ":"at+jwt","kid":"k1"}`, good, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType))
	c := w.config()
	c.Issuer = ""
	refuses(t, New(c), signES(t, goodHeader, good))
	refuses(t, New(c), signES(t, goodHeader, w.clock.claims(t, map[string]any{"iss": ""})))
}

// TestClosed has a Verifier that lacks what it would ask.
func TestClosed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	accepts(t, New(w.config()), token)
	for name, without := range map[string]func(*Config){
		"keys":     func(c *Config) { c.Keys = nil },
		"live":     func(c *Config) { c.Live = nil },
		"profile":  func(c *Config) { c.Profile = nil },
		"audience": func(c *Config) { c.Audiences = nil },
		"all":      func(c *Config) { *c = Config{Now: w.now} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.config()
			without(&c)
			refuses(t, New(c), token)
		})
	}
}

// TestAway has nobody answer: that is no reason to sign in again, and is not
// kept.
func TestAway(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	w := newWorld()
	c := w.config()
	var keysAway error
	c.Keys = func(context.Context) (jose.JSONWebKeySet, error) { return testKeys(), keysAway }
	v := New(c)
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	for _, set := range []func(error){func(e error) { w.away = e }, func(e error) { keysAway = e }} {
		set(cause)
		_, err := grant(t, v, token)
		if class(t, err) != fhir.Unavailable || !errors.Is(err, cause) {
			t.Errorf("error %v", err)
		}
		set(nil)
		accepts(t, v, token)
		v.Forget("g1")
	}
}

// TestRevoked takes a grant away: at once on this server, within five seconds
// on others.
func TestRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld()
	here, there := New(w.config()), New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	other := signES(t, goodHeader, w.clock.claims(t, map[string]any{"gid": "g2"}))
	for _, v := range []*Verifier{here, there} {
		accepts(t, v, token)
		accepts(t, v, other)
	}
	w.revoke("g1")
	here.Forget("g1")
	refuses(t, here, token)
	accepts(t, here, other)
	accepts(t, there, token)
	w.advance(knownFor - time.Nanosecond)
	accepts(t, there, token)
	w.advance(time.Nanosecond)
	refuses(t, there, token)
	accepts(t, there, other)
}

// TestInactive has the person leave.
func TestInactive(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	accepts(t, v, token)
	w.mu.Lock()
	w.inactive = true
	w.mu.Unlock()
	w.advance(knownFor)
	refuses(t, v, token)
}

// TestCached asks once in five seconds, also for a token that is refused, and
// never keeps a token longer than it is good.
func TestCached(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"iat": w.now().Unix() - 298, "exp": w.now().Unix() + 2}))
	for range 10 {
		accepts(t, v, token)
	}
	if n := w.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.advance(2 * time.Second)
	accepts(t, v, token) // by the skew
	if n := w.asked.Load(); n != 2 {
		t.Errorf("asked %d times once it has expired", n)
	}
	w.advance(ownSkew)
	refuses(t, v, token)
}

// TestForgetUnderWay revokes a grant while a token of it is being judged: the
// verdict is not kept, and who asks later does not get it.
func TestForgetUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.pause = make(chan struct{})
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	early := make(chan error, 1)
	go func() {
		_, err := v.Grant(context.Background(), []string{"Bearer " + token})
		early <- err
	}()
	w.pause <- struct{}{} // it has been asked whether the grant is live
	w.revoke("g1")
	v.Forget("g1")
	if err := <-early; err != nil {
		t.Errorf("who asked before: %v", err)
	}
	refuses(t, v, token)
}

// TestTogether has many ask about one token at the same time.
func TestTogether(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := v.Grant(context.Background(), []string{"Bearer " + token}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestWhoLeaves has one leave while the token is judged.
func TestWhoLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.pause = make(chan struct{})
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := v.Grant(ctx, []string{"Bearer " + token}); class(t, err) != fhir.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(w.pause)
	accepts(t, v, token)
	if n := w.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestJunk fills the cache with junk, which drives out no good token.
func TestJunk(t *testing.T) {
	t.Parallel()
	w := newWorld()
	v := New(w.config())
	token := signES(t, goodHeader, w.clock.claims(t, nil))
	accepts(t, v, token)
	for i := range maxBad + 500 {
		if _, err := v.Grant(t.Context(), []string{fmt.Sprintf("Bearer junk%d", i)}); err == nil {
			t.Fatal("junk is accepted")
		}
	}
	accepts(t, v, token)
	if n := w.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if n := len(v.cache.bad); n != maxBad {
		t.Errorf("%d refused tokens are kept", n)
	}
}

func TestMakeRoom(t *testing.T) {
	t.Parallel()
	c := newCache()
	for i := range maxGood + 100 {
		c.keep(digest{byte(i), byte(i >> 8), byte(i >> 16)}, kept{}, 0)
	}
	if len(c.good) != maxGood {
		t.Errorf("%d tokens are kept", len(c.good))
	}
}
