package api

import (
	"context"
	"time"
)

// How much of the time refusals are written, at most: one part of it, and then so many
// parts nothing is refused. What a refusal takes on a machine that has no time left is
// longer, and so is the pause.
const (
	pauseParts = 2
	pauseLeast = time.Millisecond // what is less adds up
	pauseMost  = 20 * time.Millisecond
)

// An exit is where refusals are written, one after the other and with pauses. Those of a
// flood, all at once, would take the time in which what was let in is done.
type exit chan time.Duration // holds for each that is written at a time the pause that is due

func newExit(atOnce int64) exit {
	e := make(exit, atOnce)
	for range atOnce {
		e <- 0
	}
	return e
}

// write runs what writes one refusal, when its turn comes. Whose ctx is done waits no longer, but
// is refused all the same: an answer that nobody writes would be one of success.
func (e exit) write(ctx context.Context, refusal func()) {
	select {
	case <-ctx.Done():
		refusal()
	case due := <-e:
		defer func() { e <- due }()
		began := time.Now()
		refusal()
		due += pauseParts * time.Since(began)
		if due >= pauseLeast {
			time.Sleep(min(due, pauseMost))
			due = 0
		}
	}
}
