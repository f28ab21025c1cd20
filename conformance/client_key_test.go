package conformance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// newKey returns a new private key for an algorithm.
func newKey(t *testing.T, alg jose.SignatureAlgorithm) jose.JSONWebKey {
	t.Helper()
	k := jose.JSONWebKey{KeyID: rand.Text(), Algorithm: string(alg)}
	var err error
	switch alg {
	case jose.ES384:
		k.Key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		k.Key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signed returns claims as a JWT.
func signed(t *testing.T, k jose.JSONWebKey, typ string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Algorithm), Key: k}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := token.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// with returns claims with others in them; nil takes one away.
func with(claims, others map[string]any) map[string]any {
	all := maps.Clone(claims)
	maps.Copy(all, others)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// publicSet returns the public halves of keys as a JSON Web Key Set.
func publicSet(keys ...jose.JSONWebKey) []byte {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	text, err := json.Marshal(set)
	if err != nil {
		panic(err) // they were made here
	}
	return text
}

// A keyring is an address with public keys, which may change.
type keyring struct {
	*httptest.Server
	mu    sync.Mutex
	keys  []jose.JSONWebKey // guarded by mu
	asked int               // guarded by mu
}

func newKeyring(t *testing.T, keys ...jose.JSONWebKey) *keyring {
	t.Helper()
	k := &keyring{keys: keys}
	k.Server = httptest.NewServer(http.HandlerFunc(k.serve))
	t.Cleanup(k.Close)
	return k
}

func (k *keyring) serve(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(publicSet(k.keys...)) // who asked may be gone
}

// rotate changes the keys.
func (k *keyring) rotate(keys ...jose.JSONWebKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = keys
}

func (k *keyring) requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// minutes is a time from now as a claim.
func minutes(n float64) int64 {
	return time.Now().Add(time.Duration(n * float64(time.Minute))).Unix()
}
