package fhirpath

import (
	"hash/maphash"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
)

// A set collects items that differ from one another, in the order they come.
type set struct {
	run     *run
	all     Collection       // what was there before, then the items
	start   int              // where the items begin
	buckets map[uint64][]int // indexes of the items by hash, once there are many
}

// few is the number of items up to which comparing them all is cheapest.
const few = 8

// newSet returns a set that appends its items to dst.
func (r *run) newSet(dst Collection) *set { return &set{run: r, all: dst, start: len(dst)} }

// add adds i unless it is there, and says whether it did.
func (s *set) add(i Item) (bool, error) {
	found, hash, err := s.find(i)
	if err != nil || found {
		return false, err
	}
	if s.buckets != nil {
		s.buckets[hash] = append(s.buckets[hash], len(s.all))
	}
	s.all = append(s.all, i)
	return true, s.run.room(s.all[s.start:])
}

func (s *set) addAll(c Collection) error {
	for _, i := range c {
		if _, err := s.add(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *set) find(i Item) (found bool, hash uint64, err error) {
	items := s.all[s.start:]
	if len(items) <= few {
		found, err = s.run.contains(items, i)
		return found, 0, err
	}
	if s.buckets == nil {
		s.buckets = make(map[uint64][]int, 2*len(items))
		for k, item := range items {
			h := s.run.hash(item)
			s.buckets[h] = append(s.buckets[h], s.start+k)
		}
	}
	hash = s.run.hash(i)
	if err := s.run.step(1); err != nil {
		return false, hash, err
	}
	for _, k := range s.buckets[hash] {
		t, err := s.run.equal(s.all[k], i)
		if err != nil || t == yes {
			return t == yes, hash, err
		}
	}
	return false, hash, nil
}

// contains reports whether c has an item that equals i.
func (r *run) contains(c Collection, i Item) (bool, error) {
	for _, other := range c {
		t, err := r.equal(other, i)
		if err != nil || t == yes {
			return t == yes, err
		}
	}
	return false, nil
}

// hash returns the same number for items that are equal.
func (r *run) hash(i Item) uint64 {
	if !r.seeded {
		r.seed, r.seeded = maphash.MakeSeed(), true
	}
	if v := i.system(); v != nil {
		return r.hashValue(v)
	}
	return r.hashNode(i.node)
}

func (r *run) hashValue(v any) uint64 {
	switch v := v.(type) {
	case string:
		r.steps -= len(v) >> 8
		return maphash.String(r.seed, v)
	case bool, typeName, stub:
		return maphash.Comparable(r.seed, v)
	case moment:
		at := v.at
		if v.zoned {
			at = at.UTC()
		}
		y, m, d := at.Date()
		return maphash.Comparable(r.seed, [...]int{y, int(m) * int(min(1, v.known/monthly)), d * int(min(1, v.known/daily)), int(at.Sub(at.Truncate(24 * time.Hour)))})
	}
	if d, ok := toDecimal(v); ok {
		return r.hashNumber(d, "1")
	}
	q, _ := toQuantity(v)
	if isVariable(q) {
		return r.hashNumber(months(q), "month")
	}
	if d, unit, ok := q.canonical(); ok {
		return r.hashNumber(d, unit)
	}
	return r.hashNumber(q.value, q.unit)
}

// hashNumber is for quantities too, since 1 equals 1 '1'.
func (r *run) hashNumber(d *apd.Decimal, unit string) uint64 {
	reduced := new(apd.Decimal)
	reduced.Reduce(d)
	return maphash.String(r.seed, reduced.String()+" "+unit)
}

// hashNode adds up the hashes of the children, since their order is free.
func (r *run) hashNode(n fhir.Node) uint64 {
	var sum uint64
	for c := range n.Children() {
		r.steps--
		sum += r.hash(NodeItem(c))*31 + maphash.String(r.seed, c.Name())*uint64(c.Index()+2)
	}
	return sum
}
