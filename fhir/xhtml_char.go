package fhir

import (
	"bytes"
	"encoding/xml"
	"unicode/utf8"
)

// xhtmlLegal reports whether s is UTF-8 made of the characters of
// https://www.w3.org/TR/xml/#charsets.
func xhtmlLegal(s []byte) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' && !xhtmlSpace(c) {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if n == 1 || !xhtmlRuneLegal(r) {
			return false
		}
		i += n
	}
	return true
}

func xhtmlRuneLegal(r rune) bool {
	if r < ' ' {
		return r == '\t' || r == '\n' || r == '\r'
	}
	return utf8.ValidRune(r) && r != 0xFFFE && r != 0xFFFF
}

func xhtmlSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// xhtmlRune returns the character at s[i], and where the next one begins: 0 when
// s[i] begins a reference that is not complete or not known.
func xhtmlRune(s []byte, i int) (rune, int) {
	switch {
	case s[i] == '&':
		return xhtmlReference(s, i)
	case s[i] < utf8.RuneSelf:
		return rune(s[i]), i + 1
	}
	r, n := utf8.DecodeRune(s[i:])
	return r, i + n
}

func xhtmlReference(s []byte, i int) (rune, int) {
	const longest = 12 // "&#x0010FFFF;"
	rest := s[i+1 : min(len(s), i+longest)]
	n := bytes.IndexByte(rest, ';')
	if n < 1 {
		return 0, 0
	}
	r := xhtmlReferred(rest[:n])
	if r == 0 {
		return 0, 0
	}
	return r, i + n + 2
}

// xhtmlReferred returns the character that a reference stands for, or 0. The
// names are those of XML and of HTML 4, which has none for ASCII punctuation
// such as the colon.
func xhtmlReferred(name []byte) rune {
	switch string(name) {
	case "amp":
		return '&'
	case "lt":
		return '<'
	case "gt":
		return '>'
	case "quot":
		return '"'
	case "apos":
		return '\''
	}
	if name[0] == '#' {
		return xhtmlNumber(name[1:])
	}
	r, n := utf8.DecodeRuneInString(xml.HTMLEntity[string(name)])
	if n == 0 {
		return 0
	}
	return r
}

func xhtmlNumber(digits []byte) rune {
	radix := rune(10)
	if len(digits) > 0 && digits[0] == 'x' {
		radix, digits = 16, digits[1:]
	}
	var r rune
	for _, c := range digits {
		d := xhtmlDigit(c)
		if d >= radix || r > utf8.MaxRune {
			return 0
		}
		r = r*radix + d
	}
	if !xhtmlRuneLegal(r) {
		return 0
	}
	return r
}

func xhtmlDigit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return 16
}
