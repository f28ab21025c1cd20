package questionnaire

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// observation makes an Observation of an answer, if the form asks for it.
func (e *extractor) observation(n, value fhir.Node, p passage) {
	if !p.observe || n.Child("code").IsZero() {
		return
	}
	o := spec.R4().Resource("Observation")
	typ, json, ok := convertTo(observedTypes(o, value), givenNode(value), n)
	if !ok {
		e.warn(n, fhir.Value, "value-unfit", "An Observation cannot have a value of type %s: this answer is not extracted.", value.Type().Name)
		return
	}
	if about := typeOfReference(e.subject); about != "" && !mayPointTo(o, "subject", about) {
		e.warn(n, fhir.Value, "subject-unfit", "An Observation cannot be about a %s: this answer is not extracted.", about)
		return
	}
	id := e.identifier(n.Child("linkId").Text())
	b := &branch{typ: o}
	if id != "" {
		b.putRaw("identifier", append(identifierJSON(id, []byte{'['}), ']'))
	}
	b.putText("status", map[bool]string{false: "final", true: "amended"}[e.amended])
	if !p.category.IsZero() {
		b.putRaw("category", append(appendPlain([]byte{'['}, p.category), ']'))
	}
	b.putRaw("code", codeOf(n))
	e.circumstances(b)
	b.putRaw("value"+strings.ToUpper(typ[:1])+typ[1:], json)
	if e.self != "" {
		b.putRaw("derivedFrom", append(fhir.AppendString([]byte(`[{"reference":`), e.self), `}]`...))
	}
	e.add(n, "Observation", id, b.json())
}

// observedTypes returns the types that the value of an Observation may have here. A
// decimal is none of them, so it becomes a Quantity.
func observedTypes(o *spec.Type, value fhir.Node) []spec.TypeRef {
	types := o.Element("value").Types
	if value.Type().Name != "Coding" {
		return types
	}
	for _, t := range types {
		if t.Type.Name == "CodeableConcept" {
			return []spec.TypeRef{t}
		}
	}
	return types
}

// circumstances gives an Observation the subject, encounter, time and author of the
// response.
func (e *extractor) circumstances(b *branch) {
	for _, from := range []struct{ of, element, list string }{
		{"subject", "subject", ""}, {"encounter", "encounter", ""}, {"author", "performer", "[]"}, {"author", "device", ""},
	} {
		n := e.resource.Child(from.of)
		typ := typeOfReference(n)
		if n.IsZero() || typ != "" && !mayPointTo(b.typ, from.element, typ) || typ == "" && from.element == "device" {
			continue
		}
		json := appendPlain(nil, n)
		if from.list != "" {
			json = append(append([]byte{'['}, json...), ']')
		}
		b.putRaw(from.element, json)
	}
	authored := e.resource.Child("authored")
	if authored.HasValue() {
		b.putRaw("effectiveDateTime", authored.Raw())
	}
	if strings.Contains(authored.Text(), "T") {
		b.putRaw("issued", authored.Raw())
		return
	}
	b.putText("issued", e.now.UTC().Format(fhir.InstantFormat))
}

// codeOf returns the codes of an item as a CodeableConcept.
func codeOf(n fhir.Node) []byte {
	dst := []byte(`{"coding":[`)
	for c := range n.Each("code") {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = appendPlain(dst, c)
	}
	dst = append(dst, ']')
	if text := n.Child("text"); text.HasValue() {
		dst = append(append(dst, `,"text":`...), text.Raw()...)
	}
	return append(dst, '}')
}

// identifierJSON appends an Identifier of ours.
func identifierJSON(value string, dst []byte) []byte {
	dst = append(dst, `{"system":"`+extractedURL+`","value":`...)
	return append(fhir.AppendString(dst, value), '}')
}
