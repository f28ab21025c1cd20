package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// Op says what made a version.
type Op byte

// The operations.
const (
	Create Op = 'C' // by POST: the server chose the id
	Update Op = 'U' // by PUT
	Patch  Op = 'P'
	Delete Op = 'D'
)

// Expect says what must be true of the resource for a write to happen: a
// version number that must be the current one, or one of the constants.
type Expect int

// The expectations that name no version.
const (
	Anything Expect = 0  // whatever is there
	Absent   Expect = -1 // nothing, or a deleted resource
)

// A Row is a version ready to be written. [DB.Row] makes it.
type Row struct {
	Key    fhir.Key
	Op     Op
	ACL    []int64 // access keys
	Origin string  // the client that writes it; empty for none

	typ   int16
	rid   int64
	hash  int64
	codec int16
	body  []byte
}

// Row packs the stored form of a resource for Put.
func (db *DB) Row(k fhir.Key, op Op, stored []byte) (Row, error) {
	typ, rid, err := db.number(k)
	if err != nil {
		return Row{}, err
	}
	r := Row{Key: k, Op: op, typ: typ, rid: rid, hash: db.secret.body(stored)}
	r.codec, r.body = db.bodies.pack(stored)
	return r, nil
}

// Outcome is what became of a write.
type Outcome uint8

// The outcomes of a write.
const (
	Created   Outcome = iota + 1 // there is a first version, or one after a deletion
	Updated                      // there is a further version
	Unchanged                    // the content is that of the current version; nothing was written
	Removed                      // there is a version that says it is deleted
	Nothing                      // there was nothing to delete
	Mismatch                     // the expectation does not hold; nothing was written
	Collision                    // another resource has the same rid; nothing was written
)

// Written is the current version after a write, or what stands in its way.
type Written struct {
	Outcome Outcome
	Version int
	Updated time.Time
	Deleted bool // on a Mismatch: the current version is a deletion
}

// currentQuery is the newest version that the snapshot of a statement shows, by
// the primary key of ver.
const currentQuery = `SELECT ver, updated, op = 'D' AS deleted, id, hash FROM ver WHERE rid = $1 ORDER BY ver DESC LIMIT 1`

// timeQuery takes the transaction's id before the time. See [DB.SafeTime].
const timeQuery = `SELECT date_trunc('milliseconds', clock_timestamp()) AS ts FROM (SELECT pg_current_xact_id() AS xid OFFSET 0) q WHERE q.xid IS NOT NULL`

// putQuery inserts or updates the search row and appends the version. The
// second arm answers when nothing was written, with what the statement's
// snapshot shows: whether the current version is a deletion, and whether id and
// body are the same. The first arm tells the same of the version before, and
// whether the snapshot showed it. It relies on the primary keys.
const putQuery = `
WITH t AS MATERIALIZED (` + timeQuery + `),
old AS MATERIALIZED (` + currentQuery + `),
u AS (
	INSERT INTO res AS r (rid, type, id, ver, deleted, updated, hash, keys)
	SELECT $1, $2, $3, 1, false, t.ts, $4, '{}' FROM t WHERE $5 <= 0 OR EXISTS (SELECT FROM old WHERE id = $3)
	ON CONFLICT (rid, type) DO UPDATE SET ver = r.ver + 1, deleted = false, hash = excluded.hash,
		updated = greatest(excluded.updated, r.updated + interval '1 millisecond')
	WHERE r.id = excluded.id AND (r.deleted OR r.hash <> excluded.hash)
		AND ($5 = 0 OR $5 = r.ver OR $5 = -1 AND r.deleted)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin, body)
	SELECT updated, $1, ver, $2, $3, $6::"char", $7, $4, $8, nullif($9, ''), $10 FROM u)
SELECT true, u.ver, u.updated, coalesce((SELECT deleted FROM old), true), coalesce((SELECT ver FROM old), 0) = u.ver - 1, true FROM u
UNION ALL
SELECT false, ver, updated, deleted, id = $3, hash = $4 FROM old WHERE NOT EXISTS (SELECT FROM u)`

// maxRaces bounds how often a write is tried again because another one came
// between its snapshot and its lock.
const maxRaces = 20

// Put writes a version if expect holds. A write that changes nothing makes no
// version.
func (db *DB) Put(ctx context.Context, r Row, expect Expect) (Written, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return Written{}, err
	}
	defer db.free.Release(1)
	for range maxRaces {
		w, settled, err := db.put(ctx, r, expect)
		if err != nil || settled {
			return w, err
		}
	}
	return Written{}, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

func (db *DB) put(ctx context.Context, r Row, expect Expect) (w Written, settled bool, err error) {
	var wrote, gone, same, equal bool
	acl := pq.Int64Array(r.ACL)
	if r.ACL == nil {
		acl = pq.Int64Array{}
	}
	row := db.prepared.put.QueryRowContext(ctx, r.rid, r.typ, r.Key.ID, r.hash, int(expect), string(r.Op), r.codec, acl, r.Origin, r.body)
	err = row.Scan(&wrote, &w.Version, &w.Updated, &gone, &same, &equal)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		w.Outcome = Mismatch
		// Without a demanded version nothing may keep the row from being
		// inserted but a writer that the snapshot does not show.
		return w, expect > 0, nil
	case isClash(err):
		w.Outcome = Collision
		return w, true, nil
	case err != nil:
		return w, false, fault("put "+r.Key.Type, err)
	case wrote:
		w.Outcome = db.madeAnew(ctx, r.Key, w.Version, same, gone)
		return w, true, nil
	}
	w.Deleted = gone
	w.Outcome = refusal(w, expect, same, equal)
	return w, w.Outcome != Updated, nil
}

// isClash reports whether err says that the first version of a resource has the
// rid of a resource of another type.
func isClash(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && e.Code == "23505" && e.Constraint == "ver_pkey"
}

// madeAnew says whether a version that was written is the first one or follows a
// deletion. The statement knows only if its snapshot showed the version before;
// if that cannot be asked either, the write is called an update, for it has
// happened.
func (db *DB) madeAnew(ctx context.Context, k fhir.Key, version int, sawBefore, gone bool) Outcome {
	if version > 1 && !sawBefore {
		before, err := db.held(ctx, db.prepared.vread, k, version-1)
		gone = err == nil && before != nil && before.Deleted()
	}
	if gone {
		return Created
	}
	return Updated
}

// refusal says why nothing was written, from the current version. Updated means
// that it should have been, so another writer came between.
func refusal(w Written, expect Expect, sameID, sameBody bool) Outcome {
	switch {
	case !sameID:
		return Collision
	case expect > 0 && w.Version != int(expect), expect == Absent && !w.Deleted:
		return Mismatch
	case sameBody && !w.Deleted:
		return Unchanged
	}
	return Updated
}

// deleteQuery marks the search row and appends a version without a body that
// keeps the access keys of the one before. It is an insert that always meets its
// row, since an update would lock every partition.
const deleteQuery = `
WITH t AS MATERIALIZED (` + timeQuery + `),
old AS MATERIALIZED (` + currentQuery + `),
u AS (
	INSERT INTO res AS r (rid, type, id, ver, deleted, updated, hash, keys)
	SELECT $1, $2, $3, 1, true, t.ts, 0, '{}' FROM t, old WHERE old.id = $3 AND NOT old.deleted AND ($4 = 0 OR $4 = old.ver)
	ON CONFLICT (rid, type) DO UPDATE SET ver = r.ver + 1, deleted = true, hash = 0, keys = '{}', refs = '{}',
		updated = greatest(excluded.updated, r.updated + interval '1 millisecond'),
		t1 = NULL, t1h = NULL, t2 = NULL, t2h = NULL, t3 = NULL, t3h = NULL, n1 = NULL, s1 = NULL, strs = NULL, sorts = NULL
	WHERE r.id = excluded.id AND NOT r.deleted AND ($4 = 0 OR $4 = r.ver)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin)
	SELECT u.updated, $1, u.ver, $2, $3, 'D', 0, 0, coalesce((SELECT acl FROM ver p WHERE p.rid = $1 AND p.ver = u.ver - 1), '{}'), nullif($5, '') FROM u)
SELECT true, ver, updated, false FROM u
UNION ALL
SELECT false, ver, updated, deleted FROM old WHERE id = $3 AND NOT EXISTS (SELECT FROM u)`

// Delete appends a version that says the resource is deleted, if expect, a
// version or Anything, holds. Deleting what is not there is no error.
func (db *DB) Delete(ctx context.Context, k fhir.Key, expect Expect, origin string) (Written, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return Written{}, err
	}
	defer db.free.Release(1)
	typ, rid, err := db.number(k)
	if err != nil {
		return Written{}, err
	}
	for range maxRaces {
		var wrote bool
		w := Written{Outcome: Removed}
		err := db.prepared.delete.QueryRowContext(ctx, rid, typ, k.ID, int(expect), origin).Scan(&wrote, &w.Version, &w.Updated, &w.Deleted)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return Written{Outcome: Nothing}, nil
		case err != nil:
			return Written{}, fault("delete "+k.Type, err)
		case wrote:
			return w, nil
		case w.Deleted:
			w.Outcome = Nothing
			return w, nil
		case expect > 0 && w.Version != int(expect):
			w.Outcome = Mismatch
			return w, nil
		}
	}
	return Written{}, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}
