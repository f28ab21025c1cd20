package patch

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// equal reports whether two values are equal by
// https://www.rfc-editor.org/rfc/rfc6902#section-4.6.
func equal(a, b *node) bool {
	if !a.open && !b.open && bytes.Equal(a.raw, b.raw) {
		return true
	}
	switch a.kind() {
	case '{':
		return b.kind() == '{' && equalObjects(a.members(), b.members())
	case '[':
		return b.kind() == '[' && equalArrays(a.members(), b.members())
	case '"':
		return b.kind() == '"' && unquote(a.raw) == unquote(b.raw)
	case 't', 'f', 'n':
		return a.kind() == b.kind()
	}
	return strings.IndexByte("-0123456789", b.kind()) >= 0 && equalNumbers(string(a.raw), string(b.raw))
}

// Both work on the members in place, so that what was opened once stays open.

func equalArrays(a, b []member) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(&a[i].value, &b[i].value) {
			return false
		}
	}
	return true
}

func equalObjects(a, b []member) bool {
	if len(a) != len(b) {
		return false
	}
	return slices.EqualFunc(sorted(a), sorted(b), func(x, y named) bool {
		return x.name == y.name && equal(x.value, y.value)
	})
}

type named struct {
	name  string
	value *node
}

// sorted returns the members of an object in the order of their names.
func sorted(members []member) []named {
	ordered := make([]named, len(members))
	for i := range members {
		ordered[i] = named{unquote(members[i].key), &members[i].value}
	}
	slices.SortFunc(ordered, func(x, y named) int { return strings.Compare(x.name, y.name) })
	return ordered
}

// equalNumbers compares two numbers as JSON writes them, without rounding.
func equalNumbers(a, b string) bool {
	x, ok := parseDecimal(a)
	if !ok {
		return a == b
	}
	y, ok := parseDecimal(b)
	return ok && x == y
}

// A decimal is digits × 10^exp. Its digits neither begin nor end with 0, so
// that equal numbers are equal decimals.
type decimal struct {
	negative bool
	digits   string
	exp      int64
}

// parseDecimal reads a number as JSON writes it. It gives up on exponents
// beyond 2^61.
func parseDecimal(text string) (decimal, bool) {
	text, negative := strings.CutPrefix(text, "-")
	mantissa, power := text, "0"
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, power = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return decimal{}, true
	}
	exp, err := strconv.ParseInt(power, 10, 62)
	if err != nil {
		return decimal{}, false
	}
	kept := strings.TrimRight(digits, "0")
	exp += int64(len(digits) - len(kept) - len(fraction))
	return decimal{negative: negative, digits: kept, exp: exp}, true
}
