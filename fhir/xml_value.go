package fhir

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir/spec"
)

// text writes s as a JSON string.
func (w *xmlWalk) text(s []byte) {
	// The only error is invalid UTF-8, and all of the document is valid.
	w.json, _ = jsontext.AppendQuote(w.json, s)
}

func (w *xmlWalk) value(a xmlAttr) []byte { return xmlText(a.value.of(w.doc.src)) }

// primitive writes the value of element i, null without one. Text that cannot
// be a JSON number or boolean is reported here, because Decode would speak of
// JSON.
func (w *xmlWalk) primitive(i int32, p *spec.Property) {
	a, ok := w.attribute(i, "value")
	if !ok {
		w.json = append(w.json, "null"...)
		return
	}
	w.strays(i, p.Type)
	text := w.value(a)
	switch kind := p.Type.Primitive; kind {
	case spec.Boolean:
		if s := string(text); s != "true" && s != "false" {
			w.issue(w.start(i), invalidValue, "A boolean is true or false; send one of them.")
			text = []byte("false")
		}
	case spec.Integer, spec.UnsignedInt, spec.PositiveInt, spec.Decimal:
		text = w.number(i, kind, text)
	default:
		w.text(text)
		return
	}
	w.json = append(w.json, text...)
}

// number returns text as a JSON number. XML, unlike JSON, may have a plus sign
// before an integer. https://hl7.org/fhir/R4/datatypes.html#integer
func (w *xmlWalk) number(i int32, kind spec.Primitive, text []byte) []byte {
	if kind == spec.Integer || kind == spec.PositiveInt {
		if rest, ok := bytes.CutPrefix(text, []byte("+")); ok && len(rest) > 0 && rest[0] >= '1' && rest[0] <= '9' {
			text = rest
		}
	}
	s := scanner{src: text}
	if _, ok := s.number(); ok && s.pos == len(text) {
		return text
	}
	if kind == spec.Decimal {
		w.issue(w.start(i), invalidValue, "A decimal is digits with at most one decimal point: 12.50, -0.3, 1.2e-5.")
	} else {
		w.issue(w.start(i), invalidValue, "An integer is digits, with a minus sign before them if it is negative, and without leading zeros.")
	}
	return []byte("1")
}
