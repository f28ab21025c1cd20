package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// canonical returns q in base units; it is not ok for a unit that UCUM does not
// know.
func (q quantity) canonical() (value *apd.Decimal, unit string, ok bool) {
	code, ok := q.code()
	if !ok {
		return q.value, q.unit, true
	}
	return canonicalUnit(q.value, code)
}

// equalQuantities compares what a and b measure. Whether a month of the calendar
// is a month of UCUM is unknown. https://hl7.org/fhirpath/N1/#quantity-equality
func equalQuantities(a, b quantity) tri {
	if a.unit == b.unit && a.calendar == b.calendar {
		return truthOf(a.value.Cmp(b.value) == 0)
	}
	order, known := compareQuantities(a, b)
	if !known {
		if isVariable(a) != isVariable(b) && isDuration(a) && isDuration(b) {
			return unknown
		}
		if comparableUnits(a, b) {
			return unknown
		}
		return no
	}
	return truthOf(order == 0)
}

// isVariable reports whether q is in years or months of the calendar.
func isVariable(q quantity) bool { return q.calendar && (q.unit == "year" || q.unit == "month") }

func isDuration(q quantity) bool {
	code, ok := q.code()
	return !ok || comparableCodes(code, "s")
}

// compareQuantities orders a and b; it is not known how quantities in units of
// different dimensions relate, or years and months of the calendar and other
// durations.
func compareQuantities(a, b quantity) (order int, known bool) {
	if a.unit == b.unit && a.calendar == b.calendar {
		return a.value.Cmp(b.value), true
	}
	if isVariable(a) && isVariable(b) {
		return months(a).Cmp(months(b)), true
	}
	x, unitX, okX := a.canonical()
	y, unitY, okY := b.canonical()
	if !okX || !okY || unitX != unitY || isVariable(a) || isVariable(b) {
		return 0, false
	}
	return x.Cmp(y), true
}

// months returns years or months as months.
func months(q quantity) *apd.Decimal {
	if q.unit == "month" {
		return q.value
	}
	return product(q.value, apd.New(12, 0))
}

// equivalentQuantities compares a and b in the larger of their units, to the
// places of the less precise value. Calendar durations are equivalent to those of
// UCUM. https://hl7.org/fhirpath/N1/#quantity-equivalence
func equivalentQuantities(a, b quantity) bool {
	a, b = a.definite(), b.definite()
	if a.unit == b.unit {
		return equivalentDecimals(a.value, b.value)
	}
	x, unitX, okX := canonicalUnit(apd.New(1, 0), a.unit)
	y, unitY, okY := canonicalUnit(apd.New(1, 0), b.unit)
	if !okX || !okY || unitX != unitY {
		return false
	}
	if x.Cmp(y) < 0 {
		a, b, x = b, a, y
	}
	v, unit, ok := b.canonical()
	if !ok || unit != unitX {
		return false
	}
	if zero, _, ok := canonicalUnit(new(apd.Decimal), a.unit); !ok || !zero.IsZero() {
		// No factor converts to a scale with a zero of its own.
		w, _, ok := a.canonical()
		return ok && equivalentDecimals(v, w)
	}
	if v, ok = divide(v, x); !ok {
		return false
	}
	return equivalentDecimals(a.value, v)
}

// definite returns q with a unit of UCUM.
func (q quantity) definite() quantity {
	switch code, ok := q.code(); {
	case ok:
		return quantity{value: q.value, unit: code}
	case q.unit == "year":
		return quantity{value: q.value, unit: "a"}
	}
	return quantity{value: q.value, unit: "mo"}
}

func comparableUnits(a, b quantity) bool {
	x, okX := a.code()
	y, okY := b.code()
	return okX && okY && comparableCodes(x, y)
}

// joinUnits returns the unit of a product or a quotient.
func joinUnits(a, b string, op string) string {
	switch {
	case op == "/" && a == b:
		return "1"
	case b == "1":
		return a
	case a == "1" && op == "*":
		return b
	}
	if strings.ContainsAny(b, "/.") {
		b = "(" + b + ")"
	}
	if op == "*" {
		return a + "." + b
	}
	return a + "/" + b
}
