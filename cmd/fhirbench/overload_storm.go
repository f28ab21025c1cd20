package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// tick is how often what is due is sent. A latency counts from when its request was due, so it is up to a tick too long.
const tick = time.Millisecond

// A storm is an open loop with one sender, and many connections that each carry one request at a time. What is due while
// all of them wait for an answer is not sent, and counted as such.
type storm struct {
	gun     *gun
	rate    float64
	start   time.Time
	seconds []*second
	lines   []*line

	mu      sync.Mutex
	idle    []*line // guarded by mu
	waiting int     // answers; guarded by mu

	machine []usage // one for each second, and one at the end
	health  []healthCheck
}

// A second is what became of the requests that were due in it.
type second struct {
	mu       sync.Mutex
	sent     int64
	unsent   int64
	failed   int64
	retry    int64 // refusals that said when to come again
	outcomes int64 // refusals with an OperationOutcome
	statuses map[int]int64
	success  histogram
	refusal  histogram
}

// storm asks for rate requests a second, whatever becomes of them.
func (g *gun) storm(ctx context.Context, c config, rate float64) (*storm, error) {
	s := &storm{gun: g, rate: rate, lines: make([]*line, c.connections)}
	for range int(c.duration/time.Second) + 1 {
		s.seconds = append(s.seconds, &second{statuses: map[int]int64{}})
	}
	_, err := spread(ctx, 50, len(s.lines), func(ctx context.Context, i int) error {
		var err error
		s.lines[i], err = g.dial(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %d connections: %w", len(s.lines), err)
	}
	s.idle = append(s.idle, s.lines...)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watchers, readers sync.WaitGroup
	s.start = time.Now()
	watchers.Go(func() { s.machine = watch(ctx, c.pids) })
	watchers.Go(func() { s.health = visit(ctx, c) })
	for _, l := range s.lines {
		readers.Go(func() { s.listen(ctx, l) })
	}
	s.send(ctx, c.duration)
	cancel()
	watchers.Wait()
	s.end(c.timeout)
	readers.Wait()
	for _, l := range s.lines {
		s.lose(time.Duration(l.due.Load())) // sent to a connection that was closed already
	}
	return s, nil
}

// send sends what is due until the time is over.
func (s *storm) send(ctx context.Context, d time.Duration) {
	due := int64(0)
	for since := time.Duration(0); since < d && ctx.Err() == nil; since = time.Since(s.start) {
		for now := int64(since.Seconds() * s.rate); due < now; due++ {
			at := time.Duration(float64(due) / s.rate * float64(time.Second))
			s.shoot(at)
		}
		nap(tick)
	}
}

// shoot sends one request that was due at a time.
func (s *storm) shoot(at time.Duration) {
	l := s.take()
	sec := s.second(at)
	sec.mu.Lock()
	if l == nil {
		sec.unsent++
		sec.mu.Unlock()
		return
	}
	sec.sent++
	sec.mu.Unlock()
	l.due.Store(int64(at))
	// What cannot be written cannot be read either, which the reader counts.
	_, _ = l.Write(s.gun.next())
}

func (s *storm) second(at time.Duration) *second {
	return s.seconds[min(int(at/time.Second), len(s.seconds)-1)]
}

func (s *storm) take() *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == 0 {
		return nil
	}
	l := s.idle[len(s.idle)-1]
	s.idle = s.idle[:len(s.idle)-1]
	s.waiting++
	return l
}

func (s *storm) give(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	s.idle = append(s.idle, l)
}

// listen counts the answers on a connection, and makes a new one when it is closed.
func (s *storm) listen(ctx context.Context, l *line) {
	defer func() { l.close() }()
	for {
		a, err := l.glance()
		at := time.Duration(l.due.Swap(-1))
		if err != nil && at < 0 || err != nil && ctx.Err() != nil {
			s.lose(at)
			return
		}
		s.second(max(at, 0)).count(a, err, time.Since(s.start)-at)
		if err != nil || a.closes {
			l.close()
			w, err := s.gun.wires.dial(ctx)
			if err != nil {
				s.lose(-1)
				return
			}
			s.mu.Lock()
			l.wire = w
			s.mu.Unlock()
		}
		s.give(l)
	}
}

// lose counts a request whose answer did not come before the connection was closed.
func (s *storm) lose(at time.Duration) {
	if at < 0 {
		return
	}
	sec := s.second(at)
	sec.mu.Lock()
	defer sec.mu.Unlock()
	sec.failed++
	sec.statuses[0]++
}

func (sec *second) count(a glance, err error, took time.Duration) {
	sec.mu.Lock()
	defer sec.mu.Unlock()
	sec.statuses[a.status]++
	switch {
	case err != nil:
		sec.failed++
	case a.ok():
		sec.success.add(took)
	case a.refused():
		sec.refusal.add(took)
		if a.retry {
			sec.retry++
		}
		if a.outcome {
			sec.outcomes++
		}
	default:
		sec.failed++
	}
}

// end waits for the answers that are still to come, and closes all connections.
func (s *storm) end(timeout time.Duration) {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		waiting := s.waiting
		s.mu.Unlock()
		if waiting == 0 {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lines {
		_ = l.SetDeadline(time.Unix(1, 0))
	}
}
