package conformance_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// A formCase is a response to the form of the set, and what is wrong with it.
type formCase struct {
	File   string      `json:"file"`
	Status int         `json:"httpStatus"`
	Issues []formIssue `json:"issues"`
}

// A formIssue is one problem of a response.
type formIssue struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	LinkID string `json:"linkId"`
}

// TestForms sends good and bad responses to a form. Each is stored, or refused with
// exactly the problems that it has.
func TestForms(t *testing.T) {
	t.Parallel()
	set := formSet(t)
	var manifest struct{ Valid, Invalid []formCase }
	if err := json.Unmarshal(set.read(t, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	base := serve(t).base
	set.putAll(t, base)
	all := slices.Concat(manifest.Valid, manifest.Invalid)
	agreed := 0
	for _, c := range all {
		status, body := send(t, "POST", base+"/QuestionnaireResponse", set.read(t, c.File))
		found := issuesOf(t, body, set.read(t, c.File))
		slices.SortFunc(c.Issues, compareFormIssues)
		slices.SortFunc(found, compareFormIssues)
		if status != c.Status || !slices.Equal(found, c.Issues) && status != http.StatusCreated {
			t.Errorf("%s: %d %v, want %d %v\n%s", c.File, status, found, c.Status, c.Issues, body)
			continue
		}
		agreed++
	}
	t.Logf("%d of %d responses answered as they must be", agreed, len(all))
}

// TestFormOutcome compares the whole answer about a response with two problems.
func TestFormOutcome(t *testing.T) {
	t.Parallel()
	set := formSet(t)
	base := serve(t).base
	set.put(t, base, set.read(t, "questionnaire.json"))
	_, body := send(t, "POST", base+"/QuestionnaireResponse", set.read(t, "qr-invalid-17-two-problems-reported-together.json"))
	var got, want struct {
		Issue []struct {
			Severity, Code string
			Expression     []string
		}
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(set.read(t, "expected-outcome-for-invalid-17.json"), &want); err != nil {
		t.Fatal(err)
	}
	order := func(a, b struct {
		Severity, Code string
		Expression     []string
	}) int {
		return cmp.Compare(a.Code, b.Code)
	}
	slices.SortFunc(got.Issue, order)
	slices.SortFunc(want.Issue, order)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, part := range []string{"operationoutcome-issue-line", "operationoutcome-issue-col", "operationoutcome-issue-source"} {
		if strings.Count(string(body), part) != len(want.Issue) {
			t.Errorf("not every issue has %s:\n%s", part, body)
		}
	}
}

func compareFormIssues(a, b formIssue) int {
	return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Detail, b.Detail), cmp.Compare(a.LinkID, b.LinkID))
}

// A folder holds the samples of a form.
type folder string

// formSet returns the folder of the samples, or skips the test.
func formSet(t *testing.T) folder {
	t.Helper()
	dir := filepath.Join(shared(), "domain", "set-a-consultation")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the samples of the form are not here (set OPENCONSULT_SHARED): %v", err)
	}
	return folder(dir)
}

func (f folder) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(string(f), name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// putAll stores the form, with the practice and the patients of the set.
func (f folder) putAll(t *testing.T, base string) {
	t.Helper()
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(f.read(t, "context-bundle.json"), &b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b.Entry {
		f.put(t, base, e.Resource)
	}
	f.put(t, base, f.read(t, "questionnaire.json"))
}

// put stores a resource under the id in it.
func (folder) put(t *testing.T, base string, body []byte) {
	t.Helper()
	var k struct{ ResourceType, ID string }
	if err := json.Unmarshal(body, &k); err != nil {
		t.Fatal(err)
	}
	if status, answer := send(t, "PUT", base+"/"+k.ResourceType+"/"+k.ID, body); status != http.StatusCreated {
		t.Fatalf("%s/%s: %d %s", k.ResourceType, k.ID, status, answer)
	}
}

// send sends a resource and returns the answer.
func send(t *testing.T, method, url string, body []byte) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	answer, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, answer
}

// linkIDAt returns the linkId of the item that an expression finds in a response, or that
// is around what it finds; empty outside of all items.
func linkIDAt(t *testing.T, response []byte, expression []string) string {
	t.Helper()
	r, err := fhir.Decode("QuestionnaireResponse", response)
	if err != nil {
		t.Fatal(err)
	}
	x, err := fhirpath.Compile(strings.Join(expression, " | "))
	if err != nil {
		t.Fatal(err)
	}
	found, err := x.EvaluateNode(r.Root(), nil)
	if err != nil || len(found) > 1 {
		t.Errorf("%s finds %d elements: %v", expression, len(found), err)
	}
	if len(found) == 0 {
		return ""
	}
	n, _ := found[0].Node()
	for !n.IsZero() && n.Child("linkId").IsZero() {
		n = n.Parent()
	}
	return n.Child("linkId").Text()
}

// issuesOf returns the errors that an OperationOutcome tells of, about a response.
func issuesOf(t *testing.T, outcome, response []byte) []formIssue {
	t.Helper()
	var o struct {
		Issue []struct {
			Severity, Code string
			Expression     []string
			Details        struct{ Coding []struct{ Code string } }
			Extension      []struct{ ValueString string }
		}
	}
	if err := json.Unmarshal(outcome, &o); err != nil {
		t.Fatal(err)
	}
	var all []formIssue
	for _, i := range o.Issue {
		if i.Severity != "error" || len(i.Details.Coding) != 1 {
			t.Errorf("no error with a code of ours: %+v", i)
			continue
		}
		found := formIssue{Code: i.Code, Detail: i.Details.Coding[0].Code}
		if found.Detail == "item-required" { // which the expression cannot name: its parent is there
			_, found.LinkID, _ = strings.Cut(i.Extension[len(i.Extension)-1].ValueString, "#")
		} else {
			found.LinkID = linkIDAt(t, response, i.Expression)
		}
		all = append(all, found)
	}
	return all
}
