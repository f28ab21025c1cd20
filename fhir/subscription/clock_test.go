package subscription

import (
	"context"
	"sync"
	"testing"
	"time"
)

// A virtual clock moves on by itself to when the next of those who wait wants to go
// on, as soon as nobody is at work. So hours pass as fast as what happens in them.
type virtual struct {
	mu      sync.Mutex
	quiet   *sync.Cond
	now     time.Time
	working int // goroutines that do something; who waits does not
	waiters map[*waiter]bool
	stride  time.Duration // how far it moves at least, to make light of hours in which nothing happens
	stopped bool
}

type waiter struct {
	at    time.Time
	ready chan struct{}
}

func newVirtual(t testing.TB) *virtual {
	c := &virtual{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), waiters: map[*waiter]bool{}}
	c.quiet = sync.NewCond(&c.mu)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run()
	}()
	t.Cleanup(func() {
		c.mu.Lock()
		c.stopped = true
		c.quiet.Broadcast()
		c.mu.Unlock()
		<-done
	})
	return c
}

// run moves the clock while nobody is at work.
func (c *virtual) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.stopped {
		if c.working > 0 || len(c.waiters) == 0 {
			c.quiet.Wait()
			continue
		}
		var first *waiter
		for w := range c.waiters {
			if first == nil || w.at.Before(first.at) {
				first = w
			}
		}
		if first.at.After(c.now) {
			c.now = c.now.Add(max(first.at.Sub(c.now), c.stride))
		}
		c.fire(first)
	}
}

// fire lets w go on. It counts as being at work from here.
func (c *virtual) fire(w *waiter) {
	delete(c.waiters, w)
	c.working++
	close(w.ready)
}

func (c *virtual) busy(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working += n
	c.quiet.Broadcast()
}

// hold stops the clock until the function it returns is called.
func (c *virtual) hold() func() {
	c.busy(1)
	return func() { c.busy(-1) }
}

func (c *virtual) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait is called by who is at work.
func (c *virtual) Wait(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	c.mu.Lock()
	w := &waiter{c.now.Add(d), make(chan struct{})}
	c.waiters[w] = true
	c.working--
	c.quiet.Broadcast()
	c.mu.Unlock()
	select {
	case <-w.ready:
		return
	case <-wake:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiters[w] {
		c.fire(w)
	}
}

// until waits, in the time of c, for something to be true. It is at work itself
// only while it asks.
func (c *virtual) until(t testing.TB, what string, most time.Duration, is func() bool) {
	t.Helper()
	defer c.hold()()
	defer c.stridesFor(most)()
	end := c.Now().Add(most)
	for !is() {
		if c.Now().After(end) {
			t.Fatalf("after %v it is still not so that %s", most, what)
		}
		c.Wait(t.Context(), 250*time.Millisecond, nil)
		if t.Context().Err() != nil {
			t.Fatalf("stopped before %s", what)
		}
	}
}

func (c *virtual) pass(t testing.TB, d time.Duration) {
	t.Helper()
	defer c.hold()()
	defer c.stridesFor(d)()
	c.Wait(t.Context(), d, nil)
}

// stridesFor makes the clock move in greater steps while a long time passes: in
// such as no lease is lost by.
func (c *virtual) stridesFor(d time.Duration) (stop func()) {
	set := func(stride time.Duration) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stride = stride
	}
	if d >= 3*time.Minute {
		set(4 * time.Second)
	}
	return func() { set(0) }
}
