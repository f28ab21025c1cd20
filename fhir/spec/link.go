package spec

// link gives every type its JSON properties. names are the companion names of
// the elements of types, in order.
func link(types []Type, names [][]string) {
	slab := make([]Property, countProperties(types))
	for i := range types {
		t := &types[i]
		n := 0
		for _, e := range t.Elements {
			n = appendProperties(slab, n, e, names[0])
			names = names[1:]
		}
		t.properties = make(map[string]*Property, n)
		for slot := range n {
			p := &slab[slot]
			p.Slot = slot
			t.properties[p.Name] = p
		}
		slab = slab[n:]
	}
}

// appendProperties puts the properties of e into slab from n on and returns the
// end of them. A primitive is followed by its companion.
func appendProperties(slab []Property, n int, e *Element, names []string) int {
	for i, name := range names {
		ref := e.Types[i]
		slab[n] = Property{Name: name[1:], Element: e, Type: ref.Type, Targets: ref.Targets}
		n++
		if e.hasCompanion(ref.Type) {
			slab[n] = Property{Name: name, Element: e, Type: ref.Type, Targets: ref.Targets, Companion: true}
			n++
		}
	}
	return n
}

// hasCompanion reports whether e as a t may have an id and extensions of its
// own. Element.id, Extension.url (the XML attributes) and XHTML may not.
// https://hl7.org/fhir/R4/json.html#primitive
func (e *Element) hasCompanion(t *Type) bool {
	return t.Kind == KindPrimitive && t.Primitive != XHTML && !e.Attribute
}

func countProperties(types []Type) int {
	n := 0
	for i := range types {
		for _, e := range types[i].Elements {
			for _, ref := range e.Types {
				n++
				if e.hasCompanion(ref.Type) {
					n++
				}
			}
		}
	}
	return n
}
