package patch_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

// suiteCase is a case of https://github.com/json-patch/json-patch-tests. An
// Error only says that there must be one; its words are not compared. Without
// Expected, the document must stay as it is.
type suiteCase struct {
	Comment  string
	Doc      json.RawMessage
	Patch    json.RawMessage
	Expected json.RawMessage
	Error    string
}

// The cases that the suite disables because some implementations cannot pass
// them are among these: this one can.
var suiteFiles = map[string]int{"spec_tests.json": 17, "tests.json": 95}

func TestSuite(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t)
	passed, total := 0, 0
	for name, least := range suiteFiles {
		cases := readSuite(t, filepath.Join(dir, name))
		if len(cases) < least {
			t.Errorf("%s has %d cases, want %d or more", name, len(cases), least)
		}
		for i, c := range cases {
			total++
			if problem := c.run(); problem != "" {
				t.Errorf("%s, case %d, %q: %s", name, i, c.Comment, problem)
				continue
			}
			passed++
		}
	}
	t.Logf("%d of %d cases passed", passed, total)
}

// run returns what is wrong with the outcome of the case.
func (c suiteCase) run() string {
	out, err := patch.JSON(c.Doc, c.Patch)
	switch {
	case c.Error != "" && err == nil:
		return "accepted, should fail: " + c.Error
	case c.Error != "" && fhir.AsOutcome(err) == nil:
		return "not an error for the caller: " + err.Error()
	case c.Error != "":
		return ""
	case err != nil:
		return err.Error()
	}
	want := c.Expected
	if want == nil {
		want = c.Doc
	}
	if !sameJSON(out, want) {
		return "got " + string(out) + ", want " + string(want)
	}
	return ""
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

func readSuite(t *testing.T, path string) []suiteCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []suiteCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return cases
}

// sharedDir returns the directory of the suite, which is kept beside the
// repository.
func sharedDir(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("OPENCONSULT_SHARED")
	if shared == "" {
		shared = filepath.Join(root(t), "..", "shared")
	}
	dir := filepath.Join(shared, "suites", "json-patch")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the JSON Patch suite is not there: %v", err)
	}
	return dir
}

// root returns the directory of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}
