package main

import (
	"context"
	"time"
)

// slot is one request's place in the run.
type slot struct {
	// due is when the request ought to be sent; latency counts from it.
	due time.Time
	// late says that no worker was free when it was due.
	late bool
}

// pacer says when the next request is to be sent. It is shared by all workers. It returns false when the run is over.
type pacer interface {
	next(ctx context.Context) (slot, bool)
}

func newPacer(c config, start time.Time) pacer {
	if c.rate > 0 {
		return newOpen(c, start)
	}
	return newClosed(c, start)
}
