package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	parameterURL   = "http://hl7.org/fhir/SearchParameter/"
	compartmentURL = "http://hl7.org/fhir/CompartmentDefinition/"
)

// examples illustrate the pages of SearchParameter and CompartmentDefinition;
// two of them take codes that real parameters have.
var examples = map[string]bool{
	parameterURL + "example":           true,
	parameterURL + "example-extension": true,
	parameterURL + "example-reference": true,
	compartmentURL + "example":         true,
}

// addParameters takes the search parameters that apply to some type. Ten on
// extensions of CodeSystem and ValueSet name no base and so apply to none.
func (m *model) addParameters(src *source) {
	for _, p := range src.parameters {
		if len(p.Base) == 0 || examples[p.URL] {
			continue
		}
		s := &spec.SearchParameter{
			URL: p.URL, Code: p.Code, Type: p.Type, Base: p.Base,
			Expression: p.Expression, Targets: p.Target,
		}
		for _, c := range p.Component {
			s.Components = append(s.Components, spec.Component{Definition: c.Definition, Expression: c.Expression})
		}
		m.parameters = append(m.parameters, s)
	}
	slices.SortFunc(m.parameters, func(a, b *spec.SearchParameter) int { return cmp.Compare(a.URL, b.URL) })
}

func (m *model) addCompartments(src *source) {
	for _, c := range src.compartments {
		if examples[c.URL] || !strings.HasPrefix(c.URL, compartmentURL) {
			continue
		}
		members := c
		members.Resource = nil
		for _, r := range c.Resource {
			if len(r.Param) > 0 {
				members.Resource = append(members.Resource, r)
			}
		}
		m.compartments = append(m.compartments, members)
	}
	slices.SortFunc(m.compartments, func(a, b compartment) int { return cmp.Compare(a.Code, b.Code) })
}
