package fhir_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func BenchmarkDecode(b *testing.B) {
	in := inputs(b)
	for _, name := range []string{"communication", "task", "patient", "qr30", "qr300", "bundle100"} {
		src := in[name]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fhir.Decode("", src); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/write", func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				r, err := fhir.Decode("", src)
				if err != nil {
					b.Fatal(err)
				}
				out = fhir.Stamp(out[:0], r.Stored("a"), fhir.Key{Type: r.Type(), ID: "a"}, fhir.Meta{Version: 1, Updated: stamped})
			}
		})
	}
}
