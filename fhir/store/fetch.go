package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// errTooSlow is why a search was broken off.
var errTooSlow = errors.New("the search takes too long")

// fetch reads the next rows of w, as far as SQL can tell which they are, in one
// statement. A row that several arms find comes several times.
func (s *searching) fetch(ctx context.Context, w *walk, n int) ([]*found, error) {
	page := searchsql.Page{After: w.after, Limit: n, Bodies: w.bodies, Links: w.links, Snapshot: w.snapshot, Seen: w.settled && w.snapshot == "", Generation: w.page}
	step := &Step{What: "page", Expected: 0}
	for i, part := range w.of {
		keys := w.order(i)
		for _, f := range part.filters() {
			p := part.view.choose(&f, searchsql.Walkable(keys), n)
			page.Arms = append(page.Arms, searchsql.Arm{Filter: f, Keys: keys, Scan: p.scan, Walk: p.walk})
			step.choice(p)
		}
	}
	all, err := s.rows(ctx, &page, step)
	if page.Seen && len(all) > 0 {
		w.snapshot = all[0].snapshot
	}
	return all, err
}

// rows runs the statement of a page.
func (s *searching) rows(ctx context.Context, page *searchsql.Page, step *Step) ([]*found, error) {
	statement, err := page.Statement(s.db.tables)
	if err != nil {
		return nil, err
	}
	if s.explanation != nil && page.Bodies {
		if err := s.plan(ctx, statement, step); err != nil {
			return nil, err
		}
	}
	var all []*found
	err = s.run(ctx, statement, step, func(rows *sql.Rows) error {
		r, err := s.scan(rows, page)
		if err == nil && r.Key.Type == "" {
			step.Rows-- // it came for the generation only
			return nil
		}
		all = append(all, r)
		return err
	})
	return all, err
}

// scan reads one row of a page.
func (s *searching) scan(rows *sql.Rows, page *searchsql.Page) (*found, error) {
	r := &found{keys: make([]searchsql.Value, len(page.Arms[0].Keys)), salts: page.Links}
	var typ, codec int16
	body := unpacking{bodies: s.db.bodies, codec: &codec}
	var to []any
	if page.Generation {
		to = append(to, &s.generation)
	}
	to = append(to, &r.rid, &typ, &r.Key.ID, &r.Number, &r.Updated)
	for i := range r.keys {
		to = append(to, &r.keys[i])
	}
	links := make([]pq.Int64Array, len(page.Links))
	for i := range links {
		to = append(to, &links[i])
	}
	if page.Bodies {
		to = append(to, &codec, &body)
	}
	seen := true
	if page.Seen {
		to = append(to, &r.snapshot)
	}
	if page.Snapshot != "" {
		to = append(to, &seen)
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	r.Key.Type, r.Op, r.Stored = s.db.names[typ], Update, body.stored
	r.later = !seen
	for _, l := range links {
		r.links = append(r.links, l)
	}
	return r, nil
}

// numbers reads rows of one number each.
func (s *searching) numbers(ctx context.Context, statement searchsql.Statement, step *Step) ([]int64, error) {
	var all []int64
	err := s.run(ctx, statement, step, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		all = append(all, n)
		return err
	})
	return all, err
}

// run runs a statement and has each row read.
func (s *searching) run(ctx context.Context, statement searchsql.Statement, step *Step, read func(*sql.Rows) error) error {
	if step.cost*(1+float64(len(statement.SQL))/shortSQL) > shortCost {
		if err := s.turn.lengthen(ctx, s.costly); err != nil {
			return err
		}
	}
	began := time.Now()
	rows, err := s.querier.QueryContext(ctx, statement.SQL, statement.Args...)
	if err != nil {
		return s.fault(ctx, step.What, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return s.fault(ctx, step.What, err)
		}
		step.Rows++
	}
	if err := rows.Err(); err != nil {
		return s.fault(ctx, step.What, err)
	}
	if s.explanation != nil {
		step.Took, step.SQL = time.Since(began), statement.SQL
		s.explanation.Steps = append(s.explanation.Steps, *step)
	}
	return nil
}

// fault tells a search that took too long from a database that is away.
func (s *searching) fault(ctx context.Context, what string, err error) error {
	e, isPostgres := errors.AsType[*pq.Error](err)
	if context.Cause(ctx) == errTooSlow || isPostgres && e.Code == "57014" && ctx.Err() == nil {
		because := ""
		if s.costly != "" {
			because = ", because of " + s.costly
		}
		return fhir.Errorf(fhir.Unavailable, fhir.TooCostly, expression(s.costly),
			"This search takes longer than the server spends on one%s. Narrow it by another parameter.", because)
	}
	return readFault("search: "+what, err)
}
