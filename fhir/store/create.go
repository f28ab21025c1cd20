package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// createQuery is putQuery for most of what is created: it gives nothing, has no
// ranges, and its id is new. It writes nothing when any of that is not so, or
// putQuery would not: that one must then be asked. It takes two thirds of its time.
func createQuery(partition string, audited bool) string {
	audit := ""
	if audited {
		audit = "," + strings.TrimSuffix(auditQuery(24), ",")
	}
	return `
WITH t AS MATERIALIZED (` + timeQuery + `),
a AS MATERIALIZED (
	SELECT n.own || $23::bigint[] AS keys
	FROM (SELECT access_new($18::bigint[], $22::bigint[], $1) AS own FROM search_generation WHERE gen = $5 LIMIT 1) n WHERE n.own IS NOT NULL),
u AS (
	INSERT INTO ` + partition + ` AS r (rid, type, id, ver, deleted, updated, hash, ` + columnNames + `)
	SELECT $1, $2, $3, 1, false, t.ts, $4, ` + columnValues + ` FROM t, a
	RETURNING ver, updated),
v AS (
	INSERT INTO ver (updated, rid, ver, type, id, op, codec, hash, acl, origin, body, words)
	SELECT updated, $1, ver, $2, $3, 'C', $17, $4, $18::bigint[] || $23::bigint[], nullif($19, ''), $20, $21 FROM u)` + audit + `
SELECT ver, updated FROM u`
}

// isPlain reports whether createQuery may do for r.
func (r *Row) isPlain(expect Expect) bool {
	return r.Op == Create && expect <= 0 && len(r.Gifts) == 0 && r.columns.ranges.none
}

// tryCreate writes r, for which isPlain holds, and reports whether it could.
func (db *DB) tryCreate(ctx context.Context, s *session, r *Row) (w Written, wrote bool, err error) {
	args := append(make([]any, 0, 23+auditNumber), r.rid, r.typ, r.Key.ID, r.hash)
	args = append(r.columns.searched(args), r.codec, int8s(r.own), r.Origin, r.body, r.columns.words, int8s(r.sources), int8s(db.secret.Accesses(r.Author)))
	if db.audit != nil {
		args = db.auditArgs(args, r.Trail)
	}
	w.Outcome = Created
	err = s.statement(ctx, db.prepared.create[db.tables.Of(r.Key.Type)]).QueryRowContext(ctx, args...).Scan(&w.Version, &w.Updated)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Written{}, false, nil
	case err != nil:
		return Written{}, false, fault("create "+r.Key.Type, err)
	}
	return w, true, nil
}
