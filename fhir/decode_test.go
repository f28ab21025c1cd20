package fhir_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// shared returns the path of a file in the folder of public definitions and
// examples, or skips the test where that is absent.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s, the official R4 definitions and examples: %v", name, err)
	}
	return path
}

// examples returns the official R4 examples.
func examples(t testing.TB) []string {
	t.Helper()
	f, err := os.Open(shared(t, "r4/examples.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 64<<20)
	var lines []string
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// broken returns the examples that R4 itself gets wrong, each with the element
// to blame.
func broken(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "broken-examples.txt"))
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			t.Fatalf("broken-examples.txt: %q is not name, element and reason between tabs", line)
		}
		list[fields[0]] = fields[1]
	}
	return list
}

// name returns the type and id of an example.
func name(t testing.TB, example string) string {
	t.Helper()
	var head struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(example), &head); err != nil {
		t.Fatal(err)
	}
	return head.ResourceType + "/" + head.ID
}

func TestDecodeExamples(t *testing.T) {
	t.Parallel()
	wrong := broken(t)
	refused := map[string]bool{}
	for _, example := range examples(t) {
		id := name(t, example)
		_, err := fhir.Decode("", []byte(example))
		switch element, ok := wrong[id]; {
		case err == nil:
		case !ok:
			t.Errorf("%s: %v", id, err)
		case !slices.Contains(expressions(err), element):
			t.Errorf("%s: %v; want an issue at %s", id, err, element)
		default:
			refused[id] = true
		}
	}
	for id := range wrong {
		if !refused[id] {
			t.Errorf("%s was accepted or is gone; it is in broken-examples.txt", id)
		}
	}
}

func expressions(err error) []string {
	var list []string
	if o := fhir.AsOutcome(err); o != nil {
		for _, is := range o.Issues {
			list = append(list, is.Expression)
		}
	}
	return list
}

func TestRoundTripExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, example := range examples(t) {
		r, err := fhir.Decode("", []byte(example))
		if err != nil {
			continue
		}
		n++
		if problem := roundTrip(r); problem != "" {
			t.Errorf("%s: %s", name(t, example), problem)
		}
	}
	if n < 700 {
		t.Errorf("only %d examples made the round trip", n)
	}
}

var stamped = time.Date(2024, 2, 29, 12, 30, 15, 678e6, time.UTC)

// roundTrip stores, stamps and decodes r and says what has changed that should
// not, or "".
func roundTrip(r *fhir.Resource) string {
	k := fhir.Key{Type: r.Type(), ID: "round-trip"}
	stored := r.Stored(k.ID)
	if !bytes.HasPrefix(stored, []byte(`{"resourceType":"`+k.Type+`","id":"round-trip"`)) {
		return "the stored form does not begin with type and id"
	}
	back, err := fhir.Decode(k.Type, fhir.Stamp(nil, stored, k, fhir.Meta{Version: 7, Updated: stamped}))
	switch {
	case err != nil:
		return "the stamped form is refused: " + err.Error()
	case back.ID() != k.ID || back.VersionID() != "7":
		return "the stamp has the wrong id or version"
	case back.Root().Child("meta").Child("lastUpdated").Text() != "2024-02-29T12:30:15.678Z":
		return "the stamp has the wrong time"
	case !reflect.DeepEqual(content(r.Source()), content(back.Source())):
		return "values have changed"
	case !bytes.Equal(stored, back.Stored(k.ID)):
		return "storing it again makes a different stored form"
	}
	return ""
}

// content returns the values of a resource, numbers as text, without what the
// server decides: id, meta.versionId and meta.lastUpdated.
func content(src []byte) map[string]any {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF"))))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return map[string]any{"error": err.Error()}
	}
	delete(m, "id")
	meta, _ := m["meta"].(map[string]any)
	for _, name := range []string{"versionId", "_versionId", "lastUpdated", "_lastUpdated"} {
		delete(meta, name)
	}
	if len(meta) == 0 {
		delete(m, "meta")
	}
	return m
}
