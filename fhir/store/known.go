package store

import (
	"context"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// knownQuery looks up several keys, of which those with a type are rids. A current
// version whose own keys are not known has no effective ones.
const knownQuery = `
SELECT k.n, access_of(
	CASE WHEN k.type = 0 THEN ARRAY[k.key]
	ELSE (SELECT CASE WHEN v.op <> 'D' AND v.type = k.type AND v.id = k.id THEN v.acl END FROM ver v WHERE v.rid = k.key ORDER BY v.ver DESC LIMIT 1) END,
	k.key)
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (key, type, id, n)`

// Known returns the effective access keys of each of some keys, hashed. A key
// Itself stands for the current version of the resource that it names: one that is
// absent or deleted has no entry. For others it is the key and what it leads to. It
// takes one round trip.
func (db *DB) Known(ctx context.Context, of []access.Key) (map[access.Key][]int64, error) {
	if len(of) == 0 {
		return map[access.Key][]int64{}, nil
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.lookUp(ctx, &session{querier: db.sql}, of)
}

// lookUp does so by a statement of s.
func (db *DB) lookUp(ctx context.Context, s *session, of []access.Key) (map[access.Key][]int64, error) {
	known := make(map[access.Key][]int64, len(of))
	types, ids := db.knownArgs(of)
	rows, err := s.statement(ctx, db.prepared.known).QueryContext(ctx, int8s(db.secret.Accesses(of)), int8s(types), pq.StringArray(ids))
	if err != nil {
		return nil, readFault("look up access keys", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var keys []int64
		if err := rows.Scan(&n, (*keyList)(&keys)); err != nil {
			return nil, readFault("look up access keys", err)
		}
		if keys != nil {
			known[of[n-1]] = keys
		}
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("look up access keys", err)
	}
	return known, nil
}

// knownArgs returns of which resources some keys are, as Postgres has them: of those that are none
// the type 0.
func (db *DB) knownArgs(of []access.Key) (types []int64, ids []string) {
	types, ids = make([]int64, len(of)), make([]string, len(of))
	for i, k := range of {
		if k.Kind != access.Itself {
			continue
		}
		var typ string
		typ, ids[i], _ = strings.Cut(k.Of, "/")
		types[i] = -1 // a type that does not exist
		if n, ok := db.types[typ]; ok {
			types[i] = int64(n)
		}
	}
	return types, ids
}

// leftQuery looks up the keys that deleted resources were left with, and what
// these lead to.
const leftQuery = `
SELECT k.n, access_of((SELECT CASE WHEN v.op = 'D' AND v.type = k.type AND v.id = k.id THEN v.acl END FROM ver v WHERE v.rid = k.rid ORDER BY v.ver DESC LIMIT 1), k.rid)
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (rid, type, id, n)`

// Left returns the effective access keys that each of some resources was left with
// when it was deleted, hashed. Those that are not deleted have no entry. It takes
// one round trip.
func (db *DB) Left(ctx context.Context, of []fhir.Key) (map[fhir.Key][]int64, error) {
	left := make(map[fhir.Key][]int64, len(of))
	if len(of) == 0 {
		return left, nil
	}
	rids, types, ids := make([]int64, len(of)), make([]int64, len(of)), make([]string, len(of))
	for i, k := range of {
		rids[i], ids[i], types[i] = db.secret.RID(k), k.ID, -1 // a type that does not exist
		if n, ok := db.types[k.Type]; ok {
			types[i] = int64(n)
		}
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	rows, err := db.sql.QueryContext(ctx, leftQuery, int8s(rids), int8s(types), pq.StringArray(ids))
	if err != nil {
		return nil, readFault("look up the access keys of what was deleted", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var keys []int64
		if err := rows.Scan(&n, (*keyList)(&keys)); err != nil {
			return nil, readFault("look up the access keys of what was deleted", err)
		}
		if keys != nil {
			left[of[n-1]] = keys
		}
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("look up the access keys of what was deleted", err)
	}
	return left, nil
}

// Meets reports whether any of some access keys is among effective ones, which are
// hashed.
func (db *DB) Meets(effective []int64, any []access.Key) bool {
	return slices.ContainsFunc(any, func(k access.Key) bool { return slices.Contains(effective, db.secret.Access(k)) })
}
