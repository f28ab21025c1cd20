package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Gathering is what a write has to know beforehand, so that it takes one round trip to find out.
type Gathering struct {
	Current []fhir.Key   // of what the current version is asked for
	Known   []access.Key // see [DB.Known]
	Recent  Recent
	Holder  string // with Key, whether there is a receipt
	Key     string // empty asks for none
}

// Recent asks for the resources of a type that were changed since some time, those last changed
// first. The zero value asks for none.
type Recent struct {
	Type  string
	Where string // as a query that names keys: "subject=Patient/1"
	Since time.Time
	Most  int
}

// Gathered is what was found.
type Gathered struct {
	Current  map[fhir.Key]*Version
	Known    map[access.Key][]int64
	Recent   []Version // not deleted; there may be some that Where does not find
	Received bool
}

// The rows of gatherQuery.
const (
	gatheredCurrent = iota
	gatheredKnown
	gatheredRecent
	gatheredReceipt
)

// gatherQuery asks all of it. What is not asked for has no keys.
const gatherQuery = `
SELECT 0, k.n, '', v.ver, v.updated, v.op, v.codec, v.body, access_of(v.acl, k.rid)
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (rid, type, id, n)
CROSS JOIN LATERAL (SELECT * FROM ver WHERE ver.rid = k.rid ORDER BY ver.ver DESC LIMIT 1) v
WHERE v.type = k.type AND v.id = k.id
UNION ALL
SELECT 1, k.n, '', 0, 'epoch'::timestamptz, ''::"char", 0::smallint, NULL::bytea, access_of(
	CASE WHEN k.type = 0 THEN ARRAY[k.key]
	ELSE (SELECT CASE WHEN v.op <> 'D' AND v.type = k.type AND v.id = k.id THEN v.acl END FROM ver v WHERE v.rid = k.key ORDER BY v.ver DESC LIMIT 1) END,
	k.key)
FROM unnest($4::bigint[], $5::bigint[], $6::text[]) WITH ORDINALITY AS k (key, type, id, n)
UNION ALL
SELECT 2, 0, c.id, v.ver, v.updated, v.op, v.codec, v.body, NULL
FROM (
	WITH found AS MATERIALIZED (SELECT rid, ver, id, updated FROM res WHERE type = $7::smallint AND keys @> $8::bigint[] AND NOT deleted AND cardinality($8::bigint[]) > 0)
	SELECT * FROM found WHERE updated >= $9::timestamptz ORDER BY updated DESC, rid DESC LIMIT $10::bigint
) c JOIN ver v ON v.rid = c.rid AND v.ver = c.ver
UNION ALL
SELECT 3, 0, '', 0, 'epoch', '', 0, NULL, NULL WHERE EXISTS (SELECT FROM idempotency WHERE holder = $11 AND key = $12)`

// Gather finds out what g asks, in one round trip.
func (db *DB) Gather(ctx context.Context, g Gathering) (*Gathered, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	rids, types, ids := db.numbers(g.Current)
	kinds, names := db.knownArgs(g.Known)
	keys, err := db.recentKeys(g.Recent)
	if err != nil {
		return nil, err
	}
	rows, err := db.prepared.gather.QueryContext(ctx, int8s(rids), int8s(types), pq.StringArray(ids),
		int8s(db.secret.Accesses(g.Known)), int8s(kinds), pq.StringArray(names),
		db.types[g.Recent.Type], int8s(keys), g.Recent.Since, g.Recent.Most, g.Holder, g.Key)
	if err != nil {
		return nil, readFault("gather what a write has to know", err)
	}
	defer rows.Close()
	all := &Gathered{Current: map[fhir.Key]*Version{}, Known: map[access.Key][]int64{}}
	for rows.Next() {
		if err := db.takeGathered(rows, &g, all); err != nil {
			return nil, readFault("gather what a write has to know", err)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("gather what a write has to know", err)
	}
	return all, nil
}

// recentKeys returns the keys that what is asked for has.
func (db *DB) recentKeys(r Recent) ([]int64, error) {
	if r.Type == "" {
		return nil, nil
	}
	where, err := db.Registry().Criteria(r.Type, r.Where)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", r.Type, err)
	}
	f := db.secret.Filter(db.scope(r.Type), where)
	if f.Never {
		return nil, nil
	}
	if len(f.All) == 0 {
		return nil, fmt.Errorf("look for %s: %q names no keys", r.Type, r.Where)
	}
	return f.All, nil
}

// takeGathered adds one row to what was found.
func (db *DB) takeGathered(rows *sql.Rows, g *Gathering, all *Gathered) error {
	var kind, n int
	var v Version
	var op string
	var codec int16
	var keys []int64
	body := unpacking{bodies: db.bodies, codec: &codec}
	if err := rows.Scan(&kind, &n, &v.Key.ID, &v.Number, &v.Updated, &op, &codec, &body, (*keyList)(&keys)); err != nil {
		return err
	}
	switch kind {
	case gatheredKnown:
		if keys != nil {
			all.Known[g.Known[n-1]] = keys
		}
		return nil
	case gatheredReceipt:
		all.Received = true
		return nil
	case gatheredCurrent:
		v.Key, v.Keys = g.Current[n-1], keys
		if err := v.fill(op, body.stored); err != nil {
			return err
		}
		all.Current[v.Key] = &v
		return nil
	case gatheredRecent:
		v.Key.Type = g.Recent.Type
		if err := v.fill(op, body.stored); err != nil {
			return err
		}
		all.Recent = append(all.Recent, v)
	}
	return nil
}
