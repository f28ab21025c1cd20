package fhirpath

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A path is names one after the other: Patient.name.family.
type path struct {
	at    int
	input expr // what the names start from; nil is the focus
	names []string
}

func (p *path) eval(r *run, f frame, dst Collection) (Collection, error) {
	if p.input == nil {
		return p.from(r, f.this, dst)
	}
	from, err := p.input.eval(r, f, r.take())
	if cast, ok := p.input.(*castType); ok && err == nil && r.env.Strict && cast.want.lacks(p.names[0]) {
		err = errorf(Unknown, p.at, "%s has no element %s.", cast.want.name, clip(p.names[0]))
	}
	if err == nil {
		dst, err = p.from(r, from, dst)
	}
	r.give(from)
	return dst, err
}

func (p *path) from(r *run, from, dst Collection) (Collection, error) {
	var err error
	for _, i := range from {
		names := p.names
		if p.input == nil && isRoot(i, names[0]) {
			if names = names[1:]; len(names) == 0 {
				dst = append(dst, i)
				continue
			}
		}
		if dst, err = p.walk(r, i, names, dst); err != nil {
			return dst, err
		}
	}
	return dst, r.room(dst)
}

// isRoot reports whether an expression that begins with name begins with the type
// of i, which stands for i itself. https://hl7.org/fhirpath/N1/#path-selection
func isRoot(i Item, name string) bool {
	if name == "" || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	if s, ok := i.value.(stub); ok {
		return isOfType(spec.R4().Resource(string(s)), name)
	}
	return !i.node.IsZero() && isOfType(i.node.Type(), name)
}

func isOfType(t *spec.Type, name string) bool { return t != nil && t.Is(name) }

// walk appends what names lead to from i. Depth first gives the same order as
// step after step, without the collections in between.
func (p *path) walk(r *run, i Item, names []string, dst Collection) (Collection, error) {
	if i.value != nil {
		return p.property(r, i, names, dst)
	}
	if r.env.Strict && i.node.Type().Element(names[0]) == nil {
		return dst, errorf(Unknown, p.at, "%s has no element %s.", i.node.Type().Name, clip(names[0]))
	}
	for c := range i.node.Children() {
		if r.steps--; r.steps < 0 {
			return dst, r.step(0)
		}
		if c.Name() != names[0] {
			continue
		}
		if len(names) == 1 {
			dst = append(dst, NodeItem(c))
			continue
		}
		var err error
		if dst, err = p.walk(r, NodeItem(c), names[1:], dst); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// property appends what names lead to from a computed value.
func (p *path) property(r *run, i Item, names []string, dst Collection) (Collection, error) {
	found := Item{}
	switch v := i.value.(type) {
	case typeName:
		switch names[0] {
		case "namespace":
			found = String(v.namespace)
		case "name":
			found = String(v.name)
		}
	case quantity:
		switch names[0] {
		case "value":
			found.value = v.value
		case "unit":
			found = String(v.unit)
		}
	}
	switch {
	case found.value == nil && r.env.Strict:
		return dst, errorf(Unknown, p.at, "%s has no element %s.", i.Type(), clip(names[0]))
	case found.value == nil:
		return dst, nil
	case len(names) > 1:
		return p.property(r, found, names[1:], dst)
	}
	return append(dst, found), nil
}

func isResource(n fhir.Node) bool { return n.Type().Kind == spec.KindResource }
