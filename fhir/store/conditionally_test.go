package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// Conditionally finds resources and runs act with them in one transaction, as the
// conditional interactions do.
func (db *DB) Conditionally(ctx context.Context, c Criteria, act func(context.Context, *Tx, []Version) error) error {
	return db.Atomically(ctx, false, func(ctx context.Context, tx *Tx) error {
		found, err := tx.Find(ctx, []Criteria{c})
		if err != nil {
			return err
		}
		return act(ctx, tx, found[0])
	})
}

// Put does what [DB.Put] does.
func (tx *Tx) Put(ctx context.Context, r Row, expect Expect) (Written, error) {
	return tx.db.putAny(ctx, tx.session, r, expect)
}

// Delete does what [DB.Delete] does.
func (tx *Tx) Delete(ctx context.Context, k fhir.Key, expect Expect, origin string, trail *Trail) (Written, error) {
	return tx.db.deleteAny(ctx, tx.session, Row{Key: k, Op: Delete, Origin: origin, Trail: trail}, expect)
}
