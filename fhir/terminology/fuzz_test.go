package terminology

import (
	"context"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

// FuzzValueSet wants whatever can be stored as a ValueSet to be answered in bounded
// time, and what is listed to be in it.
func FuzzValueSet(f *testing.F) {
	for _, compose := range []string{
		`{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}],"exclude":[{"valueSet":["urn:fuzzed"]}]}`,
		`{"inactive":false,"include":[{"valueSet":["urn:fuzzed","urn:fuzzed"]},{"system":"urn:animals","concept":[{"code":"dog"},{"code":"dog"},{"code":"DOG"}]}]}`,
		`{"include":[{"system":"urn:part","filter":[{"property":"code","op":"regex","value":"(a|b)*c"}]},{"system":"urn:ietf:bcp:47"}]}`,
		`{"include":[{"system":"urn:animals"},{"system":"urn:animals","valueSet":["http://hl7.org/fhir/ValueSet/languages"]}]}`,
	} {
		f.Add([]byte(set("urn:fuzzed", compose)), "dog")
	}
	f.Add([]byte(`{"resourceType":"ValueSet","url":"urn:fuzzed","status":"active","expansion":{"timestamp":"2024-01-01","contains":[{"contains":[{"system":"urn:z","code":"z1"}]}]}}`), "z1")
	s := newService()
	world := []*definition.Definition{decode(f, animals), decode(f, part)}
	f.Fuzz(func(t *testing.T, src []byte, code string) {
		r, err := fhir.Decode("ValueSet", src)
		if err != nil {
			return
		}
		d := definition.Of(r.Root())
		ctx := definition.Beside(context.Background(), append([]*definition.Definition{d}, world...))
		begun := time.Now()
		if _, err := s.MemberOf(ctx, d, Coding{System: "urn:animals", Code: code}, Coding{Code: code}); err != nil {
			t.Error(err)
		}
		e, err := s.Expand(ctx, ExpandRequest{ValueSet: d, Filter: code, IncludeDesignations: true})
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if fhir.AsOutcome(err) != nil {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range e.Contains {
			if i > 50 {
				break
			}
			if got, err := s.MemberOf(ctx, d, c.Coding); err != nil || got.Result != In && c.System != "" {
				t.Errorf("%v is listed and %d: %s %v", c, got.Result, got.Text, err)
			}
		}
		if _, err := fhir.Decode("ValueSet", e.Append(nil)); err != nil {
			t.Error(err)
		}
	})
}

// FuzzCodeSystem wants whatever can be stored as a CodeSystem to be answered.
func FuzzCodeSystem(f *testing.F) {
	f.Add([]byte(animals), "dog", "concept", "is-a")
	f.Add([]byte(part), "A", "code", "regex")
	f.Add([]byte(`{"resourceType":"CodeSystem","url":"urn:c","status":"active","content":"complete","concept":[{"code":"a","property":[{"code":"parent","valueCode":"b"}]},{"code":"b","property":[{"code":"parent","valueCode":"a"}]}]}`), "a", "parent", "generalizes")
	f.Fuzz(func(t *testing.T, src []byte, code, property, op string) {
		r, err := fhir.Decode("CodeSystem", src)
		if err != nil {
			return
		}
		s, ctx, d := newService(), context.Background(), definition.Of(r.Root())
		sys, err := s.defined(ctx, d)
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Error(err)
			}
			return
		}
		want := filter{property, op, code}
		all, total, err := sys.pick(ctx, selection{filters: []filter{want}, text: code, count: -1})
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Error(err)
			}
			return
		}
		if len(all) != total {
			t.Errorf("%d of %d", len(all), total)
		}
		for _, c := range all {
			if ok, err := sys.holds(ctx, c.code, []filter{want}); !ok || err != nil {
				t.Errorf("%s is picked and %t, %v", c.code, ok, err)
			}
		}
	})
}

// FuzzGrammar wants no code to break a grammar.
func FuzzGrammar(f *testing.F) {
	for _, code := range []string{"en-GB", "text/plain; charset=x", "mg/dL", "GB-ENG", "urn:x:y", "i-default", "en-u-co-phonebk"} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		for _, system := range []string{"http://unitsofmeasure.org", "urn:ietf:bcp:47", "urn:ietf:bcp:13", "urn:ietf:rfc:3986", "urn:iso:std:iso:3166:-2", "urn:iso:std:iso:3166"} {
			if _, err := builtin(system).concept(context.Background(), code); err != nil {
				t.Error(err)
			}
		}
	})
}
