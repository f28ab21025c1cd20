package terminology

import (
	"strconv"

	"github.com/openconsult/openconsult/fhir"
)

// Append appends the expansion to dst as a ValueSet: what the value set says of itself,
// without its definition and its narrative, and the codes.
// https://hl7.org/fhir/R4/valueset.html
func (e *Expansion) Append(dst []byte) []byte {
	dst = append(dst, `{"resourceType":"ValueSet"`...)
	dst = e.appendHead(dst)
	dst = append(dst, `,"expansion":{`...)
	if e.Unclosed {
		dst = append(dst, `"extension":[{"url":"`+unclosedExtension+`","valueBoolean":true}],`...)
	}
	dst = append(dst, `"identifier":`...)
	dst = fhir.AppendString(dst, e.Identifier)
	dst = append(dst, `,"timestamp":"`...)
	dst = e.Timestamp.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, `","total":`...)
	dst = strconv.AppendInt(dst, int64(e.Total), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, int64(e.Offset), 10)
	dst = array(dst, "parameter", len(e.Parameters), func(dst []byte, i int) []byte { return e.Parameters[i].append(dst) })
	dst = array(dst, "contains", len(e.Contains), func(dst []byte, i int) []byte { return e.Contains[i].append(dst) })
	return append(dst, `}}`...)
}

// appendHead appends what the value set says of itself in elements that do not repeat.
func (e *Expansion) appendHead(dst []byte) []byte {
	status := false
	for c := range e.valueSet.Children() {
		switch c.Name() {
		case "url", "version", "name", "title", "status", "experimental", "date", "publisher", "description", "immutable", "purpose", "copyright":
			if !c.HasValue() {
				continue
			}
			status = status || c.Name() == "status"
			dst = append(append(append(dst, `,"`...), c.Name()...), `":`...)
			dst = append(dst, c.Raw()...)
		}
	}
	if e.valueSet.IsZero() {
		dst = field(dst, "url", e.url)
	}
	if !status {
		dst = append(dst, `,"status":"active"`...)
	}
	return dst
}

// array appends a property that is an array, unless it is empty.
func array(dst []byte, name string, n int, one func(dst []byte, i int) []byte) []byte {
	if n == 0 {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":[`...)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, i)
	}
	return append(dst, ']')
}

// field appends a property that is a string, after others, unless it is empty.
func field(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return fhir.AppendString(dst, value)
}

func (p Parameter) append(dst []byte) []byte {
	dst = append(dst, `{"name":`...)
	dst = fhir.AppendString(dst, p.Name)
	switch p.Kind {
	case "boolean":
		dst = append(append(dst, `,"valueBoolean":`...), p.Value...)
	case "integer":
		dst = append(append(dst, `,"valueInteger":`...), p.Value...)
	case "uri":
		dst = field(dst, "valueUri", p.Value)
	case "code":
		dst = field(dst, "valueCode", p.Value)
	default:
		dst = field(dst, "valueString", p.Value)
	}
	return append(dst, '}')
}

func (c *Contained) append(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	dst = field(dst, "system", c.System)
	if c.Abstract {
		dst = append(dst, `,"abstract":true`...)
	}
	if c.Inactive {
		dst = append(dst, `,"inactive":true`...)
	}
	dst = field(dst, "version", c.Version)
	dst = field(dst, "code", c.Code)
	dst = field(dst, "display", c.Display)
	dst = array(dst, "designation", len(c.Designations), func(dst []byte, i int) []byte { return c.Designations[i].append(dst) })
	return append(withoutComma(dst, start), '}')
}

func (d Designation) append(dst []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	dst = field(dst, "language", d.Language)
	if d.Use != (Coding{}) {
		dst = append(dst, `,"use":{`...)
		inner := len(dst)
		dst = field(dst, "system", d.Use.System)
		dst = field(dst, "version", d.Use.Version)
		dst = field(dst, "code", d.Use.Code)
		dst = field(dst, "display", d.Use.Display)
		dst = append(withoutComma(dst, inner), '}')
	}
	dst = field(dst, "value", d.Value)
	return append(withoutComma(dst, start), '}')
}

// withoutComma removes the comma at start, before the first property of an object.
func withoutComma(dst []byte, start int) []byte {
	if start == len(dst) {
		return dst
	}
	return append(dst[:start], dst[start+1:]...)
}
