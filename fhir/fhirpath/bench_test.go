package fhirpath_test

import (
	"path/filepath"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

func input(t testing.TB, name string) fhir.Node {
	t.Helper()
	n, err := decodeFile(t, filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func BenchmarkEvaluate(b *testing.B) {
	for _, c := range []struct{ name, input, expr string }{
		{"path", "patient", "Patient.name.family"},
		{"short", "task", "Task.status"},
		{"where", "patient", "Patient.telecom.where(system = 'phone')"},
		{"union", "patient", "Patient.name.family | Patient.name.given"},
		{"cast", "communication", "Communication.payload.content.ofType(string)"},
		{"resolve", "task", "Task.for.where(resolve() is Patient)"},
		{"extension", "patient", "Patient.extension('http://example.org/none').value"},
		{"invariant", "patient", "Patient.name.all(hasValue() or (children().count() > id.count()))"},
		{"date", "patient", "Patient.birthDate <= @2020-01-01"},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := fhirpath.Compile(c.expr)
			if err != nil {
				b.Fatal(err)
			}
			n := input(b, c.input)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.EvaluateNode(n, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIndex evaluates all search parameters of a type, as a write does.
func BenchmarkIndex(b *testing.B) {
	for _, name := range []string{"patient", "task", "communication"} {
		n := input(b, name)
		var all []*fhirpath.Expression
		for _, p := range spec.R4().SearchParameters {
			if p.Expression != "" && isFor(p, n.Type()) {
				all = append(all, compiler{}.compile(b, p.Expression))
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range all {
					if _, err := e.EvaluateNode(n, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(all)), "expressions")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fhirpath.Compile("Patient.telecom.where(system = 'phone' and use != 'old').value | Patient.contact.telecom.value"); err != nil {
			b.Fatal(err)
		}
	}
}
