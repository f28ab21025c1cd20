package store

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestTurns: all searches together leave a quarter of the connections to reads, and a
// long one waits for another without one.
func TestTurns(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	db.turns = newTurns(3)
	db.turns.patience = 50 * time.Millisecond
	if !db.turns.long.TryAcquire(db.turns.halfOfCores - 1) {
		t.Fatal("the places of long searches are taken")
	}
	first, second := newTurn(t, db), newTurn(t, db)
	busy := func(what, named string, err error) {
		t.Helper()
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.Unavailable || o.Issues[0].Code != fhir.Throttled || o.Issues[0].Expression != named {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := db.turn(t.Context())
	busy("a third search", "", err)
	if err := first.lengthen(t.Context(), "name:contains"); err != nil {
		t.Fatal(err)
	}
	// It has made room for one that is short.
	newTurn(t, db).end()
	busy("a second long search", "http._content", second.lengthen(t.Context(), "_content"))
	if second.connected {
		t.Error("it waited with a connection")
	}
	busy("a long search in a transaction", "http._content", (&turn{db: db}).lengthen(t.Context(), "_content"))
	first.end()
	second.end()
	third := newTurn(t, db)
	if err := third.lengthen(t.Context(), "_content"); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
	third.end()
	if !db.turns.any.TryAcquire(2) || !db.turns.long.TryAcquire(1) {
		t.Error("a turn that has ended still has its place")
	}
}

func newTurn(t *testing.T, db *DB) *turn {
	t.Helper()
	turn, err := db.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// TestLongSearch: what looks at many rows takes the turn of a long search, and
// gives it back.
func TestLongSearch(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 2*shortExamined+100)
	db.turns.patience = 50 * time.Millisecond
	if !db.turns.long.TryAcquire(db.turns.halfOfCores) {
		t.Fatal("the places of long searches are taken")
	}
	q := ask("Patient?name:contains=mit&_summary=count")
	if o := fhir.AsOutcome(second(db.Search(t.Context(), access.Trusted("test"), q, ""))); o == nil || o.Issues[0].Code != fhir.Throttled {
		t.Errorf("beside other long searches: %v", o)
	}
	if _, err := db.Search(t.Context(), access.Trusted("test"), ask("Patient?name:contains=mit&_count=1"), ""); err != nil {
		t.Errorf("a short search beside them: %v", err)
	}
	db.turns.long.Release(db.turns.halfOfCores)
	for range 2 {
		if _, err := db.Search(t.Context(), access.Trusted("test"), q, ""); err != nil {
			t.Errorf("alone: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
