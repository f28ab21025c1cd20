package store

import (
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A query is SQL text with its arguments. Values enter through arg only.
type query struct {
	sql  strings.Builder
	args []any
}

func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

// query relies on the primary key of ver for one resource, fenced so that nothing
// else is walked in search of it, on ver_type_updated for a type and on
// ver_updated for the system. It asks for n rows. What it asks of neighbouring
// versions are scalar subqueries, which can only be look-ups by key.
func (p *past) query(n int) *query {
	q := &query{}
	snapshot := "pg_current_snapshot()"
	if p.at.snapshot != "" {
		snapshot = q.arg(p.at.snapshot) + "::pg_snapshot"
	}
	total, from := "-1", "ver"
	var where []string
	switch {
	case p.ID != "":
		rid := q.arg(p.db.secret.RID(fhir.Key{Type: p.Type, ID: p.ID}))
		from = "(SELECT * FROM ver WHERE rid = " + rid + " OFFSET 0)"
		total = p.total(rid, snapshot)
		where = append(where, "v.type = "+q.arg(p.db.types[p.Type]), "v.id = "+q.arg(p.ID))
	case p.Type != "":
		where = append(where, "v.type = "+q.arg(p.db.types[p.Type]))
	}
	if p.at.snapshot != "" {
		where = append(where, fmt.Sprintf("pg_visible_in_snapshot(v.xid, %s)", snapshot),
			fmt.Sprintf("(v.updated, v.seq) < (%s, %s)", q.arg(p.at.updated), q.arg(p.at.seq)))
	}
	where = append(where, p.times(q)...)
	columns, source, seen := p.seen()
	if where = append(where, seen...); len(where) == 0 {
		where = append(where, "true")
	}
	fmt.Fprintf(&q.sql, `SELECT %s::text, %s, v.seq, v.type, v.id, v.ver, v.updated, v.op,
		v.ver = 1 OR coalesce((SELECT p.op = 'D' FROM ver p WHERE p.rid = v.rid AND p.ver = v.ver - 1), false), v.codec, v.body%s FROM %s v%s
	WHERE %s ORDER BY v.updated DESC, v.seq DESC LIMIT %d`, snapshot, total, columns, from, source, strings.Join(where, " AND "), n)
	return q
}

// times returns what is asked of when versions were made and current.
func (p *past) times(q *query) (where []string) {
	if !p.Since.IsZero() {
		where = append(where, "v.updated >= "+q.arg(p.Since), "v.updated <= "+q.arg(p.at.safe))
	}
	if !p.To.IsZero() {
		where = append(where, "v.updated < "+q.arg(p.To),
			"coalesce((SELECT n.updated FROM ver n WHERE n.rid = v.rid AND n.ver = v.ver + 1) > "+q.arg(p.From)+", true)")
	}
	return where
}

// total counts the versions of one resource that are seen.
func (p *past) total(rid, snapshot string) string {
	switch {
	case p.granular:
		return "-1"
	case p.sight.Unlimited():
		return fmt.Sprintf("(SELECT count(*) FROM ver n WHERE n.rid = v.rid AND pg_visible_in_snapshot(n.xid, %s))", snapshot)
	}
	// Asked of the number, not of v, so that it is counted once and not for each row.
	return fmt.Sprintf("(SELECT count(*) FROM ver n WHERE n.rid = %s AND pg_visible_in_snapshot(n.xid, %s) AND %s)", rid, snapshot, p.seenVersion("n"))
}

// seenVersion is the condition that the keys of a version are in sight, those
// that it has been given included. If they are not known it is not.
func (p *past) seenVersion(alias string) string {
	condition := p.db.secret.Seen(p.db.scope(p.Type), p.sight.Standing())
	return fmt.Sprintf("(SELECT r.keys IS NOT NULL AND %s FROM (SELECT %s AS keys, %[3]s.type AS type OFFSET 0) r)", condition, effective(alias), alias)
}

// effective writes the keys of a version with those that it has been given.
func effective(alias string) string {
	return fmt.Sprintf("access_of(%[1]s.acl, %[1]s.rid)", alias)
}

// seen writes that both the resource and the version are in sight. The keys of the
// current version stand in its search row; of a deleted resource those of the
// deletion count. The search row is looked up for each version on the way, so that
// the order of the index is kept.
func (p *past) seen() (columns, source string, where []string) {
	if p.sight.Unlimited() {
		return "", "", nil
	}
	scope := p.db.scope(p.Type)
	source = fmt.Sprintf(`, LATERAL (SELECT r.ver, r.deleted, CASE WHEN r.deleted THEN (SELECT %s FROM ver d WHERE d.rid = r.rid AND d.ver = r.ver) ELSE %s END AS seen
		FROM %s r WHERE r.rid = v.rid AND r.type = v.type OFFSET 0) c`, p.seenVersion("d"), p.db.secret.Seen(scope, p.sight), p.db.tables.Of(p.Type))
	where = []string{"c.seen", "(v.ver = c.ver OR " + p.seenVersion("v") + ")"}
	if p.granular {
		columns = ", c.deleted, " + effective("v")
	}
	return columns, source, where
}
