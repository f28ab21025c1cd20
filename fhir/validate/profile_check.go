package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A layer is one of the constraints that an element is held against at once, such as
// those of a slice, of the element that it is a slice of, and of the profile of its
// type. A quiet one is not reported, because somebody else does; it only says how to
// read the others.
type layer struct {
	*constraint
	quiet bool
}

// element holds n against layers, the most specific first, and so what is in it.
func (c *conformer) element(n fhir.Node, layers []layer) {
	if !c.step() {
		return
	}
	layers = c.extend(n, layers)
	for _, l := range layers {
		if !l.quiet {
			c.value(n, l.constraint)
		}
	}
	for i, l := range layers {
		for _, k := range l.children {
			if !named(layers[:i], k.name) {
				c.children(n, k.name, layers)
			}
		}
	}
}

// named reports whether one of layers has a constraint on the element of that name.
func named(layers []layer, name string) bool {
	return slices.ContainsFunc(layers, func(l layer) bool { return l.child(name) != nil })
}

// children holds the elements of n that are named name against what layers say of them.
func (c *conformer) children(n fhir.Node, name string, layers []layer) {
	if !c.step() {
		return
	}
	below := make([]layer, 0, len(layers))
	for _, l := range layers {
		if k := l.child(name); k != nil {
			below = append(below, layer{k, l.quiet})
		}
	}
	var nodes []fhir.Node
	for child := range n.Each(name) {
		nodes = append(nodes, child)
	}
	c.group(n, nodes, below, nil)
}

// group holds the values of an element or slice against its own layers, and those of
// what it is a slice of, which have been counted already.
func (c *conformer) group(parent fhir.Node, nodes []fhir.Node, own, whole []layer) {
	c.count(parent, nodes, own)
	all := own
	if len(whole) > 0 {
		all = append(own[:len(own):len(own)], whole...)
	}
	for _, n := range c.divide(parent, nodes, own, all) {
		c.element(n, all)
	}
}

// count holds the number of nodes against the strictest min and max.
func (c *conformer) count(parent fhir.Node, nodes []fhir.Node, layers []layer) {
	var least, most *constraint
	for _, l := range layers {
		if l.quiet {
			continue
		}
		if l.min > 0 && (least == nil || l.min > least.min) {
			least = l.constraint
		}
		if l.max >= 0 && (most == nil || l.max < most.max) {
			most = l.constraint
		}
	}
	if least != nil && len(nodes) < least.min {
		c.tooFew(parent, least, len(nodes))
	}
	if most != nil && len(nodes) > most.max {
		c.tooMany(nodes[most.max], most)
	}
}

func (c *conformer) tooFew(parent fhir.Node, k *constraint, have int) {
	if c.trials > 0 {
		c.failed = true
		return
	}
	is := fhir.At(parent)
	is.Expression += "." + k.name
	is.Code, is.Detail, is.Rule = fhir.Required, "cardinality-min", k.rule
	is.Text = fmt.Sprintf("Give %s: the profile demands at least %d, and there are %d.", k.label(), k.min, have)
	if k.slice != "" {
		is.Detail = "slice-min"
		is.Text = fmt.Sprintf("Give %s: the profile demands at least %d of this slice, and there are %d.", k.label(), k.min, have)
	}
	c.add(is)
}

func (c *conformer) tooMany(n fhir.Node, k *constraint) {
	detail, text := "cardinality-max", fmt.Sprintf("Leave some of %s out: the profile allows %d at most.", k.label(), k.max)
	if k.max == 0 {
		text = fmt.Sprintf("Leave %s out: the profile does not allow it.", k.label())
	}
	if k.slice != "" {
		detail = "slice-max"
	}
	c.broken(n, k, detail, text)
}

// divide gives each of nodes to its slice, holds the slices against their constraints,
// and returns what is in none.
func (c *conformer) divide(parent fhir.Node, nodes []fhir.Node, own, all []layer) []fhir.Node {
	parts := partsOf(own)
	if len(parts) == 0 {
		return nodes
	}
	rule := slicingOf(own, all)
	if rule == nil || !c.steps(len(parts)) {
		return nodes
	}
	members := make([][]fhir.Node, len(parts))
	var rest []fhir.Node
	order := sequence{rule: rule}
	for _, n := range nodes {
		i := c.partOf(n, parts, rule)
		if i < 0 {
			rest = append(rest, n)
			order.stray()
			continue
		}
		c.order(n, parts[i][0].constraint, &order, i)
		members[i] = append(members[i], n)
	}
	for i, p := range parts {
		if p[0].slice == "@default" {
			members[i], rest = rest, nil
		}
		if len(members[i]) == 0 && p[0].slice != "@default" && !c.isTellable(p, rule) {
			continue
		}
		c.group(parent, members[i], p, all)
	}
	c.outsiders(rest, own, rule)
	return rest
}

// outside is the place of what is in no slice, after all slices.
const outside = 1 << 30

// A sequence is what is known of the places of slices so far.
type sequence struct {
	rule *slicing
	last int
}

// stray notes a value that is in no slice.
func (s *sequence) stray() {
	if s.rule.atEnd {
		s.last = outside
	}
}

// order sees to it that slices come in their order, and what is in none at the end,
// where that is demanded. n is in k, the slice at a place.
func (c *conformer) order(n fhir.Node, k *constraint, s *sequence, place int) {
	switch {
	case s.last == outside:
		c.broken(n, k, "slice-order", "Put "+k.label()+" before what is in no slice.")
	case s.rule.ordered && place < s.last:
		c.broken(n, k, "slice-order", "Bring the slices into the order of the profile: "+k.label()+" comes too late.")
	}
	s.last = max(s.last, place)
}

// outsiders refuses what is in no slice where it has to be in one.
func (c *conformer) outsiders(rest []fhir.Node, own []layer, rule *slicing) {
	k := own[0].constraint
	for _, n := range rest {
		switch {
		case own[0].quiet:
		case rule.closed && rule.isByType():
			c.broken(n, k, "type-not-allowed", "Choose another type for "+k.name+": the profile does not allow "+n.Type().Name+" here.")
		case rule.closed:
			c.broken(n, k, "slice-closed", "Leave this "+k.label()+" out, or make it one of the slices of the profile: others are not allowed.")
		case k.shape.extension != nil && isStray(n):
			c.broken(n, k, "extension-unknown-part", "Choose a part that the definition of the extension has: there is none with this url.")
		}
	}
}

// isStray reports whether n is a part of a complex extension that its definition does
// not have: one with a URL of its own may be added by anybody.
func isStray(n fhir.Node) bool {
	return n.Name() == "extension" && n.Parent().Type().Name == "Extension" && !strings.Contains(n.Child("url").Text(), ":")
}
