package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// A Line is one line of audit as it was stored. Lines are ordered by At and Seq.
type Line struct {
	Trail
	At  time.Time // microseconds
	Seq int64
}

// ID returns the logical id that l has as an AuditEvent.
func (l Line) ID() string {
	return "a-" + strconv.FormatInt(l.At.UnixMicro(), 36) + "-" + strconv.FormatInt(l.Seq, 36)
}

// parseLineID returns the moment and number in what [Line.ID] made.
func parseLineID(id string) (at time.Time, seq int64, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 || parts[0] != "a" {
		return time.Time{}, 0, false
	}
	micros, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return time.Time{}, 0, false
	}
	if seq, err = strconv.ParseInt(parts[2], 36, 64); err != nil {
		return time.Time{}, 0, false
	}
	l := Line{At: time.UnixMicro(micros), Seq: seq}
	return l.At, seq, l.ID() == id
}

// Lines says which lines of audit are read: those for which all that is set
// holds. It is coarse: what it leaves to be looked at is for the caller.
type Lines struct {
	From, To  time.Time    // moments of the first and the last, both included; zero for any
	About     [][]fhir.Key // of each set they touched one resource, or one that is a patient was concerned or acted
	Agents    []string     // one of them acted; nil for any
	Except    []string     // what was done is none of these
	After     *Line        // they come behind this one in the order; nil for the first
	Ascending bool         // oldest first; else the newest
	Limit     int
}

const lineColumns = `a.at, a.seq, a.outcome, a.ver, coalesce(a.type, 0), coalesce(a.id, ''), a.interaction, a.request, coalesce(a.client, ''),
	coalesce(a.agent, ''), coalesce(a.orgs, ''), coalesce(a.origin, ''), coalesce(a.patients, ''), coalesce(a.detail, '{}')::text`

// Lines returns the first lines that l asks for, in its order. What this server
// has recorded before is among them.
func (db *DB) Lines(ctx context.Context, l Lines) ([]Line, error) {
	q := &query{}
	db.linesQuery(q, l)
	return db.lines(ctx, q)
}

// Line returns the line with the id of an AuditEvent, or nil.
func (db *DB) Line(ctx context.Context, id string) (*Line, error) {
	at, seq, ok := parseLineID(id)
	if !ok {
		return nil, nil
	}
	q := &query{}
	fmt.Fprintf(&q.sql, "SELECT %s FROM audit a WHERE a.at = %s AND a.seq = %s", lineColumns, q.arg(at), q.arg(seq))
	found, err := db.lines(ctx, q)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

func (db *DB) lines(ctx context.Context, q *query) ([]Line, error) {
	ctx, cancel := db.bounded(ctx)
	defer cancel()
	if err := db.audit.settle(ctx); err != nil {
		return nil, err
	}
	if err := db.wait(ctx); err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	rows, err := db.sql.QueryContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, readFault("read audit", err)
	}
	defer rows.Close()
	var all []Line
	for rows.Next() {
		l, err := db.scanLine(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, readFault("read audit", err)
	}
	return all, nil
}

func (db *DB) scanLine(rows *sql.Rows) (Line, error) {
	var l Line
	var typ int16
	var orgs, patients, detail string
	err := rows.Scan(&l.At, &l.Seq, &l.Outcome, &l.Version, &typ, &l.Key.ID, &l.Interaction, &l.Request, &l.Client, &l.Agent, &orgs, &l.Origin, &patients, &detail)
	if err != nil {
		return l, readFault("read audit", err)
	}
	l.Key.Type, l.Organizations, l.Patients = db.names[typ], strings.Fields(orgs), strings.Fields(patients)
	if err := json.Unmarshal([]byte(detail), &l.Detail); err != nil {
		return l, errors.Join(fmt.Errorf("line %s of audit has a strange detail", l.ID()), err)
	}
	return l, nil
}

// linesQuery writes the statement of l. What is rare is found by its own index, of
// each kind as many as are wanted: their order is that of the index.
func (db *DB) linesQuery(q *query, l Lines) {
	order := "at DESC, seq DESC"
	if l.Ascending {
		order = "at, seq"
	}
	where := db.linesWhere(q, l)
	if len(l.About) == 0 {
		fmt.Fprintf(&q.sql, "SELECT %s FROM audit a WHERE %s ORDER BY %s LIMIT %d", lineColumns, where, order, l.Limit)
		return
	}
	rids := q.arg(pq.Array(db.rids(l.About[0])))
	var arms []string
	for _, by := range []string{"rid = ANY(%s)", "patient = ANY(%s)", "others && %s"} {
		arms = append(arms, fmt.Sprintf("(SELECT at, seq FROM audit WHERE "+by+" AND %s ORDER BY %s LIMIT %d)", rids+"::bigint[]", where, order, l.Limit))
	}
	fmt.Fprintf(&q.sql, "SELECT %s FROM (%s ORDER BY %s LIMIT %d) k JOIN audit a ON a.at = k.at AND a.seq = k.seq ORDER BY %s",
		lineColumns, strings.Join(arms, " UNION "), order, l.Limit, strings.NewReplacer("at", "a.at", "seq", "a.seq").Replace(order))
}

// linesWhere returns what must hold beside the first set of l.About.
func (db *DB) linesWhere(q *query, l Lines) string {
	where := []string{"true"}
	add := func(format string, args ...any) { where = append(where, fmt.Sprintf(format, args...)) }
	if !l.From.IsZero() {
		add("at >= %s", q.arg(l.From))
	}
	if !l.To.IsZero() {
		add("at <= %s", q.arg(l.To))
	}
	if l.Agents != nil {
		add("agent = ANY(%s::text[])", q.arg(pq.Array(l.Agents)))
	}
	if l.Except != nil {
		add("interaction <> ALL(%s::text[])", q.arg(pq.Array(l.Except)))
	}
	for i, of := range l.About {
		if i > 0 {
			rids := q.arg(pq.Array(db.rids(of))) + "::bigint[]"
			add("(rid = ANY(%[1]s) OR patient = ANY(%[1]s) OR others && %[1]s)", rids)
		}
	}
	if l.After != nil {
		sign := "<"
		if l.Ascending {
			sign = ">"
		}
		add("(at, seq) %s (%s, %s)", sign, q.arg(l.After.At), q.arg(l.After.Seq))
	}
	return strings.Join(where, " AND ")
}

func (db *DB) rids(keys []fhir.Key) []int64 {
	rids := make([]int64, len(keys))
	for i, k := range keys {
		rids[i] = db.secret.RID(k)
	}
	return rids
}
