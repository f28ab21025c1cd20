package terminology

import (
	"context"
	"testing"

	"github.com/openconsult/openconsult/fhir/definition"
)

func BenchmarkMember(b *testing.B) {
	s, ctx := newService(), context.Background()
	for name, q := range map[string]struct {
		set    string
		coding Coding
	}{
		"system":   {"http://hl7.org/fhir/ValueSet/observation-status", Coding{System: "http://hl7.org/fhir/observation-status", Code: "final"}},
		"list":     {"http://hl7.org/fhir/ValueSet/ucum-bodyweight", Coding{System: "http://unitsofmeasure.org", Code: "kg"}},
		"filter":   {"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", Coding{System: "http://terminology.hl7.org/CodeSystem/v3-ActCode", Code: "AMB"}},
		"noSystem": {"http://hl7.org/fhir/ValueSet/observation-status", Coding{Code: "final"}},
		"out":      {"http://hl7.org/fhir/ValueSet/observation-status", Coding{System: "http://hl7.org/fhir/observation-status", Code: "finished"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			codings := []Coding{q.coding}
			for b.Loop() {
				v, err := s.Member(ctx, q.set, codings...)
				if err != nil || (v.Result == In) == (name == "out") {
					b.Fatal(v, err)
				}
			}
		})
	}
}

// BenchmarkExpand makes the second page of a value set of 5,000 codes: of one code
// system; of two includes; and the same when its list is not kept.
func BenchmarkExpand(b *testing.B) {
	system, count := decode(b, manyConcepts(5000)), 50
	one := decode(b, set("urn:one", `{"include":[{"system":"urn:many","filter":[{"property":"concept","op":"exists","value":"true"}]}]}`))
	two := decode(b, set("urn:two", `{"include":[{"valueSet":["urn:one"]},{"system":"urn:many"}]}`))
	s, ctx := newService(), definition.Beside(context.Background(), []*definition.Definition{system, one, two})
	bench := func(name string, r ExpandRequest, forget bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if forget {
					s.computed = newRecent[computedKey, *page](maxKept)
				}
				e, err := s.Expand(ctx, r)
				if err != nil || len(e.Contains) != count {
					b.Fatal(e, err)
				}
			}
		})
	}
	bench("one", ExpandRequest{ValueSet: one, Offset: 50, Count: &count}, false)
	bench("words", ExpandRequest{ValueSet: one, Offset: 50, Count: &count, Filter: "many num"}, false)
	bench("two", ExpandRequest{ValueSet: two, Offset: 50, Count: &count}, false)
	bench("uncached", ExpandRequest{ValueSet: two, Offset: 50, Count: &count}, true)
}
