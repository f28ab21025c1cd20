package store

import (
	"context"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A walk goes through the rows that are wanted, of one type or of several, in
// order and in batches.
type walk struct {
	of     []*wanted
	keys   [][]searchsql.Key // the order, for each of them
	after  []searchsql.Value // the place that it has come to; nil: the beginning
	back   bool              // towards the beginning
	bodies bool              // they are read too
	links  []int64           // the salts of the references that are read

	page bool // it is what is searched, not on the way to it

	// An order by the time of the last update changes with every write. What was
	// written since the first page is left out, so that nothing comes again.
	settled  bool
	snapshot string // what the first page saw
}

// A found is a row that a walk has come by.
type found struct {
	Version
	rid   int64
	keys  []searchsql.Value // its place in the order
	salts []int64           // of the references that were read
	links [][]int64         // what it refers to, for each of salts
	later bool              // it was written after the snapshot of the walk

	snapshot string // what the statement saw, if it was asked
}

// newWalk returns a walk through rows in the order of their RIDs, without their
// bodies unless they are needed to tell which are wanted.
func newWalk(of ...*wanted) *walk {
	w := &walk{of: of}
	for _, part := range of {
		w.keys = append(w.keys, searchsql.Order(nil, nil))
		w.bodies = w.bodies || part.filter.Check != nil
		for _, p := range part.probes {
			if !p.has {
				p.column = w.link(p.salt)
			}
		}
	}
	return w
}

// link has the references with a salt read, and returns their place in links.
func (w *walk) link(salt int64) int {
	i := slices.Index(w.links, salt)
	if i < 0 {
		i = len(w.links)
		w.links = append(w.links, salt)
	}
	return i
}

// The batches of a walk that holds rows against more than SQL can say: what is
// enough if every third row passes, then more and more.
const (
	firstBatch   = 3
	batchGrowth  = 4
	largestBatch = 2000
	largestRead  = 500 // of rows with their bodies
)

// exact reports whether what is wanted is all said by SQL.
func (w *walk) exact() bool {
	return !slices.ContainsFunc(w.of, func(part *wanted) bool { return !part.exact() })
}

// limit returns how many rows a batch has that would like to have n.
func (w *walk) limit(n int) int {
	if w.bodies {
		return min(n, largestRead)
	}
	return min(n, largestBatch)
}

// take returns the next n rows that pass, fewer at the end, and leaves w
// somewhere behind them.
func (s *searching) take(ctx context.Context, w *walk, n int) ([]*found, error) {
	var taken []*found
	size := n
	if !w.exact() {
		size = w.limit(n * firstBatch)
	}
	for {
		batch, done, err := s.next(ctx, w, size)
		if err != nil {
			return nil, err
		}
		taken = append(taken, batch...)
		if done || len(taken) >= n {
			return taken[:min(len(taken), n)], nil
		}
		size = w.limit(max(size*batchGrowth, n))
	}
}

// next goes through the next rows of w, size of them, and returns those that
// pass.
func (s *searching) next(ctx context.Context, w *walk, size int) (passed []*found, done bool, err error) {
	batch, err := s.fetch(ctx, w, size)
	if err != nil {
		return nil, false, err
	}
	if done = len(batch) < size; !done {
		w.after = batch[len(batch)-1].keys
	}
	// Rows that came from two arms stand side by side.
	batch = slices.CompactFunc(batch, func(a, b *found) bool { return a.rid == b.rid })
	batch = slices.DeleteFunc(batch, func(r *found) bool { return r.later })
	if w.exact() {
		return batch, done, nil
	}
	if err := s.examine(ctx, len(batch)); err != nil {
		return nil, false, err
	}
	passed, err = s.pass(ctx, w, batch)
	return passed, done, err
}

// examine counts rows that were looked at one by one.
func (s *searching) examine(ctx context.Context, n int) error {
	s.examined += n
	switch {
	case s.examined > s.db.bounds.examined:
	case s.examined > shortExamined:
		return s.turn.lengthen(ctx, s.costly)
	default:
		return nil
	}
	return fhir.Errorf(fhir.BadRequest, fhir.TooCostly, expression(s.costly),
		"To answer this search more than %d resources would have to be looked at one by one, because of %s. Narrow the search by another parameter.", s.db.bounds.examined, s.costly)
}

// pass returns the rows of a batch that hold against what their SQL left open.
func (s *searching) pass(ctx context.Context, w *walk, batch []*found) ([]*found, error) {
	if len(w.of) == 1 {
		return s.passOne(ctx, w.of[0], batch)
	}
	var passed []*found
	for _, part := range w.of {
		var rows []*found
		for _, r := range batch {
			if r.Key.Type == part.typ {
				rows = append(rows, r)
			}
		}
		rows, err := s.passOne(ctx, part, rows)
		if err != nil {
			return nil, err
		}
		passed = append(passed, rows...)
	}
	keys := w.order(0)
	slices.SortFunc(passed, func(a, b *found) int { return searchsql.Compare(keys, a.keys, b.keys) })
	return passed, nil
}

// passOne does so for rows of one type.
func (s *searching) passOne(ctx context.Context, w *wanted, batch []*found) ([]*found, error) {
	for _, p := range w.probes {
		if len(batch) == 0 {
			return nil, nil
		}
		var err error
		if batch, err = s.probe(ctx, p, batch); err != nil {
			return nil, err
		}
	}
	return s.check(ctx, w, batch)
}

// order returns the keys for part i in the direction that w goes.
func (w *walk) order(i int) []searchsql.Key {
	if w.back {
		return searchsql.Reverse(w.keys[i])
	}
	return w.keys[i]
}
