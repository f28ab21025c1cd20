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

// columnNames are the search columns of res, columnValues their parameters and
// columnUpdates what an upsert does with them.
const (
	columnNames   = `idx_gen, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts`
	columnValues  = `$5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16`
	columnUpdates = `idx_gen = excluded.idx_gen, keys = excluded.keys, refs = excluded.refs, t1 = excluded.t1, t1h = excluded.t1h,
		t2 = excluded.t2, t2h = excluded.t2h, t3 = excluded.t3, t3h = excluded.t3h, s1 = excluded.s1, strs = excluded.strs, sorts = excluded.sorts`
)

// rangesQuery is the part of a statement that replaces the ranges of the row that
// its part u has written. A range counts only for the version that it names, so
// one that the snapshot does not show yet may be left behind. The arrays come out
// of a fence: where the planner can see how long they are, it takes each run for
// worth a plan of its own.
const rangesQuery = `
old_ranges AS (DELETE FROM rng WHERE rid = $1 AND EXISTS (SELECT FROM u)),
ranges AS (
	INSERT INTO rng (grp, lo, hi, rid, ver)
	SELECT x.grp, x.lo, x.hi, $1, u.ver
	FROM u, (SELECT $17::bigint[] AS grps, $18::double precision[] AS los, $19::double precision[] AS his OFFSET 0) a, unnest(a.grps, a.los, a.his) AS x (grp, lo, hi))`

// putQuery inserts or updates the search row and appends the version, if the
// search parameters that the row was made by are still those in force. The
// second arm answers when nothing was written, with what the statement's
// snapshot shows: whether the current version is a deletion, whether id and body
// are the same, and whether the search parameters are. The first arm tells the
// same of the version before, and whether the snapshot showed it. It relies on
// the primary keys.
const putQuery = `
WITH t AS MATERIALIZED (` + timeQuery + `),
g AS MATERIALIZED (SELECT gen = $5 AS current FROM search_generation),
old AS MATERIALIZED (` + currentQuery + `),
u AS (
	INSERT INTO res AS r (rid, type, id, ver, deleted, updated, hash, ` + columnNames + `)
	SELECT $1, $2, $3, 1, false, t.ts, $4, ` + columnValues + ` FROM t, g WHERE g.current AND ($20 <= 0 OR EXISTS (SELECT FROM old WHERE id = $3))
	ON CONFLICT (rid, type) DO UPDATE SET ver = r.ver + 1, deleted = false, hash = excluded.hash,
		updated = greatest(excluded.updated, r.updated + interval '1 millisecond'), ` + columnUpdates + `
	WHERE r.id = excluded.id AND (r.deleted OR r.hash <> excluded.hash)
		AND ($20 = 0 OR $20 = r.ver OR $20 = -1 AND r.deleted)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin, body, words)
	SELECT updated, $1, ver, $2, $3, $21::"char", $22, $4, $23, nullif($24, ''), $25, $26 FROM u),` + rangesQuery + `
SELECT true, u.ver, u.updated, coalesce((SELECT deleted FROM old), true), coalesce((SELECT ver FROM old), 0) = u.ver - 1, true, true FROM u
UNION ALL
SELECT false, coalesce(ver, 0), coalesce(updated, 'epoch'), coalesce(deleted, false), coalesce(id = $3, false), coalesce(hash = $4, false), g.current
FROM g LEFT JOIN old ON true WHERE NOT EXISTS (SELECT FROM u) AND (old.ver IS NOT NULL OR NOT g.current)`

// maxRaces bounds how often a write is tried again because another one came
// between its snapshot and its lock, or because the search parameters changed.
const maxRaces = 20

// Put writes a version if expect holds. A write that changes nothing makes no
// version. Writing a SearchParameter puts it in force, or out of it.
func (db *DB) Put(ctx context.Context, r Row, expect Expect) (Written, error) {
	if r.Key.Type == parameterType {
		return db.putParameter(ctx, r, expect)
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return Written{}, err
	}
	defer db.free.Release(1)
	return db.put(ctx, &session{querier: db.sql}, r, expect)
}

// put writes a version by statements of s.
func (db *DB) put(ctx context.Context, s *session, r Row, expect Expect) (Written, error) {
	for range maxRaces {
		w, a, err := db.tryPut(ctx, s, &r, expect)
		switch {
		case err != nil || a == settled:
			return w, err
		case a == stale:
			if err := db.rebuild(ctx, s, &r); err != nil {
				return Written{}, err
			}
		}
	}
	return Written{}, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing this resource; try again.")
}

// An attempt is how one run of a statement ended.
type attempt uint8

const (
	settled attempt = iota
	raced           // another writer came between snapshot and lock
	stale           // the row was made by other search parameters than those in force
)

func (db *DB) tryPut(ctx context.Context, s *session, r *Row, expect Expect) (w Written, a attempt, err error) {
	var wrote, gone, same, equal, current bool
	acl := int8s(r.ACL)
	args := append(make([]any, 0, 26), r.rid, r.typ, r.Key.ID, r.hash)
	args = append(r.columns.args(args), int(expect), string(r.Op), r.codec, acl, r.Origin, r.body, r.columns.words)
	err = s.statement(ctx, db.prepared.put).QueryRowContext(ctx, args...).Scan(&wrote, &w.Version, &w.Updated, &gone, &same, &equal, &current)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		w.Outcome = Mismatch
		if expect > 0 {
			return w, settled, nil
		}
		// Without a demanded version nothing may keep the row from being
		// inserted but a writer that the snapshot does not show.
		return w, raced, nil
	case isClash(err):
		s.broken = true
		w.Outcome = Collision
		return w, settled, nil
	case err != nil:
		return w, settled, fault("put "+r.Key.Type, err)
	case wrote:
		w.Outcome = db.madeAnew(ctx, s, r.Key, sighting{w.Version, same, gone})
		return w, settled, nil
	case !current:
		return w, stale, nil
	}
	w.Deleted = gone
	w.Outcome = refusal(w, expect, same, equal)
	if w.Outcome == Updated {
		return w, raced, nil
	}
	return w, settled, nil
}

// rebuild makes the search columns of r by the search parameters in force.
func (db *DB) rebuild(ctx context.Context, s *session, r *Row) error {
	registry, err := db.refresh(ctx, s, r.columns.generation)
	if err != nil {
		return err
	}
	r.columns, err = db.secret.columns(registry, r.resource.Root(), r.Key.ID)
	return err
}

// isClash reports whether err says that the first version of a resource has the
// rid of a resource of another type.
func isClash(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && e.Code == "23505" && e.Constraint == "ver_pkey"
}

// A sighting is what the statement that wrote a version knows of the one before:
// whether its snapshot showed it, and whether that was a deletion or nothing.
type sighting struct {
	version   int // the one written
	sawBefore bool
	gone      bool
}

// madeAnew says whether a version that was written is the first one or follows a
// deletion. If the version before was not seen and cannot be asked either, the
// write is called an update, for it has happened.
func (db *DB) madeAnew(ctx context.Context, s *session, k fhir.Key, saw sighting) Outcome {
	if saw.version > 1 && !saw.sawBefore {
		before, err := db.held(ctx, s.statement(ctx, db.prepared.vread), k, saw.version-1)
		saw.gone = err == nil && before != nil && before.Deleted()
	}
	if saw.gone {
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
		t1 = NULL, t1h = NULL, t2 = NULL, t2h = NULL, t3 = NULL, t3h = NULL, s1 = NULL, strs = NULL, sorts = NULL
	WHERE r.id = excluded.id AND NOT r.deleted AND ($4 = 0 OR $4 = r.ver)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin)
	SELECT u.updated, $1, u.ver, $2, $3, 'D', 0, 0, coalesce((SELECT acl FROM ver p WHERE p.rid = $1 AND p.ver = u.ver - 1), '{}'), nullif($5, '') FROM u),
old_ranges AS (DELETE FROM rng WHERE rid = $1 AND EXISTS (SELECT FROM u))
SELECT true, ver, updated, false FROM u
UNION ALL
SELECT false, ver, updated, deleted FROM old WHERE id = $3 AND NOT EXISTS (SELECT FROM u)`

// Delete appends a version that says the resource is deleted, if expect, a
// version or Anything, holds. Deleting what is not there is no error. A
// SearchParameter that is deleted is no longer in force.
func (db *DB) Delete(ctx context.Context, k fhir.Key, expect Expect, origin string) (Written, error) {
	r := Row{Key: k, Op: Delete, Origin: origin}
	if k.Type == parameterType {
		return db.deleteParameter(ctx, r, expect)
	}
	ctx, err := db.hold(ctx)
	if err != nil {
		return Written{}, err
	}
	defer db.free.Release(1)
	return db.delete(ctx, &session{querier: db.sql}, r, expect)
}

// delete marks the resource that r names as deleted by statements of s.
func (db *DB) delete(ctx context.Context, s *session, r Row, expect Expect) (Written, error) {
	typ, rid, err := db.number(r.Key)
	if err != nil {
		return Written{}, err
	}
	for range maxRaces {
		var wrote bool
		w := Written{Outcome: Removed}
		err := s.statement(ctx, db.prepared.delete).QueryRowContext(ctx, rid, typ, r.Key.ID, int(expect), r.Origin).Scan(&wrote, &w.Version, &w.Updated, &w.Deleted)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return Written{Outcome: Nothing}, nil
		case err != nil:
			return Written{}, fault("delete "+r.Key.Type, err)
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
