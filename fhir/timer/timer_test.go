package timer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestOnce is about one alarm: not before its time, then once, whatever else is written, and once
// more for each other time.
func TestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	at := start.Add(time.Hour)
	w.put("a", "requested", at)
	w.follow(e)
	w.drain(e)
	w.heard("before it is due", nil)
	w.pass(time.Hour)
	w.drain(e)
	want := map[string]int{due("a", at): 1}
	w.heard("when it is due", want)
	w.put("a", "requested", at)
	w.follow(e)
	w.drain(e)
	w.heard("after a change of something else", want)
	later := at.Add(time.Hour)
	w.put("a", "requested", later)
	w.follow(e)
	w.drain(e)
	w.heard("when it is due later", want)
	w.pass(time.Hour)
	w.drain(e)
	want[due("a", later)] = 1
	w.heard("when it is due once more", want)
}

// TestPause is about a clock that stands still.
func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	at := start.Add(time.Hour)
	w.put("a", "requested", at)
	w.follow(e)
	w.put("a", "on-hold", at)
	w.follow(e)
	w.rows("on hold", 0)
	w.pass(2 * time.Hour)
	w.drain(e)
	w.heard("on hold", nil)
	w.put("a", "requested", at.Add(2*time.Hour))
	w.follow(e)
	w.pass(time.Hour)
	w.drain(e)
	w.heard("on again", map[string]int{due("a", at.Add(2*time.Hour)): 1})
	w.put("a", "completed", at)
	w.follow(e)
	var n int
	if err := w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM timer`).Scan(&n); err != nil || n != 0 {
		t.Errorf("of what is finished %d rows are left, %v", n, err)
	}
}

// TestRepeat is about an alarm that sounds again and again.
func TestRepeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	at := start.Add(10 * time.Minute)
	w.put("stat1", "requested", at)
	w.follow(e)
	want := map[string]int{}
	for i := range 3 {
		w.pass(10 * time.Minute)
		w.drain(e)
		want[due("stat1", at.Add(time.Duration(i)*10*time.Minute))] = 1
		w.heard("again", want)
	}
	w.pass(95 * time.Minute) // in which no server ran
	w.drain(e)
	want[due("stat1", at.Add(30*time.Minute))] = 1
	w.heard("after a stop", want)
	w.pass(5 * time.Minute)
	w.drain(e)
	want[due("stat1", at.Add(120*time.Minute))] = 1
	w.heard("and on", want)
	w.put("stat1", "received", at)
	w.follow(e)
	w.pass(time.Hour)
	w.drain(e)
	w.heard("acknowledged", want)
}

// TestPast is about history that is loaded, and about deletions.
func TestPast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	w.put("past", "requested", start, func(r *store.Row) { r.Past = true })
	w.put("gone", "requested", start)
	w.follow(e)
	w.rows("history and another", 1)
	if _, err := w.store.Delete(t.Context(), fhir.Key{Type: "Task", ID: "gone"}, store.Anything, "", nil); err != nil {
		t.Fatal(err)
	}
	w.follow(e)
	w.rows("history and a deletion", 0)
	w.drain(e)
	w.heard("history", nil)
}

// TestFailures is about what fails: it is tried again, later and later, and holds up nothing else.
func TestFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	w.refuse["plan a"], w.refuse["b"], w.refuse["panic c"] = 2, 2, 1
	for _, id := range []string{"a", "b", "c", "d"} {
		w.put(id, "requested", start)
	}
	w.follow(e)
	w.drain(e)
	want := map[string]int{due("d", start): 1}
	w.heard("at first", want)
	w.pass(time.Second)
	w.follow(e)
	w.drain(e)
	want[due("c", start)] = 1
	w.heard("after a second", want)
	w.pass(time.Minute)
	w.follow(e)
	w.drain(e)
	want[due("a", start)], want[due("b", start)] = 1, 1
	w.heard("after three seconds", want)
	w.rows("at the end", 0)
}

// TestCrash is about a server that ends after an alarm has sounded and before it is written down:
// it sounds again elsewhere, after the lease.
func TestCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, e := w.engine(), w.engine()
	w.follow(e)
	w.put("a", "requested", start)
	w.put("b", "requested", start)
	w.follow(e)
	all, err := dead.claims(t.Context(), 2)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	if _, err := dead.Sound(t.Context(), all[0].Alarm); err != nil {
		t.Fatal(err)
	}
	w.drain(e)
	w.pass(soundLease)
	w.drain(e)
	w.heard("after the lease", map[string]int{"a overdue 2026-03-27T17:00:00Z": times(all[0], "a"), "b overdue 2026-03-27T17:00:00Z": times(all[0], "b")})
	dead.turn(t.Context(), all[1]) // it was only slow: what it says counts for nothing
	w.rows("at the end", 0)
}

// times is how often the alarm of id has sounded when first has sounded twice.
func times(first claim, id string) int {
	if first.Key.ID == id {
		return 2
	}
	return 1
}

// TestPlanInterrupted is about a server that ends between planning and writing down: nothing is
// lost, nothing is there twice, and whoever was taken over from writes nothing more.
func TestPlanInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow, e := w.engine(), w.engine()
	w.follow(e)
	for i := range 5 {
		w.put(fmt.Sprint("t", i), "requested", start.Add(time.Hour))
	}
	f := slow.follower()
	f.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
		b, err := slow.take(ctx, page)
		if w.run(e.follower()) {
			t.Error("two follow at once")
		}
		w.pass(followLease)
		w.follow(e)
		w.rows("after another server has taken over", 5)
		return b, err
	}
	if w.run(f) {
		t.Error("who was taken over from goes on")
	}
	w.rows("after the slow one", 5)
	w.pass(time.Hour)
	w.drain(e)
	w.rows("at the end", 0)
}

// TestMovedOn is about a resource that has moved on while its alarm sounds: it has none, and gets
// it back if it has it again.
func TestMovedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine()
	w.follow(e)
	w.put("a", "requested", start)
	w.follow(e)
	w.moved["a"] = true
	all, err := e.claims(t.Context(), 1)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	w.put("a", "requested", start) // as it was, before the claim comes to its end
	w.follow(e)
	e.turn(t.Context(), all[0])
	w.rows("planned again meanwhile", 1)
	w.drain(e)
	w.rows("moved on", 0)
	w.moved["a"] = false
	w.put("a", "requested", start)
	w.follow(e)
	w.drain(e)
	w.heard("back again", map[string]int{due("a", start): 1})
}

// TestStartOver is about a place in the feed that is lost, as by a restore, and of a first start
// with Tasks: all are looked at. What was due long before the first start does not sound.
func TestStartOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var known []fhir.Key
	e := w.engine(func(c *Config) {
		c.All = func(_ context.Context, after string) ([]fhir.Key, string, error) {
			if after == "" {
				return known[:2], "2", nil
			}
			if w.refused("second page") {
				return nil, "", errRefused
			}
			return known[2:], "", nil
		}
	})
	yesterday, old := start.Add(-staleAfter), start.Add(-staleAfter-time.Second)
	for id, at := range map[string]time.Time{"a": start, "b": yesterday, "c": start, "old": old, "stat-old": old} {
		w.put(id, "requested", at)
	}
	for _, id := range []string{"a", "old", "b", "stat-old", "c"} {
		known = append(known, fhir.Key{Type: "Task", ID: id})
	}
	w.refuse["second page"], w.refuse["plan old"] = 1, 1
	if w.run(e.follower()) {
		t.Fatal("it goes on although not all Tasks were looked at")
	}
	w.follow(e)
	w.pass(time.Minute)
	w.follow(e) // what has failed
	w.drain(e)
	want := map[string]int{due("a", start): 1, due("b", yesterday): 1, due("c", start): 1}
	w.heard("at the first start", want)
	w.put("old", "requested", old)
	w.follow(e)
	w.drain(e)
	w.heard("after a change of what was due long ago", want)
	if _, err := w.db.ExecContext(t.Context(), `UPDATE timer_feed SET position = 'lost'`); err != nil {
		t.Fatal(err)
	}
	w.follow(e)
	w.drain(e)
	w.heard("after a restore", want)
}

// TestServers runs three servers on one database, by the clock of the machine: every alarm sounds
// exactly once, also those that are written while they run.
func TestServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const n = 120
	all := make(chan struct{}, 10*n)
	now := time.Now().Truncate(time.Second)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	for range 3 {
		e := w.engine(func(c *Config) {
			c.Now = nil
			c.Sound = func(ctx context.Context, a Alarm) (bool, error) {
				told, err := w.sound(ctx, a)
				all <- struct{}{}
				return told, err
			}
		})
		if w.clock() == start {
			w.follow(e) // from here on nothing is before the first
			w.pass(1)
		}
		go func() { done <- e.Run(ctx) }()
	}
	go func() { done <- w.store.RunPulse(ctx) }()
	want := map[string]int{}
	for i := range n {
		id, at := fmt.Sprint("t", i), now.Add(time.Duration(i%3)*time.Second)
		w.put(id, "requested", at)
		want[due(id, at)] = 1
	}
	for range n {
		<-all
	}
	stop()
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	w.heard("three servers", want)
	w.rows("at the end", 0)
}
