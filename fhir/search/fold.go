package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns s as string searches compare it: in lower case, without accents
// and other marks that a writer may leave out, in compatibility form (full-width
// letters and ligatures as plain ones), each run of white space one space, and
// none at the ends. Letters that are written in two ways become one: ß is ss, ø
// is o. Folding twice changes nothing, and what comes out has no control
// characters. https://hl7.org/fhir/R4/search.html#string
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf {
			return foldRunes(s)
		} else if c <= ' ' && !isSingleSpace(s, i) || c == 0x7f || c >= 'A' && c <= 'Z' {
			return foldASCII(s)
		}
	}
	return s
}

// FoldCase returns s in lower case, and otherwise as it is: how codes of systems
// that are not known to be case-sensitive are compared.
func FoldCase(s string) string { return strings.ToLower(s) }

// isSingleSpace reports whether s has a space at i that folding keeps.
func isSingleSpace(s string, i int) bool {
	return s[i] == ' ' && i > 0 && i+1 < len(s) && s[i-1] != ' '
}

func foldASCII(s string) string {
	dst := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return foldRunes(s)
		case c <= ' ' || c == 0x7f:
			dst = appendSpace(dst)
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, c)
		}
	}
	return string(trimSpace(dst))
}

func foldRunes(s string) string {
	dst := make([]byte, 0, len(s)+8)
	var it norm.Iter
	for it.InitString(norm.NFKD, s); !it.Done(); {
		for part := it.Next(); len(part) > 0; {
			r, size := utf8.DecodeRune(part)
			dst = appendFolded(dst, r)
			part = part[size:]
		}
	}
	return string(trimSpace(dst))
}

// appendFolded appends a rune that has been decomposed.
func appendFolded(dst []byte, r rune) []byte {
	switch {
	case unicode.IsSpace(r) || unicode.Is(unicode.Cc, r):
		return appendSpace(dst)
	case isMark(r) || unicode.Is(unicode.Cf, r):
		return dst
	}
	r = unicode.ToLower(r)
	if s := plainLetter(r); s != "" {
		return append(dst, s...)
	}
	return utf8.AppendRune(dst, r)
}

func appendSpace(dst []byte) []byte {
	if len(dst) == 0 || dst[len(dst)-1] == ' ' {
		return dst
	}
	return append(dst, ' ')
}

func trimSpace(dst []byte) []byte {
	if n := len(dst); n > 0 && dst[n-1] == ' ' {
		return dst[:n-1]
	}
	return dst
}

// isMark reports whether r is a mark that a writer may leave out: an accent, or
// a vowel point of Hebrew or Arabic. The marks of Indic scripts are letters to
// their writers, and so are the voicing marks of kana.
func isMark(r rune) bool {
	if r == '\u3099' || r == '\u309a' || !unicode.Is(unicode.Mn, r) {
		return false
	}
	return unicode.In(r, unicode.Inherited, unicode.Hebrew, unicode.Arabic)
}

// plainLetter returns how the letter r, in lower case, is written where it is
// not at hand, or "". Only what Unicode does not decompose stands here.
func plainLetter(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ø':
		return "o"
	case 'đ', 'ð':
		return "d"
	case 'ħ':
		return "h"
	case 'ı':
		return "i"
	case 'ł':
		return "l"
	case 'ŋ':
		return "n"
	case 'ŧ':
		return "t"
	case 'þ':
		return "th"
	case 'ς':
		return "σ"
	}
	return ""
}
