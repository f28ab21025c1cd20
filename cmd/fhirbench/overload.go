package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// overloadWorkload asks for many times what the server can do.
const overloadWorkload = "overload"

// How long each part of an overload takes besides the storm.
const (
	unloadedTime = 5 * time.Second
	bestTime     = 5 * time.Second
	settleTime   = 60 * time.Second // for the latency to become normal again, at most
	probeEvery   = 10 * time.Millisecond
	probeWindow  = 50 // probes that are looked at together
)

// bestClients are the numbers of clients that are tried to find the most that a server does.
var bestClients = []int{8, 16, 32}

// overloadFlags are those of the overload workload.
func (c *config) overloadFlags(f *flag.FlagSet) {
	c.mix = mixture{60, 25, 15}
	f.Var(&c.mix, "mix", "reads/searches/creates of a hundred `requests` of the overload workload")
	f.Float64Var(&c.times, "times", 10, "how many times its best a server is asked for by the overload workload; -rate asks for a fixed rate instead")
	f.IntVar(&c.connections, "connections", 2000, "connections of the overload workload; what is due while all of them wait is not sent")
	f.StringVar(&c.admin, "admin", "", "base `URL` of the server's admin listener, whose /livez, /readyz and /metrics the overload workload asks meanwhile")
	f.Func("pid", "`process` of the server, and with commas others such as its database, whose CPU and memory the overload workload reports", func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			pid, err := strconv.Atoi(part)
			if err != nil {
				return err
			}
			c.pids = append(c.pids, pid)
		}
		return nil
	})
}

// runOverload is the command for the overload workload.
func runOverload(ctx context.Context, c config, t target, stdout, stderr io.Writer) int {
	server, ok := t.(*httpTarget)
	if !ok {
		return failed(ctx, stderr, errors.New("the overload workload goes to a server; give -base"))
	}
	r, err := overload(ctx, c, server, stderr)
	if err == nil {
		err = r.print(stdout, c.json)
	}
	if err != nil {
		return failed(ctx, stderr, err)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(stderr, "fhirbench: %s\n", problem)
	}
	if len(r.Problems) > 0 {
		return exitUnexpected
	}
	return exitOK
}

// overload measures a server at rest, at its best, in a storm of requests, and after it.
func overload(ctx context.Context, c config, t *httpTarget, progress io.Writer) (*overloadReport, error) {
	shots, err := arm(ctx, c, t)
	if err != nil {
		return nil, err
	}
	g := &gun{wires: t.wires, shots: shots}
	r := &overloadReport{Workload: overloadWorkload, Mix: c.mix.String(), Seed: c.seed, Times: c.times}
	fmt.Fprintln(progress, "at rest")
	rest, err := g.probe(ctx, func(_ []probed, since time.Duration) bool { return since >= unloadedTime })
	if err != nil {
		return nil, fmt.Errorf("measure the server at rest: %w", err)
	}
	r.Unloaded = latencyOf(rest.latency())
	fmt.Fprintln(progress, "at its best")
	if r.Best, err = g.best(ctx); err != nil {
		return nil, fmt.Errorf("find the most that the server does: %w", err)
	}
	rate := c.rate
	if rate == 0 {
		rate = c.times * r.best()
	}
	fmt.Fprintf(progress, "storm: %.0f requests/s for %v\n", rate, c.duration)
	s, err := g.storm(ctx, c, rate)
	if err != nil {
		return nil, fmt.Errorf("storm: %w", err)
	}
	fmt.Fprintln(progress, "after the storm")
	after, err := g.probe(ctx, func(all []probed, since time.Duration) bool {
		return isNormal(all, r.Unloaded) || since >= settleTime
	})
	if err != nil {
		return nil, fmt.Errorf("measure the server after the storm: %w", err)
	}
	r.after(s, after)
	if again, err := g.closedLoop(ctx, bestOf(r.Best).Clients); err == nil {
		r.BestAfter = again.PerSecond
	}
	r.judge()
	return r, nil
}

// best runs closed loops with several numbers of clients.
func (g *gun) best(ctx context.Context) ([]bestRun, error) {
	var all []bestRun
	for _, n := range bestClients {
		one, err := g.closedLoop(ctx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// bestOf returns the run with the most successes a second.
func bestOf(runs []bestRun) bestRun {
	var best bestRun
	for _, r := range runs {
		if r.PerSecond > best.PerSecond {
			best = r
		}
	}
	return best
}

// probed is one request that was sent to see how the server is.
type probed struct {
	took time.Duration
	ok   bool
}

type probes []probed

func (p probes) latency() *histogram {
	h := new(histogram)
	for _, one := range p {
		h.add(one.took)
	}
	return h
}

// isNormal reports whether the last probes all succeeded, and took at most twice as long as at rest.
func isNormal(all []probed, rest latency) bool {
	if len(all) < probeWindow {
		return false
	}
	last := probes(all[len(all)-probeWindow:])
	for _, p := range last {
		if !p.ok {
			return false
		}
	}
	now := latencyOf(last.latency())
	return now.P50 <= 2*rest.P50 && now.P95 <= 2*max(rest.P95, rest.P50)
}

// probe sends one request every few milliseconds until done says so.
func (g *gun) probe(ctx context.Context, done func(all []probed, since time.Duration) bool) (probes, error) {
	l, err := g.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { l.close() }()
	var all probes
	for began := time.Now(); !done(all, time.Since(began)); {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		start := time.Now()
		_ = l.SetDeadline(start.Add(g.wires.timeout))
		a, err := l.fire(g.next())
		all = append(all, probed{time.Since(start), err == nil && a.ok()})
		if err != nil || a.closes {
			l.close()
			if l, err = g.dial(ctx); err != nil {
				return nil, err
			}
		}
		time.Sleep(probeEvery - min(time.Since(start), probeEvery))
	}
	return all, nil
}
