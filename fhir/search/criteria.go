package search

import (
	"context"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// Parameters returns the name=value pairs of a query or a form in their order,
// without percent signs. What is no such text is a BadRequest [*fhir.Outcome].
func Parameters(raw string) ([]Parameter, error) {
	var params []Parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return nil, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "", "A percent sign in the query does not stand before two hexadecimal digits.")
		}
		params = append(params, Parameter{name, value})
	}
	return params, nil
}

// Criteria reads the criteria of a conditional interaction, or of a conditional
// reference, on resources of type typ: query is what stands after the question
// mark. All of the conditions must hold. Parameters that say how results come,
// and criteria that are none, are a [*fhir.Outcome] as from [Registry.Parse].
// https://hl7.org/fhir/R4/http.html#ccreate
func (r *Registry) Criteria(typ, query string) ([]Condition, error) {
	return r.CriteriaWith(context.Background(), nil, typ, query)
}

// CriteriaWith is [Registry.Criteria] with t, as in [Registry.ParseWith]; nil is none.
func (r *Registry) CriteriaWith(ctx context.Context, t Terminology, typ, query string) ([]Condition, error) {
	params, err := Parameters(query)
	if err != nil {
		return nil, err
	}
	if len(params) == 0 {
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "The criteria are missing: give at least one search parameter, such as identifier=system|value.")
	}
	q, err := r.ParseWith(ctx, t, Request{Types: []string{typ}, Params: params})
	if err != nil {
		return nil, err
	}
	p := newParser(r, Request{})
	for _, in := range params {
		if p.name = in.Name; !isCriterion(in.Name) {
			p.refuse(fhir.NotSupported, "%s says how results come, and is no criterion: leave it out.", in.Name)
		}
	}
	if len(p.issues) > 0 {
		return nil, p.outcome()
	}
	return q.Where, nil
}

// isCriterion reports whether a parameter says which resources are found.
func isCriterion(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	switch name {
	case "_include", "_revinclude", "_format", "_pretty":
		return false
	}
	return (&parser{}).result(name) == nil
}
