package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// StartReindex has what every resource is found by found anew, in the
// background. Searches go on meanwhile.
func (s *Session) StartReindex(ctx context.Context) error {
	if err := s.Allow(access.Reindex, fhir.Key{}); err != nil {
		return err
	}
	return s.store.StartReindex(ctx)
}

// Reindexing returns how far the last reindexing has come, nil when there has
// been none.
func (s *Session) Reindexing(ctx context.Context) (*store.Reindexing, error) {
	if err := s.Allow(access.Reindex, fhir.Key{}); err != nil {
		return nil, err
	}
	return s.store.ReindexStatus(ctx)
}
