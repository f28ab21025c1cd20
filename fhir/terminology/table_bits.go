package terminology

import (
	"encoding/binary"
	"errors"
	mathbits "math/bits"
)

func newBits(n int) bits { return make(bits, (n+63)/64) }

// and leaves in b what is in c, too.
func (b bits) and(c bits) {
	for i := range b {
		b[i] &= c[i]
	}
}

// or adds what is in c.
func (b bits) or(c bits) {
	for i := range b {
		b[i] |= c[i]
	}
}

// negate turns b, of n concepts, into its complement.
func (b bits) negate(n int) {
	for i := range b {
		b[i] = ^b[i]
	}
	if n&63 != 0 {
		b[len(b)-1] &= 1<<(n&63) - 1
	}
}

func (b bits) count() int {
	n := 0
	for _, w := range b {
		n += mathbits.OnesCount64(w)
	}
	return n
}

// page returns the members of b from the one at offset on, at most count of them if
// it is not negative.
func (b bits) page(offset, count int) []int32 {
	var page []int32
	for i, w := range b {
		if n := mathbits.OnesCount64(w); offset >= n {
			offset -= n
			continue
		}
		for ; w != 0; w &= w - 1 {
			if offset > 0 {
				offset--
				continue
			}
			if count >= 0 && len(page) >= count {
				return page
			}
			page = append(page, int32(i<<6+mathbits.TrailingZeros64(w)))
		}
	}
	return page
}

// errMembers means that what a row of terminology_set has is no set of its system.
var errMembers = errors.New("the members of a set cannot be read")

// merge adds members as terminology_set has them: varints, each less the one before.
func (b bits) merge(members []byte) error {
	at := -1
	for len(members) > 0 {
		d, n := binary.Uvarint(members)
		if n <= 0 || d == 0 || d > uint64(len(b)*64-1-at) {
			return errMembers
		}
		at += int(d)
		b.add(int32(at))
		members = members[n:]
	}
	return nil
}

// A posting is a set that is being written: its ordinals come in ascending order.
type posting struct {
	members []byte
	last    int // plus one
	size    int
	value   string // of a property, when it is not the key
}

// add adds an ordinal, which may be the last one again.
func (p *posting) add(ordinal int32) {
	next := int(ordinal) + 1
	if p.last == next {
		return
	}
	p.members = binary.AppendUvarint(p.members, uint64(next-p.last))
	p.last = next
	p.size++
}
