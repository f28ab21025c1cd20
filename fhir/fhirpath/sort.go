package fhirpath

import "slices"

// A sortKey is one of the keys of an item that is sorted.
type sortKey struct {
	item  Item
	empty bool
}

// sort orders the input by its items, or by keys, each of which a minus sign
// reverses. What has no key comes first in any case. https://hl7.org/fhirpath/#sort
func sort(v invocation, dst Collection) (Collection, error) {
	keys := make([][]sortKey, len(v.in))
	for k := range max(1, len(v.args)) {
		if err := v.keys(k, keys); err != nil {
			return dst, err
		}
	}
	order := make([]int, len(v.in))
	for n := range order {
		order[n] = n
	}
	var failure error
	slices.SortStableFunc(order, func(a, b int) int {
		c, err := v.before(keys[a], keys[b])
		if err != nil {
			failure = err
		}
		return c
	})
	for _, n := range order {
		dst = append(dst, v.in[n])
	}
	return dst, failure
}

// keys appends the k-th key of every item.
func (v invocation) keys(k int, keys [][]sortKey) error {
	if len(v.args) == 0 {
		for n, i := range v.in {
			keys[n] = append(keys[n], sortKey{item: i})
		}
		return nil
	}
	key := v
	arg := v.args[k]
	if sign, ok := arg.(*polarity); ok {
		arg = sign.input
	}
	key.call = &call{at: v.at, name: v.name, args: []expr{arg}}
	n := 0
	return key.each(0, func(_ Item, result Collection) (bool, error) {
		i, err := v.one(result)
		if i == nil {
			keys[n] = append(keys[n], sortKey{empty: true})
		} else {
			keys[n] = append(keys[n], sortKey{item: *i})
		}
		n++
		return true, err
	})
}

func (v invocation) before(a, b []sortKey) (int, error) {
	if err := v.step(1); err != nil {
		return 0, err
	}
	for k := range a {
		switch {
		case a[k].empty && b[k].empty:
			continue
		case a[k].empty:
			return -1, nil
		case b[k].empty:
			return 1, nil
		}
		c, _, err := v.compare(a[k].item, b[k].item)
		if c == 0 && err == nil {
			continue
		}
		if v.descending(k) {
			c = -c
		}
		return c, at(err, v.at)
	}
	return 0, nil
}

// descending reports whether the k-th key has a minus sign.
func (v invocation) descending(k int) bool {
	if k >= len(v.args) {
		return false
	}
	sign, ok := v.args[k].(*polarity)
	return ok && sign.negative
}
