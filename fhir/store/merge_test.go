package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// about returns an Observation of Patient/p.
func about(id string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`
}

// TestNaming finds what refers to a patient, and nothing else.
func TestNaming(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	for _, body := range []string{
		`{"resourceType":"Patient","id":"p","link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]}`,
		about("a"), `{"resourceType":"Task","id":"t","status":"draft","intent":"plan","input":[{"type":{"text":"x"},"valueReference":{"reference":"Patient/p"}}]}`,
		`{"resourceType":"Observation","id":"q","status":"final","code":{"text":"Patient/p"},"subject":{"reference":"Patient/q"}}`,
		`{"resourceType":"Observation","id":"g","status":"final","code":{"text":"x"},"subject":{"reference":"Group/p"}}`, about("gone"),
	} {
		mustPut(t, db, body)
	}
	if _, err := db.Delete(t.Context(), fhir.Key{Type: "Observation", ID: "gone"}, Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{10: 2, 1: 1} {
		err := db.Atomically(t.Context(), true, func(ctx context.Context, tx *Tx) error {
			found, err := tx.Naming(ctx, fhir.Key{Type: "Patient", ID: "p"}, n)
			if err != nil {
				return err
			}
			if len(found) != want {
				return fmt.Errorf("%d at most: %v", n, found)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestBeginMerge has nothing more be written about a patient from then on, by any way of
// writing, until the merge is given up or its time is over.
func TestBeginMerge(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	patient := fhir.Key{Type: "Patient", ID: "p"}
	if err := db.BeginMerge(t.Context(), patient); err != nil {
		t.Fatal(err)
	}
	if o := fhir.AsOutcome(db.BeginMerge(t.Context(), patient)); o == nil || o.Class != fhir.Clash {
		t.Errorf("a second merge begins: %v", o)
	}
	if _, err := db.Put(t.Context(), changeOf(t, db, Update, Anything, about("a")).Row, Anything); !isMisnamed(err) {
		t.Errorf("put: %v", err)
	}
	if _, err := db.Put(t.Context(), changeOf(t, db, Create, Absent, about("b")).Row, Absent); !isMisnamed(err) {
		t.Errorf("create: %v", err)
	}
	changes := []Change{changeOf(t, db, Update, Anything, about("c")), changeOf(t, db, Update, Anything, `{"resourceType":"Basic","id":"d","code":{"text":"x"}}`)}
	if _, err := db.WriteAll(t.Context(), changes, nil); !isMisnamed(err) {
		t.Errorf("all: %v", err)
	}
	each, err := db.WriteEach(t.Context(), changes)
	if err != nil || each[0].Outcome != Misnamed || each[1].Outcome != Created {
		t.Errorf("each: %v, %v", each, err)
	}
	each, err = db.WriteEach(t.Context(), changes[:1])
	if err != nil || each[0].Outcome != Misnamed {
		t.Errorf("one: %v, %v", each, err)
	}
	if err := db.GiveUpMerge(t.Context(), patient); err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, about("a"))
	if err := db.BeginMerge(t.Context(), patient); err != nil {
		t.Fatal(err)
	}
	if _, err := database.Exec(`UPDATE patient_merged SET until = clock_timestamp() - interval '1 s'`); err != nil {
		t.Fatal(err)
	}
	mustPut(t, db, about("e"))
	err = db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error { return tx.Merged(ctx, patient, "x") })
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unavailable {
		t.Errorf("a merge that took too long is done: %v", err)
	}
}
