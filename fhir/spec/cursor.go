package spec

import "strings"

// A cursor reads a digest from front to back. A read that the digest cannot
// satisfy sets bad and returns a zero value, so that only the end need look.
// It works on a string so that the string table needs no copy.
type cursor struct {
	s       string
	strings []string
	bad     bool
}

func (c *cursor) uint() int {
	var x uint64
	for i := 0; i < len(c.s) && i < 9; i++ {
		b := c.s[i]
		x |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.s = c.s[i+1:]
			return int(x)
		}
	}
	c.bad = true
	c.s = ""
	return 0
}

// count reads the length of a list. Every item takes a byte or more, so a length
// above what is left is damage, found before anything that long is allocated.
func (c *cursor) count() int {
	n := c.uint()
	if n > len(c.s) {
		c.bad = true
		return 0
	}
	return n
}

func (c *cursor) flag() bool { return c.uint() != 0 }

func (c *cursor) str() string { return at(c, c.strings, c.uint()) }

func (c *cursor) readStrings() {
	lengths := list(c, (*cursor).uint)
	total := 0
	for _, n := range lengths {
		if n > len(c.s)-total {
			c.bad = true
			return
		}
		total += n
	}
	table := strings.Clone(c.s[:total])
	c.s = c.s[total:]
	c.strings = make([]string, len(lengths))
	for i, n := range lengths {
		c.strings[i], table = table[:n], table[n:]
	}
}

// list reads a list of items; an empty one is nil.
func list[T any](c *cursor, item func(*cursor) T) []T {
	n := c.count()
	if n == 0 {
		return nil
	}
	s := make([]T, n)
	for i := range s {
		s[i] = item(c)
	}
	return s
}

func at[T any](c *cursor, s []T, i int) T {
	if p := index(c, s, i); p != nil {
		return *p
	}
	var zero T
	return zero
}

func pointerTo[T any](c *cursor, s []T) *T { return index(c, s, c.uint()) }

func index[T any](c *cursor, s []T, i int) *T {
	if i < 0 || i >= len(s) {
		c.bad = true
		return nil
	}
	return &s[i]
}
