package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/openconsult/openconsult/fhir/spec"
)

// model is what the digest will hold, with names where package spec has pointers.
type model struct {
	version      string
	types        map[string]*typ
	aliases      map[string]string
	bindings     map[string]*spec.ValueSet // enumerated value sets by canonical URL with version
	codeSystems  []*spec.CodeSystem
	valueSets    []*spec.ValueSet
	parameters   []*spec.SearchParameter
	compartments []compartment
}

type typ struct {
	name       string
	kind       spec.Kind
	abstract   bool
	base       string
	primitive  spec.Primitive
	elements   []*element
	invariants []spec.Invariant
}

type element struct {
	name       string
	path       string
	min, max   int
	choice     bool
	types      []typeRef
	strength   spec.Strength // 0 without a binding
	valueSet   string
	invariants []spec.Invariant
	summary    bool
	modifier   bool
	attribute  bool
}

type typeRef struct {
	name    string
	profile string // name of the profile on Quantity demanded, if any
	targets []string
}

func buildModel(src *source) (*model, error) {
	m := &model{
		types:    make(map[string]*typ),
		aliases:  make(map[string]string),
		bindings: make(map[string]*spec.ValueSet),
	}
	if err := m.addStructures(src); err != nil {
		return nil, err
	}
	if err := m.addTerminology(src); err != nil {
		return nil, err
	}
	m.addParameters(src)
	m.addCompartments(src)
	return m, nil
}

func (m *model) sortedTypes() []*typ {
	return slices.SortedFunc(maps.Values(m.types), func(a, b *typ) int { return cmp.Compare(a.name, b.name) })
}

// variant returns the name of e's JSON property when its value is a ref.
func (e *element) variant(ref typeRef) string {
	if !e.choice {
		return e.name
	}
	return e.name + upperFirst(ref.name)
}

// check reports a type that the model names but does not have.
func (m *model) check() error {
	for _, t := range m.sortedTypes() {
		if t.base != "" && m.types[t.base] == nil {
			return fmt.Errorf("%s specializes %s, which is not defined", t.name, t.base)
		}
		for _, e := range t.elements {
			if len(e.types) == 0 || len(e.types) > 1 && !e.choice {
				return fmt.Errorf("%s has %d types", e.path, len(e.types))
			}
			for _, ref := range e.types {
				if m.types[ref.name] == nil {
					return fmt.Errorf("%s has type %s, which is not defined", e.path, ref.name)
				}
			}
		}
	}
	return nil
}
