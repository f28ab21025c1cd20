package conformance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outcomeCodes finds the codes in the source of the code system of outcomes.
var outcomeCodes = regexp.MustCompile(`(?m)^\t\t\{"([a-z0-9-]+)", "`)

// TestCodes holds testdata/codes.tsv against the code system of outcomes: for every code there is
// a script or a test that provokes it, or a reason why nobody can.
func TestCodes(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../fhir/definition/own_outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, m := range outcomeCodes.FindAllSubmatch(source, -1) {
		described = append(described, string(m[1]))
	}
	slices.Sort(described)
	var listed []string
	for _, r := range codeRows(t) {
		listed = append(listed, r[0])
		switch name := r[1]; {
		case strings.HasPrefix(name, "- "):
			if len(name) < 20 {
				t.Errorf("%s: say why nobody can provoke it", r[0])
			}
		case !says(t, name, r[0]):
			t.Errorf("%s does not provoke %s", name, r[0])
		}
	}
	if !slices.IsSorted(listed) {
		t.Error("codes.tsv is not sorted by code")
	}
	for _, code := range described {
		if !slices.Contains(listed, code) {
			t.Errorf("testdata/codes.tsv does not say what provokes %s", code)
		}
	}
	for i, code := range listed {
		if !slices.Contains(described, code) || i > 0 && listed[i-1] == code {
			t.Errorf("%s is no code, or comes twice", code)
		}
	}
}

func codeRows(t *testing.T) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile("testdata/codes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 2 {
			t.Fatalf("codes.tsv:%d: %q", i+2, line)
		}
		all = append(all, cells)
	}
	return all
}

// says reports whether a script, or a file of tests of this package, has a code in it.
func says(t *testing.T, name, code string) bool {
	t.Helper()
	if strings.HasSuffix(name, ".txtar") {
		name = filepath.Join("testdata", name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Error(err)
	}
	return regexp.MustCompile(`(^|[^a-z0-9-])` + code + `($|[^a-z0-9-])`).Match(text)
}

// notRefusals are the words with a hyphen that the specification of the conversation marks in the
// sections on its rules, and that are no codes of an outcome: by what they are instead.
var notRefusals = map[string]string{
	"kinds, statuses and values": `advice-and-guidance auto-reply business-rule diverted-emergency entered-in-error in-progress internal-note message-receipt not-done on-hold
		patient-action prescription-reissue identity-unverified possible-duplicate awaiting-scan entered-your-scope left-your-scope full-resource`,
	"elements, extensions and parameters": `allowed-transition assigned-to conversion-authorisation fallback-after filed-to-record group-identifier photo-intimate release-to-patient
		reply-policy task-replaces triage-outcome triage-rule unread-escalation-after england-2026`,
	"topics and alerts": `consultation-submitted filing-overdue message-delivery-failed message-read record-filed task-changed task-due-soon task-overdue unread-escalation
		advice-response-received appointment-changed message-received patient-identity-changed prescription-request-changed`,
	"events of the audit": `auto-closed break-glass diversion-shown dispatch-attempt left-scope match-decided notification-disclosed proxy-acted sla-breached transition-refused triage-rule-fired`,
}

// TestCodesOfTheSpecification holds the list against the page that names the codes.
func TestCodesOfTheSpecification(t *testing.T) {
	t.Parallel()
	page := string(sharedFile(t, "domain.md"))
	from, to := strings.Index(page, "\n## 5. "), strings.Index(page, "\n### 8.8 ")
	if from < 0 || to < from {
		t.Fatal("the page has other sections than it had")
	}
	known := map[string]bool{}
	for _, r := range codeRows(t) {
		known[r[0]] = true
	}
	for _, words := range notRefusals {
		for _, w := range strings.Fields(words) {
			known[w] = true
		}
	}
	found := 0
	for _, m := range regexp.MustCompile("`([a-z0-9]+(?:-[a-z0-9]+)+)`").FindAllStringSubmatch(page[from:to], -1) {
		found++
		if !known[m[1]] {
			t.Errorf("the specification names %s, and nothing here provokes it", m[1])
		}
	}
	if found < 100 {
		t.Errorf("only %d words were found", found)
	}
}
