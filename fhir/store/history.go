package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// History asks for versions, newest first. https://hl7.org/fhir/R4/http.html#history
type History struct {
	Type  string    // of one type; empty for the whole system
	ID    string    // of one resource of Type
	Since time.Time // versions made at or after it; zero for all
	From  time.Time // versions that were current at some moment from here
	To    time.Time // … up to before here; both zero for all
	Count int       // versions at most
	After string    // the cursor of the page before; empty for the first
}

// Page is a part of a history.
type Page struct {
	Versions []Version
	Total    int       // of one resource's history without limits; -1 when it was not counted
	Safe     time.Time // no version older than this is still to appear; what to ask for as Since next time
	Next     string    // the cursor of the next page; empty at the end
}

// SafeTime returns a time such that every version to be seen later is from that
// millisecond or after it. An open write transaction holds it back.
//
// A write takes its transaction id first and its time second, and the start of
// its transaction is before both. So what is not yet visible to a statement that
// begins after this one either was running with an id, and then is no older than
// the start of its transaction, or got its id later, and then is no older than
// the clock was before the look. All servers must use one role of the database,
// since Postgres shows the transactions of others without their start.
func (db *DB) SafeTime(ctx context.Context) (time.Time, error) {
	const query = `WITH c AS MATERIALIZED (SELECT clock_timestamp() AS now)
		SELECT date_trunc('milliseconds', least(c.now, (SELECT min(xact_start) FROM pg_stat_activity
			WHERE backend_xid IS NOT NULL AND datname = current_database() AND backend_type = 'client backend' AND c.now IS NOT NULL))) FROM c`
	var t time.Time
	if err := db.sql.QueryRowContext(ctx, query).Scan(&t); err != nil {
		return t, readFault("read the safe time", err)
	}
	return t, nil
}

// History returns a page of versions. All pages that follow from one first page
// show the same versions, whatever is written meanwhile. A cursor that is not
// from this installation and this request is refused.
func (db *DB) History(ctx context.Context, h History) (Page, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	c, err := db.firstCursor(ctx, h)
	if err != nil {
		return Page{}, err
	}
	q := historyQuery(h, c, db.types[h.Type], db.secret.RID(fhir.Key{Type: h.Type, ID: h.ID}))
	rows, err := db.sql.QueryContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Page{}, readFault("read history", err)
	}
	defer rows.Close()
	p := Page{Safe: c.safe, Total: -1}
	for rows.Next() {
		var v Version
		var op string
		var typ, codec int16
		body := unpacking{bodies: db.bodies, codec: &codec}
		var seq int64
		if err := rows.Scan(&c.snapshot, &p.Total, &seq, &typ, &v.Key.ID, &v.Number, &v.Updated, &op, &v.Fresh, &codec, &body); err != nil {
			return Page{}, readFault("read history", err)
		}
		if len(p.Versions) == h.Count {
			p.Next = db.secret.seal(c, h)
			break
		}
		v.Key.Type = db.names[typ]
		if err := v.fill(op, body.stored); err != nil {
			return Page{}, err
		}
		c.updated, c.seq = v.Updated, seq
		p.Versions = append(p.Versions, v)
	}
	if err := rows.Err(); err != nil {
		return Page{}, readFault("read history", err)
	}
	return p, nil
}

func (db *DB) firstCursor(ctx context.Context, h History) (cursor, error) {
	if h.After != "" {
		return db.secret.open(h.After, h)
	}
	safe, err := db.SafeTime(ctx)
	return cursor{safe: safe}, err
}

// A query is SQL text with its arguments. Values enter through arg only.
type query struct {
	sql  strings.Builder
	args []any
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

// historyQuery relies on the primary key of ver for one resource, fenced so that
// nothing else is walked in search of it, on
// ver_type_updated for a type and on ver_updated for the system. It asks for one
// row more than wanted, which proves a next page. What it asks of neighbouring
// versions are scalar subqueries, which can only be look-ups by key.
func historyQuery(h History, c cursor, typ int16, rid int64) *query {
	q := &query{}
	snapshot := "pg_current_snapshot()"
	if c.snapshot != "" {
		snapshot = q.arg(c.snapshot) + "::pg_snapshot"
	}
	total, from := "-1", "ver"
	where := []string{}
	switch {
	case h.ID != "":
		from = "(SELECT * FROM ver WHERE rid = " + q.arg(rid) + " OFFSET 0)"
		total = fmt.Sprintf("(SELECT count(*) FROM ver n WHERE n.rid = v.rid AND pg_visible_in_snapshot(n.xid, %s))", snapshot)
		where = append(where, "v.type = "+q.arg(typ), "v.id = "+q.arg(h.ID))
	case h.Type != "":
		where = append(where, "v.type = "+q.arg(typ))
	}
	if c.snapshot != "" {
		where = append(where, fmt.Sprintf("pg_visible_in_snapshot(v.xid, %s)", snapshot),
			fmt.Sprintf("(v.updated, v.seq) < (%s, %s)", q.arg(c.updated), q.arg(c.seq)))
	}
	if !h.Since.IsZero() {
		where = append(where, "v.updated >= "+q.arg(h.Since), "v.updated <= "+q.arg(c.safe))
	}
	if !h.To.IsZero() {
		where = append(where, "v.updated < "+q.arg(h.To),
			"coalesce((SELECT n.updated FROM ver n WHERE n.rid = v.rid AND n.ver = v.ver + 1) > "+q.arg(h.From)+", true)")
	}
	if len(where) == 0 {
		where = append(where, "true")
	}
	fmt.Fprintf(&q.sql, `SELECT %s::text, %s, v.seq, v.type, v.id, v.ver, v.updated, v.op,
		v.ver = 1 OR coalesce((SELECT p.op = 'D' FROM ver p WHERE p.rid = v.rid AND p.ver = v.ver - 1), false), v.codec, v.body FROM %s v
	WHERE %s ORDER BY v.updated DESC, v.seq DESC LIMIT %d`, snapshot, total, from, strings.Join(where, " AND "), h.Count+1)
	return q
}
