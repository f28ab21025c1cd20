package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

var strengths = map[string]spec.Strength{
	"required":   spec.Required,
	"extensible": spec.Extensible,
	"preferred":  spec.Preferred,
	"example":    spec.Example,
}

// unlistable are the value sets of required bindings whose codes the definitions
// do not list, with the reason.
var unlistable = map[string]string{
	"http://hl7.org/fhir/ValueSet/mimetypes":  "media types are a grammar with an open registry (BCP 13)",
	"http://hl7.org/fhir/ValueSet/ucum-units": "UCUM is a grammar",
	"http://hl7.org/fhir/ValueSet/currencies": "ISO 4217 is not among the definitions",
	"http://loinc.org/vs/LL379-9":             "the answer list is LOINC's and not among the definitions",
}

// addTerminology lists the value sets of required bindings and the code systems
// that they draw on.
func (m *model) addTerminology(src *source) error {
	sets := make(map[string]*spec.ValueSet)
	systems := make(map[string]bool)
	for _, t := range m.sortedTypes() {
		for _, e := range t.elements {
			url, _, _ := strings.Cut(e.valueSet, "|")
			if e.strength != spec.Required || unlistable[url] != "" {
				continue
			}
			if sets[url] == nil {
				v, err := src.enumerate(url)
				if err != nil {
					return fmt.Errorf("list value set %s of %s: %w", url, e.path, err)
				}
				sets[url] = v
				m.valueSets = append(m.valueSets, v)
			}
			m.bindings[e.valueSet] = sets[url]
			for _, c := range sets[url].Codes {
				systems[c.System] = true
			}
		}
	}
	for url := range systems {
		if c := src.codeSystems[url]; c != nil && c.Content == "complete" {
			m.codeSystems = append(m.codeSystems, newCodeSystem(c))
		}
	}
	slices.SortFunc(m.valueSets, func(a, b *spec.ValueSet) int { return cmp.Compare(a.URL, b.URL) })
	slices.SortFunc(m.codeSystems, func(a, b *spec.CodeSystem) int { return cmp.Compare(a.URL, b.URL) })
	return nil
}

// enumerate lists the codes of a value set in the order of its definition.
func (src *source) enumerate(url string) (*spec.ValueSet, error) {
	def := src.valueSets[url]
	if def == nil {
		return nil, fmt.Errorf("it is not among the definitions")
	}
	v := &spec.ValueSet{URL: def.URL, Version: def.Version}
	excluded := make(map[spec.Coding]bool)
	for _, part := range def.Compose.Exclude {
		codes, err := src.codes(part)
		if err != nil {
			return nil, err
		}
		for _, c := range codes {
			excluded[c] = true
		}
	}
	for _, part := range def.Compose.Include {
		codes, err := src.codes(part)
		if err != nil {
			return nil, err
		}
		for _, c := range codes {
			if !excluded[c] {
				excluded[c] = true
				v.Codes = append(v.Codes, c)
			}
		}
	}
	return v, nil
}

// codes lists one include or exclude of a value set. No required binding of R4
// has a filter or a value set within a value set.
func (src *source) codes(part conceptSet) ([]spec.Coding, error) {
	if len(part.Filter) > 0 || len(part.ValueSet) > 0 {
		return nil, fmt.Errorf("filters and nested value sets cannot be listed")
	}
	var codes []spec.Coding
	if len(part.Concept) > 0 {
		for _, c := range part.Concept {
			codes = append(codes, spec.Coding{System: part.System, Code: c.Code})
		}
		return codes, nil
	}
	system := src.codeSystems[part.System]
	if system == nil || system.Content != "complete" {
		return nil, fmt.Errorf("code system %s is not among the definitions", part.System)
	}
	for _, c := range newCodeSystem(system).Concepts {
		codes = append(codes, spec.Coding{System: part.System, Code: c.Code})
	}
	return codes, nil
}

func newCodeSystem(def *codeSystem) *spec.CodeSystem {
	c := &spec.CodeSystem{URL: def.URL, Version: def.Version, CaseSensitive: def.CaseSensitive}
	appendConcepts(c, def.Concept, -1)
	return c
}

func appendConcepts(c *spec.CodeSystem, concepts []concept, parent int) {
	for _, x := range concepts {
		i := len(c.Concepts)
		c.Concepts = append(c.Concepts, spec.Concept{Code: x.Code, Display: x.Display, Parent: parent})
		appendConcepts(c, x.Concept, i)
	}
}
