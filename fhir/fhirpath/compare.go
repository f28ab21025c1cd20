package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// compare orders two items; it is not known what precedes if one has no value,
// is known only in part, or is in a unit that the other's cannot be converted to.
// https://hl7.org/fhirpath/N1/#comparison
func (r *run) compare(a, b Item) (order int, known bool, err error) {
	x, y := a.system(), b.system()
	if err := r.step(costOf(x) + costOf(y)); err != nil {
		return 0, false, err
	}
	if lacksValue(a, x) || lacksValue(b, y) {
		return 0, false, nil
	}
	switch v := x.(type) {
	case string:
		if w, ok := y.(string); ok {
			return strings.Compare(v, w), true, nil
		}
	case moment:
		if w, ok := y.(moment); ok && (v.kind == timeKind) == (w.kind == timeKind) {
			order, known := compareMoments(v, w)
			return order, known, nil
		}
	case int64, *apd.Decimal, quantity:
		if p, ok := toDecimal(x); ok {
			if q, ok := toDecimal(y); ok {
				return p.Cmp(q), true, nil
			}
		}
		p, _ := toQuantity(x)
		if q, ok := toQuantity(y); ok {
			order, known := compareQuantities(p, q)
			return order, known, nil
		}
	}
	return 0, false, errorf(Type, nowhere, "A %s has no order with a %s.", a.Type(), b.Type())
}

// costOf returns the steps that an operator on v is worth: to convert units takes
// the time of many comparisons.
func costOf(v any) int {
	switch v.(type) {
	case quantity:
		return 10
	case moment, *apd.Decimal:
		return 2
	}
	return 1
}

// isValueless reports whether i is a primitive, or a Quantity, without a value.
func isValueless(i Item) bool { return i.value == nil && lacksValue(i, i.system()) }

// lacksValue is isValueless when v, which i.system returned, is known.
func lacksValue(i Item, v any) bool {
	return v == nil && i.value == nil && (!i.node.HasValue() || i.node.Type().Is("Quantity"))
}
