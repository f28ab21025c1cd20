package conformance_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/bearer"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestGuaranteeRevocationWithinFiveSeconds takes away what a token was issued for, and what
// its holder stands for, by a clock of its own: a server that was not told opens nothing by
// the token five seconds later, and one that was told does so at once.
func TestGuaranteeRevocationWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{KeyID: "k", Algorithm: string(jose.ES256), Key: private}
	for what, tells := range map[string]bool{"the grant": false, "the account": false, "the grant, and the server is told": true} {
		var gone atomic.Bool
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		v := bearer.New(bearer.Config{
			Audiences: []string{"https://a.example/fhir"}, Issuer: "https://a.example", Now: func() time.Time { return now },
			Keys: func(context.Context) (jose.JSONWebKeySet, error) {
				return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}, nil
			},
			Known: func(string, string) bool { return true },
			Live:  func(context.Context, string) (bool, error) { return what == "the account" || !gone.Load(), nil },
			Profile: func(context.Context, auth.Claims) (auth.Profile, error) {
				return auth.Profile{User: fhir.Key{Type: "Practitioner", ID: "p"}, Parties: []access.Key{{Kind: access.Party, Of: "Practitioner/p"}}, Active: what != "the account" || !gone.Load()}, nil
			},
		})
		token := signed(t, key, "at+jwt", map[string]any{"iss": "https://a.example", "aud": "https://a.example/fhir", "sub": "s", "client_id": "c", "scope": "user/Patient.rs",
			"jti": "j", "gid": "g", "iat": now.Unix(), "exp": now.Unix() + 300, "fhirUser": "Practitioner/p"})
		opens := func() bool {
			_, err := v.Grant(t.Context(), []string{"Bearer " + token})
			return err == nil
		}
		if !opens() {
			t.Fatal("the token is not good")
		}
		gone.Store(true)
		if tells {
			v.Forget("g")
		} else {
			now = now.Add(5 * time.Second)
		}
		if opens() {
			t.Errorf("%s: the token still opens", what)
		}
		now = now.Add(time.Minute)
		if gone.Store(false); !opens() {
			t.Errorf("%s: the token is not good again, so it was refused for another reason", what)
		}
	}
}
