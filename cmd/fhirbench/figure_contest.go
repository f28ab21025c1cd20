package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// mostFailures is how many requests of a client may fail before its turn is over: a server that is gone refuses quickly.
const mostFailures = 100

// side is one of several ways of doing the same that take turns.
type side struct {
	name    string
	clients int
	// next makes the next request of a client, which is not part of its latency, and returns what sends it; nil when there is
	// nothing left to do.
	next func(client int) func(ctx context.Context) error
}

// turn is what one side did in one round.
type turn struct {
	requests, failed uint64
	failure          string // of one that failed
	seconds          float64
	latency          histogram // of those that did not
}

func (t *turn) rate() float64 {
	if t.seconds == 0 {
		return 0
	}
	return float64(t.requests-t.failed) / t.seconds
}

// outcome is what one side did in all rounds.
type outcome struct {
	side
	turn
	rates []float64
}

// compete gives every side a turn in each round, beginning with another side each time, after a short one that does not
// count. It returns the outcomes in the order of the sides, or why ctx is done.
func compete(ctx context.Context, rounds int, lasting time.Duration, sides ...side) ([]outcome, error) {
	const warming = 5 // turns of this part of the time
	all := make([]outcome, len(sides))
	for i, s := range sides {
		all[i].side = s
		s.take(ctx, lasting/warming)
	}
	for round := range rounds {
		for i := range sides {
			o := &all[(round+i)%len(sides)]
			o.add(o.take(ctx, lasting))
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return all, nil
}

func (o *outcome) add(t *turn) {
	o.rates = append(o.rates, t.rate())
	o.merge(t)
	o.seconds += t.seconds
}

// merge adds what was counted, but not the time.
func (t *turn) merge(other *turn) {
	t.requests, t.failed = t.requests+other.requests, t.failed+other.failed
	if other.failure != "" {
		t.failure = other.failure
	}
	t.latency.merge(&other.latency)
}

// take is one turn in a closed loop. Each client sends one request at least.
func (s side) take(ctx context.Context, lasting time.Duration) *turn {
	turns := make([]turn, s.clients)
	var group sync.WaitGroup
	began := time.Now()
	for i := range turns {
		group.Go(func() {
			for n := 0; ctx.Err() == nil && (n == 0 || time.Since(began) < lasting) && turns[i].failed < mostFailures; n++ {
				send := s.next(i)
				if send == nil {
					return
				}
				turns[i].request(ctx, send)
			}
		})
	}
	group.Wait()
	all := &turn{seconds: time.Since(began).Seconds()}
	for i := range turns {
		all.merge(&turns[i])
	}
	return all
}

func (t *turn) request(ctx context.Context, send func(context.Context) error) {
	began := time.Now()
	err := send(ctx)
	took := time.Since(began)
	if err != nil && ctx.Err() != nil {
		return
	}
	t.requests++
	if err != nil {
		t.failed++
		t.failure = excerpt(err.Error())
		return
	}
	t.latency.add(took)
}

// figure makes a row of an outcome.
func (o *outcome) figure(group, name string) figure {
	l := latencyOf(&o.latency)
	f := figure{
		Group: group, Name: name, Unit: unitRate, Clients: o.clients, Rounds: len(o.rates), Seconds: thousandths(o.seconds),
		Value: thousandths(median(o.rates)), Low: thousandths(slices.Min(o.rates)), High: thousandths(slices.Max(o.rates)),
		P50: l.P50, P99: l.P99, Requests: o.requests, Failed: o.failed,
	}
	if o.failed > 0 {
		f.Failure = fmt.Sprintf("%d of %d failed, such as %s", o.failed, o.requests, o.failure)
	}
	return f
}

// over compares the rates with those of another way, round by round.
func (f figure) over(of string, rates, others []float64) figure {
	var quotients []float64
	for i := range min(len(rates), len(others)) {
		if others[i] > 0 {
			quotients = append(quotients, rates[i]/others[i])
		}
	}
	if len(quotients) > 0 {
		f.Of, f.Ratio = of, thousandths(median(quotients))
		f.RatioLow, f.RatioHigh = thousandths(slices.Min(quotients)), thousandths(slices.Max(quotients))
	}
	return f
}

// asReference marks what others are compared with.
func (f figure) asReference() figure {
	f.Reference = true
	return f
}
