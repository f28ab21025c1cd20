package validate

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// refersTo returns the component that e takes its content from, "Questionnaire.item" for
// Questionnaire.item.item; empty for an element that has its own.
// https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.contentReference
func refersTo(e *spec.Element) string {
	if e == nil || len(e.Types) != 1 {
		return ""
	}
	if t := e.Types[0].Type; t.Kind == spec.KindBackbone && t.Name != e.Path {
		return t.Name
	}
	return ""
}

// content returns the constraint on the element that n takes its content from, which
// holds for n, too; nil when there is none.
func (k *constraint) content(n fhir.Node) *constraint {
	if target := refersTo(n.Element()); target != "" {
		return k.shape.at(target)
	}
	return nil
}

// at returns the constraint on an element by its path, nil when there is none.
func (s *shape) at(path string) *constraint {
	steps := strings.Split(path, ".")
	if s.root == nil || s.typ.Name != steps[0] {
		return nil
	}
	k := s.root
	for _, step := range steps[1:] {
		if k = k.child(step); k == nil {
			return nil
		}
	}
	return k
}

// refer adds constraints that say nothing themselves on the elements that take their
// content from one with constraints, so that they are not passed by.
func (c *compiler) refer() {
	if len(c.root.children) == 0 {
		return
	}
	for _, t := range spec.R4().Types() {
		if t.Kind != spec.KindBackbone || !strings.HasPrefix(t.Name, c.typ.Name+".") {
			continue
		}
		for _, e := range t.Elements {
			if target := refersTo(e); target != "" && c.at(target) != nil {
				c.reach(e.Path)
			}
		}
	}
}

// reach makes the constraint on the element with a path, which exists.
func (c *compiler) reach(path string) {
	k := c.root
	for step := range strings.SplitSeq(path[len(c.typ.Name)+1:], ".") {
		next := k.child(step)
		if next == nil {
			next = c.add(k, step, "")
			e, _ := k.element(step)
			next.kinds = kindsOf(e)
		}
		k = next
	}
}
