package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Version is one version of a resource.
type Version struct {
	Key     fhir.Key
	Number  int
	Updated time.Time
	Op      Op
	Fresh   bool    // the first version, or one after a deletion; known in a history only
	Stored  []byte  // the stored form, which others read as well and nobody changes; nil for a deletion
	Keys    []int64 // effective access keys, hashed, some perhaps twice: who sees it; nil is not known
}

// Deleted reports whether v says that the resource is deleted.
func (v Version) Deleted() bool { return v.Op == Delete }

// Resource returns v as a client reads it.
func (v Version) Resource() []byte {
	const stamp = 80 // room for what is spliced in
	return fhir.Stamp(make([]byte, 0, len(v.Stored)+stamp), v.Stored, v.Key, fhir.Meta{Version: v.Number, Updated: v.Updated})
}

// The reads go by the primary key of ver alone and look at type and id behind
// it, so that no plan made while the tables were small takes another index. By
// way of res, which is partitioned, a read costs twice as much: a prepared
// statement locks every partition.
const (
	readQuery     = `SELECT ver, updated, op, codec, body, access_of(acl, $1) FROM (SELECT * FROM ver WHERE rid = $1 ORDER BY ver DESC LIMIT 1) v WHERE type = $2 AND id = $3`
	contentsQuery = `SELECT ver, updated, op, codec, body, NULL::bigint[] FROM (SELECT * FROM ver WHERE rid = $1 ORDER BY ver DESC LIMIT 1) v WHERE type = $2 AND id = $3`
	vreadQuery    = `SELECT ver, updated, op, codec, body, access_of(acl, $1) FROM (SELECT * FROM ver WHERE rid = $1 AND ver = $4 OFFSET 0) v WHERE type = $2 AND id = $3`
	atQuery       = `SELECT ver, updated, op, codec, body, access_of(acl, $1) FROM (SELECT * FROM ver WHERE rid = $1 AND updated <= $4 ORDER BY ver DESC LIMIT 1) v WHERE type = $2 AND id = $3`
)

// Read returns the current version of k, which may be a deletion. It is nil when
// there never was such a resource.
func (db *DB) Read(ctx context.Context, k fhir.Key) (*Version, error) {
	return db.one(ctx, db.prepared.read, k)
}

// ReadContent is Read for who sees everything: it does not look up the Keys, which
// takes as long as to read the rest.
func (db *DB) ReadContent(ctx context.Context, k fhir.Key) (*Version, error) {
	return db.one(ctx, db.prepared.contents, k)
}

// VRead returns version number n of k, or nil.
func (db *DB) VRead(ctx context.Context, k fhir.Key, n int) (*Version, error) {
	return db.one(ctx, db.prepared.vread, k, n)
}

// ReadAt returns the version of k that was current at the given moment, or nil
// when there was none yet.
func (db *DB) ReadAt(ctx context.Context, k fhir.Key, at time.Time) (*Version, error) {
	return db.one(ctx, db.prepared.at, k, at)
}

func (db *DB) one(ctx context.Context, s *sql.Stmt, k fhir.Key, more ...any) (*Version, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.held(ctx, s, k, more...)
}

// held does so for who holds a connection.
func (db *DB) held(ctx context.Context, s *sql.Stmt, k fhir.Key, more ...any) (*Version, error) {
	typ, rid, err := db.number(k)
	if err != nil {
		return nil, err
	}
	v := Version{Key: k}
	var op string
	var codec int16
	body := unpacking{bodies: db.bodies, codec: &codec}
	err = s.QueryRowContext(ctx, append([]any{rid, typ, k.ID}, more...)...).Scan(&v.Number, &v.Updated, &op, &codec, &body, (*keyList)(&v.Keys))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, readFault("read "+k.Type, err)
	}
	return &v, v.fill(op, body.stored)
}

// fill completes v with what was scanned beside it.
func (v *Version) fill(op string, stored []byte) error {
	if len(op) != 1 {
		return fmt.Errorf("version %d of a %s has the operation %q", v.Number, v.Key.Type, op)
	}
	v.Op, v.Stored = Op(op[0]), stored
	return nil
}
