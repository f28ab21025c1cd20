package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// ErrMoved says that what a [Guard] is about has changed since it was read. Nothing was written.
var ErrMoved = errors.New("the conversation has changed since it was read")

// A Guard is a conversation as it was read: a Task, and all Communications that have some keys.
type Guard struct {
	Task    fhir.Key
	Version int       // of the Task that was current; 0 for none
	Where   string    // as a query that names keys: "part-of=Task/1"
	Said    []Version // the Communications that it found, see [Recent]; their keys and numbers count
}

// guardedQuery writes several rows if a conversation is as it was read.
const guardedQuery = `SELECT fate, version, coalesce(moment, 'epoch'), gone
	FROM write_guarded($1::write_row[], $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`

// WriteGuarded does what [DB.WriteAll] does while it holds g.Task, see [Tx.Hold], and if nothing of
// g has changed. Otherwise it is ErrMoved. SearchParameters are not to be among the changes.
func (db *DB) WriteGuarded(ctx context.Context, changes []Change, r *Receipt, g *Guard) ([]Written, error) {
	defer db.pulses.beat()
	if slices.ContainsFunc(changes, func(c Change) bool { return c.definesParameter() }) {
		return nil, errors.New("write a SearchParameter: not in a conversation")
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.write(ctx, &session{querier: db.sql}, batch{changes: changes, whole: true, receipt: r, guard: g})
}

// guardArgs appends what guardedQuery has of g.
func (db *DB) guardArgs(args []any, g *Guard) ([]any, error) {
	keys, err := db.keysWhere("Communication", g.Where)
	switch {
	case err != nil:
		return nil, fmt.Errorf("guard a conversation: %w", err)
	case len(keys) == 0:
		return nil, fmt.Errorf("guard a conversation: %q finds nothing", g.Where)
	}
	said := slices.Clone(g.Said)
	slices.SortFunc(said, func(a, b Version) int { return cmp.Compare(db.secret.RID(a.Key), db.secret.RID(b.Key)) })
	rids, versions := make([]int64, len(said)), make([]int64, len(said))
	for i, v := range said {
		rids[i], versions[i] = db.secret.RID(v.Key), int64(v.Number)
	}
	return append(args, db.holdKey(g.Task), db.secret.RID(g.Task), g.Version, int8s(keys), int8s(rids), int8s(versions)), nil
}
