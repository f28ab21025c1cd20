package search

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir/spec"
)

// TestRegistryComplete finds every R4 parameter of every type, by a walk, but
// those that R4 does not say how to find.
func TestRegistryComplete(t *testing.T) {
	t.Parallel()
	r := registry(t)
	without := []string{"Location near", "Patient age", "Patient birthOrderBoolean", "Resource _query"}
	valueless := []string{"DomainResource _text", "Resource _content", "Resource _filter"}
	var gone, empty []string
	walked, defined := 0, 0
	for _, def := range spec.R4().SearchParameters {
		for _, on := range def.Base {
			for _, typ := range r.concrete(on) {
				p := r.Param(typ, def.Code)
				switch {
				case p == nil:
					gone = append(gone, on+" "+def.Code)
				case p.URL != def.URL || string(p.Type) != def.Type:
					t.Errorf("%s %s is %s %s, want %s %s", typ, def.Code, p.Type, p.URL, def.Type, def.URL)
				case def.Expression == "":
					empty = append(empty, on+" "+def.Code)
				case p.compiled != nil:
					t.Errorf("%s %s: no walk finds %s", typ, def.Code, def.Expression)
				default:
					walked++
				}
			}
		}
		defined++
	}
	same(t, "not searchable", sorted(gone), without)
	same(t, "without values", sorted(empty), valueless)
	if defined != 1387 || walked != 2581 {
		t.Errorf("%d definitions, %d walked; want 1387 and 2581", defined, walked)
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}

func TestRegistryParams(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, typ := range append(spec.R4().Resources(), nil) {
		name := everyType
		if typ != nil {
			name = typ.Name
		}
		params := r.Params(name)
		if !slices.IsSortedFunc(params, func(a, b *Param) int { return a.Position - b.Position }) {
			t.Errorf("%s: the parameters are out of order", name)
		}
		for i, p := range params {
			if i > 0 && (p.Position == params[i-1].Position || p.Code <= params[i-1].Code) {
				t.Errorf("%s: %s follows %s", name, p.Code, params[i-1].Code)
			}
			if r.Param(name, p.Code) != p {
				t.Errorf("%s: Param(%q) is another one", name, p.Code)
			}
			for _, target := range p.Targets {
				if r.spec.Resource(target) == nil {
					t.Errorf("%s %s points to %q", name, p.Code, target)
				}
			}
			if p.Type == CompositeType != (len(p.Parts) > 0) {
				t.Errorf("%s %s has %d parts", name, p.Code, len(p.Parts))
			}
		}
	}
	if r.Param("Nothing", "_id") != nil || r.Params("Nothing") != nil {
		t.Error("there are parameters of no type")
	}
	if got := len(r.Params(everyType)); got != 9 {
		t.Errorf("all types have %d parameters, want 9", got)
	}
}

func TestRegistryDescribes(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, c := range []struct{ typ, code, want string }{
		{"Task", "status", "bare http://hl7.org/fhir/task-status"},
		{"Task", "intent", ""},
		{"Task", "patient", "to Patient in Patient"},
		{"Task", "code", ""},
		{"Task", "_tag", "of Resource"},
		{"Task", "_text", "of DomainResource"},
		{"Task", "_profile", "of Resource canonical"},
		{"Patient", "active", "bare " + booleanSystem},
		{"Patient", "deceased", "bare " + booleanSystem},
		{"Patient", "gender", "bare http://hl7.org/fhir/administrative-gender"},
		{"Patient", "phone", "contact"},
		{"Patient", "telecom", "contact"},
		{"Patient", "identifier", ""},
		{"Patient", "link", "to Patient,RelatedPerson in Patient,RelatedPerson"},
		{"Group", "value", ""},
		{"Communication", "based-on", ""},
		{"Communication", "subject", "to Group,Patient in Patient"},
		{"Communication", "patient", "to Patient"},
		{"Communication", "encounter", "to Encounter in Encounter"},
		{"Communication", "instantiates-canonical", "to ActivityDefinition,Measure,OperationDefinition,PlanDefinition,Questionnaire canonical"},
		{"QuestionnaireResponse", "questionnaire", "to Questionnaire canonical"},
		{"Bundle", "composition", "to Composition"},
		{"DocumentReference", "relation", "bare http://hl7.org/fhir/document-relationship-type"},
		{"DocumentReference", "contenttype", "bare urn:ietf:bcp:13"},
		{"ValueSet", "code", ""},
	} {
		if got := describe(r.Param(c.typ, c.code), c.typ); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.typ, c.code, got, c.want)
		}
	}
}

func describe(p *Param, typ string) string {
	var words []string
	add := func(is bool, word ...string) {
		if is {
			words = append(words, word...)
		}
	}
	add(p.Base != typ, "of", p.Base)
	add(p.Bare, "bare", p.System)
	add(len(p.Targets) > 0, "to", strings.Join(p.Targets, ","))
	add(p.Canonical, "canonical")
	add(p.Contact, "contact")
	add(len(p.compartments) > 0, "in", strings.Join(p.compartments, ","))
	return strings.Join(words, " ")
}

// TestRegistryConcurrently asks for tables that are not made yet.
func TestRegistryConcurrently(t *testing.T) {
	t.Parallel()
	r := registry(t)
	var wg sync.WaitGroup
	found := make([]*Param, 16)
	for i := range found {
		wg.Go(func() { found[i] = r.Param("Patient", "name") })
	}
	wg.Wait()
	for _, p := range found {
		if p == nil || p != found[0] {
			t.Fatal("the same parameter was made twice")
		}
	}
}

func TestRegistryCustom(t *testing.T) {
	t.Parallel()
	const url = "http://a/SearchParameter/"
	custom := []Custom{
		{Type: "Patient", Position: 40, State: Building, Percent: 3, Definition: &spec.SearchParameter{
			URL: url + "nick", Code: "nick", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.where(use='nickname').given",
		}},
		{Type: "Patient", Position: 41, Definition: &spec.SearchParameter{
			URL: url + "names", Code: "names", Type: "number", Base: []string{"Patient"}, Expression: "Patient.name.count()",
		}},
		{Type: "Patient", Position: 42, Definition: &spec.SearchParameter{
			URL: url + "only", Code: "only", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.single().family",
		}},
		{Type: "Patient", Position: 43, Definition: &spec.SearchParameter{
			URL: url + "use-name", Code: "use-name", Type: "composite", Base: []string{"Patient"}, Expression: "Patient.name.skip(1)",
			Components: []spec.Component{{Definition: url + "nick", Expression: "given"}, {Definition: url + "names", Expression: "given.count()"}},
		}},
	}
	r, err := NewRegistry(spec.R4(), base, 2, custom)
	if err != nil {
		t.Fatal(err)
	}
	p := r.Param("Patient", "nick")
	if p == nil || !p.Custom || p.State != Building || p.Percent != 3 || p.Position != 40 {
		t.Fatalf("got %+v", p)
	}
	params := r.Params("Patient")
	if params[len(params)-4] != p {
		t.Error("custom parameters do not stand last")
	}
	res := decoded(t, `{"resourceType":"Patient","id":"a","name":[{"use":"official","given":["Elizabeth"]},{"use":"nickname","given":["Liz","Beth"]}]}`)
	ix := indexed(t, r, res)
	same(t, "nick", values(ix, "nick"), []string{`string "Liz" "liz"`, `string "Beth" "beth"`})
	same(t, "names", values(ix, "names"), []string{"number 2 2"})
	same(t, "use-name", values(ix, "use-name"), []string{`composite (string "Liz" "liz") (number 2 2)`, `composite (string "Beth" "beth") (number 2 2)`})
	if len(ix.Failed) != 1 || ix.Failed[0].Code != "only" || values(ix, "only") != nil {
		t.Errorf("single() of two names: got %v", ix.Failed)
	}
	for _, bad := range []Custom{
		{Type: "Nothing", Definition: custom[0].Definition},
		{Type: "Patient", Definition: &spec.SearchParameter{URL: "http://x", Code: "x", Type: "string", Base: []string{"Patient"}, Expression: "Patient.nothing"}},
		{Type: "Patient", Definition: &spec.SearchParameter{URL: "http://x", Code: "name", Type: "string", Base: []string{"Patient"}, Expression: "Patient.name"}},
	} {
		if _, err := NewRegistry(spec.R4(), base, 2, []Custom{bad}); err == nil || !strings.Contains(err.Error(), bad.Definition.URL) {
			t.Errorf("%s for %s: got %v", bad.Definition.URL, bad.Type, err)
		}
	}
}

func BenchmarkNewRegistry(b *testing.B) {
	spec.R4()
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			registry(b)
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			r := registry(b)
			for _, t := range r.spec.Resources() {
				r.Params(t.Name)
			}
		}
	})
}
