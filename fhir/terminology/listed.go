package terminology

import (
	"context"
	"strings"
)

// A listed code system is kept in memory.
type listed struct {
	h       header
	all     []concept        // in the order of the code system
	exact   map[string]int32 // index by code
	folded  map[string]int32 // by code in lower case; nil when case matters
	up      [][]int32        // parents by index
	down    [][]int32        // children
	allowed map[string]bool  // properties that can be asked for, beside those of every code system
	large   bool             // it has more than are kept here, and so none
}

func (l *listed) head() *header { return &l.h }

// find returns the index of a code, in any case unless case matters.
func (l *listed) find(code string) (int32, bool) {
	if i, ok := l.exact[code]; ok {
		return i, true
	}
	if l.folded == nil {
		return 0, false
	}
	i, ok := l.folded[strings.ToLower(code)]
	return i, ok
}

func (l *listed) concept(_ context.Context, code string) (*concept, error) {
	if i, ok := l.find(code); ok {
		return &l.all[i], nil
	}
	return nil, nil
}

func (l *listed) subsumes(_ context.Context, ancestor, descendant string) (bool, error) {
	a, ok := l.find(ancestor)
	if !ok {
		return false, nil
	}
	d, ok := l.find(descendant)
	return ok && l.reach(d, l.up).has(a), nil
}

func (l *listed) holds(_ context.Context, code string, all []filter) (bool, error) {
	i, ok := l.find(code)
	if !ok {
		return false, nil
	}
	test, err := l.test(all)
	return err == nil && test(i), err
}

func (l *listed) pick(_ context.Context, s selection) ([]concept, int, error) {
	test, err := l.test(s.filters)
	if err != nil {
		return nil, 0, err
	}
	var found []concept
	total, text := 0, wordsOf(s.text)
	for _, i := range l.among(s.codes) {
		c := &l.all[i]
		if s.active && c.inactive || !test(i) || !text.match(c) {
			continue
		}
		if total >= s.offset && (s.count < 0 || len(found) < s.count) {
			found = append(found, *c)
		}
		total++
	}
	return found, total, nil
}

// among returns the indexes of codes, or all for nil.
func (l *listed) among(codes []string) []int32 {
	if codes != nil {
		found := make([]int32, 0, len(codes))
		for _, code := range codes {
			if i, ok := l.find(code); ok {
				found = append(found, i)
			}
		}
		return found
	}
	found := make([]int32, len(l.all))
	for i := range found {
		found[i] = int32(i)
	}
	return found
}

// A bits is a set of indexes.
type bits []uint64

func (b bits) has(i int32) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (b bits) add(i int32) { b[i>>6] |= 1 << (i & 63) }

// reach returns what can be reached from i along edges, with i. A cycle ends where
// it began.
func (l *listed) reach(i int32, edges [][]int32) bits {
	seen := newBits(len(l.all))
	seen.add(i)
	for next := []int32{i}; len(next) > 0; {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		for _, to := range edges[at] {
			if !seen.has(to) {
				seen.add(to)
				next = append(next, to)
			}
		}
	}
	return seen
}
