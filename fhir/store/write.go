package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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
	Misnamed                     // it refers to a patient who was merged; nothing was written. Of [DB.WriteEach] only: others return an Outcome
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
const currentQuery = `SELECT ver, updated, op = 'D' AS deleted, id = $3 AND type = $2 AS same, hash FROM ver WHERE rid = $1 ORDER BY ver DESC LIMIT 1`

// timeQuery takes the transaction's id before the time. See [DB.SafeTime].
const timeQuery = `SELECT date_trunc('milliseconds', clock_timestamp()) AS ts FROM (SELECT pg_current_xact_id() AS xid OFFSET 0) q WHERE q.xid IS NOT NULL`

// columnNames are the search columns of res, columnValues their parameters, with
// the effective access keys of a before the others, since searches hold most rows
// against those, and columnUpdates what an upsert does with them.
const (
	columnNames   = `idx_gen, keys, refs, t1, t1h, t2, t2h, t3, t3h, s1, strs, sorts`
	columnValues  = `$5, a.keys || $6::bigint[], $7, $8, $9, $10, $11, $12, $13, $14, $15, $16`
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

// putQuery inserts or updates the search row in a partition of res and appends the
// version, if the search parameters that the row was made by are still those in
// force; with an audit it records that. Its part a decides, with the resource
// locked and what the last writer has left in sight, whether there is to be a
// version, and finds out who sees it. The second arm answers when nothing was
// written, with what the statement's snapshot shows: whether the current version is
// a deletion, whether id and body are the same, and whether the search parameters
// are. It relies on the primary keys. To insert into res itself, and to have the
// table of the audit at hand for nothing, would take a tenth more each.
func putQuery(partition string, audited bool) string {
	audit := ""
	if audited {
		audit = auditQuery(32)
	}
	return `
WITH t AS MATERIALIZED (` + timeQuery + `),
g AS MATERIALIZED (SELECT gen = $5 AS current FROM search_generation LIMIT 1),
old AS MATERIALIZED (` + currentQuery + `),
a AS MATERIALIZED (
	SELECT w.* FROM g, access_write($21::text, $1, $2, $3, $4, CASE WHEN g.current THEN $20::int END, $23, $27, $28, $29, $30, $31) w
	WHERE g.current),
u AS (
	INSERT INTO ` + partition + ` AS r (rid, type, id, ver, deleted, updated, hash, ` + columnNames + `)
	SELECT $1, $2, $3, 1, false, t.ts, $4, ` + columnValues + ` FROM t, a WHERE a.goes
	ON CONFLICT (rid, type) DO UPDATE SET ver = r.ver + 1, deleted = false, hash = excluded.hash,
		updated = greatest(excluded.updated, r.updated + interval '1 millisecond'), ` + columnUpdates + `
	WHERE r.id = excluded.id AND (r.deleted OR r.hash <> excluded.hash)
		AND ($20 = 0 OR $20 = r.ver OR $20 = -1 AND r.deleted)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin, body, words)
	SELECT updated, $1, ver, $2, $3, ($21::text)::"char", $22, $4, a.acl, nullif($24, ''), $25, $26 FROM u, a),` + audit + rangesQuery + `
SELECT true, u.ver, u.updated, a.gone, true, true, true FROM u, a
UNION ALL
SELECT false, coalesce(ver, 0), coalesce(updated, 'epoch'), coalesce(deleted, false), coalesce(same, false), coalesce(hash = $4, false), g.current
FROM g LEFT JOIN old ON true WHERE NOT EXISTS (SELECT FROM u)
	AND CASE WHEN EXISTS (SELECT FROM a WHERE goes) THEN access_torn() ELSE old.ver IS NOT NULL OR NOT g.current END`
}

// auditQuery is the part of a statement that records the version that its part u
// has written, by parameters from $first on. Whether it is to be recorded comes out
// of a fence, for the same reason as in rangesQuery.
func auditQuery(first int) string {
	return fmt.Sprintf(`
audited AS (
	INSERT INTO audit (rid, type, id, ver, `+auditNames+`)
	SELECT $1, $2, $3, u.ver, `+auditValues(first)+` FROM u, (SELECT $%d::text AS interaction OFFSET 0) l WHERE l.interaction IS NOT NULL),`, first)
}

// maxRaces bounds how often a write is tried again because another one came
// between its snapshot and its lock, or because the search parameters changed.
const maxRaces = 20

// Put writes a version if expect holds. A write that changes nothing makes no
// version. Writing a SearchParameter puts it in force, or out of it.
func (db *DB) Put(ctx context.Context, r Row, expect Expect) (Written, error) {
	defer db.pulses.beat()
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
	if r.Past {
		all, err := db.write(ctx, s, batch{changes: []Change{{r, expect}}})
		if err != nil {
			return Written{}, err
		}
		return all[0], nil
	}
	if r.isPlain(expect) {
		if w, wrote, err := db.tryCreate(ctx, s, &r); wrote || err != nil {
			return w, err
		}
	}
	for try := range maxRaces {
		w, a, err := db.tryPut(ctx, s, &r, expect)
		switch {
		case undone(err) && s.tx == nil:
			pauseBefore(try)
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
	given, err := db.secret.given(r)
	if err != nil {
		return w, settled, err
	}
	args := append(make([]any, 0, 31+auditNumber), r.rid, r.typ, r.Key.ID, r.hash)
	args = append(r.columns.args(args), int(expect), string(r.Op), r.codec, int8s(r.own), r.Origin, r.body, r.columns.words,
		int8s(r.sources), int8s(db.secret.Accesses(r.Author)), given.targets, given.keys, given.marks)
	if db.audit != nil {
		args = db.auditArgs(args, r.Trail)
	}
	err = s.statement(ctx, db.prepared.put[db.tables.Of(r.Key.Type)]).QueryRowContext(ctx, args...).Scan(&wrote, &w.Version, &w.Updated, &gone, &same, &equal, &current)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		w.Outcome = Mismatch
		if expect > 0 {
			return w, settled, nil
		}
		// Without a demanded version nothing may keep the row from being
		// inserted but a writer that the snapshot does not show.
		return w, raced, nil
	case err != nil:
		return w, settled, fault("put "+r.Key.Type, err)
	case wrote:
		w.Outcome = Updated
		if gone {
			w.Outcome = Created
		}
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
	r.columns, r.Index, err = db.secret.columns(registry, r.resource.Root(), r.Key.ID)
	return err
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
var deleteQuery = `
WITH t AS MATERIALIZED (` + timeQuery + `),
old AS MATERIALIZED (` + currentQuery + `),
a AS MATERIALIZED (SELECT * FROM access_write('D', $1, $2, $3, 0, $4, '{}', '{}', '{}', '{}', '{}', '{}')),
u AS (
	INSERT INTO res AS r (rid, type, id, ver, deleted, updated, hash, keys)
	SELECT $1, $2, $3, 1, true, t.ts, 0, '{}' FROM t, a WHERE a.goes
	ON CONFLICT (rid, type) DO UPDATE SET ver = r.ver + 1, deleted = true, hash = 0, keys = '{}', refs = '{}',
		updated = greatest(excluded.updated, r.updated + interval '1 millisecond'),
		t1 = NULL, t1h = NULL, t2 = NULL, t2h = NULL, t3 = NULL, t3h = NULL, s1 = NULL, strs = NULL, sorts = NULL
	WHERE r.id = excluded.id AND NOT r.deleted AND ($4 = 0 OR $4 = r.ver)
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin)
	SELECT u.updated, $1, u.ver, $2, $3, 'D', 0, 0, a.acl, nullif($5, '') FROM u, a),` + auditQuery(6) + `
old_ranges AS (DELETE FROM rng WHERE rid = $1 AND EXISTS (SELECT FROM u))
SELECT true, ver, updated, false FROM u
UNION ALL
SELECT false, ver, updated, deleted FROM old
WHERE CASE WHEN EXISTS (SELECT FROM u) THEN false WHEN EXISTS (SELECT FROM a WHERE goes) THEN access_torn() ELSE same END`

// Delete appends a version that says the resource is deleted, if expect, a
// version or Anything, holds. Deleting what is not there is no error. A
// SearchParameter that is deleted is no longer in force.
func (db *DB) Delete(ctx context.Context, k fhir.Key, expect Expect, origin string, trail *Trail) (Written, error) {
	defer db.pulses.beat()
	r := Row{Key: k, Op: Delete, Origin: origin, Trail: trail}
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
	for try := range maxRaces {
		var wrote bool
		w := Written{Outcome: Removed}
		err := s.statement(ctx, db.prepared.delete).QueryRowContext(ctx, db.auditArgs([]any{rid, typ, r.Key.ID, int(expect), r.Origin}, r.Trail)...).Scan(&wrote, &w.Version, &w.Updated, &w.Deleted)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return Written{Outcome: Nothing}, nil
		case undone(err) && s.tx == nil:
			pauseBefore(try)
			continue
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
