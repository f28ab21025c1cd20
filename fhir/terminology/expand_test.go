package terminology

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

func codesIn(e *Expansion) string {
	var codes []string
	for _, c := range e.Contains {
		codes = append(codes, c.Code)
	}
	return strings.Join(codes, " ")
}

func TestExpand(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, part, more,
		set("urn:all", `{"include":[{"system":"urn:animals"}]}`),
		set("urn:two", `{"include":[{"system":"urn:animals","concept":[{"code":"duck","display":"Quacker"},{"code":"dog"},{"code":"griffin","display":"Griffin"}]},{"system":"urn:animals","filter":[{"property":"legs","op":"exists","value":"true"}]}]}`),
		set("urn:but", `{"include":[{"valueSet":["urn:all"]}],"exclude":[{"valueSet":["urn:two"]}]}`),
		set("urn:both", `{"include":[{"system":"urn:animals","concept":[{"code":"dog"},{"code":"bird"}],"valueSet":["urn:all","urn:two"]}]}`),
		set("urn:live", `{"inactive":false,"lockedDate":"2020-01-01","include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`),
	)
	number := func(n int) *int { return &n }
	tests := []struct {
		name  string
		r     ExpandRequest
		want  string
		total int
	}{
		{"a whole code system, in its order", ExpandRequest{URL: "urn:all"}, "animal mammal dog bat bird dodo duck flyer fish", 9},
		{"active only", ExpandRequest{URL: "urn:all", ActiveOnly: true}, "animal mammal dog bat bird duck flyer fish", 8},
		{"a page", ExpandRequest{URL: "urn:all", Offset: 2, Count: number(3)}, "dog bat bird", 9},
		{"a page behind the end", ExpandRequest{URL: "urn:all", Offset: 20, Count: number(3)}, "", 9},
		{"the total", ExpandRequest{URL: "urn:all", Count: number(0)}, "", 9},
		{"words", ExpandRequest{URL: "urn:all", Filter: "an"}, "animal flyer", 2},
		{"two words", ExpandRequest{URL: "urn:all", Filter: "DUC mal"}, "duck", 1},
		{"not within a word", ExpandRequest{URL: "urn:all", Filter: "uck"}, "", 0},
		{"a word of a designation", ExpandRequest{URL: "urn:all", Filter: "hun"}, "dog", 1},
		{"lists first, nothing twice", ExpandRequest{URL: "urn:two"}, "duck dog griffin bat", 4},
		{"a page of several includes", ExpandRequest{URL: "urn:two", Offset: 1, Count: number(2)}, "dog griffin", 4},
		{"words of several includes", ExpandRequest{URL: "urn:two", Filter: "quack"}, "duck", 1},
		{"exclude", ExpandRequest{URL: "urn:but"}, "animal mammal bird dodo flyer fish", 6},
		{"intersection", ExpandRequest{URL: "urn:both"}, "dog", 1},
		{"no inactive ones", ExpandRequest{URL: "urn:live"}, "bird duck", 2},
	}
	for _, tt := range tests {
		e, err := s.Expand(ctx, tt.r)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := codesIn(e); got != tt.want || e.Total != tt.total {
			t.Errorf("%s: %q of %d, want %q of %d", tt.name, got, e.Total, tt.want, tt.total)
		}
		if _, err := fhir.Decode("ValueSet", e.Append(nil)); err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, e.Append(nil))
		}
	}
}

func TestExpandRefuses(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, gone, more,
		set("urn:lost", `{"include":[{"system":"urn:nowhere"}]}`),
		set("urn:gone-set", `{"include":[{"system":"urn:gone"}]}`),
		set("urn:lost-set", `{"include":[{"valueSet":["urn:never"]}]}`),
		set("urn:but-lost", `{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["urn:never"]}]}`),
		set("urn:circle", `{"include":[{"valueSet":["urn:circle"]}]}`),
		set("urn:bad", `{"include":[{"system":"urn:animals","filter":[{"property":"wings","op":"=","value":"2"}]}]}`),
		set("urn:bad-regex", `{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"((a{1000}){1000}){1000}"}]}]}`),
		set("urn:long-regex", `{"include":[{"system":"urn:animals","filter":[{"property":"code","op":"regex","value":"(abc){1000}"}]}]}`),
		set("urn:units", `{"include":[{"system":"http://unitsofmeasure.org"}]}`),
		set("urn:of-more", `{"include":[{"system":"urn:more"}]}`),
		`{"resourceType":"ValueSet","url":"urn:some","status":"active","expansion":{"timestamp":"2024-01-01","total":9,"contains":[{"system":"urn:z","code":"z1"}]}}`,
		`{"resourceType":"ValueSet","url":"urn:made","status":"active","expansion":{"timestamp":"2024-01-01","contains":[{"system":"urn:z","code":"z1"}]}}`,
	)
	tests := []struct {
		url   string
		class fhir.Class
		code  fhir.Code
	}{
		{"urn:nobody", fhir.Unknown, fhir.NotFound},
		{"", fhir.Unknown, fhir.NotFound},
		{"urn:lost", fhir.Unprocessable, fhir.NotFound},
		{"urn:gone-set", fhir.Unprocessable, fhir.NotFound},
		{"urn:lost-set", fhir.Unprocessable, fhir.NotFound},
		{"urn:but-lost", fhir.Unprocessable, fhir.NotSupported},
		{"urn:circle", fhir.Unprocessable, fhir.NotSupported},
		{"urn:bad", fhir.Unprocessable, fhir.NotSupported},
		{"urn:bad-regex", fhir.Unprocessable, fhir.NotSupported},
		{"urn:long-regex", fhir.Unprocessable, fhir.TooCostly},
		{"urn:units", fhir.Unprocessable, fhir.TooCostly},
		{"urn:of-more", fhir.Unprocessable, fhir.NotSupported},
		{"urn:some", fhir.Unprocessable, fhir.NotSupported},
	}
	for _, tt := range tests {
		_, err := s.Expand(ctx, ExpandRequest{URL: tt.url})
		if o := fhir.AsOutcome(err); o == nil || o.Class != tt.class || o.Issues[0].Code != tt.code {
			t.Errorf("%s: %v", tt.url, err)
		}
		if tt.class != fhir.Unknown {
			if _, err := s.Codes(ctx, tt.url, 100); fhir.AsOutcome(err) == nil {
				t.Errorf("codes of %s: %v", tt.url, err)
			}
		}
	}
	for _, r := range []ExpandRequest{{URL: "urn:made", Offset: -1}, {URL: "urn:made", DisplayLanguage: "en, de;q=0.5"}, {URL: "urn:made", Filter: strings.Repeat("a ", 300)}} {
		_, err := s.Expand(ctx, r)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.BadRequest {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestExpandBounded wants a value set that is made to be slow to be refused.
func TestExpandBounded(t *testing.T) {
	t.Parallel()
	s := newService()
	many := strings.Repeat(`{"system":"urn:many","filter":[{"property":"display","op":"regex","value":"(.*x){90}"}]},`, 99)
	twice := func(n int) string {
		return set(fmt.Sprintf("urn:twice-%d", n), fmt.Sprintf(`{"include":[{"valueSet":["urn:twice-%d"]},{"valueSet":["urn:twice-%[1]d"]},{"valueSet":["urn:twice-%[1]d"]}]}`, n+1))
	}
	all := []string{manyConcepts(2000), set("urn:slow", `{"include":[`+strings.TrimSuffix(many, ",")+`]}`), set("urn:twice-19", `{"include":[{"system":"urn:many","concept":[{"code":"c1"}]}]}`)}
	for n := range 19 {
		all = append(all, twice(n))
	}
	ctx := define(t, all...)
	for _, url := range []string{"urn:slow", "urn:twice-0"} {
		_, err := s.Expand(ctx, ExpandRequest{URL: url})
		if o := fhir.AsOutcome(err); o == nil || o.Issues[0].Code != fhir.TooCostly {
			t.Errorf("%s: %v", url, err)
		}
	}
	patterns := decode(t, set("urn:patterns", `{"include":[`+strings.TrimSuffix(strings.Repeat(many, 2), ",")+`]}`))
	if v, err := s.MemberOf(ctx, patterns, Coding{System: "urn:many", Code: "c2"}); err != nil || v.Reason != setUnsupported {
		t.Errorf("%+v, %v", v, err)
	}
	got, err := s.Member(ctx, "urn:twice-0", Coding{System: "urn:many", Code: "c2"})
	if err != nil || got.Reason != setTooDeep {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestExpansionJSON(t *testing.T) {
	t.Parallel()
	s := newService()
	s.config.Now = func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC) }
	ctx := define(t, animals, part, more, `{"resourceType":"ValueSet","extension":[{"url":"`+supplementExtension+`","valueCanonical":"urn:more"}],"url":"urn:v","version":"1","name":"V","title":"Caf\u00e9 \"V\"","status":"draft","compose":{"lockedDate":"2020-01-01","include":[{"system":"urn:part"},{"system":"urn:animals","concept":[{"code":"animal"},{"code":"dodo"},{"code":"duck"},{"code":"dog"}]}]}}`)
	count := 4
	e, err := s.Expand(ctx, ExpandRequest{URL: "urn:v", Filter: "", Offset: 2, Count: &count, IncludeDesignations: true, DisplayLanguage: "de"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Identifier, "urn:uuid:") || len(e.Identifier) != 45 {
		t.Errorf("identifier %q", e.Identifier)
	}
	e.Identifier = "urn:uuid:x"
	const want = `{"resourceType":"ValueSet","url":"urn:v","version":"1","name":"V","title":"Caf\u00e9 \"V\"","status":"draft","expansion":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/valueset-unclosed","valueBoolean":true}],` +
		`"identifier":"urn:uuid:x","timestamp":"2024-05-06T07:08:09.000Z","total":6,"offset":2,` +
		`"parameter":[{"name":"offset","valueInteger":2},{"name":"count","valueInteger":4},{"name":"includeDesignations","valueBoolean":true},{"name":"displayLanguage","valueCode":"de"},{"name":"excludeNested","valueBoolean":true},` +
		`{"name":"version","valueUri":"urn:animals|2"},{"name":"fragment","valueUri":"urn:part"},{"name":"warning","valueString":"The date that the value set is locked to was not looked at."}],` +
		`"contains":[{"system":"urn:animals","abstract":true,"version":"2","code":"animal","display":"Animal"},{"system":"urn:animals","inactive":true,"version":"2","code":"dodo","display":"Dodo"},` +
		`{"system":"urn:animals","version":"2","code":"duck","display":"Mallard duck","designation":[{"language":"fr","value":"Canard colvert"}]},` +
		`{"system":"urn:animals","version":"2","code":"dog","display":"Hund","designation":[{"language":"de","value":"Hund"},{"language":"nl-BE","value":"Hond"}]}]}}`
	if got := string(e.Append(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDesignations(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, set("urn:dog", `{"include":[{"system":"urn:animals","concept":[{"code":"dog","designation":[{"use":{"system":"urn:u","code":"short"},"value":"D"}]}]}]}`))
	for token, want := range map[string]string{"nl": "Hond", "urn:ietf:bcp:47|de": "Hund", "urn:u|short": "D", "|short": "D", "fr": ""} {
		e, err := s.Expand(ctx, ExpandRequest{URL: "urn:dog", Designations: []string{token}})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, d := range e.Contains[0].Designations {
			got += d.Value
		}
		if got != want {
			t.Errorf("%s: %q, want %q", token, got, want)
		}
	}
}

// TestExpansionFollows wants the next page to know that a code system has changed.
func TestExpansionFollows(t *testing.T) {
	t.Parallel()
	s := newService()
	v := decode(t, set("urn:v", `{"include":[{"valueSet":["urn:w"]}]}`))
	w := decode(t, set("urn:w", `{"include":[{"system":"urn:c"}]}`))
	system := func(code string) *definition.Definition {
		return decode(t, `{"resourceType":"CodeSystem","url":"urn:c","status":"active","content":"complete","concept":[{"code":"`+code+`"}]}`)
	}
	other := decode(t, set("urn:w", `{"include":[{"system":"urn:c","concept":[{"code":"x"}]}]}`))
	one, two := system("one"), system("two")
	for _, step := range []struct {
		all  []*definition.Definition
		want string
	}{
		{[]*definition.Definition{v, w, one}, "one"}, {[]*definition.Definition{v, w, one}, "one"},
		{[]*definition.Definition{v, w, two}, "two"}, {[]*definition.Definition{v, other, two}, "x"},
	} {
		e, err := s.Expand(definition.Beside(context.Background(), step.all), ExpandRequest{URL: "urn:v"})
		if err != nil || codesIn(e) != step.want {
			t.Errorf("got %v, %v, want %s", e, err, step.want)
		}
	}
}

func TestExpandLarge(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, manyConcepts(12_000), set("urn:big", `{"include":[{"system":"urn:many"}]}`), set("urn:bigger", `{"include":[{"valueSet":["urn:big"]}]}`))
	count := 10
	for _, url := range []string{"urn:big", "urn:bigger"} {
		if _, err := s.Expand(ctx, ExpandRequest{URL: url}); fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %v", url, err)
		}
		e, err := s.Expand(ctx, ExpandRequest{URL: url, Offset: 11_995, Count: &count})
		if err != nil || codesIn(e) != "c11995 c11996 c11997 c11998 c11999" || e.Total != 12_000 {
			t.Errorf("%s: %v, %v", url, e, err)
		}
	}
	if _, err := s.Codes(ctx, "urn:big", 11_999); fhir.AsOutcome(err) == nil {
		t.Errorf("too many codes: %v", err)
	}
	codes, err := s.Codes(ctx, "urn:big", 12_000)
	if err != nil || len(codes) != 12_000 {
		t.Errorf("%d codes, %v", len(codes), err)
	}
}

// manyConcepts returns a CodeSystem of n concepts, each tenth with nine below it.
func manyConcepts(n int) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"CodeSystem","url":"urn:many","status":"active","content":"complete","caseSensitive":true,"concept":[`)
	for i := range n {
		switch {
		case i == 0:
		case i%10 == 0:
			b.WriteString("]},")
		case i%10 > 1:
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"code":"c%d","display":"Number %[1]d of many","definition":"The number %[1]d."`, i)
		if i%10 == 0 {
			b.WriteString(`,"concept":[`)
		} else {
			b.WriteString("}")
		}
	}
	return b.String() + "]}]}"
}
