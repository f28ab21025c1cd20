package api

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Who has a seat gives it to others while it does not use it.
const (
	slowBody  = 20 * time.Millisecond  // for a body to arrive
	slowAfter = 250 * time.Millisecond // for all of a request; then it counts as a long one
)

// A gate lets requests in to a queue's room.
type gate struct {
	mu    sync.Mutex
	queue queue // guarded by mu

	long *semaphore.Weighted // for requests that have turned out long, one each
	back *semaphore.Weighted // for those that come back from a wait of their own, one each
}

func newGate(limit int64) *gate {
	return &gate{queue: newQueue(limit), long: semaphore.NewWeighted(limit), back: semaphore.NewWeighted(max(1, limit/2))}
}

// enter waits for t to have its turn. Who gets admitted calls leave.
func (g *gate) enter(ctx context.Context, t *ticket) verdict {
	v := g.arrive(t)
	if v != waits {
		return v
	}
	timer := time.NewTimer(time.Until(t.until))
	defer timer.Stop()
	select {
	case v := <-t.called:
		return v
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	was, next := g.queue.abandon(t)
	call(next)
	if was {
		return refused
	}
	return <-t.called
}

func (g *gate) arrive(t *ticket) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.called = make(chan verdict, 1)
	v, victim := g.queue.arrive(time.Now(), t)
	if victim != nil {
		victim.called <- overshared
	}
	return v
}

// leave gives the room of t back.
func (g *gate) leave(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	call(g.queue.leave(t))
}

func call(next []*ticket) {
	for _, t := range next {
		t.called <- admitted
	}
}

// A seat is what a request has of a gate. A nil seat is that of a request that needs
// none, such as an entry of a Bundle. It is safe for concurrent use.
type seat struct {
	gate  *gate
	watch *time.Timer

	mu   sync.Mutex
	give func() // gives back what it has; nil when it has nothing; guarded by mu
	over bool   // it will have nothing more; guarded by mu
}

// newSeat returns that of a ticket which was admitted.
func newSeat(g *gate, t *ticket) *seat {
	p := &seat{gate: g, give: func() { g.leave(t) }}
	p.watch = time.AfterFunc(slowAfter, p.lasts)
	return p
}

// lasts has others served beside a long request, unless there are too many long ones.
func (p *seat) lasts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.give == nil || !p.gate.long.TryAcquire(1) {
		return
	}
	p.give()
	p.give = func() { p.gate.long.Release(1) }
}

// yield gives back what p has, to have it again by resume.
func (p *seat) yield() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.give != nil {
		p.give()
		p.give = nil
	}
}

// resume comes back after yield, before those who wait, but only as many at a time as
// leave the others their room. It is for who was admitted once and is not refused again.
func (p *seat) resume(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	has := p.give != nil || p.over
	p.mu.Unlock()
	if has {
		return nil
	}
	if err := p.gate.back.Acquire(ctx, 1); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.give = func() { p.gate.back.Release(1) }
	return nil
}

// end gives back what p has for good. It may be called again.
func (p *seat) end() {
	if p == nil {
		return
	}
	p.watch.Stop()
	p.yield()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}

// arriving runs what reads the body of a request, and gives the seat to others while it
// is slow: who sends slowly keeps nobody out.
func (p *seat) arriving(ctx context.Context, read func() error) error {
	if p == nil {
		return read()
	}
	slow := time.AfterFunc(slowBody, p.yield)
	err := read()
	if slow.Stop() {
		return err
	}
	if back := p.resume(ctx); err == nil {
		return back
	}
	return err
}
