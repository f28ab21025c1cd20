package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A followed is a feed of which followers tell in a table what they were given.
type followed struct {
	*testing.T
	sql *pgtest.Database
	db  *store.DB

	mu      sync.Mutex
	now     time.Time
	written map[string]int // newest versions, by id
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	w := &followed{T: t, sql: pgtest.New(t), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), written: map[string]int{}}
	const tables = `CREATE TABLE place (one boolean PRIMARY KEY DEFAULT true CHECK (one), position text NOT NULL, node text NOT NULL, fence bigint NOT NULL, lease timestamptz NOT NULL);
		INSERT INTO place VALUES (true, '', '', 0, '-infinity');
		CREATE TABLE told (nth bigint GENERATED ALWAYS AS IDENTITY, id text, version int, node text)`
	if _, err := w.sql.ExecContext(t.Context(), tables); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.db, err = store.Open(t.Context(), store.Config{DSN: w.sql.DSN, Conns: 4, Unsafe: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close() })
	return w
}

func (w *followed) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass moves the clock on.
func (w *followed) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// write makes one more version of a Patient.
func (w *followed) write(id string) {
	w.Helper()
	w.mu.Lock()
	w.written[id]++
	n := w.written[id]
	w.mu.Unlock()
	k := fhir.Key{Type: "Patient", ID: id}
	put(w.T, w.db, k, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"active":%t}`, id, n%2 == 0), store.Anything)
}

// follower returns one of another server.
func (w *followed) follower(node string) store.Follower {
	return store.Follower{
		Store: w.db, SQL: w.sql.DB, Table: "place", Node: node, Name: "the test " + node, Now: w.clock, Page: 3, Log: slog.New(slog.NewTextHandler(w.Output(), nil)),
		Take: func(_ context.Context, page []store.Followed) (store.Taken, error) {
			if len(page) == 0 {
				return store.Taken{}, nil
			}
			return store.Taken{Keep: func(ctx context.Context, tx *sql.Tx) error { return tell(ctx, tx, node, page) }}, nil
		},
	}
}

func tell(ctx context.Context, tx *sql.Tx, node string, page []store.Followed) error {
	for _, f := range page {
		if _, err := tx.ExecContext(ctx, `INSERT INTO told (id, version, node) VALUES ($1, $2, $3)`, f.Key.ID, f.Number, node); err != nil {
			return err
		}
	}
	return nil
}

// catchUp has a follower run until there is nothing left to take, or it cannot go on, and reports
// which.
func (w *followed) catchUp(f store.Follower) (done bool) {
	ctx, stop := context.WithCancel(w.Context())
	f.Rest = func(context.Context) error {
		done = true
		return nil
	}
	f.Wait = func(context.Context, time.Duration, <-chan struct{}) { stop() }
	f.Run(ctx)
	return done
}

func (w *followed) follow(f store.Follower) {
	w.Helper()
	if !w.catchUp(f) {
		w.Fatalf("%s does not come to an end", f.Name)
	}
}

// all wants every version to have been told, each once, those of one resource in order.
func (w *followed) all(what string) {
	w.Helper()
	rows, err := w.sql.QueryContext(w.Context(), `SELECT id, version FROM told ORDER BY nth`)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	last := map[string]int{}
	for rows.Next() {
		var id string
		var version int
		if err := rows.Scan(&id, &version); err != nil {
			w.Fatal(err)
		}
		if version != last[id]+1 {
			w.Errorf("%s: version %d of %s comes after %d", what, version, id, last[id])
		}
		last[id] = version
	}
	if fmt.Sprint(last) != fmt.Sprint(w.written) || rows.Err() != nil {
		w.Errorf("%s: told up to %v, want %v; %v", what, last, w.written, rows.Err())
	}
}

// who returns whose the lease is.
func (w *followed) who() (node string, held bool) {
	w.Helper()
	if err := w.sql.QueryRowContext(w.Context(), `SELECT node, lease > $1 FROM place`, w.clock()).Scan(&node, &held); err != nil {
		w.Fatal(err)
	}
	return node, held
}

// TestFollowerElection runs three servers, and stops whichever follows, again and again: another
// one goes on at once, and never do two follow.
func TestFollowerElection(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	ctx, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { w.db.RunPulse(ctx) })
	var at atomic.Int32
	stops := map[string]func(){}
	started := 0
	start := func() {
		f := w.follower(fmt.Sprint("n", started))
		f.Now = nil
		started++
		take := f.Take
		f.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
			if at.Add(1) > 1 {
				t.Error("two follow at once")
			}
			defer at.Add(-1)
			return take(ctx, page)
		}
		ctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		all.Go(func() {
			defer close(done)
			f.Run(ctx)
		})
		stops[f.Node] = func() {
			stop()
			<-done
		}
	}
	if err := w.follower("begin").Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		start()
	}
	told := func() (n int, node string) {
		if err := w.sql.QueryRow(`SELECT count(*), coalesce((SELECT node FROM told ORDER BY nth DESC LIMIT 1), '') FROM told`).Scan(&n, &node); err != nil {
			t.Fatal(err)
		}
		return n, node
	}
	for round := range 4 {
		for i := range 10 {
			w.write(fmt.Sprint("p", i%4))
		}
		n, node := told()
		for n < 10*(round+1) {
			store.Wait(t.Context(), time.Millisecond, nil)
			n, node = told()
		}
		stops[node]()
		delete(stops, node)
		start()
	}
	end()
	all.Wait()
	w.all("four changes of who follows")
	if node, held := w.who(); held {
		t.Errorf("%s has stopped and keeps the lease", node)
	}
}

// TestFollowerFenced is about a server that is held up until its lease is over: what it has taken
// is not stored when another one has taken over, and is told once.
func TestFollowerFenced(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	slow, other := w.follower("slow"), w.follower("other")
	w.follow(slow)
	for i := range 5 {
		w.write(fmt.Sprint("p", i))
	}
	take := slow.Take
	slow.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
		if w.catchUp(other) {
			t.Error("two follow at once")
		}
		w.pass(10 * time.Second)
		w.follow(other)
		w.all("after the lease")
		return take(ctx, page)
	}
	if w.catchUp(slow) {
		t.Error("who has lost the lease goes on")
	}
	w.all("in the end")
	if node, held := w.who(); node != "other" || held {
		t.Errorf("the lease is %s's: %t", node, held)
	}
}

// TestFollowerKilled kills the server that follows at any moment: what it was at is told by the
// next one, when its lease is over, and nothing twice.
func TestFollowerKilled(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	if err := w.follower("first").Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(1, 7))
	for round := range 60 {
		for range 1 + chance.IntN(8) {
			w.write(fmt.Sprint("p", chance.IntN(3)))
		}
		f := w.follower(fmt.Sprint("n", round))
		var killed atomic.Bool
		f.Crashed = killed.Load
		when, page, take := chance.IntN(4), chance.IntN(3), f.Take
		f.Take = func(ctx context.Context, entries []store.Followed) (store.Taken, error) {
			got, err := take(ctx, entries)
			page--
			if page >= 0 || got.Keep == nil {
				return got, err
			}
			if when == 0 {
				killed.Store(true)
			}
			keep := got.Keep
			got.Keep = func(ctx context.Context, tx *sql.Tx) error {
				err := keep(ctx, tx)
				if when == 1 {
					killed.Store(true)
					return errors.Join(err, errors.New("killed in the transaction"))
				}
				return err
			}
			got.Kept = func() {
				if when == 2 {
					killed.Store(true)
				}
			}
			return got, err
		}
		w.catchUp(f)
		if _, held := w.who(); held != killed.Load() {
			t.Fatalf("round %d: killed %t, and holds the lease %t", round, killed.Load(), held)
		}
		w.pass(10 * time.Second)
	}
	w.follow(w.follower("last"))
	w.all("sixty servers")
}

// TestFollowerFaults is about a database that fails: it is tried again, later and later, and at
// once where it has begun to work.
func TestFollowerFaults(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	f := w.follower("a")
	w.follow(f)
	w.write("p")
	rename := func(from, to string) {
		if _, err := w.sql.Exec(fmt.Sprintf(`ALTER TABLE %s RENAME TO %s`, from, to)); err != nil {
			t.Error(err)
		}
	}
	rename("place", "away")
	ctx, stop := context.WithCancel(t.Context())
	var waits []time.Duration
	f.Wait = func(_ context.Context, d time.Duration, _ <-chan struct{}) {
		waits = append(waits, d)
		switch len(waits) {
		case 5:
			rename("away", "place")
		case 6: // it has told the version
			rename("told", "away")
			w.write("p")
		case 8: // that one it has not
			rename("away", "told")
		case 9:
			stop()
		}
	}
	f.Run(ctx)
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second, time.Second, 100 * time.Millisecond, time.Second, time.Second, 100 * time.Millisecond, time.Second}
	if !slices.Equal(waits, want) {
		t.Errorf("it waits %v, want %v", waits, want)
	}
	w.all("after the faults")
}

// TestFollowerStops is about a server that stops while it is at a page: that is not stored, and
// the next one follows at once.
func TestFollowerStops(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	f := w.follower("a")
	w.follow(f)
	w.write("p")
	ctx, stop := context.WithCancel(t.Context())
	take, pages := f.Take, 0
	f.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
		pages++
		stop()
		return take(ctx, page)
	}
	f.Run(ctx)
	if node, held := w.who(); pages != 1 || held {
		t.Errorf("%d pages, and %s holds the lease: %t", pages, node, held)
	}
	w.follow(w.follower("b"))
	w.all("after the stop")
}

// TestFollowerRenews passes many pages that nothing comes of: the lease is renewed and the place
// stored now and then, or another server would begin again where this one had begun.
func TestFollowerRenews(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	f := w.follower("a")
	w.follow(f)
	for i := range 30 {
		w.write(fmt.Sprint("p", i))
	}
	places := map[string]bool{}
	f.Take = func(context.Context, []store.Followed) (store.Taken, error) {
		w.pass(2 * time.Second)
		if w.catchUp(w.follower("b")) {
			t.Error("another server follows")
		}
		var place string
		err := w.sql.QueryRow(`SELECT position FROM place`).Scan(&place)
		places[place] = true
		return store.Taken{}, err
	}
	w.follow(f)
	if len(places) < 4 {
		t.Errorf("in 20 seconds it has stored %d places", len(places))
	}
	if n := len(places); n > 9 {
		t.Errorf("it stores %d places for pages that nothing comes of", n)
	}
}

// TestFollowerStartOver is about the first time, and about a place that is lost: what was written
// before is stored in pages, and only with all of it the place.
func TestFollowerStartOver(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	f := w.follower("a")
	var asked []string
	broken := true
	f.Before = func(_ context.Context, after string, lost bool) (store.Taken, string, error) {
		asked = append(asked, fmt.Sprint(after, lost))
		if after == "" {
			w.write("new") // it is behind the place
			return store.Taken{Keep: func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, `INSERT INTO told (id, version) VALUES ('old', 0)`)
				return err
			}}, "2", nil
		}
		if broken {
			broken = false
			return store.Taken{}, "", errors.New("not now")
		}
		return store.Taken{}, "", nil
	}
	if w.catchUp(f) {
		t.Error("it goes on without all that was before")
	}
	w.follow(f)
	if _, err := w.sql.Exec(`UPDATE place SET position = 'lost'`); err != nil {
		t.Fatal(err)
	}
	w.follow(f)
	w.follow(f)
	if want := []string{"false", "2false", "false", "2false", "true", "2true"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	var old, last int
	if err := w.sql.QueryRow(`SELECT count(*) FILTER (WHERE id = 'old'), max(version) FROM told`).Scan(&old, &last); err != nil || old != 3 || last != 3 {
		t.Errorf("what was before is stored %d times, and version %d is the last, %v", old, last, err)
	}
}

// TestFollowerBegins is about a first start without anything of before: what is written after
// Begin is told, whoever follows, and when.
func TestFollowerBegins(t *testing.T) {
	t.Parallel()
	w := newFollowed(t)
	w.write("p")
	w.written["p"] = 0
	// One server has begun, and what it writes is not to be seen before another one has looked.
	_, first, _, err := w.db.Follow(t.Context(), "", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.write("q")
	tx, err := w.sql.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`UPDATE place SET position = $1`, first); err != nil {
		t.Fatal(err)
	}
	late := make(chan error)
	go func() { late <- w.follower("late").Begin(t.Context()) }()
	const waits = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`
	for blocked := false; !blocked; store.Wait(t.Context(), time.Millisecond, nil) {
		if err := w.sql.QueryRow(waits).Scan(&blocked); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tx.Commit(), <-late, w.follower("later").Begin(t.Context())); err != nil {
		t.Fatal(err)
	}
	f, loads, again := w.follower("a"), 0, 2
	take := f.Take
	f.Load = func(context.Context) error {
		loads++
		return nil
	}
	f.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
		if again--; again >= 0 {
			return store.Taken{Again: true}, nil
		}
		return take(ctx, page)
	}
	w.follow(f)
	delete(w.written, "p")
	w.all("after Begin")
	if loads != 1 {
		t.Errorf("it is loaded %d times", loads)
	}
}
