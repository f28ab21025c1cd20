package questionnaire

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A step is one element of a path: "telecom:phone" is telecom with the slice phone.
type step struct{ name, slice string }

// An anchor is an element that a repetition of a group has made, and the path of the
// group.
type anchor struct {
	target *target
	steps  []step
	branch *branch // nil when it cannot be told which element the group is
}

// anchored is the slice of elements that belong to one group alone.
const anchored = "\x00"

// parseDefinition takes the path out of an item's definition,
// "http://hl7.org/fhir/StructureDefinition/Patient#Patient.name:official.given".
func parseDefinition(definition string) (typ string, steps []step) {
	path := definition[strings.LastIndexByte(definition, '#')+1:]
	for i, part := range strings.Split(path, ".") {
		name, slice, _ := strings.Cut(part, ":")
		if i == 0 {
			typ = name
			continue
		}
		steps = append(steps, step{name, slice})
	}
	return typ, steps
}

// start returns the branch of t that a path begins in, and what is left of the path.
// The branch is nil when it cannot be told.
func (t *target) start(steps []step, anchors []anchor) (*branch, []step) {
	b, rest := t.root, steps
	for _, a := range anchors {
		n := len(a.steps)
		if a.target == t && n < len(steps) && slices.EqualFunc(a.steps, steps[:n], func(x, y step) bool { return x.name == y.name }) {
			b, rest = a.branch, steps[n:]
		}
	}
	return b, rest
}

// anchor returns the anchors inside a group, which stands count times in its place.
func (e *extractor) anchor(n fhir.Node, p passage, count int) []anchor {
	typ, steps := parseDefinition(n.Child("definition").Text())
	t := p.target.of(typ)
	if t == nil || len(steps) == 0 {
		return p.anchors
	}
	b, rest := t.start(steps, p.anchors)
	for b != nil && len(rest) > 1 {
		b, rest = e.descend(n, b, rest[0]), rest[1:]
	}
	if b != nil {
		b = e.repetition(n, b, rest[0], count)
	}
	return append(slices.Clip(p.anchors), anchor{t, steps, b})
}

// repetition returns the element that one of count repetitions of a group is.
func (e *extractor) repetition(n fhir.Node, b *branch, s step, count int) *branch {
	p := e.property(n, b, s)
	if p == nil || !p.Element.Repeats() {
		return e.descend(n, b, s)
	}
	m, err := b.open(p)
	switch {
	case err != nil:
		e.err = err
		return nil
	case m.existing == 0:
		m.values = append(m.values, &piece{slice: anchored})
		return e.inside(m.values[len(m.values)-1], p.Type)
	case m.existing != count:
		e.warn(n, fhir.MultipleMatches, "repetition-ambiguous", "The resource has another number of these elements than the response: they stay as they are.")
		return nil
	}
	m.taken++
	return e.inside(m.values[(m.taken-1)%m.existing], p.Type)
}

// inside opens a value that has elements.
func (e *extractor) inside(p *piece, typ *spec.Type) *branch {
	b, err := p.enter(typ)
	if err != nil {
		e.err = err
		return nil
	}
	return b
}

// property returns the property of b that a step inside a path leads through, or nil.
func (e *extractor) property(n fhir.Node, b *branch, s step) *spec.Property {
	p := b.typ.Property([]byte(s.name))
	if strings.HasSuffix(s.name, "[x]") {
		p = b.typ.Property([]byte(s.slice))
	}
	passable := p != nil && !p.Companion && !p.Type.Abstract && p.Type.Name != "Extension" &&
		(p.Type.Kind == spec.KindComplex || p.Type.Kind == spec.KindBackbone)
	if passable {
		return p
	}
	e.warn(n, fhir.NotSupported, "path-unsupported", "R4 has no element %q with elements of its own at this path of %s: what is below is not extracted.", s.name, b.typ.Name)
	return nil
}

// descend returns the branch that a step leads to, which is made if need be; nil when
// there is none.
func (e *extractor) descend(n fhir.Node, b *branch, s step) *branch {
	p := e.property(n, b, s)
	if p == nil {
		return nil
	}
	m, err := b.open(p)
	if err != nil {
		e.err = err
		return nil
	}
	b.remove(p)
	i := slices.IndexFunc(m.values, func(v *piece) bool { return !m.repeats || v.slice == s.slice })
	if m.existing > 0 && m.repeats && (m.existing > 1 || s.slice != "") {
		e.warn(n, fhir.MultipleMatches, "repetition-ambiguous", "The resource has such elements already, and the path does not tell which is meant: they stay as they are.")
		return nil
	}
	if i < 0 {
		i = len(m.values)
		m.values = append(m.values, &piece{slice: s.slice})
	}
	return e.inside(m.values[i], p.Type)
}

// leaf sets the values of the element that a path ends at.
func (e *extractor) leaf(n fhir.Node, b *branch, s step, values []given) bool {
	element, types := leafTypes(b.typ, s)
	if element == nil || s.name == "id" {
		e.warn(n, fhir.NotSupported, "path-unsupported", "R4 has no element %q at this path of %s that an answer can be: it is not extracted.", s.name, b.typ.Name)
		return false
	}
	set := false
	for _, v := range values {
		typ, raw, ok := convertTo(types, v, n)
		if !ok {
			e.warn(n, fhir.Value, "value-unfit", "The element %q of %s cannot be made of a %s: this answer is not extracted.", s.name, b.typ.Name, v.typ)
			continue
		}
		name := element.Name
		if element.Choice {
			name += strings.ToUpper(typ[:1]) + typ[1:]
		}
		set = e.assign(n, b, b.typ.Property([]byte(name)), raw) || set
	}
	return set
}

// assign sets one value: the first one replaces what was there.
func (e *extractor) assign(n fhir.Node, b *branch, p *spec.Property, raw []byte) bool {
	m, err := b.open(p)
	switch {
	case err != nil:
		e.err = err
		return false
	case m.set && !m.repeats:
		e.warn(n, fhir.MultipleMatches, "answer-not-single", "Several answers would be one %s that does not repeat; only the first is extracted. Put them into a group that repeats.", p.Name)
		return false
	case !m.set:
		b.remove(p)
		m.values, m.existing = nil, 0
	}
	m.set = true
	m.values = append(m.values, &piece{raw: raw, slice: anchored})
	return true
}
