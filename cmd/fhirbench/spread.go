package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// spread calls do for 0 to n-1, several at a time, and returns how long all of it took. The first error ends it.
func spread(ctx context.Context, clients, n int, do func(ctx context.Context, i int) error) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	var group sync.WaitGroup
	began := time.Now()
	for range min(clients, n) {
		group.Go(func() {
			for i := taken.Add(1) - 1; i < int64(n) && ctx.Err() == nil; i = taken.Add(1) - 1 {
				if err := do(ctx, int(i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return time.Since(began), context.Cause(ctx)
}
