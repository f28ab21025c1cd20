package consultation

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
)

// A document is a JSON object that is changed member by member. What is not touched stays as
// it was written, to the byte.
type document struct{ members []documentMember }

type documentMember struct {
	name  string
	value []byte
}

// openDocument reads the members of an element or a resource.
func openDocument(n fhir.Node) (*document, error) {
	d, err := parseDocument(n.Raw())
	if err != nil {
		return nil, fmt.Errorf("reading the JSON of a %s: %w", n.Name(), err)
	}
	return d, nil
}

func parseDocument(raw []byte) (*document, error) {
	doc := &document{}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("reading its beginning: %w", err)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("reading a name: %w", err)
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("reading a value: %w", err)
		}
		doc.members = append(doc.members, documentMember{text, slices.Clone(value)})
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("reading its end: %w", err)
	}
	return doc, nil
}

// get returns the value of a member, or nil.
func (d *document) get(name string) []byte {
	for _, m := range d.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// set gives a member a value. What goes with the old value of a primitive goes.
func (d *document) set(name string, value []byte) {
	d.members = slices.DeleteFunc(d.members, func(m documentMember) bool { return m.name == "_"+name })
	for i := range d.members {
		if d.members[i].name == name {
			d.members[i].value = value
			return
		}
	}
	d.members = append(d.members, documentMember{name, value})
}

// setText gives a member a text.
func (d *document) setText(name, text string) { d.set(name, fhir.AppendString(nil, text)) }

// setWire gives a member what a wire value says.
func (d *document) setWire(name string, v any) { d.set(name, encode(v)) }

// drop takes members out.
func (d *document) drop(names ...string) {
	d.members = slices.DeleteFunc(d.members, func(m documentMember) bool {
		return slices.Contains(names, m.name) || len(m.name) > 0 && m.name[0] == '_' && slices.Contains(names, m.name[1:])
	})
}

// push appends wire values to a list, which is made when it is not there.
func push[T any](d *document, name string, values ...T) {
	if len(values) == 0 {
		return
	}
	added := encode(values)
	list := bytes.TrimRight(d.get(name), " \t\r\n")
	if len(list) == 0 {
		d.set(name, added)
		return
	}
	list = bytes.TrimRight(list[:len(list)-1], " \t\r\n")
	joined := append(slices.Clone(list), ',')
	d.replace(name, append(joined, added[1:]...))
}

// replace changes the value of a member and leaves its companion.
func (d *document) replace(name string, value []byte) {
	for i := range d.members {
		if d.members[i].name == name {
			d.members[i].value = value
		}
	}
}

// bytes returns the object as JSON.
func (d *document) bytes() []byte {
	dst := []byte{'{'}
	for i, m := range d.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(fhir.AppendString(dst, m.name), ':'), m.value...)
	}
	return append(dst, '}')
}
