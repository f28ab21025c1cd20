package fhir

import (
	"bytes"
	"unicode/utf8"
)

// The limits of an XML document. That of the nesting is that of JSON, and
// narratives have their own below it.
const (
	xmlMaxDepth      = maxDepth
	xmlMaxAttributes = 32 // of one element
	xmlMaxBindings   = 64 // namespaces declared by an element and those around it
)

const (
	xmlNamespace       = "http://hl7.org/fhir"
	xmlSchemaNamespace = "http://www.w3.org/2001/XMLSchema-instance"
)

// A xmlSpan is a piece of the source.
type xmlSpan struct{ lo, hi uint32 }

func (s xmlSpan) of(src []byte) []byte { return src[s.lo:s.hi] }

// A xmlName is a qualified name; prefix is empty without one.
type xmlName struct{ prefix, local xmlSpan }

func (n xmlName) prefixed() bool { return n.prefix.hi > 0 }

// A xmlAttr is an attribute with the source of its value, between the quotes.
type xmlAttr struct {
	xmlName
	value xmlSpan
	space xmlSpace
}

// start returns where a stands.
func (a xmlAttr) start() int {
	if a.prefixed() {
		return int(a.prefix.lo)
	}
	return int(a.local.lo)
}

// A xmlScanner reads the tokens of XML 1.0 without a document type declaration,
// https://www.w3.org/TR/xml/. Its names are ASCII: no element of FHIR and of a
// narrative has another. The first error ends it.
type xmlScanner struct{ scanner }

func (s *xmlScanner) malformed(format string, args ...any) bool {
	return s.fail(malformedXML, "The XML is malformed: "+format, args...)
}

// legal refuses characters that no XML has.
func (s *xmlScanner) legal() bool {
	if xhtmlLegal(s.src) {
		return true
	}
	for i := range s.src {
		_, size := utf8.DecodeRune(s.src[i:])
		if utf8.RuneStart(s.src[i]) && !xhtmlLegal(s.src[i:i+size]) {
			s.pos = i
			break
		}
	}
	return s.fail(malformedXML, "The body holds control characters that XML does not allow; remove them")
}

func (s *xmlScanner) has(mark string) bool {
	rest := s.src[s.pos:]
	return len(rest) >= len(mark) && string(rest[:len(mark)]) == mark
}

func (s *xmlScanner) take(mark string) bool {
	if !s.has(mark) {
		return false
	}
	s.pos += len(mark)
	return true
}

// span reads up to the next occurrence of end, and past it.
func (s *xmlScanner) span(end, what string) (xmlSpan, bool) {
	n := bytes.Index(s.src[s.pos:], []byte(end))
	if n < 0 {
		return xmlSpan{}, s.malformed("%s is not closed with %q", what, end)
	}
	at := xmlSpan{uint32(s.pos), uint32(s.pos + n)}
	s.pos += n + len(end)
	return at, true
}

func (s *xmlScanner) space() bool {
	start := s.pos
	for s.pos < len(s.src) && xhtmlSpace(s.src[s.pos]) {
		s.pos++
	}
	return s.pos > start
}

// name reads a qualified name.
func (s *xmlScanner) name() (xmlName, bool) {
	first, ok := s.part()
	if !ok || !s.at(':') {
		return xmlName{local: first}, ok
	}
	s.pos++
	second, ok := s.part()
	return xmlName{first, second}, ok
}

func (s *xmlScanner) part() (xmlSpan, bool) {
	start := s.pos
	for s.pos < len(s.src) && s.src[s.pos] != ':' && xhtmlNameByte(s.src[s.pos]) {
		s.pos++
	}
	if s.pos == start || s.src[start] < 'A' {
		s.pos = start
		return xmlSpan{}, s.malformed("expected a name made of ASCII letters")
	}
	return xmlSpan{uint32(start), uint32(s.pos)}, true
}

// attribute reads name="value".
func (s *xmlScanner) attribute() (xmlAttr, bool) {
	name, ok := s.name()
	if !ok {
		return xmlAttr{}, false
	}
	s.space()
	if !s.take("=") {
		return xmlAttr{}, s.malformed(`expected "=" after the name of an attribute`)
	}
	s.space()
	if !s.at('"') && !s.at('\'') {
		return xmlAttr{}, s.malformed("expected the value of an attribute in quotes")
	}
	quote := string(s.src[s.pos])
	s.pos++
	start := s.pos
	value, ok := s.span(quote, "the value of an attribute")
	return xmlAttr{xmlName: name, value: value}, ok && s.text(start, value, true)
}

// attributes reads those of a tag, up to one of the two marks that may end it,
// and says which one did.
func (s *xmlScanner) attributes(to []xmlAttr, marks [2]string) (all []xmlAttr, end int, ok bool) {
	first := len(to)
	for {
		spaced := s.space()
		for i, mark := range marks {
			if mark != "" && s.take(mark) {
				return to, i, true
			}
		}
		if !spaced {
			return nil, 0, s.malformed("expected the end of a tag, or a space before the next attribute")
		}
		if len(to)-first == xmlMaxAttributes {
			return nil, 0, s.fail(tooManyAttributes, "An element has at most %d attributes; remove some", xmlMaxAttributes)
		}
		start := s.pos
		a, ok := s.attribute()
		if !ok {
			return nil, 0, false
		}
		if s.twice(to[first:], a) {
			s.pos = start
			return nil, 0, s.malformed("an attribute is given twice")
		}
		to = append(to, a)
	}
}

func (s *xmlScanner) twice(all []xmlAttr, a xmlAttr) bool {
	for _, b := range all {
		if bytes.Equal(b.local.of(s.src), a.local.of(s.src)) && bytes.Equal(b.prefix.of(s.src), a.prefix.of(s.src)) {
			return true
		}
	}
	return false
}

// text checks character data, of an attribute if quoted; pos is left where
// the problem is.
func (s *xmlScanner) text(start int, at xmlSpan, quoted bool) bool {
	end := s.pos
	text := at.of(s.src)
	for i := 0; i < len(text); i++ {
		s.pos = start + i
		switch c := text[i]; {
		case c == '<' && quoted:
			return s.malformed(`write "<" in an attribute as "&lt;"`)
		case c == '>' && !quoted && bytes.HasSuffix(text[:i], []byte("]]")):
			return s.malformed(`write "]]>" as "]]&gt;"`)
		case c != '&':
			continue
		}
		if !isXMLReference(text, i) {
			return s.malformed(`after "&" there is neither a number nor one of amp, lt, gt, quot, apos; write "&" as "&amp;", and other characters as they are`)
		}
	}
	s.pos = end
	return true
}

// comment reads a comment, which is forgotten.
func (s *xmlScanner) comment() bool {
	s.pos += len("<!--")
	at, ok := s.span("--", "a comment")
	if !ok || s.take(">") {
		return ok
	}
	s.pos = int(at.hi)
	return s.malformed(`a comment holds "--"`)
}

// declaration reads the XML declaration, if there is one.
func (s *xmlScanner) declaration() bool {
	if !s.has("<?xml") || len(s.src) < 6 || !xhtmlSpace(s.src[5]) {
		return true
	}
	s.pos += len("<?xml")
	all, _, ok := s.attributes(nil, [2]string{"?>"})
	end := s.pos
	for _, a := range all {
		s.pos = int(a.value.lo)
		ok = ok && s.declared(a)
	}
	if ok {
		s.pos = end
	}
	return ok
}

func (s *xmlScanner) declared(a xmlAttr) bool {
	value := a.value.of(s.src)
	switch string(a.local.of(s.src)) {
	case "version":
		if string(value) != "1.0" {
			return s.fail(unsupportedXML, "Send XML of version 1.0")
		}
	case "encoding":
		if !bytes.EqualFold(value, []byte("UTF-8")) {
			return s.fail(unsupportedXML, "Send XML encoded as UTF-8")
		}
	case "standalone":
	default:
		return s.malformed("the XML declaration has a version, an encoding and nothing else")
	}
	return true
}

// refuse reports a construct that begins with "<!" or "<?".
func (s *xmlScanner) refuse() bool {
	switch {
	case s.has("<!DOCTYPE"):
		return s.fail(doctypeRefused, "Send XML without a DOCTYPE; documents with one are not read")
	case s.has("<?"):
		return s.fail(instructionRefused, "Send XML without processing instructions")
	}
	return s.malformed("expected an element")
}

// isXMLReference reports whether s has at i a character reference that plain XML
// knows.
func isXMLReference(s []byte, i int) bool {
	_, next := xhtmlReference(s, i)
	if next == 0 {
		return false
	}
	switch name := string(s[i+1 : next-1]); name {
	case "amp", "lt", "gt", "quot", "apos":
		return true
	default:
		return name[0] == '#'
	}
}
