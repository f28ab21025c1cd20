package conformance_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A searchCase is one row of the public search cases: what a query finds of its
// fixture.
type searchCase struct {
	ID      string
	Fixture string
	Type    string
	Query   string // not escaped
	Expect  []int  // indexes of the resources of the fixture
	Spec    string // "differs" where R4 has another answer
	R4      []int  // R4's answer
	Status  int    // of the answer; zero is 200
}

// wanted returns what R4 says.
func (c searchCase) wanted() []int {
	if c.Spec == "differs" {
		return c.R4
	}
	return c.Expect
}

// searchExceptions are cases whose expectation contradicts R4, with the reason.
func searchExceptions() map[string]string {
	return map[string]string{"reference#322": "the fixture has the reference ijk, which is none in R4 and is refused"}
}

// TestSearchCases runs the public search cases, each fixture on a server of its
// own.
func TestSearchCases(t *testing.T) {
	t.Parallel()
	fixtures, cases := searchSuite(t)
	total, passed := 0, 0
	for _, name := range slices.Sorted(keysOf(fixtures)) {
		f := fixtures[name]
		base := serve(t).base
		ids := f.store(t, base)
		right, count := 0, 0
		for _, c := range cases {
			if c.Fixture != name {
				continue
			}
			count++
			problem := c.run(base, ids)
			reason, excepted := searchExceptions()[c.ID]
			switch {
			case problem == "" && excepted:
				t.Errorf("%s passes now; take it off the list (%s)", c.ID, reason)
			case problem == "":
				right++
			case excepted:
				t.Logf("%s: %s\n\t%s", c.ID, reason, problem)
			default:
				t.Errorf("%s: %s?%s: %s", c.ID, c.Type, c.Query, problem)
			}
		}
		t.Logf("%s: passed %d of %d", name, right, count)
		total, passed = total+count, passed+right
	}
	t.Logf("passed %d of %d", passed, total)
	if total < 200 {
		t.Errorf("only %d cases were run", total)
	}
}

func keysOf[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// A searchFixture is the resources that some cases search.
type searchFixture struct {
	Type      string
	Resources []json.RawMessage
}

// searchSuite reads the public search cases.
func searchSuite(t *testing.T) (fixtures map[string]searchFixture, cases []searchCase) {
	t.Helper()
	shared := os.Getenv("OPENCONSULT_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	text, err := os.ReadFile(filepath.Join(shared, "suites", "search-fixtures.json"))
	if err != nil {
		t.Skipf("the public search cases are not here (set OPENCONSULT_SHARED): %v", err)
	}
	if err := json.Unmarshal(text, &fixtures); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join(shared, "suites", "search-cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(rows)); lines.Scan(); {
		var c searchCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return fixtures, cases
}

// brokenReferences are references in the fixtures that R4 does not allow. What
// has one must be refused.
var brokenReferences = []string{`"reference": "ijk"`, `"reference": "p2"`}

// store creates the resources of f and returns their index by id.
func (f searchFixture) store(t *testing.T, base string) map[string]int {
	t.Helper()
	ids := map[string]int{}
	for i, body := range f.Resources {
		want := http.StatusCreated
		if slices.ContainsFunc(brokenReferences, func(s string) bool { return strings.Contains(string(body), s) }) {
			want = http.StatusBadRequest
		}
		x, err := request{method: "POST", path: "/fhir/" + f.Type, body: asR4(t, body)}.send(http.DefaultClient, base)
		if err != nil || x.status != want {
			t.Fatalf("resource %d is answered by %d, want %d: %v\n%s", i, x.status, want, err, x)
		}
		if want != http.StatusCreated {
			continue
		}
		id, _ := find(x.tree, "id")
		ids[fmt.Sprint(id[0])] = i
	}
	return ids
}

// asR4 makes arrays of interpretations, which repeat since R4, and calls the code
// system of categories by the name that it has there.
func asR4(t *testing.T, body []byte) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	components, _ := v["component"].([]any)
	for _, part := range append(components, any(v)) {
		if o, ok := part.(map[string]any); ok && o["interpretation"] != nil {
			if _, repeats := o["interpretation"].([]any); !repeats {
				o["interpretation"] = []any{o["interpretation"]}
			}
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "http://hl7.org/fhir/observation-category", "http://terminology.hl7.org/CodeSystem/observation-category")
}

// run returns what is wrong with the answer to c, or "".
func (c searchCase) run(base string, ids map[string]int) string {
	x, err := request{method: "GET", path: "/fhir/" + c.Type + "?" + escapedQuery(c.Query) + "&_count=100&_elements=id"}.send(http.DefaultClient, base)
	if err != nil {
		return err.Error()
	}
	if x.status != cmp.Or(c.Status, http.StatusOK) {
		return x.String()
	}
	found := []int{}
	entries, _ := find(x.tree, "entry[*].resource.id")
	for _, id := range entries {
		found = append(found, ids[fmt.Sprint(id)])
	}
	slices.Sort(found)
	if want := c.wanted(); !slices.Equal(found, want) {
		return fmt.Sprintf("found %v, want %v", found, want)
	}
	return ""
}

// escapedQuery escapes the values of a query that was written for reading.
func escapedQuery(query string) string {
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		parts = append(parts, name+"="+url.QueryEscape(value))
	}
	return strings.Join(parts, "&")
}
