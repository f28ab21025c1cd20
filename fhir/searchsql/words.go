package searchsql

import (
	"math/bits"
	"strconv"

	"github.com/openconsult/openconsult/fhir/search"
)

// The words of the content of a version are kept as a Bloom signature: each sets
// three bits. What has not all bits of a word does not have the word; what has
// them is left to search.Match.

const (
	minSignature = 16  // bytes
	maxSignature = 512 // bytes; a position has 12 bits
	bitsForWord  = 10
)

// positions returns the three bits of a word in the largest signature. In a
// smaller one they are what the last bits say.
func (s Secret) positions(word string) [3]int {
	h := uint64(s.hash(append(make(tuple, 0, 128), keyVersion).text("").text("word").text(word)))
	return [3]int{int(h & 0xfff), int(h >> 12 & 0xfff), int(h >> 24 & 0xfff)}
}

// signature returns the signature of words. Many words in it only make it say
// yes more often.
func (s Secret) signature(words []string) []byte {
	size := min(max(len(words)*bitsForWord/8, minSignature), maxSignature)
	signature := make([]byte, 1<<bits.Len(uint(size-1)))
	for _, w := range words {
		for _, at := range s.positions(w) {
			at &= len(signature)*8 - 1
			signature[at/8] |= 1 << (at % 8)
		}
	}
	return signature
}

// words returns the condition that all words of an alternative may be there.
func (c *compiler) words(w *search.Words) expr {
	if len(w.Alternatives) == 0 {
		return never{}
	}
	return predicate(Predicate{filter: func(b *Builder) {
		// Of EXISTS the planner might make a hash of all versions.
		b.SQL("(SELECT w.words IS NULL")
		for _, words := range w.Alternatives {
			b.SQL(" OR true")
			for _, word := range words {
				for _, at := range c.secret.positions(word) {
					b.SQL(" AND get_bit(w.words, ", strconv.Itoa(at), " & (octet_length(w.words) * 8 - 1)) = 1")
				}
			}
		}
		b.SQL(" FROM ver w WHERE w.rid = r.rid AND w.ver = r.ver)")
	}})
}
