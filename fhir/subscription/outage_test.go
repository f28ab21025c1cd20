package subscription

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// A workload makes events of the topic task-changed.
type workload struct {
	w     *world
	tasks int
	made  int64
}

// burst makes n events at one moment.
func (l *workload) burst(n int) {
	l.w.t.Helper()
	defer l.w.clock.hold()()
	for range n {
		id := fmt.Sprintf("t%d", l.made%int64(l.tasks))
		status := [...]string{"received", "accepted", "in-progress"}[l.made/int64(l.tasks)%3]
		l.w.put(task(id, "consultation", status))
		l.made++
	}
}

func newWorkload(w *world, tasks int) *workload {
	l := &workload{w: w, tasks: tasks}
	defer w.clock.hold()()
	for i := range tasks {
		w.put(task(fmt.Sprintf("t%d", i), "consultation", "requested"))
	}
	return l
}

// An outage is three endpoints: one that is dead for an hour, a slow and a healthy
// one.
type outage struct {
	w                   *world
	dead, slow, healthy *endpoint
	load                *workload
}

func newOutage(t *testing.T) *outage {
	w := newWorld(t)
	o := &outage{w: w, dead: w.endpoint(), slow: w.endpoint(), healthy: w.endpoint(), load: newWorkload(w, 7)}
	return o
}

func (o *outage) subscribe() {
	o.w.put(hook("dead", o.dead.URL+"/dead"))
	o.w.put(hook("slow", o.slow.URL+"/slow"))
	o.w.put(hook("healthy", o.healthy.URL+"/healthy"))
	for _, id := range []string{"dead", "slow", "healthy"} {
		o.w.is(id, active)
	}
	o.slow.takes.Store(int64(2 * time.Second))
}

// arrived waits until all events have arrived everywhere.
func (o *outage) arrived(t *testing.T) {
	for path, e := range map[string]*endpoint{"/dead": o.dead, "/slow": o.slow, "/healthy": o.healthy} {
		o.w.clock.until(t, "everything is at "+path, 3*time.Hour, func() bool {
			events := e.events(path)
			return len(events) > 0 && events[len(events)-1].numbers[0] == o.load.made
		})
	}
}

// TestOutage is about three subscribers of whom one is away for an hour.
func TestOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	o.w.run(o.w.subs)
	o.subscribe()
	o.dead.fails.Store(true)
	for range 12 {
		o.load.burst(20)
		began := o.w.clock.Now()
		o.w.clock.until(t, "the healthy one has all", 5*time.Second, func() bool { return int64(len(o.healthy.events("/healthy"))) == o.load.made })
		o.w.clock.pass(t, 5*time.Minute-o.w.clock.Now().Sub(began))
	}
	if got := len(o.dead.events("/dead")); got > 0 {
		t.Fatalf("%d events arrived at a dead endpoint", got)
	}
	if tries := o.dead.tries; tries < 12 || tries > 40 {
		t.Errorf("%d tries in an hour", tries)
	}
	if status, why := o.w.status("dead"); status != active || why != "" {
		t.Errorf("after an hour it is %s: %s", status, why)
	}
	o.dead.fails.Store(false)
	o.arrived(t)
	for path, e := range map[string]*endpoint{"/dead": o.dead, "/slow": o.slow, "/healthy": o.healthy} {
		if again := e.follows(t, path, o.load.made); again > 0 {
			t.Errorf("%s: %d came again, though nothing was killed", path, again)
		}
	}
}

// TestOutageWithCrashes is the same while the server is killed five times.
func TestOutageWithCrashes(t *testing.T) {
	t.Parallel()
	o := newOutage(t)
	e := o.w.newEngine(func(*Config) {})
	stop := o.w.run(e)
	o.subscribe()
	o.dead.fails.Store(true)
	const crashes = 5
	for range crashes {
		o.load.burst(40)
		o.w.clock.pass(t, 700*time.Millisecond) // while the slow one is at work
		o.w.kill(e, stop)
		o.load.burst(5) // while there is no server that delivers
		e = o.w.newEngine(func(*Config) {})
		stop = o.w.run(e)
		o.w.clock.pass(t, 12*time.Minute)
	}
	o.dead.fails.Store(false)
	o.arrived(t)
	for path, e := range map[string]*endpoint{"/dead": o.dead, "/slow": o.slow, "/healthy": o.healthy} {
		if again := e.follows(t, path, o.load.made); again > crashes {
			t.Errorf("%s: %d came again after %d crashes", path, again, crashes)
		}
	}
}

// counted is a client that counts what it sends.
type counted struct {
	next http.RoundTripper
	n    atomic.Int64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.RoundTrip(r)
}

// TestTwoServersShare is about two servers of which one is killed.
func TestTwoServersShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load := newWorkload(w, 3)
	var engines [2]*Engine
	var stops [2]func()
	var sent [2]*counted
	for i := range engines {
		sent[i] = &counted{next: insecure().Transport}
		engines[i] = w.newEngine(func(c *Config) {
			c.HTTP, c.Workers, c.Node = &http.Client{Transport: sent[i]}, 6, fmt.Sprint(i)
		})
		stops[i] = w.run(engines[i])
	}
	var all []*endpoint
	for i := range 10 {
		all = append(all, w.endpoint())
		w.put(hook(fmt.Sprint("s", i), fmt.Sprintf("%s/s%d", all[i].URL, i)))
	}
	for i, e := range all {
		w.is(fmt.Sprint("s", i), active)
		e.takes.Store(int64(time.Second))
	}
	have := func(n int64) func() bool {
		return func() bool {
			for i, e := range all {
				events := e.events(fmt.Sprint("/s", i))
				if len(events) == 0 || events[len(events)-1].numbers[0] < n {
					return false
				}
			}
			return true
		}
	}
	load.burst(12)
	w.clock.until(t, "all have all", time.Minute, have(load.made))
	for i := range sent {
		if sent[i].n.Load() == 0 {
			t.Errorf("server %d has sent nothing", i)
		}
	}
	for round := range 4 {
		load.burst(3)
		w.clock.pass(t, 1500*time.Millisecond)
		victim := round % 2
		w.kill(engines[victim], stops[victim])
		load.burst(1)
		// Ten seconds to take over, then what is still to be sent at one a second.
		w.clock.until(t, "the other server has taken over", 10*time.Second+4*time.Second, have(load.made))
		engines[victim] = w.newEngine(func(c *Config) { c.Workers, c.Node = 6, fmt.Sprint(victim) })
		stops[victim] = w.run(engines[victim])
		w.clock.pass(t, 10*time.Second)
	}
	for i, e := range all {
		if again := e.follows(t, fmt.Sprint("/s", i), load.made); again > 4 {
			t.Errorf("s%d: %d came again after 4 crashes", i, again)
		}
	}
}

// TestRaceOfMatchers makes sure that a server that was held up does not number
// events when another one has taken over.
func TestRaceOfMatchers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.clock.hold()()
	w.follow(w.subs)
	w.put(hook("s", "https://example.org/s"))
	load := newWorkload(w, 1)
	w.follow(w.subs)
	load.burst(3)
	slow, other := w.subs.follower(), w.newEngine(func(*Config) {})
	take, pages := slow.Take, 0
	slow.Take = func(ctx context.Context, page []store.Followed) (store.Taken, error) {
		got, err := take(ctx, page)
		if pages++; pages > 1 || got.Keep == nil {
			t.Errorf("page %d has events: %v", pages, got.Keep != nil)
		}
		if w.catchUp(other.follower()) {
			t.Error("two matchers at once")
		}
		w.clock.Wait(ctx, matchLease, nil)
		w.follow(other)
		return got, err
	}
	if w.catchUp(slow) {
		t.Error("the first one numbered events after it had lost the lease")
	}
	load.burst(2)
	w.follow(other)
	events, err := w.subs.events(t.Context(), "s", 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range events {
		if x.number != int64(i+1) || x.version != i+2 {
			t.Errorf("event %d has number %d and version %d", i, x.number, x.version)
		}
	}
	if len(events) != 5 {
		t.Errorf("%d events, want 5", len(events))
	}
}
