package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/dchest/siphash"

	"github.com/openconsult/openconsult/fhir"
)

// A secret is what the installation keeps to itself: the key of its hashes and
// the key that signs cursors.
type secret struct {
	k0, k1     uint64
	cursor     []byte
	generation int64 // of the feed; a restore begins a new one
}

func (db *DB) loadInstallation(ctx context.Context) error {
	const query = `SELECT hash_secret, cursor_key, feed_generation FROM installation`
	var hash []byte
	err := db.sql.QueryRowContext(ctx, query).Scan(&hash, &db.secret.cursor, &db.secret.generation)
	if err != nil {
		return readFault("read installation", err)
	}
	if len(hash) != 16 {
		return fmt.Errorf("read installation: hash_secret has %d bytes, not 16", len(hash))
	}
	db.secret.k0 = binary.LittleEndian.Uint64(hash)
	db.secret.k1 = binary.LittleEndian.Uint64(hash[8:])
	return nil
}

// ridVersion marks what is hashed as a resource name, and the layout of that.
const ridVersion = 1

// rid returns the keyed hash of a resource's name. The type is length-prefixed,
// so that no two names share their bytes.
func (s *secret) rid(k fhir.Key) int64 {
	b := make([]byte, 0, 128)
	b = append(b, ridVersion, byte(len(k.Type)))
	b = append(b, k.Type...)
	b = append(b, k.ID...)
	return int64(siphash.Hash(s.k0, s.k1, b))
}

// body returns the keyed hash of a stored form, which begins with a brace and so
// cannot be taken for a name.
func (s *secret) body(stored []byte) int64 {
	return int64(siphash.Hash(s.k0, s.k1, stored))
}

// sign returns a code over b and the feed generation that only this
// installation can make.
func (s *secret) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, s.cursor)
	mac.Write(binary.AppendVarint(nil, s.generation))
	mac.Write(b)
	return mac.Sum(nil)[:12]
}

// BeginFeed starts a new generation of the feed, so that no cursor from before a
// restore is taken for one of after it.
func (db *DB) BeginFeed(ctx context.Context) error {
	const query = `UPDATE installation SET feed_generation = feed_generation + 1 RETURNING feed_generation`
	if err := db.sql.QueryRowContext(ctx, query).Scan(&db.secret.generation); err != nil {
		return fault("begin a new feed", err)
	}
	return nil
}
