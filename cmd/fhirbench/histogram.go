package main

import (
	"math"
	"math/bits"
	"time"
)

// subBits gives every power of two 128 buckets: a percentile is at most 1/128 above the time that was measured.
const (
	subBits    = 7
	subBuckets = 1 << subBits
	buckets    = (64 - subBits) * subBuckets
)

// histogram counts durations in log-linear buckets. The zero value is empty. It is used by one goroutine.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

// add counts one duration; a negative one counts as 0.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.max = max(h.max, other.max)
}

// percentile returns the time within which p percent of the durations lie, never below the measured one. It returns 0
// for an empty histogram.
func (h *histogram) percentile(p float64) time.Duration {
	rank := max(1, uint64(math.Ceil(p/100*float64(h.total))))
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if n > 0 && seen >= rank {
			return min(time.Duration(highestIn(i)), h.max)
		}
	}
	return h.max
}

func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift*subBuckets + int(v>>shift)
}

// highestIn returns the largest value that falls into a bucket.
func highestIn(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	shift := bucket/subBuckets - 1
	return uint64(bucket-shift*subBuckets+1)<<shift - 1
}
