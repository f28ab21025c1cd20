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
	row, err := s.row(fhir.Key{Type: r.Type(), ID: s.newID()}, store.Create, r)
	if err != nil {
		return Result{}, err
	}
	return s.put(ctx, row, store.Absent)
}

// row makes r ready to be stored for the caller.
func (s *Session) row(k fhir.Key, op store.Op, r *fhir.Resource) (store.Row, error) {
	row, err := s.store.Row(k, op, r)
	row.Origin = s.grant.Client()
	return row, err
}

func (s *Session) put(ctx context.Context, row store.Row, expect store.Expect) (Result, error) {
	w, err := s.store.Put(ctx, row, expect)
	if err != nil {
		return Result{}, err
	}
	return settle(row, w)
}
