package searchsql

import (
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
)

// A Filter is a conjunction over the rows of one resource type, or of all.
type Filter struct {
	Type  string             // empty for all
	Never bool               // no row can match; nothing needs to be run
	All   []int64            // keys that a row has, every one
	Any   [][]int64          // keys that a row has, one of each list
	RIDs  [][]int64          // its RID is in each list
	Where []Predicate        // what else holds
	Ranks int                // place in Any, from 1, of a list whose most common keys come first; 0 for none
	Check search.Condition   // what [search.Match] must still decide; nil: the SQL is exact
	Steps []search.Condition // *Chain, *Has and Listed that must hold too and were not resolved

	// Nested are such conditions inside of others. They count as true here, but
	// are a part of Check; the Filter is better made again when they are resolved.
	Nested []search.Condition
}

// A Scope is what conditions are read in.
type Scope struct {
	Type     string // resource type of the rows; empty for all
	Tables   *Tables
	Resolved Resolved
}

// Resolved says what was found for steps, by the *search.Chain, *search.Has or
// search.Listed itself.
type Resolved map[search.Condition]Found

// Found is what a step came to: the rows for which it holds have one of the keys
// or one of the RIDs. Without any the step holds for none.
type Found struct{ Keys, RIDs []int64 }

// UpdatedSlot is the Slot of the time of the last update.
const UpdatedSlot = -1

// A Predicate is a condition on a row that is more than keys.
type Predicate struct {
	Slot   int          // 1 to 3: of a date slot; UpdatedSlot; 0: neither
	Groups []int64      // of rng that it reads
	Bounds search.Range // where the values begin that can satisfy it, if Slot or Groups is set
	Keys   []int64      // every row that satisfies it has one of them; nil: that is not known

	// Without, if it is not empty, says that it is satisfied by all rows but those
	// that have one of these keys.
	Without []int64

	wide   bool    // values that begin before Bounds satisfy it when they end late
	late   float64 // when they end
	filter func(*Builder)
	sure   bool           // filter is never NULL and no index can answer it
	lead   func(*Builder) // has an index find the rows; nil when none can
	whole  bool           // what lead finds needs no filter
}

// Leads reports whether an index finds the rows of p.
func (p Predicate) Leads() bool { return p.lead != nil }

// Filter returns what rows of the scope have for which all of where holds.
func (s Secret) Filter(in Scope, where []search.Condition) Filter {
	c := compiler{secret: s, scope: in}
	f := Filter{Type: in.Type}
	var exprs []expr
	var checks []search.Condition
	for _, cond := range conjuncts(where, nil) {
		if isStep(cond) {
			if _, resolved := in.Resolved[cond]; !resolved {
				f.Steps = append(f.Steps, cond)
				continue
			}
		}
		e, exact := c.condition(cond, false)
		exprs = append(exprs, e)
		if !exact {
			checks = append(checks, cond)
		}
	}
	f.Nested = c.nested
	f.take(allOf(exprs))
	switch len(checks) {
	case 0:
	case 1:
		f.Check = checks[0]
	default:
		f.Check = search.And(checks)
	}
	return f
}

// conjuncts appends the conditions of which all must hold, without the Ands
// around them.
func conjuncts(where, to []search.Condition) []search.Condition {
	for _, cond := range where {
		if all, ok := cond.(search.And); ok {
			to = conjuncts(all, to)
		} else {
			to = append(to, cond)
		}
	}
	return to
}

func isStep(cond search.Condition) bool {
	switch cond.(type) {
	case *search.Chain, *search.Has, search.Listed:
		return true
	}
	return false
}

// take sorts the parts of e into f.
func (f *Filter) take(e expr) {
	switch e := e.(type) {
	case always:
	case never:
		f.Never = true
	case conj:
		for _, part := range e {
			f.take(part)
		}
	case anyKey:
		if len(e) == 1 {
			f.All = append(f.All, e[0])
		} else {
			f.Any = append(f.Any, e)
		}
	case anyRID:
		f.RIDs = append(f.RIDs, e)
	case predicate:
		f.Where = append(f.Where, Predicate(e))
	default:
		f.Where = append(f.Where, Predicate{filter: e.write, sure: true})
	}
}

// And adds the keys of which a row must have one to f.
func (f *Filter) And(keys ...int64) { f.take(oneOf([]expr{anyKey(keys)})) }

// Without adds the keys of which a row must have none to f.
func (f *Filter) Without(keys ...int64) {
	if len(keys) == 0 {
		return
	}
	keys = distinct(slices.Clone(keys))
	f.Where = append(f.Where, Predicate{Without: keys, filter: not{anyKey(keys)}.write, sure: true})
}
