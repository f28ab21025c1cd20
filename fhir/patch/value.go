package patch

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// fill adds to object, which holds the children of an owner, the element named
// name with the value that part gives. A single element must not be there yet.
func (d *document) fill(object *node, owner *spec.Type, name string, part fhir.Node) error {
	p, v, err := d.value(owner, name, part)
	if err != nil {
		return err
	}
	if p.Element.Repeats() {
		push(object, p.Name, v)
		return nil
	}
	if has(object, owner, p.Element) {
		return fhir.Errorf(fhir.Unprocessable, fhir.Processing, part.Path(),
			"%s is there already and does not repeat; replace it instead", p.Element.Name)
	}
	l := listOf(object, p)
	l.pairs = []pair{v}
	l.store()
	return nil
}

// has reports whether object has a value for e, an element of owner, of any of
// its types.
func has(object *node, owner *spec.Type, e *spec.Element) bool {
	for _, t := range e.Types {
		p := variant(owner, e, t.Type)
		if p != nil && (object.find(p.Name) >= 0 || object.find("_"+p.Name) >= 0) {
			return true
		}
	}
	return false
}

// variant returns the JSON property of e, an element of owner, for values of type
// t; nil when e is a choice without that type.
func variant(owner *spec.Type, e *spec.Element, t *spec.Type) *spec.Property {
	name := e.Name
	if e.Choice {
		name += strings.ToUpper(t.Name[:1]) + t.Name[1:]
	}
	return owner.Property([]byte(name))
}

// value returns the value that part gives for the element of owner named name,
// and the property that it belongs under: the name of the element ("value",
// "value[x]") or of the property ("valueQuantity").
func (d *document) value(owner *spec.Type, name string, part fhir.Node) (*spec.Property, pair, error) {
	v, resource := part.Child("value"), part.Child("resource")
	parts := !part.Child("part").IsZero()
	switch {
	case !v.IsZero() && resource.IsZero() && !parts:
	case v.IsZero() && !resource.IsZero() && !parts:
		v = resource
	case v.IsZero() && resource.IsZero() && parts:
		return d.composed(owner, name, part)
	default:
		return nil, pair{}, fhir.Errorf(fhir.BadRequest, fhir.Structure, part.Path(), "Give this part one thing: a value, a resource or parts")
	}
	p, err := property(owner, name, part, v.Type())
	if err != nil {
		return nil, pair{}, err
	}
	if !takes(p.Type, v.Type()) {
		return nil, pair{}, fhir.Errorf(fhir.Unprocessable, fhir.Processing, v.Path(),
			"%s takes a %s, not a %s", p.Element.Path, p.Type.Name, v.Type().Name)
	}
	return p, d.pair(v), nil
}

// property returns the property of owner that name and the type of a value mean.
// Without a type, a choice must be named as one of its properties.
func property(owner *spec.Type, name string, part fhir.Node, t *spec.Type) (*spec.Property, error) {
	e := owner.Element(strings.TrimSuffix(name, "[x]"))
	if e == nil {
		if p := owner.Property([]byte(name)); p != nil && !p.Companion {
			return p, nil
		}
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.Processing, part.Path(), "A %s has no element %s", owner.Name, shown(name))
	}
	if e.Choice && t == nil {
		return nil, fhir.Errorf(fhir.Unprocessable, fhir.Processing, part.Path(),
			"Parts do not say which type %s has; name the property, such as %s", e.Path, exampleOf(e))
	}
	if p := variant(owner, e, t); p != nil {
		return p, nil
	}
	return nil, fhir.Errorf(fhir.Unprocessable, fhir.Processing, part.Path(), "%s cannot be a %s", e.Path, t.Name)
}

func exampleOf(e *spec.Element) string {
	t := e.Types[len(e.Types)-1].Type.Name
	return e.Name + strings.ToUpper(t[:1]) + t[1:]
}

// takes reports whether a value of type v may stand where one of type t does, as
// far as that can be said by the types. The decoder looks at a primitive.
func takes(t, v *spec.Type) bool {
	if t.Kind == spec.KindPrimitive || v.Kind == spec.KindPrimitive {
		return t.Kind == v.Kind
	}
	return t.Is(v.Name) || v.Is(t.Name)
}

// composed returns the value that the parts of part are the elements of.
// https://hl7.org/fhir/R4/fhirpatch.html
func (d *document) composed(owner *spec.Type, name string, part fhir.Node) (*spec.Property, pair, error) {
	p, err := property(owner, name, part, nil)
	if err != nil {
		return nil, pair{}, err
	}
	if p.Type.Kind != spec.KindComplex && p.Type.Kind != spec.KindBackbone {
		return nil, pair{}, fhir.Errorf(fhir.Unprocessable, fhir.Processing, part.Path(), "%s has no elements to give as parts; give it as a value", p.Element.Path)
	}
	v := emptyObject()
	for sub := range part.Each("part") {
		if err := d.fill(&v, p.Type, sub.Child("name").Text(), sub); err != nil {
			return nil, pair{}, err
		}
	}
	return p, pair{value: v}, nil
}
