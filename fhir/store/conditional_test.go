package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

func criteria(t testing.TB, db *DB, typ, query string) Criteria {
	t.Helper()
	where, err := db.Registry().Criteria(typ, query)
	if err != nil {
		t.Fatal(err)
	}
	return Criteria{typ, where, db.Registry().Generation, access.Trusted("test")}
}

// createIf creates a Patient with an identifier under id unless there is one.
func createIf(t testing.TB, db *DB, identifier, id string) (n int, err error) {
	err = db.Conditionally(t.Context(), criteria(t, db, "Patient", "identifier="+identifier), func(ctx context.Context, tx *Tx, found []Version) error {
		if n = len(found); n > 0 {
			return nil
		}
		r := decoded(t, `{"resourceType":"Patient","id":"`+id+`","identifier":[{"value":"`+identifier+`"}]}`)
		row, err := db.Row(fhir.Key{Type: "Patient", ID: id}, Create, r)
		if err != nil {
			return err
		}
		_, err = tx.WriteOne(ctx, Change{Row: row, Expect: Absent})
		return err
	})
	return n, err
}

// TestConditionalRace lets 32 clients of two servers create one resource unless it
// is there: one does. With fewer connections than clients nobody waits for ever.
func TestConditionalRace(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	servers := []*DB{openOn(t, database), openOn(t, database)}
	for round := range 3 {
		var created atomic.Int32
		race(32, func(n int) {
			switch found, err := createIf(t, servers[n%2], fmt.Sprint(round), fmt.Sprintf("p%d-%d", round, n)); {
			case err != nil:
				t.Error(err)
			case found == 0:
				created.Add(1)
			case found > 1:
				t.Errorf("%d were found", found)
			}
		})
		if created.Load() != 1 {
			t.Errorf("round %d: %d clients have created it, want 1", round, created.Load())
		}
	}
}

// TestConditionalUndone leaves nothing behind of a transaction that fails.
func TestConditionalUndone(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	c := criteria(t, db, "Patient", "identifier=7")
	failure := errors.New("no")
	err := db.Conditionally(t.Context(), c, func(ctx context.Context, tx *Tx, _ []Version) error {
		row, err := db.Row(fhir.Key{Type: "Patient", ID: "a"}, Create, decoded(t, `{"resourceType":"Patient","id":"a","identifier":[{"value":"7"}]}`))
		if err != nil {
			return err
		}
		if w, err := tx.WriteOne(ctx, Change{Row: row, Expect: Absent}); err != nil || w.Outcome != Created {
			t.Errorf("put: %+v, %v", w, err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if v, err := db.Read(t.Context(), fhir.Key{Type: "Patient", ID: "a"}); err != nil || v != nil {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestConditionalUpdates lets clients count in one resource that they find by its
// identifier: none of them is lost, and a deleted one is found no more.
func TestConditionalUpdates(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	c := criteria(t, db, "Patient", "identifier=7")
	const clients, each = 8, 6
	race(clients, func(int) {
		for range each {
			err := db.Conditionally(t.Context(), c, func(ctx context.Context, tx *Tx, found []Version) error {
				n := 0
				if len(found) > 0 {
					n = found[0].Number
				}
				r := decoded(t, fmt.Sprintf(`{"resourceType":"Patient","id":"a","identifier":[{"value":"7"}],"multipleBirthInteger":%d}`, n))
				row, err := db.Row(fhir.Key{Type: "Patient", ID: "a"}, Update, r)
				if err != nil {
					return err
				}
				w, err := tx.WriteOne(ctx, Change{Row: row, Expect: Anything})
				if w.Version != n+1 {
					t.Errorf("version %d after %d", w.Version, n)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	err := db.Conditionally(t.Context(), c, func(ctx context.Context, tx *Tx, found []Version) error {
		if len(found) != 1 || found[0].Number != clients*each {
			t.Errorf("found %+v", found)
		}
		w, err := tx.WriteOne(ctx, Change{Row: Row{Key: found[0].Key, Op: Delete}, Expect: Expect(clients * each)})
		if w.Outcome != Removed {
			t.Errorf("delete: %+v", w)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if found, err := createIf(t, db, "7", "b"); found != 0 || err != nil {
		t.Errorf("after the deletion %d were found, %v", found, err)
	}
}

// TestParametersWithinATransaction writes a SearchParameter and, by it, a resource
// in a transaction that is undone: nobody ever sees the parameter.
func TestParametersWithinATransaction(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	generation := db.Registry().Generation
	err := db.Conditionally(t.Context(), criteria(t, db, "Task", "status=draft"), func(ctx context.Context, tx *Tx, _ []Version) error {
		for _, body := range []string{parameterOf("a", "about", "active", "Task.description"), taskOf("t", "text")} {
			r := decoded(t, body)
			row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
			if err != nil {
				return err
			}
			if w, err := tx.WriteOne(ctx, Change{Row: row, Expect: Anything}); err != nil || w.Outcome != Created {
				t.Errorf("put: %+v, %v", w, err)
			}
		}
		return errKilled
	})
	if !errors.Is(err, errKilled) {
		t.Error(err)
	}
	if p := db.Registry().Param("Task", "about"); p != nil || db.Registry().Generation != generation || tableOf(t, database) != "" {
		t.Errorf("there is %+v in generation %d; %s", p, db.Registry().Generation, tableOf(t, database))
	}
}

// TestCanonical tells criteria apart that mean something else, and not those that
// are only written in another order.
func TestCanonical(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	texts := map[string]string{}
	for i, same := range [][]string{
		{"identifier=a|b&active=true", "active=true&identifier=a|b"},
		{"identifier=a|b"},
		{"identifier=b"},
		{"identifier=a|"},
		{"identifier=|b"},
		{"active=true"},
		{"active:not=true"},
		{"active:missing=true"},
		{"active:missing=false"},
		{"gender=male,female", "gender=female,male"},
		{"gender=male&gender=female"},
		{"family=smith"},
		{"family:exact=smith"},
		{"family:exact=Smith"},
		{"given=smith"},
		{"birthdate=ge2000"},
		{"birthdate=2000"},
		{"birthdate=gt2000"},
		{"_id=a,b", "_id=b,a"},
		{"_id=a"},
		{"organization=Organization/1"},
		{"organization.name=a"},
		{"organization.name=b"},
		{"general-practitioner:Organization.name=a"},
		{"_has:Task:patient:status=draft"},
		{"_has:Task:patient:status=ready"},
		{"_lastUpdated=gt2020"},
		{"_text=a"},
		{"_content=a"},
	} {
		for _, query := range same {
			text := canonical(search.And(criteria(t, db, "Patient", query).Where))
			if before, ok := texts[text]; ok && before != same[0] {
				t.Errorf("%s and %s have the same text %s", before, query, text)
			}
			texts[text] = same[0]
		}
		if len(texts) != i+1 {
			t.Errorf("%q have different texts", same)
		}
	}
}
