package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A suiteForm is a case of the public suite of forms: a file that is to be looked at,
// and the form that has to be there before.
type suiteForm struct {
	ID, File, Expect, Tier string
	Load                   []string
}

// TestQuestionnaireSuite stores the forms of the public suite and has the server look at
// the answers to them. What differs from the suite is what differs without a server, in
// the list that package questionnaire keeps.
func TestQuestionnaireSuite(t *testing.T) {
	t.Parallel()
	known := formDisagreements(t)
	base := serveIdle(t).base
	agreed, total := map[string]int{}, map[string]int{}
	for line := range bytes.Lines(sharedFile(t, "suites", "questionnaire-r4.jsonl")) {
		var c suiteForm
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		got, why := c.ask(t, base)
		class := c.Tier + " " + c.Expect
		total[class]++
		if got == c.Expect {
			agreed[class]++
		}
		if got == c.Expect != (known[c.ID] == "") {
			t.Errorf("%s: %s, want %s, listed as %q: %s", c.ID, got, c.Expect, known[c.ID], why)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(total)) {
		t.Logf("%-8s %d of %d agreed", class, agreed[class], total[class])
	}
}

// formDisagreements returns the cases in which package questionnaire knowingly differs
// from the suite.
func formDisagreements(t *testing.T) map[string]string {
	t.Helper()
	list, err := os.ReadFile(filepath.Join("..", "fhir", "questionnaire", "testdata", "disagreements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(list)) {
		if id, reason, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(id, "#") {
			all[id] = reason
		}
	}
	return all
}

// ask returns what the server says to a case, "ok" or "error", and why.
func (c suiteForm) ask(t *testing.T, base string) (result, why string) {
	t.Helper()
	for _, name := range c.Load {
		form := sharedFile(t, "suites", "questionnaire", name)
		if !bytes.Contains(form, []byte(`"status"`)) {
			form = bytes.Replace(form, []byte("{"), []byte(`{"status":"draft",`), 1)
		}
		address := base + "/Questionnaire?identifier=urn:case|" + c.ID
		status, body := send(t, "PUT", address, form)
		if status != http.StatusCreated {
			return "error", fmt.Sprintf("%s: %d %s", name, status, body)
		}
		key := keyOf(t, body)
		defer send(t, "DELETE", base+"/"+key.String(), nil)
	}
	file := sharedFile(t, "suites", "questionnaire", c.File)
	var of struct{ ResourceType string }
	if err := json.Unmarshal(file, &of); err != nil {
		return "error", err.Error()
	}
	status, body := send(t, "POST", base+"/"+of.ResourceType+"/$validate", file)
	if status != http.StatusOK {
		return fmt.Sprint(status), string(body)
	}
	var o struct {
		Issue []struct {
			Severity, Code string
			Expression     []string
			Details        struct{ Text string }
		}
	}
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	result = "ok"
	for _, i := range o.Issue {
		if i.Severity == "error" {
			result = "error"
		}
		why += fmt.Sprintf("\n  %s %s %s %s", i.Severity, i.Code, i.Expression, i.Details.Text)
	}
	return result, why
}

// sharedFile returns a file of the shared material, or skips the test.
func sharedFile(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{shared()}, path...)...))
	if err != nil {
		t.Skipf("the shared material is not here (set OPENCONSULT_SHARED): %v", err)
	}
	return b
}
