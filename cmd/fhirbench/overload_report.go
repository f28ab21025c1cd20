package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"
)

// What is wanted of a server that is asked for too much.
const (
	wantedGoodput  = 0.8
	wantedRefusal  = 50.0 // milliseconds within which 99 of 100 refusals come
	wantedRecovery = 10.0 // seconds until the latency is normal
	rowSeconds     = 5    // that one line of the table stands for
)

// overloadReport is the outcome of the overload workload. Its JSON is meant to be read by programs.
type overloadReport struct {
	Workload string  `json:"workload"`
	Mix      string  `json:"mix"`
	Seed     uint64  `json:"seed"`
	Times    float64 `json:"times"`

	Unloaded  latency   `json:"unloaded_ms"`
	Best      []bestRun `json:"best"`
	BestAfter float64   `json:"best_after_per_second"`

	Rate      float64       `json:"rate"`
	Seconds   float64       `json:"seconds"`
	Rows      []overloadRow `json:"each_second"`
	Total     overloadRow   `json:"total"`
	Statuses  map[int]int64 `json:"statuses"` // 0 is no answer
	Goodput   float64       `json:"goodput_of_best"`
	Created   float64       `json:"creates_of_best"`
	Retry     float64       `json:"refusals_with_retry_after"`
	Outcomes  float64       `json:"refusals_with_outcome"`
	Slower    float64       `json:"p99_of_unloaded"`
	ToNormal  float64       `json:"seconds_to_normal"`
	Processor processor     `json:"cores_used"`
	Resident  resident      `json:"resident_mib"`
	Health    []healthCheck `json:"health"`
	Problems  []string      `json:"problems,omitempty"`

	stretches []overloadRow // of rowSeconds each
}

// An overloadRow is a stretch of the storm.
type overloadRow struct {
	Sent      int64   `json:"sent"`
	Unsent    int64   `json:"not_sent"`
	Succeeded uint64  `json:"succeeded"`
	Refused   uint64  `json:"refused"`
	Failed    int64   `json:"failed"`
	Success   latency `json:"success_ms"`
	Refusal   latency `json:"refusal_ms"`
}

// A processor is how many cores were used on average.
type processor struct {
	Generator float64 `json:"generator"`
	Server    float64 `json:"server"`
	Others    float64 `json:"database"`
}

type resident struct {
	Before float64 `json:"before"`
	Most   float64 `json:"most"`
	After  float64 `json:"after"`
}

func (r *overloadReport) best() float64 { return bestOf(r.Best).PerSecond }

// row sums seconds up.
func row(seconds []*second) overloadRow {
	var o overloadRow
	success, refusal := new(histogram), new(histogram)
	for _, s := range seconds {
		o.Sent, o.Unsent, o.Failed = o.Sent+s.sent, o.Unsent+s.unsent, o.Failed+s.failed
		success.merge(&s.success)
		refusal.merge(&s.refusal)
	}
	o.Succeeded, o.Refused = success.total, refusal.total
	o.Success, o.Refusal = latencyOf(success), latencyOf(refusal)
	return o
}

// after notes what a storm did, and how long it took until the server was as before.
func (r *overloadReport) after(s *storm, after probes) {
	all := s.seconds[:max(1, len(s.seconds)-1)]
	for i := range all {
		r.Rows = append(r.Rows, row(all[i:i+1]))
	}
	for some := range slices.Chunk(all, rowSeconds) {
		r.stretches = append(r.stretches, row(some).perSecond(len(some)))
	}
	r.Total, r.Rate, r.Seconds = row(all), thousandths(s.rate), float64(len(all))
	r.Statuses = map[int]int64{}
	var retry, outcomes int64
	for _, sec := range all {
		retry, outcomes = retry+sec.retry, outcomes+sec.outcomes
		for status, n := range sec.statuses {
			r.Statuses[status] += n
		}
	}
	r.Goodput = quotient(float64(r.Total.Succeeded)/r.Seconds, r.best())
	r.Created = quotient(float64(r.Statuses[http.StatusCreated])/r.Seconds, bestOf(r.Best).Created)
	r.Retry, r.Outcomes = quotient(float64(retry), float64(r.Total.Refused)), quotient(float64(outcomes), float64(r.Total.Refused))
	r.Slower = quotient(r.Total.Success.P99, r.Unloaded.P99)
	r.ToNormal = thousandths((time.Duration(len(after)) * probeEvery).Seconds())
	for _, p := range after {
		r.ToNormal += max(0, p.took-probeEvery).Seconds()
	}
	r.ToNormal = thousandths(r.ToNormal)
	r.Health = s.health
	r.used(s.machine)
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return thousandths(a / b)
}

func (r *overloadReport) used(all []usage) {
	first, last := all[0], all[len(all)-1]
	cores := func(a, b time.Duration) float64 { return quotient(float64(b-a), float64(last.at-first.at)) }
	r.Processor = processor{cores(first.generator, last.generator), cores(first.server, last.server), cores(first.others, last.others)}
	mib := func(n int64) float64 { return thousandths(float64(n) / (1 << 20)) }
	r.Resident = resident{Before: mib(first.resident), After: mib(last.resident)}
	for _, u := range all {
		r.Resident.Most = max(r.Resident.Most, mib(u.resident))
	}
}

// judge says what is not as it should be.
func (r *overloadReport) judge() {
	wrong := func(is bool, format string, args ...any) {
		if is {
			r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
		}
	}
	wrong(r.Goodput < wantedGoodput, "goodput is %s of the best, not %s", share100(r.Goodput), share100(wantedGoodput))
	wrong(r.Total.Refusal.P99 > wantedRefusal, "refusals took %.1f ms (p99), not %g", r.Total.Refusal.P99, wantedRefusal)
	wrong(r.Total.Refused > 0 && (r.Retry < 1 || r.Outcomes < 1), "of the refusals %s have Retry-After and %s an OperationOutcome", share100(r.Retry), share100(r.Outcomes))
	wrong(r.Total.Failed > 0, "%d requests were neither done nor refused", r.Total.Failed)
	wrong(r.ToNormal > wantedRecovery, "after the storm it took %.1f s until the latency was normal, not %g", r.ToNormal, wantedRecovery)
	for _, h := range r.Health {
		wrong(h.Answered < h.Asked, "%s answered %d of %d times", h.Address, h.Answered, h.Asked)
	}
}

func (r *overloadReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "overload, reads/searches/creates %s, seed %d\n", r.Mix, r.Seed)
	fmt.Fprintf(out, "at rest: p50 %.1f ms, p99 %.1f ms\n", r.Unloaded.P50, r.Unloaded.P99)
	for _, b := range r.Best {
		fmt.Fprintf(out, "%d clients in a closed loop: %.0f/s, p50 %.1f ms, p99 %.1f ms, %d not done\n", b.Clients, b.PerSecond, b.Latency.P50, b.Latency.P99, b.Other)
	}
	fmt.Fprintf(out, "storm: %.0f requests/s for %.0f s\n\n", r.Rate, r.Seconds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "second\tsent/s\tnot sent/s\tdone/s\trefused/s\tfailed/s\tdone p50\tp99 ms\trefused p50\tp99 ms\t")
	for i, stretch := range r.stretches {
		stretch.write(w, fmt.Sprint(i*rowSeconds))
	}
	r.Total.perSecond(int(r.Seconds)).write(w, "all")
	if err := w.Flush(); err != nil {
		return err
	}
	return r.summary(out)
}

// perSecond divides the counts by a number of seconds.
func (o overloadRow) perSecond(n int) overloadRow {
	n64 := int64(n)
	o.Sent, o.Unsent, o.Failed = o.Sent/n64, o.Unsent/n64, o.Failed/n64
	o.Succeeded, o.Refused = o.Succeeded/uint64(n), o.Refused/uint64(n)
	return o
}

func (o overloadRow) write(w io.Writer, name string) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t\n", name, o.Sent, o.Unsent, o.Succeeded, o.Refused, o.Failed, o.Success.P50, o.Success.P99, o.Refusal.P50, o.Refusal.P99)
}

// summary are the lines below the table.
func (r *overloadReport) summary(out io.Writer) error {
	fmt.Fprintf(out, "\ngoodput: %s of the best; the best afterwards is %.0f/s\n", share100(r.Goodput), r.BestAfter)
	fmt.Fprintf(out, "creates: %s of those at the best\n", share100(r.Created))
	fmt.Fprintf(out, "done: p99 %.1f times that at rest\n", r.Slower)
	fmt.Fprintf(out, "refused: p50 %.1f ms, p99 %.1f ms, %s with Retry-After, %s with an OperationOutcome\n", r.Total.Refusal.P50, r.Total.Refusal.P99, share100(r.Retry), share100(r.Outcomes))
	fmt.Fprintf(out, "answers by status, 0 for none: %v\n", r.Statuses)
	fmt.Fprintf(out, "normal again after %.1f s\n", r.ToNormal)
	fmt.Fprintf(out, "cores used: generator %.2f, server %.2f, database %.2f\n", r.Processor.Generator, r.Processor.Server, r.Processor.Others)
	fmt.Fprintf(out, "resident: %.0f MiB before, %.0f at most, %.0f afterwards\n", r.Resident.Before, r.Resident.Most, r.Resident.After)
	var err error
	for _, h := range r.Health {
		_, err = fmt.Fprintf(out, "%s: %d of %d answered, the slowest after %.0f ms\n", h.Address, h.Answered, h.Asked, h.Slowest)
	}
	return err
}
