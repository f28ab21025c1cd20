package searchsql

import "slices"

// An expr is a condition on a row of res, whose alias is r. What write writes is
// true or false, never NULL, and no index can answer it: which one is used is not
// Postgres' choice.
type expr interface{ write(b *Builder) }

type (
	never  struct{}
	always struct{}

	anyKey []int64 // has one of these keys
	anyRID []int64 // is one of these resources
	conj   []expr  // all hold
	disj   []expr  // one holds
	not    struct{ expr }

	predicate Predicate
)

// manyKeys is from how many keys on a row is held against a hash table of them:
// 5 µs whatever their number, instead of 10 µs for 100 and 160 µs for 2,000.
const manyKeys = 64

func (never) write(b *Builder)  { b.SQL("false") }
func (always) write(b *Builder) { b.SQL("true") }

func (e anyKey) write(b *Builder) {
	if len(e) > manyKeys {
		// For = ANY Postgres makes a hash table, && goes through both lists.
		b.SQL("(EXISTS (SELECT 1 FROM unnest(r.keys) k WHERE k = ANY (")
		b.Ints(e)
		b.SQL("))) IS TRUE")
		return
	}
	b.SQL("(")
	e.lead(b)
	b.SQL(") IS TRUE")
}

func (e anyKey) lead(b *Builder) {
	b.SQL("r.keys ", e.operator(), " ")
	b.Ints(e)
}

func (e anyKey) operator() string {
	if len(e) == 1 {
		return "@>"
	}
	return "&&"
}

// rankedKey is an anyKey whose most common keys come first. Most rows have one of
// those: they are looked for first, each in all that a row has, so that few are
// held against the rest.
type rankedKey []int64

// firstRanks is how many keys of a long list are looked for before the rest.
const firstRanks = 8

func (e rankedKey) write(b *Builder) {
	if len(e) <= manyKeys {
		b.SQL("(")
		b.Ints(e)
		b.SQL(" && r.keys) IS TRUE")
		return
	}
	b.SQL("(")
	e[:firstRanks].write(b)
	b.SQL(" OR ")
	anyKey(e[firstRanks:]).write(b)
	b.SQL(")")
}

func (e anyRID) write(b *Builder) {
	b.SQL("(")
	e.lead(b)
	b.SQL(") IS TRUE")
}

func (e anyRID) lead(b *Builder) {
	b.SQL("r.rid = ANY (")
	b.Ints(e)
	b.SQL(")")
}

func (e conj) write(b *Builder) { writeAll(b, e, " AND ") }
func (e disj) write(b *Builder) { writeAll(b, e, " OR ") }

func writeAll(b *Builder, all []expr, word string) {
	b.SQL("(")
	b.joined(len(all), word, func(i int) { all[i].write(b) })
	b.SQL(")")
}

func (e not) write(b *Builder) {
	b.SQL("NOT (")
	e.expr.write(b)
	b.SQL(")")
}

func (e predicate) write(b *Builder) {
	if e.sure {
		e.filter(b)
		return
	}
	b.SQL("(")
	e.filter(b)
	b.SQL(") IS TRUE")
}

// allOf returns the conjunction of all, without what says nothing.
func allOf(all []expr) expr {
	var kept conj
	for _, e := range all {
		switch e := e.(type) {
		case never:
			return never{}
		case always:
		case conj:
			kept = append(kept, e...)
		default:
			kept = append(kept, e)
		}
	}
	switch len(kept) {
	case 0:
		return always{}
	case 1:
		return kept[0]
	}
	return kept
}

// oneOf returns the disjunction of all. Keys and RIDs become one list each.
func oneOf(all []expr) expr {
	var keys anyKey
	var rids anyRID
	var kept disj
	for _, e := range all {
		switch e := e.(type) {
		case always:
			return always{}
		case never:
		case anyKey:
			keys = append(keys, e...)
		case anyRID:
			rids = append(rids, e...)
		case disj:
			kept = append(kept, e...)
		default:
			kept = append(kept, e)
		}
	}
	if len(rids) > 0 {
		kept = append(disj{anyRID(distinct(rids))}, kept...)
	}
	if len(keys) > 0 {
		kept = append(disj{anyKey(distinct(keys))}, kept...)
	}
	switch len(kept) {
	case 0:
		return never{}
	case 1:
		return kept[0]
	}
	return kept
}

// opposite returns the negation of e.
func opposite(e expr) expr {
	switch e.(type) {
	case never:
		return always{}
	case always:
		return never{}
	}
	return not{e}
}

// distinct puts ns in order, each once.
func distinct(ns []int64) []int64 {
	slices.Sort(ns)
	return slices.Compact(ns)
}
