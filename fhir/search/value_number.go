package search

import (
	"cmp"
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/ucum"
)

const (
	ucumSystem     = "http://unitsofmeasure.org"
	currencySystem = "urn:iso:std:iso:4217"
)

// numberValue returns what a number parameter finds at n.
// https://hl7.org/fhir/R4/search.html#number
func numberValue(n fhir.Node) (Range, bool) {
	switch t := n.Type(); {
	case isNumber(t.Primitive):
		v, ok := number(n.Text())
		return Range{v, v}, ok
	case t.Name == "Range":
		lo, hi := numberOf(n.Child("low")), numberOf(n.Child("high"))
		return between(lo, hi), lo.ok || hi.ok
	}
	return Range{}, false
}

// number returns the float64 nearest to a decimal. One beyond them all is the
// greatest there is, since infinities stand for open ends.
func number(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(v, 0) {
		return 0, false
	}
	return max(-math.MaxFloat64, min(v, math.MaxFloat64)), text != ""
}

// A bound is one end of a range, if it is there.
type bound struct {
	v  float64
	ok bool
}

// numberOf returns the value of a Quantity, which may be the zero Node.
func numberOf(n fhir.Node) bound {
	v, ok := number(n.Child("value").Text())
	return bound{v, ok}
}

// between is open where an end is missing.
func between(lo, hi bound) Range {
	if !lo.ok {
		lo.v = math.Inf(-1)
	}
	if !hi.ok {
		hi.v = math.Inf(1)
	}
	return Range{min(lo.v, hi.v), max(lo.v, hi.v)}
}

// quantityValue returns what a quantity parameter finds at n. What has no number
// is no value. https://hl7.org/fhir/R4/search.html#quantity
func quantityValue(n fhir.Node) (Quantity, bool) {
	switch t := n.Type(); {
	case t.Name == "Money":
		v, ok := number(n.Child("value").Text())
		return Quantity{Range: Range{v, v}, System: currencySystem, Code: n.Child("currency").Text()}, ok
	case t.Name == "Range":
		return rangeQuantity(n)
	case t.Is("Quantity"):
		return comparedQuantity(n)
	}
	return Quantity{}, false
}

// comparedQuantity returns a Quantity, open at one end when it has a comparator.
func comparedQuantity(n fhir.Node) (Quantity, bool) {
	q := unitOf(n)
	v := numberOf(n)
	comparator := n.Child("comparator").Text()
	q.Range = compared(v.v, comparator)
	if base, unit := canonical(n); base.ok {
		q.Canonical, q.Base = compared(base.v, comparator), unit
	}
	return q, v.ok
}

func unitOf(n fhir.Node) Quantity {
	return Quantity{System: n.Child("system").Text(), Code: n.Child("code").Text(), Unit: n.Child("unit").Text()}
}

// compared is from or up to v when there is a comparator.
// https://hl7.org/fhir/R4/valueset-quantity-comparator.html
func compared(v float64, comparator string) Range {
	switch comparator {
	case "<", "<=":
		return Range{math.Inf(-1), v}
	case ">", ">=":
		return Range{v, math.Inf(1)}
	}
	return Range{v, v}
}

// canonical returns the number of a Quantity in the canonical unit of its UCUM
// code. It is not there for other units.
func canonical(n fhir.Node) (b bound, unit string) {
	code := n.Child("code").Text()
	if code == "" || n.Child("system").Text() != ucumSystem {
		return bound{}, ""
	}
	exact, _, err := apd.NewFromString(n.Child("value").Text())
	if err != nil {
		return bound{}, ""
	}
	exact, unit, err = ucum.Canonical(exact, code)
	if err != nil {
		return bound{}, ""
	}
	v, ok := number(exact.String())
	return bound{v, ok}, unit
}

// rangeQuantity returns a Range of two quantities, which have one unit.
func rangeQuantity(n fhir.Node) (Quantity, bool) {
	low, high := n.Child("low"), n.Child("high")
	q := unitOf(low)
	if low.IsZero() {
		q = unitOf(high)
	}
	lo, hi := numberOf(low), numberOf(high)
	q.Range = between(lo, hi)
	baseLo, unit := canonical(low)
	baseHi, highUnit := canonical(high)
	if baseLo.ok == lo.ok && baseHi.ok == hi.ok && (unit == highUnit || unit == "" || highUnit == "") {
		q.Canonical, q.Base = between(baseLo, baseHi), cmp.Or(unit, highUnit)
	}
	return q, lo.ok || hi.ok
}
