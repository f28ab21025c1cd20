package fhir

import (
	"iter"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A tree is a decoded resource: nodes in an arena, the root first. A node points
// at its value in src and at its neighbours by index, where 0 means none, since
// the root is nobody's child or sibling.
type tree struct {
	src    []byte
	nodes  []node
	from   atomic.Pointer[origin] // what the client sent; nil for src itself
	offset int                    // of src in the JSON of it
	before *tree                  // with the places of the same nodes, when values have been changed since
}

type node struct {
	prop   *spec.Property // nil for the root
	typ    *spec.Type     // of the value: the concrete type where the definition says Resource
	lo, hi uint32         // the value in src; equal when there is only an id or extensions, both 0 for a null
	parent int32
	first  int32
	last   int32
	next   int32
	index  int32 // position in its array, -1 when the element does not repeat
}

// isGap reports whether neither a value nor a companion was given for n.
func (n *node) isGap() bool { return n.hi == 0 }

// A Node is one element of a decoded resource: the resource itself, an element
// with children, or a primitive value with its id and extensions. Repetitions
// are siblings. Nodes are cheap values; the zero Node is no element.
type Node struct {
	tree *tree
	i    int32
}

// IsZero reports whether n is no element.
func (n Node) IsZero() bool { return n.tree == nil }

func (n Node) at() *node { return &n.tree.nodes[n.i] }

// Type returns the definition of n's type: the concrete variant for a choice,
// the concrete resource type for a contained resource.
func (n Node) Type() *spec.Type { return n.at().typ }

// Element returns the definition of n as an element, nil for a resource that is
// the root.
func (n Node) Element() *spec.Element {
	if p := n.at().prop; p != nil {
		return p.Element
	}
	return nil
}

// Name returns the name of the element, "value" for value[x], and the resource
// type for the root.
func (n Node) Name() string {
	if e := n.Element(); e != nil {
		return e.Name
	}
	return n.at().typ.Name
}

// Property returns the JSON name of n, "valueQuantity", and the resource type
// for the root.
func (n Node) Property() string {
	switch p := n.at().prop; {
	case p == nil:
		return n.at().typ.Name
	case p.Companion:
		return p.Name[1:]
	default:
		return p.Name
	}
}

// Targets returns the resource types that n, a Reference, may point to; nil is
// any.
func (n Node) Targets() []string {
	if p := n.at().prop; p != nil {
		return p.Targets
	}
	return nil
}

// Index returns n's position in its array, or -1 when the element does not
// repeat.
func (n Node) Index() int { return int(n.at().index) }

// Raw returns the JSON text of n's value, as it was sent, in memory shared with
// the resource. It is empty for a primitive that has only an id or extensions,
// and for the zero Node.
func (n Node) Raw() []byte {
	if n.IsZero() {
		return nil
	}
	return n.tree.src[n.at().lo:n.at().hi]
}

// HasValue reports whether n has a value: always true for what is not primitive,
// false for the zero Node.
func (n Node) HasValue() bool { return len(n.Raw()) > 0 }

// Text returns the value of a primitive: the characters of a string, the digits
// of a number as they were written, "true" or "false". It is empty without one,
// and for the zero Node.
func (n Node) Text() string {
	raw := n.Raw()
	if len(raw) < 2 || raw[0] != '"' {
		return string(raw)
	}
	raw = raw[1 : len(raw)-1]
	if !strings.Contains(string(raw), `\`) {
		return string(raw)
	}
	return string(unescape(make([]byte, 0, len(raw)), raw))
}

// Parent returns the element that n is in; the zero Node for the root.
func (n Node) Parent() Node {
	if n.i == 0 {
		return Node{}
	}
	return Node{n.tree, n.at().parent}
}

// Children returns the children of n in the order they were sent. Those of a
// primitive are its id and extensions.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.IsZero() {
			return
		}
		for c := n.at().first; c != 0; c = n.tree.nodes[c].next {
			if !yield(Node{n.tree, c}) {
				return
			}
		}
	}
}

// Each returns the children of n whose element is named name, "value" for
// value[x].
func (n Node) Each(name string) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for c := range n.Children() {
			if c.Name() == name && !yield(c) {
				return
			}
		}
	}
}

// Child returns the first child of n whose element is named name, or the zero
// Node. It may be called on the zero Node.
func (n Node) Child(name string) Node {
	for c := range n.Each(name) {
		return c
	}
	return Node{}
}

// Path returns the FHIRPath of n from its root: "Patient.name[0].given[1]".
func (n Node) Path() string { return string(n.tree.appendPath(nil, n.i)) }

func (t *tree) appendPath(dst []byte, i int32) []byte {
	n := &t.nodes[i]
	if n.prop == nil {
		return append(dst, n.typ.Name...)
	}
	dst = append(t.appendPath(dst, n.parent), '.')
	dst = append(dst, n.prop.Element.Name...)
	if n.index >= 0 {
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(n.index), 10)
		dst = append(dst, ']')
	}
	return dst
}

// Extension returns the first extension of n with a URL, or of a complex extension the
// part with a name; the zero Node when there is none.
func (n Node) Extension(url string) Node {
	for x := range n.Each("extension") {
		if x.Child("url").Text() == url {
			return x
		}
	}
	return Node{}
}
