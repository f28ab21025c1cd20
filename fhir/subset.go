package fhir

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir/spec"
)

// Summary is a value of the _summary parameter.
// https://hl7.org/fhir/R4/search.html#summary
type Summary string

// The values of _summary. The empty string is false.
const (
	SummaryTrue  Summary = "true"
	SummaryText  Summary = "text"
	SummaryData  Summary = "data"
	SummaryCount Summary = "count"
	SummaryFalse Summary = "false"
)

// A Selection says which elements of a resource to show. The zero value shows
// all.
type Selection struct {
	Summary  Summary
	Elements []string // top-level names, mandatory ones are shown in any case; empty is no restriction
}

// All reports whether s shows resources whole.
func (s Selection) All() bool {
	return len(s.Elements) == 0 && (s.Summary == "" || s.Summary == SummaryFalse)
}

const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// Subset returns the resource in src, which is valid JSON of that type, with the
// elements that s selects, and tagged as incomplete.
func Subset(typ string, src []byte, s Selection) ([]byte, error) {
	if s.All() {
		return src, nil
	}
	t := spec.R4().Resource(typ)
	if t == nil {
		return nil, fmt.Errorf("take a subset of a %q: no such type", typ)
	}
	dst := append(make([]byte, 0, len(src)+len(subsetted)+20), '{')
	marked := false
	for _, m := range split(src) {
		value := src[m.value:m.hi]
		switch p := t.Property([]byte(m.name)); {
		case m.name == "resourceType":
		case m.name == "meta":
			value, marked = tagged(value), true
		case p == nil || !s.shows(p.Element):
			continue
		case s.Summary == SummaryTrue && !p.Companion:
			value = summarize(value, p.Type)
		}
		dst = appendProperty(dst, m.name, value)
	}
	if !marked {
		dst = appendProperty(dst, "meta", tagged([]byte(`{}`)))
	}
	return append(dst, '}'), nil
}

func (s Selection) shows(e *spec.Element) bool {
	required := e.Min > 0
	switch {
	case len(s.Elements) > 0:
		return required || e.Name == "id" || slices.Contains(s.Elements, e.Name)
	case s.Summary == SummaryTrue:
		return required || e.Summary
	case s.Summary == SummaryText:
		return required || e.Name == "id" || e.Name == "text"
	case s.Summary == SummaryData:
		return e.Name != "text"
	}
	return true
}

// tagged returns meta with the tag that marks an incomplete resource.
func tagged(meta []byte) []byte {
	if bytes.Contains(meta, []byte(subsetted)) {
		return meta // it is one of an incomplete resource already
	}
	dst := []byte{'{'}
	found := false
	for _, m := range split(meta) {
		value := meta[m.value:m.hi]
		if m.name == "tag" {
			found = true
			value = slices.Concat([]byte("["+subsetted+","), bytes.TrimLeft(value, "[ \t\r\n"))
		}
		dst = appendProperty(dst, m.name, value)
	}
	if !found {
		dst = appendProperty(dst, "tag", []byte("["+subsetted+"]"))
	}
	return append(dst, '}')
}

// summarize returns value, of type t or an array of it, with the elements that
// are part of a summary. What has none of them is kept whole: an Extension that
// is shown at all says nothing without its value.
func summarize(value []byte, t *spec.Type) []byte {
	if t.Kind == spec.KindPrimitive || t.Kind == spec.KindResource || t.Name == "Extension" {
		return value
	}
	if value[0] == '[' {
		dst := []byte{'['}
		for i, v := range elementsOf(value) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, summarize(v, t)...)
		}
		return append(dst, ']')
	}
	dst := []byte{'{'}
	for _, m := range split(value) {
		p := t.Property([]byte(m.name))
		if p == nil || !p.Element.Summary && p.Element.Min == 0 {
			continue
		}
		v := value[m.value:m.hi]
		if !p.Companion {
			v = summarize(v, p.Type)
		}
		dst = appendProperty(dst, m.name, v)
	}
	if len(dst) == 1 {
		return value
	}
	return append(dst, '}')
}

func appendProperty(dst []byte, name string, value []byte) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, '"'), name...), `":`...)
	return append(dst, value...)
}

// A part is one property of a JSON object.
type part struct {
	name      string
	value, hi int // where the value stands
}

// split returns the properties of the JSON object in src, which is valid.
func split(src []byte) []part {
	s := scanner{src: src}
	s.peek()
	s.pos++
	var parts []part
	for s.peek() == '"' {
		key, _ := s.string()
		s.expect(':')
		s.peek()
		lo := s.pos
		s.skip()
		parts = append(parts, part{string(key.raw), lo, s.pos})
		if s.peek() == ',' {
			s.pos++
		}
	}
	return parts
}

// elementsOf returns the elements of the JSON array in src, which is valid.
func elementsOf(src []byte) [][]byte {
	s := scanner{src: src}
	s.peek()
	s.pos++
	var elements [][]byte
	for c := s.peek(); c != ']' && c != 0; c = s.peek() {
		lo := s.pos
		s.skip()
		elements = append(elements, src[lo:s.pos])
		if s.peek() == ',' {
			s.pos++
		}
	}
	return elements
}
