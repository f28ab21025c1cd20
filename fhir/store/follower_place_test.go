package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// place wants the feed to be followed so far.
func (w *followed) place(what string, want store.Place) {
	w.Helper()
	got, err := w.follower("anybody").Place(w.Context())
	if err != nil || got != want {
		w.Errorf("%s: %+v, want %+v; %v", what, got, want, err)
	}
}

func (w *followed) exec(statement string, args ...any) {
	w.Helper()
	if _, err := w.sql.ExecContext(w.Context(), statement, args...); err != nil {
		w.Fatal(err)
	}
}

// writePast loads versions of others as history.
func (w *followed) writePast(n int) {
	w.Helper()
	var all []store.Change
	for i := range n {
		k := fhir.Key{Type: "Patient", ID: fmt.Sprint("past", i)}
		row, err := w.db.Row(k, store.Update, decode(w.T, fmt.Sprintf(`{"resourceType":"Patient","id":%q}`, k.ID)))
		if err != nil {
			w.Fatal(err)
		}
		row.Past = true
		all = append(all, store.Change{Row: row, Expect: store.Anything})
	}
	if _, err := w.db.WriteAll(w.Context(), all, nil); err != nil {
		w.Fatal(err)
	}
}

// TestFollowerPlace is about what is told of who follows the feed and how far they are behind.
func TestFollowerPlace(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	w.write("before")
	w.place("before anybody has followed", store.Place{})
	f := w.follower("a")
	w.follow(f)
	w.pass(time.Hour)
	w.place("when all was looked at", store.Place{})
	w.writePast(21) // which is more than one page
	w.place("with history that was loaded", store.Place{})
	w.write("p")
	var updated time.Time
	if err := w.sql.QueryRowContext(t.Context(), `SELECT updated FROM ver WHERE id = 'p'`).Scan(&updated); err != nil {
		t.Fatal(err)
	}
	w.now = updated.Add(90 * time.Second)
	w.write("p")
	w.place("with a change behind it", store.Place{Lag: 90 * time.Second})
	w.exec(`UPDATE place SET lease = $1`, w.now.Add(time.Millisecond))
	w.place("within a lease", store.Place{Followed: true, Lag: 90 * time.Second})
	w.exec(`UPDATE place SET lease = $1`, w.now)
	w.place("at its end", store.Place{Lag: 90 * time.Second})
	w.now = updated.Add(-time.Second)
	w.place("by a clock that is slow", store.Place{Followed: true})
	w.now = updated.Add(90 * time.Second)
	w.follow(f)
	w.place("when that was looked at", store.Place{})
	w.write("q")
	w.exec(`UPDATE place SET position = 'lost'`)
	w.place("with a place that is lost", store.Place{})
	w.exec(`ALTER TABLE place RENAME TO away`)
	if _, err := f.Place(t.Context()); err == nil || !strings.Contains(err.Error(), f.Name) {
		t.Errorf("without a table: %v", err)
	}
}
