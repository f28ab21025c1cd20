package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// maxPlaces bounds the decimal places of a boundary.
const maxPlaces = 31

// boundary is lowBoundary and highBoundary: the least and the greatest value that
// the input may stand for. https://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time
func boundary(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	digits, given, err := v.integer(0)
	if err != nil {
		return dst, err
	}
	high := v.name == "highBoundary"
	switch s := i.system().(type) {
	case moment:
		if !given {
			digits = [...]int{8, 17, 9}[s.kind]
		}
		if m, ok := s.boundary(digits, high); ok {
			dst = append(dst, Item{value: m})
		}
		return dst, nil
	case int64, *apd.Decimal, quantity:
		if !given {
			digits = 8
		}
		if digits < 0 || digits > maxPlaces {
			return dst, nil
		}
		q, _ := toQuantity(s)
		bound := decimalBoundary(q.value, int32(digits), high)
		if whole, ok := s.(quantity); ok {
			whole.value = bound
			return append(dst, Item{value: whole}), nil
		}
		return append(dst, Item{value: bound}), nil
	case nil:
		return dst, nil
	}
	return dst, errorf(Type, v.at, "%s takes a number, a quantity, a date or a time, not a %s.", v.name, i.Type())
}

// decimalBoundary returns d less or plus half of its last place. Away from zero
// it is rounded to digits, toward zero cut, as the specification's examples are.
func decimalBoundary(d *apd.Decimal, digits int32, high bool) *apd.Decimal {
	half := apd.New(5, -places(d)-1)
	if !high {
		half.Negative = true
	}
	bound := new(apd.Decimal)
	if _, err := arithmetic().Add(bound, d, half); err != nil {
		return d
	}
	how := apd.RoundDown
	if bound.Negative != high {
		how = apd.RoundHalfUp
	}
	return round(bound, digits, how)
}

// precisionOfDigits returns the precision that a number of digits stands for.
func (k momentKind) precisionOfDigits(digits int) (p precision, milliseconds, ok bool) {
	if k == timeKind {
		digits += 8
	}
	switch digits {
	case 4:
		return yearly, false, true
	case 6:
		return monthly, false, true
	case 8:
		return daily, false, k != timeKind
	case 10, 12, 14:
		return precision(digits/2 - 1), false, k != dateKind
	case 17:
		return secondly, true, k != dateKind
	}
	return 0, false, false
}

// boundary returns the first or the last moment that m may stand for, to the
// precision of so many digits. Without a zone it may be anywhere.
func (m moment) boundary(digits int, high bool) (moment, bool) {
	p, milliseconds, ok := m.kind.precisionOfDigits(digits)
	if !ok {
		return m, false
	}
	bound := m
	if high && p > m.known {
		bound.at = m.end().Add(-time.Millisecond)
	}
	if m.known == secondly && m.digits == 0 && high && milliseconds {
		bound.at = m.at.Add(time.Second - time.Millisecond)
	}
	if !m.zoned && m.kind == dateTimeKind && p >= hourly {
		hours := 14
		if high {
			hours = -12
		}
		t := bound.at
		zone := time.FixedZone("", hours*3600)
		bound.at = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
		bound.zoned = true
	}
	bound.known, bound.digits = secondly, 3
	bound = bound.cut(p)
	if !milliseconds {
		bound.digits = 0
	}
	return bound, true
}

// cut returns m to the precision p, or its own if that is coarser; a Date if it
// has no time.
func (m moment) cut(p precision) moment {
	m.known = min(m.known, p)
	if m.known < secondly {
		m.digits = 0
	}
	t := m.at
	parts := [...]int{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}
	first := [...]int{1, 1, 1, 0, 0, 0}
	copy(parts[m.known:], first[m.known:])
	nanos := 0
	if m.known == secondly {
		nanos = t.Nanosecond()
	}
	m.at = time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], nanos, t.Location())
	if m.known <= daily && m.kind != timeKind {
		m.kind, m.zoned = dateKind, false
		m.at = time.Date(parts[0], time.Month(parts[1]), parts[2], 0, 0, 0, 0, time.UTC)
	}
	return m
}

// precisionOf is precision: the digits of a date or time, the decimal places of a
// number.
func precisionOf(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	switch s := i.system().(type) {
	case moment:
		n := [...]int{4, 6, 8, 10, 12, 14}[s.known-1]
		if s.digits > 0 {
			n += 3
		}
		if s.kind == timeKind {
			n -= 8
		}
		return append(dst, Integer(n)), nil
	case int64, *apd.Decimal, quantity:
		q, _ := toQuantity(s)
		return append(dst, Integer(int(places(q.value)))), nil
	case nil:
		return dst, nil
	}
	return dst, errorf(Type, v.at, "precision takes a number, a date or a time, not a %s.", i.Type())
}

// isComparable is comparable: whether the units of two quantities measure the
// same thing.
func isComparable(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	arg, err := v.collection(0)
	defer v.give(arg)
	if err != nil {
		return dst, err
	}
	other, err := v.one(arg)
	if err != nil || other == nil {
		return dst, err
	}
	a, okA := toQuantity(i.system())
	b, okB := toQuantity(other.system())
	if !okA || !okB {
		return dst, errorf(Type, v.at, "comparable takes quantities, not a %s and a %s.", i.Type(), other.Type())
	}
	return append(dst, Bool(comparableUnits(a.definite(), b.definite()))), nil
}
