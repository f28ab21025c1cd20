package main

import (
	"context"
	"sync/atomic"
	"time"
)

// closed is the loop in which every client sends its next request as soon as the last one is answered.
type closed struct {
	taken atomic.Int64
	// limit is the number of requests, 0 for no limit.
	limit int64
	// end is when the last request may start; zero means no end.
	end time.Time
}

func newClosed(c config, start time.Time) *closed {
	p := &closed{limit: c.requests}
	if c.duration > 0 {
		p.end = start.Add(c.duration)
	}
	return p
}

func (p *closed) next(ctx context.Context) (slot, bool) {
	if ctx.Err() != nil {
		return slot{}, false
	}
	if p.limit > 0 && p.taken.Add(1) > p.limit {
		return slot{}, false
	}
	now := time.Now()
	if !p.end.IsZero() && !now.Before(p.end) {
		return slot{}, false
	}
	return slot{due: now}, true
}
