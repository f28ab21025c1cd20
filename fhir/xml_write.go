package fhir

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/spec"
)

// AppendXML appends r as an XML document in UTF-8 to dst. Elements come in the
// order of their definitions, whatever order the JSON has. Characters that XML
// has no way to write become U+FFFD. https://hl7.org/fhir/R4/xml.html
func (r *Resource) AppendXML(dst []byte) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="UTF-8"?>`...)
	return appendXMLResource(dst, r.Root(), ` xmlns="`+xmlNamespace+`"`)
}

// appendXMLResource appends the element of a resource, named by its type.
func appendXMLResource(dst []byte, n Node, declaration string) []byte {
	name := n.at().typ.Name
	dst = append(append(append(dst, '<'), name...), declaration...)
	return n.appendXMLContent(dst, name)
}

// appendXML appends n, which is not the root.
func (n Node) appendXML(dst []byte) []byte {
	at := n.at()
	name := n.Property()
	switch {
	case at.typ.Primitive == spec.XHTML:
		return appendXMLNarrative(dst, n.Text())
	case at.typ.Kind == spec.KindResource:
		dst = append(append(append(dst, '<'), name...), '>')
		dst = appendXMLResource(dst, n, "")
		return appendXMLEnd(dst, name)
	}
	return n.appendXMLContent(append(append(dst, '<'), name...), name)
}

func appendXMLEnd(dst []byte, name string) []byte {
	return append(append(append(dst, "</"...), name...), '>')
}

// appendXMLContent appends what follows the name in the start tag of n, and the
// rest of the element.
func (n Node) appendXMLContent(dst []byte, name string) []byte {
	empty, sorted, last := true, true, 0
	for c := range n.Children() {
		e := c.Element()
		if e.Attribute {
			dst = appendXMLAttribute(dst, e.Name, c.Raw())
			continue
		}
		empty = false
		sorted = sorted && last <= e.Order
		last = e.Order
	}
	if n.at().typ.Kind == spec.KindPrimitive && n.HasValue() {
		dst = appendXMLAttribute(dst, "value", n.Raw())
	}
	if empty {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if sorted {
		dst = n.appendXMLChildren(dst)
	} else {
		dst = n.appendXMLSorted(dst)
	}
	return appendXMLEnd(dst, name)
}

func (n Node) appendXMLChildren(dst []byte) []byte {
	for c := range n.Children() {
		if !c.Element().Attribute {
			dst = c.appendXML(dst)
		}
	}
	return dst
}

func (n Node) appendXMLSorted(dst []byte) []byte {
	var all []Node
	for c := range n.Children() {
		if !c.Element().Attribute {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b Node) int { return a.Element().Order - b.Element().Order })
	for _, c := range all {
		dst = c.appendXML(dst)
	}
	return dst
}

// appendXMLAttribute appends an attribute with the value of a JSON token.
func appendXMLAttribute(dst []byte, name string, token []byte) []byte {
	dst = append(append(append(dst, ' '), name...), `="`...)
	switch {
	case len(token) < 2 || token[0] != '"':
		dst = append(dst, token...)
	case bytes.IndexByte(token, '\\') < 0:
		dst = appendXMLText(dst, token[1:len(token)-1])
	default:
		dst = appendXMLText(dst, unescape(nil, token[1:len(token)-1]))
	}
	return append(dst, '"')
}

// appendXMLText appends s for use in an attribute in double quotes. Whitespace
// other than blanks would not survive there unless it is written as a reference.
func appendXMLText(dst, s []byte) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		mark, n := xmlEscape(s, i)
		if n == 0 {
			continue
		}
		dst = append(append(dst, s[start:i]...), mark...)
		start = i + n
		i = start - 1
	}
	return append(dst, s[start:]...)
}

// xmlEscape returns what has to stand for the n bytes at s[i]; n is 0 when the
// byte there may stand for itself.
func xmlEscape(s []byte, i int) (mark string, n int) {
	switch c := s[i]; {
	case c == '&':
		return "&amp;", 1
	case c == '<':
		return "&lt;", 1
	case c == '>':
		return "&gt;", 1
	case c == '"':
		return "&quot;", 1
	case c == '\n':
		return "&#10;", 1
	case c == '\t':
		return "&#9;", 1
	case c == '\r':
		return "&#13;", 1
	case c < ' ':
		return string(utf8.RuneError), 1
	case c == 0xEF && (bytes.HasPrefix(s[i:], []byte("\uFFFE")) || bytes.HasPrefix(s[i:], []byte("\uFFFF"))):
		return string(utf8.RuneError), 3
	}
	return "", 0
}

// appendXMLNarrative appends a narrative as it is, except that characters named
// as in HTML are numbered: XML does not know those names without a DTD.
func appendXMLNarrative(dst []byte, div string) []byte {
	s := []byte(div)
	for i := 0; i < len(s); {
		n := xmlLiteral(s[i:])
		if n > 0 {
			dst = append(dst, s[i:i+n]...)
			i += n
			continue
		}
		r, next := xhtmlReference(s, i)
		if isXMLReference(s, i) || next == 0 {
			next = max(next, i+1)
			dst = append(dst, s[i:next]...)
		} else {
			dst = append(strconv.AppendInt(append(dst, "&#"...), int64(r), 10), ';')
		}
		i = next
	}
	return dst
}

// xmlLiteral returns how many bytes at the start of s cannot be part of a
// reference: a comment, or all up to the next "&" or "<".
func xmlLiteral(s []byte) int {
	if s[0] == '&' {
		return 0
	}
	skip, n := 1, -1
	if bytes.HasPrefix(s, []byte("<!--")) {
		skip = len("<!--")
		n = bytes.Index(s[skip:], []byte("-->"))
	} else {
		n = bytes.IndexAny(s[skip:], "&<")
	}
	if n < 0 {
		return len(s)
	}
	return skip + n
}
