package search

import (
	"fmt"
	"strings"
	"testing"
)

func TestParsePaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Patient", "Patient"},
		{"Patient.name.given", "Patient name given"},
		{"name | alias", "- name; - alias"},
		{"Patient.name | Person.name", "Patient name; Person name"},
		{"(Goal.start as date)", "Goal start:date"},
		{"(A.value as Quantity) | (A.value as FHIR.Range)", "A value:Quantity; A value:Range"},
		{"(A.value as CodeableConcept).text", "A value:CodeableConcept text"},
		{"value.as(Quantity) | value.ofType(Range)", "- value:Quantity; - value:Range"},
		{"(A.b | A.c).d", "A b d; A c d"},
		{"A.b.where(resolve() is Patient)", "A b ->Patient"},
		{"A.b.where(system='phone').value", "A b[system=phone] value"},
		{"A.b.where( system = 'phone' )", "A b[system=phone]"},
		{"Bundle.entry[0].resource", "Bundle entry[#1] resource"},
		{"A.extension('http://x').value", "A extension[url=http://x] value"},
		{"A.b.where(hasExtension('http://x')).c", "A b[+http://x] c"},
		{"%resource.a.b", "%resource a b"},
		{"A.b.exists() and A.b != false", "A b ?"},
		{"A.b.c.exists() and A.b.c != false", "no"},
		{"A.b.exists() and A.c != false", "no"},
		{"A.b.exists()", "no"}, {"A.b.where(c='d' and e='f')", "no"}, {"A.b as Quantity", "no"}, {"A.b.where(c != 'd')", "no"}, {"A.b = 'c'", "no"},
		{"A.b.where(resolve() is Patient).c", "no"}, {"A.where(b='c')", "no"}, {"A.b.where(c='d')[0]", "no"}, {"A.b.first()", "no"}, {"A..b", "no"},
		{"A.", "no"}, {"", "no"}, {"(A.b", "no"}, {"A.b)", "no"}, {"A |", "no"}, {"A.b.where(c='d", "no"}, {`A.b.where(c='\'')`, "no"}, {"A.b[x]", "no"},
		{"A.b[]", "no"}, {"A.b[0", "no"}, {"A.`b`", "no"}, {"A.b.as(C).as(D)", "no"}, {"1", "no"}, {"A.b + A.c", "no"}, {"A.b.c()", "no"},
	} {
		if got := showPaths(parsePaths(c.in)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

func showPaths(paths []path, ok bool) string {
	if !ok {
		return "no"
	}
	all := make([]string, len(paths))
	for i, p := range paths {
		all[i] = showPath(p)
	}
	return strings.Join(all, "; ")
}

func showPath(p path) string {
	text := p.from
	if text == "" {
		text = "-"
	}
	for _, h := range p.hops {
		text += " " + h.name
		if h.as != "" {
			text += ":" + h.as
		}
		for _, g := range h.only {
			switch {
			case g.index > 0:
				text += fmt.Sprintf("[#%d]", g.index)
			case g.extension != "":
				text += "[+" + g.extension + "]"
			default:
				text += "[" + g.child + "=" + g.value + "]"
			}
		}
	}
	if p.is != "" {
		text += " ->" + p.is
	}
	if p.truth {
		text += " ?"
	}
	return text
}

// FuzzParsePaths: what is taken apart can be taken from a type or not, but never
// fails in another way.
func FuzzParsePaths(f *testing.F) {
	for _, p := range registry(f).spec.SearchParameters {
		if len(p.Expression) < 200 {
			f.Add(p.Expression)
		}
	}
	typ := registry(f).spec.Resource("Observation")
	f.Fuzz(func(t *testing.T, s string) {
		paths, ok := parsePaths(s)
		if !ok {
			return
		}
		for _, p := range paths {
			if p.from == "" && len(p.hops) == 0 {
				t.Errorf("%q leads nowhere", s)
			}
			(&place{typ: typ}).follow(p.hops)
		}
	})
}
