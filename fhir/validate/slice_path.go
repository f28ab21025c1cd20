package validate

import (
	"slices"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A spot is where the path of a discriminator leads to in a resource. The node is zero
// for a resource that was not loaded.
type spot struct {
	node fhir.Node
	typ  *spec.Type
}

// resolver is resolve() of FHIRPath.
var resolver = sync.OnceValue(func() *fhirpath.Expression {
	e, err := fhirpath.Compile("resolve()")
	if err != nil {
		panic(err)
	}
	return e
})

// follow returns what a path leads to.
func (c *conformer) follow(from []spot, path []hop) []spot {
	for _, h := range path {
		var next []spot
		for _, s := range from {
			next = c.hop(next, s, h)
		}
		from = next
	}
	return from
}

func (c *conformer) hop(dst []spot, s spot, h hop) []spot {
	switch h.kind {
	case hopType:
		if s.typ.Is(h.name) {
			dst = append(dst, s)
		}
	case hopChild:
		for child := range s.node.Each(h.name) {
			dst = append(dst, spot{child, child.Type()})
		}
	case hopExtension:
		for x := range s.node.Each("extension") {
			if x.Child("url").Text() == h.name {
				dst = append(dst, spot{x, x.Type()})
			}
		}
	case hopResolve:
		dst = append(dst, c.targets(s.node)...)
	}
	return dst
}

// targets returns what a reference points to.
func (c *conformer) targets(n fhir.Node) []spot {
	if n.IsZero() {
		return nil
	}
	found, err := resolver().EvaluateNode(n, c.expressions())
	if err != nil {
		return nil
	}
	var spots []spot
	for _, i := range found {
		if at, ok := i.Node(); ok {
			spots = append(spots, spot{at, at.Type()})
		} else if t := spec.R4().Resource(i.Type()); t != nil {
			spots = append(spots, spot{typ: t})
		}
	}
	return spots
}

// An expectation is what a slice says of the place that a path leads to: constraints,
// and the values there of fixed values and patterns further up.
type expectation struct {
	rules     []*constraint
	constants []constant
}

// lead returns what is expected where a path leads to.
func (c *conformer) lead(from expectation, path []hop) expectation {
	for _, h := range path {
		next := expectation{}
		for _, k := range from.rules {
			from.constants = append(from.constants, k.constants()...)
		}
		for _, k := range from.constants {
			next.constants = k.hop(next.constants, h)
		}
		for _, k := range from.rules {
			for _, r := range append([]*constraint{k}, c.roots(k)...) {
				next.rules = c.expect(next.rules, r, h)
			}
		}
		if from = next; len(from.rules) > maxConstraints || !c.steps(len(from.rules)+len(from.constants)) {
			return expectation{}
		}
	}
	return from
}

// expect appends the constraints that are one step from k.
func (c *conformer) expect(dst []*constraint, k *constraint, h hop) []*constraint {
	switch h.kind {
	case hopChild:
		if child := k.child(h.name); child != nil {
			dst = append(append(dst, child), child.slices...)
		}
	case hopExtension:
		if child := k.child("extension"); child != nil {
			for _, s := range child.slices {
				if isExtension(h.name, []layer{{constraint: s}}) {
					dst = append(dst, s)
				}
			}
		}
	case hopType:
		dst = append(dst, k)
		for _, s := range k.slices {
			if slices.ContainsFunc(s.types, func(t typeRule) bool { return t.name == h.name }) {
				dst = append(dst, s)
			}
		}
	case hopResolve:
		for _, t := range k.types {
			dst = append(dst, c.aims(t)...)
		}
	}
	return dst
}

// aims returns what is demanded of the targets of a reference.
func (c *conformer) aims(t typeRule) []*constraint {
	var all []*constraint
	for _, target := range t.targets {
		if base := baseType(target); base != nil {
			all = append(all, &constraint{min: unset, max: unset, types: []typeRule{{name: base.Name}}, up: &constraint{}})
			continue
		}
		if s := c.find(target); s != nil && s.root != nil {
			all = append(all, s.root)
		}
	}
	return all
}

// roots returns the profiles that k demands of its type.
func (c *conformer) roots(k *constraint) []*constraint {
	var all []*constraint
	for _, t := range k.types {
		for _, p := range t.profiles {
			if baseType(p) != nil {
				continue
			}
			if s := c.find(p); s != nil && s.root != nil {
				all = append(all, s.root)
			}
		}
	}
	return all
}

// find returns a profile, nil when it is not known.
func (c *conformer) find(canonical string) *shape {
	url, _, _ := strings.Cut(canonical, "#")
	s, err := c.shape(c.ctx, url)
	if err != nil && c.fault == nil {
		c.fault = err
	}
	return s
}
