package bearer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// local looks keys up by kid alone, as a careless caller might.
func local(string, string) ([]jose.JSONWebKey, error) { return testKeys().Keys, nil }

// TestC1Algorithms forges tokens by the algorithm.
func TestC1Algorithms(t *testing.T) {
	t.Parallel()
	b64 := base64.RawURLEncoding.EncodeToString
	public, err := x509.MarshalPKIXPublicKey(testRSAKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	algs := []string{"ES256", "RS256", "PS256"}
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64([]byte("{}")) + "." }
	good := signES(t, `{"alg":"ES256","kid":"k1"}`, "{}")
	for _, tt := range []struct {
		name, token string
		ok          bool
	}{
		{"good ES256", good, true},
		{"good RS256", sign(t, `{"alg":"RS256","kid":"r1"}`, "{}", jwt.SigningMethodRS256, testRSAKey()), true},
		{"good PS256", sign(t, `{"alg":"PS256","kid":"r1"}`, "{}", jwt.SigningMethodPS256, testRSAKey()), true},
		{"good without kid", signES(t, `{"alg":"ES256"}`, "{}"), true},
		{"none", unsigned(`{"alg":"none"}`), false},
		{"None", unsigned(`{"alg":"None","kid":"k1"}`), false},
		{"empty alg", unsigned(`{"alg":"","kid":"k1"}`), false},
		{"no alg", unsigned(`{"kid":"k1"}`), false},
		{"alg is a number", unsigned(`{"alg":256,"kid":"k1"}`), false},
		{"alg is null", unsigned(`{"alg":null,"kid":"k1"}`), false},
		{"none with the signature of another", strings.Replace(good, strings.Split(good, ".")[0], b64([]byte(`{"alg":"none","kid":"k1"}`)), 1), false},
		{"HS256 with the public key", sign(t, `{"alg":"HS256","kid":"r1"}`, "{}", jwt.SigningMethodHS256, public), false},
		{"RS256 said, ES256 made", sign(t, `{"alg":"RS256","kid":"k1"}`, "{}", jwt.SigningMethodES256, testECKey()), false},
		{"PS256 said, RS256 made", sign(t, `{"alg":"PS256","kid":"r1"}`, "{}", jwt.SigningMethodRS256, testRSAKey()), false},
		{"RS384 is not on the list", sign(t, `{"alg":"RS384","kid":"r1"}`, "{}", jwt.SigningMethodRS384, testRSAKey()), false},
		{"es256", sign(t, `{"alg":"es256","kid":"k1"}`, "{}", jwt.SigningMethodES256, testECKey()), false},
		{"another key", sign(t, `{"alg":"ES256","kid":"k1"}`, "{}", jwt.SigningMethodES256, other), false},
		{"key of another kid", signES(t, `{"alg":"ES256","kid":"r1"}`, "{}"), false},
		{"signature left out", strings.TrimRight(good, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"), false},
	} {
		if _, _, err := Verify(tt.token, local, algs); (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

// TestC2Header forges tokens by what else the header says. All are signed well.
func TestC2Header(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		ok     bool
	}{
		{`{"alg":"ES256","kid":"k1"}`, true},
		{`{"alg":"ES256","kid":"k1","typ":"JWT","cty":"x","x5t":"abc"}`, true},
		{` { "kid" : "k1", "alg" : "ES256" } `, true},
		{`{"alg":"ES256","kid":"k1","crit":["unknown"],"unknown":1}`, false},
		{`{"alg":"ES256","kid":"k1","crit":[]}`, false},
		{`{"alg":"ES256","kid":"k1","b64":true}`, false},
		{`{"alg":"ES256","kid":"k1","jku":"https://evil.example/keys"}`, false},
		{`{"alg":"ES256","kid":"k1","x5u":"https://evil.example/keys"}`, false},
		{`{"alg":"ES256","kid":"k1","x5c":["MIIB"]}`, false},
		{`{"alg":"ES256","kid":"k1","jwk":{"kty":"oct","k":"AA"}}`, false},
		{`{"alg":"ES256","kid":"k1","jwk":null}`, false},
		{`{"alg":"ES256","kid":"k1","Crit":["unknown"]}`, false},
		{`{"alg":"ES256","kid":"k1","JKU":"https://evil.example/keys"}`, false},
		{`{"alg":"none","alg":"ES256","kid":"k1"}`, false},
		{`{"alg":"ES256","Alg":"none","kid":"k1"}`, false},
		{`{"Alg":"ES256","kid":"k1"}`, false},
		{"{\"alg\":\"ES256\",\"\u212Aid\":\"r1\",\"kid\":\"k1\"}", false}, // Kelvin sign
		{`{"alg":"ES256","kid":["k1"]}`, false},
		{`{"alg":"ES256","kid":""}`, false},
		{`{"alg":"ES256","kid":"../../etc/passwd"}`, false},
		{`{"alg":"ES256","kid":"k1' OR '1'='1"}`, false},
		{`{"alg":"ES256","kid":"k1\u0000"}`, false},
		{`{"alg":"ES256","kid":"` + strings.Repeat("k", 129) + `"}`, false},
		{`{"alg":"ES256","kid":"k1"}{}`, false},
		{`{"alg":"ES256","kid":"k1"`, false},
		{`["ES256"]`, false},
		{`{"alg":"ES256","kid":"k1","a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`, false},
		{"{\"alg\":\"ES256\",\"kid\":\"k1\",\"a\":\"\xff\"}", false},
		{"\ufeff" + `{"alg":"ES256","kid":"k1"}`, false},
	} {
		payload, _, err := Verify(signES(t, tt.header, `{"sub":"x"}`), local, []string{"ES256"})
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.header, err)
		}
		if tt.ok != (string(payload) == `{"sub":"x"}`) {
			t.Errorf("%s: payload %q", tt.header, payload)
		}
	}
}

func TestC2LongKeyID(t *testing.T) {
	t.Parallel()
	kid := strings.Repeat("k", 127) + "~"
	keys := func(kid, _ string) ([]jose.JSONWebKey, error) {
		return []jose.JSONWebKey{{Key: testECKey().Public(), KeyID: kid}}, nil
	}
	if _, h, err := Verify(signES(t, `{"alg":"ES256","kid":"`+kid+`"}`, "{}"), keys, []string{"ES256"}); err != nil || h.KeyID != kid {
		t.Errorf("a kid of 128 characters: %v", err)
	}
}

// TestC2KnownURL allows the one jku that is known, and no other.
func TestC2KnownURL(t *testing.T) {
	t.Parallel()
	const known = "https://app.example.org/keys"
	for jku, ok := range map[string]bool{
		known:                          true,
		known + "/":                    false,
		known + "?x":                   false,
		"HTTPS://app.example.org/keys": false,
		"https://evil.example/keys":    false,
	} {
		token := signES(t, `{"alg":"ES256","kid":"k1","jku":"`+jku+`"}`, "{}")
		if _, h, err := Peek(token); err != nil || h.URL != jku {
			t.Errorf("peeked at %v, %v", h, err)
		}
		_, h, err := VerifyWithURL(token, known, local, []string{"ES256"})
		if (err == nil) != ok || ok && h.URL != jku {
			t.Errorf("%s: error %v, header %v", jku, err, h)
		}
		if _, _, err := VerifyWithURL(token, "", local, []string{"ES256"}); err == nil {
			t.Errorf("%s is accepted although none is known", jku)
		}
	}
}

func TestTokenSize(t *testing.T) {
	t.Parallel()
	for pad, ok := range map[int]bool{100: true, 11 << 10: true, 16 << 10: false} {
		token := signES(t, `{"alg":"ES256","kid":"k1"}`, `{"pad":"`+strings.Repeat("x", pad)+`"}`)
		if _, _, err := Verify(token, local, []string{"ES256"}); (err == nil) != ok {
			t.Errorf("a token of %d bytes: error %v", len(token), err)
		}
	}
}

// TestOneSpelling adds to a good token what a lenient decoder skips.
func TestOneSpelling(t *testing.T) {
	t.Parallel()
	good := signES(t, `{"alg":"ES256","kid":"k1"}`, `{"a":1}`)
	if _, _, err := Verify(good, local, []string{"ES256"}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{good + "\n", "\n" + good, strings.Replace(good, ".", "\r\n.", 1), good + "=", good + "==", " " + good, good + " ", good + ".", "." + good, good + "A"} {
		if _, _, err := Verify(bad, local, []string{"ES256"}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestKeyErrorIsInTheChain(t *testing.T) {
	t.Parallel()
	cause := errors.New("away")
	_, _, err := Verify(signES(t, `{"alg":"ES256","kid":"k1"}`, "{}"), func(string, string) ([]jose.JSONWebKey, error) { return nil, cause }, []string{"ES256"})
	if !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

// TestOneKey chooses among keys.
func TestOneKey(t *testing.T) {
	t.Parallel()
	ec, rs := testECKey().Public(), testRSAKey().Public()
	for _, tt := range []struct {
		name string
		keys []jose.JSONWebKey
		ok   bool
	}{
		{"one", []jose.JSONWebKey{{Key: ec, KeyID: "k1"}}, true},
		{"same kid, other kind", []jose.JSONWebKey{{Key: ec, KeyID: "k1"}, {Key: rs, KeyID: "k1"}}, true},
		{"none", nil, false},
		{"twice", []jose.JSONWebKey{{Key: ec, KeyID: "k1"}, {Key: ec, KeyID: "k1"}}, false},
		{"other kid", []jose.JSONWebKey{{Key: ec, KeyID: "K1"}}, false},
		{"for encryption", []jose.JSONWebKey{{Key: ec, KeyID: "k1", Use: "enc"}}, false},
		{"for another alg", []jose.JSONWebKey{{Key: ec, KeyID: "k1", Algorithm: "ES384"}}, false},
		{"private", []jose.JSONWebKey{{Key: testECKey(), KeyID: "k1"}}, false},
	} {
		keys := func(string, string) ([]jose.JSONWebKey, error) { return tt.keys, nil }
		if _, _, err := Verify(signES(t, `{"alg":"ES256","kid":"k1"}`, "{}"), keys, []string{"ES256"}); (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(k any) string {
		b, err := (jose.JSONWebKey{Key: k, KeyID: "k"}).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ec := jwk(testECKey().Public())
	for _, tt := range []struct {
		name, set string
		keys      int // -1: an error
	}{
		{"two", testKeysJSON(t), 2},
		{"none", `{"keys":[]}`, 0},
		{"key_ops", `{"keys":[` + strings.Replace(ec, "{", `{"key_ops":["verify"],`, 1) + `]}`, 1},
		{"other key_ops", `{"keys":[` + strings.Replace(ec, "{", `{"key_ops":["encrypt"],`, 1) + `]}`, 0},
		{"use enc", `{"keys":[` + strings.Replace(ec, "{", `{"use":"enc",`, 1) + `,` + ec + `]}`, 1},
		{"unknown kty", `{"keys":[{"kty":"XX"},` + ec + `]}`, 1},
		{"not on the curve", `{"keys":[{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}`, 0},
		{"weak", `{"keys":[` + jwk(weak.Public()) + `]}`, 0},
		{"private", `{"keys":[` + jwk(testECKey()) + `]}`, -1},
		{"symmetric", `{"keys":[{"kty":"oct","k":"AAAA"}]}`, -1},
		{"no keys", `{}`, -1},
		{"keys twice", `{"keys":[],"keys":[]}`, -1},
		{"Keys too", `{"keys":[],"Keys":[]}`, -1},
		{"a member twice", `{"keys":[{"kty":"EC","kty":"RSA"}]}`, -1},
		{"not an object", `[]`, -1},
		{"no JSON", `<html>`, -1},
		{"too many", `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, -1},
	} {
		set, err := ParseKeys([]byte(tt.set))
		if (err != nil) != (tt.keys < 0) || err == nil && len(set.Keys) != tt.keys {
			t.Errorf("%s: %d keys, error %v", tt.name, len(set.Keys), err)
		}
	}
}

// FuzzVerify has any token parsed: what is accepted is what was signed here.
func FuzzVerify(f *testing.F) {
	good := signES(f, `{"alg":"ES256","kid":"k1"}`, `{"sub":"x"}`)
	head, _, _ := strings.Cut(good, ".")
	f.Add(good)
	f.Add(good + "=")
	f.Add(head + "..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ.e30.AA")
	f.Add("eyJhbGciOiJFUzI1NiIsIkFsZyI6Im5vbmUifQ.e30.AA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		payload, h, err := Verify(token, local, []string{"ES256"})
		if err == nil && (token != good || h.Algorithm != "ES256" || string(payload) != `{"sub":"x"}`) {
			t.Errorf("%q is accepted", token)
		}
		if err != nil && len(token) > 40 && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
		if _, h, err := Peek(token); err == nil && len(h.KeyID) > maxKeyID {
			t.Errorf("kid of %d bytes", len(h.KeyID))
		}
	})
}
