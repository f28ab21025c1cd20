package patch

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A pair is the JSON of one element: its value and, for a primitive, the object
// with its id and extensions. What there is none of is absent.
// https://hl7.org/fhir/R4/json.html#primitive
type pair struct{ value, extra node }

// absent reports whether n is no value at all, not even null.
func (n *node) absent() bool { return n.raw == nil }

func emptyObject() node { return node{raw: []byte("{}"), open: true} }

func null() node { return node{raw: []byte("null")} }

// A list is what an object has under one name, in order: one pair at most when
// the element does not repeat. Changes count once they are stored.
type list struct {
	object  *node
	name    string
	repeats bool
	pairs   []pair
}

func listOf(object *node, p *spec.Property) list {
	l := list{object: object, name: p.Name, repeats: p.Element.Repeats()}
	values, extras := object.member(l.name), object.member("_"+l.name)
	if !l.repeats {
		if values == nil && extras == nil {
			return l
		}
		l.pairs = make([]pair, 1)
		if values != nil {
			l.pairs[0].value = *values
		}
		if extras != nil {
			l.pairs[0].extra = *extras
		}
		return l
	}
	l.pairs = make([]pair, max(length(values), length(extras)))
	for i := range length(values) {
		l.pairs[i].value = present(values.inside[i].value)
	}
	for i := range length(extras) {
		l.pairs[i].extra = present(extras.inside[i].value)
	}
	return l
}

// length returns how many elements an array has; nil has none.
func length(array *node) int {
	if array == nil {
		return 0
	}
	return len(array.members())
}

// present returns an element of an array, absent for the null that keeps a place.
func present(v node) node {
	if v.kind() == 'n' {
		return node{}
	}
	return v
}

// store makes the object say what is in l.
func (l list) store() {
	values := make([]node, len(l.pairs))
	extras := make([]node, len(l.pairs))
	for i, p := range l.pairs {
		values[i], extras[i] = p.value, p.extra
	}
	l.put(l.name, values)
	l.put("_"+l.name, extras)
}

// put sets one member of the object, or takes it out when all of it is absent.
func (l list) put(name string, values []node) {
	if !slices.ContainsFunc(values, func(v node) bool { return !v.absent() }) {
		if i := l.object.find(name); i >= 0 {
			l.object.inside = slices.Delete(l.object.inside, i, i+1)
		}
		return
	}
	if !l.repeats {
		set(l.object, name, values[0])
		return
	}
	set(l.object, name, array(values))
}

// array returns a JSON array, in which null stands for what is absent.
func array(values []node) node {
	inside := make([]member, len(values))
	for i, v := range values {
		if v.absent() {
			v = null()
		}
		inside[i].value = v
	}
	return node{raw: []byte("[]"), open: true, inside: inside}
}

// push puts p at the end of the array that object has under name, which it makes
// when there is none. Unlike store it does not walk through what is there.
func push(object *node, name string, p pair) {
	there := max(length(object.member(name)), length(object.member("_"+name)))
	pushTo(object, name, there, p.value)
	pushTo(object, "_"+name, there, p.extra)
}

func pushTo(object *node, name string, there int, v node) {
	a := object.member(name)
	if a == nil && v.absent() {
		return
	}
	if a == nil {
		set(object, name, array(make([]node, there)))
		a = object.member(name)
	}
	if v.absent() {
		v = null()
	}
	a.members()
	a.inside = append(a.inside, member{value: v})
}

// rename gives the object member of that name another one, and so for the member
// with its id and extensions. They stay where they are.
func rename(object *node, from, to string) {
	for _, prefix := range []string{"", "_"} {
		if i := object.find(prefix + from); from != to && i >= 0 {
			// The error is nil for the names of elements.
			object.inside[i].key, _ = jsontext.AppendQuote(nil, prefix+to)
		}
	}
}
