package main

import (
	"context"
	"sync/atomic"
	"time"
)

// open is the loop in which requests fall due at fixed intervals, whether or not the earlier ones are answered, as they
// do when people who know nothing of each other use a server. A request that finds no free worker waits, and its wait
// counts: leaving it out would hide exactly the moments at which the server was slow ("coordinated omission").
type open struct {
	taken    atomic.Int64
	start    time.Time
	interval time.Duration
	// limit is the number of requests that fall due.
	limit int64
	// end is when the run stops, with requests that are due but not begun left out; zero means no end.
	end time.Time
	// nap waits out a short time exactly.
	nap func(time.Duration)
}

// napTime is how long before a request is due the runtime's timers, which may be late by a millisecond, hand over to nap.
const napTime = 2 * time.Millisecond

func newOpen(c config, start time.Time) *open {
	p := &open{start: start, interval: c.interval(), limit: c.due(), nap: nap}
	if c.duration > 0 {
		p.end = start.Add(c.duration)
	}
	return p
}

// interval is the time from one due request to the next.
func (c config) interval() time.Duration { return time.Duration(float64(time.Second) / c.rate) }

// due is how many requests fall due in an open loop, whether or not the clients get round to all of them.
func (c config) due() int64 {
	if c.duration == 0 {
		return c.requests
	}
	n := int64((c.duration + c.interval() - 1) / c.interval())
	if c.requests > 0 {
		n = min(n, c.requests)
	}
	return n
}

func (p *open) next(ctx context.Context) (slot, bool) {
	i := p.taken.Add(1) - 1
	if i >= p.limit {
		return slot{}, false
	}
	due := p.start.Add(time.Duration(i) * p.interval)
	now := time.Now()
	if !p.end.IsZero() && !now.Before(p.end) {
		return slot{}, false
	}
	if now.After(due) {
		return slot{due: due, late: true}, ctx.Err() == nil
	}
	return slot{due: due}, p.wait(ctx, due)
}

// wait returns when the time has come, or false when the run was interrupted.
func (p *open) wait(ctx context.Context, due time.Time) bool {
	if d := time.Until(due) - napTime; d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	if d := time.Until(due); d > 0 {
		p.nap(d)
	}
	return ctx.Err() == nil
}
