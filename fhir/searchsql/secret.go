package searchsql

import (
	"encoding/binary"
	"fmt"

	"github.com/dchest/siphash"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// A Secret is the key of an installation's hashes. It never changes, since hashes
// are stored. Nobody who does not have it can make two names or values clash.
type Secret struct{ k0, k1 uint64 }

// NewSecret returns the Secret with the given key of 16 bytes; another length is
// an error.
func NewSecret(key []byte) (Secret, error) {
	if len(key) != 16 {
		return Secret{}, fmt.Errorf("the key of the hashes has %d bytes, not 16", len(key))
	}
	return Secret{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[8:])}, nil
}

// The first byte of what is hashed tells what it is, and in which layout: names
// of resources, and keys. The stored form of a body begins with a brace.
const (
	ridVersion = 1
	keyVersion = 2
)

// RID returns the hash of a resource's name. The type is length-prefixed, so that
// no two names share their bytes.
func (s Secret) RID(k fhir.Key) int64 {
	b := make([]byte, 0, 128)
	b = append(b, ridVersion, byte(len(k.Type)))
	b = append(b, k.Type...)
	b = append(b, k.ID...)
	return s.hash(b)
}

// Body returns the hash of a resource's stored form.
func (s Secret) Body(stored []byte) int64 { return s.hash(stored) }

func (s Secret) hash(b []byte) int64 { return int64(siphash.Hash(s.k0, s.k1, b)) }

// Compartment returns the key that the members of a compartment have.
func (s Secret) Compartment(k fhir.Key) int64 { return s.RID(k) ^ s.compartmentSalt() }

func (s Secret) compartmentSalt() int64 {
	return s.hash(append(make(tuple, 0, 32), keyVersion).text("").text("compartment"))
}

// Mention returns the key of what refers to a patient where no parameter of R4 looks.
func (s Secret) Mention(k fhir.Key) int64 { return s.RID(k) ^ s.mentionSalt() }

func (s Secret) mentionSalt() int64 {
	return s.hash(append(make(tuple, 0, 32), keyVersion).text("").text("mention"))
}

// Salt returns what makes the name of a target the key of a reference to it: a
// resource that refers by p to the one with an RID has the key RID XOR Salt(p).
// For canonical references [Secret.URL] stands in the place of the RID, and the
// target has the same hash XOR the Salt of its parameter url.
func (s Secret) Salt(p *search.Param) int64 {
	return s.hash(append(newTuple(p), saltKind))
}

// URL returns the hash of a URL that something is referred to by. The version is
// that of a canonical, or empty.
func (s Secret) URL(url, version string) int64 {
	t := append(make(tuple, 0, 128), keyVersion)
	return s.hash(t.text("").text("url").text(url).text(version))
}

// Salted returns the keys of references to the resources with the given RIDs or
// URLs, in their order.
func Salted(salt int64, targets []int64) []int64 {
	keys := make([]int64, len(targets))
	for i, t := range targets {
		keys[i] = t ^ salt
	}
	return keys
}

// A tuple is what a key is the hash of: a parameter and a value. Every text in it
// has its length in front, so that no two tuples share their bytes.
type tuple []byte

// newTuple begins a tuple of p. What is defined for all types is hashed once for
// all of them, since Base says so.
func newTuple(p *search.Param) tuple {
	return appendParam(make(tuple, 0, 256), p)
}

func appendParam(t tuple, p *search.Param) tuple {
	return append(t, keyVersion).text(p.Base).text(p.Code)
}

func (t tuple) text(s string) tuple {
	t = binary.AppendUvarint(t, uint64(len(s)))
	return append(t, s...)
}

// The kinds of what follows the parameter in a tuple. They are stored by way of
// the hashes and never change.
const (
	saltKind       = 'R' // of references
	codeKind       = 'c' // code, in any system
	codingKind     = 's' // system and code; the empty system for none
	systemKind     = 'y' // system
	ofTypeKind     = 'o' // type of an identifier and its value
	identifierKind = 'i' // identifier of a reference: a token follows
	prefixKind     = '^' // beginning of a folded string
	exactKind      = '=' // string as it stands
	belowKind      = '/' // what a uri lies below
	numberKind     = 'n' // a range without unit
	unitKind       = 'q' // a range in a unit, by code or text
	ucumKind       = 'b' // a range in a canonical unit
	unitCodeKind   = 'u' // a range in the unit of a system
)
