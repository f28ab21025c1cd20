package searchsql

import (
	"math"
	"testing"

	"github.com/openconsult/openconsult/fhir/search"
)

// TestClauses holds the comparisons against search.Match on all ranges whose ends
// are a few numbers.
func TestClauses(t *testing.T) {
	t.Parallel()
	ends := []float64{math.Inf(-1), -1, 0, 1, 2, math.Inf(1)}
	var ranges []search.Range
	for _, lo := range ends {
		for _, hi := range ends {
			if lo < hi || lo == hi && !math.IsInf(lo, 0) {
				ranges = append(ranges, search.Range{Lo: lo, Hi: hi})
			}
		}
	}
	for _, prefix := range []search.Prefix{search.Equal, search.NotEqual, search.Greater, search.Less, search.GreaterOrEqual, search.LessOrEqual,
		search.StartsAfter, search.EndsBefore, search.Approximately} {
		for _, asked := range ranges {
			a := search.AskedRange{Prefix: prefix, Range: asked}
			all := clauses(a)
			reach := reachOf(all)
			for _, r := range ranges {
				want := a.Matches(r)
				if got := holds(all, r); got != want {
					t.Errorf("%s %v holds for %v: %t, want %t", prefix, asked, r, got, want)
				}
				if want && !reach.includes(r) {
					t.Errorf("%s %v: %v is out of reach %v", prefix, asked, r, reach)
				}
			}
		}
	}
}

func holds(all []clause, r search.Range) bool {
	for _, c := range all {
		ok := true
		for _, x := range c {
			v := r.Lo
			if x.end {
				v = r.Hi
			}
			switch x.op {
			case below:
				ok = ok && v < x.to
			case upTo:
				ok = ok && v <= x.to
			case above:
				ok = ok && v > x.to
			case notLess:
				ok = ok && v >= x.to
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func (r reach) includes(v search.Range) bool {
	return v.Lo <= r.Hi && (v.Lo >= r.Lo || r.ends && v.Hi >= r.Late)
}
