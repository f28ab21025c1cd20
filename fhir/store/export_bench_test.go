package store

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// pressure returns a resource of the usual size.
func pressure(n int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"ob%d","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel with all children optional"}],"text":"Blood pressure systolic and diastolic"},"subject":{"reference":"Patient/pa%d"},"encounter":{"reference":"Encounter/en%d"},"effectiveDateTime":"20%02d-%02d-%02dT08:%02d:12+01:00","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic blood pressure"}]},"valueQuantity":{"value":%d.%d,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic blood pressure"}]},"valueQuantity":{"value":%d.%d,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`,
		n, n%1000, n, n%20, 1+n%12, 1+n%28, n%60, 60+n%30, n%97, 100+n%50, n%89)
}

// plan returns all that x has for g.
func plan(t testing.TB, db *DB, g access.Grant, x Export) (versions, deletions List) {
	t.Helper()
	err := db.PlanExport(t.Context(), g, x, PlanFrom, func(p Planned) error {
		versions, deletions = append(versions, p.Versions...), append(deletions, p.Deletions...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return versions, deletions
}

func stamped(dst []byte, v *Version) ([]byte, error) {
	return append(fhir.Stamp(dst, v.Stored, v.Key, fhir.Meta{Version: v.Number, Updated: v.Updated}), '\n'), nil
}

// BenchmarkExport holds an export against reading the same bodies in the same order
// by SQL, packed as they are.
func BenchmarkExport(b *testing.B) {
	db, database := openInside(b)
	const all, batch = 100_000, 10_000
	for from := 0; from < all; from += batch {
		var bodies []string
		for n := from; n < from+batch; n++ {
			bodies = append(bodies, pressure(n))
		}
		copyIn(b, db, bodies, func(n int) []access.Key { return keysOfMany(2*(from+n) + n%2) })
	}
	if _, err := database.Exec("VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
	at, err := db.Instant(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	x := Export{At: at, Type: "Observation"}
	trusted := access.Trusted("test")
	l, _ := plan(b, db, trusted, x)
	if len(l) != all {
		b.Fatal(len(l))
	}
	per := func(b *testing.B, bytes int) {
		b.ReportMetric(float64(all*b.N)/b.Elapsed().Seconds(), "resources/s")
		b.SetBytes(int64(bytes / b.N))
	}
	b.Run("SQL", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			bytes += readAll(b, database.DB, "SELECT v.body FROM res_observation r JOIN ver v ON v.rid = r.rid AND v.ver = r.ver WHERE NOT r.deleted ORDER BY r.rid", all)
		}
		per(b, bytes)
	})
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			plan(b, db, trusted, x)
		}
		per(b, 0)
	})
	b.Run("export", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			err := db.ReadExport(b.Context(), trusted, "Observation", l, Exporter{stamped, func(text []byte) error {
				bytes += len(text)
				return nil
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
		per(b, bytes)
	})
	g := seeing(append(keysOfMany(3), access.Key{Kind: access.Open}), access.DeniedLabels(nil, false))
	b.Run("export/some", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			err := db.ReadExport(b.Context(), g, "Observation", l, Exporter{stamped, func(text []byte) error {
				bytes += len(text)
				return nil
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
		per(b, bytes)
	})
}

func readAll(b *testing.B, db *sql.DB, query string, want int) (bytes int) {
	rows, err := db.Query(query)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var body sql.RawBytes
		if err := rows.Scan(&body); err != nil {
			b.Fatal(err)
		}
		n, bytes = n+1, bytes+len(body)
	}
	if n != want || rows.Err() != nil {
		b.Fatal(n, rows.Err())
	}
	return bytes
}
