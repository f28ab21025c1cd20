package validate

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A constant is a value that a profile demands: exactly, or as a pattern that the value
// has to have among other things.
type constant struct {
	node  fhir.Node
	exact bool
}

// constants returns the values that k demands of the whole element.
func (k *constraint) constants() []constant {
	var all []constant
	if !k.fixed.IsZero() {
		all = append(all, constant{k.fixed, true})
	}
	if !k.pattern.IsZero() {
		all = append(all, constant{k.pattern, false})
	}
	return all
}

// hop appends the values in k that are one step away.
func (k constant) hop(dst []constant, h hop) []constant {
	switch h.kind {
	case hopChild:
		for n := range k.node.Each(h.name) {
			dst = append(dst, constant{n, k.exact})
		}
	case hopExtension:
		for n := range k.node.Each("extension") {
			if n.Child("url").Text() == h.name {
				dst = append(dst, constant{n, k.exact})
			}
		}
	case hopType:
		if k.node.Type().Is(h.name) {
			dst = append(dst, k)
		}
	}
	return dst
}

// maxCompared is how many elements of a value and of a constant are compared at most.
const maxCompared = 100_000

// A comparison compares a value with a constant. When it takes too long it finds that
// they differ.
type comparison struct{ left int }

// matches reports whether n has the value k.
func (c *conformer) matches(n fhir.Node, k constant) bool {
	m := comparison{left: maxCompared}
	ok := k.exact && m.equals(n, k.node) || !k.exact && m.contains(n, k.node)
	c.steps((maxCompared - m.left) / 16)
	return ok
}

// equals reports whether a has the value b, extensions included. An id that a has for
// itself is a name that others in its resource call it by, not of its value.
// https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_
func (m *comparison) equals(a, b fhir.Node) bool {
	if m.left--; m.left < 0 || !equalValue(a, b) {
		return false
	}
	for _, e := range a.Type().Elements {
		var left, right []fhir.Node
		for n := range a.Each(e.Name) {
			left = append(left, n)
		}
		for n := range b.Each(e.Name) {
			right = append(right, n)
		}
		if e.Name == "id" && len(right) == 0 {
			continue
		}
		if len(left) != len(right) {
			return false
		}
		for i := range left {
			if !m.equals(left[i], right[i]) {
				return false
			}
		}
	}
	return true
}

// contains reports whether n has all that a pattern has, lists in any order.
// https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
func (m *comparison) contains(n, pattern fhir.Node) bool {
	if m.left--; m.left < 0 || pattern.HasValue() && !equalValue(n, pattern) {
		return false
	}
	for want := range pattern.Children() {
		found := false
		for have := range n.Each(want.Name()) {
			if found = m.contains(have, want); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// equalValue reports whether a and b have the same type, up to its specializations of
// string and uri, and as primitives the same value: 1.0 is 1.00.
func equalValue(a, b fhir.Node) bool {
	if a.Type().Kind != spec.KindPrimitive || b.Type().Kind != spec.KindPrimitive {
		return a.Type() == b.Type()
	}
	if a.Type().Primitive == spec.Decimal && b.Type().Primitive == spec.Decimal && string(a.Raw()) != string(b.Raw()) {
		return relates(a, "=", b)
	}
	return a.Text() == b.Text()
}

// relates reports whether an operator of FHIRPath holds between a and b. What cannot be
// compared is not equal, and neither too small nor too large.
func relates(a fhir.Node, operator string, b fhir.Node) bool {
	e, err := fhirpath.Compile("$this " + operator + " %limit")
	if err != nil {
		return false
	}
	value, known, err := e.Truth(a, &fhirpath.Env{Constants: map[string]fhirpath.Collection{"limit": {fhirpath.NodeItem(b)}}})
	return err == nil && known && value
}
