package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"
)

// candidates returns the statement for the next n changes of the window behind its
// place, in order, none of which need be seen. What goes with each is missing if the
// keys alone say that neither it nor what it replaces is in sight.
func (w *feedReader) candidates(n int) *query {
	q := &query{}
	w.read(q, w.arms(q, n), fmt.Sprintf("seq LIMIT %d", n))
	return q
}

// arms returns where changes of the window are found.
func (w *feedReader) arms(q *query, n int) []string {
	if w.small() {
		return w.sorted(q)
	}
	return w.walked(q, n)
}

// of returns the statement for the last n changes of some transactions behind the
// place in the window and before another one, the last one first.
func (w *feedReader) of(xids []string, before int64, n int) *query {
	q := &query{}
	of := q.arg(pq.StringArray(xids)) + "::xid8[]"
	where := fmt.Sprintf("xid = ANY (%s) AND seq > %s AND seq < %s", of, q.arg(w.at.place), q.arg(before))
	arms := []string{w.versions(q, where)}
	if w.limited() {
		arms = append(arms, gifts(where))
	}
	w.read(q, arms, fmt.Sprintf("seq DESC LIMIT %d", n))
	return q
}

// small reports whether the window is small enough to be put in order.
func (w *feedReader) small() bool { return w.at.high-w.at.then.low <= w.db.bounds.sorted }

// behind returns what is known of the seq of transactions that the earlier snapshot
// does not know of.
func (c *feedCursor) behind() int64 { return max(c.place, c.then.low) }

// sorted returns the arms of a small window: by the index on xid and seq.
func (w *feedReader) sorted(q *query) (arms []string) {
	later := "xid >= " + q.arg(fmt.Sprint(w.at.then.xmax)) + "::xid8"
	all := []string{later}
	if len(w.at.then.running) > 0 {
		all = append(all, "xid = ANY ("+q.arg(w.at.then.xids())+"::xid8[])")
	}
	place := q.arg(w.at.place)
	visible := w.visible(q)
	for _, which := range all {
		where := which + " AND " + visible
		// Behind the fence no index on seq is walked in search of few rows.
		arms = append(arms, fmt.Sprintf("SELECT * FROM (%s OFFSET 0) s WHERE seq > %s", w.versions(q, where), place))
		if w.limited() {
			arms = append(arms, fmt.Sprintf("SELECT * FROM (%s OFFSET 0) s WHERE seq > %s", gifts(where), place))
		}
	}
	return arms
}

// walked returns the arms of a large window: those of the index on seq up to the
// end of the span, and one for each transaction that was running.
func (w *feedReader) walked(q *query, n int) (arms []string) {
	visible := w.visible(q)
	add := func(where string) {
		arms = append(arms, fmt.Sprintf("(%s ORDER BY seq LIMIT %d)", w.versions(q, where), n))
		if w.limited() {
			arms = append(arms, fmt.Sprintf("(%s ORDER BY seq LIMIT %d)", gifts(where), n))
		}
	}
	from, to := q.arg(w.at.behind()), q.arg(w.end())
	add(fmt.Sprintf("seq > %s AND seq <= %s AND xid >= %s::xid8 AND %s", from, to, q.arg(fmt.Sprint(w.at.then.xmax)), visible))
	if len(w.at.then.running) == 0 {
		return arms
	}
	place := q.arg(w.at.place)
	for _, xid := range w.at.then.running {
		add(fmt.Sprintf("xid = %s::xid8 AND seq > %s AND seq <= %s AND %s", q.arg(fmt.Sprint(xid)), place, to, visible))
	}
	return arms
}

// end returns up to which seq the next statement of a walk goes.
func (w *feedReader) end() int64 { return w.at.behind() + w.db.bounds.walked }

func (w *feedReader) visible(q *query) string {
	return "pg_visible_in_snapshot(xid, " + q.arg(w.at.now.String()) + "::pg_snapshot)"
}

// versions returns an arm for versions.
func (w *feedReader) versions(q *query, where string) string {
	if len(w.Types) > 0 {
		where += " AND type = ANY (" + q.arg(w.numbers()) + "::smallint[])"
	}
	if w.NotOrigin != "" {
		where += " AND origin IS DISTINCT FROM " + q.arg(w.NotOrigin)
	}
	return "SELECT false AS given, seq, xid, rid, ver FROM ver WHERE " + where
}

// gifts returns an arm for changes of who sees something that made no version.
func gifts(where string) string {
	return "SELECT true AS given, seq, xid, rid, ver FROM access_event WHERE NOT made AND " + where
}

func (w *feedReader) numbers() pq.Int64Array {
	numbers := make(pq.Int64Array, len(w.Types))
	for i, typ := range w.Types {
		numbers[i] = int64(w.db.types[typ])
	}
	slices.Sort(numbers)
	return numbers
}

// read completes a statement for what the arms find, in an order.
func (w *feedReader) read(q *query, arms []string, order string) {
	what := w.what
	switch {
	case what != "":
	case w.limited():
		what = w.seenColumns(q)
	default:
		what = wholeColumns
	}
	fmt.Fprintf(&q.sql, `WITH c AS MATERIALIZED (SELECT * FROM (%s) c ORDER BY %s)
	SELECT c.given, c.seq, c.xid::text, c.rid, c.ver, x.* FROM c LEFT JOIN LATERAL (%s) x ON true ORDER BY c.%s`,
		strings.Join(arms, " UNION ALL "), order, what, strings.Split(order, " LIMIT")[0])
}

// freshQuery says whether there was nothing before v.
const freshQuery = `v.ver = 1 OR coalesce((SELECT p.op = 'D' FROM ver p WHERE p.rid = v.rid AND p.ver = v.ver - 1), false)`

// contentColumns are those of a version.
const contentColumns = `v.type, v.id, v.ver, v.updated, v.op, ` + freshQuery + ` AS fresh, coalesce(v.origin, ''), coalesce(v.past, false), v.codec, v.body`

// wholeColumns is what goes with a version for who sees everything.
const wholeColumns = `SELECT ` + contentColumns + ` FROM ver v WHERE v.rid = c.rid AND v.ver = c.ver`

// seenColumns is what goes with a change for others: the version, or the next one
// if that was purged; the keys before it, or NULL if they are those after it; those
// after it if others came later; those of the row, those of the version by itself
// if it is not the current one; and what was current at the end of the window, with
// its keys if others came later. Of a deletion the number is negative.
func (w *feedReader) seenColumns(q *query) string {
	typ := ""
	if len(w.Types) == 1 {
		typ = w.Types[0]
	}
	types := ""
	if len(w.Types) > 0 {
		types = " AND v.type = ANY (" + q.arg(w.numbers()) + "::smallint[])"
	}
	seen := w.db.secret.Seen(w.db.scope(typ), w.sights.of(w.needs(), typ).Standing())
	horizon := w.at.now
	if w.at.phase == feedState {
		horizon = w.at.then
	}
	now := q.arg(horizon.String()) + "::pg_snapshot"
	return fmt.Sprintf(`SELECT v.*, r.deleted, r.ver AS current, b.keys AS before, l.keys AS after, r.keys AS live,
		CASE WHEN v.ver <> r.ver AND v.op <> 'D' THEN access_of((SELECT o.acl FROM ver o WHERE o.rid = c.rid AND o.ver = v.ver), c.rid) END AS self,
		(SELECT CASE d.op WHEN 'D' THEN -d.ver ELSE d.ver END FROM ver d WHERE d.rid = c.rid AND pg_visible_in_snapshot(d.xid, %[1]s) ORDER BY d.ver DESC LIMIT 1),
		(SELECT e.old_acl FROM access_event e WHERE e.rid = c.rid AND NOT pg_visible_in_snapshot(e.xid, %[1]s) ORDER BY e.seq LIMIT 1)
	FROM (SELECT %[2]s FROM ver v WHERE v.rid = c.rid AND v.ver >= c.ver%[3]s ORDER BY v.ver LIMIT 1) v
	CROSS JOIN LATERAL (SELECT n.ver, n.deleted, n.keys FROM res n WHERE n.rid = c.rid AND n.type = v.type OFFSET 0) r
	LEFT JOIN LATERAL (SELECT e.old_acl AS keys, e.new_acl FROM access_event e WHERE e.rid = c.rid
		AND CASE WHEN c.given THEN e.seq = c.seq ELSE e.made AND e.ver = c.ver END LIMIT 1) b ON true
	LEFT JOIN LATERAL (SELECT CASE WHEN c.given THEN b.new_acl ELSE
		(SELECT e.old_acl FROM access_event e WHERE e.rid = c.rid AND e.seq > c.seq AND NOT (e.made AND e.ver = c.ver) ORDER BY e.seq LIMIT 1) END AS keys) l ON true
	WHERE EXISTS (SELECT FROM (SELECT coalesce(l.keys, r.keys) AS keys, v.type AS type UNION ALL SELECT b.keys, v.type WHERE b.keys IS NOT NULL OFFSET 0) r WHERE %[4]s)`,
		now, contentColumns, types, seen)
}
