package definition

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestCoreIsWhole(t *testing.T) {
	t.Parallel()
	counts := make(map[string]int)
	concepts := 0
	for i, e := range core().entries {
		counts[e.typ]++
		if i > 0 {
			if p := core().entries[i-1]; p.typ > e.typ || p.typ == e.typ && p.url >= e.url {
				t.Errorf("%s %s stands behind %s %s", e.typ, e.url, p.typ, p.url)
			}
		}
		root, err := e.root()
		if err != nil {
			t.Error(err)
			continue
		}
		d := Of(root)
		if d.Type != e.typ || d.URL != e.url || d.Version != e.version || d.Status != e.status {
			t.Errorf("the index has %s %s|%s %s, the text %s %s", e.typ, e.url, e.version, e.status, d.Type, d.Canonical())
		}
		if e.typ == "CodeSystem" {
			concepts += countConcepts(root)
		}
	}
	for typ, want := range map[string]int{"CodeSystem": 1062, "ConceptMap": 80, "StructureDefinition": 444, "ValueSet": 1316} {
		if counts[typ] != want {
			t.Errorf("%d of %s, want %d", counts[typ], typ, want)
		}
	}
	if concepts != 20731 {
		t.Errorf("%d concepts, want 20731", concepts)
	}
}

func countConcepts(n fhir.Node) int {
	count := 0
	for c := range n.Each("concept") {
		count += 1 + countConcepts(c)
	}
	return count
}

// TestCoreKeeps wants what validation, terminology and forms work by, and nothing of
// what they do not.
func TestCoreKeeps(t *testing.T) {
	t.Parallel()
	tests := []struct{ typ, url, keeps string }{
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/vitalsigns", `"key":"vs-2"`},
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/vitalsigns", `"slicing":`},
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/bodyweight", `"fixedCode":`},
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", `"context":`},
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/questionnaire-unit", `"contextInvariant":`},
		{"StructureDefinition", "http://hl7.org/fhir/StructureDefinition/SimpleQuantity", `"max":"0"`},
		{"CodeSystem", "http://terminology.hl7.org/CodeSystem/v3-ActCode", `"property":`},
		{"CodeSystem", "http://terminology.hl7.org/CodeSystem/v2-0001", `"designation":`},
		{"CodeSystem", "http://snomed.info/sct", `"content":"not-present"`},
		{"ValueSet", "http://hl7.org/fhir/ValueSet/condition-code", `"filter":`},
		{"ConceptMap", "http://hl7.org/fhir/ConceptMap/101", `"equivalence":`},
	}
	for _, tt := range tests {
		found := core().find(tt.typ, tt.url)
		if len(found) != 1 {
			t.Errorf("%d of %s %s", len(found), tt.typ, tt.url)
			continue
		}
		root, err := found[0].root()
		if err != nil {
			t.Error(err)
		}
		text := string(root.Raw())
		if !strings.Contains(text, tt.keeps) {
			t.Errorf("%s %s is without %s: %.500s", tt.typ, tt.url, tt.keeps, text)
		}
		for _, gone := range []string{"snapshot", "mapping", "text", "contact"} {
			if !root.Child(gone).IsZero() {
				t.Errorf("%s %s has %s", tt.typ, tt.url, gone)
			}
		}
	}
}

func TestArchiveRefusesDamage(t *testing.T) {
	t.Parallel()
	whole := coreArchive
	for n := 0; n < len(whole); n += 1 + len(whole)/50 {
		if _, err := openArchive(whole[:n]); err == nil {
			t.Errorf("the first %d bytes open", n)
		}
	}
	if _, err := openArchive(append(whole[:len(whole):len(whole)], 0)); err == nil {
		t.Error("an archive with a byte too many opens")
	}
}

func FuzzArchiveIndex(f *testing.F) {
	f.Add([]byte("\x01\x08ValueSet\x01u\x011\x06active\x00\x00\x02"))
	f.Add([]byte("\x02\x00"))
	f.Fuzz(func(t *testing.T, index []byte) {
		a := &archive{chunks: [][]byte{nil}, unpacked: -1}
		if err := a.readIndex(newReader(index)); err != nil {
			return
		}
		for _, e := range a.entries {
			if _, err := e.root(); err == nil && e.length > 0 {
				t.Errorf("%s %s is in an empty chunk", e.typ, e.url)
			}
		}
	})
}

func BenchmarkOpenCore(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := openArchive(coreArchive); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRootFirst takes a profile of a chunk that was not unpacked before.
func BenchmarkRootFirst(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		a, err := openArchive(coreArchive)
		if err != nil {
			b.Fatal(err)
		}
		e := a.find("StructureDefinition", "http://hl7.org/fhir/StructureDefinition/vitalsigns")[0]
		b.StartTimer()
		if _, err := e.root(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRootAll decodes everything that comes with the server.
func BenchmarkRootAll(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		a, err := openArchive(coreArchive)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range a.entries {
			if _, err := e.root(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
