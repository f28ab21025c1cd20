package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// talked is a conversation of two messages.
func talked(t testing.TB) *DB {
	t.Helper()
	db, _ := openInside(t)
	trusted(t, db, `{"resourceType":"Task","id":"t","status":"requested","intent":"order"}`)
	trusted(t, db, message("first", "t", "Hello."))
	trusted(t, db, message("second", "t", "And so on."))
	trusted(t, db, message("elsewhere", "u", "Something else."))
	return db
}

func message(id, task, text string) string {
	return fmt.Sprintf(`{"resourceType":"Communication","id":%q,"status":"completed","partOf":[{"reference":"Task/%s"}],"payload":[{"contentString":%q}]}`, id, task, text)
}

// guard reads the conversation.
func guard(t testing.TB, db *DB) *Guard {
	t.Helper()
	task := fhir.Key{Type: "Task", ID: "t"}
	found, err := db.Gather(t.Context(), Gathering{Current: []fhir.Key{task}, Recent: Recent{Type: "Communication", Where: "part-of=Task/t", Most: 100}})
	if err != nil {
		t.Fatal(err)
	}
	return &Guard{Task: task, Version: found.Current[task].Number, Where: "part-of=Task/t", Said: found.Recent}
}

// say writes a message under a guard.
func say(t testing.TB, db *DB, g *Guard, id string) error {
	t.Helper()
	r := decoded(t, message(id, "t", "Number "+id))
	row, err := db.Row(fhir.Key{Type: r.Type(), ID: r.ID()}, Update, r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.WriteGuarded(t.Context(), []Change{{row, Absent}}, nil, g)
	return err
}

// TestGuard writes in a conversation only as long as it is as it was read.
func TestGuard(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, db *DB, id string) {
		if _, err := db.Delete(t.Context(), fhir.Key{Type: "Communication", ID: id}, Anything, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, db *DB)
		moved  bool
	}{
		"nothing happens":              {func(*testing.T, *DB) {}, false},
		"something is said elsewhere":  {func(t *testing.T, db *DB) { trusted(t, db, message("x", "u", "Over there.")) }, false},
		"something is said":            {func(t *testing.T, db *DB) { trusted(t, db, message("x", "t", "Over here.")) }, true},
		"a message is changed":         {func(t *testing.T, db *DB) { trusted(t, db, message("first", "t", "Good bye.")) }, true},
		"a message is moved away":      {func(t *testing.T, db *DB) { trusted(t, db, message("first", "u", "Hello.")) }, true},
		"a message is deleted":         {func(t *testing.T, db *DB) { remove(t, db, "second") }, true},
		"one comes where another goes": {func(t *testing.T, db *DB) { remove(t, db, "second"); trusted(t, db, message("x", "t", "Instead.")) }, true},
		"the Task moves": {func(t *testing.T, db *DB) {
			trusted(t, db, `{"resourceType":"Task","id":"t","status":"accepted","intent":"order"}`)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := talked(t)
			g := guard(t, db)
			if len(g.Said) != 2 || g.Version != 1 {
				t.Fatalf("%d messages of version %d", len(g.Said), g.Version)
			}
			c.change(t, db)
			err := say(t, db, g, "new")
			if errors.Is(err, ErrMoved) != c.moved || err != nil && !c.moved {
				t.Errorf("moved %t, want %t: %v", err != nil, c.moved, err)
			}
			v, err := db.Read(t.Context(), fhir.Key{Type: "Communication", ID: "new"})
			if err != nil || (v == nil) != c.moved {
				t.Errorf("stored %t: %v", v != nil, err)
			}
		})
	}
}

// TestGuardOfNothing: what would hold whatever is said is a fault.
func TestGuardOfNothing(t *testing.T) {
	t.Parallel()
	db := talked(t)
	for _, where := range []string{"", "nonsense=1", "_lastUpdated=ge2020"} {
		g := guard(t, db)
		g.Where = where
		if err := say(t, db, g, "new"); err == nil || errors.Is(err, ErrMoved) {
			t.Errorf("%q: %v", where, err)
		}
	}
}

// TestGuardRace: of many who have read the same, one writes.
func TestGuardRace(t *testing.T) {
	t.Parallel()
	db := talked(t)
	for round := range 5 {
		g := guard(t, db)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = say(t, db, g, fmt.Sprint(round, "-", i)) })
		}
		all.Wait()
		wrote := 0
		for _, err := range errs {
			switch {
			case err == nil:
				wrote++
			case !errors.Is(err, ErrMoved):
				t.Error(err)
			}
		}
		if wrote != 1 {
			t.Errorf("round %d: %d have written", round, wrote)
		}
	}
}

// TestGatherProvided asks for messages only if the Task is found.
func TestGatherProvided(t *testing.T) {
	t.Parallel()
	db := talked(t)
	trusted(t, db, `{"resourceType":"Task","id":"u","status":"requested","intent":"order","code":{"coding":[{"system":"https://a.example/kind","code":"k"}]}}`)
	for task, want := range map[string]int{"t": 0, "u": 1, "nobody": 0} {
		got, err := db.Gather(t.Context(), Gathering{Recent: Recent{Type: "Communication", Where: "part-of=Task/" + task, Most: 10,
			If: Provided{Task: fhir.Key{Type: "Task", ID: task}, Where: "code=https://a.example/kind%7C"}}})
		if err != nil || len(got.Recent) != want {
			t.Errorf("%s: %d messages, want %d: %v", task, len(got.Recent), want, err)
		}
	}
}
