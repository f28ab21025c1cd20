package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A place is where the walk over a resource of one type stands: an element of a
// type, however deep. The places of a type make a tree, which all its parameters
// share.
type place struct {
	typ   *spec.Type
	elem  *spec.Element // nil at the root
	ref   spec.TypeRef
	next  [][]branch // by spec.Element.Order; nil where no walk goes on
	finds []find     // what is found here
}

// A branch leads to one place below.
type branch struct {
	only []guard
	to   *place
}

// A find says that the element at a place is a value of a parameter.
type find struct {
	param *Param
	is    string // only references to this type; empty for any
	truth string // the value is whether the child of this name is there and not false

	system  string            // of a code, when all have the same
	systems map[string]string // by code, when they differ

	parts []extractPart // of a composite
}

// below returns the place that h leads to for one type of element e, making it
// when it is not there.
func (p *place) below(e *spec.Element, ref spec.TypeRef, only []guard) *place {
	if p.next == nil {
		p.next = make([][]branch, len(p.typ.Elements))
	}
	branches := &p.next[e.Order]
	for _, b := range *branches {
		if b.to.typ == ref.Type && slices.Equal(b.only, only) {
			return b.to
		}
	}
	to := &place{typ: ref.Type, elem: e, ref: ref}
	*branches = append(*branches, branch{only, to})
	return to
}

// follow returns the places that hops lead to from p. It is not ok when a walk
// cannot follow, though FHIRPath may; no places mean that there are no such
// elements.
func (p *place) follow(hops []hop) (places []*place, ok bool) {
	places = []*place{p}
	single := true
	for _, h := range hops {
		var next []*place
		for _, at := range places {
			e := at.typ.Element(h.name)
			if at.typ.Kind == spec.KindResource && at.elem != nil {
				return nil, false // of a type that is not known yet
			}
			if e == nil {
				continue
			}
			indexed := len(h.only) > 0 && h.only[0].index > 0
			if indexed && !single {
				return nil, false // counts over several parents
			}
			single = single && (indexed || !e.Repeats())
			for _, ref := range e.Types {
				if h.as != "" && !isNamed(ref.Type, h.as) {
					continue
				}
				if !canGuard(ref.Type, h.only) {
					return nil, false
				}
				next = append(next, at.below(e, ref, h.only))
			}
		}
		places = next
	}
	return places, true
}

// isNamed reports whether t is what an expression calls name. Some of R4 write
// DateTime for dateTime.
func isNamed(t *spec.Type, name string) bool {
	return t.Is(name) || t.Kind == spec.KindPrimitive && strings.EqualFold(t.Name, name)
}

// canGuard reports whether the guards look at what cannot repeat.
func canGuard(t *spec.Type, only []guard) bool {
	for _, g := range only {
		if g.child == "" {
			continue
		}
		if e := t.Element(g.child); e == nil || e.Repeats() || len(e.Types) != 1 || e.Types[0].Type.Kind != spec.KindPrimitive {
			return false
		}
	}
	return true
}
