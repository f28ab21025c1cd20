package interaction

import (
	"context"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Read returns the current version of k. When that is a deletion, it comes with
// an Outcome of class Gone. https://hl7.org/fhir/R4/http.html#read
func (s *Session) Read(ctx context.Context, k fhir.Key) (*store.Version, error) {
	if err := s.grant.Allow(access.Read, k.Type); err != nil {
		return nil, err
	}
	return present(s.store.Read(ctx, k))(k.Type)
}

// ReadAt returns the version of k that was current at a moment, as Read does.
func (s *Session) ReadAt(ctx context.Context, k fhir.Key, at time.Time) (*store.Version, error) {
	if err := s.grant.Allow(access.Read, k.Type); err != nil {
		return nil, err
	}
	return present(s.store.ReadAt(ctx, k, at))(k.Type)
}

// VRead returns version n of k, as Read does.
// https://hl7.org/fhir/R4/http.html#vread
func (s *Session) VRead(ctx context.Context, k fhir.Key, n int) (*store.Version, error) {
	if err := s.grant.Allow(access.VRead, k.Type); err != nil {
		return nil, err
	}
	return present(s.store.VRead(ctx, k, n))(k.Type)
}

// present turns a version that is missing or a deletion into an Outcome about a
// resource of the given type.
func present(v *store.Version, err error) func(typ string) (*store.Version, error) {
	return func(typ string) (*store.Version, error) {
		switch {
		case err != nil:
			return nil, err
		case v == nil:
			return nil, unknown(typ)
		case v.Deleted():
			return v, fhir.Errorf(fhir.Gone, fhir.Deleted, "", "This %s was deleted; its earlier versions are in its history.", typ)
		}
		return v, nil
	}
}
