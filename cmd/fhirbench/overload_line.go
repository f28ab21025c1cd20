package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// A gun sends requests that were made before. It is safe for concurrent use.
type gun struct {
	wires *wires
	shots [][]byte
	fired atomic.Int64
}

// next returns the next request.
func (g *gun) next() []byte {
	return g.shots[int(g.fired.Add(1)-1)%len(g.shots)]
}

func (g *gun) dial(ctx context.Context) (*line, error) {
	w, err := g.wires.dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &line{wire: w}
	l.due.Store(-1)
	return l, nil
}

// A line is a connection whose answers are only glanced at, since a storm has many of them.
type line struct {
	*wire
	due atomic.Int64 // when the request under way ought to have been sent, from the start of the storm; -1 for none
}

func (l *line) close() { _ = l.Close() }

// A glance is what was seen of an answer.
type glance struct {
	status  int
	retry   bool // it says when to come again
	outcome bool // it has an OperationOutcome
	closes  bool
}

func (g glance) ok() bool      { return g.status >= 200 && g.status < 300 }
func (g glance) refused() bool { return g.status == 429 || g.status == 503 }

// fire sends a request and waits for the answer.
func (l *line) fire(shot []byte) (glance, error) {
	if _, err := l.Write(shot); err != nil {
		return glance{}, err
	}
	return l.glance()
}

var errAnswer = errors.New("the answer is no HTTP/1.1")

// glance reads one answer.
func (l *line) glance() (glance, error) {
	a, length, err := l.head()
	if err != nil {
		return a, err
	}
	if length >= 0 {
		return a, l.body(&a, length)
	}
	for {
		size, err := l.reader.ReadSlice('\n')
		if err != nil {
			return a, fmt.Errorf("read a chunk: %w", err)
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 32)
		if err != nil {
			return a, errAnswer
		}
		if err := l.body(&a, int(n)); err != nil {
			return a, err
		}
		if _, err := l.reader.Discard(len("\r\n")); err != nil || n == 0 {
			return a, err
		}
	}
}

// head reads up to the body and returns its length, -1 for one in chunks.
func (l *line) head() (glance, int, error) {
	first, err := l.reader.ReadSlice('\n')
	if err != nil {
		return glance{}, 0, err
	}
	if len(first) < 12 || !bytes.HasPrefix(first, []byte("HTTP/1.1 ")) {
		return glance{}, 0, errAnswer
	}
	a := glance{}
	length := 0
	if a.status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return a, 0, errAnswer
	}
	for {
		text, err := l.reader.ReadSlice('\n')
		if err != nil {
			return a, 0, err
		}
		text = bytes.TrimRight(text, "\r\n")
		if len(text) == 0 {
			return a, length, nil
		}
		name, value, _ := bytes.Cut(text, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, 0, errAnswer
			}
		case "Transfer-Encoding":
			length = -1
		case "Retry-After":
			a.retry = true
		case "Connection":
			a.closes = string(value) == "close"
		}
	}
}

// body reads past that many bytes.
func (l *line) body(a *glance, length int) error {
	start, err := l.reader.Peek(min(length, 100))
	if err != nil {
		return err
	}
	a.outcome = a.outcome || bytes.Contains(start, []byte(`"OperationOutcome"`))
	_, err = l.reader.Discard(length)
	return err
}

// A bestRun is a closed loop: what so many clients, of whom each sends the next request when the last is answered, get done.
type bestRun struct {
	Clients   int     `json:"clients"`
	PerSecond float64 `json:"succeeded_per_second"`
	Created   float64 `json:"created_per_second"`
	Other     uint64  `json:"other_answers"`
	Latency   latency `json:"latency_ms"`
}

// closedLoop measures a closed loop.
func (g *gun) closedLoop(ctx context.Context, clients int) (bestRun, error) {
	tallies := make([]struct {
		latency        histogram
		created, other uint64
	}, clients)
	began := time.Now()
	end := began.Add(bestTime)
	_, err := spread(ctx, clients, clients, func(ctx context.Context, i int) error {
		l, err := g.dial(ctx)
		if err != nil {
			return err
		}
		defer l.close()
		_ = l.SetDeadline(end.Add(g.wires.timeout))
		for start := time.Now(); start.Before(end) && ctx.Err() == nil; start = time.Now() {
			a, err := l.fire(g.next())
			switch {
			case err != nil:
				return err
			case a.ok():
				tallies[i].latency.add(time.Since(start))
				if a.status == http.StatusCreated {
					tallies[i].created++
				}
			default:
				tallies[i].other++
			}
		}
		return nil
	})
	all := new(histogram)
	run := bestRun{Clients: clients}
	created := uint64(0)
	for i := range tallies {
		all.merge(&tallies[i].latency)
		run.Other += tallies[i].other
		created += tallies[i].created
	}
	seconds := time.Since(began).Seconds()
	run.PerSecond, run.Created, run.Latency = quotient(float64(all.total), seconds), quotient(float64(created), seconds), latencyOf(all)
	return run, err
}
