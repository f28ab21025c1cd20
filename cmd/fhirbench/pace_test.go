package main

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// stall is a target that answers at once, except to one request, which it holds up.
type stall struct {
	asked atomic.Int64
	at    int64
	hold  time.Duration
}

func (s *stall) close() {}

func (s *stall) do(ctx context.Context, _ op) (answer, error) {
	if s.asked.Add(1) == s.at {
		select {
		case <-time.After(s.hold):
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
	}
	return answer{status: 201, id: "1", version: "1"}, nil
}

// paced runs a workload of creates on fake time.
func paced(ctx context.Context, c config, t target) report {
	c.workload, c.typeName = workloads[0], "Communication"
	g := &generator{practice: absentPractice()}
	p := newPacer(c, time.Now())
	if o, ok := p.(*open); ok {
		// The kernel's clock does not follow the fake one.
		o.nap = time.Sleep
	}
	start, w, measured := time.Now(), staff(c, g, nil), newTally()
	done := make(chan *tally)
	for i := range w {
		go func() {
			each := newTally()
			drive(ctx, p, t, client{w[i], each})
			done <- each
		}()
	}
	for range w {
		measured.merge(<-done)
	}
	return newReport(c, measured, time.Since(start))
}

func TestOpenLoopCountsFromDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// 100 requests due every 10 ms to one client. The 11th, due at 100 ms, is held up for 200 ms: the 19 that fall due
		// behind it wait for 190, 180 … 10 ms, and the one due at 300 ms is on time again.
		c := config{clients: 1, rate: 100, requests: 100}
		r := paced(t.Context(), c, &stall{at: 11, hold: 200 * time.Millisecond})
		if r.Requests != 100 || r.Succeeded != 100 || r.Seconds != 0.99 {
			t.Errorf("%d requests, %d succeeded in %v s; want 100, 100, 0.99", r.Requests, r.Succeeded, r.Seconds)
		}
		if r.LateStarts != 19 {
			t.Errorf("%d late starts, want 19", r.LateStarts)
		}
		want := latency{P50: 0, P95: 150, P99: 190, Max: 200}
		if !near(r.Latency, want) {
			t.Errorf("latency %+v, want %+v", r.Latency, want)
		}
		if want := (latency{P50: 0, P95: 140, P99: 180, Max: 190}); !near(r.StartDelay, want) {
			t.Errorf("start delay %+v, want %+v", r.StartDelay, want)
		}
	})
}

func TestOpenLoopWithAFreeClientIsOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := config{clients: 2, rate: 100, requests: 100}
		r := paced(t.Context(), c, &stall{at: 11, hold: 200 * time.Millisecond})
		if want := (latency{Max: 200}); r.LateStarts != 0 || !near(r.Latency, want) {
			t.Errorf("%d late starts, latency %+v; want none and %+v", r.LateStarts, r.Latency, want)
		}
	})
}

func TestOpenLoopStopsWhenTheTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// 100 fall due in a second; after the 51st, due at 500 ms, the only client is busy beyond the end.
		c := config{clients: 1, rate: 100, duration: time.Second}
		r := paced(t.Context(), c, &stall{at: 51, hold: 2 * time.Second})
		if r.Requests != 51 || r.NotStarted != 49 || r.Seconds != 2.5 {
			t.Errorf("%d requests, %d not started, %v s; want 51, 49, 2.5", r.Requests, r.NotStarted, r.Seconds)
		}
	})
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config   config
		at       int64
		hold     time.Duration
		requests uint64
	}{
		"number":                   {config{clients: 3, requests: 100}, 0, 0, 100},
		"time":                     {config{clients: 1, duration: time.Second}, 1, time.Second, 1},
		"number before time":       {config{clients: 1, requests: 5, duration: time.Hour}, 0, 0, 5},
		"latency counts from sent": {config{clients: 1, requests: 10}, 5, time.Second, 10},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := paced(t.Context(), test.config, &stall{at: test.at, hold: test.hold})
				if r.Requests != test.requests || r.LateStarts != 0 || r.StartDelay != (latency{}) {
					t.Errorf("%d requests, %d late starts, start delay %+v; want %d, 0, none",
						r.Requests, r.LateStarts, r.StartDelay, test.requests)
				}
				if want := float64(test.hold.Milliseconds()); r.Latency.Max != want {
					t.Errorf("longest latency %v ms, want %v", r.Latency.Max, want)
				}
			})
		})
	}
}

func TestInterruptionIsNotAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config{
		"closed": {clients: 1, duration: time.Hour},
		"open":   {clients: 1, duration: time.Hour, rate: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r := paced(ctx, c, &stall{at: 4, hold: time.Hour})
				if r.Requests != 3 || r.Succeeded != 3 || len(r.Errors) != 0 || r.Seconds != 60 {
					t.Errorf("%d requests, %d succeeded, errors %v, %v s; want 3, 3, none, 60", r.Requests, r.Succeeded, r.Errors, r.Seconds)
				}
			})
		})
	}
}

// near compares within the width of a histogram bucket.
func near(got, want latency) bool {
	within := func(g, w float64) bool { return g >= w && g <= w*(1+1.0/subBuckets) }
	return within(got.P50, want.P50) && within(got.P95, want.P95) && within(got.P99, want.P99) && within(got.Max, want.Max)
}
