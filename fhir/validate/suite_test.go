package validate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// A suiteCase is one of the public validation suite.
type suiteCase struct {
	ID     string
	File   string
	Module string
	Expect string
	Tier   string
	Errors []struct{ Class, Code, Text, Expr string }
}

func suiteCases(t *testing.T) []suiteCase {
	t.Helper()
	f, err := os.Open(shared(t, "suites/validator-r4.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []suiteCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c suiteCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestSuite runs the public validation suite. What is expected otherwise than it is
// found stands in a list with the reason.
func TestSuite(t *testing.T) {
	t.Parallel()
	known := reasons(t, "disagreements.txt")
	v := validator()
	agreed, total := map[string]int{}, map[string]int{}
	cases := suiteCases(t)
	for _, c := range cases {
		src, err := os.ReadFile(shared(t, filepath.Join("suites", "validator", c.File)))
		if err != nil {
			t.Fatal(err)
		}
		list := refusals(verdicts(t, v, src, Options{Warnings: true}))
		class := "tier " + c.Tier + ", " + c.Module
		total[class]++
		agrees := (c.Expect == "error") == (len(list) > 0)
		if agrees {
			agreed[class]++
		}
		switch reason := known[c.ID]; {
		case agrees && reason != "":
			t.Errorf("%s agrees, but is listed: %s", c.ID, reason)
		case !agrees && reason == "":
			t.Errorf("%s should be %s (%s), and is %s", c.ID, c.Expect, texts(c), strings.Join(list, ", "))
		}
		delete(known, c.ID)
	}
	for id := range known {
		t.Errorf("%s is listed, but is no case", id)
	}
	if len(cases) != 91 {
		t.Errorf("there are %d cases, not 91", len(cases))
	}
	t.Log(table(agreed, total))
}

func texts(c suiteCase) string {
	var all []string
	for _, e := range c.Errors {
		all = append(all, e.Expr+": "+e.Text)
	}
	return strings.Join(all, "; ")
}

// table shows how many cases agree, by class.
func table(agreed, total map[string]int) string {
	var b strings.Builder
	sum, all := 0, 0
	for _, class := range sorted(total) {
		fmt.Fprintf(&b, "\n%-28s %2d of %2d", class, agreed[class], total[class])
		sum, all = sum+agreed[class], all+total[class]
	}
	return fmt.Sprintf("%d of %d cases agree%s", sum, all, b.String())
}

// TestSuiteText holds the sentences for what the suite finds to our style.
func TestSuiteText(t *testing.T) {
	t.Parallel()
	v := validator()
	for _, c := range suiteCases(t) {
		src, err := os.ReadFile(shared(t, filepath.Join("suites", "validator", c.File)))
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Decode("", src)
		if err != nil {
			continue
		}
		issues, err := v.Check(t.Context(), r.Root(), Options{Warnings: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range issues {
			if !strings.HasSuffix(is.Text, ".") || is.Detail == "" || is.Code == "" {
				t.Errorf("%s: %+v is no complete issue", c.ID, is)
			}
		}
	}
}
