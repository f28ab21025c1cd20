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
		if err := s.grant.Allow(access.Explain, ""); err != nil {
			return Found{}, err
		}
	}
	m, err := s.store.Search(ctx, q, p.After)
	return Found{m, q}, err
}

func (s *Session) maySearch(types []string) error {
	if len(types) == 0 {
		return s.grant.Allow(access.SearchSystem, "")
	}
	for _, typ := range types {
		if err := s.grant.Allow(access.SearchType, typ); err != nil {
			return err
		}
	}
	return nil
}
