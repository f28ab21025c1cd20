package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// SeesPatient reports whether who stands for s sees the Patient with an id. One
// that is absent or deleted is seen by nobody.
func (e *Engine) SeesPatient(ctx context.Context, s Standing, id string) (bool, error) {
	patient := access.Key{Kind: access.Itself, Of: "Patient/" + id}
	known, err := e.store.Known(ctx, []access.Key{patient})
	if err != nil {
		return false, err
	}
	return e.store.Meets(known[patient], s.Parties), nil
}

// ScopeParameter reports whether a search parameter of a type may stand in a
// scope, as [search.Registry.InScope] says.
func (e *Engine) ScopeParameter(typ, param string) bool { return e.Registry().InScope(typ, param) }

// Identified returns the resources of a type that have a business identifier. The
// server asks it for itself, to find who has signed in.
func (e *Engine) Identified(ctx context.Context, typ, system, value string) ([]fhir.Key, error) {
	found, err := e.every(ctx, typ, "identifier", search.Escape(system)+"|"+search.Escape(value))
	if err != nil {
		return nil, err
	}
	var keys []fhir.Key
	for _, r := range found {
		keys = append(keys, fhir.Key{Type: typ, ID: r.ID()})
	}
	return keys, nil
}
