package oauth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
)

// newSecret returns 256 random bits as 43 letters of A-Z a-z 0-9 - _. Some clients
// send their secret without the encoding that HTTP Basic wants, so none may need
// it.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// newID returns an id that is no secret, yet is not guessed: 128 random bits.
func newID() string { return newSecret()[:22] }

// hashOf returns what is kept of a secret.
func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// challengeOf returns the S256 challenge of a PKCE verifier.
func challengeOf(verifier string) string {
	return base64.RawURLEncoding.EncodeToString(hashOf(verifier))
}

// A sealer encrypts what only some may read who read the database.
type sealer struct{ cipher.AEAD }

// newSealer returns the sealer of the installation. Its key is derived from the
// installation's secret, which every backup holds along with what is sealed.
func newSealer(ctx context.Context, db *sql.DB) (sealer, error) {
	var secret []byte
	if err := db.QueryRowContext(ctx, `SELECT signing_key FROM installation`).Scan(&secret); err != nil {
		return sealer{}, fmt.Errorf("read the secret of the installation: %w", err)
	}
	return sealerOf(secret, "oauth signing keys")
}

func sealerOf(secret []byte, purpose string) (sealer, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "openconsult "+purpose, 32)
	if err != nil {
		return sealer{}, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("make a cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("make a cipher: %w", err)
	}
	return sealer{aead}, nil
}

// seal encrypts text, and binds it to label.
func (s sealer) seal(text []byte, label string) []byte {
	return s.Seal(nil, nil, text, []byte(label))
}

var errSeal = errors.New("it was sealed by another key, for another purpose, or is damaged")

// open returns the text that was sealed with label.
func (s sealer) open(sealed []byte, label string) ([]byte, error) {
	text, err := s.Open(nil, nil, sealed, []byte(label))
	if err != nil {
		return nil, errSeal
	}
	return text, nil
}
