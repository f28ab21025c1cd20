package fhir

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf8"
)

// An origin is the text that a client sent. It may be shared.
type origin struct {
	text  []byte // empty when it is not known, or nobody sent it
	marks []twin // of the XML in text, in the order of the JSON; nil when text is JSON
	once  sync.Once
	steps []cursor // one for every stride of text
}

// stride is how many bytes are read at most to find a place.
const stride = 4096

// A twin says that what the JSON has at one place comes from another in the XML.
type twin struct{ json, xml uint32 }

// sent returns where in text stands what the JSON has at pos.
func (o *origin) sent(pos int) int {
	if o.marks == nil {
		return pos
	}
	after, _ := slices.BinarySearchFunc(o.marks, uint32(pos), func(m twin, pos uint32) int {
		if m.json <= pos {
			return -1
		}
		return 1
	})
	if after == 0 {
		return 0
	}
	return int(o.marks[after-1].xml)
}

// place returns the line and column of a place in text. It reads all of text the
// first time only.
func (o *origin) place(pos int) (line, column int) {
	o.once.Do(func() {
		c := cursor{line: 1, column: 1}
		for at := 0; at < len(o.text); at += stride {
			c.move(o.text, at)
			o.steps = append(o.steps, c)
		}
	})
	c := o.steps[min(pos/stride, len(o.steps)-1)]
	c.move(o.text, pos)
	return c.line, c.column
}

// origin returns what t comes from.
func (t *tree) origin() *origin {
	if o := t.from.Load(); o != nil {
		return o
	}
	t.from.CompareAndSwap(nil, &origin{text: t.src})
	return t.from.Load()
}

// Position returns where n stands in what the client sent: the line from 1, and in
// it the character from 1. It is the beginning of n's value, where the eye looks for
// what is wrong; of a primitive that has none, the beginning of its id and
// extensions; in XML, that of the start tag, or of the attribute that n is. In a
// [Submission] it is that in the whole Bundle, and a [Resource] from [Relink] has
// the places that it had before. Both are 0 for the zero Node, and when the resource
// is not what was sent. The first call reads all that was sent, further ones little.
func (n Node) Position() (line, column int) {
	if n.IsZero() {
		return 0, 0
	}
	t := n.tree
	if t.before != nil {
		t = t.before
	}
	o := t.origin()
	if len(o.text) == 0 {
		return 0, 0
	}
	return o.place(o.sent(int(t.nodes[n.i].lo) + t.offset))
}

// At returns an Issue about n: an error with its Expression, Line and Column, and
// nothing else yet.
func At(n Node) Issue {
	line, column := n.Position()
	return Issue{Expression: n.Path(), Line: line, Column: column}
}

// Unplaced returns r for one whose JSON is not what a client sent, such as a stored
// one: its nodes have no position. It shares everything with r.
func (r *Resource) Unplaced() *Resource {
	unplaced := *r
	unplaced.tree = &tree{src: r.tree.src, nodes: r.tree.nodes}
	unplaced.tree.from.Store(&origin{})
	return &unplaced
}

// DecodeDerived reads JSON that the server has stored or made from what a client
// sent, such as a patched resource. It is [Decode] but for the positions, which
// would mislead: nodes and issues have none.
func DecodeDerived(typ string, src []byte) (*Resource, error) {
	r, err := Decode(typ, src)
	if err == nil {
		return r.Unplaced(), nil
	}
	if o := AsOutcome(err); o != nil {
		for i := range o.Issues {
			o.Issues[i].Line, o.Issues[i].Column = 0, 0
		}
	}
	return nil, err
}

// A cursor is a place in a text, in bytes, and in lines and characters.
type cursor struct{ pos, line, column int }

// move goes on to pos, or to the end of text if that comes first, or back to where the
// character there begins.
func (c *cursor) move(text []byte, pos int) {
	pos = min(pos, len(text))
	for pos < len(text) && pos > 0 && !utf8.RuneStart(text[pos]) {
		pos--
	}
	if pos <= c.pos {
		return
	}
	passed := text[c.pos:pos]
	c.pos = pos
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		c.line += bytes.Count(passed, []byte{'\n'})
		c.column = 1
		passed = passed[i+1:]
	}
	c.column += utf8.RuneCount(passed)
}
