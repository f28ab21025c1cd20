package terminology

import (
	"context"
	"strings"
	"sync"
	"testing"
)

func TestMember(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, part, gone, more,
		set("urn:all", `{"include":[{"system":"urn:animals"}]}`),
		set("urn:list", `{"include":[{"system":"urn:animals","concept":[{"code":"dog","display":"Doggy"},{"code":"unicorn"}]}]}`),
		set("urn:parts", `{"include":[{"system":"urn:part"}]}`),
		set("urn:lost", `{"include":[{"system":"urn:nowhere"}]}`),
		set("urn:absent", `{"include":[{"system":"urn:gone"}]}`),
		set("urn:lost-list", `{"include":[{"system":"urn:nowhere","concept":[{"code":"x"}]}]}`),
		set("urn:lost-or-list", `{"include":[{"system":"urn:nowhere"},{"system":"urn:animals","concept":[{"code":"dog"}]}]}`),
		set("urn:but-lost", `{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["urn:never"]}]}`),
		set("urn:but-dog", `{"include":[{"system":"urn:animals"}],"exclude":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}`),
		set("urn:both", `{"include":[{"valueSet":["urn:all","urn:list"]}]}`),
		set("urn:within", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}],"valueSet":["urn:but-dog"]}]}`),
		set("urn:live", `{"inactive":false,"include":[{"system":"urn:animals"}]}`),
		set("urn:live-list", `{"inactive":false,"include":[{"system":"urn:animals","concept":[{"code":"dodo"},{"code":"duck"}]}]}`),
		set("urn:circle", `{"include":[{"system":"urn:animals","concept":[{"code":"dog"}]},{"valueSet":["urn:circle"]}]}`),
		set("urn:version", `{"include":[{"system":"urn:animals","version":"2"}]}`),
		set("urn:other-version", `{"include":[{"system":"urn:animals","version":"9"}]}`),
		set("urn:of-more", `{"include":[{"system":"urn:more"}]}`),
		`{"resourceType":"ValueSet","url":"urn:made","status":"active","expansion":{"timestamp":"2024-01-01","contains":[{"display":"Group","contains":[{"system":"urn:z","code":"z1","display":"Zed"}]},{"system":"urn:z","code":"z2","inactive":true}]}}`,
		`{"resourceType":"ValueSet","url":"urn:some","status":"active","expansion":{"timestamp":"2024-01-01","total":9,"contains":[{"system":"urn:z","code":"z1"}]}}`,
		`{"resourceType":"ValueSet","url":"urn:nothing","status":"active"}`,
		`{"resourceType":"ValueSet","url":"urn:holder","status":"active","contained":[
			{"resourceType":"CodeSystem","id":"cs","url":"urn:inner","status":"active","content":"complete","concept":[{"code":"i"}]},
			{"resourceType":"ValueSet","id":"vs","status":"active","compose":{"include":[{"system":"#cs"}]}}],"compose":{"include":[{"valueSet":["#vs"]}]}}`,
	)
	tests := []struct {
		set, system, code string
		want              Result
		reason            string
	}{
		{"urn:all", "urn:animals", "dog", In, ""},
		{"urn:all|1", "urn:animals", "dog", In, ""},
		{"urn:all", "", "dog", In, ""},
		{"urn:all", "urn:animals", "Dog", Out, unknownCode},
		{"urn:all", "urn:plants", "dog", Out, notIn},
		{"urn:all", "urn:animals", "dodo", In, codeInactive},
		{"urn:all", "urn:animals", "fish", In, ""},
		{"urn:all", "urn:animals", "animal", In, ""},
		{"urn:list", "urn:animals", "dog", In, ""},
		{"urn:list", "urn:animals", "unicorn", In, ""},
		{"urn:list", "urn:animals", "bat", Out, notIn},
		{"urn:parts", "urn:part", "a", In, ""},
		{"urn:parts", "urn:part", "c", Undecided, unknownCode},
		{"urn:lost", "urn:nowhere", "x", Undecided, unknownSystem},
		{"urn:lost", "urn:animals", "x", Out, notIn},
		{"urn:absent", "urn:gone", "x", Undecided, unknownSystem},
		{"urn:lost-list", "urn:nowhere", "x", In, ""},
		{"urn:lost-list", "urn:nowhere", "y", Out, notIn},
		{"urn:lost-or-list", "", "dog", In, ""},
		{"urn:lost-or-list", "", "bat", Undecided, unknownSystem},
		{"urn:but-lost", "urn:animals", "dog", Undecided, setNotFound},
		{"urn:but-dog", "urn:animals", "dog", Out, notIn},
		{"urn:but-dog", "urn:animals", "bat", In, ""},
		{"urn:both", "urn:animals", "dog", In, ""},
		{"urn:both", "urn:animals", "bat", Out, notIn},
		{"urn:both", "urn:animals", "unicorn", Out, unknownCode},
		{"urn:within", "urn:animals", "duck", In, ""},
		{"urn:within", "urn:animals", "dog", Out, notIn},
		{"urn:live", "urn:animals", "dodo", Out, notIn},
		{"urn:live", "urn:animals", "duck", In, ""},
		{"urn:live-list", "urn:animals", "dodo", Out, notIn},
		{"urn:live-list", "urn:animals", "duck", In, ""},
		{"urn:circle", "urn:animals", "dog", In, ""},
		{"urn:circle", "urn:animals", "bat", Undecided, setTooDeep},
		{"urn:version", "urn:animals", "dog", In, ""},
		{"urn:other-version", "urn:animals", "dog", Undecided, unknownSystem},
		{"urn:of-more", "urn:more", "duck", Undecided, setUnsupported},
		{"urn:made", "urn:z", "z1", In, ""},
		{"urn:made", "urn:z", "z2", In, codeInactive},
		{"urn:made", "urn:z", "z3", Out, notIn},
		{"urn:some", "urn:z", "z1", In, ""},
		{"urn:some", "urn:z", "z3", Undecided, setUnsupported},
		{"urn:nothing", "urn:z", "z3", Undecided, setUnsupported},
		{"urn:holder", "urn:inner", "I", In, ""},
		{"urn:holder", "urn:inner", "j", Out, unknownCode},
		{"urn:unheard-of", "urn:z", "z3", Undecided, setNotFound},
		{"http://snomed.info/sct?fhir_vs=isa/404684003", "http://snomed.info/sct", "1", Undecided, unknownSystem},
		{"http://unitsofmeasure.org/vs/m", "http://unitsofmeasure.org", "[in_i]", In, ""},
		{"http://unitsofmeasure.org/vs/m", "http://unitsofmeasure.org", "kg", Out, notIn},
	}
	for _, tt := range tests {
		got, err := s.Member(ctx, tt.set, Coding{System: tt.system, Code: tt.code})
		if err != nil {
			t.Errorf("%s %s|%s: %v", tt.set, tt.system, tt.code, err)
			continue
		}
		if got.Result != tt.want || got.Reason != tt.reason {
			t.Errorf("%s %s|%s: %d %q (%s), want %d %q", tt.set, tt.system, tt.code, got.Result, got.Reason, got.Text, tt.want, tt.reason)
		}
		if (got.Reason == "") != (got.Text == "") {
			t.Errorf("%s %s|%s: the reason is %q and the text %q", tt.set, tt.system, tt.code, got.Reason, got.Text)
		}
		if (got.Result == In) != (got.Coding.Code != "" && got.Coding.System != "") {
			t.Errorf("%s %s|%s: found %v", tt.set, tt.system, tt.code, got.Coding)
		}
	}
}

func TestMemberOfSeveral(t *testing.T) {
	t.Parallel()
	s := newService()
	ctx := define(t, animals, set("urn:birds", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`))
	got, err := s.Member(ctx, "urn:birds", Coding{System: "urn:local", Code: "7"}, Coding{System: "urn:animals", Code: "duck", Display: "Quack"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Coding{System: "urn:animals", Code: "duck", Display: "Mallard duck"}); got.Result != In || got.Coding != want {
		t.Errorf("got %+v", got)
	}
	got, err = s.Member(ctx, "urn:birds")
	if err != nil || got.Result != Out {
		t.Errorf("no coding: %+v, %v", got, err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	tests := []struct{ property, op, value, in, out string }{
		{"concept", "is-a", "mammal", "mammal dog bat", "animal bird duck"},
		{"concept", "is-a", "flyer", "flyer bat duck", "dodo mammal"},
		{"concept", "descendent-of", "mammal", "dog bat", "mammal bird"},
		{"concept", "is-not-a", "mammal", "bird animal duck", "mammal dog bat"},
		{"concept", "generalizes", "duck", "duck bird flyer animal", "mammal bat"},
		{"concept", "is-a", "unicorn", "", "animal dog"},
		{"code", "regex", "d.*", "dog dodo duck", "bird"},
		{"code", "regex", "d", "", "dog bird"},
		{"code", "regex", "\\\\p{L}{3}", "dog bat", "bird"},
		{"code", "regex", "a)|(?:d.*", "", ""},
		{"code", "in", "dog, bat", "dog bat", "duck"},
		{"code", "not-in", "dog,bat", "duck animal", "dog bat"},
		{"code", "=", "dog", "dog", "bat"},
		{"legs", "=", "2", "bat duck", "dog bird"},
		{"legs", "in", "2,4", "bat duck dog", "bird"},
		{"legs", "not-in", "2", "dog bird", "bat duck"},
		{"legs", "exists", "true", "bat duck dog", "bird"},
		{"legs", "exists", "false", "bird", "bat duck dog"},
		{"legs", "regex", "[4-9]", "dog", "bat"},
		{"eats", "is-a", "animal", "dog", "bat"},
		{"kin", "=", "goose", "duck", "dog"},
		{"parent", "=", "bird", "dodo duck", "bird animal dog"},
		{"parent", "=", "flyer", "bat duck", "dodo"},
		{"child", "=", "duck", "bird flyer", "animal"},
		{"display", "regex", ".*duck", "duck", "dog"},
		{"designation", "=", "Hund", "dog", "bat"},
		{"inactive", "=", "true", "dodo", "duck fish"},
		{"inactive", "=", "false", "duck fish", "dodo"},
		{"notSelectable", "=", "true", "animal", "dog"},
		{"status", "=", "deprecated", "fish", "dog"},
		{"wings", "=", "2", "", ""},
	}
	s := newService()
	for _, tt := range tests {
		ctx := define(t, animals, set("urn:f", `{"include":[{"system":"urn:animals","filter":[{"property":"`+tt.property+`","op":"`+tt.op+`","value":"`+tt.value+`"}]}]}`))
		name := tt.property + " " + tt.op + " " + tt.value
		expect(ctx, t, s, name, tt.in, In)
		expect(ctx, t, s, name, tt.out, Out)
		if tt.in == "" && tt.out == "" {
			expect(ctx, t, s, name, "dog", Undecided)
		}
	}
}

func expect(ctx context.Context, t *testing.T, s *Service, name, codes string, want Result) {
	t.Helper()
	for _, code := range strings.Fields(codes) {
		got, err := s.Member(ctx, "urn:f", Coding{System: "urn:animals", Code: code})
		if err != nil || got.Result != want {
			t.Errorf("%s: %s is %d, want %d (%s, %v)", name, code, got.Result, want, got.Text, err)
		}
	}
}

// TestMemberAtOnce asks from several goroutines, of which some see another state of
// the code system.
func TestMemberAtOnce(t *testing.T) {
	t.Parallel()
	s := newService()
	v := set("urn:f", `{"include":[{"system":"urn:animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`)
	before := define(t, animals, v)
	after := define(t, strings.ReplaceAll(animals, `"bird"`, `"lark"`), v)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ctx, want := before, In
			if i%2 == 1 {
				ctx, want = after, Out
			}
			for range 200 {
				expect(ctx, t, s, "at once", "duck", want)
				if e, err := s.Expand(ctx, ExpandRequest{URL: "urn:f"}); err != nil || strings.Contains(codesIn(e), "duck") != (want == In) {
					t.Errorf("%v, %v", e, err)
				}
			}
		})
	}
	all.Wait()
}
