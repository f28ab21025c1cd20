package search

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// maxSortKey is how many characters of a text count when matches are sorted.
const maxSortKey = 64

// Compare returns a negative number when a stands before b in the given order, a
// positive one when it stands behind, and 0 when the order does not say. What has
// no value stands last in both directions. Of several values the smallest counts
// going up, the greatest going down. Times, numbers and quantities, these in their
// canonical unit where there is one, are compared by where they begin, strings
// without case and marks, tokens by their code, and texts by the first 64
// characters. https://hl7.org/fhir/R4/search.html#sort
func Compare(a, b *Index, orders []Order) int {
	for _, o := range orders {
		x, y := o.key(a), o.key(b)
		d := 0
		switch {
		case !x.found || !y.found:
			// The one that has a value stands first.
			d = boolean(y.found) - boolean(x.found)
		case o.Descending:
			d = y.compare(x)
		default:
			d = x.compare(y)
		}
		if d != 0 {
			return d
		}
	}
	return 0
}

// A sortKey is what a resource is sorted by: a number, or a text.
type sortKey struct {
	found  bool
	number float64
	text   string
}

func (k sortKey) compare(other sortKey) int {
	return cmp.Or(cmp.Compare(k.number, other.number), strings.Compare(k.text, other.text))
}

// key returns what ix is sorted by.
func (o Order) key(ix *Index) sortKey {
	switch o.Param.Code {
	case "_id":
		return sortKey{found: true, text: ix.Key.ID}
	case "_lastUpdated":
		return sortKey{found: true, number: float64(ix.Updated.UnixMicro())}
	}
	var best sortKey
	for _, e := range ix.Entries {
		// Each type is sorted by its own parameter of that code.
		if e.Param.Code != o.Param.Code {
			continue
		}
		k := keyOf(e.Value)
		if !best.found || o.Descending && k.compare(best) > 0 || !o.Descending && k.compare(best) < 0 {
			best = k
		}
	}
	return best
}

func keyOf(v Value) sortKey {
	switch v := v.(type) {
	case Range:
		return sortKey{found: true, number: v.Lo}
	case Quantity:
		if v.Base != "" {
			return sortKey{found: true, number: v.Canonical.Lo}
		}
		return sortKey{found: true, number: v.Lo}
	case String:
		return sortKey{found: true, text: cutText(v.Folded)}
	case Token:
		return sortKey{found: true, text: cutText(v.Code)}
	case URI:
		return sortKey{found: true, text: cutText(v.Text)}
	}
	return sortKey{}
}

// cutText returns the first maxSortKey characters of s.
func cutText(s string) string {
	if len(s) <= maxSortKey {
		return s
	}
	end := 0
	for range maxSortKey {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end]
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
