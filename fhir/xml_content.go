package fhir

import (
	"bytes"
	"strconv"

	"github.com/openconsult/openconsult/fhir/spec"
)

// A xmlRun is neighbouring elements of the same name.
type xmlRun struct {
	prop  *spec.Property
	first int32
	n     int
}

// object writes element i as a JSON object.
func (w *xmlWalk) object(i int32, t *spec.Type) {
	w.begin('{')
	w.content(i, t)
	w.end('}')
}

// content writes the attributes and children of element i, of type t, as the
// properties of the JSON object that is open.
func (w *xmlWalk) content(i int32, t *spec.Type) {
	if w.deep {
		return
	}
	for _, a := range w.attributes(i) {
		if name := string(a.local.of(w.doc.src)); !a.prefixed() && xmlAttribute(t, name) {
			w.member(a.start(), "", name)
			w.text(w.value(a))
		}
	}
	var seen [8]uint64
	last := &spec.Element{}
	for c := w.at(i).first; c != 0; {
		p := t.Property(w.name(c))
		if p == nil || p.Companion || p.Element.Attribute {
			w.unknown(c, i, p)
			c = w.at(c).next
			continue
		}
		run, next := w.run(c, p)
		c = next
		if p.Type.Primitive != spec.XHTML && !w.belongs(run.first, i) {
			continue
		}
		if w.placed(run, last, seen[:]) {
			w.property(run)
		}
		if p.Element.Order > last.Order {
			last = p.Element
		}
	}
}

// run gathers c and those after it that have its name, and returns what comes
// next.
func (w *xmlWalk) run(c int32, p *spec.Property) (xmlRun, int32) {
	r := xmlRun{prop: p, first: c}
	for c != 0 && w.at(c).space == w.at(r.first).space && bytes.Equal(w.name(c), w.name(r.first)) {
		r.n++
		c = w.at(c).next
	}
	return r, c
}

// placed reports whether a run is to be written: it is the first of its name.
// It says what is wrong with the place and number of the elements.
func (w *xmlWalk) placed(r xmlRun, last *spec.Element, seen []uint64) bool {
	e := r.prop.Element
	fresh := mark(seen, r.prop.Slot)
	switch {
	case !e.Repeats() && (r.n > 1 || !fresh):
		w.issueBelow(r.first, e.Name, givenTwice, r.prop.Name+" is given twice; keep one.")
	case e.Order < last.Order:
		w.issueBelow(r.first, e.Name, wrongOrder, r.prop.Name+" comes before "+last.Name+" in XML, where the order of elements is fixed; move it.")
	}
	return fresh
}

// unknown handles a child c of i that is no element of i's type.
func (w *xmlWalk) unknown(c, i int32, p *spec.Property) {
	name := string(w.name(c))
	switch {
	case !w.belongs(c, i):
	case p != nil && p.Element.Attribute:
		w.issueBelow(c, name, attributeAsElement, name+" is an attribute in XML, not an element; write it into the start tag.")
	case !plainName(name), p != nil, name == "resourceType":
		w.issue(w.start(c), unknownElement, "This element holds one whose name is no element name; remove it.")
	default:
		w.member(w.start(c), "", name)
		w.json = append(w.json, '0')
	}
}

// property writes a run as a property, which has one value only if it does not
// repeat.
func (w *xmlWalk) property(r xmlRun) {
	if !r.prop.Element.Repeats() {
		r.n = 1
	}
	switch {
	case r.prop.Type.Kind != spec.KindPrimitive:
		w.member(w.start(r.first), "", r.prop.Name)
		w.list(r, w.complex)
	case r.prop.Type.Primitive == spec.XHTML:
		w.member(w.start(r.first), "", r.prop.Name)
		w.list(r, w.narrative)
	default:
		w.primitives(r)
	}
}

// list writes one value for each element of r, in an array if it may repeat.
func (w *xmlWalk) list(r xmlRun, write func(i int32, p *spec.Property)) {
	around := len(w.path)
	w.path = append(append(w.path, '.'), r.prop.Element.Name...)
	if !r.prop.Element.Repeats() {
		write(r.first, r.prop)
		w.path = w.path[:around]
		return
	}
	w.begin('[')
	named := len(w.path)
	for k, i := 0, r.first; k < r.n; k, i = k+1, w.at(i).next {
		if k > 0 {
			w.json = append(w.json, ',')
		}
		w.path = strconv.AppendInt(append(w.path[:named], '['), int64(k), 10)
		w.path = append(w.path, ']')
		w.mark(w.start(i))
		write(i, r.prop)
	}
	w.end(']')
	w.path = w.path[:around]
}

func (w *xmlWalk) complex(i int32, p *spec.Property) {
	if p.Type.Kind == spec.KindResource {
		w.contained(i)
		return
	}
	w.strays(i, p.Type)
	w.object(i, p.Type)
}

// primitives writes the values of a run, and their ids and extensions.
func (w *xmlWalk) primitives(r xmlRun) {
	values, companions := false, false
	for k, i := 0, r.first; k < r.n; k, i = k+1, w.at(i).next {
		_, ok := w.attribute(i, "value")
		values = values || ok
		companions = companions || w.accompanied(i)
	}
	if values {
		w.member(w.start(r.first), "", r.prop.Name)
		w.list(r, w.primitive)
	}
	if companions {
		w.member(w.start(r.first), "_", r.prop.Name)
		w.list(r, w.companion)
	}
}

// accompanied reports whether primitive i has an id or extensions, or no value:
// if it has nothing at all, an empty companion makes Decode say so.
func (w *xmlWalk) accompanied(i int32) bool {
	if _, ok := w.attribute(i, "value"); !ok || w.at(i).first != 0 {
		return true
	}
	_, ok := w.attribute(i, "id")
	return ok
}

func (w *xmlWalk) attribute(i int32, name string) (xmlAttr, bool) {
	for _, a := range w.attributes(i) {
		if !a.prefixed() && string(a.local.of(w.doc.src)) == name {
			return a, true
		}
	}
	return xmlAttr{}, false
}

func (w *xmlWalk) companion(i int32, p *spec.Property) {
	if !w.accompanied(i) {
		w.json = append(w.json, "null"...)
		return
	}
	if _, ok := w.attribute(i, "value"); !ok {
		w.strays(i, p.Type)
	}
	w.object(i, p.Type)
}

// narrative writes a div. Without its namespace it would not be one.
func (w *xmlWalk) narrative(i int32, _ *spec.Property) {
	e := w.at(i)
	text := []byte(`<div xmlns="` + xhtmlNamespace + `">-</div>`)
	switch {
	case e.space != xmlXHTML:
		w.issue(w.start(i), wrongNamespace, `The narrative is not in the namespace of XHTML; begin it with <div xmlns="`+xhtmlNamespace+`">.`)
	case e.foreign:
		w.issue(w.start(i), foreignMarkup, "The narrative has elements outside of the namespace "+xhtmlNamespace+"; remove them.")
	default:
		text = e.markup.of(w.doc.markup)
	}
	w.text(text)
}
