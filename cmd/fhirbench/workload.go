package main

import (
	"context"
	"io"
	"slices"
)

// workload is a named mix of interactions.
type workload struct {
	name string
	mix  []share
	// growing says that what a client creates joins its share of the set.
	growing bool
	// compare measures several ways of doing the same, or nil.
	compare func(ctx context.Context, c config, t *httpTarget, progress io.Writer) (*comparison, error)
}

// share is one interaction's part of a mix, in percent.
type share struct {
	kind    kind
	percent int
}

// searchWorkload measures searches one after the other, by way of searchBench.
const searchWorkload = "search"

var workloads = []workload{
	{name: "create", mix: []share{{create, 100}}},
	{name: "read", mix: []share{{read, 100}}},
	{name: "vread", mix: []share{{vread, 100}}},
	{name: "update", mix: []share{{update, 100}}},
	{name: "mixed", mix: []share{{read, 50}, {create, 25}, {update, 20}, {remove, 5}}, growing: true},
	{name: searchWorkload},
	{name: overloadWorkload, mix: []share{{read, 100}}},
	{name: "transaction", compare: compareTransactions},
	{name: "load", compare: compareLoads},
	{name: "export", compare: compareExports},
	{name: "feed", compare: compareFeeds},
	{name: "subscriptions", compare: compareSubscriptions},
}

func workloadNamed(name string) (workload, bool) {
	for _, w := range workloads {
		if w.name == name {
			return w, true
		}
	}
	return workload{}, false
}

func workloadNames() []string {
	names := make([]string, len(workloads))
	for i, w := range workloads {
		names[i] = w.name
	}
	return names
}

// needsSet says whether resources must exist before the first request.
func (w workload) needsSet() bool {
	for _, s := range w.mix {
		if s.kind != create {
			return true
		}
	}
	return false
}

// takesDatabase says whether a workload that goes to a server also measures its database when one is given.
func (w workload) takesDatabase() bool {
	return slices.Contains([]string{searchWorkload, "transaction", "load", "export"}, w.name)
}

// kindAt returns the interaction at a point of the mix, from 0 to 99.
func (w workload) kindAt(point int) kind {
	for _, s := range w.mix {
		if point < s.percent {
			return s.kind
		}
		point -= s.percent
	}
	return w.mix[0].kind
}
