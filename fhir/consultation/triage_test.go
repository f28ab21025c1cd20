package consultation_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// TestSamplesAreShared holds the copies of the examples to the originals.
func TestSamplesAreShared(t *testing.T) {
	t.Parallel()
	const shared = "../../../shared/domain"
	if _, err := os.Stat(shared); err != nil {
		t.Skipf("the shared material is not here: %v", err)
	}
	for pattern, n := range map[string]int{"testdata/triage/*.json": 11, "testdata/talk/*.json": 3} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) != n {
			t.Fatalf("%d files: %v", len(files), err)
		}
		for _, f := range files {
			originals, err := filepath.Glob(filepath.Join(shared, "set-*", filepath.Base(f)))
			if err != nil || len(originals) != 1 {
				t.Fatalf("%s: %v, %v", f, originals, err)
			}
			got, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := os.ReadFile(originals[0]); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s differs from the original: %v", f, err)
			}
		}
	}
}

// TestTriage holds the rules to the manifest of the example.
func TestTriage(t *testing.T) {
	t.Parallel()
	var manifest struct {
		Valid []struct {
			File, Priority string
			Rules          []string
		}
	}
	if err := json.Unmarshal(sample(t, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Valid) != 8 {
		t.Fatalf("%d responses", len(manifest.Valid))
	}
	_, rules := form(t)
	for _, c := range manifest.Valid {
		t.Run(c.File, func(t *testing.T) {
			t.Parallel()
			r := read(t, "QuestionnaireResponse", sample(t, c.File))
			got := rules.Evaluate(r.Root(), demoEnv())
			var fired []string
			for _, result := range got.Counting() {
				fired = append(fired, result.Rule)
				if result.Verdict != consultation.Fired {
					t.Errorf("%s: %s, %s", result.Rule, result.Verdict, result.Why)
				}
			}
			if !slices.Equal(fired, c.Rules) {
				t.Errorf("got %v, want %v", fired, c.Rules)
			}
			want := c.Priority
			if want == "" {
				want = "routine"
			}
			if got.Priority != want || len(got.Results) != 5 {
				t.Errorf("got %s of %d rules, want %s", got.Priority, len(got.Results), want)
			}
			read(t, "Parameters", got.Explain())
		})
	}
}

// TestRedFlags tells what is found.
func TestRedFlags(t *testing.T) {
	t.Parallel()
	_, rules := form(t)
	for name, want := range map[string][]consultation.Coded{
		"qr-valid-01-routine.json":        nil,
		"qr-valid-02-redflag-stat.json":   {{System: "http://snomed.info/sct", Code: "29857009", Display: "Chest pain"}},
		"qr-valid-04-fever-urgent.json":   {{Display: "rf-4-high-fever-severe"}},
		"qr-valid-06-low-mood-score.json": {{Display: "rf-5-phq2-positive"}},
		"qr-valid-07-two-rules.json": {
			{System: "http://snomed.info/sct", Code: "6471006", Display: "Thoughts of suicide"},
			{System: "http://snomed.info/sct", Code: "267036007", Display: "Difficulty breathing"},
		},
	} {
		got := rules.Evaluate(read(t, "QuestionnaireResponse", sample(t, name)).Root(), demoEnv())
		if d := cmp.Diff(want, got.RedFlags()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if diverts := strings.Contains(name, "-02-") || strings.Contains(name, "-07-"); got.Diverts() != diverts {
			t.Errorf("%s: diverts is %t", name, got.Diverts())
		}
	}
}

// aRule is an extension of a form.
func aRule(parts ...object) object {
	return object{"url": "https://fhir.openconsult.example/StructureDefinition/triage-rule", "extension": parts}
}

func part(name, kind string, value any) object { return object{"url": name, kind: value} }

func condition(expression string) object {
	return part("condition", "valueExpression", object{"language": "text/fhirpath", "expression": expression})
}

// simpleRule is a rule on the number that answers the question a.
func simpleRule(id, priority, expression string) object {
	return aRule(part("id", "valueId", id), part("priority", "valueCode", priority), condition(expression),
		part("patientMessage", "valueMarkdown", "message of "+id))
}

const whenPositive = "%resource.repeat(item).where(linkId='a').answer.value > 0"

func aForm(t testing.TB, extensions ...object) *fhir.Resource {
	o := object{"resourceType": "Questionnaire", "url": "https://example.org/q", "version": "2", "status": "active",
		"item": []any{object{"linkId": "a", "type": "integer", "repeats": true}}}
	if len(extensions) > 0 {
		o["extension"] = extensions
	}
	return make1(t, o)
}

func aResponse(t testing.TB, numbers ...int) *fhir.Resource {
	answers := []any{}
	for _, n := range numbers {
		answers = append(answers, object{"valueInteger": n})
	}
	o := object{"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "https://example.org/q|2"}
	if len(answers) > 0 {
		o["item"] = []any{object{"linkId": "a", "answer": answers}}
	}
	return make1(t, o)
}

// TestBrokenRules fires every rule that cannot be evaluated.
func TestBrokenRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		rule     object
		issue    string
		priority string
	}{
		{"sound", simpleRule("r", "urgent", whenPositive), "", "urgent"},
		{"no id", aRule(part("priority", "valueCode", "asap"), condition(whenPositive)), "triage-rule-id", "asap"},
		{"no priority", aRule(part("id", "valueId", "r"), condition("false")), "triage-rule-priority", "stat"},
		{"unknown priority", simpleRule("r", "soon", "false"), "triage-rule-priority", "stat"},
		{"no condition", aRule(part("id", "valueId", "r"), part("priority", "valueCode", "asap")), "triage-rule-condition", "asap"},
		{"other language", aRule(part("id", "valueId", "r"), part("priority", "valueCode", "asap"),
			part("condition", "valueExpression", object{"language": "text/cql", "expression": "true"})), "triage-rule-condition", "asap"},
		{"no FHIRPath", simpleRule("r", "asap", "item.where("), "triage-rule-condition", "asap"},
		{"unknown question", simpleRule("r", "asap", "%resource.repeat(item).where(linkId = 'b').exists()"), "triage-rule-link-id", "asap"},
		{"several values", simpleRule("r", "asap", "%resource.repeat(item).where(linkId='a').answer.value"), "", "asap"},
		{"no Boolean", simpleRule("r", "asap", "'yes'"), "", "asap"},
		{"error", simpleRule("r", "asap", "%resource.repeat(item).answer.value > 'x'"), "", "asap"},
		{"too costly", simpleRule("r", "asap", "(1|2|3|4|5|6|7|8|9).repeat($this).select(%resource.repeat(item).answer.value.combine(%resource.descendants()).select(%resource.descendants().select(%resource.descendants().select(%resource.descendants())))).empty()"), "", "asap"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules, issues := consultation.CompileRules(aForm(t, c.rule).Root())
			found := ""
			for _, is := range issues {
				if is.Severity == fhir.Error {
					found = is.Detail
				}
			}
			if found != c.issue {
				t.Errorf("got %q, want %q: %v", found, c.issue, issues)
			}
			got := rules.Evaluate(aResponse(t, 3, 4).Root(), demoEnv())
			if c.name == "sound" {
				got = rules.Evaluate(aResponse(t, 3).Root(), demoEnv())
			}
			want := consultation.Failed
			if c.name == "sound" {
				want = consultation.Fired
			}
			r := got.Results[0]
			if got.Priority != c.priority || r.Verdict != want || (want == consultation.Failed) != (r.Why != "") {
				t.Errorf("got %s, %s: %q", got.Priority, r.Verdict, r.Why)
			}
		})
	}
}

// TestTooManyRules keeps the cost of a submission in bounds.
func TestTooManyRules(t *testing.T) {
	t.Parallel()
	var all []object
	for i := range 103 {
		all = append(all, simpleRule(fmt.Sprintf("r%d", i), "urgent", "false"))
	}
	all[102] = simpleRule("last", "asap", "false")
	rules, issues := consultation.CompileRules(aForm(t, all...).Root())
	count := 0
	for _, is := range issues {
		if is.Detail == "too-many-triage-rules" {
			count++
		}
	}
	got := rules.Evaluate(aResponse(t).Root(), demoEnv())
	if count != 1 || got.Priority != "asap" || len(got.Counting()) != 3 {
		t.Errorf("%d issues, %s, %d count", count, got.Priority, len(got.Counting()))
	}
}

// TestApproval asks no rule that nobody has approved for this version.
func TestApproval(t *testing.T) {
	t.Parallel()
	approval := func(version string, parts ...object) []object {
		return append(parts, part("approver", "valueReference", object{"display": "Dr Grace EXAMPLE"}), part("approved", "valueDate", "2025-11-01"),
			part("approvedVersion", "valueString", version))
	}
	rule := func(more ...object) object {
		return aRule(append([]object{part("id", "valueId", "r"), part("priority", "valueCode", "urgent"), condition(whenPositive)}, more...)...)
	}
	tests := []struct {
		name string
		form []object
		want consultation.Verdict
	}{
		{"none", []object{rule()}, consultation.Unapproved},
		{"of the rule", []object{rule(approval("2")...)}, consultation.Fired},
		{"of another version", []object{rule(approval("1")...)}, consultation.Unapproved},
		{"without a date", []object{rule(append(approval("2")[:1], approval("2")[2])...)}, consultation.Unapproved},
		{"without a name", []object{rule(approval("2")[1:]...)}, consultation.Unapproved},
		{"of the form", []object{rule(), {"url": "https://fhir.openconsult.example/StructureDefinition/triage-approval", "extension": approval("2")}}, consultation.Fired},
		{"of the form in another version", []object{rule(), {"url": "https://fhir.openconsult.example/StructureDefinition/triage-approval", "extension": approval("3")}}, consultation.Unapproved},
	}
	for _, c := range tests {
		rules, _ := consultation.CompileRules(aForm(t, c.form...).Root())
		got := rules.Evaluate(aResponse(t, 1).Root(), consultation.TriageEnv{Now: rulesNow})
		if v := got.Results[0].Verdict; v != c.want || got.IsApproved() != (c.want == consultation.Fired) {
			t.Errorf("%s: got %s, want %s", c.name, v, c.want)
		}
	}
}

// TestPriorityIsHighest draws rules at random: the priority is that of the highest that
// counts, in whatever order they stand.
func TestPriorityIsHighest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		order := []string{"routine", "urgent", "asap", "stat"}
		highest := 0
		var all []object
		for i := range rapid.IntRange(0, 8).Draw(r, "rules") {
			rank := rapid.IntRange(0, 3).Draw(r, "priority")
			says := rapid.SampledFrom([]string{"true", "false", "{}", "'x'", "1/'x'"}).Draw(r, "condition")
			if says != "false" && says != "{}" {
				highest = max(highest, rank)
			}
			all = append(all, simpleRule(strings.Repeat("r", i+1), order[rank], says))
		}
		rules, _ := consultation.CompileRules(aForm(t, all...).Root())
		got := rules.Evaluate(aResponse(t).Root(), demoEnv())
		if got.Priority != order[highest] {
			r.Fatalf("got %s, want %s: %v", got.Priority, order[highest], got.Results)
		}
	})
}

func TestHigherPriority(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"", "", "routine"}, {"urgent", "", "urgent"}, {"stat", "asap", "stat"}, {"urgent", "asap", "asap"}, {"x", "routine", "routine"}} {
		if got := consultation.HigherPriority(c[0], c[1]); got != c[2] || got != consultation.HigherPriority(c[1], c[0]) {
			t.Errorf("%v: got %s", c, got)
		}
	}
}

// BenchmarkEvaluate measures the rules of the example on a response.
func BenchmarkEvaluate(b *testing.B) {
	_, rules := form(b)
	r := read(b, "QuestionnaireResponse", sample(b, "qr-valid-07-two-rules.json"))
	b.ReportAllocs()
	for b.Loop() {
		rules.Evaluate(r.Root(), demoEnv())
	}
}
