package store

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// openInside returns a store and its database.
func openInside(t testing.TB) (*DB, *pgtest.Database) {
	t.Helper()
	database := pgtest.New(t)
	return openOn(t, database), database
}

func openOn(t testing.TB, database *pgtest.Database) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 8, Unsafe: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func decoded(t testing.TB, body string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustPut(t testing.TB, db *DB, body string) Written {
	t.Helper()
	r := decoded(t, body)
	row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	w, err := db.Put(t.Context(), row, Anything)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A heldRow is what the database has of a resource to search by.
type heldRow struct {
	Deleted     bool
	Generation  int
	Keys, Refs  []int64
	Times       [6]string
	S1          string
	Strs, Sorts string
	Ranges      []searchsql.Range
	Words       []byte
}

func readRow(t testing.TB, database *pgtest.Database, rid int64) heldRow {
	t.Helper()
	const query = `SELECT r.deleted, r.idx_gen, r.keys, r.refs,
		ARRAY(SELECT coalesce(x::text, '') FROM unnest(ARRAY[t1, t1h, t2, t2h, t3, t3h]) WITH ORDINALITY o (x, n) ORDER BY n),
		coalesce(r.s1, ''), coalesce(r.strs, ''), coalesce(r.sorts, ''), v.words
		FROM res r JOIN ver v USING (rid, ver) WHERE rid = $1`
	conn, err := database.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), `SET TIME ZONE 'UTC'`); err != nil {
		t.Fatal(err)
	}
	var h heldRow
	var times []string
	if err := conn.QueryRowContext(t.Context(), query, rid).Scan(&h.Deleted, &h.Generation, (*pq.Int64Array)(&h.Keys), (*pq.Int64Array)(&h.Refs),
		(*pq.StringArray)(&times), &h.S1, &h.Strs, &h.Sorts, &h.Words); err != nil {
		t.Fatal(err)
	}
	slices.Sort(h.Keys)
	copy(h.Times[:], times)
	rows, err := conn.QueryContext(t.Context(), `SELECT g.grp, g.lo, g.hi FROM rng g JOIN res r USING (rid, ver) WHERE rid = $1 ORDER BY 1, 2, 3`, rid)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var x searchsql.Range
		if err := rows.Scan(&x.Group, &x.Lo, &x.Hi); err != nil {
			t.Fatal(err)
		}
		h.Ranges = append(h.Ranges, x)
	}
	return h
}

// wantRow is what a resource's index says that its row holds when nobody gives it
// anything.
func wantRow(t testing.TB, db *DB, r *fhir.Resource) heldRow {
	t.Helper()
	ix, err := db.Registry().Index(r.Root(), r.ID())
	if err != nil {
		t.Fatal(err)
	}
	row := db.secret.Row(ix, search.WordsOf(r.Root(), false))
	keys := slices.Concat(row.Keys, db.secret.Accesses(access.Keys(ix, r.Root())))
	slices.Sort(keys)
	h := heldRow{Generation: db.Registry().Generation, Keys: keys, Refs: row.Refs, S1: row.S1, Strs: row.Strs, Sorts: row.Sorts, Ranges: row.Ranges, Words: row.Words}
	for i, span := range row.Times {
		if span.Set {
			h.Times[2*i], h.Times[2*i+1] = timeOf(span.Lo), timeOf(span.Hi)
		}
	}
	slices.SortFunc(h.Ranges, func(a, b searchsql.Range) int {
		return slices.Compare([]float64{float64(a.Group), a.Lo, a.Hi}, []float64{float64(b.Group), b.Lo, b.Hi})
	})
	return h
}

func timeOf(micros float64) string {
	switch {
	case math.IsInf(micros, 1):
		return "20000-01-01 00:00:00+00"
	case math.IsInf(micros, -1):
		return "4001-01-01 00:00:00+00 BC"
	}
	return time.UnixMicro(int64(micros)).UTC().Format("2006-01-02 15:04:05.999999+00")
}

const observation = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
	"subject":{"reference":"Patient/p"},"effectivePeriod":{"start":"2024-03-01"},"valueQuantity":{"value":1.5,"unit":"g","system":"http://unitsofmeasure.org","code":"g"},
	"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":107,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
		{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

func bodyOf(t testing.TB, name string) string {
	t.Helper()
	if name == "observation" {
		return observation
	}
	b, err := os.ReadFile(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestColumns writes resources, updates, deletes and brings them back: the search
// columns are always those of the index, and a golden file shows them.
func TestColumns(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	for _, name := range []string{"task", "patient", "communication", "observation"} {
		r := decoded(t, bodyOf(t, name))
		k := fhir.Key{Type: r.Type(), ID: r.ID()}
		rid, want := db.secret.RID(k), wantRow(t, db, r)
		before := fmt.Sprintf(`{"resourceType":"%s","id":"%s"}`, k.Type, k.ID)
		switch k.Type {
		case "Task":
			before = `{"resourceType":"Task","id":"` + k.ID + `","status":"draft","intent":"order","authoredOn":"2020"}`
		case "Communication":
			before = `{"resourceType":"Communication","id":"` + k.ID + `","status":"preparation","sent":"2020-01-01T00:00:00Z"}`
		case "Observation":
			before = strings.Replace(observation, "107", "108", 1)
		}
		for _, step := range []string{"create", "update away", "update back", "delete", "bring back"} {
			switch step {
			case "update away":
				mustPut(t, db, before)
				if diff := cmp.Diff(wantRow(t, db, decoded(t, before)), readRow(t, database, rid), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s, %s: (-want +got)\n%s", name, step, diff)
				}
				continue
			case "delete":
				if w, err := db.Delete(t.Context(), k, Anything, "", nil); err != nil || w.Outcome != Removed {
					t.Fatal(w, err)
				}
				if diff := cmp.Diff(heldRow{Deleted: true, Generation: want.Generation, Keys: []int64{}, Refs: []int64{}}, readRow(t, database, rid), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s, %s: (-want +got)\n%s", name, step, diff)
				}
				continue
			}
			mustPut(t, db, bodyOf(t, name))
			if diff := cmp.Diff(want, readRow(t, database, rid), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s: (-want +got)\n%s", name, step, diff)
			}
		}
		golden(t, name, readRow(t, database, rid))
	}
	var left int
	if err := database.QueryRow(`SELECT count(*) FROM rng g WHERE NOT EXISTS (SELECT FROM res r WHERE r.rid = g.rid AND r.ver = g.ver)`).Scan(&left); err != nil || left > 0 {
		t.Errorf("%d ranges of earlier versions are left over, %v", left, err)
	}
}

// golden compares what can be read of a row with a file. Hashes are those of one
// installation only.
func golden(t *testing.T, name string, h heldRow) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "keys %d, refs %d, words in %d bytes\n", len(h.Keys), len(h.Refs), len(h.Words))
	for i, text := range h.Times {
		if text != "" {
			fmt.Fprintf(&b, "t%d%s %s\n", i/2+1, strings.Repeat("h", i%2), text)
		}
	}
	fmt.Fprintf(&b, "s1 %q\nstrs %q\nsorts %q\n", h.S1, h.Strs, h.Sorts)
	var ranges []string
	for _, x := range h.Ranges {
		ranges = append(ranges, fmt.Sprintf("range %v to %v\n", x.Lo, x.Hi))
	}
	slices.Sort(ranges)
	b.WriteString(strings.Join(ranges, ""))
	file := filepath.Join("testdata", "rows", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", name, diff)
	}
}

// TestRangesAfterARace lets writers put different quantities in one resource:
// in the end it is found by those of its current version only.
func TestRangesAfterARace(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	race(8, func(n int) {
		for i := range 10 {
			r := decoded(t, strings.Replace(observation, "107", fmt.Sprint(100*n+i), 1))
			row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := db.Put(t.Context(), row, Anything); err != nil {
				t.Error(err)
			}
		}
	})
	k := fhir.Key{Type: "Observation", ID: "o"}
	v, err := db.Read(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	r := decoded(t, string(v.Stored))
	if diff := cmp.Diff(wantRow(t, db, r), readRow(t, database, db.secret.RID(k)), cmpopts.EquateEmpty()); diff != "" || v.Number != 80 {
		t.Errorf("version %d: (-want +got)\n%s", v.Number, diff)
	}
}
