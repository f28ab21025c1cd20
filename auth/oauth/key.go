package oauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Access tokens and identity tokens have keys of their own, so that none can be
// taken for the other.
const (
	accessAlg   = "ES256"
	identityAlg = "RS256" // which OpenID Connect asks every server for
)

const (
	publishFor = 24 * time.Hour      // a key is published so long before it signs
	keyLife    = 30 * 24 * time.Hour // that it signs
	keepFor    = 24 * time.Hour      // and published after that: far longer than any token lives
)

// A signingKey is one row of oauth_key.
type signingKey struct {
	id, alg string
	public  jose.JSONWebKey
	private crypto.Signer
	starts  time.Time
}

// newKey returns a new key for one algorithm.
func newKey(alg string, starts time.Time) (signingKey, error) {
	private, err := generate(alg)
	if err != nil {
		return signingKey{}, fmt.Errorf("make a key for %s: %w", alg, err)
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: alg, Use: "sig"}
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return signingKey{}, fmt.Errorf("name a key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(print)
	return signingKey{public.KeyID, alg, public, private, starts}, nil
}

func generate(alg string) (crypto.Signer, error) {
	if alg == identityAlg {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// ensureKeys makes the first key for each algorithm. It takes effect at once,
// since nobody can have fetched keys before there are any.
func (s *Server) ensureKeys(ctx context.Context) error {
	return s.replaceKeys(ctx, func(newest, now time.Time) (time.Time, bool) { return now, newest.IsZero() })
}

// Rotate does what is due with the keys that sign tokens, and with rows that are
// of no more use: call it every hour or so. A key signs for 30 days. Its successor
// is published a day before, and itself until the last token that it signed has
// expired.
func (s *Server) Rotate(ctx context.Context) error {
	err := s.replaceKeys(ctx, func(newest, now time.Time) (time.Time, bool) {
		return now.Add(publishFor), now.Sub(newest) >= keyLife-publishFor
	})
	if err != nil {
		return err
	}
	return s.sweep(ctx)
}

// Renew publishes new keys at once, as when the old ones may be known to others.
// They sign from the next day on.
func (s *Server) Renew(ctx context.Context) error {
	return s.replaceKeys(ctx, func(newest, now time.Time) (time.Time, bool) {
		return now.Add(publishFor), !newest.After(now)
	})
}

// replaceKeys makes a key where due says so, which is told when the newest one
// starts, and from when the new one signs. One server at a time does that.
func (s *Server) replaceKeys(ctx context.Context, due func(newest, now time.Time) (time.Time, bool)) error {
	err := s.within(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('oauth_key', 0))`); err != nil {
			return fmt.Errorf("wait for the signing keys: %w", err)
		}
		for _, alg := range []string{accessAlg, identityAlg} {
			var newest sql.NullTime
			if err := tx.QueryRowContext(ctx, `SELECT max(starts) FROM oauth_key WHERE alg = $1`, alg).Scan(&newest); err != nil {
				return fmt.Errorf("read the signing keys: %w", err)
			}
			starts, now := due(newest.Time, s.now())
			if !now {
				continue
			}
			if err := s.insertKey(ctx, tx, alg, starts); err != nil {
				return err
			}
		}
		return retireKeys(ctx, tx, s.now())
	})
	s.keys.forget()
	return err
}

func (s *Server) insertKey(ctx context.Context, tx *sql.Tx, alg string, starts time.Time) error {
	k, err := newKey(alg, starts)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return fmt.Errorf("encode a signing key: %w", err)
	}
	public, err := json.Marshal(k.public)
	if err != nil {
		return fmt.Errorf("encode a public key: %w", err)
	}
	const insert = `INSERT INTO oauth_key (kid, alg, public, private, starts) VALUES ($1, $2, $3, $4, $5)`
	if _, err := tx.ExecContext(ctx, insert, k.id, alg, string(public), s.seal.seal(private, alg+" "+k.id), starts); err != nil {
		return fmt.Errorf("keep a signing key: %w", err)
	}
	return nil
}

// retireKeys deletes the keys whose last token has expired long ago.
func retireKeys(ctx context.Context, tx *sql.Tx, now time.Time) error {
	const retire = `DELETE FROM oauth_key k WHERE EXISTS (SELECT FROM oauth_key n WHERE n.alg = k.alg AND n.starts > k.starts AND n.starts < $1)`
	if _, err := tx.ExecContext(ctx, retire, now.Add(-keepFor)); err != nil {
		return fmt.Errorf("delete old signing keys: %w", err)
	}
	return nil
}
