package store

import (
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestCreate goes through what a creation may meet: nothing, a version, a
// deletion, gifts, and gifts that lead on.
func TestCreate(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	k := fhir.Key{Type: "Condition", ID: "c"}
	row, err := db.Row(k, Create, decoded(t, `{"resourceType":"Condition","subject":{"reference":"Patient/p"},"asserter":{"reference":"PractitionerRole/r"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !row.isPlain(Absent) {
		t.Fatal("a Condition is not plain")
	}
	row.Author = []access.Key{{Kind: access.Author, Of: "Organization/a"}}
	record, role, party := row.own[slices.IndexFunc(row.Keys, func(k access.Key) bool { return k.Kind == access.Record })], db.secret.Access(access.Key{Kind: access.Party, Of: "PractitionerRole/r"}), db.secret.Access(access.Key{Kind: access.Party, Of: "Organization/o"})
	for _, step := range []struct {
		name    string
		setUp   string
		args    []any
		outcome Outcome
		version int
		keys    []int64 // beside its own
	}{
		{"new", `SELECT`, nil, Created, 1, nil},
		{"there", `SELECT`, nil, Mismatch, 1, nil},
		{"deleted", ``, nil, Created, 3, nil},
		{"elsewhere, given something", `INSERT INTO access_grant VALUES (1, $1, $2, 3, 0), (2, $1, $2, 3, 0)`, []any{record, party}, Created, 1, []int64{party}},
		{"elsewhere, given what leads on", `INSERT INTO access_grant VALUES (3, $1, $2, 3, 4), (4, $2, 44, 4, 0)`, []any{record, role + 8}, Created, 1, []int64{party, role + 8, 44}},
	} {
		if step.setUp == "" {
			if _, err := db.Delete(t.Context(), k, Anything, "", nil); err != nil {
				t.Fatal(err)
			}
		} else if _, err := database.Exec(step.setUp, step.args...); err != nil {
			t.Fatal(err)
		}
		r := row
		if step.version == 1 && step.outcome == Created && step.name != "new" {
			r = db.Renamed(row, step.name)
		}
		w, err := db.Put(t.Context(), r, Absent)
		if err != nil || w.Outcome != step.outcome || w.Version != step.version {
			t.Fatalf("%s: %+v, %v; want outcome %d and version %d", step.name, w, err, step.outcome, step.version)
		}
		want := append(slices.Concat(row.own, db.secret.Accesses(row.Author)), step.keys...)
		v, err := db.Read(t.Context(), r.Key)
		if err != nil || v == nil {
			t.Fatal(step.name, v, err)
		}
		inRow := readRow(t, database, r.rid).Keys
		slices.Sort(want)
		slices.Sort(v.Keys)
		if !slices.Equal(slices.Compact(v.Keys), want) { // what several give may come more than once
			t.Errorf("%s: a read tells the keys %d, want %d", step.name, v.Keys, want)
		}
		if slices.ContainsFunc(want, func(key int64) bool { return !slices.Contains(inRow, key) }) {
			t.Errorf("%s: the search row has the keys %d, want all of %d", step.name, inRow, want)
		}
	}
}
