package bearer

import (
	"fmt"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
)

// The tests here hold the libraries to what is known of them: each shows a
// trap, and that it does not catch us. If one fails because a trap is gone, our
// own check may be too much.

// TestTrapCrit has golang-jwt pass a token whose header has an extension that
// must be understood.
func TestTrapCrit(t *testing.T) {
	t.Parallel()
	w := newWorld()
	claims := w.clock.claims(t, nil)
	token := signES(t, `{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":["unknown"],"unknown":1}`, claims)
	if err := byLibrary(token, w, jwt.WithExpirationRequired()); err != nil {
		t.Errorf("the trap is gone: %v", err)
	}
	refuses(t, New(w.config()), token)
	accepts(t, New(w.config()), signES(t, goodHeader, claims))
}

// TestTrapExpiry has it pass a token that never expires.
func TestTrapExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld()
	token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"exp": nil}))
	if err := byLibrary(token, w); err != nil {
		t.Errorf("the trap is gone: %v", err)
	}
	refuses(t, New(w.config()), token)
	accepts(t, New(w.config()), signES(t, goodHeader, w.clock.claims(t, nil)))
}

// TestTrapAudience has it pass a token that is for another server as well.
func TestTrapAudience(t *testing.T) {
	t.Parallel()
	w := newWorld()
	token := signES(t, goodHeader, w.clock.claims(t, map[string]any{"aud": []string{"https://evil.example", testBase}}))
	if err := byLibrary(token, w, jwt.WithAudience(testBase)); err != nil {
		t.Errorf("the trap is gone: %v", err)
	}
	refuses(t, New(w.config()), token)
	accepts(t, New(w.config()), signES(t, goodHeader, w.clock.claims(t, map[string]any{"aud": []string{testBase}})))
}

// byLibrary has golang-jwt parse a token.
func byLibrary(token string, w *world, with ...jwt.ParserOption) error {
	with = append(with, jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(w.now))
	_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return testECKey().Public(), nil }, with...)
	return err
}

// TestTrapKeyStorm has go-oidc read the keys once for each kid that there is
// not. TestC5Verifier has our side.
func TestTrapKeyStorm(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	set := oidc.NewRemoteKeySet(t.Context(), k.URL+"/keys")
	for i := range 10 {
		if _, err := set.VerifySignature(t.Context(), k.signed(t, fmt.Sprintf(`{"alg":"RS256","kid":"junk%d"}`, i), nil)); err == nil {
			t.Error("a token with an unknown kid is accepted")
		}
	}
	// A request under way serves the next one too, now and then.
	if n := k.published.asked.Load(); n < 5 {
		t.Errorf("%d requests: the trap is gone", n)
	}
}

// TestTrapIDToken has go-oidc pass the id_token of another client as an access
// token.
func TestTrapIDToken(t *testing.T) {
	t.Parallel()
	k := newKeycloak(t)
	token := k.token(t, map[string]any{"typ": "ID", "aud": "another-app", "azp": "another-app", "nonce": "n"})
	p, err := oidc.NewProvider(t.Context(), k.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: k.now}).Verify(t.Context(), token); err != nil {
		t.Errorf("the trap is gone: %v", err)
	}
	refuses(t, k.verifier(nil), token)
	refuses(t, k.verifier(func(i *Issuer) { i.Audience, i.SharedAudience = "another-app", true }), token)
	accepts(t, k.verifier(nil), k.token(t, nil))
}
