package searchsql

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/search"
)

// A string has a key for each of its beginnings up to maxPrefix characters and
// one for all of it as it stands. Longer beginnings and what stands in the middle
// are looked for in res.strs, which has the strings and the texts of tokens of
// all parameters; whose they are is left to search.Match.

// maxPrefix is the length of the longest beginning with a key, in characters.
const maxPrefix = 8

// textSeparator stands before and behind each text in res.strs, and between the
// parts of res.sorts. Folded text has no control characters.
const textSeparator = "\x1f"

func (t tuple) prefix(folded string) tuple { return append(t, prefixKind).text(folded) }

func (t tuple) exact(text string) tuple { return append(t, exactKind).text(text) }

func (p *packer) string(v search.String) {
	for prefix := range prefixes(v.Folded) {
		p.key(p.tuple.prefix(prefix))
	}
	p.key(p.tuple.exact(v.Text))
	p.text(v.Folded)
}

// prefixes yields the beginnings of s up to maxPrefix characters.
func prefixes(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		end := 0
		for range maxPrefix {
			if end == len(s) {
				return
			}
			_, size := utf8.DecodeRuneInString(s[end:])
			end += size
			if !yield(s[:end]) {
				return
			}
		}
	}
}

// longestPrefix returns the longest beginning of s that has a key.
func longestPrefix(s string) (prefix string) {
	for prefix = range prefixes(s) {
	}
	return prefix
}

// text keeps texts for res.strs.
func (p *packer) text(folded ...string) { p.texts = append(p.texts, folded...) }

// strs returns the content of res.strs.
func strs(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	size := len(textSeparator)
	for _, t := range texts {
		size += len(t) + len(textSeparator)
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(textSeparator)
	for _, t := range texts {
		b.WriteString(storable(t))
		b.WriteString(textSeparator)
	}
	return b.String()
}

// askString returns the condition that p has the string a.
func (c *compiler) askString(p *search.Param, m search.Modifier, a search.AskedString) (expr, bool) {
	switch {
	case m == search.Exact:
		return anyKey{c.secret.hash(newTuple(p).exact(a.Text))}, true
	case a.Folded == "":
		return present(p), true
	case m == search.Contains:
		return containsText(a.Folded), false
	}
	if m == search.Ends {
		return containsText(a.Folded + textSeparator), false
	}
	prefix := longestPrefix(a.Folded)
	begins := anyKey{c.secret.hash(newTuple(p).prefix(prefix))}
	switch {
	case m == search.Whole:
		return conj{begins, startsText(a.Folded + textSeparator)}, false
	case prefix == a.Folded:
		return begins, true
	}
	return conj{begins, startsText(a.Folded)}, false
}

// startsText holds when some text of the resource starts with folded.
func startsText(folded string) expr {
	return containsText(textSeparator + folded)
}

// containsText holds when some text of the resource has part in it, which may
// begin or end with textSeparator.
func containsText(part string) expr {
	return predicate(Predicate{filter: func(b *Builder) {
		b.SQL("strpos(r.strs, ")
		b.Arg(part)
		b.SQL(") > 0")
	}})
}

// storable returns s without what a text column cannot hold and what separates
// its parts.
func storable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

func isControl(r rune) bool { return r < ' ' }
