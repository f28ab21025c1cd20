package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Create stores r as a new resource under an id of the server's choice.
// https://hl7.org/fhir/R4/http.html#create
func (s *Session) Create(ctx context.Context, r *fhir.Resource) (Result, error) {
	if err := s.grant.Allow(access.Create, r.Type()); err != nil {
		return Result{}, err
	}
	k := fhir.Key{Type: r.Type(), ID: s.newID()}
	return s.put(ctx, k, store.Create, r.Stored(k.ID), store.Absent)
}

func (s *Session) put(ctx context.Context, k fhir.Key, op store.Op, stored []byte, expect store.Expect) (Result, error) {
	row, err := s.store.Row(k, op, stored)
	if err != nil {
		return Result{}, err
	}
	row.Origin = s.grant.Client()
	w, err := s.store.Put(ctx, row, expect)
	if err != nil {
		return Result{}, err
	}
	return settle(row, stored, w)
}
