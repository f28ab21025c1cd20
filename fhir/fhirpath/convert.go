package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// The conversions. https://hl7.org/fhirpath/N1/#conversion

// convert is toBoolean, toInteger, and so on: nothing for what cannot be
// converted.
func convert(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	to, ok, err := v.converted(*i, strings.TrimPrefix(v.name, "to"))
	if err != nil || !ok {
		return dst, err
	}
	return append(dst, Item{value: to}), v.step(1)
}

// converts is convertsToBoolean, convertsToInteger, and so on.
func converts(v invocation, dst Collection) (Collection, error) {
	i, err := v.one(v.in)
	if err != nil || i == nil {
		return dst, err
	}
	_, ok, err := v.converted(*i, strings.TrimPrefix(v.name, "convertsTo"))
	return append(dst, Bool(ok)), err
}

func (v invocation) converted(i Item, to string) (any, bool, error) {
	s := i.system()
	switch to {
	case "Boolean":
		b, ok := toBoolean(s)
		return b, ok, nil
	case "Integer":
		n, ok := toInteger(s)
		return n, ok, nil
	case "Decimal":
		d, ok := textToDecimal(s)
		return d, ok, nil
	case "String":
		t, ok := toText(s)
		return t, ok, nil
	case "Date":
		m, ok := toMoment(s, dateKind)
		return m, ok, nil
	case "DateTime":
		m, ok := toMoment(s, dateTimeKind)
		return m, ok, nil
	case "Time":
		m, ok := toMoment(s, timeKind)
		return m, ok, nil
	}
	q, ok := textToQuantity(s)
	unit, given, err := v.text(0)
	if !ok || !given || err != nil {
		return q, ok, err
	}
	q, ok = q.in(unit)
	return q, ok, nil
}

func toBoolean(v any) (value, ok bool) {
	if s, is := v.(string); is {
		switch strings.ToLower(s) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true, true
		case "false", "f", "no", "n", "0", "0.0":
			return false, true
		}
		return false, false
	}
	if b, is := v.(bool); is {
		return b, true
	}
	d, ok := toDecimal(v)
	if !ok {
		return false, false
	}
	one := d.Cmp(apd.New(1, 0)) == 0
	return one, one || d.IsZero()
}

func toInteger(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		return bit(v), true
	case string:
		return parseInteger(v)
	}
	return 0, false
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func textToDecimal(v any) (*apd.Decimal, bool) {
	switch v := v.(type) {
	case bool:
		return apd.New(bit(v)*10, -1), true
	case string:
		if !isPlainDecimal(v) {
			return nil, false
		}
		return parseDecimal(v)
	}
	return toDecimal(v)
}

func textToQuantity(v any) (quantity, bool) {
	switch v := v.(type) {
	case bool:
		return quantity{value: apd.New(bit(v)*10, -1), unit: "1"}, true
	case string:
		return parseQuantity(v)
	}
	return toQuantity(v)
}

// in converts q to a unit, which is a calendar duration or a UCUM code.
func (q quantity) in(unit string) (quantity, bool) {
	want := unitOf(apd.New(1, 0), unit)
	if q.unit == want.unit && q.calendar == want.calendar {
		return q, true
	}
	if isVariable(q) || isVariable(want) {
		return q, false
	}
	v, base, okV := q.canonical()
	one, other, okOne := want.canonical()
	if !okV || !okOne || base != other {
		return q, false
	}
	want.value, okV = divide(v, one)
	return want, okV
}

// toText returns the string of a value of FHIRPath's own types.
func toText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case int64:
		return decimalText(apd.New(v, 0)), true
	case *apd.Decimal:
		return decimalText(v), true
	case moment:
		return v.String(), true
	case quantity:
		return v.String(), true
	case typeName:
		return v.namespace + "." + v.name, true
	}
	return "", false
}

// toMoment converts between Date and DateTime and reads strings.
func toMoment(v any, kind momentKind) (moment, bool) {
	switch v := v.(type) {
	case string:
		if kind == dateKind {
			v, _, _ = strings.Cut(v, "T")
		}
		return parseMoment(kind, v)
	case moment:
		if v.kind == kind {
			return v, true
		}
		if v.kind == timeKind || kind == timeKind {
			return v, false
		}
		if kind == dateKind {
			return v.cut(daily), true
		}
		v.kind = dateTimeKind
		return v, true
	}
	return moment{}, false
}
