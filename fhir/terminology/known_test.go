package terminology

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/definition"
)

// TestKnown asks every code system that is said to come with the server, and finds no
// other among the definitions.
func TestKnown(t *testing.T) {
	t.Parallel()
	c := definition.NewCatalog(nil)
	s := New(Config{Definitions: c})
	known := map[string]bool{}
	for _, k := range s.Known() {
		sys, err := s.system(t.Context(), k.URL, k.Version)
		if err != nil || isAbsent(sys) || sys.head().version != k.Version {
			t.Errorf("%s|%s: %v, %v", k.URL, k.Version, sys, err)
			continue
		}
		if _, rules := sys.(*grammar); rules == k.Listed || known[k.URL] {
			t.Errorf("%s is there twice, or has a grammar: %v", k.URL, rules)
		}
		known[k.URL] = true
	}
	for _, d := range c.BuiltIn("CodeSystem") {
		sys, err := s.system(t.Context(), d.URL, "")
		if has := err == nil && !isAbsent(sys) && !strings.Contains(d.URL, "|"); has != known[d.URL] {
			t.Errorf("%s has codes: %v, listed: %v", d.URL, has, known[d.URL])
		}
	}
	t.Logf("%d code systems", len(known))
}
