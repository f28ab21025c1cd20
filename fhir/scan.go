package fhir

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of JSON arrays and objects.
const maxDepth = 64

// leastText is how many bytes, whitespace aside, each element of a resource must have on
// average if there are very many: what has less costs more memory than it is worth.
const leastText = 12

// A scanner reads JSON tokens strictly, by https://www.rfc-editor.org/rfc/rfc8259.
// The first syntax error ends it: broken then says what and where.
type scanner struct {
	src    []byte
	pos    int
	depth  int
	spaced bool    // there was whitespace between tokens
	blanks int     // bytes of it
	broken problem // Code is empty while all is well
}

// str is a JSON string: the bytes between its quotes, and whether it has escapes.
type str struct {
	raw     []byte
	escaped bool
}

func (s *scanner) fail(f fault, format string, args ...any) bool {
	if s.broken.Code == "" {
		s.broken = problem{f.issue(), s.pos}
		s.broken.Severity, s.broken.Text = Fatal, fmt.Sprintf(format, args...)+"."
	}
	return false
}

// peek returns the next byte that is not whitespace, or 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; c {
		case ' ', '\n', '\t', '\r':
			s.spaced = true
			s.blanks++
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// expect consumes the byte c after optional whitespace.
func (s *scanner) expect(c byte) bool {
	if s.peek() != c {
		return s.unexpected(fmt.Sprintf("%q", string(c)))
	}
	s.pos++
	return true
}

func (s *scanner) unexpected(want string) bool {
	if s.pos >= len(s.src) {
		return s.fail(malformedJSON, "The JSON ends too early: expected %s", want)
	}
	return s.fail(malformedJSON, "The JSON is malformed: expected %s", want)
}

// enter counts one more level of nesting, which leave undoes.
func (s *scanner) enter() bool {
	s.depth++
	s.pos++
	if s.depth > maxDepth {
		return s.fail(tooDeep, "The JSON is nested deeper than %d levels; nest it less", maxDepth)
	}
	return true
}

func (s *scanner) leave() bool {
	s.depth--
	s.pos++
	return true
}

// string reads a string token.
func (s *scanner) string() (str, bool) {
	if s.peek() != '"' {
		return str{}, s.unexpected("a string in double quotes")
	}
	start := s.pos + 1
	escaped := false
	for i := start; i < len(s.src); i++ {
		c := s.src[i]
		switch {
		case c == '"':
			s.pos = i + 1
			return str{s.src[start:i], escaped}, true
		case c == '\\':
			n := s.escape(i)
			if n == 0 {
				return str{}, false
			}
			escaped = true
			i += n - 1
		case c < 0x20:
			s.pos = i
			return str{}, s.fail(malformedJSON, "A string holds an unescaped control character; write it as an escape, such as \\n or \\t")
		}
	}
	s.pos = len(s.src)
	return str{}, s.unexpected("the end of a string")
}

// escape returns the length of the escape sequence at i, or 0 when it is bad. A
// surrogate pair counts as one.
func (s *scanner) escape(i int) int {
	s.pos = i
	if i+1 >= len(s.src) {
		s.unexpected("an escape sequence")
		return 0
	}
	switch s.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		return s.unicodeEscape(i)
	}
	s.fail(malformedJSON, "A string holds an unknown escape sequence; write a backslash as \\\\")
	return 0
}

func (s *scanner) unicodeEscape(i int) int {
	r := hex4(s.src[i:])
	switch {
	case r < 0:
		s.fail(malformedJSON, "A string holds an incomplete \\u escape; four hexadecimal digits follow it")
		return 0
	case r < 0xD800 || r > 0xDFFF:
		return 6
	case r < 0xDC00:
		if low := hex4(s.src[i+6:]); low >= 0xDC00 && low <= 0xDFFF {
			return 12
		}
	}
	s.fail(malformedJSON, "A string holds a lone surrogate, which is no character; write both halves of it")
	return 0
}

// hex4 returns the code unit of a \uXXXX escape at the start of b, or -1.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

// number reads a number token and returns its text.
func (s *scanner) number() ([]byte, bool) {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	switch {
	case s.at('0'):
		s.pos++
	case s.digits() == 0:
		return nil, s.unexpected("a digit")
	}
	if s.at('.') {
		s.pos++
		if s.digits() == 0 {
			return nil, s.unexpected("a digit after the decimal point")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if s.digits() == 0 {
			return nil, s.unexpected("a digit in the exponent")
		}
	}
	return s.src[start:s.pos], true
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.src) && s.src[s.pos] == c }

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.src) && s.src[s.pos] >= '0' && s.src[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

// literal reads one of true, false and null.
func (s *scanner) literal(word string) bool {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(word)) {
		return s.unexpected("a value")
	}
	s.pos += len(word)
	return true
}

// skip reads any value, strictly, and forgets it.
func (s *scanner) skip() bool {
	switch c := s.peek(); c {
	case '{':
		return s.skipObject()
	case '[':
		return s.skipArray()
	case '"':
		_, ok := s.string()
		return ok
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			return s.unexpected("a value")
		}
		_, ok := s.number()
		return ok
	}
}

func (s *scanner) skipObject() bool {
	if !s.enter() {
		return false
	}
	for first := true; s.peek() != '}'; first = false {
		if !first && !s.expect(',') {
			return false
		}
		if _, ok := s.string(); !ok || !s.expect(':') || !s.skip() {
			return false
		}
	}
	return s.leave()
}

func (s *scanner) skipArray() bool {
	if !s.enter() {
		return false
	}
	for first := true; s.peek() != ']'; first = false {
		if !first && !s.expect(',') {
			return false
		}
		if !s.skip() {
			return false
		}
	}
	return s.leave()
}

// text returns the characters that s stands for. It shares memory with the
// source when there is nothing to unescape.
func (s str) text() []byte {
	if !s.escaped {
		return s.raw
	}
	return unescape(make([]byte, 0, len(s.raw)), s.raw)
}

// unescape appends what raw, the inside of a valid JSON string, stands for.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(raw[i-1:])
			i += 4
			if r >= 0xD800 && r <= 0xDFFF {
				r = (r-0xD800)<<10 + hex4(raw[i+1:]) - 0xDC00 + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, raw[i])
		}
	}
	return dst
}

// appendCompact appends the valid JSON in src without the whitespace between
// its tokens.
func appendCompact(dst, src []byte) []byte {
	quoted := false
	start := 0
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			dst = append(dst, src[start:i]...)
			start = i + 1
		}
	}
	return append(dst, src[start:]...)
}
