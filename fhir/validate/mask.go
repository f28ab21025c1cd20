package validate

import (
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A mask is a set of elements of a type, by their order.
type mask [2]uint64

func (m *mask) add(order int) { m[order/64] |= 1 << (order % 64) }

func (m mask) isZero() bool { return m[0]|m[1] == 0 }

func (m mask) meets(o mask) bool { return m[0]&o[0]|m[1]&o[1] != 0 }

// present returns which elements n has.
func present(n fhir.Node) mask {
	var m mask
	for c := range n.Children() {
		m.add(c.Element().Order)
	}
	return m
}

// needs returns the elements of t that an invariant speaks of, if it is sure to hold
// on an element that has none of them. It is zero for an invariant that looks
// elsewhere, or demands that there is something.
func needs(t *spec.Type, h handling) mask {
	words, closed := mentions(h.expression)
	var m mask
	if !closed || !holdsOnNothing(h.expression) {
		return m
	}
	for _, e := range t.Elements {
		if words[e.Name] {
			m.add(e.Order)
		}
	}
	return m
}

// mentions returns the names in an expression. It is closed when all that it looks at
// begins with one of them.
func mentions(expression string) (words map[string]bool, closed bool) {
	src := strings.ReplaceAll(expression, "%ucum", "")
	words, closed = map[string]bool{}, !strings.ContainsAny(src, "$%")
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '\'':
			for i++; i < len(src) && src[i] != '\''; i++ {
				if src[i] == '\\' {
					i++
				}
			}
		case letter(src[i]):
			start := i
			for i < len(src) && (letter(src[i]) || src[i] >= '0' && src[i] <= '9') {
				i++
			}
			words[src[start:i]] = true
			if i < len(src) && src[i] == '(' && !strings.HasSuffix(src[:start], ".") {
				closed = false
			}
			i--
		}
	}
	return words, closed
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

// nothing is a resource without elements.
var nothing = sync.OnceValue(func() fhir.Node {
	r, err := fhir.Decode("Parameters", []byte(`{"resourceType":"Parameters"}`))
	if err != nil {
		// The decoder takes this resource, which every test of this package relies on.
		panic(err)
	}
	return r.Root()
})

// holdsOnNothing reports whether an expression is not false where all elements that
// it names are absent.
func holdsOnNothing(expression string) bool {
	e, err := fhirpath.Compile(expression)
	if err != nil {
		return false
	}
	value, known, err := e.Truth(nothing(), nil)
	return err == nil && (value || !known)
}
