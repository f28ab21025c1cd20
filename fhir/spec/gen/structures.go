package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

const (
	structureURL = "http://hl7.org/fhir/StructureDefinition/"
	systemType   = "http://hl7.org/fhirpath/System."
	fhirType     = structureURL + "structuredefinition-fhir-type"
)

var primitives = map[string]spec.Primitive{
	"boolean": spec.Boolean, "integer": spec.Integer, "unsignedInt": spec.UnsignedInt,
	"positiveInt": spec.PositiveInt, "decimal": spec.Decimal, "string": spec.String,
	"markdown": spec.Markdown, "code": spec.Code, "id": spec.ID, "uri": spec.URI,
	"url": spec.URL, "canonical": spec.Canonical, "oid": spec.OID, "uuid": spec.UUID,
	"base64Binary": spec.Base64Binary, "date": spec.Date, "dateTime": spec.DateTime,
	"instant": spec.Instant, "time": spec.Time, "xhtml": spec.XHTML,
}

var kinds = map[string]spec.Kind{
	"primitive-type": spec.KindPrimitive,
	"complex-type":   spec.KindComplex,
	"resource":       spec.KindResource,
}

// profiles holds the invariants that the profiles on Quantity add, by URL.
type profiles map[string][]spec.Invariant

func (m *model) addStructures(src *source) error {
	quantities := make(profiles)
	var own []structure
	for _, s := range src.structures {
		switch {
		case s.Derivation == "constraint" && s.Type == "Quantity" && s.Name != s.Type:
			m.aliases[s.Name] = s.Type
			quantities[s.URL] = invariants(slices.DeleteFunc(slices.Clone(s.Snapshot.Element[0].Constraint), inherited))
		case s.Derivation != "constraint" && kinds[s.Kind] != 0:
			own = append(own, s)
		}
	}
	for _, s := range own {
		m.version = s.FHIRVersion
		if err := m.addStructure(s, quantities); err != nil {
			return fmt.Errorf("build %s: %w", s.Name, err)
		}
	}
	m.dropInherited()
	return m.check()
}

func (m *model) addStructure(s structure, quantities profiles) error {
	root := s.Snapshot.Element[0]
	m.types[s.Name] = &typ{
		name:       s.Name,
		kind:       kinds[s.Kind],
		abstract:   s.Abstract,
		base:       strings.TrimPrefix(s.BaseDefinition, structureURL),
		primitive:  primitives[s.Name],
		invariants: invariants(root.Constraint),
	}
	for _, def := range s.Snapshot.Element[1:] {
		dot := strings.LastIndexByte(def.Path, '.')
		owner := m.types[def.Path[:dot]]
		if owner == nil {
			return fmt.Errorf("%s has no parent", def.Path)
		}
		if def.Max == "0" || owner.primitive != 0 && def.Path[dot:] == ".value" {
			continue
		}
		e, err := newElement(def, quantities)
		if err != nil {
			return err
		}
		owner.elements = append(owner.elements, e)
		if isComponent(def) {
			m.types[def.Path] = &typ{
				name:       def.Path,
				kind:       spec.KindBackbone,
				base:       def.Type[0].Code,
				invariants: invariants(def.Constraint),
			}
		}
	}
	return nil
}

// isComponent reports whether def defines its content in place.
func isComponent(def elementDefinition) bool {
	return len(def.Type) == 1 && (def.Type[0].Code == "BackboneElement" || def.Type[0].Code == "Element")
}

func newElement(def elementDefinition, quantities profiles) (*element, error) {
	name := def.Path[strings.LastIndexByte(def.Path, '.')+1:]
	e := &element{
		path:       def.Path,
		name:       strings.TrimSuffix(name, "[x]"),
		choice:     strings.HasSuffix(name, "[x]"),
		min:        def.Min,
		max:        spec.Unbounded,
		types:      typeRefs(def),
		invariants: invariants(def.Constraint),
		summary:    def.IsSummary,
		modifier:   def.IsModifier,
		attribute:  slices.Contains(def.Representation, "xmlAttr"),
	}
	for _, t := range def.Type {
		for _, url := range t.Profile {
			if quantities[url] == nil {
				return nil, fmt.Errorf("%s demands profile %s, which is not defined", def.Path, url)
			}
			e.invariants = append(e.invariants, quantities[url]...)
		}
	}
	if b := def.Binding; b != nil {
		e.strength, e.valueSet = strengths[b.Strength], b.ValueSet
	}
	if def.Max == "*" {
		return e, nil
	}
	var err error
	if e.max, err = strconv.Atoi(def.Max); err != nil {
		return nil, fmt.Errorf("read max of %s: %w", def.Path, err)
	}
	return e, nil
}

func typeRefs(def elementDefinition) []typeRef {
	if ref, ok := strings.CutPrefix(def.ContentReference, "#"); ok {
		return []typeRef{{name: ref}}
	}
	if isComponent(def) {
		return []typeRef{{name: def.Path}}
	}
	var refs []typeRef
	for _, t := range def.Type {
		ref := typeRef{name: typeName(def, t), targets: targets(t.TargetProfile)}
		if len(t.Profile) == 1 {
			ref.profile = strings.TrimPrefix(t.Profile[0], structureURL)
		}
		refs = append(refs, ref)
	}
	return refs
}

// typeName resolves the System types that R4 gives to ids and Extension.url.
// Resource.id is a string by its extension, but an id by the prose and grammar.
// https://hl7.org/fhir/R4/resource.html#id
func typeName(def elementDefinition, t elementType) string {
	if !strings.HasPrefix(t.Code, systemType) {
		return t.Code
	}
	if def.Base.Path == "Resource.id" {
		return "id"
	}
	for _, x := range t.Extension {
		if x.URL == fhirType {
			return x.ValueURL
		}
	}
	return strings.ToLower(strings.TrimPrefix(t.Code, systemType))
}

// targets returns the resource types that the profiles name, nil for any.
func targets(profiles []string) []string {
	var names []string
	for _, p := range profiles {
		name := strings.TrimPrefix(p, structureURL)
		if name == "Resource" {
			return nil
		}
		names = append(names, name)
	}
	return names
}

func invariants(constraints []constraint) []spec.Invariant {
	var list []spec.Invariant
	for _, c := range constraints {
		list = append(list, spec.Invariant{
			Key:        c.Key,
			Warning:    c.Severity == "warning",
			Human:      c.Human,
			Expression: c.Expression,
		})
	}
	return list
}

func inherited(c constraint) bool { return c.Source != "" }

// dropInherited leaves each element the invariants that none of its types
// repeats, each once, and orders those of a type by key.
func (m *model) dropInherited() {
	for _, t := range m.types {
		sortInvariants(t.invariants)
		for _, e := range t.elements {
			e.invariants = slices.DeleteFunc(e.invariants, func(x spec.Invariant) bool {
				return !slices.ContainsFunc(e.types, func(ref typeRef) bool {
					def := m.types[ref.name]
					return def != nil && !slices.Contains(def.invariants, x)
				})
			})
			sortInvariants(e.invariants)
			e.invariants = slices.Compact(e.invariants)
		}
	}
}

func sortInvariants(list []spec.Invariant) {
	slices.SortStableFunc(list, func(a, b spec.Invariant) int { return cmp.Compare(a.Key, b.Key) })
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
