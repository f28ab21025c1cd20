package searchsql

import (
	"slices"
	"strconv"
)

// longList is how many keys an index is asked for at once. For long lists the
// planner expects many rows and, since it takes no account of what it costs to
// hold a row against a list, reads the whole table: with 2,000 keys and 300,000
// rows 9.8 s instead of 17 ms. In a table of less than some 10,000 rows it does so
// for this many already.
const longList = 50

// pieces returns arms that together have the rows of a, some of them several
// times. None of them asks an index for a long list.
func (a *Arm) pieces() []Arm {
	longest := -1
	for i, list := range a.Filter.Any {
		if len(list) > longList && !a.walks() && a.Scan.asks(a.Scan.Any, i, true) && (longest < 0 || len(list) > len(a.Filter.Any[longest])) {
			longest = i
		}
	}
	if longest < 0 {
		return []Arm{*a}
	}
	var pieces []Arm
	for keys := range slices.Chunk(a.Filter.Any[longest], longList) {
		piece := *a
		piece.Filter.Any = slices.Clone(a.Filter.Any)
		piece.Filter.Any[longest] = keys
		pieces = append(pieces, piece)
	}
	return pieces
}

// rows writes a SELECT of columns of the rows of a, each once. What the columns
// are must tell rows apart, unless it does not matter how often one comes.
func (a *Arm) rows(b *Builder, t *Tables, columns func()) {
	table, _ := t.from(a.Filter.Type)
	pieces := a.pieces()
	b.joined(len(pieces), " UNION ", func(i int) {
		b.SQL("SELECT ")
		columns()
		b.SQL(" FROM ", table, " r WHERE ")
		pieces[i].conditions(b, t)
	})
}

// conditions writes what the rows of a satisfy: first what is asked of an index,
// then what each row is held against.
func (a *Arm) conditions(b *Builder, t *Tables) {
	b.SQL("NOT r.deleted")
	if _, number := t.from(a.Filter.Type); number > 0 {
		b.SQL(" AND r.type = ")
		b.SQL(strconv.Itoa(int(number)))
	}
	if a.Filter.Never {
		b.SQL(" AND false")
		return
	}
	a.filters(b)
}

// filters writes what a Filter says but for the type.
func (a *Arm) filters(b *Builder) {
	for _, rids := range a.Filter.RIDs {
		b.SQL(" AND ")
		anyRID(rids).lead(b)
	}
	a.keyConditions(b)
	for i, p := range a.Filter.Where {
		b.SQL(" AND ")
		if a.asksWhere(i) {
			p.lead(b)
			if p.whole {
				continue
			}
			b.SQL(" AND ")
		}
		predicate(p).write(b)
	}
}

func (a *Arm) asksWhere(i int) bool {
	return !a.walks() && a.Filter.Where[i].lead != nil && a.Scan.asks(a.Scan.Where, i, false)
}

// walks reports whether an index is walked in order.
func (a *Arm) walks() bool { return a.Walk && len(a.Keys) > 0 && Walkable(a.Keys) }

// keyConditions writes one array of the keys that are asked for and one of those
// that are not, and each list by itself.
func (a *Arm) keyConditions(b *Builder) {
	var asked, held []int64
	for i, key := range a.Filter.All {
		if !a.walks() && a.Scan.asks(a.Scan.All, i, true) {
			asked = append(asked, key)
		} else {
			held = append(held, key)
		}
	}
	if len(asked) > 0 {
		b.SQL(" AND r.keys @> ")
		b.Ints(asked)
	}
	for i, list := range a.Filter.Any {
		b.SQL(" AND ")
		switch {
		case !a.walks() && a.Scan.asks(a.Scan.Any, i, true):
			anyKey(list).lead(b)
		case i+1 == a.Filter.Ranks:
			rankedKey(list).write(b)
		default:
			anyKey(list).write(b)
		}
	}
	if len(held) > 0 {
		b.SQL(" AND (r.keys @> ")
		b.Ints(held)
		b.SQL(") IS TRUE")
	}
}
