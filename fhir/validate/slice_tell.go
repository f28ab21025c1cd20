package validate

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// partOf returns which of parts n is in, -1 when in none.
func (c *conformer) partOf(n fhir.Node, parts [][]layer, rule *slicing) int {
	for i, p := range parts {
		if p[0].slice != "@default" && c.isIn(n, p, rule) {
			return i
		}
	}
	return -1
}

// isIn reports whether n is in a slice, which it is if all discriminators say so.
func (c *conformer) isIn(n fhir.Node, part []layer, rule *slicing) bool {
	for _, d := range rule.by {
		if !c.step() || !c.tells(n, part, d) {
			return false
		}
	}
	return true
}

// tells reports whether a discriminator says that n is in a slice.
func (c *conformer) tells(n fhir.Node, part []layer, d discriminator) bool {
	if d.kind == "value" && len(d.path) == 1 && d.path[0].name == "url" && n.Type().Name == "Extension" {
		return isExtension(n.Child("url").Text(), part)
	}
	there := c.follow([]spot{{node: n, typ: n.Type()}}, d.path)
	wanted := c.lead(expectation{rules: constraintsOf(part)}, d.path)
	switch d.kind {
	case "exists":
		return existence(wanted.rules, len(there) > 0)
	case "type":
		return slices.ContainsFunc(there, func(s spot) bool { return isOfTypes(s, wanted.rules) })
	case "profile":
		return slices.ContainsFunc(there, func(s spot) bool { return c.hasProfile(s, wanted.rules) })
	}
	return slices.ContainsFunc(there, func(s spot) bool { return c.meets(s.node, wanted) })
}

func constraintsOf(layers []layer) []*constraint {
	all := make([]*constraint, len(layers))
	for i, l := range layers {
		all[i] = l.constraint
	}
	return all
}

// isTellable reports whether a slice says what tells it apart. It does not when it is
// one of an extension whose definition is not known.
func (c *conformer) isTellable(part []layer, rule *slicing) bool {
	for _, d := range rule.by {
		wanted := c.lead(expectation{rules: constraintsOf(part)}, d.path)
		if len(wanted.constants) == 0 && !slices.ContainsFunc(wanted.rules, func(k *constraint) bool { return k.tells(d.kind) }) && !isURL(part, d) {
			return false
		}
	}
	return true
}

// tells reports whether k, at the end of the path of a discriminator of that kind, tells
// a slice apart.
func (k *constraint) tells(kind string) bool {
	switch kind {
	case "exists":
		return k.max == 0 || k.min > 0
	case "type", "profile":
		return len(k.types) > 0 || k.up == nil
	}
	return k.telling
}

// isURL reports whether d is the url of extensions and part names theirs.
func isURL(part []layer, d discriminator) bool {
	named := func(l layer) bool { return len(l.types) > 0 && len(l.types[0].profiles) > 0 }
	return len(d.path) == 1 && d.path[0].name == "url" && slices.ContainsFunc(part, named)
}

// isExtension reports whether a slice is that of the extensions with a url.
func isExtension(url string, part []layer) bool {
	for _, l := range part {
		if k := l.child("url"); k != nil && !k.fixed.IsZero() && k.fixed.Text() == url {
			return true
		}
		for _, t := range l.types {
			for _, p := range t.profiles {
				if p, _, _ = strings.Cut(p, "|"); p == url {
					return true
				}
			}
		}
	}
	return false
}

func existence(rules []*constraint, have bool) bool {
	for _, k := range rules {
		switch {
		case k.max == 0:
			return !have
		case k.min > 0:
			return have
		}
	}
	return false
}

func isOfTypes(s spot, rules []*constraint) bool {
	for _, k := range rules {
		for _, t := range k.types {
			if isA(s.typ, t.name) {
				return true
			}
		}
		if k.up == nil && s.typ.Is(k.shape.typ.Name) {
			return true
		}
	}
	return false
}

// hasProfile reports whether s conforms to a profile that rules demand. Of what was not
// loaded only the type is known.
func (c *conformer) hasProfile(s spot, rules []*constraint) bool {
	for _, k := range rules {
		roots := c.roots(k)
		if k.up == nil {
			roots = append(roots, k)
		}
		for _, r := range roots {
			if s.node.IsZero() && s.typ.Is(r.shape.typ.Name) || !s.node.IsZero() && c.attempt(s.node, r.shape) {
				return true
			}
		}
		if len(roots) == 0 && isOfTypes(s, []*constraint{k}) {
			return true
		}
	}
	return false
}

// meets reports whether n has the value that is wanted: fixed, a pattern, a code of a
// value set, or else the values that are wanted in it.
func (c *conformer) meets(n fhir.Node, wanted expectation) bool {
	if n.IsZero() {
		return false
	}
	constants := wanted.constants
	for _, k := range wanted.rules {
		constants = append(constants, k.constants()...)
	}
	if len(constants) > 0 {
		return slices.ContainsFunc(constants, func(k constant) bool { return c.matches(n, k) })
	}
	for _, k := range wanted.rules {
		if k.binding != nil && k.binding.required {
			return c.isMember(k.binding.valueSet, n) != terminology.Out
		}
	}
	for _, k := range wanted.rules {
		if k.telling {
			return c.resembles(n, k)
		}
	}
	return false
}

// mark notes in k and below whether values in it tell a slice apart from others.
func (k *constraint) mark() {
	k.telling = len(k.constants()) > 0 || k.binding != nil && k.binding.required
	for _, s := range k.slices {
		s.mark()
	}
	for _, child := range k.children {
		child.mark()
		k.telling = k.telling || child.telling || slices.ContainsFunc(child.slices, (*constraint).isWanted)
	}
}

// isWanted reports whether k, a slice, has to be there with values that tell it apart.
func (k *constraint) isWanted() bool { return k.telling && k.min > 0 }

// resembles reports whether n has all values that k wants of it and in it.
func (c *conformer) resembles(n fhir.Node, k *constraint) bool {
	if !c.step() {
		return false
	}
	for _, fixed := range k.constants() {
		if !c.matches(n, fixed) {
			return false
		}
	}
	if k.binding != nil && k.binding.required && c.isMember(k.binding.valueSet, n) == terminology.Out {
		return false
	}
	for _, child := range k.children {
		if child.telling && !c.any(n, child) {
			return false
		}
		for _, s := range child.slices {
			if s.isWanted() && !c.any(n, s) {
				return false
			}
		}
	}
	return true
}

func (c *conformer) any(n fhir.Node, want *constraint) bool {
	for child := range n.Each(want.name) {
		if c.resembles(child, want) {
			return true
		}
	}
	return false
}

// isMember asks terminology whether what n says is in a value set.
func (c *conformer) isMember(valueSet string, n fhir.Node) terminology.Result {
	codings := codingsOf(n)
	if len(codings) == 0 {
		return terminology.Out
	}
	return c.member(&binding{valueSet: valueSet}, codings)
}
