package store

import "context"

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

// WriteOne is Write of one change.
func (tx *Tx) WriteOne(ctx context.Context, c Change) (Written, error) {
	all, err := tx.Write(ctx, []Change{c}, nil)
	if err != nil {
		return Written{}, err
	}
	return all[0], nil
}
