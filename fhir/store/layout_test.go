package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/searchsql"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// asked makes a query by the search parameters that db knows.
func asked(t *testing.T, db *DB, typ string, params ...search.Parameter) *search.Query {
	t.Helper()
	q, err := db.Registry().Parse(search.Request{Types: []string{typ}, Params: params, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// searchOnce returns how many Tasks a description leads to, and the class of the
// outcome otherwise.
func searchOnce(t *testing.T, db *DB) (n int, refused *fhir.Outcome) {
	t.Helper()
	m, err := db.Search(t.Context(), access.Trusted("test"), asked(t, db, "Task", search.Parameter{Name: "status", Value: "draft"}), "")
	if refused = fhir.AsOutcome(err); refused != nil {
		return 0, refused
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(m.Versions), nil
}

// TestOlderLayout starts servers on rows of an older layout: nothing is searched
// before all of them are built anew, while writes go on; then everything is found,
// on both.
func TestOlderLayout(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db := openOn(t, database)
	for i := range 12 {
		mustPut(t, db, taskOf(fmt.Sprint(i), "text"))
	}
	forget(t, database)
	if _, err := database.Exec(`UPDATE search_generation SET layout = $1`, searchsql.Layout-1); err != nil {
		t.Fatal(err)
	}
	first, second := openOn(t, database), openOn(t, database)
	if n := countOf(t, database, `reindex_job WHERE awaited`); n != 1 {
		t.Errorf("%d jobs were begun, want 1", n)
	}
	for _, server := range []*DB{first, second} {
		if n, o := searchOnce(t, server); o == nil || o.Class != fhir.Unavailable || o.Issues[0].Code != fhir.Transient {
			t.Errorf("found %d before the rows are built; %v", n, o)
		}
	}
	err := first.Conditionally(t.Context(), criteria(t, first, "Task", "status=draft"), func(context.Context, *Tx, []Version) error { return nil })
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unavailable {
		t.Errorf("a conditional write is not refused: %v", err)
	}
	_, err = first.Matching(t.Context(), "Task", "status=draft", 5)
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unavailable {
		t.Errorf("what the rules ask for is answered by a part of it: %v", err)
	}
	mustPut(t, second, taskOf("new", "text"))
	defer index(t, first)()
	defer index(t, second)()
	for _, server := range []*DB{first, second} {
		waitFor(t, server, func() bool { return server.Registry().Missing == 0 })
		if n, o := searchOnce(t, server); n != 13 || o != nil {
			t.Errorf("found %d, want 13; %v", n, o)
		}
	}
	checkAll(t, first, database, 13)
}

// TestNewerLayout has a newer program take the database over: the older one that
// still runs neither searches nor writes, and cannot start again.
func TestNewerLayout(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	mustPut(t, db, taskOf("a", "text"))
	if err := db.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := database.Exec(`UPDATE search_generation SET layout = $1, gen = gen + 1`, searchsql.Layout+1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Search(t.Context(), access.Trusted("test"), asked(t, db, "Task"), ""); !errors.Is(err, errNewerLayout) {
		t.Errorf("search: %v", err)
	}
	r := decoded(t, taskOf("b", "text"))
	row, err := db.Row(fhir.Key{Type: "Task", ID: "b"}, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Put(t.Context(), row, Anything); !errors.Is(err, errNewerLayout) {
		t.Errorf("put: %v", err)
	}
	if v, err := db.Read(t.Context(), fhir.Key{Type: "Task", ID: "b"}); v != nil || err != nil {
		t.Errorf("it was stored: %+v, %v", v, err)
	}
	if err := db.Ping(t.Context()); !errors.Is(err, errNewerLayout) {
		t.Errorf("it is ready: %v", err)
	}
	if _, err := Open(t.Context(), Config{DSN: database.DSN, Conns: 2, Unsafe: true}); !errors.Is(err, errNewerLayout) {
		t.Errorf("open: %v", err)
	}
}

// redefined has two servers: by the time that it returns one has changed what a
// parameter means, all rows are built, and the other has not met that yet.
func redefined(t *testing.T) (stale *DB) {
	t.Helper()
	database := pgtest.New(t)
	db := openOn(t, database)
	mustPut(t, db, taskOf("a", "text"))
	mustPut(t, db, parameterOf("p", "about", "active", "Task.status"))
	defer index(t, db)()
	active := func() bool { return db.Registry().Param("Task", "about").State == search.Active }
	waitFor(t, db, active)
	stale = openOn(t, database)
	mustPut(t, db, parameterOf("p", "about", "active", "Task.description"))
	waitFor(t, db, active)
	return stale
}

// TestStaleCount counts by a parameter that another server has changed: it is
// noticed, as it is by a search that shows resources.
func TestStaleCount(t *testing.T) {
	t.Parallel()
	db := redefined(t)
	before := db.Registry().Generation
	q := asked(t, db, "Task", search.Parameter{Name: "about", Value: "text"}, search.Parameter{Name: "_summary", Value: "count"})
	if _, err := db.Search(t.Context(), access.Trusted("test"), q, ""); err != nil {
		t.Fatal(err)
	}
	if now := db.Registry().Generation; now == before {
		t.Error("the count has not met the new generation")
	}
}

// TestStaleCriteria looks by a parameter that another server has changed for a
// resource to update: it is not taken for missing.
func TestStaleCriteria(t *testing.T) {
	t.Parallel()
	db := redefined(t)
	var found []Version
	look := func() error {
		return db.Conditionally(t.Context(), criteria(t, db, "Task", "about=text"), func(_ context.Context, tx *Tx, all []Version) error {
			found = all
			return nil
		})
	}
	if err := look(); !errors.Is(err, ErrParametersMoved) {
		t.Errorf("found %v, %v", versionKeys(found), err)
	}
	if err := look(); err != nil || len(found) != 1 {
		t.Errorf("again: found %v, %v", versionKeys(found), err)
	}
}
