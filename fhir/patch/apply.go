package patch

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// add gives the element n the child that x names.
func (e *editor) add(x *edit, n fhir.Node) error {
	e.stale = true
	return e.given.fill(e.within(n), n.Type(), x.name, x.parts["value"])
}

// replace puts the value of x in the place of the element n.
func (e *editor) replace(x *edit, n fhir.Node) error {
	name := n.Element().Name
	if !x.parts["value"].Child("part").IsZero() {
		name = n.Property() // parts do not say of which type they are; the element does
	}
	p, v, err := e.given.value(n.Parent().Type(), name, x.parts["value"])
	if err != nil {
		return err
	}
	e.stale = true
	object := e.object(n.Parent())
	rename(object, n.Property(), p.Name)
	l := listOf(object, p)
	l.pairs[max(n.Index(), 0)] = v
	l.store()
	return nil
}

// remove takes the element n out, and with it what is left empty around it.
func (e *editor) remove(n fhir.Node) {
	for {
		parent := n.Parent()
		object := e.object(parent)
		l := listOf(object, propertyOf(n))
		i := max(n.Index(), 0)
		l.pairs = slices.Delete(l.pairs, i, i+1)
		l.store()
		if len(object.members()) > 0 {
			return
		}
		n = parent
		if n.HasValue() && n.Type().Kind == spec.KindPrimitive {
			e.setExtra(n, node{})
			return
		}
	}
}

// arrange applies an edit of the list that the nodes are.
func (e *editor) arrange(x *edit, nodes []fhir.Node) error {
	l, err := e.list(x, nodes)
	if err != nil {
		return err
	}
	if x.verb == "insert" {
		return e.insert(x, nodes[0], l)
	}
	for _, name := range []string{"source", "destination"} {
		if x.numbers[name] >= len(l.pairs) {
			return x.refuse(name, "The list has no such place; read the resource again")
		}
	}
	from, to := x.numbers["source"], x.numbers["destination"]
	moved := l.pairs[from]
	l.pairs = slices.Insert(slices.Delete(l.pairs, from, from+1), to, moved)
	l.store()
	e.stale = true
	return nil
}

func (e *editor) insert(x *edit, n fhir.Node, l list) error {
	i := x.numbers["index"]
	if i > len(l.pairs) {
		return x.refuse("index", "The list has fewer elements than that; add puts one at its end")
	}
	_, v, err := e.given.value(n.Parent().Type(), n.Element().Name, x.parts["value"])
	if err != nil {
		return err
	}
	l.pairs = slices.Insert(l.pairs, i, v)
	l.store()
	e.stale = true
	return nil
}

// list returns the list that the nodes are all the elements of, in order.
func (e *editor) list(x *edit, nodes []fhir.Node) (list, error) {
	if len(nodes) == 0 {
		return list{}, x.refuse("path", "There is no list at this path; add makes one, read the resource again")
	}
	first := nodes[0]
	if first.Index() < 0 {
		return list{}, x.refuse("path", "This path leads to an element that does not repeat; %s needs a list", x.verb)
	}
	for i, n := range nodes {
		if n.Index() != i || n.Parent() != first.Parent() || n.Element() != first.Element() {
			return list{}, x.refuse("path", "This path leads to elements that are no list; name one list as a whole, without choosing among its elements")
		}
	}
	l := listOf(e.object(first.Parent()), propertyOf(first))
	if len(l.pairs) != len(nodes) {
		return list{}, x.refuse("path", "This path leads to some elements of a list only; name the list as a whole, without choosing among its elements")
	}
	return l, nil
}
