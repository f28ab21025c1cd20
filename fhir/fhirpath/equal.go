package fhirpath

import (
	"bytes"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
)

// equalCollections is the operator =. https://hl7.org/fhirpath/N1/#equals
func (r *run) equalCollections(a, b Collection) (tri, error) {
	if len(a) == 0 || len(b) == 0 {
		return unknown, nil
	}
	if len(a) != len(b) {
		return no, nil
	}
	result := yes
	for i := range a {
		t, err := r.equal(a[i], b[i])
		if err != nil || t == no {
			return t, err
		}
		result = min(result, t)
	}
	return result, nil
}

// equal compares two items; unknown is for dates known in part, and quantities
// whose units have no fixed relation.
func (r *run) equal(a, b Item) (tri, error) {
	if err := r.step(1 + (len(a.node.Raw())+len(b.node.Raw()))>>12); err != nil {
		return unknown, err
	}
	if t := equalText(a, b); t != unknown {
		return t, nil
	}
	x, y := a.system(), b.system()
	switch {
	case x == nil && y == nil && a.value == nil && b.value == nil:
		return r.equalNodes(a.node, b.node)
	case x == nil || y == nil:
		return no, nil
	}
	return equalValues(x, y), r.step(costOf(x) + costOf(y) - 2)
}

// equalText compares strings without taking them out of the resource; unknown
// when a and b are not such.
func equalText(a, b Item) tri {
	if a.value != nil {
		if b.value != nil {
			return unknown
		}
		a, b = b, a
	}
	raw := a.node.Raw()
	if !isStringLike(a.node) || len(raw) < 2 || bytes.IndexByte(raw, '\\') >= 0 {
		return unknown
	}
	raw = raw[1 : len(raw)-1]
	if s, ok := b.value.(string); ok {
		return truthOf(string(raw) == s)
	}
	other := b.node.Raw()
	if b.value != nil || !isStringLike(b.node) || len(other) < 2 || bytes.IndexByte(other, '\\') >= 0 {
		return unknown
	}
	return truthOf(string(raw) == string(other[1:len(other)-1]))
}

func equalValues(x, y any) tri {
	if a, ok := toDecimal(x); ok {
		if b, ok := toDecimal(y); ok {
			return truthOf(a.Cmp(b) == 0)
		}
	}
	if a, ok := x.(moment); ok {
		b, ok := y.(moment)
		if !ok || (a.kind == timeKind) != (b.kind == timeKind) {
			return no
		}
		order, known := compareMoments(a, b)
		if !known {
			return unknown
		}
		return truthOf(order == 0)
	}
	a, aIs := toQuantity(x)
	b, bIs := toQuantity(y)
	if aIs && bIs {
		return equalQuantities(a, b)
	}
	return truthOf(x == y)
}

// toQuantity converts a number or quantity, which N1 does implicitly.
func toQuantity(v any) (quantity, bool) {
	if q, ok := v.(quantity); ok {
		return q, true
	}
	d, ok := toDecimal(v)
	return quantity{value: d, unit: "1"}, ok
}

// equalNodes compares elements with children, child by child: those of an array
// in their order, different elements in any.
func (r *run) equalNodes(a, b fhir.Node) (tri, error) {
	if a == b {
		return yes, nil
	}
	if a.HasValue() != b.HasValue() || a.Type() != b.Type() && !related(a, b) {
		return no, nil
	}
	count, result := 0, yes
	for c := range a.Children() {
		count++
		other := counterpart(b, c)
		if other.IsZero() {
			return no, nil
		}
		t, err := r.equal(NodeItem(c), NodeItem(other))
		if err != nil || t == no {
			return t, err
		}
		result = min(result, t)
	}
	for range b.Children() {
		count--
	}
	if count != 0 {
		return no, r.step(1)
	}
	return result, r.step(1)
}

// related reports whether a and b are elements of content that is defined once,
// or types one of which specializes the other.
func related(a, b fhir.Node) bool {
	return a.Type().Is(b.Type().Name) || b.Type().Is(a.Type().Name)
}

// counterpart returns the child of n that is named and placed like c.
func counterpart(n, c fhir.Node) fhir.Node {
	name, place := c.Name(), c.Index()
	for other := range n.Children() {
		if other.Index() == place && other.Name() == name {
			return other
		}
	}
	return fhir.Node{}
}

// equivalentCollections is the operator ~: order does not matter.
// https://hl7.org/fhirpath/N1/#equivalent
func (r *run) equivalentCollections(a, b Collection) (tri, error) {
	if len(a) != len(b) {
		return no, nil
	}
	used := make([]bool, len(b))
	for _, i := range a {
		found := false
		for k := range b {
			if used[k] {
				continue
			}
			ok, err := r.equivalent(i, b[k])
			if err != nil {
				return unknown, err
			}
			if ok {
				used[k], found = true, true
				break
			}
		}
		if !found {
			return no, nil
		}
	}
	return yes, nil
}

func (r *run) equivalent(a, b Item) (bool, error) {
	if err := r.step(1); err != nil {
		return false, err
	}
	x, y := a.system(), b.system()
	if x == nil && y == nil && a.value == nil && b.value == nil {
		return r.equivalentNodes(a.node, b.node)
	}
	switch v := x.(type) {
	case nil:
		return false, nil
	case string:
		w, ok := y.(string)
		return ok && equivalentText(v, w), r.write(len(v) + len(w))
	case moment:
		w, ok := y.(moment)
		if !ok || v.known != w.known || (v.kind == timeKind) != (w.kind == timeKind) {
			return false, nil
		}
		order, known := compareMoments(v, w)
		return known && order == 0, nil
	}
	return equivalentValues(x, y), r.step(costOf(x) + costOf(y))
}

func equivalentValues(x, y any) bool {
	if a, ok := toDecimal(x); ok {
		if b, ok := toDecimal(y); ok {
			return equivalentDecimals(a, b)
		}
	}
	a, aIs := toQuantity(x)
	b, bIs := toQuantity(y)
	if aIs && bIs {
		return equivalentQuantities(a, b)
	}
	_, isDecimal := y.(*apd.Decimal)
	return !isDecimal && y != nil && x == y
}

// equivalentText ignores case and the kind of white space.
func equivalentText(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// equivalentNodes compares elements with children; of an array the order does
// not matter.
func (r *run) equivalentNodes(a, b fhir.Node) (bool, error) {
	if a == b {
		return true, nil
	}
	if a.HasValue() != b.HasValue() || a.Type() != b.Type() && !related(a, b) {
		return false, nil
	}
	x, y := r.take(), r.take()
	defer func() { r.give(x); r.give(y) }()
	for c := range a.Children() {
		x = append(x, NodeItem(c))
	}
	for c := range b.Children() {
		y = append(y, NodeItem(c))
	}
	if len(x) != len(y) {
		return false, nil
	}
	used := make([]bool, len(y))
	for _, c := range x {
		found := false
		for k := 0; k < len(y) && !found; k++ {
			if used[k] || y[k].node.Name() != c.node.Name() {
				continue
			}
			ok, err := r.equivalent(c, y[k])
			if err != nil {
				return false, err
			}
			used[k], found = ok, ok
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}
