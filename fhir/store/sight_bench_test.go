package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// BenchmarkSight runs the same searches for who sees everything and for staff with
// 3, 20 and 100 keys, of which the last is that of an organisation that takes part
// in everything; a tenth of it is hidden from them.
func BenchmarkSight(b *testing.B) {
	db, database := openInside(b)
	big := access.Key{Kind: access.Party, Of: "Organization/big"}
	const patients, batch = 110_000, 10_000
	for from := 0; from < patients; from += batch {
		var bodies []string
		for n := from; n < from+batch; n++ {
			bodies = append(bodies, fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","status":"%s","intent":"order","for":{"reference":"Patient/pa%d"},"owner":{"reference":"Organization/or%d"},"authoredOn":"2024-%02d-%02d"}`,
				n, []string{"requested", "failed"}[n/4%2], n, n%300, 1+n/28%12, 1+n%28))
		}
		copyIn(b, db, bodies, func(n int) []access.Key { return append(keysOfMany(2*(from+n)+n%2), big) })
	}
	if _, err := database.Exec("ANALYZE"); err != nil {
		b.Fatal(err)
	}
	if err := db.readStatistics(b.Context()); err != nil {
		b.Fatal(err)
	}
	grants := map[string]access.Grant{"all": access.Trusted("test")}
	for _, n := range []int{3, 20, 100} {
		parties := []access.Key{{Kind: access.Open}}
		for i := range n - 2 {
			parties = append(parties, access.Key{Kind: access.Party, Of: fmt.Sprintf("Practitioner/pr%d", i)})
		}
		grants[fmt.Sprintf("%d keys", n)] = seeing(append(parties, big), access.DeniedLabels(nil, false))
	}
	w := newWorld(db, 1)
	for _, text := range []string{"Task?owner=Organization/or7&status=requested&_sort=-authored-on", "Task?owner=Organization/or7,Organization/or8,Organization/or9,Organization/or10", "Task?status=requested&_sort=-_lastUpdated", "Task?authored-on=2024-05-05&_total=accurate"} {
		for _, name := range []string{"all", "3 keys", "20 keys", "100 keys"} {
			b.Run(text+"/"+name, func(b *testing.B) {
				q, least := w.ask(b, text), time.Hour
				for b.Loop() {
					began := time.Now()
					if m, err := db.Search(b.Context(), grants[name], q, ""); err != nil || len(m.Versions) == 0 {
						b.Fatal(m, err)
					}
					least = min(least, time.Since(began))
				}
				b.ReportMetric(float64(least.Microseconds()), "least-µs")
			})
		}
	}
	b.Run("history of a type/all", func(b *testing.B) { history(b, db, grants["all"]) })
	b.Run("history of a type/20 keys", func(b *testing.B) { history(b, db, grants["20 keys"]) })
}

func history(b *testing.B, db *DB, g access.Grant) {
	for b.Loop() {
		if p, err := db.History(b.Context(), g, History{Type: "Task", Count: 50}); err != nil || len(p.Versions) != 50 {
			b.Fatal(fhir.AsOutcome(err), err)
		}
	}
}
