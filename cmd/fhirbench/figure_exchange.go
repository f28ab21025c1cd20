package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	groupTransaction = "Transactions"
	groupLoad        = "Load"
	groupExport      = "Export"
	groupFeed        = "Feed"
	groupHooks       = "Subscriptions"
	feedTime         = 5 * time.Second
	// manyResources is how many take so long to export that it is done once.
	manyResources = 300_000
)

// compared runs one of the workloads that compare, and adds its ways and lags. Of says what each way is a share of.
func (f *figures) compared(ctx context.Context, c config, group string, of map[string]string) error {
	w, _ := workloadNamed(c.workload.name)
	c.workload = w
	r, err := w.compare(ctx, c, f.open.httpTarget, f.progress)
	if err != nil {
		return err
	}
	for _, one := range r.Ways {
		clients := r.Clients
		if one.Name == wayLoad && c.loadCommand != "" {
			clients = loadJobs
		}
		f.add(one.figure(group, clients).over(of[one.Name], one.rates(), r.wayNamed(of[one.Name]).rates()))
	}
	for _, l := range r.Lags {
		f.add(figure{Group: group, Name: l.Name, Unit: "ms", Value: l.Latency.P50, P50: l.Latency.P50, P99: l.Latency.P99, Clients: r.Clients, Requests: l.Count})
	}
	for _, problem := range r.Problems {
		f.Problems = append(f.Problems, strings.ToLower(group)+": "+problem)
	}
	var counts []string
	for _, n := range r.Counts {
		counts = append(counts, fmt.Sprintf("%s %d", n.Name, n.N))
	}
	for _, note := range r.Notes {
		// The command says nothing that the row does not.
		if !strings.HasPrefix(note, wayLoad+": ") {
			counts = append(counts, note)
		}
	}
	if len(counts) > 0 {
		f.Notes = append(f.Notes, group+": "+strings.Join(counts, "; "))
	}
	return nil
}

// figure makes a row of a way.
func (w way) figure(group string, clients int) figure {
	rates := w.rates()
	one := figure{
		Group: group, Name: w.Name, Unit: unitRate, Value: w.PerSecond, Clients: clients, Rounds: len(rates),
		Low: thousandths(slices.Min(rates)), High: thousandths(slices.Max(rates)),
		Reference: slices.Contains([]string{wayRaw, waySQL, wayNone}, w.Name),
	}
	for _, s := range w.Rounds {
		one.Seconds, one.Requests = thousandths(one.Seconds+s.Seconds), one.Requests+uint64(s.Resources)
	}
	return one
}

func (f *figures) transactions(ctx context.Context) error {
	c := f.config()
	c.workload.name = "transaction"
	bundles := fmt.Sprintf("Bundles of %d", c.bundle)
	return f.compared(ctx, c, groupTransaction, map[string]string{bundles: wayRaw, waySingles: bundles, wayStore: wayRaw})
}

func (f *figures) loads(ctx context.Context) error {
	c := f.config()
	c.workload.name, c.loadCommand = "load", f.loadCommand()
	if !f.quick {
		c.requests = 10_000
	}
	return f.compared(ctx, c, groupLoad, map[string]string{wayLoad: wayRaw})
}

func (f *figures) exports(ctx context.Context) error {
	c := f.config()
	c.workload.name = "export"
	if f.Resources >= manyResources {
		c.rounds = 1
	}
	return f.compared(ctx, c, groupExport, map[string]string{wayExport: waySQL, wayFetch: waySQL})
}

func (f *figures) feed(ctx context.Context) error {
	c := f.config()
	c.workload.name, c.requests, c.duration = "feed", 0, feedTime
	if f.quick {
		c.requests = 200
	}
	return f.compared(ctx, c, groupFeed, nil)
}

// hooks has one server run: those of a database share the deliveries, and the one with sign-in would end what somebody without
// a token has subscribed to.
func (f *figures) hooks(ctx context.Context) (err error) {
	err = f.signed.stop()
	f.signed = nil
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.startSigned(ctx)) }()
	c := f.config()
	c.workload.name = "subscriptions"
	all := fmt.Sprintf("%d subscriptions", c.subscriptions)
	return f.compared(ctx, c, groupHooks, map[string]string{all: wayNone, wayDead: wayNone})
}
