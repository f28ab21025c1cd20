package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestCoreIsCurrent(t *testing.T) {
	t.Parallel()
	dir := definitions(t)
	want, err := os.ReadFile("../../definition/data/core.bin")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "core.bin")
	for range 2 {
		if err := run([]string{"-definitions", dir, "-core", out}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("fhir/definition/data/core.bin is not what gen writes: run make gen")
		}
	}
}

// TestCoreOfPackageFolder lays the definitions out as the unpacked package and wants
// the same archive.
func TestCoreOfPackageFolder(t *testing.T) {
	t.Parallel()
	from, root := definitions(t), t.TempDir()
	dir := filepath.Join(root, "package")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range coreTypes {
		unpack(t, filepath.Join(from, name+".ndjson.gz"), filepath.Join(dir, name))
	}
	got, err := generateCore(root)
	if err != nil {
		t.Fatal(err)
	}
	want, err := generateCore(from)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the package folder gives another archive")
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"narrative", `{"resourceType":"ValueSet","text":{"div":"<div/>"},"url":"u"}`, `{"resourceType":"ValueSet","url":"u"}`},
		{"companion", `{"url":"u","description":"d","_description":{"id":"x"},"title":"t"}`, `{"url":"u","title":"t"}`},
		{"same name below", `{"url":"u","concept":[{"code":"c","text":1,"mapping":2}]}`, `{"url":"u","concept":[{"code":"c","text":1,"mapping":2}]}`},
		{"element", `{"url":"u","differential":{"element":[{"path":"p","comment":"c","binding":{"description":"d","strength":"required"},"constraint":[{"key":"k","xpath":"x"}]}]}}`,
			`{"url":"u","differential":{"element":[{"path":"p","binding":{"strength":"required"},"constraint":[{"key":"k"}]}]}}`},
		{"editorial", `{"url":"u","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg","valueCode":"fhir"}]}`, `{"url":"u"}`},
		{"other extension", `{"url":"u","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-fmm","valueInteger":1},{"url":"x","valueCode":"fhir"}]}`,
			`{"url":"u","extension":[{"url":"x","valueCode":"fhir"}]}`},
		{"extension below", `{"url":"u","concept":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg"}]}]}`,
			`{"url":"u","concept":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg"}]}]}`},
		{"numbers and escapes", ` { "url" : "u", "n" : [ 1.10, -0e2, "<\u00e9\n>" ] } `, `{"url":"u","n":[1.10,-0e2,"<é\n>"]}`},
	}
	for _, tt := range tests {
		c, err := newCoreDefinition([]byte(tt.src))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if string(c.text) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, c.text, tt.want)
		}
	}
	for _, src := range []string{`{}`, `{"url":""}`, `{"url":"u",`, `{"url":"u","url":"v"}`, `[]`} {
		if c, err := newCoreDefinition([]byte(src)); err == nil {
			t.Errorf("%s gives %s", src, c.text)
		}
	}
}
