package searchsql

import "strconv"

// A walk reads an index in its order. What has no value for the first key is not
// in the index, and stands before or behind all of it; and of a date that is
// bounded, the few values that begin before the bounds, but last into them, have
// an index of their own. So a walk is up to three legs, one behind the other,
// each of which runs only when those before it did not fill the page.

// A leg is a part of the rows.
type leg uint8

const (
	missing leg = iota // without a value
	early              // wide values that begin before the bounds
	rest               // all others
)

func (w *pageWriter) walk(a *Arm) {
	legs := w.legs(a)
	if len(legs) == 0 {
		w.never(a)
		return
	}
	var before []string
	for _, l := range legs {
		name := w.begin()
		w.selects(a)
		w.SQL(" WHERE ")
		w.conditions(a)
		w.leg(a, l)
		if len(before) > 0 {
			w.SQL(" AND ")
			w.joined(len(before), " + ", func(i int) { w.SQL("(SELECT count(*) FROM ", before[i], ")") })
			w.SQL(" < ", strconv.Itoa(w.Limit))
		}
		if l == early {
			// Seen with its order, it would be a walk through all that begins before.
			name = w.first(a, name)
		} else {
			w.legOrder(a.Keys, l)
			w.limit()
			w.SQL(")")
		}
		before = append(before, name)
	}
	w.arms = append(w.arms, w.join(before))
}

// legs returns the legs of a in order, without those that lie before the place
// where the page begins and those that a bound excludes.
func (w *pageWriter) legs(a *Arm) []leg {
	k, bound := a.Keys[0], a.bound()
	if k.isAlways() {
		return []leg{rest}
	}
	values, without := []leg{rest}, []leg{missing}
	if bound != nil {
		without = nil
		if bound.wide {
			values = []leg{early, rest}
		}
		if bound.wide && k.Descending {
			values = []leg{rest, early}
		}
	}
	first, second := values, without
	if k.missing {
		first, second = without, values
	}
	if w.After != nil && w.After[0].Missing != k.missing {
		return second
	}
	return append(first, second...)
}

// bound returns the predicate on the first key, if there is one.
func (a *Arm) bound() *Predicate {
	slot := a.Keys[0].slot
	if a.Keys[0].source == fromUpdated {
		slot = UpdatedSlot
	}
	for i := range a.Filter.Where {
		if p := &a.Filter.Where[i]; slot != 0 && p.Slot == slot {
			return p
		}
	}
	return nil
}

// leg writes what the rows of a leg have in common, and where the page begins.
func (w *pageWriter) leg(a *Arm, l leg) {
	k, b := a.Keys[0], a.bound()
	s := keyset{a.Keys, w.After, func(b *Builder, i int) { a.Keys[i].column(b) }}
	switch {
	case l == missing:
		w.SQL(" AND ")
		k.column(&w.Builder)
		w.SQL(" IS NULL")
		if w.After != nil && w.After[0].Missing {
			w.SQL(" AND ")
			s.behind(&w.Builder, 1)
		}
		return
	case l == early:
		w.SQL(" AND ")
		b.far(&w.Builder)
		return
	case b != nil:
		w.SQL(" AND ")
		b.near(&w.Builder)
	case !k.isAlways():
		w.SQL(" AND ")
		k.column(&w.Builder)
		w.SQL(" IS NOT NULL")
	}
	if w.After != nil && !w.After[0].Missing {
		w.SQL(" AND ")
		s.inIndex(&w.Builder)
	}
}

// legOrder writes the order of a leg in which the first key is not missing, or
// always.
func (w *pageWriter) legOrder(keys []Key, l leg) {
	first := 0
	if l == missing {
		first = 1
	}
	w.SQL(" ORDER BY ")
	w.joined(len(keys)-first, ", ", func(i int) {
		i += first
		numbered(&w.Builder, i)
		keys[i].direction(&w.Builder, i == 0)
	})
}
