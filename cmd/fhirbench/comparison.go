package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// comparison is the outcome of a workload that does the same in several ways, one after the other in each of several
// rounds, so that what else goes on in the machine meets all of them. Its JSON is meant to be read by programs.
type comparison struct {
	Workload string `json:"workload"`
	Clients  int    `json:"clients"`
	Seed     uint64 `json:"seed"`
	Ways     []way  `json:"ways"`
	// Ratios compare two ways round by round.
	Ratios []ratio `json:"ratios,omitempty"`
	Lags   []lag   `json:"lags,omitempty"`
	Counts []count `json:"counts,omitempty"`
	// Notes say what was compared where the names are too short for it.
	Notes []string `json:"notes,omitempty"`
	// Problems are what the server did wrong.
	Problems []string `json:"problems,omitempty"`
}

// way is one way of doing it.
type way struct {
	Name string `json:"name"`
	// PerSecond is the median of the rounds' resources a second.
	PerSecond float64   `json:"per_second"`
	Rounds    []stretch `json:"rounds"`
}

// stretch is what one way did in one round.
type stretch struct {
	Resources int64   `json:"resources"`
	Bytes     int64   `json:"bytes,omitempty"`
	Seconds   float64 `json:"seconds"`
}

func (s stretch) rate() float64 {
	if s.Seconds == 0 {
		return 0
	}
	return float64(s.Resources) / s.Seconds
}

// ratio is the rate of one way divided by that of another.
type ratio struct {
	Name   string  `json:"name"`
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Wanted is what the median is to reach, 0 for nothing.
	Wanted  float64 `json:"wanted,omitempty"`
	Reached bool    `json:"reached"`
}

// lag is how long something took to arrive.
type lag struct {
	Name    string  `json:"name"`
	Count   uint64  `json:"count"`
	Latency latency `json:"latency_ms"`
	// Wanted is what p99 is to stay under in milliseconds, 0 for nothing.
	Wanted  float64 `json:"wanted_p99,omitempty"`
	Reached bool    `json:"reached"`
}

type count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

func newComparison(c config) *comparison {
	return &comparison{Workload: c.workload.name, Clients: c.clients, Seed: c.seed}
}

// add notes a stretch of the way with that name.
func (r *comparison) add(name string, s stretch) {
	s.Seconds = thousandths(s.Seconds)
	i := slices.IndexFunc(r.Ways, func(w way) bool { return w.Name == name })
	if i < 0 {
		i = len(r.Ways)
		r.Ways = append(r.Ways, way{Name: name})
	}
	w := &r.Ways[i]
	w.Rounds = append(w.Rounds, s)
	w.PerSecond = thousandths(median(w.rates()))
}

func (w way) rates() []float64 {
	rates := make([]float64, len(w.Rounds))
	for i, s := range w.Rounds {
		rates[i] = s.rate()
	}
	return rates
}

func (r *comparison) wayNamed(name string) way {
	for _, w := range r.Ways {
		if w.Name == name {
			return w
		}
	}
	return way{}
}

// divide compares two ways; one that was not measured makes no ratio.
func (r *comparison) divide(name, over string, wanted float64) {
	a, b := r.wayNamed(name).rates(), r.wayNamed(over).rates()
	var quotients []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			quotients = append(quotients, a[i]/b[i])
		}
	}
	if len(quotients) == 0 {
		return
	}
	m := median(quotients)
	r.Ratios = append(r.Ratios, ratio{
		Name: name + " of " + over, Median: thousandths(m),
		Low: thousandths(slices.Min(quotients)), High: thousandths(slices.Max(quotients)),
		Wanted: wanted, Reached: m >= wanted,
	})
}

func (r *comparison) lag(name string, h *histogram, wanted time.Duration) {
	r.Lags = append(r.Lags, lag{
		Name: name, Count: h.total, Latency: latencyOf(h),
		Wanted:  thousandths(float64(wanted) / float64(time.Millisecond)),
		Reached: h.total > 0 && (wanted == 0 || h.percentile(99) < wanted),
	})
}

func (r *comparison) count(name string, n int64) { r.Counts = append(r.Counts, count{name, n}) }

// mustBeNone counts what the server must not have done.
func (r *comparison) mustBeNone(name string, n int64) {
	r.count(name, n)
	if n > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%s: %d", name, n))
	}
}

func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func (r *comparison) exitStatus() int {
	if len(r.Problems) > 0 {
		return exitUnexpected
	}
	return exitOK
}

func (r *comparison) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "%s, %d clients, seed %d\n\n", r.Workload, r.Clients, r.Seed)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trounds\tresources\tresources/s\tlow\thigh\tMB/s\t")
	for _, one := range r.Ways {
		one.row(w)
	}
	if len(r.Lags) > 0 {
		fmt.Fprintln(w, "\t\t\t\t\t\t\t\nms\tcount\tp50\tp95\tp99\tmax\t\t")
	}
	for _, l := range r.Lags {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t\n", l.Name, l.Count, l.Latency.P50, l.Latency.P95, l.Latency.P99, l.Latency.Max, l.verdict())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(out, r.remarks())
	return err
}

func (w way) row(out io.Writer) {
	total, rates, speeds := int64(0), w.rates(), []float64{}
	for _, s := range w.Rounds {
		total += s.Resources
		if s.Bytes > 0 && s.Seconds > 0 {
			speeds = append(speeds, float64(s.Bytes)/s.Seconds/1e6)
		}
	}
	speed := ""
	if len(speeds) > 0 {
		speed = fmt.Sprintf("%.1f", median(speeds))
	}
	fmt.Fprintf(out, "%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%s\t\n", w.Name, len(w.Rounds), total, w.PerSecond, slices.Min(rates), slices.Max(rates), speed)
}

func (l lag) verdict() string {
	switch {
	case l.Wanted == 0:
		return ""
	case l.Reached:
		return fmt.Sprintf("p99 < %g: reached", l.Wanted)
	}
	return fmt.Sprintf("p99 < %g: missed", l.Wanted)
}

// remarks are the lines below the tables.
func (r *comparison) remarks() string {
	var b strings.Builder
	for _, q := range r.Ratios {
		fmt.Fprintf(&b, "\n%s: %s (%s–%s)", q.Name, share100(q.Median), share100(q.Low), share100(q.High))
		switch {
		case q.Wanted == 0:
		case q.Reached:
			fmt.Fprintf(&b, ", %s wanted: reached", share100(q.Wanted))
		default:
			fmt.Fprintf(&b, ", %s wanted: missed", share100(q.Wanted))
		}
	}
	for _, n := range r.Counts {
		fmt.Fprintf(&b, "\n%s: %d", n.Name, n.N)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\n%s", n)
	}
	return b.String() + "\n"
}

func share100(of float64) string { return fmt.Sprintf("%.0f %%", 100*of) }
