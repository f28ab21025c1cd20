package validate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// shared returns the path of public test data, and skips the test where it is not.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the public test data %s is not here", path)
	}
	return path
}

// examples returns the lines of the published examples of R4.
func examples(t testing.TB) [][]byte {
	t.Helper()
	return lines(t, shared(t, "r4/examples.ndjson.gz"))
}

// lines returns the lines of a packed file.
func lines(t testing.TB, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	scanner := bufio.NewScanner(unpacked)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		all = append(all, bytes.Clone(scanner.Bytes()))
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// decoded returns those examples that are well-formed.
func decoded(t testing.TB) []fhir.Node {
	t.Helper()
	var roots []fhir.Node
	for _, line := range examples(t) {
		if r, err := fhir.Decode("", line); err == nil {
			roots = append(roots, r.Root())
		}
	}
	return roots
}

// each calls use for n and everything in it.
func each(n fhir.Node, use func(fhir.Node)) {
	use(n)
	for c := range n.Children() {
		each(c, use)
	}
}

// verdicts returns what is wrong with a resource: that of the decoder, or else that of
// the checks.
func verdicts(t testing.TB, v *Validator, src []byte, o Options) []fhir.Issue {
	t.Helper()
	r, err := fhir.Decode("", src)
	if out := fhir.AsOutcome(err); out != nil {
		return out.Issues
	}
	if err != nil {
		t.Fatal(err)
	}
	issues, err := v.Check(context.Background(), r.Root(), o)
	if err != nil {
		t.Fatal(err)
	}
	return issues
}

// refusals returns rule or code and place of the issues that refuse.
func refusals(issues []fhir.Issue) []string {
	var list []string
	for _, is := range issues {
		if is.Severity > fhir.Fatal {
			continue
		}
		what := is.Detail
		if what == "" {
			what = string(is.Code)
		}
		list = append(list, what+" "+is.Expression)
	}
	return list
}

// reasons reads a file of lines "name: reason".
func reasons(t testing.TB, name string) map[string]string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") {
			continue
		}
		name, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Fatalf("%q gives no reason", line)
		}
		known[name] = reason
	}
	return known
}

// TestExamples holds the published examples of R4 to the rules of R4. Those that break
// one are listed with the reason.
func TestExamples(t *testing.T) {
	t.Parallel()
	all := examples(t)
	if len(all) != 720 {
		t.Errorf("there are %d examples, not 720", len(all))
	}
	holdPublished(t, "examples.txt", all)
}

// TestDefinitions does so for the definitions of R4.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(shared(t, "r4"), "[A-Z]*.ndjson.gz"))
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	var all [][]byte
	for _, name := range files {
		all = append(all, lines(t, name)...)
	}
	holdPublished(t, "definitions.txt", all)
}

// TestDomain checks the messages, Tasks and forms that the product is made for. Those
// that are named invalid may be refused.
func TestDomain(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(shared(t, "domain"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := validator()
	checked := 0
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(src[:min(len(src), 100)], []byte(`"resourceType"`)) {
			continue
		}
		checked++
		list := refusals(verdicts(t, v, src, Options{Warnings: true}))
		if invalid := strings.Contains(name, "invalid"); len(list) > 0 && !invalid {
			t.Errorf("%s: %s", filepath.Base(name), strings.Join(list, ", "))
		}
		if strings.Contains(name, "qrs1") && !slices.Equal(list, []string{"qrs-1 QuestionnaireResponse.item[1].item[0]"}) {
			t.Errorf("%s: %s", filepath.Base(name), strings.Join(list, ", "))
		}
	}
	t.Logf("%d resources", checked)
	if checked < 20 {
		t.Errorf("only %d resources were checked", checked)
	}
}

// holdPublished checks what R4 publishes. What is refused has to be listed, and every
// invariant has to be evaluated.
func holdPublished(t *testing.T, list string, all [][]byte) {
	t.Helper()
	known, met := reasons(t, list), map[string]bool{}
	v := validator()
	refused := 0
	for _, line := range all {
		var head struct{ ResourceType, ID string }
		if err := json.Unmarshal(line, &head); err != nil {
			t.Fatal(err)
		}
		name := head.ResourceType + "/" + head.ID
		issues := verdicts(t, v, line, Options{Warnings: true})
		for _, is := range issues {
			if is.Detail == "rule-not-evaluated" {
				t.Errorf("%s: %s at %s could not be evaluated", name, is.Rule, is.Expression)
			}
		}
		found := refusals(issues)
		if len(found) == 0 {
			continue
		}
		refused++
		met[name] = true
		if known[name] == "" {
			t.Errorf("%s: %s", name, strings.Join(found[:min(4, len(found))], ", "))
		}
	}
	t.Logf("%d resources, %d refused", len(all), refused)
	for name := range known {
		if !met[name] {
			t.Errorf("%s is listed, but nothing is wrong with it", name)
		}
	}
}

func sorted[T any](m map[string]T) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
