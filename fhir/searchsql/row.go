package searchsql

import (
	"cmp"
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
)

// Layout is the version of what [Secret.Row] makes of an index. Whatever makes the
// rows of before unfit for the statements of today makes it greater by one: the
// store then builds all rows anew.
const Layout = 3

// A Row is what the search columns of a resource hold.
type Row struct {
	Keys   []int64 // res.keys: distinct, in order
	Refs   []int64 // res.refs: RIDs and URLs of what it refers to, distinct, in order
	Times  [3]Span // res.t1 and t1h, and so on
	S1     string  // res.s1; empty for NULL
	Strs   string  // res.strs
	Sorts  string  // res.sorts
	Ranges []Range // rows of rng, distinct, in order
	Words  []byte  // ver.words
}

// A Span is what a pair of time columns holds. The zero Span is NULL.
type Span struct {
	Set bool
	search.Range
}

// An open end is a moment that no date reaches, since Postgres takes no
// difference of infinite ones.
const (
	openBegin = "4001-01-01 00:00:00Z BC"
	openEnd   = "20000-01-01 00:00:00Z"
)

// Low returns the earlier column as an argument: nil for NULL, or text.
func (s Span) Low() any { return s.arg(s.Lo) }

// High returns the later column as an argument: nil for NULL, or text.
func (s Span) High() any { return s.arg(s.Hi) }

func (s Span) arg(micros float64) any {
	if !s.Set {
		return nil
	}
	return slotTime(micros)
}

// A Range is a row of rng: one value of a parameter, in one of the units that it
// is asked for by.
type Range struct {
	Group  int64
	Lo, Hi float64
}

// Row returns the columns of the resource with index ix, in whose content words
// are; they are folded, as [search.Words] returns them.
func (s Secret) Row(ix *search.Index, words []string) Row {
	p := packer{secret: s, row: Row{Keys: make([]int64, 0, 64), Refs: []int64{}}, tuple: make(tuple, 0, 256)}
	for i := range ix.Entries {
		p.entry(&ix.Entries[i])
	}
	if len(ix.Members) > 0 {
		salt := s.compartmentSalt()
		for _, m := range ix.Members {
			p.keyOf(s.RID(m.Compartment) ^ salt)
		}
	}
	if len(ix.Mentions) > 0 {
		salt := s.mentionSalt()
		for _, k := range ix.Mentions {
			rid := s.RID(k)
			p.keyOf(rid ^ salt)
			p.row.Refs = append(p.row.Refs, rid)
		}
	}
	p.row.Keys, p.row.Refs = distinct(p.row.Keys), distinct(p.row.Refs)
	slices.SortFunc(p.row.Ranges, compareRanges)
	p.row.Ranges = slices.Compact(p.row.Ranges)
	p.row.Strs, p.row.Sorts = strs(p.texts), sorts(ix.Entries)
	if p.named {
		p.row.S1 = p.name
	}
	p.row.Words = s.signature(words)
	return p.row
}

func compareRanges(a, b Range) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
}

// A packer makes a Row.
type packer struct {
	secret Secret
	row    Row
	param  *search.Param
	tuple  tuple // begins what is hashed of param; what is appended to it does not stay
	texts  []string
	name   string // the least value for s1
	named  bool
}

// key adds the hash of t.
func (p *packer) key(t tuple) { p.keyOf(p.secret.hash(t)) }

func (p *packer) keyOf(key int64) { p.row.Keys = append(p.row.Keys, key) }

func (p *packer) entry(e *search.Entry) {
	if e.Param != p.param {
		p.param, p.tuple = e.Param, appendParam(p.tuple[:0], e.Param)
	}
	switch v := e.Value.(type) {
	case search.Token:
		p.token(v)
	case search.String:
		p.string(v)
		p.mainName(v)
	case search.Reference:
		p.reference(v)
	case search.URI:
		p.uri(v)
	case search.Quantity:
		p.quantity(p.tuple, v)
	case search.Composite:
		p.composite(v)
	case search.Range:
		if n := slot(p.param); n > 0 {
			p.span(n, v)
		} else {
			p.between(p.tuple.number(), v)
		}
	}
}

// mainName keeps the least of the names that a person is put in order by.
func (p *packer) mainName(v search.String) {
	if !isMainName(p.param) {
		return
	}
	if text := sortText(v); !p.named || text < p.name {
		p.name, p.named = text, true
	}
}

// isMainName reports whether res.s1 holds the least value of p.
func isMainName(p *search.Param) bool { return p.Base == "Patient" && p.Code == "family" }
