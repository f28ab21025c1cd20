package store

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
)

// Renamed returns r for another resource of the same type, without packing its
// body or making its search columns again. With Put it measures what the database
// itself can write.
func (db *DB) Renamed(r Row, id string) Row {
	r.Key.ID = id
	r.rid = db.secret.RID(r.Key)
	return r
}

// RawRead runs the statement of ReadContent and returns the size of the packed body,
// which it leaves packed. It measures what the database itself can read.
func (db *DB) RawRead(ctx context.Context, k fhir.Key) (int, error) {
	typ, rid, err := db.number(k)
	if err != nil {
		return 0, err
	}
	var v Version
	var op string
	var codec int16
	var body, keys []byte
	if err := db.prepared.contents.QueryRowContext(ctx, rid, typ, k.ID).Scan(&v.Number, &v.Updated, &op, &codec, &body, &keys); err != nil {
		return 0, readFault("read "+k.Type, err)
	}
	return len(body), nil
}
