package definition

import (
	"cmp"
	"strings"
)

// choose returns the definition that a reference with that business version means,
// nil when it is none of these. Every one of them is of the same type and URL.
//
// Without a version that is the newest active one or, with none active, the newest of
// all; what is stored goes before what comes with the server in any case. A version
// means the one that has it exactly or else, as a part of one (4.0 of 4.0.1), the
// newest that begins with it. https://hl7.org/fhir/R4/references.html#canonical
func choose(all []*Definition, version string) *Definition {
	if version == "" {
		return first(all, func(a, b *Definition) int {
			return cmp.Or(compareBool(a.isStored(), b.isStored()), compareActive(a, b), compareVersions(a.Version, b.Version))
		})
	}
	if d := first(all, func(a, b *Definition) int {
		// What comes with the server is what R4 means by its version, whatever is stored.
		return cmp.Or(compareBool(a.Version == version, b.Version == version), compareBool(b.isStored(), a.isStored()), compareActive(a, b))
	}); d == nil || d.Version == version {
		return d
	}
	d := first(all, func(a, b *Definition) int {
		return cmp.Or(compareBool(isPart(version, a.Version), isPart(version, b.Version)), compareVersions(a.Version, b.Version),
			compareBool(a.isStored(), b.isStored()), compareActive(a, b))
	})
	if !isPart(version, d.Version) {
		return nil
	}
	return d
}

// first returns the greatest of all, and of equal ones that with the smallest key, so
// that every server chooses the same.
func first(all []*Definition, compare func(a, b *Definition) int) *Definition {
	var best *Definition
	for _, d := range all {
		if best == nil || cmp.Or(compare(d, best), cmp.Compare(best.Key.ID, d.Key.ID)) > 0 {
			best = d
		}
	}
	return best
}

func compareActive(a, b *Definition) int {
	return compareBool(a.Status == "active", b.Status == "active")
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// isPart reports whether a version begins with part and goes on in further segments.
func isPart(part, version string) bool {
	rest, ok := strings.CutPrefix(version, part)
	return ok && rest != "" && (rest[0] == '.' || rest[0] == '-')
}

// The kinds of versions, the smallest first: of different kinds none is newer by what
// it says, but there has to be an order.
const (
	noVersion = iota
	words
	date
	numbers
)

// compareVersions is negative when a is older than b, and positive when it is newer.
// Versions of numbers are compared as https://semver.org says, with any number of
// them; partial dates as such, and others as text.
func compareVersions(a, b string) int {
	kind := kindOf(a)
	if other := kindOf(b); kind != other {
		return kind - other
	}
	if kind != numbers {
		return cmp.Compare(a, b)
	}
	core, pre := parts(a)
	otherCore, otherPre := parts(b)
	return cmp.Or(compareLists(core, otherCore), compareBool(pre == "", otherPre == ""), compareLists(pre, otherPre), cmp.Compare(a, b))
}

func kindOf(version string) int {
	core, _ := parts(version)
	switch {
	case version == "":
		return noVersion
	case isDate(version):
		return date
	case isNumbers(core):
		return numbers
	}
	return words
}

// parts returns the numbers of a version and what marks it as preliminary.
func parts(version string) (core, pre string) {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "+")
	core, pre, _ = strings.Cut(version, "-")
	return core, pre
}

// isDate reports whether s is YYYY, YYYY-MM or YYYY-MM-DD.
func isDate(s string) bool {
	const shape = "0000-00-00"
	if len(s) != 4 && len(s) != 7 && len(s) != 10 {
		return false
	}
	for i := range len(s) {
		if isDigit(s[i]) != (shape[i] == '0') || s[i] != '-' && shape[i] == '-' {
			return false
		}
	}
	return true
}

// isNumbers reports whether s is one or more numbers with dots between them.
func isNumbers(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && (s[i] != '.' || i == 0 || s[i-1] == '.') {
			return false
		}
	}
	return s != "" && s[len(s)-1] != '.'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// compareLists compares identifiers with dots between them, one by one; numbers
// are smaller than words, and less is smaller than more.
func compareLists(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if order := compareIdentifiers(x, y); order != 0 {
			return order
		}
	}
	return compareBool(a != "", b != "")
}

func compareIdentifiers(a, b string) int {
	numeric := isNumbers(a)
	if order := compareBool(isNumbers(b), numeric); order != 0 || !numeric {
		return cmp.Or(order, cmp.Compare(a, b))
	}
	// They may be longer than any integer type.
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
