package validate

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// extend holds the type of n against layers and returns them with those that follow
// from it: the profiles of the type, and what a content reference stands for.
func (c *conformer) extend(n fhir.Node, layers []layer) []layer {
	all := layers[:len(layers):len(layers)]
	for _, l := range layers {
		if t := c.typed(n, l); t != nil {
			all = c.profiled(n, l, t, all)
			if !l.quiet && len(t.targets) > 0 {
				c.aimed(n, l.constraint, t)
			}
		}
		if k := l.content(n); k != nil {
			all = append(all, layer{k, l.quiet})
		}
	}
	return all
}

// typed returns what l says of the type that n has, nil when it says nothing.
func (c *conformer) typed(n fhir.Node, l layer) *typeRule {
	if len(l.types) == 0 {
		return nil
	}
	i := slices.IndexFunc(l.types, func(t typeRule) bool { return isA(n.Type(), t.name) })
	if i >= 0 {
		return &l.types[i]
	}
	// An inline component has a type of its own, which no profile can name.
	if !l.quiet && n.Type().Kind != spec.KindBackbone {
		c.broken(n, l.constraint, "type-not-allowed", "Choose another type for "+l.label()+": the profile does not allow "+n.Type().Name+" here.")
	}
	return nil
}

// isA reports whether a value of type t may stand where a profile names a type. Only
// the abstract types stand for others: a valueUrl is no uri.
func isA(t *spec.Type, name string) bool {
	if t.Name == name {
		return true
	}
	wanted := spec.R4().Type(name)
	return wanted != nil && wanted.Abstract && t.Is(name)
}

// profiled appends the profile that n has to conform to by its type. Of several, one has
// to hold. Extensions are held against their definitions wherever they are, so here
// these are quiet.
func (c *conformer) profiled(n fhir.Node, l layer, t *typeRule, all []layer) []layer {
	if len(t.profiles) == 0 {
		return all
	}
	if len(t.profiles) == 1 {
		return c.entered(n, l, t.profiles[0], all)
	}
	if l.quiet {
		return all
	}
	for _, p := range t.profiles {
		if baseType(p) != nil {
			return all
		}
		if s := c.find(p); s == nil || c.attempt(n, s) {
			return all
		}
	}
	c.broken(n, l.constraint, "profile-none", "Make this conform to one of the profiles that are allowed here: "+clip(strings.Join(t.profiles, ", "))+".")
	return all
}

func (c *conformer) entered(n fhir.Node, l layer, profile string, all []layer) []layer {
	if baseType(profile) != nil {
		return all
	}
	s := c.find(profile)
	if s == nil {
		if c.Warnings && !l.quiet && n.Type().Name != "Extension" {
			c.missing(n, l.constraint, profile)
		}
		return all
	}
	same := func(o layer) bool { return o.constraint == s.root }
	if s.root == nil || slices.ContainsFunc(all, same) {
		return all
	}
	if !n.Type().Is(s.typ.Name) {
		return all
	}
	return append(all, layer{s.root, l.quiet || n.Type().Name == "Extension"})
}

func (c *conformer) missing(n fhir.Node, k *constraint, profile string) {
	is := fhir.At(n)
	is.Severity, is.Code, is.Detail, is.Rule = fhir.Warning, fhir.NotFound, "profile-unknown", k.rule
	is.Text = "Store the profile " + clip(profile) + ": it is not known here, so nothing was held against it."
	c.add(is)
}

// aimed holds what the reference n points to against the profiles that its targets have
// to conform to: its type if that can be seen, and all of it if it is contained or in
// the same Bundle.
func (c *conformer) aimed(n fhir.Node, k *constraint, t *typeRule) {
	target, ok := c.target(n)
	if !ok {
		return
	}
	fits := false
	for _, profile := range t.targets {
		if base := baseType(profile); base != nil {
			if target.typ.Is(base.Name) {
				return
			}
			continue
		}
		s := c.find(profile)
		if s == nil || s.root == nil {
			return
		}
		if !target.typ.Is(s.typ.Name) {
			continue
		}
		fits = true
		if target.node.IsZero() || c.attempt(target.node, s) {
			return
		}
	}
	if fits {
		c.broken(n, k, "target-profile", "Point to a resource that conforms to a profile that is allowed here: "+clip(strings.Join(t.targets, ", "))+".")
		return
	}
	c.broken(n, k, "target-not-allowed", "Point to another type of resource: the profile does not allow "+target.typ.Name+" here.")
}

// target returns what a reference points to, without loading it; it is not ok when its
// type cannot be seen.
func (c *conformer) target(n fhir.Node) (spot, bool) {
	if n.Type().Name != "Reference" {
		return spot{}, false
	}
	env := *c.expressions()
	env.Resolve = nil
	found, err := resolver().EvaluateNode(n, &env)
	if err != nil || len(found) != 1 {
		return spot{}, false
	}
	if at, ok := found[0].Node(); ok {
		return spot{at, at.Type()}, true
	}
	t := spec.R4().Resource(found[0].Type())
	return spot{typ: t}, t != nil
}
