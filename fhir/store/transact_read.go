package store

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// currentsQuery reads the newest versions of several resources.
const currentsQuery = `
SELECT k.n, v.ver, v.updated, v.op, v.codec, v.body, access_of(v.acl, k.rid)
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS k (rid, type, id, n)
CROSS JOIN LATERAL (SELECT * FROM ver WHERE ver.rid = k.rid ORDER BY ver.ver DESC LIMIT 1) v
WHERE v.type = k.type AND v.id = k.id`

// Current returns the newest version of each of some resources, deletions among
// them, with their Keys. What there never was has no entry. It takes one round
// trip.
func (db *DB) Current(ctx context.Context, of []fhir.Key) (map[fhir.Key]*Version, error) {
	if len(of) == 0 {
		return map[fhir.Key]*Version{}, nil
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.currents(ctx, &session{querier: db.sql}, of)
}

// currents does so by a statement of s.
func (db *DB) currents(ctx context.Context, s *session, of []fhir.Key) (map[fhir.Key]*Version, error) {
	all := make(map[fhir.Key]*Version, len(of))
	rids, types, ids := db.numbers(of)
	rows, err := s.statement(ctx, db.prepared.current).QueryContext(ctx, int8s(rids), int8s(types), pq.StringArray(ids))
	if err != nil {
		return nil, readFault("read what is to be changed", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		var v Version
		var op string
		var codec int16
		body := unpacking{bodies: db.bodies, codec: &codec}
		if err := rows.Scan(&n, &v.Number, &v.Updated, &op, &codec, &body, (*keyList)(&v.Keys)); err != nil {
			return nil, readFault("read what is to be changed", err)
		}
		v.Key = of[n-1]
		if err := v.fill(op, body.stored); err != nil {
			return nil, err
		}
		all[v.Key] = &v
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read what is to be changed", err)
	}
	return all, nil
}

// numbers returns keys as Postgres has them. A type that does not exist has the
// number -1.
func (db *DB) numbers(of []fhir.Key) (rids, types []int64, ids []string) {
	rids, types, ids = make([]int64, len(of)), make([]int64, len(of)), make([]string, len(of))
	for i, k := range of {
		rids[i], ids[i], types[i] = db.secret.RID(k), k.ID, -1
		if n, ok := db.types[k.Type]; ok {
			types[i] = int64(n)
		}
	}
	return rids, types, ids
}

// keysOf returns the keys that numbers and ids name.
func (db *DB) keysOf(types []int64, ids []string) ([]fhir.Key, error) {
	keys := make([]fhir.Key, len(ids))
	for i, id := range ids {
		name, ok := db.names[int16(types[i])]
		if !ok {
			return nil, fmt.Errorf("there is no resource type %d", types[i])
		}
		keys[i] = fhir.Key{Type: name, ID: id}
	}
	return keys, nil
}
