package fhir

import (
	"bytes"
	"unicode/utf8"
)

// An xhtmlHead is the beginning of an address as browsers understand it: with
// references resolved, without blanks, in lower case, and with 0x80 for whatever
// is not ASCII.
type xhtmlHead struct {
	b [48]byte
	n int
}

func xhtmlHeadOf(value []byte) xhtmlHead {
	var h xhtmlHead
	for i := 0; i < len(value) && h.n < len(h.b); {
		r, next := xhtmlRune(value, i)
		i = next
		if r > ' ' {
			h.b[h.n] = xhtmlFold(r)
			h.n++
		}
	}
	return h
}

func xhtmlFold(r rune) byte {
	switch {
	case r >= utf8.RuneSelf:
		return utf8.RuneSelf
	case 'A' <= r && r <= 'Z':
		return byte(r) | 0x20
	}
	return byte(r)
}

// xhtmlLink reports whether an address is relative or of an accepted scheme.
func xhtmlLink(value []byte, image bool) bool {
	h := xhtmlHeadOf(value)
	head := h.b[:h.n]
	n := bytes.IndexAny(head, ":/?#")
	switch {
	case n < 0:
		// What does not fit must not turn out to have a scheme further on.
		return h.n < len(h.b) || !bytes.ContainsAny(value, ":&")
	case head[n] != ':':
		return true
	case image:
		return xhtmlImageData(head) || string(head[:n]) == "http" || string(head[:n]) == "https"
	}
	switch string(head[:n]) {
	case "http", "https", "mailto", "tel", "ftp", "urn":
		return true
	}
	return false
}

func xhtmlImageData(head []byte) bool {
	kind, ok := bytes.CutPrefix(head, []byte("data:image/"))
	if !ok {
		return false
	}
	kind, _, ok = bytes.Cut(kind, []byte(";base64,"))
	switch string(kind) {
	case "png", "jpeg", "gif", "webp":
		return ok
	}
	return false
}

// xhtmlStyle refuses style that could load or run something. It looks at every
// parenthesis, in strings too, and at no escapes, because it accepts none.
func xhtmlStyle(value []byte) bool {
	var word xhtmlHead
	blank := false
	for i := 0; i < len(value); {
		r, next := xhtmlRune(value, i)
		c := xhtmlFold(r)
		switch {
		case c <= ' ':
			blank = true
		case xhtmlWordByte(c):
			if blank {
				word.n, blank = 0, false
			}
			word.add(c)
		case !xhtmlStyleMark(c, word.b[:word.n], value[next:]):
			return false
		default:
			word.n, blank = 0, false
		}
		i = next
	}
	return true
}

// add appends c. A word that does not fit matches none that is looked for.
func (h *xhtmlHead) add(c byte) {
	if h.n < len(h.b) {
		h.b[h.n] = c
		h.n++
	}
}

func xhtmlWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c >= utf8.RuneSelf
}

// xhtmlStyleMark judges a character that ends a word of a style.
func xhtmlStyleMark(c byte, word, rest []byte) bool {
	switch c {
	case '\\', '@', '<':
		return false
	case '/':
		return len(rest) == 0 || !xhtmlStar(rest)
	case ':':
		return xhtmlProperty(word)
	case '(':
		return xhtmlFunction(word, rest)
	}
	return true
}

func xhtmlStar(rest []byte) bool {
	r, _ := xhtmlRune(rest, 0)
	return r == '*'
}

// xhtmlProperty refuses what old browsers run.
func xhtmlProperty(word []byte) bool {
	switch string(word) {
	case "behavior", "behaviour", "-moz-binding", "javascript", "vbscript":
		return false
	}
	return true
}

func xhtmlFunction(word, rest []byte) bool {
	switch string(word) {
	case "", "rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "minmax", "clamp", "repeat", "var",
		"linear-gradient", "radial-gradient", "rotate", "scale", "translate":
		return true
	case "url":
		h := xhtmlHeadOf(rest)
		return xhtmlImageData(bytes.TrimLeft(h.b[:h.n], `'"`))
	}
	return false
}
