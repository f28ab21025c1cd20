package main

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figureReport is the outcome of a run of all figures. Its JSON is meant to be read by programs: members may be added, and
// those that are there keep their name and meaning.
type figureReport struct {
	Date      time.Time `json:"date"`
	Commit    string    `json:"commit"`
	Machine   machine   `json:"machine"`
	Resources int       `json:"resources"`
	Seed      uint64    `json:"seed"`
	Quick     bool      `json:"quick,omitempty"`
	// Seconds is how long the whole run took.
	Seconds float64 `json:"seconds"`
	// Noise is the change against another report that says nothing, as a share.
	Noise   float64  `json:"noise"`
	Figures []figure `json:"rows"`
	Notes   []string `json:"notes,omitempty"`
	// Problems are what went wrong.
	Problems []string `json:"problems,omitempty"`
}

// figure is one row. Group, name and clients tell it from all others.
type figure struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	// Unit is of Value: "/s" counts successes a second; ms, s, ns, bytes and MiB are better when they are less.
	Unit string `json:"unit"`
	// Value is the median of the rounds, Low and High the least and the most of them.
	Value float64 `json:"value"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
	// P50 and P99 are latencies in milliseconds, of all rounds together; 0 where there are none.
	P50 float64 `json:"p50,omitempty"`
	P99 float64 `json:"p99,omitempty"`
	// Ratio is the median of the rounds' rate divided by that of Of in the same round; 0 when there is nothing to compare.
	Ratio     float64 `json:"ratio,omitempty"`
	RatioLow  float64 `json:"ratio_low,omitempty"`
	RatioHigh float64 `json:"ratio_high,omitempty"`
	Of        string  `json:"of,omitempty"`
	// Clients sent requests in a closed loop; 0 where there were no requests.
	Clients int `json:"clients,omitempty"`
	Rounds  int `json:"rounds,omitempty"`
	// Seconds is how long it was measured in all rounds.
	Seconds  float64 `json:"seconds,omitempty"`
	Requests uint64  `json:"requests,omitempty"`
	Failed   uint64  `json:"failed,omitempty"`
	Failure  string  `json:"failure,omitempty"` // what one of them was told
	Allocs   float64 `json:"allocs,omitempty"`  // an operation
	Matches  float64 `json:"matches,omitempty"` // on a page, on average
	// Reference says that it is there to compare others with.
	Reference bool `json:"reference,omitempty"`
}

// unitRate is the unit of what is better when it is more.
const unitRate = "/s"

func newFigureReport(c figureFlags) *figureReport {
	r := &figureReport{
		Date: time.Now().UTC().Truncate(time.Second), Commit: c.commit, Machine: thisMachine(), Resources: c.resources,
		Seed: c.seed, Quick: c.quick, Noise: c.noise,
	}
	if info, known := debug.ReadBuildInfo(); known && r.Commit == "" {
		i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
		if i >= 0 {
			r.Commit = info.Settings[i].Value
		}
	}
	return r
}

func (r *figureReport) exitStatus() int {
	if len(r.Problems) > 0 || slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Failure != "" }) {
		return exitUnexpected
	}
	return exitOK
}

// find returns the figure that is of the same as another one.
func (r *figureReport) find(like figure) (figure, bool) {
	for _, f := range r.Figures {
		if f.Group == like.Group && f.Name == like.Name && f.Clients == like.Clients && f.Unit == like.Unit {
			return f, true
		}
	}
	return figure{}, false
}

// amount writes the value with its unit.
func (f figure) amount() string {
	const thousand = 1000
	switch {
	case f.Unit == unitRate:
		return number(f.Value) + unitRate
	case f.Unit == "ns" && f.Value >= thousand:
		return number(f.Value/thousand) + " µs"
	}
	return number(f.Value) + " " + f.Unit
}

// number writes three digits at least, and commas between thousands.
func number(v float64) string {
	switch {
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	var parts []string
	for len(digits) > 3 {
		parts = append(parts, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	parts = append(parts, digits)
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
