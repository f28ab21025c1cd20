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
	return s.searched(ctx, p, found, err)
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
	q, err := known.Parse(p.Request)
	if err != nil {
		return Found{}, err
	}
	if q.Explain {
		if err := s.Allow(access.Explain, fhir.Key{}); err != nil {
			return Found{}, err
		}
	}
	if err := s.mayAsk(q.Where); err != nil {
		return Found{}, err
	}
	if len(p.Types) == 0 && len(q.Types) > 0 {
		if err := s.maySearch(q.Types); err != nil {
			return Found{}, err
		}
	}
	if err := s.mixesAudit(q); err != nil {
		return Found{}, err
	}
	if len(q.Types) == 1 && s.keepsAudit(q.Types[0]) {
		m, err := s.searchAudit(ctx, q, p.After)
		return Found{m, q}, err
	}
	m, err := s.store.Search(ctx, s.grant, q, p.After)
	return Found{m, q}, err
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

// mayAsk returns an Outcome when conditions ask for the content of types that the
// caller may not see: what is found would tell it.
func (s *Session) mayAsk(all []search.Condition) error {
	if s.grant.IsTrusted() {
		return nil
	}
	for _, c := range all {
		if err := s.mayAskOne(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) mayAskOne(c search.Condition) error {
	switch c := c.(type) {
	case search.And:
		return s.mayAsk(c)
	case search.Or:
		return s.mayAsk(c)
	case search.Not:
		return s.mayAskOne(c.Condition)
	case *search.Chain:
		return s.mayFollow(c.Target, c.Where)
	case *search.Has:
		return s.mayFollow(c.Source, c.Where)
	case search.Listed:
		return s.mayFollow("List", nil)
	case *search.Test, *search.Words, search.IDs, search.Updated:
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
	return s.mayAskOne(where)
}
