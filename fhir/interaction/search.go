package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// Registry returns the search parameters that there are now. Without a store it
// is nil.
func (e *Engine) Registry() *search.Registry {
	if e.store == nil {
		return nil
	}
	return e.store.Registry()
}

// A Found is a page of what a search has found, and how the search was
// understood.
type Found struct {
	*store.Matches
	Query *search.Query
}

// Search returns the page of p. What it asks wrongly comes back as an Outcome
// with all problems. https://hl7.org/fhir/R4/http.html#search
func (s *Session) Search(ctx context.Context, p Page) (Found, error) {
	if err := s.maySearch(p.Types); err != nil {
		return Found{}, err
	}
	found, err := s.find(ctx, p)
	if found, err = s.searched(ctx, s.store, p, found, err); err != nil {
		return found, err
	}
	s.shownAll(found.Versions)
	s.shownAll(found.Included)
	return found, nil
}

// find returns the page of p by the search parameters in force.
func (s *Session) find(ctx context.Context, p Page) (Found, error) {
	for range maxParameterRaces {
		known := s.store.Registry()
		found, err := s.search(ctx, known, p)
		if s.store.Registry().Generation == known.Generation {
			return found, err
		}
		// The search has met rows of other search parameters than this server knew
		// of, so it may have found too little.
	}
	return Found{}, parametersRace()
}

// maxParameterRaces bounds how often something is searched again because the
// search parameters were changed meanwhile.
const maxParameterRaces = 5

func parametersRace() error {
	return fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "The search parameters are being changed again and again; try again later.")
}

func (s *Session) search(ctx context.Context, known *search.Registry, p Page) (Found, error) {
	q, err := s.understand(ctx, known, p)
	if err != nil {
		return Found{}, err
	}
	if len(q.Types) == 1 && s.keepsAudit(q.Types[0]) {
		m, err := s.searchAudit(ctx, q, p.After)
		return Found{m, q}, err
	}
	m, err := s.store.Search(ctx, s.grant, q, p.After)
	return Found{m, q}, err
}

// understand returns what p asks, if the caller may ask it.
func (s *Session) understand(ctx context.Context, known *search.Registry, p Page) (*search.Query, error) {
	q, err := known.ParseWith(ctx, s.Terminology(), p.Request)
	if err != nil {
		return nil, err
	}
	if q.Explain {
		if err := s.Allow(access.Explain, fhir.Key{}); err != nil {
			return nil, err
		}
	}
	if !s.grant.IsTrusted() {
		types := typesFound(q)
		if err := s.mayAsk(q.Where, types); err != nil {
			return nil, err
		}
		if err := s.maySort(known, q, types); err != nil {
			return nil, err
		}
	}
	if len(p.Types) == 0 && len(q.Types) > 0 {
		if err := s.maySearch(q.Types); err != nil {
			return nil, err
		}
	}
	return q, s.mixesAudit(q)
}

func (s *Session) maySearch(types []string) error {
	if len(types) == 0 {
		return s.Allow(access.SearchSystem, fhir.Key{})
	}
	for _, typ := range types {
		if err := s.Allow(access.SearchType, fhir.Key{Type: typ}); err != nil {
			return err
		}
	}
	return nil
}

// mayAsk returns an Outcome when conditions on resources of types ask for what the
// caller may not see, of these or of others: what is found would tell it.
func (s *Session) mayAsk(all []search.Condition, types []string) error {
	if s.grant.IsTrusted() {
		return nil
	}
	for _, c := range all {
		if err := s.mayAskOne(c, types); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) mayAskOne(c search.Condition, types []string) error {
	switch c := c.(type) {
	case search.And:
		return s.mayAsk(c, types)
	case search.Or:
		return s.mayAsk(c, types)
	case search.Not:
		return s.mayAskOne(c.Condition, types)
	case *search.Chain:
		if err := s.mayAskBy(types, c.Param.Code, c.Param.Custom); err != nil {
			return err
		}
		return s.mayFollow(c.Target, c.Where)
	case *search.Has:
		if err := s.mayAskBy([]string{c.Source}, c.Param.Code, c.Param.Custom); err != nil {
			return err
		}
		return s.mayFollow(c.Source, c.Where)
	case search.Listed:
		return s.mayFollow("List", nil)
	case *search.Test:
		return s.mayAskBy(types, c.Param.Code, c.Param.Custom)
	case *search.Words:
		return s.mayAskBy(types, c.Name, false)
	case search.IDs, search.Updated:
		return nil
	}
	return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "You may not search in this way.")
}

// mayFollow does so for a search that leads to resources of another type.
func (s *Session) mayFollow(typ string, where search.Condition) error {
	if len(s.grant.View(access.MaySearch|access.MayRead, typ)) == 0 {
		o := fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "The search leads to a %s, which you may neither search nor read.", typ)
		o.Issues[0].Detail = LacksScope
		return o
	}
	if where == nil {
		return nil
	}
	return s.mayAskOne(where, []string{typ})
}
