package terminology

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A words is a text that is searched for, word by word, in lower case.
type words []string

func wordsOf(text string) words {
	return strings.FieldsFunc(strings.ToLower(text), between)
}

func between(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }

// match reports whether every word begins a word of the display, of a designation or
// of the code.
func (w words) match(c *concept) bool {
	for _, word := range w {
		if !begins(c.display, word) && !begins(c.code, word) &&
			!slices.ContainsFunc(c.designations, func(d designation) bool { return begins(d.value, word) }) {
			return false
		}
	}
	return true
}

// begins reports whether a word of text begins with word, which is in lower case.
func begins(text, word string) bool {
	text = strings.ToLower(text)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		if before, _ := utf8.DecodeLastRuneInString(text[:i]); i == 0 || between(before) {
			return true
		}
		from = i + 1
	}
}
