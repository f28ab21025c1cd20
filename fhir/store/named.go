package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// asideConns is how many connections there are for what is looked up in the midst of
// other work, which may hold a connection and must not wait for another one of the
// same pool. They never read whole tables: of a few rows Postgres thinks that the quickest
// way, but one may be a value set with 200,000 keys that has to be unpacked each time.
const asideConns = 2

// maxNamed bounds how many resources of one canonical URL are told of.
const maxNamed = 100

// Named returns the current versions of the resources of a type that have a canonical
// URL, without their content, as far as g shows them. It may be called within
// [DB.Atomically].
func (db *DB) Named(ctx context.Context, g access.Grant, typ, canonical string) ([]Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := db.searching(db.aside, db.Registry(), g)
	defer s.turn.end()
	where, err := s.registry.Criteria(typ, "url="+url.QueryEscape(search.Escape(canonical)))
	if err != nil {
		return nil, fmt.Errorf("look a %s up by its canonical URL: %w", typ, err)
	}
	q := &search.Query{Types: []string{typ}, Where: where, Count: maxNamed}
	of, err := s.parts(ctx, q)
	if err != nil {
		return nil, err
	}
	w := s.page(q, of, nil)
	w.bodies = false
	rows, err := s.take(ctx, w, maxNamed)
	if err != nil {
		return nil, err
	}
	all := make([]Version, len(rows))
	for i, r := range rows {
		all[i] = r.Version
	}
	return all, nil
}

// Content returns the stored form of a version, of the current one if its number is 0;
// nil when there is none, and for a deletion. It may be called within [DB.Atomically].
func (db *DB) Content(ctx context.Context, k fhir.Key, version int) ([]byte, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	typ, rid, err := db.number(k)
	if err != nil {
		return nil, err
	}
	var codec int16
	body := unpacking{bodies: db.bodies, codec: &codec}
	const query = `SELECT codec, body FROM (SELECT * FROM ver WHERE rid = $1 AND ($4::int = 0 OR ver = $4) ORDER BY ver DESC LIMIT 1) v WHERE type = $2 AND id = $3`
	err = db.aside.QueryRowContext(ctx, query, rid, typ, k.ID, version).Scan(&codec, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, readFault("read "+k.Type, err)
	}
	return body.stored, nil
}
