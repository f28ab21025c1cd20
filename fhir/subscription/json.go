package subscription

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// An object is a JSON object with its members in order.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// readObject reads an object of valid JSON.
func readObject(raw []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("read a JSON object: %w", err)
	}
	var o object
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read a JSON object: %w", err)
		}
		m := member{name: name.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("read a JSON object: %w", err)
		}
		o = append(o, m)
	}
	return o, nil
}

// get returns the value of a member, nil for none.
func (o object) get(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// with returns o with a member of that value in its old place, or in a place of its
// own behind all others; nil takes it away.
func (o object) with(name string, value json.RawMessage) object {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	o = slices.Clone(o)
	switch {
	case i < 0 && value == nil:
		return o
	case i < 0:
		return append(o, member{name, value})
	case value == nil:
		return slices.Delete(o, i, i+1)
	}
	o[i].value = value
	return o
}

// bytes returns o as JSON.
func (o object) bytes() []byte {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, text(m.name)...), ':'), m.value...)
	}
	return append(b, '}')
}
