package search

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const suites = "../../../shared/suites"

// suiteCase is a row of search-cases.jsonl.
type suiteCase struct {
	ID      string
	Fixture string
	Type    string
	Query   string
	Expect  []int
	R4      *[]int
	Status  int
}

func (c suiteCase) want() []int {
	if c.R4 != nil {
		return *c.R4
	}
	return c.Expect
}

// TestSuite runs the search cases of another server, corrected where R4 says
// otherwise, against Parse, Index and Match alone.
func TestSuite(t *testing.T) {
	t.Parallel()
	r := testRegistry(t)
	fixtures := readFixtures(t, r)
	passed, total := map[string]int{}, map[string]int{}
	for _, c := range readCases(t) {
		total[c.Fixture]++
		if reason := suiteExceptions[c.ID]; reason != "" {
			t.Logf("%s is an exception: %s", c.ID, reason)
			continue
		}
		q, err := parseTest(r, c.Type, c.Query)
		switch {
		case c.Status == 400 && err != nil:
			passed[c.Fixture]++
			continue
		case c.Status == 400 || err != nil:
			t.Errorf("%s %s: error %v, want status %d", c.ID, c.Query, err, c.Status)
			continue
		}
		got := found(q, fixtures[c.Fixture])
		if !slices.Equal(got, c.want()) {
			t.Errorf("%s %s: found %v, want %v", c.ID, c.Query, got, c.want())
			continue
		}
		passed[c.Fixture]++
	}
	for name, n := range total {
		t.Logf("%s: %d of %d", name, passed[name], n)
	}
}

// suiteExceptions are cases that do not apply, with the reason.
var suiteExceptions = map[string]string{
	"reference#322": "the reference ijk of the fixture is none in R4, and Decode refuses it",
}

func found(q *Query, all []*Index) []int {
	got := []int{}
	for i, ix := range all {
		if ix != nil && Match(And(q.Where), ix, nil) {
			got = append(got, i)
		}
	}
	return got
}

func readFixtures(t *testing.T, r *Registry) map[string][]*Index {
	t.Helper()
	data := readShared(t, "search-fixtures.json")
	var fixtures map[string]struct {
		Type      string
		Resources []json.RawMessage
	}
	if err := json.Unmarshal(data, &fixtures); err != nil {
		t.Fatal(err)
	}
	all := map[string][]*Index{}
	for name, f := range fixtures {
		for i, body := range f.Resources {
			res, err := fhir.Decode(f.Type, asR4(t, body))
			if err != nil {
				t.Logf("%s %d: %v", name, i, err)
				all[name] = append(all[name], nil)
				continue
			}
			ix, err := r.Index(res.Root(), "x")
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], ix)
		}
	}
	return all
}

// asR4 makes arrays of interpretations, which repeat since R4.
func asR4(t *testing.T, body []byte) []byte {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	repeat(v)
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func repeat(v map[string]any) {
	if one, ok := v["interpretation"].(map[string]any); ok {
		v["interpretation"] = []any{one}
	}
	components, _ := v["component"].([]any)
	for _, c := range components {
		repeat(c.(map[string]any))
	}
}

func readCases(t *testing.T) []suiteCase {
	t.Helper()
	var cases []suiteCase
	lines := bufio.NewScanner(bytes.NewReader(readShared(t, "search-cases.jsonl")))
	for lines.Scan() {
		var c suiteCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

func readShared(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(suites, name))
	if os.IsNotExist(err) {
		t.Skipf("%s is not there: put the public test data beside the repository", filepath.Join(suites, name))
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}
