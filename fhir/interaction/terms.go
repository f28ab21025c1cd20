package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// Operations on terminology, which store nothing.
// https://hl7.org/fhir/R4/terminology-service.html
const (
	Lookup       access.Interaction = "lookup"
	ValidateCode access.Interaction = "validate-code"
	Subsumes     access.Interaction = "subsumes"
	Expand       access.Interaction = "expand"
	Translate    access.Interaction = "translate"
)

// Terms returns what answers questions about codes, to who may read resources of a
// type.
func (s *Session) Terms(i access.Interaction, typ string) (*terminology.Service, error) {
	if err := s.Allow(i, fhir.Key{Type: typ}); err != nil {
		return nil, err
	}
	return s.checks.Terms, nil
}

// StoredDefinition returns the code system, value set or concept map that is stored as
// k, if the caller may read it.
func (s *Session) StoredDefinition(ctx context.Context, k fhir.Key) (*definition.Definition, error) {
	r, err := s.stored(ctx, k)
	if err != nil {
		return nil, err
	}
	return s.known(ctx, k, definition.Of(r.Root()))
}

// known returns what is made ready already of the resource that is stored as k, or else
// given, which is that resource.
func (s *Session) known(ctx context.Context, k fhir.Key, given *definition.Definition) (*definition.Definition, error) {
	if given.URL == "" {
		return given, nil
	}
	found, err := s.checks.Definitions.Find(ctx, k.Type, given.Canonical())
	if err != nil || found == nil || found.Key != k {
		return given, err
	}
	return found, nil
}

// MapsFor returns the concept maps that the caller may read and that are between the
// given value sets or code systems, as far as these are named, and behind them all that
// come with the server and have no stored one of their URL in their place.
func (s *Session) MapsFor(ctx context.Context, criteria string) ([]*definition.Definition, error) {
	nodes, err := s.searchFor(ctx, "ConceptMap?"+criteria)
	if err != nil {
		return nil, err
	}
	var all []*definition.Definition
	replaced := map[string]bool{}
	for _, n := range nodes {
		d, err := s.known(ctx, fhir.Key{Type: "ConceptMap", ID: n.Child("id").Text()}, definition.Of(n))
		if err != nil {
			return nil, err
		}
		all, replaced[d.URL] = append(all, d), true
	}
	for _, d := range s.checks.Definitions.BuiltIn("ConceptMap") {
		if !replaced[d.URL] {
			all = append(all, d)
		}
	}
	return all, nil
}

// CodeSystems returns the code systems that come with the server; nil when nothing is
// known of codes.
func (e *Engine) CodeSystems() []terminology.Known {
	if e.checks == nil {
		return nil
	}
	return e.checks.Terms.Known()
}

// Terminology returns what searches ask about codes; nil when there is none but what
// comes with R4's required bindings.
func (e *Engine) Terminology() search.Terminology {
	if e.checks == nil {
		return nil
	}
	return inquired{e}
}

// inquired answers what searches ask.
type inquired struct{ *Engine }

// Codes implements search.Terminology.
func (a inquired) Codes(ctx context.Context, valueSet string, most int) ([]spec.Coding, error) {
	r, ok := fhir.ParseReference(valueSet)
	if !ok || r.Key.Type != "ValueSet" || r.Key.ID == "" || r.Base != "" {
		return a.checks.Terms.Codes(ctx, valueSet, most)
	}
	stored, err := a.store.Content(ctx, r.Key, 0)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, noValueSet()
	}
	set, err := fhir.DecodeDerived("ValueSet", stored)
	if err != nil {
		return nil, err
	}
	canonical := definition.Of(set.Root()).Canonical()
	known, err := a.checks.Definitions.Find(ctx, "ValueSet", canonical)
	if err != nil {
		return nil, err
	}
	if known == nil || known.Key != r.Key { // a label hides it, or it has no canonical URL
		return nil, noValueSet()
	}
	return a.checks.Terms.Codes(ctx, canonical, most)
}

func noValueSet() error {
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such ValueSet with a canonical URL.")
}

// Below implements search.Terminology.
func (a inquired) Below(ctx context.Context, of spec.Coding, most int) ([]spec.Coding, error) {
	return a.checks.Terms.Below(ctx, terminology.Coding{System: of.System, Code: of.Code}, most)
}

// Above implements search.Terminology.
func (a inquired) Above(ctx context.Context, of spec.Coding, most int) ([]spec.Coding, error) {
	return a.checks.Terms.Above(ctx, terminology.Coding{System: of.System, Code: of.Code}, most)
}
