package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A secret is what the installation keeps to itself: the key of its hashes and
// the key that signs cursors.
type secret struct {
	searchsql.Secret
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
	if db.secret.Secret, err = searchsql.NewSecret(hash); err != nil {
		return fmt.Errorf("read installation: %w", err)
	}
	return nil
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

// rebase records the public base URL. Rows that were made under another one take
// some references for foreign, or for ours, so they are built anew.
func (db *DB) rebase(ctx context.Context) error {
	const other = `SELECT base_url IS DISTINCT FROM $1 FROM installation`
	var moved bool
	if err := db.sql.QueryRowContext(ctx, other, db.base).Scan(&moved); err != nil {
		return readFault("read the base URL", err)
	}
	if !moved {
		return nil
	}
	return db.within(ctx, func(ctx context.Context, s *session) error {
		generation, err := lockGeneration(ctx, s)
		if err != nil {
			return err
		}
		// A server that starts along with this one may have been first.
		const move = `UPDATE installation SET base_url = $1 WHERE base_url IS DISTINCT FROM $1 RETURNING EXISTS (SELECT FROM res)`
		var hasRows bool
		switch err := s.tx.QueryRowContext(ctx, move, db.base).Scan(&hasRows); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return fault("write the base URL", err)
		case !hasRows:
			return nil
		}
		return begin(ctx, s, generation+1, nil)
	})
}
