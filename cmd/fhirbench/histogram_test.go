package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsCoverEveryDurationOnce(t *testing.T) {
	t.Parallel()
	for bucket := range buckets - 1 {
		highest := highestIn(bucket)
		if got := bucketOf(highest); got != bucket {
			t.Fatalf("bucketOf(%d) = %d, want %d", highest, got, bucket)
		}
		if got := bucketOf(highest + 1); got != bucket+1 {
			t.Fatalf("bucketOf(%d) = %d, want %d", highest+1, got, bucket+1)
		}
	}
	if got := bucketOf(math.MaxInt64); got != buckets-1 {
		t.Errorf("bucketOf(the longest duration) = %d, want the last bucket %d", got, buckets-1)
	}
}

func TestPercentileIsWithinOneBucketOfTheTruth(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var whole, left, right histogram
	var sorted []time.Duration
	for i := range 10_000 {
		d := time.Duration(r.ExpFloat64() * float64(3*time.Millisecond))
		sorted = append(sorted, d)
		whole.add(d)
		if i%3 == 0 {
			left.add(d)
			continue
		}
		right.add(d)
	}
	slices.Sort(sorted)
	left.merge(&right)
	if left != whole {
		t.Error("two merged halves differ from the whole")
	}
	for _, p := range []float64{0, 1, 50, 95, 99, 99.9, 100} {
		rank := max(1, int(math.Ceil(p/100*float64(len(sorted)))))
		want, got := sorted[rank-1], whole.percentile(p)
		if got < want || float64(got) > float64(want)*(1+1.0/subBuckets) {
			t.Errorf("percentile(%g) = %v, want %v and at most 1/%d more", p, got, want, subBuckets)
		}
	}
	if got, want := whole.percentile(100), sorted[len(sorted)-1]; got != want || whole.max != want {
		t.Errorf("percentile(100) = %v and max = %v, want both %v", got, whole.max, want)
	}
}

func TestPercentileOfFew(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		durations []time.Duration
		p         float64
		want      time.Duration
	}{
		"none":                     {nil, 50, 0},
		"one":                      {[]time.Duration{7}, 99, 7},
		"median of two is lower":   {[]time.Duration{100, 20}, 50, 20},
		"just over half is higher": {[]time.Duration{100, 20}, 51, 100},
		"95th of twenty":           {[]time.Duration{20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 95, 19},
		"negative counts as zero":  {[]time.Duration{-5}, 50, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h histogram
			for _, d := range test.durations {
				h.add(d)
			}
			if got := h.percentile(test.p); got != test.want {
				t.Errorf("percentile(%g) of %v = %d, want %d", test.p, test.durations, got, test.want)
			}
		})
	}
}
