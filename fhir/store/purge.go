package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// Purge removes every version of k but the current one, for good, and says how
// many there were.
func (db *DB) Purge(ctx context.Context, k fhir.Key) (int, error) {
	const query = `DELETE FROM ver WHERE rid = $1 AND type = $2 AND id = $3
		AND ver < (SELECT max(ver) FROM ver n WHERE n.rid = $1)`
	typ, rid, err := db.number(k)
	if err != nil {
		return 0, err
	}
	done, err := db.sql.ExecContext(ctx, query, rid, typ, k.ID)
	if err != nil {
		return 0, fault("purge the history of a "+k.Type, err)
	}
	n, err := done.RowsAffected()
	if err != nil {
		return 0, fault("purge the history of a "+k.Type, err)
	}
	return int(n), nil
}
