package terminology

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// maxPattern is how many characters and instructions a regular expression may have.
const maxPattern = 1000

// test returns a function that says whether all filters hold for the concept at an
// index. The error is an Outcome when one of them cannot be understood.
func (l *listed) test(all []filter) (func(int32) bool, error) {
	tests := make([]func(int32) bool, len(all))
	for k, f := range all {
		test, err := l.one(f)
		if err != nil {
			return nil, err
		}
		tests[k] = test
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return func(i int32) bool {
		for _, test := range tests {
			if !test(i) {
				return false
			}
		}
		return true
	}, nil
}

// one returns the test of one filter.
// https://hl7.org/fhir/R4/valueset-filter-operator.html
func (l *listed) one(f filter) (func(int32) bool, error) {
	if !l.knows(f.property) {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Filter by a property that %s has; %q is none.", l.h.url, f.property)
	}
	switch f.op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		return l.relation(f), nil
	case "=":
		return l.any(f.property, l.equal(f.value)), nil
	case "in":
		return l.any(f.property, l.equal(strings.Split(f.value, ",")...)), nil
	case "not-in":
		return not(l.any(f.property, l.equal(strings.Split(f.value, ",")...))), nil
	case "exists":
		test := l.any(f.property, func(v string) bool { return v != "" })
		if f.value == "false" {
			test = not(test)
		}
		return test, nil
	case "regex":
		pattern, err := compilePattern(f.value)
		if err != nil {
			return nil, err
		}
		return l.any(f.property, pattern.MatchString), nil
	}
	return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Use one of the filter operators of R4; %q is none.", f.op)
}

// compilePattern compiles a regular expression that has to match a whole value.
func compilePattern(s string) (*regexp.Regexp, error) {
	if len(s) > maxPattern {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Give a regular expression of at most %d characters.", maxPattern)
	}
	// The pattern is parsed alone, so that it cannot close the group around it.
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Give a regular expression of the RE2 syntax.")
	}
	if patternSize(tree) > maxPattern {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "Give a regular expression that repeats less.")
	}
	whole, err := regexp.Compile(`\A(?:` + s + `)\z`)
	if err != nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotSupported, "", "Give a regular expression of the RE2 syntax.")
	}
	return whole, nil
}

// patternSize returns about how many instructions a regular expression has.
func patternSize(re *syntax.Regexp) int {
	size := 1
	if re.Op == syntax.OpLiteral {
		size += len(re.Rune)
	}
	for _, sub := range re.Sub {
		size += patternSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(1, re.Min, re.Max)
	}
	return min(size, 1<<20)
}

// cost returns about how much work it is to see whether a filter holds for a concept.
func (f *filter) cost() int {
	if f.op != "regex" || len(f.value) > maxPattern {
		return 1
	}
	tree, err := syntax.Parse(f.value, syntax.Perl)
	if err != nil {
		return 1
	}
	return patternSize(tree)
}

func (l *listed) knows(property string) bool {
	switch property {
	case "concept", "code", "display", "definition", "designation", "parent", "child", "inactive", "notSelectable", "abstract":
		return true
	}
	return l.allowed[property]
}

// relation returns the test of an operator about the hierarchy.
func (l *listed) relation(f filter) func(int32) bool {
	set := newBits(len(l.all))
	root, ok := l.find(f.value)
	switch {
	case !ok:
	case f.op == "generalizes":
		set = l.reach(root, l.up)
	default:
		set = l.reach(root, l.down)
	}
	strict, negated := f.op == "descendent-of", f.op == "is-not-a"
	in := func(i int32) bool { return (set.has(i) && (!strict || i != root)) != negated }
	if f.property == "concept" || f.property == "code" {
		return in
	}
	return l.any(f.property, func(v string) bool {
		i, ok := l.find(v)
		return ok && in(i)
	})
}

// equal returns a test whether a value is one of those wanted. They are compared as
// the code system compares its codes.
func (l *listed) equal(wanted ...string) func(string) bool {
	fold := func(v string) string {
		if l.h.caseSensitive {
			return v
		}
		return strings.ToLower(v)
	}
	set := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		set[fold(strings.TrimSpace(w))] = true
	}
	return func(v string) bool { return set[fold(v)] }
}

// any returns a test whether a value of a property passes.
func (l *listed) any(name string, pass func(string) bool) func(int32) bool {
	return func(i int32) bool {
		c := &l.all[i]
		switch name {
		case "concept", "code":
			return pass(c.code)
		case "display":
			return pass(c.display)
		case "definition":
			return pass(c.definition)
		case "parent":
			return slices.ContainsFunc(c.parents, pass)
		case "child":
			return slices.ContainsFunc(l.down[i], func(k int32) bool { return pass(l.all[k].code) })
		case "designation":
			return slices.ContainsFunc(c.designations, func(d designation) bool { return pass(d.value) })
		case "inactive":
			return pass(truth(c.inactive))
		case "notSelectable", "abstract":
			return pass(truth(c.abstract))
		}
		return slices.ContainsFunc(c.properties, func(p property) bool { return p.code == name && pass(p.text()) })
	}
}

// text returns the value of a property as filters compare it: the code of a Coding.
func (p property) text() string {
	if p.kind != "Coding" {
		return p.value
	}
	_, code, _ := strings.Cut(p.value, "|")
	return code
}

func not(test func(int32) bool) func(int32) bool {
	return func(i int32) bool { return !test(i) }
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
