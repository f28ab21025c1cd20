package timer

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	followLease = 10 * time.Second // after it, another server may follow
	pageSize    = 200

	// staleAfter is how long ago something may have been due to sound yet when timers are
	// planned for the first time: years of it at once would bury what is due now.
	staleAfter = 24 * time.Hour
)

// follower returns what follows the feed, and plans.
func (e *Engine) follower() store.Follower {
	return store.Follower{
		Store: e.Store, SQL: e.db, Table: feedTable, Node: e.node, Name: feedName,
		Types: func() []string { return e.Types }, Take: e.take, Before: e.startOver,
		Page: pageSize, Lease: followLease, Now: e.Now, Log: e.Log,
	}
}

// take plans a page of the feed, and what is to be planned again.
func (e *Engine) take(ctx context.Context, page []store.Followed) (store.Taken, error) {
	again, err := e.again(ctx)
	if err != nil {
		return store.Taken{}, err
	}
	b := &batch{}
	e.plan(ctx, page, again, b)
	t := e.taken(ctx, b)
	t.More = len(again) == pageSize
	return t, nil
}

// startOver has everything planned that may have alarms. At the first start, what was due long
// before is not to sound.
func (e *Engine) startOver(ctx context.Context, after string, lost bool) (store.Taken, string, error) {
	b := &batch{}
	var next string
	var err error
	if !lost {
		if b.stale, err = e.before(ctx, staleAfter); err != nil {
			return store.Taken{}, "", err
		}
	}
	if b.later, next, err = e.All(ctx, after); err != nil {
		return store.Taken{}, "", fmt.Errorf("find what has timers: %w", err)
	}
	return e.taken(ctx, b), next, nil
}

// taken returns how b is stored.
func (e *Engine) taken(ctx context.Context, b *batch) store.Taken {
	if b.isEmpty() {
		return store.Taken{}
	}
	return store.Taken{
		Keep: func(ctx context.Context, tx *sql.Tx) error { return b.store(ctx, tx, e.now()) },
		Kept: func() { e.kept(ctx, b) },
	}
}

// before returns the time that was d ago.
func (e *Engine) before(ctx context.Context, d time.Duration) (then time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const query = `SELECT coalesce($1::timestamptz, clock_timestamp()) - $2 * interval '1 millisecond'`
	if err := e.db.QueryRowContext(ctx, query, e.now(), d.Milliseconds()).Scan(&then); err != nil {
		return time.Time{}, fmt.Errorf("read the time: %w", err)
	}
	return then, nil
}

// A replan is a resource that is to be planned again.
type replan struct {
	key   fhir.Key
	stale time.Time // what was due before it is not to sound; zero is nothing
}

// again returns what is to be planned again by now.
func (e *Engine) again(ctx context.Context) ([]replan, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const query = `SELECT type, id, nullif(at, '-infinity') FROM timer
		WHERE kind = '' AND next <= coalesce($1::timestamptz, clock_timestamp()) ORDER BY next LIMIT $2`
	rows, err := e.db.QueryContext(ctx, query, e.now(), pageSize)
	if err != nil {
		return nil, fmt.Errorf("find what is to be planned again: %w", err)
	}
	defer rows.Close()
	var all []replan
	for rows.Next() {
		var r replan
		var stale sql.NullTime
		if err := rows.Scan(&r.key.Type, &r.key.ID, &stale); err != nil {
			return nil, fmt.Errorf("find what is to be planned again: %w", err)
		}
		r.stale = stale.Time
		all = append(all, r)
	}
	return all, rows.Err()
}
