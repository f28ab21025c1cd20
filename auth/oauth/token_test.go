package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// TestTokenResponse holds the answer against smart_token_response_body_stu2_2 and
// OpenID Connect Core section 3.1.3.
func TestTokenResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.tokens(map[string]string{"nonce": "n-0S6"})
	if got.TokenType != "Bearer" || got.ExpiresIn != 600 || got.Scope != "openid fhirUser launch/patient offline_access patient/*.rs" ||
		got.Patient != "p1" || got.NeedBanner == nil || !*got.NeedBanner || len(got.RefreshToken) != 43 {
		t.Errorf("got %+v", got)
	}
	if text := mustJSON(t, got); !strings.Contains(text, `"expires_in":600`) || strings.Contains(text, "tenant") || strings.Contains(text, "Grant") {
		t.Error(text)
	}
	at := w.claims(got.AccessToken)
	for name, want := range map[string]any{"iss": issuer, "aud": fhirBase, "sub": "acc1", "client_id": "spa", "scope": got.Scope, "patient": "p1", "fhirUser": "Practitioner/dr",
		"exp": float64(w.clock.Now().Unix() + 600), "iat": float64(w.clock.Now().Unix())} {
		if at[name] != want {
			t.Errorf("access token: %s is %v, want %v", name, at[name], want)
		}
	}
	if at["jti"] == "" || at["gid"] == "" {
		t.Errorf("access token %v", at)
	}
	id := w.claims(got.IDToken)
	sum := sha256.Sum256([]byte(got.AccessToken))
	for name, want := range map[string]any{"iss": issuer, "aud": "spa", "sub": "acc1", "nonce": "n-0S6", "fhirUser": fhirBase + "/Practitioner/dr",
		"auth_time": float64(w.clock.Now().Unix()), "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16])} {
		if id[name] != want {
			t.Errorf("id token: %s is %v, want %v", name, id[name], want)
		}
	}
	// C3: neither can stand in for the other.
	for token, want := range map[string]string{got.AccessToken: `"typ":"at+jwt"`, got.IDToken: `"alg":"RS256"`} {
		head, _, _ := strings.Cut(token, ".")
		if text, err := base64.RawURLEncoding.DecodeString(head); err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), `"kid":`) {
			t.Errorf("header %s, want %s", text, want)
		}
	}
	if got = w.tokens(map[string]string{"scope": "patient/Patient.r"}); got.IDToken != "" || got.RefreshToken != "" {
		t.Errorf("not asked for: %+v", got)
	}
	if got = w.tokens(map[string]string{"scope": "openid patient/Patient.r"}); w.claims(got.IDToken)["fhirUser"] != nil || w.claims(got.IDToken)["nonce"] != nil {
		t.Errorf("not asked for: %v", w.claims(got.IDToken))
	}
	if got = w.tokens(map[string]string{"client_id": "web"}); got.Patient != "p1" {
		t.Errorf("confidential: %+v", got)
	}
}

// TestRedeemRefuses holds the token endpoint against RFC 6749 sections 4.1.3 and
// 5.2, RFC 7636 section 4.6, and g10 9.17 and 9.18.
func TestRedeemRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change map[string]string
		auth   string
		code   string
	}{
		"no grant_type":               {map[string]string{"grant_type": ""}, "", "invalid_request"},
		"grant_type password":         {map[string]string{"grant_type": "password"}, "", "unsupported_grant_type"},
		"no code":                     {map[string]string{"code": ""}, "", "invalid_request"},
		"Test03 bad code":             {map[string]string{"code": "bad"}, "", "invalid_grant"},
		"Test04 bad client_id":        {map[string]string{"client_id": "bad"}, "", "invalid_client"},
		"no client_id":                {map[string]string{"client_id": ""}, "", "invalid_client"},
		"another client":              {map[string]string{"client_id": "other"}, "", "invalid_grant"},
		"inactive client":             {map[string]string{"client_id": "off"}, "", "invalid_client"},
		"no redirect_uri":             {map[string]string{"redirect_uri": ""}, "", "invalid_request"},
		"another redirect_uri":        {map[string]string{"redirect_uri": callback + "?tab=1"}, "", "invalid_grant"},
		"9.18 no verifier":            {map[string]string{"code_verifier": ""}, "", "invalid_request"},
		"9.18 blank verifier":         {map[string]string{"code_verifier": " "}, "", "invalid_request"},
		"9.18 wrong verifier":         {map[string]string{"code_verifier": strings.Repeat("a", 43)}, "", "invalid_grant"},
		"9.18 plain":                  {map[string]string{"code_verifier": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "", "invalid_grant"},
		"short verifier":              {map[string]string{"code_verifier": strings.Repeat("a", 42)}, "", "invalid_request"},
		"long verifier":               {map[string]string{"code_verifier": strings.Repeat("a", 129)}, "", "invalid_request"},
		"verifier of other letters":   {map[string]string{"code_verifier": strings.Repeat("ä", 43)}, "", "invalid_request"},
		"aud of another server":       {map[string]string{"aud": "https://evil.example"}, "", "invalid_target"},
		"public client with a secret": {map[string]string{"client_secret": "x"}, "", "invalid_client"},
		"confidential without secret": {map[string]string{"client_id": "web"}, "", "invalid_client"},
		"wrong secret":                {map[string]string{"client_id": "web", "client_secret": "x"}, "", "invalid_client"},
		"two ways":                    {map[string]string{"client_id": "web", "client_secret": w.secret}, w.basic(), "invalid_request"},
		"Basic of another client":     {map[string]string{"client_id": "spa"}, w.basic(), "invalid_client"},
		"Basic of nonsense":           {nil, "Basic !!", "invalid_client"},
		"Bearer":                      {nil, "Bearer x", "invalid_client"},
		"empty secret by Basic":       {map[string]string{"client_id": ""}, basicAuth("web", ""), "invalid_client"},
		"public client by Basic":      {map[string]string{"client_id": ""}, basicAuth("spa", ""), "invalid_client"},
		"backend by secret":           {map[string]string{"client_id": "backend", "client_secret": "x"}, "", "invalid_client"},
	} {
		_, err := w.Token(t.Context(), redemption(w.code(nil).Get("code"), tt.change), tt.auth)
		code, status := codeOf(err)
		if code != tt.code || (status == http.StatusUnauthorized) != (tt.code == "invalid_client") {
			t.Errorf("%s: %v (%d), want %s", name, err, status, tt.code)
		}
	}
	for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret"} {
		form := redemption(w.code(nil).Get("code"), nil)
		form[name] = []string{form.Get(name), "x"}
		_, err := w.Token(t.Context(), form, "")
		wants(t, err, "invalid_request")
	}
}

// TestClientAuthentication is RFC 6749 section 2.3.1.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if strings.Trim(w.secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || len(w.secret) != 43 {
		t.Errorf("a secret has other characters: %s", w.secret)
	}
	try := func(form url.Values, authorization string) error {
		form.Set("code", w.code(map[string]string{"client_id": "web"}).Get("code"))
		_, err := w.Token(t.Context(), form, authorization)
		return err
	}
	for name, err := range map[string]error{
		"client_secret_basic":                try(redemption("", map[string]string{"client_id": ""}), w.basic()),
		"client_secret_basic with client_id": try(redemption("", map[string]string{"client_id": "web"}), w.basic()),
		"basic in small letters":             try(redemption("", map[string]string{"client_id": ""}), strings.Replace(w.basic(), "Basic", "basic", 1)),
		"client_secret_post":                 try(redemption("", map[string]string{"client_id": "web", "client_secret": w.secret}), ""),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var stored []byte
	if err := w.db.QueryRow(`SELECT secret_hash FROM oauth_client WHERE id = 'web'`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256([]byte(w.secret)); string(stored) != string(sum[:]) {
		t.Error("the secret is not kept as its SHA-256")
	}
	fresh, err := w.NewSecret(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if try(redemption("", nil), w.basic()) == nil {
		t.Error("an old secret is good")
	}
	if err := try(redemption("", map[string]string{"client_id": ""}), basicAuth("web", fresh)); err != nil {
		t.Error(err)
	}
}

// TestCodeOnce is RFC 6749 section 4.1.2 and attack C8: a code is good for a minute,
// once, whoever presents it, and a second time ends its tokens.
func TestCodeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(nil).Get("code")
	got, err := w.Token(t.Context(), redemption(code, nil), "")
	if err != nil || !w.live(got.AccessToken) {
		t.Fatal(err)
	}
	_, err = w.Token(t.Context(), redemption(code, nil), "")
	wants(t, err, "invalid_grant")
	if w.live(got.AccessToken) {
		t.Error("the token of a code that was replayed is good")
	}
	_, err = w.refresh("spa", got.RefreshToken, nil)
	wants(t, err, "invalid_grant")
	if len(w.revoked) != 1 {
		t.Errorf("told of %v", w.revoked)
	}
	// A failed attempt has used it up.
	code = w.code(nil).Get("code")
	_, err = w.Token(t.Context(), redemption(code, map[string]string{"code_verifier": strings.Repeat("a", 43)}), "")
	wants(t, err, "invalid_grant")
	_, err = w.Token(t.Context(), redemption(code, nil), "")
	wants(t, err, "invalid_grant")
	// Expiry.
	for age, ok := range map[time.Duration]bool{59 * time.Second: true, time.Minute: false} {
		code = w.code(nil).Get("code")
		w.clock.pass(age)
		if _, err = w.Token(t.Context(), redemption(code, nil), ""); (err == nil) != ok {
			t.Errorf("after %s: %v", age, err)
		}
	}
	// A grant whose code nobody has redeemed gives nothing.
	w.code(nil)
	if list, err := w.Grants(t.Context(), "acc1"); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	// What is in the database opens nothing.
	var kept string
	if err := w.db.QueryRow(`SELECT string_agg(encode(hash, 'escape'), ' ') FROM oauth_code`).Scan(&kept); err != nil || strings.Contains(kept, code) {
		t.Errorf("the code itself is kept: %v", err)
	}
}

// TestCodeRace is attack C8: of 50 who redeem one code at the same time one is
// first, and then the tokens are revoked.
func TestCodeRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(nil).Get("code")
	var won atomic.Pointer[oauth.TokenResponse]
	var wins, other atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			got, err := w.Token(t.Context(), redemption(code, nil), "")
			if err == nil {
				wins.Add(1)
				won.Store(&got)
			} else if c, _ := codeOf(err); c != "invalid_grant" {
				other.Add(1)
			}
		})
	}
	all.Wait()
	if wins.Load() != 1 || other.Load() != 0 {
		t.Fatalf("%d of 50 got tokens, %d failed otherwise", wins.Load(), other.Load())
	}
	if w.live(won.Load().AccessToken) {
		t.Error("the tokens were not revoked")
	}
}

// TestNativeRedirect is RFC 8252 section 7.3: the port of the request is the one of
// the redemption, too.
func TestNativeRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const uri = "http://127.0.0.1:51004/cb"
	change := map[string]string{"client_id": "cli", "redirect_uri": uri}
	for to, ok := range map[string]bool{uri: true, "http://127.0.0.1:51005/cb": false, "http://127.0.0.1/cb": false} {
		code := w.code(change).Get("code")
		_, err := w.Token(t.Context(), redemption(code, map[string]string{"client_id": "cli", "redirect_uri": to}), "")
		if (err == nil) != ok {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// TestIssue makes tokens for scripts.
func TestIssue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, err := w.Issue(t.Context(), oauth.Subject{Organizations: []string{"a"}}, "system/*.cruds", 10*time.Minute)
	if err != nil || !w.live(token) {
		t.Fatal(err)
	}
	c := w.claims(token)
	if c["client_id"] != "openconsult" || c["sub"] != "openconsult" || mustJSON(t, c["org"]) != `["a"]` || c["exp"] != float64(w.clock.Now().Add(10*time.Minute).Unix()) {
		t.Errorf("claims %v", c)
	}
	token, err = w.Issue(t.Context(), oauth.Subject{Client: "spa", Account: "acc1", User: fhir.Key{Type: "Patient", ID: "p1"}, Patient: "p1"}, "patient/*.rs", time.Minute)
	if c = w.claims(token); err != nil || c["sub"] != "acc1" || c["patient"] != "p1" || c["fhirUser"] != "Patient/p1" {
		t.Errorf("claims %v, %v", c, err)
	}
	for name, err := range map[string]error{
		"unknown client": second(w.Issue(t.Context(), oauth.Subject{Client: "nobody"}, "system/*.r", 10*time.Minute)),
		"inactive":       second(w.Issue(t.Context(), oauth.Subject{Client: "off"}, "system/*.r", 10*time.Minute)),
		"no patient":     second(w.Issue(t.Context(), oauth.Subject{}, "patient/*.r", 10*time.Minute)),
		"bad scope":      second(w.Issue(t.Context(), oauth.Subject{}, "system/*.sr", 10*time.Minute)),
		"too long":       second(w.Issue(t.Context(), oauth.Subject{}, "system/*.r", 11*time.Minute)),
	} {
		if err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	w.clock.pass(time.Minute)
	if w.live(token) {
		t.Error("an expired token is good")
	}
}

func second(_ string, err error) error { return err }
