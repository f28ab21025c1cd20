package questionnaire

import (
	"github.com/openconsult/openconsult/fhir"
)

// A place is where items of a response stand beside each other: the response, a group or
// an answer. That of a group which was left out has no node.
type place struct {
	of      *item
	node    fhir.Node
	sent    fhir.Node // the same, or the nearest around it, in what was sent
	outer   *place    // nil for the response
	entry   *entry    // whose place it is; nil for the response and without a node
	entries []*entry  // in the order of the response
	slots   []slot    // by item.at
}

// A slot holds what answers one item in one place.
type slot struct {
	entries []*entry
	missing *place // inside the group, when it was left out
	enabled state
}

// A state says whether an item is enabled. It is perhaps when that depends on an
// expression which cannot be evaluated: then answers are welcome, but not required.
type state uint8

const (
	unasked state = iota
	yes
	perhaps
	no
)

// An entry is an item of a response.
type entry struct {
	item    *item // nil when the form has none for it
	fault   string
	node    fhir.Node
	sent    fhir.Node
	in      *place
	nth     int // of those for the item in the same place
	answers []answer
	inner   *place // of a group
}

// An answer is one answer of an entry.
type answer struct {
	node, sent fhir.Node
	value      fhir.Node // zero without a value
	inner      *place
}

// maxWork is how many items of the form are looked at, once for each place.
const maxWork = 2_000_000

// response arranges what answers the form.
func (c *checker) response(node, sent fhir.Node) {
	c.work = 0
	c.root = c.place(&place{of: c.form.root, node: node, sent: sent})
}

// place arranges the items in p. What was sent is followed side by side: it lacks what
// was filled in.
func (c *checker) place(p *place) *place {
	c.work += len(p.of.children) + 1
	if c.work > maxWork {
		return p
	}
	p.slots = make([]slot, len(p.of.children))
	sent := newSide(p.node, p.sent, "item")
	for n := range p.node.Each("item") {
		e := &entry{node: n, sent: sent.match(n), in: p}
		p.entries = append(p.entries, e)
		it := c.form.items[n.Child("linkId").Text()]
		switch {
		case it == nil:
			e.fault = "unknown-link-id"
			continue
		case it.parent != p.of:
			e.item, e.fault = it, "wrong-parent"
			continue
		}
		e.item, e.nth = it, len(p.slots[it.at].entries)
		p.slots[it.at].entries = append(p.slots[it.at].entries, e)
		c.fill(e)
	}
	return p
}

// fill arranges what is in an entry.
func (c *checker) fill(e *entry) {
	sent := newSide(e.node, e.sent, "answer")
	for n := range e.node.Each("answer") {
		a := answer{node: n, sent: sent.match(n), value: n.Child("value")}
		if !a.value.HasValue() {
			a.value = fhir.Node{}
		}
		if e.item.isQuestion() && (len(e.item.children) > 0 || !n.Child("item").IsZero()) {
			a.inner = c.place(&place{of: e.item, node: n, sent: a.sent, outer: e.in, entry: e})
		}
		e.answers = append(e.answers, a)
	}
	if e.item.isGroup() {
		e.inner = c.place(&place{of: e.item, node: e.node, sent: e.sent, outer: e.in, entry: e})
		return
	}
	below := newSide(e.node, e.sent, "item")
	for n := range e.node.Each("item") {
		stray := &entry{item: c.form.items[n.Child("linkId").Text()], fault: "wrong-parent", node: n, sent: below.match(n), in: e.in}
		if stray.item == nil {
			stray.fault = "unknown-link-id"
		}
		e.in.entries = append(e.in.entries, stray)
	}
}

// inside returns the place inside a group that was left out of p.
func (c *checker) inside(p *place, group *item) *place {
	s := &p.slots[group.at]
	if s.missing == nil {
		c.work += len(group.children) + 1
		s.missing = &place{of: group, sent: p.sent, outer: p, slots: make([]slot, len(group.children))}
	}
	return s.missing
}

// values returns how many answers of e have a value.
func (e *entry) values() int {
	n := 0
	for _, a := range e.answers {
		if !a.value.IsZero() {
			n++
		}
	}
	return n
}

// isAnswered reports whether there is an answer in e, at any depth, or an item that does
// not belong there.
func (e *entry) isAnswered() bool {
	if e.values() > 0 {
		return true
	}
	for _, a := range e.answers {
		if a.inner.isAnswered() {
			return true
		}
	}
	return e.inner.isAnswered()
}

func (p *place) isAnswered() bool {
	if p == nil {
		return false
	}
	for _, e := range p.entries {
		if e.fault != "" || e.isAnswered() {
			return true
		}
	}
	return false
}

// A side is what was sent in the place of what is checked.
type side struct {
	same  bool
	whole fhir.Node
	rest  []fhir.Node
}

func newSide(node, sent fhir.Node, name string) *side {
	s := &side{same: node == sent, whole: sent}
	if s.same {
		return s
	}
	for n := range sent.Each(name) {
		s.rest = append(s.rest, n)
	}
	return s
}

// match returns the node that was sent for the next one, or that of the place when it was
// filled in.
func (s *side) match(n fhir.Node) fhir.Node {
	if s.same {
		return n
	}
	if len(s.rest) == 0 || s.rest[0].Child("linkId").Text() != n.Child("linkId").Text() {
		return s.whole
	}
	n, s.rest = s.rest[0], s.rest[1:]
	return n
}
