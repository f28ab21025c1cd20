package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// chunkQuery reads the resources of a window whose rows are older than the job,
// in the order of their rids, and how many there are of them. It stops early when
// the bodies get large.
func chunkQuery(j *job) string {
	types := ""
	if j.types != nil {
		types = "AND type IN (" + strings.Trim(strings.ReplaceAll(fmt.Sprint(j.types), " ", ","), "[]") + ")"
	}
	return fmt.Sprintf(`
		WITH c AS MATERIALIZED (SELECT rid, type, id, ver FROM res
			WHERE rid BETWEEN %d AND %d AND idx_gen < %d AND NOT deleted %s ORDER BY rid LIMIT %d)
		SELECT n, rid, type, id, ver, keyed, codec, body FROM (
			SELECT count(*) OVER () AS n, c.rid, c.type, c.id, c.ver, v.acl IS NOT NULL AS keyed, v.codec, v.body,
				sum(octet_length(v.body)) OVER (ORDER BY c.rid) - octet_length(v.body) AS before
			FROM c JOIN ver v ON v.rid = c.rid AND v.ver = c.ver) x
		WHERE before < %d ORDER BY rid`, j.walk.next, j.walk.last(), j.generation, types, chunkRows, chunkBytes)
}

// restore makes the row of a stored form by the search parameters in force. What
// is stored was written before there were access keys, if these are asked for: all
// that it gives is given.
func (db *DB) restore(k fhir.Key, stored []byte, keyless bool) (Row, error) {
	r, err := fhir.Decode(k.Type, stored)
	if err != nil {
		return Row{}, fmt.Errorf("decode what is stored: %w", err)
	}
	row := Row{Key: k}
	if row.columns, row.Index, err = db.secret.columns(db.Registry(), r.Root(), k.ID); err != nil {
		return Row{}, err
	}
	if keyless {
		db.authorize(&row, r.Root())
		row.Allowed = row.Gifts
	}
	row.Index = nil // many rows are held at a time
	return row, nil
}

// buildPart gives the search row of a version new columns and the effective access
// keys of the part a, unless there is a newer version or somebody has built it
// since. It is an insert that always meets its row, since an update would lock
// every partition.
const buildPart = `
u AS (
	INSERT INTO res AS r (rid, type, id, ver, updated, hash, ` + columnNames + `)
	SELECT $1, $2, $3, $4, now(), 0, ` + columnValues + ` FROM a WHERE a.goes
	ON CONFLICT (rid, type) DO UPDATE SET ` + columnUpdates + `
	WHERE r.ver = excluded.ver AND NOT r.deleted AND r.idx_gen < excluded.idx_gen
	RETURNING ver),` + rangesQuery + `
SELECT FROM u`

// buildQuery does so for a version with own keys. The row is locked before: who
// changes what is given to it waits, or has been seen.
const buildQuery = `
WITH a AS MATERIALIZED (SELECT true AS goes, access_of(acl, $1) AS keys FROM ver WHERE rid = $1 AND ver = $4 AND acl IS NOT NULL),` + buildPart

// adoptQuery does so for one from before there were access keys, which gets them,
// and whose gifts are given.
const adoptQuery = `
WITH a AS MATERIALIZED (SELECT * FROM access_write('I', $1, $2, $3, 0, $4, $20, $21, '{}', $22, $23, $24)),
o AS (UPDATE ver SET acl = a.acl FROM a WHERE ver.rid = $1 AND ver.ver = $4 AND a.goes),` + buildPart

// adopt builds those rows of c that have no access keys. Each is written alone: it
// waits for others before it locks its row.
func (x *indexer) adopt(ctx context.Context, c chunk) error {
	var adopt *sql.Stmt
	for i := range c.rows {
		b := &c.rows[i]
		if b.keyed {
			continue
		}
		var err error
		if adopt == nil {
			if adopt, err = x.conn.PrepareContext(ctx, adoptQuery); err != nil {
				return fault("prepare a statement", err)
			}
			defer adopt.Close()
		}
		g, err := x.db.secret.given(&b.Row)
		if err != nil {
			return err
		}
		args := b.columns.args([]any{b.rid, b.typ, b.Key.ID, b.version})
		if _, err := adopt.ExecContext(ctx, append(args, int8s(b.own), int8s(b.sources), g.targets, g.keys, g.marks)...); err != nil {
			return fault("build a search row", err)
		}
	}
	return nil
}

// write puts the rows of c in place and records how far j has come.
func (x *indexer) write(ctx context.Context, tx *sql.Tx, j *job, c chunk) error {
	if err := c.lock(ctx, tx); err != nil {
		return err
	}
	build, err := tx.PrepareContext(ctx, buildQuery)
	if err != nil {
		return fault("prepare a statement", err)
	}
	defer build.Close()
	for i := range c.rows {
		r := &c.rows[i]
		if !r.keyed {
			continue
		}
		if _, err := build.ExecContext(ctx, r.columns.args([]any{r.rid, r.typ, r.Key.ID, r.version})...); err != nil {
			return fault("build a search row", err)
		}
	}
	if len(c.failed) > 0 {
		// They are no longer among those that were never looked at.
		const tried = `UPDATE res SET idx_gen = -1 WHERE rid = ANY ($1) AND idx_gen = 0`
		if _, err := tx.ExecContext(ctx, tried, pq.Array(c.failed)); err != nil {
			return fault("mark search rows", err)
		}
	}
	const progress = `UPDATE reindex_job SET last_rid = $2, done = done + $3, failed = failed + $4 WHERE job = $1`
	if _, err := tx.ExecContext(ctx, progress, j.id, c.last, len(c.rows), len(c.failed)); err != nil {
		return fault("record the progress of a reindexing", err)
	}
	return nil
}

// lock locks the rows of c.
func (c chunk) lock(ctx context.Context, tx *sql.Tx) error {
	var rids []int64
	for i := range c.rows {
		if c.rows[i].keyed {
			rids = append(rids, c.rows[i].rid)
		}
	}
	if len(rids) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `SELECT FROM res WHERE rid = ANY ($1) ORDER BY rid FOR UPDATE`, int8s(rids)); err != nil {
		return fault("lock search rows", err)
	}
	return nil
}

// end closes a job. What waited for it can be searched by from now on, but for
// parameters of types of which no resource could be built.
func (x *indexer) end(ctx context.Context, j *job, state string) error {
	tx, err := x.conn.BeginTx(ctx, nil)
	if err != nil {
		return readFault("begin a transaction", err)
	}
	s := &session{querier: tx, tx: tx}
	if err := x.close(ctx, s, j, state); err != nil {
		_ = tx.Rollback() // the failure before is what counts
		return err
	}
	if err := tx.Commit(); err != nil {
		return fault("commit the end of a reindexing", err)
	}
	return x.publish(ctx)
}

func (x *indexer) close(ctx context.Context, s *session, j *job, state string) error {
	generation, err := lockGeneration(ctx, s)
	if err != nil {
		return err
	}
	const done = `UPDATE reindex_job SET state = $2, ended = now() WHERE job = $1 RETURNING done, failed, awaited`
	var built, failed int64
	var awaited bool
	if err := s.tx.QueryRowContext(ctx, done, j.id, state).Scan(&built, &failed, &awaited); err != nil {
		return fault("end a reindexing", err)
	}
	x.db.log.Info("search rows were built", "job", j.id, "state", state, "built", built, "failed", failed)
	const activate = `UPDATE search_param SET state = $2 WHERE gen = $1 AND state = 'building'`
	parameter := "active"
	if built == 0 && failed > 0 {
		parameter = "failed"
	}
	changed, err := s.tx.ExecContext(ctx, activate, j.generation, parameter)
	if err != nil {
		return fault("activate a search parameter", err)
	}
	n, err := changed.RowsAffected()
	if err != nil {
		return fault("activate a search parameter", err)
	}
	if n == 0 && !awaited {
		return nil
	}
	return begin(ctx, s, generation+1, []int16{})
}
