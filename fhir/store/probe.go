package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// probe returns the rows of a batch that lead to a row of l.
func (s *searching) probe(ctx context.Context, l *hop, batch []*found) ([]*found, error) {
	s.costly = l.name
	good := l.targets
	if good == nil {
		ids, err := s.ask(ctx, l, batch)
		if err != nil {
			return nil, err
		}
		good = set(ids)
	}
	passed := batch[:0]
	for _, r := range batch {
		if l.has && good[r.rid] || !l.has && slices.ContainsFunc(r.links[l.column], func(id int64) bool { return good[id] }) {
			passed = append(passed, r)
		}
	}
	return passed, nil
}

// ask returns which of the rows at the other end are good, or which rows of the
// batch are.
func (s *searching) ask(ctx context.Context, l *hop, batch []*found) ([]int64, error) {
	var ids []int64
	inner := *l.inner
	if !l.has {
		for _, r := range batch {
			ids = append(ids, r.links[l.column]...)
		}
		slices.Sort(ids)
		inner.filter = with(inner.filter, searchsql.Found{RIDs: slices.Compact(ids)})
		ids, _, err := s.rids(ctx, &inner, len(ids), l.name)
		return ids, err
	}
	for _, r := range batch {
		ids = append(ids, r.rid)
	}
	inner.filter = with(inner.filter, searchsql.Found{Keys: searchsql.Salted(l.salt, ids)})
	ids, _, err := s.pointing(ctx, &inner, l, ids)
	return ids, err
}

// targets returns what l leads to, up to limit: rows at the other end, the URLs
// of those, or what they refer to.
func (s *searching) targets(ctx context.Context, l *hop, limit int) (ids []int64, complete bool, err error) {
	switch {
	case l.has:
		ids, complete, err = s.pointing(ctx, l.inner, l, nil)
	case l.canonical:
		return s.urls(ctx, l.inner, limit)
	default:
		return s.rids(ctx, l.inner, limit, l.name)
	}
	return ids, complete && len(ids) <= limit, err
}

// rids returns the rows of w, up to limit.
func (s *searching) rids(ctx context.Context, w *wanted, limit int, what string) (ids []int64, complete bool, err error) {
	if w.never() {
		return nil, true, nil
	}
	if w.exact() && len(w.spread) == 0 {
		p := w.view.choose(&w.filter, false, limit)
		q := searchsql.IDs{Arm: searchsql.Arm{Filter: w.filter, Scan: p.scan}, Limit: limit + 1}
		step := &Step{What: what}
		step.choice(p)
		ids, err = s.numbers(ctx, q.Statement(s.db.tables), step)
		return ids, len(ids) <= limit, err
	}
	rows, err := s.take(ctx, newWalk(w), limit+1)
	for _, r := range rows {
		ids = append(ids, r.rid)
	}
	return ids, len(ids) <= limit, err
}

// pointing returns what rows of w refer to by l, up to what a step is resolved to; only what is
// among some, unless that is nil.
func (s *searching) pointing(ctx context.Context, w *wanted, l *hop, among []int64) (ids []int64, complete bool, err error) {
	if w.never() {
		return nil, true, nil
	}
	if w.exact() && len(w.spread) == 0 {
		p := w.view.choose(&w.filter, false, s.db.bounds.resolved)
		q := searchsql.Pointing{Arm: searchsql.Arm{Filter: w.filter, Scan: p.scan}, Salts: []int64{l.salt}, Among: among, Limit: s.db.bounds.resolved + 1}
		step := &Step{What: l.name}
		step.choice(p)
		ids, err = s.numbers(ctx, q.Statement(s.db.tables), step)
		return ids, len(ids) <= s.db.bounds.resolved, err
	}
	return s.pointingWalked(ctx, w, l, among)
}

// pointingWalked does so when SQL does not tell all of which rows are wanted.
func (s *searching) pointingWalked(ctx context.Context, w *wanted, l *hop, among []int64) (ids []int64, complete bool, err error) {
	through := newWalk(w)
	column := through.link(l.salt)
	sought, seen := set(among), map[int64]bool{}
	for done := false; !done && len(seen) <= s.db.bounds.resolved && (among == nil || len(seen) < len(sought)); {
		var rows []*found
		if rows, done, err = s.next(ctx, through, through.limit(largestBatch)); err != nil {
			return nil, false, err
		}
		for _, r := range rows {
			for _, id := range r.links[column] {
				if among == nil || sought[id] {
					seen[id] = true
				}
			}
		}
	}
	ids = slices.Sorted(maps.Keys(seen))
	return ids, len(ids) <= s.db.bounds.resolved, nil
}

// urls returns the URLs of rows of w, of up to limit rows.
func (s *searching) urls(ctx context.Context, w *wanted, limit int) (ids []int64, complete bool, err error) {
	through := newWalk(w)
	through.bodies = true
	rows, err := s.take(ctx, through, limit+1)
	for _, r := range rows {
		urls, err := s.db.secret.urls(r)
		if err != nil {
			return nil, false, err
		}
		ids = append(ids, urls...)
	}
	return ids, len(rows) <= limit, err
}

// urls returns the hashes of the URLs that r is referred to by, with its version
// and without.
func (s *secret) urls(r *found) ([]int64, error) {
	resource, err := fhir.Decode(r.Key.Type, r.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a stored %s: %w", r.Key.Type, err)
	}
	url, version := resource.Root().Child("url").Text(), resource.Root().Child("version").Text()
	if url == "" {
		return nil, nil
	}
	ids := []int64{s.URL(url, "")}
	if version != "" {
		ids = append(ids, s.URL(url, version))
	}
	return ids, nil
}

// entries returns what a List names. https://hl7.org/fhir/R4/search.html#list
func (s *searching) entries(ctx context.Context, step search.Condition) ([]int64, error) {
	listed, ok := step.(search.Listed)
	if !ok {
		return nil, fmt.Errorf("search: %T is no step", step)
	}
	item := s.registry.Param("List", "item")
	if item == nil {
		return nil, fmt.Errorf("search: List has no parameter item")
	}
	list, err := s.wanted(ctx, mayLead, "List", []search.Condition{search.IDs{listed.ID}}, 1)
	if err != nil {
		return nil, err
	}
	ids, complete, err := s.pointing(ctx, list, &hop{name: "_list", salt: s.db.secret.Salt(item)}, nil)
	if err == nil && !complete {
		return nil, s.tooMany("_list")
	}
	return ids, err
}
