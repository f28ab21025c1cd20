package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Delete marks k as deleted. Deleting what is not there is no error.
// https://hl7.org/fhir/R4/http.html#delete
func (s *Session) Delete(ctx context.Context, k fhir.Key, expect store.Expect) (Result, error) {
	if err := s.grant.Allow(access.Delete, k.Type); err != nil {
		return Result{}, err
	}
	w, err := s.store.Delete(ctx, k, expect, s.grant.Client())
	if err != nil {
		return Result{}, err
	}
	return settle(store.Row{Key: k, Op: store.Delete}, w)
}

// Purge removes every version of k but the current one, for good.
func (s *Session) Purge(ctx context.Context, k fhir.Key) (store.Purged, error) {
	if err := s.grant.Allow(access.Purge, k.Type); err != nil {
		return store.Purged{}, err
	}
	v, err := s.store.Read(ctx, k)
	switch {
	case err != nil:
		return store.Purged{}, err
	case v == nil:
		return store.Purged{}, unknown(k.Type)
	}
	return s.store.Purge(ctx, k)
}
