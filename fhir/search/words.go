package search

import (
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// maxWord is the length of the longest word in bytes; what follows is not looked
// at.
const maxWord = 64

// WordsOf returns the distinct folded words of a resource in alphabetical order:
// those of all its strings, markdown and narrative, names and displays included,
// or, with narrative, only those of its own narrative.
// https://hl7.org/fhir/R4/search.html#content
func WordsOf(root fhir.Node, narrative bool) []string {
	w := make(words, 64)
	if narrative {
		w.addMarkup(root.Child("text").Child("div").Text())
	} else {
		w.addAll(root)
	}
	return w.sorted()
}

// SplitWords returns the distinct folded words of s in alphabetical order, as
// [WordsOf] makes them.
func SplitWords(s string) []string {
	w := words{}
	w.add(s)
	return w.sorted()
}

type words map[string]struct{}

func (w words) sorted() []string {
	all := make([]string, 0, len(w))
	for word := range w {
		all = append(all, word)
	}
	slices.Sort(all)
	return all
}

func (w words) addAll(n fhir.Node) {
	if n.HasValue() {
		switch n.Type().Primitive {
		case spec.String, spec.Markdown:
			w.add(n.Text())
		case spec.XHTML:
			w.addMarkup(n.Text())
		}
	}
	for c := range n.Children() {
		w.addAll(c)
	}
}

func (w words) add(s string) {
	for word := range strings.FieldsFuncSeq(Fold(s), isNoLetter) {
		w[cutWord(word)] = struct{}{}
	}
}

// isNoLetter reports whether r stands between words.
func isNoLetter(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
}

// cutWord cuts a word at a rune's end within maxWord bytes.
func cutWord(word string) string {
	if len(word) <= maxWord {
		return word
	}
	n := maxWord
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// addMarkup adds the text of XHTML that has been checked.
func (w words) addMarkup(s string) {
	var text strings.Builder
	for s != "" {
		before, rest, _ := strings.Cut(s, "<")
		text.WriteString(before)
		var tag string
		if strings.HasPrefix(rest, "!--") {
			_, rest, _ = strings.Cut(rest, "-->")
		} else {
			tag, rest, _ = strings.Cut(rest, ">")
		}
		if !isInline(tag) {
			text.WriteByte(' ')
		}
		s = rest
	}
	w.add(html.UnescapeString(text.String()))
}

// isInline reports whether a tag stands within words: bo<b>ld</b>. A comment
// does too.
func isInline(tag string) bool {
	name := strings.TrimLeft(tag, "/")
	if i := strings.IndexAny(name, " \t\r\n/"); i >= 0 {
		name = name[:i]
	}
	switch name {
	case "", "a", "abbr", "acronym", "b", "big", "cite", "code", "dfn", "em", "i", "kbd", "q", "s", "samp", "small", "span", "strong", "tt", "u", "var":
		return true
	}
	return false
}
