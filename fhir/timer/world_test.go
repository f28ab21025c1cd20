package timer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A world is a store with Tasks, whose alarms are what they say: one when they are due, and for
// one with the priority stat again and again.
type world struct {
	t     testing.TB
	db    *pgtest.Database
	store *store.DB

	mu      sync.Mutex
	now     time.Time
	sounded map[string]int // how often it was called, by "id kind time"
	refuse  map[string]int // how often something fails before it works, by id
	moved   map[string]bool
}

var start = time.Date(2026, 3, 27, 17, 0, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, db: pgtest.New(t), now: start, sounded: map[string]int{}, refuse: map[string]int{}, moved: map[string]bool{}}
	var err error
	w.store, err = store.Open(t.Context(), store.Config{DSN: w.db.DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	return w
}

// engine returns an Engine of another server.
func (w *world) engine(change ...func(*Config)) *Engine {
	w.t.Helper()
	c := Config{
		Store: w.store, DSN: w.db.DSN, Types: []string{"Task"}, Plan: w.plan, Sound: w.sound, Now: w.clock,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
	for _, f := range change {
		f(&c)
	}
	e, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { e.Close() })
	return e
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass moves the clock on.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

var errRefused = errors.New("not now")

// refused reports whether something about id is to fail once more.
func (w *world) refused(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse[id]--
	return w.refuse[id] >= 0
}

func (w *world) plan(ctx context.Context, k fhir.Key) ([]Alarm, error) {
	if w.refused("plan " + k.ID) {
		return nil, errRefused
	}
	v, err := w.store.ReadContent(ctx, k)
	if err != nil || v == nil || v.Deleted() {
		return nil, err
	}
	r, err := fhir.DecodeDerived("Task", v.Stored)
	if err != nil {
		return nil, err
	}
	due, err := time.Parse(time.RFC3339, r.Root().Child("restriction").Child("period").Child("end").Text())
	if err != nil || r.Root().Child("status").Text() != "requested" {
		return nil, nil
	}
	a := Alarm{Kind: "overdue", Due: due}
	if r.Root().Child("priority").Text() == "stat" {
		a.Every = 10 * time.Minute
	}
	return []Alarm{a}, nil
}

func (w *world) sound(_ context.Context, a Alarm) (bool, error) {
	if w.refused("panic " + a.Key.ID) {
		panic("broken")
	}
	if w.refused(a.Key.ID) {
		return false, errRefused
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved[a.Key.ID] {
		return false, nil
	}
	w.sounded[fmt.Sprintf("%s %s %s", a.Key.ID, a.Kind, a.At.UTC().Format(time.RFC3339))]++
	return true, nil
}

// heard wants exactly these to have sounded, as often as it says.
func (w *world) heard(what string, want map[string]int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.sounded) != fmt.Sprint(want) {
		w.t.Errorf("%s: sounded %v, want %v", what, w.sounded, want)
	}
}

// due returns the name under which the alarm of id that is due at a time is heard.
func due(id string, at time.Time) string { return id + " overdue " + at.UTC().Format(time.RFC3339) }

// put stores a Task that is due at a time.
func (w *world) put(id, status string, due time.Time, change ...func(*store.Row)) {
	w.t.Helper()
	priority := "routine"
	if strings.HasPrefix(id, "stat") {
		priority = "stat"
	}
	body := fmt.Sprintf(`{"resourceType":"Task","id":%q,"status":%q,"intent":"order","priority":%q,"description":"version %s","restriction":{"period":{"end":%q}}}`,
		id, status, priority, time.Now(), due.Format(time.RFC3339))
	r, err := fhir.Decode("Task", []byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.store.Row(fhir.Key{Type: "Task", ID: id}, store.Update, r)
	if err != nil {
		w.t.Fatal(err)
	}
	row.Allowed = row.Gifts
	for _, f := range change {
		f(&row)
	}
	if _, err := w.store.Put(w.t.Context(), row, store.Anything); err != nil {
		w.t.Fatal(err)
	}
}

// follow plans all that is new.
func (w *world) follow(e *Engine) {
	w.t.Helper()
	if !w.run(e.follower()) {
		w.t.Fatal("not all is planned")
	}
}

// run has a follower run until there is nothing left to do, or it cannot go on, and reports
// which.
func (w *world) run(f store.Follower) (done bool) {
	ctx, stop := context.WithCancel(w.t.Context())
	f.Rest = func(context.Context) error {
		done = true
		return nil
	}
	f.Wait = func(context.Context, time.Duration, <-chan struct{}) { stop() }
	f.Run(ctx)
	return done
}

// drain has everything sound that is due.
func (w *world) drain(e *Engine) {
	w.t.Helper()
	for {
		all, err := e.claims(w.t.Context(), 10)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(all) == 0 {
			return
		}
		for _, c := range all {
			e.turn(w.t.Context(), c)
		}
	}
}

// rows wants so many rows that may still sound.
func (w *world) rows(what string, want int) {
	w.t.Helper()
	var n int
	if err := w.db.QueryRowContext(w.t.Context(), `SELECT count(*) FROM timer WHERE next < 'infinity'`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	if n != want {
		w.t.Errorf("%s: %d rows, want %d", what, n, want)
	}
}
