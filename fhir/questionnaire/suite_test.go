package questionnaire_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// A suiteCase is a line of the suite.
type suiteCase struct {
	ID, File, Expect, Second, Tier string
	Load                           []string
}

// disagreements returns the cases that are known to differ, with the reason.
func disagreements(t *testing.T) map[string]string {
	t.Helper()
	src, err := os.ReadFile("testdata/disagreements.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(src)) {
		if id, reason, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(id, "#") {
			all[id] = reason
		}
	}
	return all
}

// TestSuite holds decoding, compiling and checking together to the public suite of
// forms. What differs stands in testdata/disagreements.txt with its reason.
func TestSuite(t *testing.T) {
	t.Parallel()
	known := disagreements(t)
	agreed, total := map[string]int{}, map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(shared(t, "suites/questionnaire-r4.jsonl")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c suiteCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		got, why := verdict(t, c)
		total[c.Tier]++
		switch reason, listed := known[c.ID]; {
		case got == c.Expect && listed:
			t.Errorf("%s: agrees now, but is listed: %s", c.ID, reason)
		case got == c.Expect:
			agreed[c.Tier]++
		case !listed:
			t.Errorf("%s: %s, want %s (second: %q): %s", c.ID, got, c.Expect, c.Second, why)
		}
		delete(known, c.ID)
	}
	for id := range known {
		t.Errorf("%s is listed, but not in the suite", id)
	}
	for _, tier := range []string{"A", "B"} {
		t.Logf("tier %s: %d of %d agreed", tier, agreed[tier], total[tier])
	}
}

// verdict returns "ok" or "error" for a case, and why.
func verdict(t *testing.T, c suiteCase) (result, why string) {
	t.Helper()
	file, err := fhir.Decode("", shared(t, "suites/questionnaire/"+c.File))
	if err != nil {
		return "error", err.Error()
	}
	formNode := file.Root()
	switch {
	case file.Type() == "Questionnaire":
	case len(c.Load) > 0:
		formNode = loadForm(t, c.Load[0])
	default:
		formNode = containedForm(file.Root())
	}
	if formNode.IsZero() {
		return "ok", "no form"
	}
	form, issues := questionnaire.Compile(formNode)
	if form != nil && file.Type() == "QuestionnaireResponse" {
		checked, err := form.Check(context.Background(), file, environment())
		if err != nil {
			t.Fatal(err)
		}
		issues = append(issues, checked.Issues...)
	}
	for _, is := range issues {
		if is.Severity == fhir.Error {
			result = "error"
		}
		why += fmt.Sprintf("%v %s at %s: %s; ", is.Severity, is.Detail, is.Expression, is.Text)
	}
	if result == "" {
		result = "ok"
	}
	return result, why
}

// loadForm reads a form that may lack what a form must have, but not more.
func loadForm(t *testing.T, name string) fhir.Node {
	t.Helper()
	src := shared(t, "suites/questionnaire/"+name)
	r, err := fhir.Decode("Questionnaire", src)
	if err != nil && !bytes.Contains(src, []byte(`"status"`)) {
		src = bytes.Replace(src, []byte("{"), []byte(`{"status":"draft",`), 1)
		r, err = fhir.Decode("Questionnaire", src)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r.Root()
}

// containedForm returns the form that a response contains, if it does.
func containedForm(response fhir.Node) fhir.Node {
	for r := range response.Each("contained") {
		if r.Type().Name == "Questionnaire" && response.Child("questionnaire").Text() == "#"+r.Child("id").Text() {
			return r
		}
	}
	return fhir.Node{}
}
