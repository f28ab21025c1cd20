package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// askString reads one alternative of a string parameter.
// https://hl7.org/fhir/R4/search.html#string
func (p *parser) askString(m modifier, text string) (AskedString, bool) {
	s, ok := p.unescaped(text)
	if !ok {
		return AskedString{}, false
	}
	a := AskedString{Text: s, Folded: Fold(s)}
	if a.Folded == "" && m.Modifier != Exact {
		p.refuse(fhir.Value, "The value has no letters to search for.")
		return AskedString{}, false
	}
	return a, true
}

// Matches reports whether s answers a: whether it starts with it, or with a
// modifier, is exactly it (Exact), has it somewhere (Contains), is it but for
// case and marks (Whole), is not (Differs), or ends with it (Ends).
func (a AskedString) Matches(s String, m Modifier) bool {
	switch m {
	case Exact:
		return s.Text == a.Text
	case Contains:
		return strings.Contains(s.Folded, a.Folded)
	case Whole:
		return s.Folded == a.Folded
	case Differs:
		return s.Folded != a.Folded
	case Ends:
		return strings.HasSuffix(s.Folded, a.Folded)
	}
	return strings.HasPrefix(s.Folded, a.Folded)
}
