package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// deadlocks closes stores and returns how many deadlocks the database has
// resolved: a connection tells of those at its end at the latest.
func deadlocks(t *testing.T, database *pgtest.Database, stores ...*DB) int {
	t.Helper()
	for _, db := range stores {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	database.SetMaxOpenConns(1)
	for deadline := time.Now().Add(30 * time.Second); countOf(t, database, `pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("connections stay open")
		}
	}
	return countOf(t, database, `(SELECT generate_series(1, deadlocks) FROM pg_stat_database WHERE datname = current_database()) d`)
}

// TestBatchesUnderWriters lets batches overlap with each other, with single writes
// and with a rebuild of all rows, all of which give and take. None is undone for
// good, nobody waits in a circle, each is there as a whole, and in the end
// everybody has what follows from what is stored.
func TestBatchesUnderWriters(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	stopped := index(t, db)
	var versions atomic.Int64
	race(16, func(n int) {
		r := rand.New(rand.NewPCG(21, uint64(n)))
		for i := range 25 {
			if n == 0 && i%8 == 0 {
				if err := db.StartReindex(t.Context()); err != nil {
					t.Error(err)
				}
			}
			changes := anyChanges(t, db, r, 1+r.IntN(8))
			for i := range changes {
				c := &changes[i]
				c.Expect, c.Allowed, c.Author = Anything, c.Gifts, nil
				if c.Op == Create {
					c.Op = Update // others know the id
				}
			}
			versions.Add(writeSomehow(t, db, n, changes))
		}
	})
	waitFor(t, db, func() bool { return countOf(t, database, "reindex_job WHERE state = 'running'") == 0 })
	if n := countOf(t, database, "ver"); int64(n) != versions.Load() {
		t.Errorf("there are %d versions, %d were written", n, versions.Load())
	}
	settledRows(t, db, database)
	unbroken(t, database)
	stopped()
	if n := deadlocks(t, database, db); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// writeSomehow writes changes at once or one by one, and returns how many versions
// that made.
func writeSomehow(t *testing.T, db *DB, n int, changes []Change) (versions int64) {
	var all []Written
	var err error
	switch n % 4 {
	case 0:
		for _, c := range changes {
			var w Written
			if c.Op == Delete {
				w, err = db.Delete(t.Context(), c.Key, c.Expect, "", nil)
			} else {
				w, err = db.Put(t.Context(), c.Row, c.Expect)
			}
			if err != nil {
				t.Error(err)
			}
			all = append(all, w)
		}
	case 1:
		all, err = db.WriteEach(t.Context(), changes)
	case 2:
		all, err = db.WriteAll(t.Context(), changes, nil)
	case 3:
		err = db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error {
			all, err = tx.Write(ctx, changes, nil)
			return err
		})
	}
	if err != nil {
		t.Error(err)
	}
	for _, w := range all {
		if w.refused() {
			t.Errorf("%+v", w)
		}
		if w.Outcome == Created || w.Outcome == Updated || w.Outcome == Removed {
			versions++
		}
	}
	return versions
}

// unbroken checks that the events of each resource follow from each other: each
// begins with the keys that the one before has ended with, unless the resource was
// deleted, and the last one ends with those that there are.
func unbroken(t *testing.T, database *pgtest.Database) {
	t.Helper()
	now := watch(t, database)
	last := map[int64][]int64{}
	rows, err := database.Query(`SELECT rid, old_acl, new_acl, reason FROM access_event ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var rid int64
		var before, after []int64
		var reason string
		if err := rows.Scan(&rid, (*keyList)(&before), (*keyList)(&after), &reason); err != nil {
			t.Fatal(err)
		}
		if known, ok := last[rid]; ok && !slices.Equal(known, asSet(before)) {
			t.Errorf("an event of %d begins with %v, the one before has ended with %v", rid, asSet(before), known)
		}
		last[rid] = asSet(after)
		if reason == "deleted" {
			delete(last, rid)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for rid, keys := range last {
		if !slices.Equal(keys, now.keys[rid]) {
			t.Errorf("the events of %d end with %v, it has %v", rid, keys, now.keys[rid])
		}
	}
}

// patientOf makes a change that creates a Patient with an identifier.
func patientOf(t testing.TB, db *DB, id, identifier string) Change {
	t.Helper()
	row, err := db.Row(fhir.Key{Type: "Patient", ID: id}, Create, decoded(t, `{"resourceType":"Patient","identifier":[{"value":"`+identifier+`"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return Change{row, Absent}
}

// TestFindRace lets 32 clients of two servers create what is not there, several
// resources each in different orders: each is created once.
func TestFindRace(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	servers := []*DB{openOn(t, database), openOn(t, database)}
	var created atomic.Int32
	race(32, func(n int) {
		db := servers[n%2]
		names := []string{"a", "b", "c"}
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		err := db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error {
			var all []Criteria
			for _, name := range names {
				all = append(all, criteria(t, db, "Patient", "identifier="+name))
			}
			found, err := tx.Find(ctx, all)
			if err != nil {
				return err
			}
			var changes []Change
			for i, versions := range found {
				switch len(versions) {
				case 0:
					changes = append(changes, patientOf(t, db, fmt.Sprintf("%s%d", names[i], n), names[i]))
				case 1:
					if key := versions[0].Key.ID[:1]; key != names[i] {
						t.Errorf("%s was found for %s", key, names[i])
					}
				default:
					t.Errorf("%d were found", len(versions))
				}
			}
			_, err = tx.Write(ctx, changes, nil)
			created.Add(int32(len(changes)))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	if n := countOf(t, database, "res"); n != 3 || created.Load() != 3 {
		t.Errorf("%d were created, %d are there; want 3", created.Load(), n)
	}
	if n := deadlocks(t, database, servers...); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// TestManyTransactions has far more transactions at once than connections: each
// gets its turn with one connection.
func TestManyTransactions(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	race(128, func(n int) {
		err := db.Atomically(t.Context(), n%4 == 0, func(ctx context.Context, tx *Tx) error {
			changes := []Change{patientOf(t, db, fmt.Sprint("p", n), fmt.Sprint(n)), patientOf(t, db, fmt.Sprint("q", n), fmt.Sprint(n))}
			if _, err := tx.Write(ctx, changes, nil); err != nil {
				return err
			}
			q, err := db.Registry().Parse(searchFor("Patient", "identifier", fmt.Sprint(n)))
			if err != nil {
				return err
			}
			m, err := tx.Search(ctx, trustedGrant, q)
			if err != nil {
				return err
			}
			if len(m.Versions) != 2 {
				t.Errorf("a transaction finds %d of what it has written", len(m.Versions))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if n := countOf(t, database, "res"); n != 2*96 {
		t.Errorf("%d resources are there, want %d", n, 2*96)
	}
}

// TestAtomicallyAgain runs what the database has undone again, a few times, and
// nothing else.
func TestAtomicallyAgain(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	var runs int
	run := func(fail func() error) error {
		runs = 0
		return db.Atomically(t.Context(), false, func(ctx context.Context, tx *Tx) error {
			runs++
			if _, err := tx.Write(ctx, []Change{patientOf(t, db, "p", fmt.Sprint(runs))}, nil); err != nil {
				return err
			}
			if runs > 2 {
				return nil
			}
			return fail()
		})
	}
	torn := func() error {
		_, err := db.sql.Exec(`SELECT access_torn()`)
		return fault("tear", err)
	}
	if err := run(torn); err != nil || runs != 3 || countOf(t, database, "ver") != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
	failure := errors.New("no")
	if err := run(func() error { return failure }); !errors.Is(err, failure) || runs != 1 {
		t.Errorf("%d runs, %v", runs, err)
	}
	runs = -100
	if err := db.Atomically(t.Context(), false, func(context.Context, *Tx) error { runs++; return torn() }); !undone(err) || runs != -100+maxTries {
		t.Errorf("%d runs, %v", runs+100, err)
	}
}
