package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the outcome of a run. Its JSON is meant to be read by programs: members may be added, and those that are
// there keep their name and meaning. All times are in milliseconds unless the name says otherwise.
type report struct {
	Workload string `json:"workload"`
	Type     string `json:"type"`
	Clients  int    `json:"clients"`
	// Rate is the requests due each second, 0 in a closed loop.
	Rate float64 `json:"rate"`
	Seed uint64  `json:"seed"`
	// Seconds is from the start to the last answer, preparation left out.
	Seconds float64 `json:"seconds"`
	// Requests counts those with any answer and those with none.
	Requests  uint64 `json:"requests"`
	Succeeded uint64 `json:"succeeded"`
	// PerSecond counts the successes alone.
	PerSecond float64 `json:"per_second"`
	// Latency is of the successes, in an open loop from the time at which the request was due.
	Latency    latency              `json:"latency_ms"`
	Operations map[string]operation `json:"operations"`
	// LateStarts counts the requests that found no free client when they were due, in an open loop.
	LateStarts uint64 `json:"late_starts"`
	// NotStarted counts the requests that were due in an open loop, but that no client had begun when the time was over.
	// They have no latency, so where there are any, the true percentiles are higher than those reported.
	NotStarted int64 `json:"not_started"`
	// StartDelay is from due to sent, in an open loop.
	StartDelay latency           `json:"start_delay_ms"`
	Sent       int64             `json:"bytes_sent"`
	Received   int64             `json:"bytes_received"`
	Statuses   map[string]uint64 `json:"statuses"`
	// Errors counts requests without an answer: dns, timeout, refused, reset, closed or other.
	Errors      map[string]uint64 `json:"errors"`
	Interrupted bool              `json:"interrupted"`

	samples map[string]string
}

type latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type operation struct {
	Succeeded uint64  `json:"succeeded"`
	Latency   latency `json:"latency_ms"`
}

func newReport(c config, t *tally, taken time.Duration) report {
	all := t.all()
	r := report{
		Workload: c.workload.name, Type: c.typeName, Clients: c.clients, Rate: c.rate, Seed: c.seed,
		Seconds:   thousandths(taken.Seconds()),
		Requests:  t.requests,
		Succeeded: all.total,
		Latency:   latencyOf(all), Operations: map[string]operation{},
		LateStarts: t.late, Sent: t.sent, Received: t.received,
		Statuses: map[string]uint64{}, Errors: t.errors,
		samples: t.samples,
	}
	if taken > 0 {
		r.PerSecond = thousandths(float64(all.total) / taken.Seconds())
	}
	if c.rate > 0 {
		r.StartDelay = latencyOf(t.delay)
		r.NotStarted = max(0, c.due()-int64(t.requests))
	}
	for k, h := range t.latency {
		if h != nil {
			r.Operations[kind(k).String()] = operation{Succeeded: h.total, Latency: latencyOf(h)}
		}
	}
	for status, n := range t.statuses {
		r.Statuses[statusLabel(status)] = n
	}
	return r
}

func latencyOf(h *histogram) latency {
	ms := func(d time.Duration) float64 { return thousandths(float64(d) / float64(time.Millisecond)) }
	return latency{P50: ms(h.percentile(50)), P95: ms(h.percentile(95)), P99: ms(h.percentile(99)), Max: ms(h.max)}
}

func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }

func (r report) exitStatus() int {
	switch {
	case r.Interrupted:
		return exitInterrupted
	case r.Succeeded < r.Requests:
		return exitUnexpected
	}
	return exitOK
}

// complain shows one example of each kind of request that did not succeed.
func (r report) complain(w io.Writer) {
	for _, label := range slices.Sorted(maps.Keys(r.samples)) {
		fmt.Fprintf(w, "fhirbench: %s: %s\n", label, r.samples[label])
	}
}

func (r report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	return r.table(w)
}

func (r report) table(out io.Writer) error {
	loop := "closed loop"
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop, %g requests/s due", r.Rate)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%s %s, %d clients, %s, seed %d\n", r.Workload, r.Type, r.Clients, loop, r.Seed)
	if r.Interrupted {
		fmt.Fprintln(out, "interrupted: what follows is what was measured until then")
	}
	fmt.Fprintf(out, "%d requests in %.3f s: %.1f successes/s; %s sent, %s received\n\n",
		r.Requests, r.Seconds, r.PerSecond, size(r.Sent), size(r.Received))
	fmt.Fprintln(w, "ms\tcount\tp50\tp95\tp99\tmax\t")
	for _, name := range slices.Sorted(maps.Keys(r.Operations)) {
		r.Operations[name].Latency.row(w, name, r.Operations[name].Succeeded)
	}
	if len(r.Operations) != 1 {
		r.Latency.row(w, "all", r.Succeeded)
	}
	if r.Rate > 0 {
		r.StartDelay.row(w, "start delay", r.Requests)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Rate > 0 {
		fmt.Fprintf(out, "\nlate starts: %d of %d found no free client when they were due; %d due were never begun\n",
			r.LateStarts, r.Requests, r.NotStarted)
	}
	_, err := fmt.Fprintf(out, "\nstatuses: %s\nerrors: %s\n", counts(r.Statuses), counts(r.Errors))
	return err
}

func (l latency) row(w io.Writer, name string, count uint64) {
	fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t\n", name, count, l.P50, l.P95, l.P99, l.Max)
}

func counts(of map[string]uint64) string {
	if len(of) == 0 {
		return "none"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, name+" × "+strconv.FormatUint(of[name], 10))
	}
	return strings.Join(parts, ", ")
}

// size writes a number of bytes in decimal units.
func size(n int64) string {
	const step = 1000
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= step && u < len(units)-1 {
		v, u = v/step, u+1
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " + units[u]
}
