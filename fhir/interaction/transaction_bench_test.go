package interaction_test

import (
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// bundleSize is how many entries the benchmarks send at once.
const bundleSize = 100

func communications(b *testing.B) []interaction.Entry {
	entries := make([]interaction.Entry, bundleSize)
	for i := range entries {
		entries[i] = named(b, fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", i), "POST Communication", fmt.Sprintf(
			`{"resourceType":"Communication","identifier":[{"system":"urn:x","value":"%d"}],"status":"completed","subject":{"reference":"Patient/a"},"sender":{"reference":"Practitioner/a"},"recipient":[{"reference":"Organization/c"}],"sent":"2026-05-05T10:00:00Z","payload":[{"contentString":"The letter of %d, as it was sent."}]}`, i, i))
	}
	return entries
}

// BenchmarkTransaction creates 100 Communications a time. Compare the resources a
// second with BenchmarkSingles.
func BenchmarkTransaction(b *testing.B) {
	w := newWorld(b)
	for name, s := range map[string]*interaction.Session{"trusted": w.trusted, "doctor": w.as(w.doctor("a")), "system": w.as(w.system(access.AssertAuthor))} {
		b.Run(name, func(b *testing.B) {
			entries := communications(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Transaction(b.Context(), bundle(entries...)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(bundleSize*b.N)/b.Elapsed().Seconds(), "resources/s")
		})
	}
}

// BenchmarkBatch does so with batches.
func BenchmarkBatch(b *testing.B) {
	w := newWorld(b)
	entries := communications(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.as(w.doctor("a")).Batch(b.Context(), bundle(entries...)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bundleSize*b.N)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkChanges puts the same 100 resources again and again.
func BenchmarkChanges(b *testing.B) {
	w := newWorld(b)
	doctor := w.as(w.doctor("a"))
	made, err := doctor.Transaction(b.Context(), bundle(communications(b)...))
	if err != nil {
		b.Fatal(err)
	}
	entries := make([]interaction.Entry, len(made))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		for i, r := range made {
			entries[i] = request(b, "PATCH "+r.Key.String(), fmt.Sprintf(`[{"op":"replace","path":"/sent","value":"2026-05-05T10:00:%02dZ"}]`, n%60))
		}
		if _, err := doctor.Transaction(b.Context(), bundle(entries...)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bundleSize*b.N)/b.Elapsed().Seconds(), "resources/s")
}

// BenchmarkSingles creates one Communication after the other.
func BenchmarkSingles(b *testing.B) {
	w := newWorld(b)
	for name, s := range map[string]*interaction.Session{"trusted": w.trusted, "doctor": w.as(w.doctor("a"))} {
		b.Run(name, func(b *testing.B) {
			entries := communications(b)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if done, err := s.Create(b.Context(), entries[n%bundleSize].Resource); err != nil || done.Outcome != store.Created {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resources/s")
		})
	}
}
