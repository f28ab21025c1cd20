package questionnaire

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A branch is a resource, or an element with elements of its own, in the making.
type branch struct {
	typ     *spec.Type
	members []*member
}

// A member is a JSON property of a branch: its text, or its values once it was opened.
type member struct {
	name     string
	raw      []byte // while values is nil
	repeats  bool
	values   []*piece
	set      bool // by an answer
	existing int  // how many values there were before any answer
	taken    int  // how many of these were given to groups
}

// A piece is one value of a member: its JSON, or a branch once it was opened.
type piece struct {
	slice  string // by which answers name it
	raw    []byte
	branch *branch
}

// readBranch reads the JSON object of an element.
func readBranch(typ *spec.Type, raw []byte) (*branch, error) {
	b := &branch{typ: typ}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		b.putRaw(text, slices.Clone(value))
	}
	return b, nil
}

func (b *branch) putRaw(name string, raw []byte) {
	b.members = append(b.members, &member{name: name, raw: raw})
}

func (b *branch) putText(name, text string) { b.putRaw(name, fhir.AppendString(nil, text)) }

func (b *branch) drop(name string) {
	b.members = slices.DeleteFunc(b.members, func(m *member) bool { return m.name == name })
}

// member returns the member with a name, or nil.
func (b *branch) member(name string) *member {
	for _, m := range b.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// remove takes the members out that are the same element as p in another type, and what
// goes with the value of a primitive.
func (b *branch) remove(p *spec.Property) {
	b.members = slices.DeleteFunc(b.members, func(m *member) bool {
		other := b.typ.Property([]byte(m.name))
		return other != nil && other.Element == p.Element && m.name != p.Name
	})
}

// open returns the member for p with its values apart.
func (b *branch) open(p *spec.Property) (*member, error) {
	m := b.member(p.Name)
	if m == nil {
		m = &member{name: p.Name, repeats: p.Element.Repeats()}
		b.members = append(b.members, m)
		return m, nil
	}
	if m.raw == nil {
		return m, nil
	}
	m.repeats = p.Element.Repeats()
	if !m.repeats {
		m.values = []*piece{{raw: m.raw}}
	} else {
		var err error
		if m.values, err = readPieces(m.raw); err != nil {
			return nil, err
		}
	}
	m.raw, m.existing = nil, len(m.values)
	return m, nil
}

func readPieces(raw []byte) ([]*piece, error) {
	var all []*piece
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		all = append(all, &piece{raw: slices.Clone(value)})
	}
	return all, nil
}

// enter returns the branch that a piece of a type is.
func (p *piece) enter(typ *spec.Type) (*branch, error) {
	var err error
	switch {
	case p.branch != nil:
	case p.raw == nil:
		p.branch = &branch{typ: typ}
	default:
		p.branch, err = readBranch(typ, p.raw)
	}
	return p.branch, err
}

// json returns b as JSON; what is empty is left out.
func (b *branch) json() []byte {
	dst := []byte{'{'}
	if b.typ.Kind == spec.KindResource && b.member("resourceType") == nil {
		dst = append(dst, `"resourceType":"`+b.typ.Name+`"`...)
	}
	for _, m := range b.members {
		value := m.json()
		if len(value) == 0 {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(fhir.AppendString(dst, m.name), ':')
		dst = append(dst, value...)
	}
	return append(dst, '}')
}

// json returns the value of m, which is empty when it has none.
func (m *member) json() []byte {
	if m.raw != nil {
		return m.raw
	}
	var dst []byte
	for _, p := range m.values {
		value := p.raw
		if p.branch != nil {
			value = p.branch.json()
		}
		switch {
		case len(value) == 0 || string(value) == `{}`:
			continue
		case m.repeats && len(dst) == 0:
			dst = append(dst, '[')
		case m.repeats:
			dst = append(dst, ',')
		}
		dst = append(dst, value...)
	}
	if m.repeats && len(dst) > 0 {
		dst = append(dst, ']')
	}
	return dst
}
