package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// Matching returns the current versions of the resources of a type that meet a query,
// "part-of=Task/1", n at most: any n of more, in no order that means anything. It is for what the
// server itself has to know: it asks nobody what may be seen. It is an Outcome while what resources
// are searched by is being rebuilt.
func (db *DB) Matching(ctx context.Context, typ, query string, n int) ([]Version, error) {
	all, err := db.matching(ctx, db.sql, db.Registry(), matched{typ, query, n})
	return all, err
}

// MatchingFrom returns a page of n of all that meet a query, which begins at a position, and the
// position of the next page; empty is the first, and comes at the end. It is for what nothing may
// be missing of.
func (db *DB) MatchingFrom(ctx context.Context, typ, query, after string, n int) (page []Version, next string, err error) {
	registry := db.Registry()
	where, err := registry.Criteria(typ, query)
	if err != nil {
		return nil, "", fmt.Errorf("look for %s: %w", typ, err)
	}
	m, err := db.Search(ctx, access.Trusted(""), &search.Query{Types: []string{typ}, Where: where, Count: n}, after)
	switch {
	case err != nil:
		return nil, "", err
	case db.Registry().Generation != registry.Generation:
		return nil, "", fmt.Errorf("look for %s: %w", typ, ErrParametersMoved)
	}
	return m.Versions, m.Next, nil
}

// Matching does what [DB.Matching] does. It sees what the transaction has written.
func (tx *Tx) Matching(ctx context.Context, typ, query string, n int) ([]Version, error) {
	registry := tx.db.Registry()
	if tx.session.begun > 0 {
		var err error
		if registry, err = tx.db.refresh(ctx, tx.session, 0); err != nil {
			return nil, err
		}
	}
	return tx.db.matching(ctx, tx.session, registry, matched{typ, query, n})
}

// A matched is what is looked for.
type matched struct {
	typ, query string
	n          int
}

func (db *DB) matching(ctx context.Context, q querier, r *search.Registry, m matched) ([]Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := db.searching(q, r, access.Trusted(""))
	defer s.turn.end()
	if err := searchable(r); err != nil {
		return nil, err
	}
	where, err := r.Criteria(m.typ, m.query)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", m.typ, err)
	}
	query := &search.Query{Types: []string{m.typ}, Where: where, Count: m.n}
	of, err := s.parts(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.take(ctx, s.page(query, of, nil), m.n)
	if err != nil {
		return nil, err
	}
	all := make([]Version, len(rows))
	for i, row := range rows {
		all[i] = row.Version
	}
	return all, nil
}

// Hold waits until nobody else holds any of some resources, and holds them until the
// transaction has ended. It keeps nobody from writing them who does not hold them: it is for
// rules about what several resources say together. It is to be called before anything
// is read by which such a rule decides.
func (tx *Tx) Hold(ctx context.Context, of []fhir.Key) error {
	var locks []int64
	for _, k := range of {
		if lock := tx.db.holdKey(k); !tx.held[lock] {
			locks = append(locks, lock)
		}
	}
	if len(locks) == 0 {
		return nil
	}
	const lock = `SELECT count(pg_advisory_xact_lock(k) IS NULL) FROM unnest($1::bigint[]) k`
	if _, err := tx.session.tx.ExecContext(ctx, lock, int8s(slices.Compact(slices.Sorted(slices.Values(locks))))); err != nil {
		return readFault("wait for others in the same conversation", err)
	}
	if tx.held == nil {
		tx.held = make(map[int64]bool, len(locks))
	}
	for _, lock := range locks {
		tx.held[lock] = true
	}
	return nil
}

// holdKey returns the key of the lock of who holds a resource.
func (db *DB) holdKey(k fhir.Key) int64 { return db.lockKey("hold " + k.String()) }
