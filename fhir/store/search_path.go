package store

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir/searchsql"
)

// A path is how the rows of one statement are found. Either the rows that some
// condition picks out are found first, all of them, and then put in order; or
// the index of the order is walked, and each row is held against the conditions,
// until there are enough.
type path struct {
	scan searchsql.Scan // what the index on keys is asked
	walk bool
	rows float64 // how many rows may match; negative: nobody has counted
	of   float64 // among how many
	cost float64 // in rows looked at
	why  string
}

// What statements cost, in rows that are looked at: each key beyond the first
// of a list that a row is held against, each entry of an index on keys, and each
// row that is found before it is put in order.
const (
	costOfAlternative  = 0.05
	mostOfAlternatives = 3
	costOfEntry        = 0.02
	costOfFound        = 1.5
)

// worthScanning is how many rows a further key must spare to be asked of the
// index rather than of each row.
const worthScanning = 1000

// choose picks the path for the first limit rows of f among the rows of v.
// walkable says that there is an index in the order asked.
func (v *view) choose(f *searchsql.Filter, walkable bool, limit int) path {
	p := v.scan(f)
	if v.rows < 0 {
		p.rows, p.of, p.why = -1, -1, "the table was not analysed yet: what is asked is taken to be rare"
		return p
	}
	walked, perRow := v.rows, 1.0
	if p.rows > float64(limit) {
		walked = v.rows * float64(limit) / p.rows
	}
	for _, list := range f.Any {
		perRow += min(costOfAlternative*float64(len(list)), mostOfAlternatives)
	}
	walked *= perRow
	switch {
	case !walkable:
		p.why = "no index has this order"
	case len(f.RIDs) > 0:
		p.why = "the resources are named"
	case p.cost <= walked:
		p.why = fmt.Sprintf("about %.0f rows are found first, a walk in order would see %.0f", p.cost, walked)
	default:
		p.walk, p.why = true, fmt.Sprintf("a walk in order sees about %.0f rows, to find all first would see %.0f", walked, p.cost)
		p.cost = walked
	}
	return p
}

// A clause is what an index can be asked for.
type clause struct {
	place int // in Filter.All, Any and Where, one behind the other
	share float64
	held  bool // the index is not to be asked
}

// Of a small table the planner rather reads everything than to ask an index for
// many keys, and then each row is held against each key.
const (
	smallTable = 10_000 // rows
	manyKeys   = 50
)

// scan picks what the indexes are asked for: the rarest clause, and others as
// long as they spare many rows. What is common costs more to look up than to
// check.
func (v *view) scan(f *searchsql.Filter) path {
	p := path{rows: max(v.rows, 0), of: v.rows}
	p.scan = searchsql.Scan{All: make([]bool, len(f.All)), Any: make([]bool, len(f.Any)), Where: make([]bool, len(f.Where))}
	found, others, entries := p.rows, 1.0, 0.0
	for _, list := range f.RIDs {
		found = min(found, float64(len(list)))
	}
	for _, w := range f.Where {
		if !w.Leads() {
			others *= v.selectivity(w)
		}
	}
	driven := len(f.RIDs) > 0
	for _, c := range v.clauses(f) {
		spared := found * (1 - c.share)
		if c.held || driven && (spared < worthScanning || spared < costOfEntry*c.share*p.of) {
			others *= c.share
			continue
		}
		driven = true
		p.scan.Mark(c.place)
		found -= spared
		entries += c.share * p.of
	}
	p.cost = costOfFound*found + costOfEntry*entries
	p.rows = found * others
	return p
}

// clauses returns those of f, the rarest first.
func (v *view) clauses(f *searchsql.Filter) []clause {
	list := make([]clause, 0, len(f.All)+len(f.Any)+len(f.Where))
	for _, key := range f.All {
		list = append(list, clause{place: len(list), share: v.share(key)})
	}
	for _, keys := range f.Any {
		share := 0.0
		for _, key := range keys {
			share += v.share(key)
		}
		list = append(list, clause{len(list), min(share, 1), len(keys) > manyKeys && v.rows >= 0 && v.rows < smallTable})
	}
	leading := list
	for i, w := range f.Where {
		if w.Leads() {
			leading = append(leading, clause{place: len(f.All) + len(f.Any) + i, share: v.selectivity(w)})
		}
	}
	slices.SortStableFunc(leading, func(a, b clause) int { return cmp.Compare(a.share, b.share) })
	return leading
}
