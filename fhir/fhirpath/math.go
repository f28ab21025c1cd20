package fhirpath

import (
	"math"

	"github.com/cockroachdb/apd/v3"
)

// The functions on numbers. https://hl7.org/fhirpath/N1/#math

// number returns the number that is the input, and its unit; it is not ok when it
// is empty.
func (v invocation) number(c Collection) (d *apd.Decimal, i *Item, err error) {
	i, err = v.one(c)
	if err != nil || i == nil {
		return nil, nil, err
	}
	s := i.system()
	if q, ok := s.(quantity); ok {
		return q.value, i, nil
	}
	d, ok := toDecimal(s)
	if !ok && !isValueless(*i) {
		return nil, nil, errorf(Type, v.at, "%s takes a number, not a %s.", v.name, i.Type())
	}
	return d, i, nil
}

// calculate is abs, ceiling, floor, truncate, exp, ln and sqrt.
func calculate(v invocation, dst Collection) (Collection, error) {
	d, i, err := v.number(v.in)
	if err != nil || d == nil {
		return dst, err
	}
	if err := v.step(20); err != nil {
		return dst, err
	}
	switch v.name {
	case "abs":
		return v.like(*i, new(apd.Decimal).Abs(d), dst)
	case "ceiling":
		return v.integral(d, apd.RoundCeiling, dst)
	case "floor":
		return v.integral(d, apd.RoundFloor, dst)
	case "truncate":
		return v.integral(d, apd.RoundDown, dst)
	}
	return v.transcendental(d, dst)
}

// like appends d as what i is: an Integer, a decimal or a quantity.
func (v invocation) like(i Item, d *apd.Decimal, dst Collection) (Collection, error) {
	switch s := i.system().(type) {
	case int64:
		if n, ok := whole(d); ok {
			return append(dst, Item{value: n}), nil
		}
		return dst, nil
	case quantity:
		s.value = d
		return append(dst, Item{value: s}), nil
	}
	return append(dst, Item{value: d}), nil
}

// integral appends d, rounded, as an Integer; as a decimal if it is too large.
func (v invocation) integral(d *apd.Decimal, how apd.Rounder, dst Collection) (Collection, error) {
	d = round(d, 0, how)
	if n, ok := whole(d); ok {
		return append(dst, Item{value: n}), nil
	}
	return append(dst, Item{value: d}), nil
}

// transcendental appends exp, ln or sqrt of d, nothing where they are not defined
// or too large.
func (v invocation) transcendental(d *apd.Decimal, dst Collection) (Collection, error) {
	c, result := precise(quotient+10), new(apd.Decimal)
	f, err := d.Float64()
	if err != nil {
		return dst, nil
	}
	switch {
	case v.name == "exp" && math.Abs(f) < 1000:
		_, err = c.Exp(result, d)
	case v.name == "ln" && d.Sign() > 0:
		_, err = c.Ln(result, d)
	case v.name == "sqrt" && d.Sign() >= 0:
		_, err = c.Sqrt(result, d)
	default:
		return dst, nil
	}
	return appendDecimal(dst, result, err == nil), v.step(200)
}

// appendDecimal appends d as it is after rounding away the digits that a function
// computed to be sure of the others.
func appendDecimal(dst Collection, d *apd.Decimal, ok bool) Collection {
	if !ok || !isUsable(d) {
		return dst
	}
	rounded := new(apd.Decimal)
	if _, err := precise(quotient).Round(rounded, d); err != nil {
		return dst
	}
	rounded.Reduce(rounded)
	return append(dst, Item{value: rounded})
}

// roundTo is round.
func roundTo(v invocation, dst Collection) (Collection, error) {
	d, i, err := v.number(v.in)
	if err != nil || d == nil {
		return dst, err
	}
	n := 0
	if len(v.args) == 1 {
		if n, _, err = v.integer(0); err != nil {
			return dst, err
		}
	}
	if n < 0 {
		return dst, errorf(Type, v.at, "round takes a number of decimal places, which is not negative.")
	}
	if int32(min(n, maxDigits)) >= places(d) {
		return append(dst, *i), nil
	}
	return v.like(*i, round(d, int32(n), apd.RoundHalfUp), dst)
}

// power is also log.
func power(v invocation, dst Collection) (Collection, error) {
	base, i, err := v.number(v.in)
	if err != nil {
		return dst, err
	}
	arg, err := v.collection(0)
	defer v.give(arg)
	if err != nil {
		return dst, err
	}
	exponent, e, err := v.number(arg)
	if err != nil || base == nil || exponent == nil {
		return dst, err
	}
	if err := v.step(500); err != nil {
		return dst, err
	}
	if v.name == "log" {
		result, ok := logarithm(base, exponent)
		return appendDecimal(dst, result, ok), nil
	}
	result, ok := raise(base, exponent)
	if !ok {
		return dst, nil
	}
	_, isInteger := i.system().(int64)
	n, fits := whole(result)
	if _, ok := e.system().(int64); ok && isInteger && fits && exponent.Sign() >= 0 {
		return append(dst, Item{value: n}), nil
	}
	return append(dst, Item{value: result}), nil
}

func logarithm(d, base *apd.Decimal) (*apd.Decimal, bool) {
	if d.Sign() <= 0 || base.Sign() <= 0 || base.Cmp(apd.New(1, 0)) == 0 {
		return nil, false
	}
	c := precise(quotient + 10)
	x, y, result := new(apd.Decimal), new(apd.Decimal), new(apd.Decimal)
	_, err := c.Ln(x, d)
	if err == nil {
		_, err = c.Ln(y, base)
	}
	if err == nil {
		_, err = c.Quo(result, x, y)
	}
	return result, err == nil
}

// raise returns base to the power of exponent; it is not ok when that is not
// defined or too large.
func raise(base, exponent *apd.Decimal) (*apd.Decimal, bool) {
	b, errB := base.Float64()
	e, errE := exponent.Float64()
	if size := math.Log10(math.Abs(b)) * e; errB != nil || errE != nil || math.Abs(e) > 10_000 || b != 0 && math.Abs(size) > maxExponent/2 {
		return nil, false
	}
	result := new(apd.Decimal)
	if exponent.Sign() >= 0 && isWhole(exponent) {
		_, err := arithmetic().Pow(result, base, exponent)
		return result, err == nil && isUsable(result)
	}
	if _, err := precise(quotient+10).Pow(result, base, exponent); err != nil {
		return nil, false
	}
	c := appendDecimal(nil, result, true)
	if len(c) == 0 {
		return nil, false
	}
	return c[0].value.(*apd.Decimal), true
}

func isWhole(d *apd.Decimal) bool { return round(d, 0, apd.RoundDown).Cmp(d) == 0 }

// summarize is sum, min, max and avg, which later editions of FHIRPath have.
// https://hl7.org/fhirpath/#aggregates
func summarize(v invocation, dst Collection) (Collection, error) {
	if len(v.in) == 0 {
		return dst, nil
	}
	best := v.in[:1]
	add := arithmetical{at: v.at, op: "+"}
	for n := range v.in[1:] {
		next := v.in[n+1 : n+2]
		if v.name == "min" || v.name == "max" {
			order, known, err := v.compare(next[0], best[0])
			if err != nil || !known {
				return dst, err
			}
			if (order < 0) == (v.name == "min") && order != 0 {
				best = next
			}
			continue
		}
		sum, err := add.apply(v.run, best, next)
		if err != nil || sum == nil {
			return dst, err
		}
		best = Collection{{value: sum}}
	}
	if v.name != "avg" {
		return append(dst, best[0]), v.step(len(v.in))
	}
	add.op = "/"
	mean, err := add.apply(v.run, best, Collection{Integer(len(v.in))})
	if err != nil || mean == nil {
		return dst, err
	}
	return append(dst, Item{value: mean}), nil
}
