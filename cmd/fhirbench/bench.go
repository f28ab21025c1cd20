package main

import (
	"context"
	"sync"
	"time"
)

// lead is how long before the first request of an open loop is due its clients start to get ready.
const lead = 20 * time.Millisecond

// bench prepares, runs the workload until it is over or ctx ends, and reports what was measured.
func bench(ctx context.Context, c config, t target) (report, error) {
	workers, err := prepare(ctx, c, t)
	if err != nil {
		return report{}, err
	}
	tallies := make([]*tally, len(workers))
	start := time.Now()
	if c.rate > 0 {
		start = start.Add(lead)
	}
	p := newPacer(c, start)
	var wg sync.WaitGroup
	for i, w := range workers {
		tallies[i] = newTally()
		wg.Go(func() { drive(ctx, p, t, client{w, tallies[i]}) })
	}
	wg.Wait()
	taken := max(0, time.Since(start))
	total := newTally()
	for _, tl := range tallies {
		total.merge(tl)
	}
	r := newReport(c, total, taken)
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// client is a worker and what it measured.
type client struct {
	*worker
	*tally
}

// drive sends one request after the other until the run is over.
func drive(ctx context.Context, p pacer, t target, c client) {
	for {
		o := c.next()
		s, ok := p.next(ctx)
		if !ok {
			return
		}
		began := time.Now()
		a, err := t.do(ctx, o)
		took := timing{due: s.due, late: s.late, began: began, ended: time.Now()}
		switch {
		case err != nil && ctx.Err() != nil:
			// The interruption ended this request, so it says nothing about the target.
			return
		case err != nil:
			c.fail(o, took, err)
		default:
			c.learn(o, a)
			c.count(o, took, a)
		}
	}
}
