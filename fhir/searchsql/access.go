package searchsql

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// accessVersion is the first byte of what is hashed for an access key. It differs
// from that of search keys: who is in a compartment need not see what is in it.
const accessVersion = 3

// kindBits are the low bits of an access key, which tell its kind.
const kindBits = 7

// Access returns the hash of an access key, whose low three bits are the number of
// its kind. That of a key Itself is the RID of the resource that it names.
func (s Secret) Access(k access.Key) int64 {
	if k.Kind == access.Itself {
		typ, id, _ := strings.Cut(k.Of, "/")
		return s.RID(fhir.Key{Type: typ, ID: id})
	}
	t := append(make(tuple, 0, 128), accessVersion, byte(k.Kind))
	return s.hash(t.text("access").text(k.Of))&^kindBits | int64(k.Kind)
}

// Accesses returns the hashes of access keys, in their order.
func (s Secret) Accesses(keys []access.Key) []int64 {
	hashes := make([]int64, len(keys))
	for i, k := range keys {
		hashes[i] = s.Access(k)
	}
	return hashes
}
