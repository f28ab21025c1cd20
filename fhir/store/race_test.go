package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestOneWinner lets writers demand the same version: exactly one gets it.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	db := open(t)
	for _, expect := range []store.Expect{store.Absent, 1, 2, 3} {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				body := fmt.Sprintf(`{"resourceType":"Patient","id":"alice","multipleBirthInteger":%d}`, 100*int(expect)+i)
				switch w := put(t, db, alice, body, expect); w.Outcome {
				case store.Created, store.Updated:
					won.Add(1)
				case store.Mismatch:
				default:
					t.Errorf("outcome %d", w.Outcome)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("expecting %d: %d writers won, want 1", expect, won.Load())
		}
	}
}

// TestVersionsAreWhole lets writers change one resource without conditions: each
// write is a version, the numbers have no holes, and time only grows.
func TestVersionsAreWhole(t *testing.T) {
	t.Parallel()
	db := open(t)
	const writers, each = 8, 15
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				put(t, db, alice, fmt.Sprintf(`{"resourceType":"Patient","id":"alice","multipleBirthInteger":%d}`, i*each+j), store.Anything)
			}
		})
	}
	wg.Wait()
	page, err := db.History(t.Context(), access.Trusted("test"), store.History{Type: "Patient", ID: "alice", Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Versions) != writers*each || page.Total != writers*each {
		t.Fatalf("got %d versions, total %d; want %d", len(page.Versions), page.Total, writers*each)
	}
	seen := map[string]bool{}
	for i, v := range page.Versions {
		if v.Number != writers*each-i {
			t.Fatalf("version %d stands at place %d", v.Number, i)
		}
		if i > 0 && !v.Updated.Before(page.Versions[i-1].Updated) {
			t.Fatalf("version %d is from %s, the next from %s", v.Number, v.Updated, page.Versions[i-1].Updated)
		}
		seen[string(v.Stored)] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d different bodies, want %d", len(seen), writers*each)
	}
}

// TestCreateRace lets writers create and delete the same few resources.
func TestCreateRace(t *testing.T) {
	t.Parallel()
	db := open(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 30 {
				k := fhir.Key{Type: "Patient", ID: fmt.Sprint("p", j%3)}
				put(t, db, k, fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, k.ID, i), store.Anything)
				if _, err := db.Delete(t.Context(), k, store.Anything, "", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for j := range 3 {
		v, err := db.Read(t.Context(), fhir.Key{Type: "Patient", ID: fmt.Sprint("p", j)})
		if err != nil || v == nil || !v.Deleted() {
			t.Errorf("p%d: %+v, %v; want a deletion", j, v, err)
		}
	}
}
