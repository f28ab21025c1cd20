package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// Update stores r as the next version of the resource with the given id, or as
// its first one. The id in r must be the same. An update that changes nothing
// makes no version. https://hl7.org/fhir/R4/http.html#update
func (s *Session) Update(ctx context.Context, id string, r *fhir.Resource, expect store.Expect) (Result, error) {
	if err := s.grant.Allow(access.Update, r.Type()); err != nil {
		return Result{}, err
	}
	switch r.ID() {
	case id:
	case "":
		return Result{}, fhir.Errorf(fhir.BadRequest, fhir.Required, r.Type()+".id", "Give the resource the id that the address names.")
	default:
		return Result{}, fhir.Errorf(fhir.BadRequest, fhir.Invalid, r.Type()+".id", "The id of the resource is not the one that the address names; make them the same.")
	}
	k := fhir.Key{Type: r.Type(), ID: id}
	row, err := s.row(k, store.Update, r)
	if err != nil {
		return Result{}, err
	}
	return s.put(ctx, row, expect)
}
