package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// folder is where the official definitions should be.
func folder() (string, error) {
	if shared := os.Getenv("OPENCONSULT_SHARED"); shared != "" {
		return filepath.Join(shared, "r4"), nil
	}
	root, err := repository()
	return filepath.Join(root, "..", "shared", "r4"), err
}

// official reads the official definitions once for all tests.
var official = sync.OnceValues(func() (*source, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	return readSource(dir)
})

// definitions returns the folder of the official definitions or skips the test.
func definitions(t *testing.T) string {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no official definitions in %s; set OPENCONSULT_SHARED to the folder that holds r4", dir)
	}
	return dir
}

func build(t *testing.T) *model {
	t.Helper()
	src, err := official()
	if err != nil {
		t.Fatal(err)
	}
	m, err := buildModel(src)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func committed(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../data/r4.bin")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDigestIsCurrent(t *testing.T) {
	t.Parallel()
	dir, out := definitions(t), filepath.Join(t.TempDir(), "r4.bin")
	if err := run([]string{"-definitions", dir, "-out", out}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, committed(t)) {
		t.Fatal("data/r4.bin is not what gen writes: run go generate ./fhir/spec")
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	t.Parallel()
	definitions(t)
	for range 3 {
		got, err := encode(build(t))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, committed(t)) {
			t.Fatal("another run writes another digest")
		}
	}
}

// TestPackageFolder lays the definitions out as the unpacked package and wants
// the same digest.
func TestPackageFolder(t *testing.T) {
	t.Parallel()
	from, root := definitions(t), t.TempDir()
	dir := filepath.Join(root, "package")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"StructureDefinition", "ValueSet", "CodeSystem", "SearchParameter", "CompartmentDefinition"} {
		unpack(t, filepath.Join(from, name+".ndjson.gz"), filepath.Join(dir, name))
	}
	got, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, committed(t)) {
		t.Error("the package folder gives another digest than the archives")
	}
}

func unpack(t *testing.T, archive, prefix string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(z)
	for i := 0; ; i++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		save(t, fmt.Sprintf("%s-%d.json", prefix, i), raw)
	}
}

func save(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCompare changes one fact of the model at a time and wants it reported.
func TestCompare(t *testing.T) {
	t.Parallel()
	definitions(t)
	tests := []struct {
		name   string
		change func(*model)
		want   string
	}{
		{"missing resource", func(m *model) { delete(m.types, "Basic") }, "Basic: no such type"},
		{"unknown resource", func(m *model) {
			x := *m.types["Basic"]
			x.name = "Plain"
			m.types["Plain"] = &x
		}, "Plain: no descriptor"},
		{"order", func(m *model) {
			e := m.types["HumanName"].elements
			e[2], e[3] = e[3], e[2]
		}, "HumanName: elements"},
		{"required", func(m *model) { find(m, "Communication", "status").min = 0 }, "Communication.status: min 0"},
		{"repeats", func(m *model) { find(m, "Patient", "name").max = 1 }, "Patient.name: repeats false"},
		{"type", func(m *model) { find(m, "Patient", "birthDate").types[0].name = "dateTime" }, "Patient.birthDate: type dateTime"},
		{"choice", func(m *model) { find(m, "Patient", "deceased").choice = false }, "Patient.deceased[x]: choice false"},
		{"variant", func(m *model) {
			e := find(m, "Patient", "deceased")
			e.types = e.types[:1]
		}, "Patient.deceased[x]: types only ours [], only descriptor [DateTime]"},
		{"target", func(m *model) {
			find(m, "Communication", "subject").types[0].targets = []string{"Patient"}
		}, "Communication.subject: targets [Patient]"},
		{"component", func(m *model) {
			find(m, "QuestionnaireResponse.item.answer", "item").types[0].name = "QuestionnaireResponse.item.answer"
		}, "stands for QuestionnaireResponse.item too"},
		{"code", func(m *model) {
			v := m.bindings["http://hl7.org/fhir/ValueSet/event-status|4.0.1"]
			v.Codes = v.Codes[1:]
		}, "Communication.status: codes only ours [], only descriptor [preparation]"},
		{"no codes", func(m *model) { find(m, "Patient", "gender").valueSet = "" }, "Patient.gender: codes only ours []"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := build(t)
			tt.change(m)
			found := compare(m)
			if !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("disagreements %q, want one with %q", found, tt.want)
			}
			if explain(found) == nil {
				t.Error("the disagreement counts as explained")
			}
		})
	}
}

func find(m *model, owner, name string) *element {
	for _, e := range m.types[owner].elements {
		if e.name == name {
			return e
		}
	}
	return nil
}

func TestExplain(t *testing.T) {
	t.Parallel()
	var known []string
	for s := range explained {
		known = append(known, s)
	}
	if err := explain(known); err != nil {
		t.Errorf("known disagreements: %v", err)
	}
	if err := explain(known[1:]); err == nil {
		t.Error("an explanation without its disagreement passes")
	}
	if err := explain(append(known, "Patient: no descriptor")); err == nil {
		t.Error("a new disagreement passes")
	}
}

func TestEnumerate(t *testing.T) {
	t.Parallel()
	const system = "http://example.org/s"
	src := &source{
		codeSystems: map[string]*codeSystem{
			system:     {URL: system, Content: "complete", Concept: []concept{{Code: "a", Concept: []concept{{Code: "b"}}}, {Code: "c"}}},
			"fragment": {URL: "fragment", Content: "fragment"},
		},
		valueSets: make(map[string]*valueSet),
	}
	tests := []struct{ name, compose, want string }{
		{"system", `{"include":[{"system":"http://example.org/s"}]}`, "a b c"},
		{"concepts", `{"include":[{"system":"x","concept":[{"code":"q"},{"code":"p"}]}]}`, "q p"},
		{"twice", `{"include":[{"system":"http://example.org/s"},{"system":"http://example.org/s","concept":[{"code":"c"}]}]}`, "a b c"},
		{"exclude", `{"include":[{"system":"http://example.org/s"}],"exclude":[{"system":"http://example.org/s","concept":[{"code":"a"}]}]}`, "b c"},
		{"fragment", `{"include":[{"system":"fragment"}]}`, "error"},
		{"unknown", `{"include":[{"system":"y"}]}`, "error"},
		{"filter", `{"include":[{"system":"http://example.org/s","filter":[{"property":"concept","op":"is-a","value":"a"}]}]}`, "error"},
		{"nested", `{"include":[{"valueSet":["z"]}]}`, "error"},
		{"excluded filter", `{"include":[{"system":"http://example.org/s"}],"exclude":[{"system":"http://example.org/s","filter":[{}]}]}`, "error"},
	}
	for _, tt := range tests {
		v := &valueSet{URL: tt.name}
		if err := json.Unmarshal([]byte(tt.compose), &v.Compose); err != nil {
			t.Fatal(err)
		}
		src.valueSets[tt.name] = v
		var codes []string
		set, err := src.enumerate(tt.name)
		if err != nil {
			codes = []string{"error"}
		}
		if set != nil {
			for _, c := range set.Codes {
				codes = append(codes, c.Code)
			}
		}
		if got := strings.Join(codes, " "); got != tt.want {
			t.Errorf("%s lists %q (%v), want %q", tt.name, got, err, tt.want)
		}
	}
}
