package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A Planned is a part of what an export has, in the order of RIDs.
type Planned struct {
	Versions  List
	Deletions List  // with Since
	Next      int64 // all below it has been planned
	Over      bool  // there is no more
}

// PlanFrom is where a plan begins.
const PlanFrom = math.MinInt64

// PlanExport finds out which versions x has for who is shown g, from a Next on, and
// has each part taken as it comes. It reads the search rows, and only of what was
// written since the instant the versions. A plan may be broken off, and goes on from
// the Next that was taken last, with another Grant too: what is exported is held
// against that of its reader once more.
func (db *DB) PlanExport(ctx context.Context, g access.Grant, x Export, from int64, take func(Planned) error) error {
	p, err := db.planner(g, x)
	if err != nil {
		return err
	}
	if p.never {
		return take(Planned{Over: true})
	}
	if x.Patients != nil {
		return p.ofPatients(ctx, from, take)
	}
	w := window{next: from, width: firstWidth}
	for !w.over {
		last := w.last()
		began := time.Now()
		part, full, err := p.part(ctx, func(q *query) string { return "r.rid BETWEEN " + q.arg(w.next) + " AND " + q.arg(last) })
		if err != nil {
			return err
		}
		if full {
			last = part.Next
		}
		w.adapt(full, time.Since(began))
		w.advance(last)
		part.Next, part.Over = w.next, w.over
		if err := take(part); err != nil {
			return err
		}
	}
	return nil
}

// A planner finds out what an export has.
type planner struct {
	Export
	db       *DB
	registry *search.Registry
	past     *past // says what is in sight
	where    string
	examines bool // SQL cannot say whether the conditions hold
	never    bool
	members  []int64 // the compartments of Patients
}

func (db *DB) planner(g access.Grant, x Export) (*planner, error) {
	r := db.Registry()
	p := &planner{Export: x, db: db, registry: r, past: db.past(g, History{Type: x.Type}), where: "true"}
	if _, known := db.types[x.Type]; !known {
		return nil, fmt.Errorf("export: there is no resource type %q", x.Type)
	}
	if p.never = len(p.past.sight) == 0; p.never {
		return p, nil
	}
	if p.past.granular {
		return nil, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Scopes with conditions cannot export.")
	}
	if !p.past.sight.Unlimited() || x.Where != nil || x.Patients != nil {
		if err := searchable(r); err != nil {
			return nil, err
		}
	}
	if x.Where != nil {
		p.condition()
	}
	for _, id := range x.Patients {
		p.members = append(p.members, db.secret.Compartment(fhir.Key{Type: patientType, ID: id}))
	}
	return p, nil
}

// condition writes Where as SQL if that says all of it.
func (p *planner) condition() {
	in := p.db.scope(p.Type)
	any := search.Or(p.Where)
	f := p.db.secret.Filter(in, []search.Condition{any})
	count := searchsql.Count{Arms: []searchsql.Arm{{Filter: f}}}
	if f.Check != nil || len(f.Steps) > 0 || len(f.Nested) > 0 || len(count.Statement(p.db.tables).Args) > 0 {
		p.examines = true
		return
	}
	p.where = p.db.secret.Seen(in, searchsql.Sight{{Types: []string{p.Type}, All: true, Where: any}})
}

// planRows is how many rows one statement plans at most.
const planRows = 50_000

// part plans the rows of which within is true. It is full when there are more, and
// then Next is the last one.
func (p *planner) part(ctx context.Context, within func(*query) string) (part Planned, full bool, err error) {
	q := p.query(within)
	var unsure []int64
	n := 0
	err = p.rows(ctx, q, func(rows *sql.Rows) error {
		var at Placed
		var examine bool
		if err := rows.Scan(&at.RID, &at.Version, &examine); err != nil {
			return err
		}
		n++
		part.Next = at.RID
		if examine {
			unsure = append(unsure, at.RID)
		} else {
			part.Versions = append(part.Versions, at)
		}
		return nil
	})
	if err != nil {
		return part, false, err
	}
	for batch := range slices.Chunk(unsure, examineRows) {
		if err := p.examine(ctx, batch, &part); err != nil {
			return part, false, err
		}
	}
	part.Versions, part.Deletions = part.Versions.sort(), part.Deletions.sort()
	return part, n == planRows, nil
}

// query asks for the rows that are exported as they are, and for those that have to
// be looked at: what was written since the instant, what is deleted, and all if SQL
// cannot tell.
func (p *planner) query(within func(*query) string) *query {
	q := &query{}
	later := "r.updated >= " + q.arg(p.At.Safe)
	examine := "(" + later + " OR r.deleted)"
	if p.examines {
		examine = "true"
	}
	all := []string{"NOT r.deleted"}
	if !p.past.sight.Unlimited() {
		all = append(all, p.db.secret.Seen(p.db.scope(p.Type), p.past.sight))
	}
	all = append(all, p.where)
	any := []string{"(" + strings.Join(all, " AND ") + ")", later}
	narrow := ""
	if !p.Since.IsZero() {
		// The current version is no older than the one that the instant has.
		narrow = " AND r.updated >= " + q.arg(p.Since)
		any = append(any, "r.deleted")
	}
	fmt.Fprintf(&q.sql, `SELECT r.rid, r.ver, %s FROM %s r WHERE r.type = %d AND %s%s AND (%s) ORDER BY r.rid LIMIT %d`,
		examine, p.db.tables.Of(p.Type), p.db.types[p.Type], within(q), narrow, strings.Join(any, " OR "), planRows)
	return q
}

// rows runs a statement of the plan, as a long search does.
func (p *planner) rows(ctx context.Context, q *query, read func(*sql.Rows) error) error {
	turn, err := p.db.turn(ctx)
	if err != nil {
		return err
	}
	defer turn.end()
	if err := turn.lengthen(ctx, ""); err != nil {
		return err
	}
	rows, err := p.db.sql.QueryContext(ctx, q.sql.String(), q.args...)
	if err != nil {
		return readFault("plan an export", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return readFault("plan an export", err)
		}
	}
	if err := rows.Err(); err != nil {
		return readFault("plan an export", err)
	}
	return nil
}
