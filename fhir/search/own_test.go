package search

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// withOwn returns the search parameters of R4 and this server's own.
func withOwn(t testing.TB) *Registry {
	t.Helper()
	var all []Custom
	for i, p := range Own() {
		all = append(all, Custom{Definition: &p.SearchParameter, Type: p.Base[0], Position: 1000 + i})
	}
	r, err := NewRegistry(spec.R4(), base, 2, all)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOwn says what each of the server's own parameters finds.
func TestOwn(t *testing.T) {
	t.Parallel()
	r := withOwn(t)
	const extension = `,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/%s",%s}]`
	task := func(kind, more string) string {
		return fmt.Sprintf(`{"resourceType":"Task","id":"t","status":"ready","intent":"order","code":{"coding":[{"system":"http://snomed.info/sct","code":"1"},{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":%q}]}%s}`, kind, more)
	}
	const message = `{"resourceType":"Communication","id":"c","status":"completed"%s}`
	for _, c := range []struct {
		name, body, query string
		want              bool
	}{
		{"due before", task("consultation", `,"restriction":{"period":{"end":"2026-03-01T12:00:00Z"}}`), "due=lt2026-03-02", true},
		{"due later", task("consultation", `,"restriction":{"period":{"end":"2026-03-01T12:00:00Z"}}`), "due=gt2026-03-02", false},
		{"not due", task("consultation", ""), "due:missing=true", true},
		{"never filed", task("consultation", ""), "filed=false", true},
		{"advice never filed", task("advice-and-guidance", ""), "filed=false", true},
		{"referral never filed", task("referral", ""), "filed=false", true},
		{"never filed is not filed", task("referral", ""), "filed=true", false},
		{"nothing to file", task("message-receipt", ""), "filed:missing=true", true},
		{"filed", task("consultation", fmt.Sprintf(extension, "filed", `"valueBoolean":true`)), "filed=true", true},
		{"filed is not unfiled", task("consultation", fmt.Sprintf(extension, "filed", `"valueBoolean":true`)), "filed=false", false},
		{"not filed again", task("consultation", fmt.Sprintf(extension, "filed", `"valueBoolean":false`)), "filed=false", true},
		{"filed of another kind", task("patient-action", fmt.Sprintf(extension, "filed", `"valueBoolean":true`)), "filed=true", true},
		{"no kind of ours", `{"resourceType":"Task","id":"t","status":"ready","intent":"order","code":{"coding":[{"code":"consultation"}]}}`, "filed:missing=true", true},
		{"assigned", task("consultation", fmt.Sprintf(extension, "assigned-to", `"valueReference":{"reference":"Practitioner/1"}`)), "assigned-to=Practitioner/1", true},
		{"assigned to another", task("consultation", fmt.Sprintf(extension, "assigned-to", `"valueReference":{"reference":"Practitioner/1"}`)), "assigned-to=Practitioner/2", false},
		{"about", fmt.Sprintf(message, `,"about":[{"reference":"Task/1"},{"reference":"ServiceRequest/1"}]`), "about=ServiceRequest/1", true},
		{"about another", fmt.Sprintf(message, `,"about":[{"reference":"Task/1"}]`), "about=Task/2", false},
		{"answer", fmt.Sprintf(message, `,"inResponseTo":[{"reference":"Communication/1"}]`), "in-response-to=1", true},
		{"topic", fmt.Sprintf(message, `,"topic":{"coding":[{"system":"https://a","code":"x"}]}`), "topic=https://a|x", true},
	} {
		res := decoded(t, c.body)
		ix, err := r.Index(res.Root(), res.ID())
		if err != nil || len(ix.Failed) > 0 {
			t.Fatal(c.name, err, ix.Failed)
		}
		where, err := r.Criteria(res.Type(), c.query)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got := Match(And(where), ix, nil); got != c.want {
			t.Errorf("%s: %s answers %t", c.name, c.query, got)
		}
	}
}

// TestOwnStandsAlone: nobody stores a parameter under the URL or the code of one of
// the server's own.
func TestOwnStandsAlone(t *testing.T) {
	t.Parallel()
	r := withOwn(t)
	for _, p := range Own() {
		if len(p.Base) != 1 || p.Key().ID != "openconsult-"+p.Base[0]+"-"+p.Code || p.Description == "" {
			t.Errorf("%s is published as %s: %q", p.URL, p.Key(), p.Description)
		}
		if err := r.CompileDefinition(&spec.SearchParameter{URL: "https://a/" + p.Code, Code: p.Code, Type: p.Type, Base: p.Base, Expression: p.Expression}); fhir.AsOutcome(err) == nil {
			t.Errorf("%s can be defined again", p.Code)
		}
		other := spec.SearchParameter{URL: p.URL, Code: "x", Type: p.Type, Base: p.Base, Expression: p.Expression}
		if o := fhir.AsOutcome(r.CompileDefinition(&other)); o == nil || !strings.Contains(o.Issues[0].Expression, "url") {
			t.Errorf("%s can be taken for something else: %v", p.URL, o)
		}
	}
}

// BenchmarkIndexOwn compares what a conversation's Task and messages cost with and
// without the server's own parameters.
func BenchmarkIndexOwn(b *testing.B) {
	for _, of := range []struct {
		name string
		r    *Registry
	}{{"r4", registry(b)}, {"own", withOwn(b)}} {
		for _, name := range []string{"communication", "task"} {
			res := sample(b, name)
			b.Run(of.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := of.r.Index(res.Root(), "a"); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
