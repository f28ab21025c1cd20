package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// History returns a page of the versions of a resource, a type or the system.
// https://hl7.org/fhir/R4/http.html#history
func (s *Session) History(ctx context.Context, h store.History) (store.Page, error) {
	if err := s.grant.Allow(historyInteraction(h), h.Type); err != nil {
		return store.Page{}, err
	}
	p, err := s.store.History(ctx, h)
	if err != nil || h.ID == "" || len(p.Versions) > 0 {
		return p, err
	}
	k := fhir.Key{Type: h.Type, ID: h.ID}
	v, err := s.store.Read(ctx, k)
	if err == nil && v == nil {
		err = unknown(h.Type)
	}
	return p, err
}

func historyInteraction(h store.History) access.Interaction {
	switch {
	case h.ID != "":
		return access.HistoryInstance
	case h.Type != "":
		return access.HistoryType
	}
	return access.HistorySystem
}
