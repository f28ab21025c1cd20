package searchsql

import (
	"slices"
	"strconv"
)

// A Page is a part of what a search finds, in order.
type Page struct {
	Arms   []Arm
	After  []Value // the keys of the row that it begins behind; nil for the beginning
	Limit  int     // rows at most
	Bodies bool    // the stored bodies come too
	Links  []int64 // salts: for each comes what the row refers to by that parameter

	// Seen says that there comes, behind a body, the snapshot that the statement
	// sees, and Snapshot, if it is not empty, that there comes whether an earlier one
	// saw the version.
	Seen     bool
	Snapshot string

	// Generation says that the generation of the search parameters comes too. It
	// comes even if nothing is found: in a row of the type 0.
	Generation bool
}

// An Arm is the part of a page that comes from the rows of one type, or of all.
type Arm struct {
	Filter Filter
	Keys   []Key // of Order; those of all arms are for the same orders
	Scan   Scan

	// Walk has the rows read in the order of the first key until the page is full,
	// which needs that the keys are Walkable. Otherwise all rows that the Scan finds
	// are put in order.
	Walk bool
}

// A Scan names the parts of a Filter that an index is asked for, by their places
// there. What it does not name is held against each row. The zero Scan asks for
// all keys. RIDs are always asked for.
type Scan struct {
	All, Any, Where []bool
}

// Mark adds a part: a place in All, or, behind those, in Any, or in Where. The
// lists must be as long as those of the Filter.
func (s *Scan) Mark(place int) {
	for _, list := range [][]bool{s.All, s.Any, s.Where} {
		if place < len(list) {
			list[place] = true
			return
		}
		place -= len(list)
	}
}

// asks reports whether the part at i of list is asked for; keys says that it is
// one that the zero Scan asks for.
func (s Scan) asks(list []bool, i int, keys bool) bool {
	if i < len(list) {
		return list[i]
	}
	return keys && s.All == nil && s.Any == nil && s.Where == nil
}

// Statement writes p. The columns are: the generation, if asked for; rid, type, id,
// ver and updated; a [Value] for each key; an array of bigint for each of the
// links; codec and body, if asked for, and what goes with them. The error is an [*fhir.Outcome] when After
// does not belong to the keys.
func (p *Page) Statement(t *Tables) (Statement, error) {
	arms := uniform(p.Arms)
	w := pageWriter{Page: p, tables: t, keys: arms[0].Keys}
	if p.After != nil {
		if err := check(w.keys, p.After); err != nil {
			return Statement{}, err
		}
	}
	w.SQL("WITH ")
	for i := range arms {
		w.arm(&arms[i])
	}
	w.result(w.join(w.arms))
	return w.Builder.Statement(), nil
}

// uniform returns arms whose columns are alike. A date that one type has in a
// slot and another does not comes from res.sorts for both.
func uniform(arms []Arm) []Arm {
	arms = slices.Clone(arms)
	for i, k := range arms[0].Keys {
		if !slices.ContainsFunc(arms, func(a Arm) bool { return a.Keys[i].source != k.source }) {
			continue
		}
		for j := range arms {
			arms[j].Keys = slices.Clone(arms[j].Keys)
			arms[j].Keys[i].source, arms[j].Keys[i].slot = fromSorts, 0
		}
	}
	return arms
}

// A pageWriter writes one statement.
type pageWriter struct {
	Builder
	*Page
	tables *Tables
	keys   []Key
	parts  int
	arms   []string // names of the rows of each arm, at most Limit
}

// begin begins a part of the WITH list and returns its name.
func (w *pageWriter) begin() string {
	if w.parts++; w.parts > 1 {
		w.SQL(",\n")
	}
	name := "p" + strconv.Itoa(w.parts)
	w.SQL(name, " AS MATERIALIZED (")
	return name
}

func (w *pageWriter) arm(a *Arm) {
	switch {
	case a.Filter.Never:
		w.never(a)
	case a.walks():
		w.walk(a)
	default:
		w.fenced(a)
	}
}

// never writes an arm that has no rows but the columns of one.
func (w *pageWriter) never(a *Arm) {
	w.arms = append(w.arms, w.begin())
	w.selects(a)
	w.SQL(" WHERE false)")
}

// fenced writes all rows that the Scan finds, and then the first of them. Nothing
// but the Scan can choose an index, since what the order is cannot be seen behind
// MATERIALIZED.
func (w *pageWriter) fenced(a *Arm) {
	all := w.begin()
	a.rows(&w.Builder, w.tables, func() { w.columns(a) })
	w.arms = append(w.arms, w.first(a, all))
}

// first ends a part that has all rows and writes one that has the first of them
// behind the place where the page begins. It returns its name.
func (w *pageWriter) first(a *Arm, all string) string {
	w.SQL(")")
	name := w.begin()
	w.SQL("SELECT * FROM ", all)
	if w.After != nil {
		w.SQL(" WHERE ")
		keyset{a.Keys, w.After, numbered}.behind(&w.Builder, 0)
	}
	w.order("")
	w.limit()
	w.SQL(")")
	return name
}

// numbered writes the column of a key in a part.
func numbered(b *Builder, i int) { b.SQL("k", strconv.Itoa(i+1)) }

// selects writes the columns of a part from the table of a.
func (w *pageWriter) selects(a *Arm) {
	w.SQL("SELECT ")
	w.columns(a)
	table, _ := w.tables.from(a.Filter.Type)
	w.SQL(" FROM ", table, " r")
}

// columns writes the columns of a part.
func (w *pageWriter) columns(a *Arm) {
	w.SQL("r.rid, r.type, r.id, r.ver, r.updated")
	for i, k := range a.Keys {
		w.SQL(", ")
		k.column(&w.Builder)
		w.SQL(" AS ")
		numbered(&w.Builder, i)
	}
	if len(w.Links) > 0 {
		w.SQL(", r.keys, r.refs")
	}
}

// conditions writes what the rows of a satisfy.
func (w *pageWriter) conditions(a *Arm) { a.conditions(&w.Builder, w.tables) }

// order writes an order by the columns of a part.
func (w *pageWriter) order(alias string) {
	w.SQL(" ORDER BY ")
	w.joined(len(w.keys), ", ", func(i int) {
		w.SQL(alias)
		numbered(&w.Builder, i)
		w.keys[i].direction(&w.Builder, false)
	})
}

func (w *pageWriter) limit() { w.SQL(" LIMIT ", strconv.Itoa(w.Limit)) }

// join writes the first rows of several parts and returns their name.
func (w *pageWriter) join(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	name := w.begin()
	w.SQL("SELECT * FROM (")
	w.joined(len(parts), " UNION ALL ", func(i int) { w.SQL("SELECT * FROM ", parts[i]) })
	w.SQL(") p")
	w.order("")
	w.limit()
	w.SQL(")")
	return name
}

// result writes the columns that come.
func (w *pageWriter) result(part string) {
	w.SQL("\nSELECT ")
	if w.Generation {
		w.SQL("g.gen, coalesce(m.rid, 0), coalesce(m.type, 0), coalesce(m.id, ''), coalesce(m.ver, 0), coalesce(m.updated, to_timestamp(0))")
	} else {
		w.SQL("m.rid, m.type, m.id, m.ver, m.updated")
	}
	for i, k := range w.keys {
		w.SQL(", ")
		k.result(&w.Builder, "m.k"+strconv.Itoa(i+1))
	}
	for _, salt := range w.Links {
		w.SQL(", ARRAY(SELECT x FROM unnest(m.refs) x WHERE m.keys @> ARRAY[x # ")
		w.Int(salt)
		w.SQL("])")
	}
	switch {
	case w.Bodies && w.Generation:
		w.SQL(", coalesce(v.codec, 0), v.body")
	case w.Bodies:
		w.SQL(", v.codec, v.body")
	}
	w.seen()
	w.source(part)
	w.order("m.")
}

// seen writes the columns of snapshots.
func (w *pageWriter) seen() {
	if w.Bodies && w.Seen {
		w.SQL(", pg_current_snapshot()::text")
	}
	if w.Bodies && w.Snapshot != "" {
		w.SQL(", coalesce(pg_visible_in_snapshot(v.xid, ")
		w.Arg(w.Snapshot)
		w.SQL("::pg_snapshot), true)")
	}
}

// source writes what the columns come from.
func (w *pageWriter) source(part string) {
	from := part + " m"
	switch {
	case w.Bodies && w.Generation:
		from = "(" + from + bodies + ")"
	case w.Bodies:
		from += bodies
	}
	if w.Generation {
		from = "search_generation g LEFT JOIN " + from + " ON true"
	}
	w.SQL("\nFROM ", from)
}

const bodies = " JOIN ver v ON v.rid = m.rid AND v.ver = m.ver"
