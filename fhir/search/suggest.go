package search

import (
	"fmt"
	"slices"
	"strings"
)

// maxListed is how many names a sentence lists.
const maxListed = 40

// nearest returns the one of names that someone who wrote word most likely
// meant, or "" when none is like it.
func nearest(word string, names []string) string {
	limit := 1 + min(len(word), 64)/4
	best, found := limit+1, ""
	for _, name := range names {
		if d := distance(strings.ToLower(word), strings.ToLower(name), best-1); d < best {
			best, found = d, name
		}
	}
	return found
}

// distance returns how many letters must be put in, taken out, changed, or
// swapped with their neighbour to make b of a; what is more than limit is
// limit+1.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 64 {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+differs(a[i], b[j]))
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit+1)
}

func differs(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

// listed returns names as a sentence lists them, in alphabetical order and cut
// to a sensible length.
func listed(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) > maxListed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return strings.Join(names, ", ")
}

// hint returns the sentences that help who wrote word where one of names
// belongs, beginning with a space.
func hint(word string, names []string) string {
	var s strings.Builder
	if name := nearest(word, names); name != "" {
		fmt.Fprintf(&s, " Did you mean %s?", name)
	}
	if len(names) > 0 {
		fmt.Fprintf(&s, " Valid are: %s.", listed(names))
	}
	return s.String()
}

// quote returns what the client wrote as a name, cut to a length that fits into
// a sentence.
func quote(word string) string {
	const longest = 64
	if len(word) > longest {
		word = strings.ToValidUTF8(word[:longest], "") + "…"
	}
	return fmt.Sprintf("%q", word)
}
