package store

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// countedForEstimate is up to how many rows an estimate counts.
const countedForEstimate = 1000

// total finds out how many rows match, if that is asked for.
// https://hl7.org/fhir/R4/search.html#total
func (s *searching) total(ctx context.Context, q *search.Query, of []*wanted, m *Matches) (err error) {
	switch {
	case q.Total == search.TotalEstimate:
		m.Total, m.Estimated, err = s.estimate(ctx, of)
	case q.Total == search.TotalAccurate || q.Count == 0:
		m.Total, err = s.count(ctx, of)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return s.meet(ctx)
}

// meet reads the generation of the search parameters, as pages do along with
// their rows: what was counted before may be of other parameters than were asked.
func (s *searching) meet(ctx context.Context) error {
	const what = "generation"
	rows, err := s.querier.QueryContext(ctx, `SELECT gen FROM search_generation`)
	if err != nil {
		return s.fault(ctx, what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&s.generation); err != nil {
			return s.fault(ctx, what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return s.fault(ctx, what, err)
	}
	return nil
}

// count returns how many rows match.
func (s *searching) count(ctx context.Context, of []*wanted) (int, error) {
	through := newWalk(of...)
	if through.exact() && !spread(of) {
		return s.countRows(ctx, of, 0)
	}
	n := 0
	for done := false; !done; {
		var rows []*found
		var err error
		if rows, done, err = s.next(ctx, through, through.limit(largestBatch)); err != nil {
			return 0, err
		}
		n += len(rows)
	}
	return n, nil
}

// estimate returns about how many rows match. A small number is exact unless it
// takes more than SQL to tell which rows they are. Who does not see all rows is
// told how many were counted, since statistics are of all.
func (s *searching) estimate(ctx context.Context, of []*wanted) (n int, estimated bool, err error) {
	if slices.ContainsFunc(of, func(w *wanted) bool { return s.limited(w.typ) }) {
		return s.estimateSeen(ctx, of)
	}
	if n, err = s.countRows(ctx, of, countedForEstimate); err != nil {
		return 0, false, err
	}
	estimated = !newWalk(of...).exact() || spread(of)
	expected := 0.0
	for _, w := range of {
		for _, f := range w.filters() {
			expected += max(w.view.scan(&f).rows, 0)
		}
	}
	if n >= countedForEstimate {
		return max(n, int(expected)), true, nil
	}
	return n, estimated, nil
}

// estimateSeen does so without anything that depends on other rows than those that
// the caller sees, as the way does on which they are found.
func (s *searching) estimateSeen(ctx context.Context, of []*wanted) (n int, estimated bool, err error) {
	through := newWalk(of...)
	if through.exact() && !spread(of) {
		n, err = s.countRows(ctx, of, countedForEstimate)
		n = min(n, countedForEstimate)
	} else {
		var rows []*found
		rows, err = s.take(ctx, through, countedForEstimate)
		n = len(rows)
	}
	return n, n == countedForEstimate, err
}

// countRows counts what SQL tells, up to a limit; 0 is none.
func (s *searching) countRows(ctx context.Context, of []*wanted, limit int) (int, error) {
	count := searchsql.Count{Limit: limit}
	step := &Step{What: "total"}
	for _, w := range of {
		for _, f := range w.filters() {
			p := w.view.choose(&f, false, largestBatch)
			step.choice(p)
			count.Arms = append(count.Arms, searchsql.Arm{Filter: f, Scan: p.scan})
		}
	}
	s.costly = "_total"
	n, err := s.numbers(ctx, count.Statement(s.db.tables), step)
	if err != nil {
		return 0, err
	}
	return int(n[0]), nil
}

// spread reports whether a row may be counted in several arms.
func spread(of []*wanted) bool {
	for _, w := range of {
		if len(w.spread) > 0 {
			return true
		}
	}
	return false
}
