package validate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func BenchmarkCommunication(b *testing.B) { measure(b, input(b, "communication")) }

func BenchmarkTask(b *testing.B) { measure(b, input(b, "task")) }

func BenchmarkPatient(b *testing.B) { measure(b, input(b, "patient")) }

func BenchmarkQuestionnaireResponse30(b *testing.B) { measure(b, answers(30)) }

// input returns a resource of typical shape, of 2 kB or more.
func input(tb testing.TB, name string) []byte {
	tb.Helper()
	src, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	if len(src) < 2000 {
		tb.Fatalf("%s has %d bytes", name, len(src))
	}
	return src
}

// answers returns a QuestionnaireResponse with n answers in groups of ten.
func answers(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"resourceType":"QuestionnaireResponse","questionnaire":"https://fhir.example.org/Questionnaire/skin|1.0","status":"completed","subject":{"reference":"Patient/p-204"},"authored":"2024-03-04T09:00:00+01:00","item":[`)
	for i := range n {
		switch {
		case i%10 == 0 && i > 0:
			fmt.Fprintf(&b, `]},{"linkId":"group-%d","item":[`, i/10)
		case i == 0:
			b.WriteString(`{"linkId":"group-0","item":[`)
		default:
			b.WriteByte(',')
		}
		value := [...]string{`"valueBoolean":true`, `"valueQuantity":{"value":37.5,"system":"http://unitsofmeasure.org","code":"Cel"}`, `"valueString":"It began in March and has not changed since."`, `"valueCoding":{"system":"http://snomed.info/sct","code":"373066001","display":"Yes"}`}[i%4]
		fmt.Fprintf(&b, `{"linkId":"question-%d","text":"How does question %[1]d apply?","answer":[{%s}]}`, i, value)
	}
	b.WriteString(`]}]}`)
	return []byte(b.String())
}

// measure decodes and checks src, as a write does, and checks it alone.
func measure(b *testing.B, src []byte) {
	v := validator()
	run := func(r *fhir.Resource) {
		issues, err := v.Check(context.Background(), r.Root(), Options{})
		if err != nil || len(refusals(issues)) > 0 {
			b.Fatal(issues, err)
		}
	}
	r, err := fhir.Decode("", src)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			r, err := fhir.Decode("", src)
			if err != nil {
				b.Fatal(err)
			}
			run(r)
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			run(r)
		}
	})
}
