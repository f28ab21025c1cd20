package oauth

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// keysFresh is how long keys are taken from memory. It may be long: keys are
// published a day before they sign.
const keysFresh = time.Minute

// A keyRing holds the keys in memory. The zero keyRing is empty.
type keyRing struct {
	mu   sync.Mutex
	keys []signingKey // newest first
	read time.Time
}

func (r *keyRing) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = nil
}

// signingKeys returns all keys that are published, the newest first.
func (s *Server) signingKeys(ctx context.Context) ([]signingKey, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	now := s.now()
	if s.keys.keys != nil && now.Sub(s.keys.read).Abs() < keysFresh {
		return s.keys.keys, nil
	}
	keys, err := s.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	s.keys.keys, s.keys.read = keys, now
	return keys, nil
}

func (s *Server) readKeys(ctx context.Context) ([]signingKey, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT kid, alg, public, private, starts FROM oauth_key ORDER BY starts DESC`)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	defer rows.Close()
	var keys []signingKey
	for rows.Next() {
		var k signingKey
		var public, private []byte
		if err := rows.Scan(&k.id, &k.alg, &public, &private, &k.starts); err != nil {
			return nil, fmt.Errorf("read the signing keys: %w", err)
		}
		if err := s.unseal(&k, public, private); err != nil {
			return nil, fmt.Errorf("open the signing key %s: %w", k.id, err)
		}
		keys = append(keys, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	return keys, nil
}

func (s *Server) unseal(k *signingKey, public, sealed []byte) error {
	if err := json.Unmarshal(public, &k.public); err != nil {
		return fmt.Errorf("read its public half: %w", err)
	}
	text, err := s.seal.open(sealed, k.alg+" "+k.id)
	if err != nil {
		return err
	}
	private, err := x509.ParsePKCS8PrivateKey(text)
	if err != nil {
		return fmt.Errorf("read its private half: %w", err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return fmt.Errorf("a %T cannot sign", private)
	}
	k.private = signer
	return nil
}

// JWKS returns the public keys that tokens of this server are signed with, now or
// soon, or were lately.
func (s *Server) JWKS(ctx context.Context) (jose.JSONWebKeySet, error) {
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	return set, nil
}

// signer returns the newest key for alg that has started.
func (s *Server) signer(ctx context.Context, alg string) (signingKey, error) {
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return signingKey{}, err
	}
	now := s.now()
	for _, k := range keys {
		if k.alg == alg && !k.starts.After(now) {
			return k, nil
		}
	}
	return signingKey{}, fmt.Errorf("no key for %s has started", alg)
}

// sign returns claims as a JWT of the given type.
func (s *Server) sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	k, err := s.signer(ctx, alg)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": k.id, "typ": typ})
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(header) + "." + encode(payload)
	signature, err := jwt.GetSigningMethod(alg).Sign(signed, k.private)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed + "." + encode(signature), nil
}
