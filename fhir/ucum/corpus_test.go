package ucum_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir/ucum"
)

// TestCorpus holds Valid against each UCUM code in the examples and value sets of
// R4. Those named here are not valid UCUM.
func TestCorpus(t *testing.T) {
	t.Parallel()
	codes := corpus(t)
	if len(codes) < 1000 {
		t.Fatalf("found %d codes, want more than 1000", len(codes))
	}
	var invalid []string
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		if !ucum.Valid(code) {
			invalid = append(invalid, code)
		}
	}
	want := []string{
		"%{Negative Control}", "TAB", "[lb_i]", "drop", "ea", "mEq", "mcg", "ml/hr", "month", "tbl",
		"{# of calculi}", "{# of donor informative markers}", "{# of fetuses}", "{# of informative markers}",
		"{2 or 3 times}/d", "{3 times}/d", "{4 times}/d", "{5 times}/d", "{P2Y12 Reaction Units}", "{clock time}",
	}
	if !slices.Equal(invalid, want) {
		t.Errorf("codes that are not valid: %q\nwant: %q", invalid, want)
	}
}

// corpus returns the codes of system UCUM in the official examples and value sets.
func corpus(t testing.TB) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	for _, name := range []string{"examples", "ValueSet"} {
		for _, r := range resources(t, name) {
			collect(r, codes)
		}
	}
	return codes
}

// resources returns those of a file in the folder of public definitions and
// examples, or skips the test where that is absent.
func resources(t testing.TB, name string) []any {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "r4", name+".ndjson.gz"))
	if err != nil {
		t.Skipf("needs the official R4 definitions and examples: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 64<<20)
	var all []any
	for s.Scan() {
		var r any
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// collect adds the UCUM codes of quantities, codings and value sets in v.
func collect(v any, codes map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			collect(e, codes)
		}
	case map[string]any:
		if v["system"] == "http://unitsofmeasure.org" {
			add(v["code"], codes)
			concepts, _ := v["concept"].([]any)
			for _, c := range concepts {
				if c, ok := c.(map[string]any); ok {
					add(c["code"], codes)
				}
			}
		}
		for _, e := range v {
			collect(e, codes)
		}
	}
}

func add(code any, codes map[string]bool) {
	if s, ok := code.(string); ok {
		codes[s] = true
	}
}
