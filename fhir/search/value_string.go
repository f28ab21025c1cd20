package search

import (
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// strings adds what a string parameter finds at n: each part of a name or an
// address, the text and displays of a concept.
// https://hl7.org/fhir/R4/search.html#string
func (h *harvest) strings(n fhir.Node, p *Param) {
	switch primitive := n.Type().Primitive; {
	case primitive == spec.NotPrimitive:
		h.stringParts(n, p)
	case isText(primitive):
		h.addString(p, n.Text())
	}
}

func (h *harvest) stringParts(n fhir.Node, p *Param) {
	typ := n.Type().Name
	for c := range n.Children() {
		name := c.Name()
		switch {
		case typ == "CodeableConcept" && name == "coding":
			h.addString(p, c.Child("display").Text())
		case isSearchedPart(typ, name):
			h.addString(p, c.Text())
		}
	}
}

// isSearchedPart reports whether the element of a data type is text that a
// person would look for.
func isSearchedPart(typ, name string) bool {
	switch typ {
	case "HumanName":
		switch name {
		case "text", "family", "given", "prefix", "suffix":
			return true
		}
	case "Address":
		switch name {
		case "text", "line", "city", "district", "state", "postalCode", "country":
			return true
		}
	case "CodeableConcept", "Annotation":
		return name == "text"
	case "Coding", "Reference":
		return name == "display"
	case "Identifier", "ContactPoint":
		return name == "value"
	case "Attachment":
		return name == "title"
	}
	return false
}

// addString adds a text, unless nothing of it is left to compare.
func (h *harvest) addString(p *Param, text string) {
	if folded := Fold(text); folded != "" {
		h.add(p, String{text, folded})
	}
}
