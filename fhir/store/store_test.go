package store_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// open returns a store on a database of its own. The cluster of the tests does
// not wait for the disk, so the store must be told to accept that.
func open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: pgtest.New(t).DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var alice = fhir.Key{Type: "Patient", ID: "alice"}

const (
	first  = `{"resourceType":"Patient","id":"alice","active":true}`
	second = `{"resourceType":"Patient","id":"alice","active":false}`
)

func put(t testing.TB, db *store.DB, k fhir.Key, stored string, expect store.Expect) store.Written {
	t.Helper()
	row, err := db.Row(k, store.Update, decode(t, stored))
	if err != nil {
		t.Fatal(err)
	}
	w, err := db.Put(t.Context(), row, expect)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func decode(t testing.TB, body string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func remove(t testing.TB, db *store.DB, expect store.Expect) store.Written {
	t.Helper()
	w, err := db.Delete(t.Context(), alice, expect, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestPutOutcomes(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, step := range []struct {
		name    string
		stored  string // empty deletes
		expect  store.Expect
		want    store.Outcome
		version int
	}{
		{"update of a version that is not there", first, 1, store.Mismatch, 0},
		{"delete of nothing", "", store.Anything, store.Nothing, 0},
		{"first", first, store.Absent, store.Created, 1},
		{"first again, absent demanded", second, store.Absent, store.Mismatch, 1},
		{"same content", first, store.Anything, store.Unchanged, 1},
		{"same content, version demanded", first, 1, store.Unchanged, 1},
		{"same content, wrong version demanded", first, 7, store.Mismatch, 1},
		{"other content", second, store.Anything, store.Updated, 2},
		{"stale", first, 1, store.Mismatch, 2},
		{"current", first, 2, store.Updated, 3},
		{"delete of a stale version", "", 2, store.Mismatch, 3},
		{"delete", "", 3, store.Removed, 4},
		{"delete again", "", store.Anything, store.Nothing, 4},
		{"bring back", first, store.Absent, store.Created, 5},
		{"delete once more", "", store.Anything, store.Removed, 6},
		{"bring back the demanded deletion", first, 6, store.Created, 7},
	} {
		var got store.Written
		if step.stored == "" {
			got = remove(t, db, step.expect)
		} else {
			got = put(t, db, alice, step.stored, step.expect)
		}
		if got.Outcome != step.want || got.Version != step.version {
			t.Errorf("%s: got outcome %d, version %d; want %d, %d", step.name, got.Outcome, got.Version, step.want, step.version)
		}
	}
}
