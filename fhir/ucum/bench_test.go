package ucum_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir/ucum"
)

func BenchmarkCanonical(b *testing.B) {
	for _, code := range []string{"mg", "mmol/L", "mm[Hg]", "kg/m2", "10*9/L", "{score}", "[iU]/L", "/min", "mL/min/{1.73_m2}", "Cel", "[degF]", "dB", "mcg"} {
		b.Run(code, func(b *testing.B) {
			value := decimal(b, "36.6")
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = ucum.Canonical(value, code)
			}
		})
	}
}

func BenchmarkComparable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ucum.Comparable("mg/dL", "g/L")
	}
}
