package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/access"
)

// The steps of what can be the target of a gift. Gifts lead from lower steps to
// higher ones only, so they make no circles, and locks are taken in this order.
// The later two are the numbers of the kinds.
const (
	binaryStep = 1 + iota
	resourceStep
	recordStep
	partyStep
)

// step returns the step of a key as a target, 0 if it cannot be one.
func step(k access.Key) int64 {
	switch {
	case k.Kind == access.Itself && strings.HasPrefix(k.Of, "Binary/"):
		return binaryStep
	case k.Kind == access.Itself:
		return resourceStep
	case k.Kind == access.Record:
		return recordStep
	case k.Kind == access.Party && (strings.HasPrefix(k.Of, "PractitionerRole/") || strings.HasPrefix(k.Of, "HealthcareService/")):
		return partyStep
	}
	return 0
}

// targets returns the hashes of those of some own keys that others may give to, in
// the order of their steps.
func (s *secret) targets(own []access.Key) []int64 {
	var hashes []int64
	for _, k := range own {
		if step(k) > 0 {
			hashes = append(hashes, s.Access(k))
		}
	}
	slices.SortFunc(hashes, func(a, b int64) int { return cmp.Or(cmp.Compare(a&7, b&7), cmp.Compare(a, b)) })
	return hashes
}

// given are gifts as access_write takes them.
type given struct{ targets, keys, marks []byte }

// newly is the mark of a gift that may be given although the resource has not
// given it before.
const newly = 64

// given returns the gifts of r. One that could lead back to itself is an error.
func (s *secret) given(r *Row) (given, error) {
	n := len(r.Gifts)
	allowed := make(map[access.Gift]bool, len(r.Allowed))
	for _, gift := range r.Allowed {
		allowed[gift] = true
	}
	g := given{array(oidInt8, n), array(oidInt8, n), array(oidInt8, n)}
	for _, gift := range r.Gifts {
		from, to := step(gift.Target), step(gift.Key)
		if from == 0 || to > 0 && to <= from {
			return given{}, fmt.Errorf("a %s gives %v to what has %v: nothing can be given so", r.Key.Type, gift.Key, gift.Target)
		}
		mark := from | to<<3
		if allowed[gift] {
			mark |= newly
		}
		g.targets = appendInt8(g.targets, s.Access(gift.Target))
		g.keys = appendInt8(g.keys, s.Access(gift.Key))
		g.marks = appendInt8(g.marks, mark)
	}
	return g, nil
}
