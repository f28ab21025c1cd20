package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestComparison(t *testing.T) {
	t.Parallel()
	r := newComparison(config{clients: 2, seed: 1, workload: workload{name: "export"}})
	for _, s := range []struct{ fast, slow float64 }{{1, 4}, {1, 2}, {2, 6}} {
		r.add("fast", stretch{Resources: 100, Bytes: 5_000_000, Seconds: s.fast})
		r.add("slow", stretch{Resources: 100, Seconds: s.slow})
	}
	r.divide("slow", "fast", 0.5)
	r.divide("fast", "slow", 3)
	r.divide("fast", "absent", 3)
	if len(r.Ratios) != 2 {
		t.Fatalf("%d ratios, want 2: one of them was not measured", len(r.Ratios))
	}
	if q := r.Ratios[0]; q.Median != 0.333 || q.Low != 0.25 || q.High != 0.5 || q.Reached {
		t.Errorf("%+v; want 0.333 from 0.25 to 0.5, and 0.5 missed", q)
	}
	if q := r.Ratios[1]; q.Median != 3 || !q.Reached {
		t.Errorf("%+v; want 3 reached", q)
	}
	var h histogram
	h.add(20 * time.Millisecond)
	r.lag("quick", &h, 500*time.Millisecond)
	r.lag("slow", &h, 10*time.Millisecond)
	r.lag("absent", new(histogram), time.Second)
	r.mustBeNone("missed", 0)
	if r.exitStatus() != exitOK {
		t.Error("nothing is wrong, but the exit status says so")
	}
	r.mustBeNone("doubled", 2)
	if r.exitStatus() != exitUnexpected {
		t.Error("two were doubled, but the exit status is 0")
	}
	var out bytes.Buffer
	if err := r.print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"export, 2 clients", "slow of fast: 33 % (25 %–50 %), 50 % wanted: missed", "fast of slow: 300 %", "reached", "p99 < 500: reached", "p99 < 10: missed", "p99 < 1000: missed", "doubled: 2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(test.of); got != test.want {
			t.Errorf("median of %v: %v, want %v", test.of, got, test.want)
		}
	}
}
