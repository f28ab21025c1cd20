package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// check returns the rows of a batch for which the rest holds that SQL could not
// decide. It decodes their bodies.
func (s *searching) check(ctx context.Context, w *wanted, batch []*found) ([]*found, error) {
	if w.filter.Check == nil || len(batch) == 0 {
		return batch, nil
	}
	s.costly = names([]search.Condition{w.filter.Check})
	if err := s.db.turns.decode.Acquire(ctx, 1); err != nil {
		return nil, s.fault(ctx, "wait for other searches", err)
	}
	defer s.db.turns.decode.Release(1)
	passed := batch[:0]
	for _, r := range batch {
		c, err := s.candidate(w, r)
		if err != nil {
			return nil, err
		}
		if c.holds(w.filter.Check) {
			passed = append(passed, r)
		}
	}
	return passed, nil
}

// A candidate is a row whose body is looked at.
type candidate struct {
	index    *search.Index
	root     fhir.Node
	rid      int64
	secret   *secret
	resolved map[search.Condition]map[int64]bool
}

func (s *searching) candidate(w *wanted, r *found) (*candidate, error) {
	resource, err := fhir.Decode(r.Key.Type, r.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a stored %s: %w", r.Key.Type, err)
	}
	index := &search.Index{Key: r.Key}
	if !onlyWords(w.filter.Check) {
		if index, err = s.registry.Index(resource.Root(), r.Key.ID); err != nil {
			return nil, fmt.Errorf("index a stored %s: %w", r.Key.Type, err)
		}
	}
	index.Updated = r.Updated
	return &candidate{index, resource.Root(), r.rid, &s.db.secret, w.resolved}, nil
}

// onlyWords reports whether cond asks for nothing but words, so that it is enough
// to read the resource.
func onlyWords(cond search.Condition) bool {
	other := func(part search.Condition) bool { return !onlyWords(part) }
	switch cond := cond.(type) {
	case *search.Words:
		return true
	case search.And:
		return !slices.ContainsFunc(cond, other)
	case search.Or:
		return !slices.ContainsFunc(cond, other)
	case search.Not:
		return onlyWords(cond.Condition)
	}
	return false
}

// holds reports whether cond holds for c. What leads to other rows was resolved
// before.
func (c *candidate) holds(cond search.Condition) bool {
	switch cond := cond.(type) {
	case search.And:
		for _, part := range cond {
			if !c.holds(part) {
				return false
			}
		}
		return true
	case search.Or:
		for _, part := range cond {
			if c.holds(part) {
				return true
			}
		}
		return false
	case search.Not:
		return !c.holds(cond.Condition)
	case *search.Chain:
		if cond.Param.Canonical {
			return c.resolved[cond][c.rid]
		}
		return c.refers(cond.Param, c.resolved[cond])
	case *search.Has, search.Listed:
		return c.resolved[cond][c.rid]
	}
	return search.Match(cond, c.index, document{c.root})
}

// refers reports whether c refers to one of targets by p.
func (c *candidate) refers(p *search.Param, targets map[int64]bool) bool {
	for _, e := range c.index.Entries {
		ref, ok := e.Value.(search.Reference)
		if ok && e.Param.Code == p.Code && targets[c.secret.RID(ref.Key)] {
			return true
		}
	}
	return false
}

// A document answers for words only: everything else is resolved before.
type document struct{ root fhir.Node }

// Words returns the words of the resource or of its narrative.
func (d document) Words(narrative bool) []string { return search.WordsOf(d.root, narrative) }

// Targets returns nothing.
func (d document) Targets(search.Reference, string) []search.Found { return nil }

// Sources returns nothing.
func (d document) Sources(string, *search.Param) []search.Found { return nil }

// Listed returns false.
func (d document) Listed(string) bool { return false }
