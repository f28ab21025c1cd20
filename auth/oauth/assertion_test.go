package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/auth/oauth"
)

// A keyPair is what a backend client signs with.
type keyPair struct {
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
	set []byte
}

// sharedRSA is made once, since that takes long.
var sharedRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKeyPair(t testing.TB) *keyPair {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sharedRSA()
	if err != nil {
		t.Fatal(err)
	}
	k := &keyPair{ec: ec, rsa: r}
	k.set = []byte(mustJSON(t, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: ec.Public(), KeyID: "ec"}, {Key: r.Public(), KeyID: "rsa"}, {Key: r.Public(), KeyID: "ec"}}}))
	return k
}

func (k *keyPair) signer(alg string) any {
	if alg[0] == 'E' {
		return k.ec
	}
	return k.rsa
}

// A claim is a client assertion in the making, good but for what a test changes.
type claim struct {
	alg    string
	header map[string]any
	body   jwt.MapClaims
}

func (w *world) claim() *claim {
	return &claim{"ES384", map[string]any{"kid": "ec", "typ": "JWT"}, jwt.MapClaims{
		"iss": "backend", "sub": "backend", "aud": issuer + "/auth/token", "exp": w.clock.Now().Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	}}
}

func (w *world) signed(c *claim) string {
	w.t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(c.alg), c.body)
	for name, v := range c.header {
		token.Header[name] = v
	}
	var key any = jwt.UnsafeAllowNoneSignatureType
	if c.alg != "none" {
		key = w.keys.signer(c.alg)
	}
	text, err := token.SignedString(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func backendForm(assertion string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.rs"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
}

// TestAssertion holds private_key_jwt against RFC 7523 section 3, SMART's
// asymmetric client authentication, and attacks C1, C2, C7 and C22.
func TestAssertion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, tt := range map[string]struct {
		change func(*claim)
		ok     bool
	}{
		"as SMART has it, no iat, aud is the token URL": {func(*claim) {}, true},
		"RS384":                                {func(c *claim) { c.alg, c.header["kid"] = "RS384", "rsa" }, true},
		"one kid for two kinds of keys":        {func(c *claim) { c.alg = "RS384" }, true},
		"aud is the issuer":                    {func(c *claim) { c.body["aud"] = issuer }, true},
		"aud is an array of one":               {func(c *claim) { c.body["aud"] = []string{issuer + "/auth/token"} }, true},
		"C7 the server's clock is 30 s behind": {func(c *claim) { c.body["exp"] = in(330 * time.Second) }, true},
		"expired within the skew":              {func(c *claim) { c.body["exp"] = in(-30 * time.Second) }, true},
		"C7 exp is 400 s ahead":                {func(c *claim) { c.body["exp"] = in(400 * time.Second) }, false},
		"expired":                              {func(c *claim) { c.body["exp"] = in(-2 * time.Minute) }, false},
		"no exp":                               {func(c *claim) { delete(c.body, "exp") }, false},
		"exp is a string":                      {func(c *claim) { c.body["exp"] = fmt.Sprint(in(time.Minute)) }, false},
		"nbf is ahead":                         {func(c *claim) { c.body["nbf"] = in(2 * time.Minute) }, false},
		"no jti":                               {func(c *claim) { delete(c.body, "jti") }, false},
		"jti is longer than 255":               {func(c *claim) { c.body["jti"] = fmt.Sprintf("%0256d", 1) }, false},
		"no aud":                               {func(c *claim) { delete(c.body, "aud") }, false},
		"C7 aud is another server":             {func(c *claim) { c.body["aud"] = "https://evil.example/auth/token" }, false},
		"C22 aud names another server, too":    {func(c *claim) { c.body["aud"] = []string{issuer + "/auth/token", "https://evil.example"} }, false},
		"aud is the FHIR base":                 {func(c *claim) { c.body["aud"] = fhirBase }, false},
		"sub is another client":                {func(c *claim) { c.body["sub"] = "web" }, false},
		"iss is another client":                {func(c *claim) { c.body["iss"] = "web" }, false},
		"iss is unknown":                       {func(c *claim) { c.body["iss"], c.body["sub"] = "nobody", "nobody" }, false},
		"no kid":                               {func(c *claim) { delete(c.header, "kid") }, false},
		"C2 kid is unknown":                    {func(c *claim) { c.header["kid"] = "x" }, false},
		"C2 kid is a path":                     {func(c *claim) { c.header["kid"] = "../../ec" }, false},
		"kid of a key of another kind":         {func(c *claim) { c.alg = "ES384"; c.header["kid"] = "rsa" }, false},
		"C1 alg none":                          {func(c *claim) { c.alg = "none" }, false},
		"RS256 is not offered":                 {func(c *claim) { c.alg, c.header["kid"] = "RS256", "rsa" }, false},
		"C2 crit":                              {func(c *claim) { c.header["crit"] = []string{"exp"} }, false},
		"C2 jwk":                               {func(c *claim) { c.header["jwk"] = map[string]string{"kty": "EC"} }, false},
		"C2 x5u":                               {func(c *claim) { c.header["x5u"] = "https://evil.example/x" }, false},
		"jku where the keys were registered":   {func(c *claim) { c.header["jku"] = "https://evil.example/jwks" }, false},
	} {
		c := w.claim()
		tt.change(c)
		_, err := w.Token(t.Context(), backendForm(w.signed(c)), "")
		if !tt.ok {
			if code, status := codeOf(err); code != "invalid_client" || status != http.StatusUnauthorized {
				t.Errorf("%s: %v, want invalid_client", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAssertionSignedWithPublicKey is C1: the public key as an HMAC secret.
func TestAssertionSignedWithPublicKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.claim()
	encode := base64.RawURLEncoding.EncodeToString
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		text := encode([]byte(`{"alg":"`+alg+`","kid":"rsa","typ":"JWT"}`)) + "." + encode([]byte(mustJSON(t, c.body)))
		mac := hmac.New(sha512.New384, w.keys.rsa.N.Bytes())
		mac.Write([]byte(text))
		_, err := w.Token(t.Context(), backendForm(text+"."+encode(mac.Sum(nil))), "")
		wants(t, err, "invalid_client")
	}
	// And a signature of somebody else.
	mine := w.keys
	w.keys = newKeyPair(t)
	forged := w.signed(c)
	w.keys = mine
	_, err := w.Token(t.Context(), backendForm(forged), "")
	wants(t, err, "invalid_client")
	if _, err := w.Token(t.Context(), backendForm(w.signed(c)), ""); err != nil {
		t.Errorf("a forged assertion has used up the jti of a good one: %v", err)
	}
}

// TestAssertionReplay is C7: the same jti twice, later and at the same time, by one
// client and by two.
func TestAssertionReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.add(oauth.Client{ID: "backend2", Name: "Second", JWKS: w.keys.set, Scopes: "system/Patient.rs", Organizations: []string{"a"}, Active: true})
	c := w.claim()
	assertion := w.signed(c)
	var good atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := w.Token(t.Context(), backendForm(assertion), ""); err == nil {
				good.Add(1)
			}
		})
	}
	all.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 8 uses of one assertion got a token", good.Load())
	}
	c.body["exp"] = w.clock.Now().Add(time.Minute).Unix()
	_, err := w.Token(t.Context(), backendForm(w.signed(c)), "")
	wants(t, err, "invalid_client")
	c.body["iss"], c.body["sub"] = "backend2", "backend2"
	if _, err := w.Token(t.Context(), backendForm(w.signed(c)), ""); err != nil {
		t.Errorf("another client with the same jti: %v", err)
	}
	// Cleaning up must not let it in again while it has not expired.
	w.clock.pass(4 * time.Minute)
	if err := w.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = w.Token(t.Context(), backendForm(assertion), "")
	wants(t, err, "invalid_client")
}

// TestAssertionKeysByURL fetches keys from an address, honours Cache-Control, sees
// a change of keys, and fetches no jku.
func TestAssertionKeysByURL(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int32
	var set atomic.Pointer[[]byte]
	keys := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		rw.Header().Set("Cache-Control", "max-age=60")
		_, _ = rw.Write(*set.Load())
	}))
	t.Cleanup(keys.Close)
	w := worldOf(t, func(c *oauth.Config) {
		c.Local, c.HTTP = true, bearer.NewClient(bearer.Guard{AllowLoopback: true})
	})
	set.Store(&w.keys.set)
	w.add(oauth.Client{ID: "remote", Name: "Remote", JWKSURL: keys.URL + "/jwks", Scopes: "system/Patient.rs", Organizations: []string{"a"}, Active: true})
	ask := func(jku any) error {
		c := w.claim()
		c.body["iss"], c.body["sub"] = "remote", "remote"
		if jku != nil {
			c.header["jku"] = jku
		}
		_, err := w.Token(t.Context(), backendForm(w.signed(c)), "")
		return err
	}
	for range 3 {
		if err := ask(nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(keys.URL + "/jwks"); err != nil {
		t.Errorf("jku as registered: %v", err)
	}
	wants(t, ask(keys.URL+"/jwks2"), "invalid_client")
	wants(t, ask(keys.URL+"/jwks/"), "invalid_client")
	if n := fetched.Load(); n != 1 {
		t.Errorf("%d fetches within max-age", n)
	}
	w.keys = newKeyPair(t)
	set.Store(&w.keys.set)
	w.clock.pass(61 * time.Second)
	if err := ask(nil); err != nil {
		t.Errorf("after the keys have changed and max-age is over: %v", err)
	}
}

// TestClientCredentials holds the backend services flow of SMART: scopes,
// lifetime, organisations, no refresh token.
func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(change url.Values) (oauth.TokenResponse, error) {
		form := backendForm(w.signed(w.claim()))
		for name, v := range change {
			form[name] = v
		}
		return w.Token(t.Context(), form, "")
	}
	got, err := ask(url.Values{"scope": {"system/Patient.rs system/Encounter.rs system/Observation.read"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Scope != "system/Patient.rs system/Observation.read" || got.ExpiresIn != 300 || got.TokenType != "Bearer" || got.RefreshToken != "" || got.IDToken != "" {
		t.Errorf("got %+v", got)
	}
	claims := w.claims(got.AccessToken)
	if mustJSON(t, claims["org"]) != `["a","b"]` || claims["sub"] != "backend" || claims["client_id"] != "backend" || claims["aud"] != fhirBase {
		t.Errorf("claims %v", claims)
	}
	if got, err = ask(url.Values{"organization": {"b", "b"}}); err != nil || mustJSON(t, w.claims(got.AccessToken)["org"]) != `["b"]` {
		t.Errorf("one organisation: %v, %v", got, err)
	}
	for name, v := range map[string]url.Values{
		"no scope":                       {"scope": {}},
		"not authorised beforehand":      {"scope": {"system/Encounter.rs"}},
		"user scope":                     {"scope": {"user/Patient.rs"}},
		"not understood":                 {"scope": {"system/Patient.sr"}},
		"openid alone":                   {"scope": {"openid"}},
		"organisation of somebody else":  {"organization": {"c"}},
		"one of somebody else among own": {"organization": {"a", "c"}},
	} {
		if _, err := ask(v); err == nil {
			t.Errorf("%s: got a token", name)
		} else {
			wants(t, err, "invalid_scope")
		}
	}
	// A secret is not enough, and a public client has nothing to prove.
	_, err = w.Token(t.Context(), url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.rs"}}, w.basic())
	wants(t, err, "unauthorized_client")
	_, err = w.Token(t.Context(), url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.rs"}, "client_id": {"spa"}}, "")
	wants(t, err, "unauthorized_client")
	// smart_backend_services_invalid_grant_type
	form := backendForm(w.signed(w.claim()))
	form.Set("grant_type", "not_a_grant_type")
	_, err = w.Token(t.Context(), form, "")
	if code, status := codeOf(err); code != "unsupported_grant_type" || status != http.StatusBadRequest {
		t.Errorf("unknown grant_type: %v", err)
	}
	// smart_backend_services_invalid_client_assertion
	form = backendForm(w.signed(w.claim()))
	form.Set("client_assertion_type", "not_an_assertion_type")
	_, err = w.Token(t.Context(), form, "")
	wants(t, err, "invalid_client")
	_, err = w.Token(t.Context(), backendForm("not.a.jwt"), "")
	wants(t, err, "invalid_client")
}

// FuzzAssertion looks for input that is let in without a signature.
func FuzzAssertion(f *testing.F) {
	w := newWorld(f)
	f.Add("not.a.jwt")
	f.Add("..")
	f.Add(`eyJhbGciOiJub25lIn0.eyJpc3MiOiJiYWNrZW5kIn0.`)
	f.Fuzz(func(t *testing.T, assertion string) {
		if _, err := w.Token(t.Context(), backendForm(assertion), ""); err == nil {
			t.Errorf("%q was let in", assertion)
		}
	})
}
