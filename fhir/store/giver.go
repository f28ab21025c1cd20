package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// A Giving is a gift that counts for some version: Basis gives Key, hashed, to
// what has Target, hashed, or is the resource with that rid.
type Giving struct {
	Basis       fhir.Key
	Target, Key int64
}

// giversQuery finds the gifts to what has one of some keys. Who gives is named by
// its newest version, which is found by the primary key of ver.
const giversQuery = `
SELECT g.target, g.key, v.type, v.id
FROM access_grant g CROSS JOIN LATERAL (SELECT type, id FROM ver WHERE ver.rid = g.basis ORDER BY ver.ver DESC LIMIT 1) v
WHERE g.target = ANY ($1) ORDER BY v.type, v.id, g.target, g.key LIMIT 1000`

// Givers returns the gifts by which v has those of its effective keys that are not
// its own, a thousand at most.
func (db *DB) Givers(ctx context.Context, v *Version) ([]Giving, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	targets := append([]int64{db.secret.RID(v.Key)}, v.Keys...)
	rows, err := db.sql.QueryContext(ctx, giversQuery, int8s(targets))
	if err != nil {
		return nil, readFault("look up gifts", err)
	}
	defer rows.Close()
	var all []Giving
	for rows.Next() {
		var g Giving
		var typ int16
		if err := rows.Scan(&g.Target, &g.Key, &typ, &g.Basis.ID); err != nil {
			return nil, readFault("look up gifts", err)
		}
		g.Basis.Type = db.names[typ]
		all = append(all, g)
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("look up gifts", err)
	}
	return all, nil
}
