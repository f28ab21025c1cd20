package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// Purged says what a purge has removed.
type Purged struct {
	RID      int64 // of the resource: a name for the log that gives no id away
	Versions int
}

// Purge removes every version of k but the current one, for good.
func (db *DB) Purge(ctx context.Context, k fhir.Key) (Purged, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	const query = `DELETE FROM ver WHERE rid = $1 AND type = $2 AND id = $3
		AND ver < (SELECT max(ver) FROM ver n WHERE n.rid = $1)`
	typ, rid, err := db.number(k)
	if err != nil {
		return Purged{}, err
	}
	done, err := db.sql.ExecContext(ctx, query, rid, typ, k.ID)
	if err != nil {
		return Purged{}, fault("purge the history of a "+k.Type, err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return Purged{}, fault("purge the history of a "+k.Type, err)
	}
	return Purged{rid, int(n)}, nil
}
