package interaction

import (
	"context"
	"strings"

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
// scope: it must be one of R4's own, whose meaning nobody changes, and of a kind
// that the database can decide by itself.
func (e *Engine) ScopeParameter(typ, param string) bool {
	p := e.Registry().Param(typ, param)
	if p == nil || p.Custom || strings.HasPrefix(param, "_") && param != "_tag" && param != "_security" {
		return false
	}
	switch p.Type {
	case search.TokenType, search.ReferenceType, search.URIType, search.DateType:
		return true
	}
	return false
}

// Identified returns the resources of a type that have a business identifier. The
// server asks it for itself, to find who has signed in.
func (e *Engine) Identified(ctx context.Context, typ, system, value string) ([]fhir.Key, error) {
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
	found, err := e.every(ctx, typ, "identifier", escape.Replace(system)+"|"+escape.Replace(value))
	if err != nil {
		return nil, err
	}
	var keys []fhir.Key
	for _, r := range found {
		keys = append(keys, fhir.Key{Type: typ, ID: r.ID()})
	}
	return keys, nil
}
