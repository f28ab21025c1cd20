package store

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// Matches is one page of what a search found.
type Matches struct {
	Versions []Version // the matches of this page, in order
	Included []Version // what was asked for along with them: none twice, none that is a match

	// Total is how many resources match, on all pages, or -1 when that was not
	// asked for. Estimated says that it is not exact.
	Total     int
	Estimated bool

	// Next and Prev are the positions to hand to Search for the pages beside this
	// one; empty when there is none. They hold values of resources, so whoever
	// gives them away does so under [DB.Seal].
	Next, Prev string

	Warnings    []fhir.Issue // such as that not everything was included
	Explanation *Explanation // with [search.Query.Explain]
}

// searchTime is how long a search may take with everything that belongs to it.
const searchTime = 8 * time.Second

// Search returns the page of q that begins at the position after; the empty one
// is the beginning. It is as if there were nothing but what g shows: a match, what
// a chain or a _has leads over, and what is included. The zero Grant finds
// nothing. The position is that of any grant. If the search parameters turn out to have changed,
// [DB.Registry] has the new ones when it returns, and what it returns may lack
// some matches: search again. Pages are stable: a resource that matches all the while and
// keeps its place in the order is on exactly one of them, whatever is written
// meanwhile. A search that would take too long is an [*fhir.Outcome] with the
// code too-costly that names what makes it slow.
// https://hl7.org/fhir/R4/http.html#search
func (db *DB) Search(ctx context.Context, g access.Grant, q *search.Query, after string) (*Matches, error) {
	turn, err := db.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := db.searching(db.sql, db.Registry(), g)
	s.turn = turn
	if err := searchable(s.registry); err != nil {
		return nil, err
	}
	// How a search is carried out depends on rows that the caller may not see.
	if q.Explain && g.Has(access.Operate) {
		s.explanation = &Explanation{}
	}
	m, err := s.search(ctx, q, after)
	if s.generation != s.registry.Generation {
		if _, err := db.generationMoved(ctx, db.sql, s.registry.Generation, s.generation); err != nil {
			return nil, err
		}
	}
	return m, err
}

// find returns the first two matches of c, for q. It is what a conditional
// interaction needs to know.
func (db *DB) find(ctx context.Context, q querier, c Criteria) ([]Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, searchTime, errTooSlow)
	defer cancel()
	s := db.searching(q, db.Registry(), c.Grant)
	defer s.turn.end()
	if err := searchable(s.registry); err != nil {
		return nil, err
	}
	m, err := s.search(ctx, &search.Query{Types: []string{c.Type}, Where: c.Where, Count: 2}, "")
	// The rows may be those of other parameters than the criteria, so that the
	// right one was not found.
	if s.generation != c.Generation {
		return nil, ErrParametersMoved
	}
	if err != nil {
		return nil, err
	}
	return m.Versions, nil
}

// A searching is one search while it runs.
type searching struct {
	db          *DB
	querier     querier
	turn        *turn
	registry    *search.Registry
	sights      *sights
	known       *statistics
	examined    int    // rows that were looked at one by one
	costly      string // what is being done that may take long, as the client wrote it
	generation  int    // of the search parameters, as a page has met it
	explanation *Explanation
}

func (db *DB) searching(q querier, r *search.Registry, g access.Grant) *searching {
	return &searching{db: db, querier: q, turn: &turn{db: db}, registry: r, sights: db.sights(r, g), generation: r.Generation, known: db.statistics(time.Now())}
}

// search finds one page, and what belongs to it.
func (s *searching) search(ctx context.Context, q *search.Query, after string) (*Matches, error) {
	m := &Matches{Total: -1, Explanation: s.explanation}
	at, err := parsePosition(after, len(q.Sort)+1)
	if err != nil {
		return nil, err
	}
	of, err := s.parts(ctx, q)
	if err != nil {
		return nil, err
	}
	var rows []*found
	if q.Count > 0 {
		w := s.page(q, of, at)
		if rows, err = s.take(ctx, w, q.Count+1); err != nil {
			return nil, err
		}
		rows = m.turn(q, w, at, rows)
	}
	for _, r := range rows {
		m.Versions = append(m.Versions, r.Version)
	}
	if q.Count > 0 && at == nil && m.Next == "" {
		m.Total = len(rows)
	} else if err := s.total(ctx, q, of, m); err != nil {
		return nil, err
	}
	return m, s.include(ctx, q, rows, m)
}

// parts returns what is wanted of each type that is searched, or of all types.
func (s *searching) parts(ctx context.Context, q *search.Query) ([]*wanted, error) {
	types := q.Types
	if len(types) == 0 {
		types = []string{""}
	}
	var of []*wanted
	for _, typ := range types {
		w, err := s.wanted(ctx, mayFind, typ, q.Where, q.Count+1)
		if err != nil {
			return nil, err
		}
		if q.Within != nil {
			w.filter.And(s.db.secret.Compartment(*q.Within))
		}
		of = append(of, w)
	}
	return of, nil
}

// page returns the walk that finds a page.
func (s *searching) page(q *search.Query, of []*wanted, at *position) *walk {
	w := newWalk(of...)
	w.bodies, w.page = true, true
	w.settled = len(q.Sort) > 0 && q.Sort[0].Param.Code == "_lastUpdated"
	for i, part := range of {
		w.keys[i] = searchsql.Order(q.Sort, func(code string) *search.Param { return s.registry.Param(part.typ, code) })
	}
	for _, salt := range s.salts(q, false) {
		w.link(salt)
	}
	if at != nil {
		w.after, w.back, w.snapshot = at.Keys, at.Back, at.Snapshot
	}
	if s.costly = names(q.Where); s.costly == "" && len(q.Sort) > 0 {
		s.costly = "_sort"
	}
	return w
}
