package patch

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// A node is a JSON value: its compact text, which is never written to, and once
// somebody has looked inside an object or array, its members, which then count
// instead of the text. So the parts of a document that no pointer leads into
// stay text.
type node struct {
	raw    []byte // valid and compact; the first byte tells the kind, even of an open node
	inside []member
	open   bool
}

// A member is a member of an object or an element of an array.
type member struct {
	key   []byte // the name in quotes, as the document writes it; nil in an array
	value node
}

// kind returns the first byte of the value: '{', '[', '"', 't', 'f', 'n', or a
// minus sign or digit.
func (n *node) kind() byte {
	return n.raw[0]
}

// members returns what is in an object or array, in order.
func (n *node) members() []member {
	if n.open || n.kind() != '{' && n.kind() != '[' {
		return n.inside
	}
	n.open = true
	rest := n.raw[1:]
	for rest[0] != '}' && rest[0] != ']' {
		var m member
		if n.kind() == '{' {
			end := stringEnd(rest)
			m.key, rest = rest[:end], rest[end+1:]
		}
		end := valueEnd(rest)
		m.value.raw, rest = rest[:end], rest[end:]
		n.inside = append(n.inside, m)
		if rest[0] == ',' {
			rest = rest[1:]
		}
	}
	return n.inside
}

// find returns the position of the object member of that name, or -1.
func (n *node) find(name string) int {
	for i, m := range n.members() {
		if spells(m.key, name) {
			return i
		}
	}
	return -1
}

// member returns the value of the object member of that name, or nil.
func (n *node) member(name string) *node {
	i := n.find(name)
	if i < 0 {
		return nil
	}
	return &n.inside[i].value
}

// append appends the text of the value to dst.
func (n *node) append(dst []byte) []byte {
	if !n.open {
		return append(dst, n.raw...)
	}
	dst = append(dst, n.kind())
	for i := range n.inside {
		m := &n.inside[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		if m.key != nil {
			dst = append(append(dst, m.key...), ':')
		}
		dst = m.value.append(dst)
	}
	return append(dst, n.kind()+2) // '{'+2 is '}' and '['+2 is ']'
}

// text returns the text of the value, not to be written to.
func (n *node) text() []byte {
	if !n.open {
		return n.raw
	}
	return n.append(nil)
}

// stringEnd returns the length of the string that b begins with.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// valueEnd returns the length of the value that b begins with.
func valueEnd(b []byte) int {
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return nestedEnd(b)
	}
	if i := bytes.IndexAny(b, ",]}"); i >= 0 {
		return i
	}
	return len(b)
}

func nestedEnd(b []byte) int {
	level := 0
	for i := 0; ; i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			level++
		case '}', ']':
			level--
		}
		if level == 0 {
			return i + 1
		}
	}
}

// depth returns how many arrays and objects are within each other in b.
func depth(b []byte) int {
	level, most := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			level++
			most = max(most, level)
		case '}', ']':
			level--
		}
	}
	return most
}

// spells reports whether key, in quotes, is a way to write name.
func spells(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1:len(key)-1]) == name
	}
	return unquote(key) == name
}

// unquote returns the string that text spells, in quotes.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	// The error is nil for text that was valid when the document was read.
	s, _ := jsontext.AppendUnquote(nil, text)
	return string(s)
}
