package searchsql

import (
	"math"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
)

// A range answers a prefix by comparisons of where it begins and ends. They are
// values here, which are written as SQL and which tell what index can find them.
// https://hl7.org/fhir/R4/search.html#prefix

// A comparison holds when the begin of a range, or its end, stands so to a value.
type comparison struct {
	end bool
	op  operator
	to  float64
}

type operator string

const (
	below   operator = "<"
	upTo    operator = "<="
	above   operator = ">"
	notLess operator = ">="
)

// A clause is a list of comparisons that all hold.
type clause []comparison

func begins(op operator, to float64) comparison { return comparison{false, op, to} }

func ends(op operator, to float64) comparison { return comparison{true, op, to} }

// clauses returns the alternatives of which one holds for the ranges that answer
// a. Ranges that are no points do not have their end; this goes for both sides.
func clauses(a search.AskedRange) []clause {
	within := clause{begins(notLess, a.Lo), ends(upTo, a.Hi)}
	without := []clause{{begins(below, a.Lo)}, {ends(above, a.Hi)}}
	higher, behind := []clause{{ends(above, a.Hi)}}, clause{begins(above, a.Hi)}
	meeting := []clause{{begins(upTo, a.Hi), ends(notLess, a.Lo)}}
	if a.Lo < a.Hi {
		meeting = []clause{{begins(below, a.Hi), ends(above, a.Lo)}, slices.Clone(within)}
		// A point at the end of what is asked lies behind it.
		within = append(within, begins(below, a.Hi))
		past := clause{begins(notLess, a.Hi)}
		without, higher, behind = append(without, past), append(higher, past), past
	}
	switch a.Prefix {
	case search.NotEqual:
		return without
	case search.Greater:
		return higher
	case search.Less:
		return []clause{{begins(below, a.Lo)}}
	case search.GreaterOrEqual:
		return append(higher, within)
	case search.LessOrEqual:
		return []clause{{begins(below, a.Lo)}, within}
	case search.StartsAfter:
		return []clause{behind}
	case search.EndsBefore:
		return []clause{{ends(upTo, a.Lo), begins(below, a.Lo)}}
	case search.Approximately:
		return meeting
	}
	return []clause{within}
}

// A reach is where the ranges begin that can satisfy a condition. What is not
// found by its begin, since only its end counts, ends at Late or after it.
type reach struct {
	search.Range
	Late float64
	ends bool // Late counts
}

// reachOf returns the reach of clauses, of which one must hold.
func reachOf(all []clause) reach {
	r := reach{Range: search.Range{Lo: math.Inf(1), Hi: math.Inf(-1)}, Late: math.Inf(1)}
	for _, c := range all {
		lo, hi, late := math.Inf(-1), math.Inf(1), math.Inf(-1)
		for _, x := range c {
			switch {
			case x.op == below || x.op == upTo:
				hi = min(hi, x.to)
			case x.end:
				late = max(late, x.to)
			default:
				lo = max(lo, x.to)
			}
		}
		if math.IsInf(lo, -1) && !math.IsInf(late, -1) {
			r.ends, r.Late = true, min(r.Late, late)
		} else {
			r.Lo = min(r.Lo, lo)
		}
		r.Hi = max(r.Hi, hi)
	}
	return r
}

// columns are where a range is written, and how its values are.
type columns struct {
	lo, hi string
	value  func(b *Builder, op operator, v float64)
}

// write writes that one of clauses holds.
func (c columns) write(b *Builder, all []clause) {
	b.SQL("(")
	b.joined(len(all), " OR ", func(i int) {
		b.joined(len(all[i]), " AND ", func(j int) {
			x := all[i][j]
			column := c.lo
			if x.end {
				column = c.hi
			}
			c.compare(b, column, x)
		})
	})
	b.SQL(")")
}

func (c columns) compare(b *Builder, column string, x comparison) {
	b.SQL(column, " ", string(x.op), " ")
	c.value(b, x.op, x.to)
}

// floatValue writes numbers.
func floatValue(b *Builder, _ operator, v float64) { b.Float(v) }

// timeValue writes times. They are stored in whole microseconds: what is compared
// with a fraction compares alike with the whole that lies to the right side.
func timeValue(b *Builder, op operator, v float64) {
	if op == notLess || op == below {
		b.Time(math.Ceil(v))
		return
	}
	b.Time(math.Floor(v))
}
