package oauth_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/auth/oauth"
)

// published returns the published keys by kid, with their algorithms.
func (w *world) published() map[string]string {
	w.t.Helper()
	set, err := w.JWKS(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	keys := map[string]string{}
	for _, k := range set.Keys {
		if !k.IsPublic() || k.Use != "sig" {
			w.t.Errorf("published %v", k)
		}
		keys[k.KeyID] = k.Algorithm
	}
	return keys
}

func kidOf(t testing.TB, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ KID string }
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	return h.KID
}

// TestRotation rotates for three months, hour by hour and now and then: a key is
// published a day before it signs, and every token can be verified for a day.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.published()
	if algs := slices.Sorted(maps.Values(first)); !slices.Equal(algs, []string{"ES256", "RS256"}) {
		t.Fatalf("first keys are for %v", algs)
	}
	seen := map[string]time.Time{}
	signed := map[string]bool{}
	for kid := range first {
		seen[kid] = w.clock.Now().Add(-24 * time.Hour)
	}
	var tokens []string
	for range 90 * 4 {
		w.clock.pass(6 * time.Hour)
		if err := w.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := w.published()
		for kid := range now {
			if _, ok := seen[kid]; !ok {
				seen[kid] = w.clock.Now()
			}
		}
		token, err := w.Issue(t.Context(), oauth.Subject{}, "system/Patient.r", 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		kid := kidOf(t, token)
		signed[kid] = true
		if w.clock.Now().Sub(seen[kid]) < 24*time.Hour {
			t.Fatalf("key %s signs %s after it was published", kid, w.clock.Now().Sub(seen[kid]))
		}
		if tokens = append(tokens, token); len(tokens) > 4 {
			tokens = tokens[1:]
		}
		for _, old := range tokens {
			if _, ok := now[kidOf(t, old)]; !ok {
				t.Fatal("a token of a day ago cannot be verified any more")
			}
		}
	}
	if len(signed) != 3 && len(signed) != 4 || len(w.published()) > 4 {
		t.Errorf("%d keys have signed in 90 days, %d are published", len(signed), len(w.published()))
	}
	for kid := range first {
		if _, ok := w.published()[kid]; ok {
			t.Errorf("the key %s of three months ago is still published", kid)
		}
	}
	// Renew publishes one now, and once only.
	n := len(w.published())
	for range 2 {
		if err := w.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(w.published()); got != n+2 {
		t.Errorf("%d keys published, then %d", n, got)
	}
}

// TestKeysAreSealed looks for a private key in the database, and moves one to
// another name.
func TestKeysAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rows, err := w.db.Query(`SELECT private FROM oauth_key`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var sealed []byte
		if err := rows.Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if _, err := x509.ParsePKCS8PrivateKey(sealed); err == nil || bytes.Contains(sealed, []byte{0x06, 0x08, 0x2a, 0x86, 0x48}) {
			t.Error("a private key lies open")
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	again, err := oauth.Open(t.Context(), w.db.DB, oauth.Config{Issuer: issuer, FHIRBase: fhirBase, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	set, err := again.JWKS(t.Context())
	if err != nil || len(set.Keys) != 2 {
		t.Fatalf("a second server has keys %v, %v", set, err)
	}
	for _, k := range set.Keys {
		if r, ok := k.Key.(*rsa.PublicKey); ok && r.N.BitLen() < 2048 {
			t.Error("RSA key of", r.N.BitLen())
		}
	}
	if _, err := w.db.Exec(`UPDATE oauth_key SET kid = 'moved' WHERE alg = 'ES256'`); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(2 * time.Minute)
	if _, err := w.JWKS(t.Context()); err == nil {
		t.Error("a key under another name can be opened")
	}
}

// TestOpenTogether starts many servers at once: they agree on the keys.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.db.Exec(`DELETE FROM oauth_key`); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := oauth.Open(t.Context(), w.db.DB, oauth.Config{Issuer: issuer, FHIRBase: fhirBase, Now: w.clock.Now}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.clock.pass(2 * time.Minute)
	if n := len(w.published()); n != 2 {
		t.Errorf("%d keys", n)
	}
}

// TestOpenRefuses addresses that cannot be.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []oauth.Config{{}, {Issuer: issuer}, {Issuer: issuer + "/x", FHIRBase: fhirBase}, {Issuer: "fhir.example.org", FHIRBase: fhirBase}, {Issuer: issuer, FHIRBase: fhirBase + "?x"}} {
		if _, err := oauth.Open(t.Context(), w.db.DB, c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestSweep deletes what has expired and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.tokens(map[string]string{"client_id": "web"})
	w.tokens(map[string]string{"scope": "patient/Patient.r"})
	if _, err := w.Ask(t.Context(), request(nil)); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(60 * day)
	if err := w.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var requests, codes, grants int
	if err := w.db.QueryRow(`SELECT (SELECT count(*) FROM oauth_request), (SELECT count(*) FROM oauth_code), (SELECT count(*) FROM oauth_grant)`).Scan(&requests, &codes, &grants); err != nil {
		t.Fatal(err)
	}
	if requests != 0 || codes != 0 || grants != 1 {
		t.Errorf("%d requests, %d codes, %d grants", requests, codes, grants)
	}
	if _, err := w.refresh("web", got.RefreshToken, nil); err != nil {
		t.Error(err)
	}
}
