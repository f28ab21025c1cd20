package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// History returns a page of the versions of a resource, a type or the system, as
// far as the caller sees them and the current versions too.
// https://hl7.org/fhir/R4/http.html#history
func (s *Session) History(ctx context.Context, h store.History) (store.Page, error) {
	if err := s.Allow(historyInteraction(h), fhir.Key{Type: h.Type, ID: h.ID}); err != nil {
		return store.Page{}, err
	}
	p, err := s.history(ctx, h)
	p, err = s.browsed(ctx, h, p, err)
	s.shownAll(p.Versions)
	return p, err
}

func (s *Session) history(ctx context.Context, h store.History) (store.Page, error) {
	if s.keepsAudit(h.Type) {
		return s.auditHistory(ctx, h)
	}
	p, err := s.store.History(ctx, s.grant, h)
	if err != nil || h.ID == "" || len(p.Versions) > 0 {
		return p, err
	}
	v, err := s.now(ctx, fhir.Key{Type: h.Type, ID: h.ID})
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
