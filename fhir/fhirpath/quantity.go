package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
)

const ucumSystem = "http://unitsofmeasure.org"

// A quantity is a value with a unit: a calendar duration, "year", or a UCUM code.
type quantity struct {
	value    *apd.Decimal
	unit     string // "1" for none
	calendar bool   // unit is a calendar duration, in the singular
}

// quantityOf reads a Quantity of FHIR. One without a value, or whose unit is not
// coded in UCUM but named, is told by its name.
// https://hl7.org/fhir/R4/fhirpath.html#quantity
func quantityOf(n fhir.Node) (quantity, bool) {
	if !n.Type().Is("Quantity") {
		return quantity{}, false
	}
	value, ok := parseDecimal(n.Child("value").Text())
	if !ok || n.Child("comparator").HasValue() {
		return quantity{}, false
	}
	unit := n.Child("code").Text()
	if unit == "" {
		unit = n.Child("unit").Text()
	}
	if unit == "" {
		unit = "1"
	}
	if n.Child("system").Text() == ucumSystem {
		return quantity{value: value, unit: unit}, true
	}
	return unitOf(value, unit), true
}

// unitOf returns a quantity whose unit may be the name of a calendar duration.
func unitOf(value *apd.Decimal, unit string) quantity {
	if name := calendarUnit(unit); name != "" {
		return quantity{value, name, true}
	}
	return quantity{value: value, unit: unit}
}

// calendarUnit returns the singular of the keyword of a calendar duration, "" for
// another word. https://hl7.org/fhirpath/N1/#time-valued-quantities
func calendarUnit(word string) string {
	switch word {
	case "year", "years", "month", "months", "week", "weeks", "day", "days", "hour", "hours", "minute", "minutes",
		"second", "seconds", "millisecond", "milliseconds":
		return strings.TrimSuffix(word, "s")
	}
	return ""
}

// code returns the UCUM code of q's unit; it is not ok for years and months of
// the calendar, which are of no fixed length.
func (q quantity) code() (code string, ok bool) {
	if !q.calendar {
		return q.unit, true
	}
	switch q.unit {
	case "week":
		return "wk", true
	case "day":
		return "d", true
	case "hour":
		return "h", true
	case "minute":
		return "min", true
	case "second":
		return "s", true
	case "millisecond":
		return "ms", true
	}
	return "", false
}

// String returns q as a literal.
func (q quantity) String() string {
	if q.calendar {
		if q.value.Cmp(apd.New(1, 0)) != 0 {
			return decimalText(q.value) + " " + q.unit + "s"
		}
		return decimalText(q.value) + " " + q.unit
	}
	return decimalText(q.value) + " '" + q.unit + "'"
}

// parseQuantity reads a number with a quoted unit or a calendar duration, or
// without a unit. https://hl7.org/fhirpath/N1/#toquantityunit-string-quantity
func parseQuantity(s string) (quantity, bool) {
	end := strings.IndexFunc(s, func(c rune) bool { return !strings.ContainsRune("+-.0123456789", c) })
	if end < 0 {
		end = len(s)
	}
	if !isPlainDecimal(s[:end]) {
		return quantity{}, false
	}
	value, ok := parseDecimal(s[:end])
	rest := strings.TrimSpace(s[end:])
	switch {
	case !ok:
		return quantity{}, false
	case rest == "":
		return quantity{value: value, unit: "1"}, true
	case len(rest) > 2 && rest[0] == '\'' && rest[len(rest)-1] == '\'':
		return unitOf(value, rest[1:len(rest)-1]), !strings.Contains(rest[1:len(rest)-1], "'")
	}
	name := calendarUnit(rest)
	return quantity{value, name, true}, name != ""
}

// isPlainDecimal reports whether s is an optional sign, digits, and a fraction
// perhaps.
func isPlainDecimal(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	before, after, point := strings.Cut(s, ".")
	return isDigits(before) && (!point || isDigits(after))
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
