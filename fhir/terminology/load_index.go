package terminology

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// The kinds of sets in terminology_set. Those of a property begin with propertyKind.
const (
	belowKind    = "below"
	childrenKind = "children"
	wordKind     = "word"
	inactiveKind = "inactive"
	abstractKind = "abstract"
	propertyKind = "="
)

// longestKey is how many bytes of a value are the key of its set. An index takes
// some 2,700.
const longestKey = 500

// setKey returns the key of a value, and the value itself when that is another.
func setKey(value string) (key, whole string) {
	value = storable(value)
	if len(value) <= longestKey {
		return value, ""
	}
	sum := sha256.Sum256([]byte(value))
	return wordKey(value) + " " + hex.EncodeToString(sum[:]), value
}

// wordKey returns as much of a word as is looked for.
func wordKey(word string) string {
	word = storable(word)
	if len(word) > longestKey {
		word = strings.ToValidUTF8(word[:longestKey], "")
	}
	return word
}

// storable returns a text as Postgres takes it.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// A setName names a set of one code system.
type setName struct{ kind, key string }

// An index is what is gathered of the concepts of a code system while they are read
// in: their places, what they say of their relatives, and what they have in common.
type index struct {
	codes      []string
	exact      map[string]int32
	folded     map[string]int32 // nil when case matters
	kin        [][]kinship
	properties map[string]bool
	sets       map[setName]*posting
}

// A kinship is what a concept says of another one.
type kinship struct {
	code    string
	isChild bool // else parent
}

func newIndex(h *header) *index {
	x := &index{exact: map[string]int32{}, properties: map[string]bool{}, sets: map[setName]*posting{}}
	if !h.caseSensitive {
		x.folded = map[string]int32{}
	}
	return x
}

// add takes a concept in and returns its ordinal. It is not ok when its code is there
// already, or there is none.
func (x *index) add(c *concept) (ordinal int32, ok bool) {
	if _, twice := x.exact[c.code]; twice || c.code == "" {
		return 0, false
	}
	ordinal = int32(len(x.codes))
	x.exact[c.code] = ordinal
	x.codes = append(x.codes, c.code)
	if x.folded != nil {
		low := strings.ToLower(c.code)
		if _, twice := x.folded[low]; !twice {
			x.folded[low] = ordinal
		}
	}
	x.kin = append(x.kin, kinOf(c))
	x.describe(ordinal, c)
	return ordinal, true
}

// kinOf lists what c says of what is above and below it.
func kinOf(c *concept) []kinship {
	var all []kinship
	for _, p := range c.parents {
		all = append(all, kinship{p, false})
	}
	for _, p := range c.properties {
		if p.code == "parent" || p.code == "child" {
			all = append(all, kinship{p.value, p.code == "child"})
		}
	}
	return all
}

// describe adds a concept to the sets of its words and properties.
func (x *index) describe(ordinal int32, c *concept) {
	for _, text := range append([]string{c.display, c.code}, spoken(c)...) {
		for _, word := range wordsOf(text) {
			x.set(wordKind, wordKey(word)).add(ordinal)
		}
	}
	if c.inactive {
		x.set(inactiveKind, "").add(ordinal)
	}
	if c.abstract {
		x.set(abstractKind, "").add(ordinal)
	}
	for _, p := range c.properties {
		x.properties[p.code] = true
		key, whole := setKey(p.text())
		set := x.set(propertyKind+storable(p.code), key)
		set.add(ordinal)
		set.value = whole
	}
}

func spoken(c *concept) []string {
	all := make([]string, 0, len(c.designations))
	for _, d := range c.designations {
		all = append(all, d.value)
	}
	return all
}

func (x *index) set(kind, key string) *posting {
	name := setName{kind, key}
	p := x.sets[name]
	if p == nil {
		p = &posting{}
		x.sets[name] = p
	}
	return p
}

// names returns the names of all sets, in the order of their index.
func (x *index) names() []setName {
	return slices.SortedFunc(maps.Keys(x.sets), func(a, b setName) int {
		if c := strings.Compare(a.kind, b.kind); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
}

func (x *index) find(code string) (int32, bool) {
	if i, ok := x.exact[code]; ok {
		return i, true
	}
	i, ok := x.folded[strings.ToLower(code)]
	return i, ok
}

// parents returns those directly above each concept, in the order in which they are
// named.
func (x *index) parents() [][]int32 {
	up := make([][]int32, len(x.codes))
	for i, kin := range x.kin {
		for _, k := range kin {
			parent, ok := x.find(k.code)
			if !ok {
				continue
			}
			child := int32(i)
			if k.isChild {
				parent, child = child, parent
			}
			if child != parent && !slices.Contains(up[child], parent) {
				up[child] = append(up[child], parent)
			}
		}
	}
	return up
}

// mostPairs is how many pairs of a concept and one above it a code system may have.
// SNOMED CT has six million.
const mostPairs = 30_000_000

// hierarchy returns all that is above each concept, sorted, and gathers the sets of
// what is below. A concept in a circle is above all others of it, not above itself.
// The error is an Outcome.
func (x *index) hierarchy(up [][]int32) ([][]int32, error) {
	above, pairs := make([][]int32, len(up)), 0
	seen := make([]int, len(up)) // the concept, plus one, that it was seen for
	for i := range up {
		above[i] = climb(up, i, seen)
		if pairs += len(above[i]); pairs > mostPairs {
			return nil, fhir.Errorf(fhir.Unprocessable, fhir.TooCostly, "", "The hierarchy of the code system is too deep: take it apart so that there are fewer than %d pairs of a concept and one above it.", mostPairs)
		}
		for _, a := range above[i] {
			x.set(belowKind, x.codes[a]).add(int32(i))
		}
		for _, p := range up[i] {
			x.set(childrenKind, x.codes[p]).add(int32(i))
		}
	}
	return above, nil
}

// climb returns all that is above from, sorted.
func climb(up [][]int32, from int, seen []int) []int32 {
	var all []int32
	seen[from] = from + 1
	for next := up[from]; len(next) > 0; {
		var more []int32
		for _, p := range next {
			if seen[p] != from+1 {
				seen[p] = from + 1
				all = append(all, p)
				more = append(more, up[p]...)
			}
		}
		next = more
	}
	slices.Sort(all)
	return all
}
