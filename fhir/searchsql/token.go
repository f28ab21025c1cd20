package searchsql

import (
	"strings"
	"unicode/utf8"

	"github.com/openconsult/openconsult/fhir/search"
)

// A token has one key for its code in any system, one for system and code, one
// for its system alone, and for an identifier one for each of its types. A
// parameter whose system goes without saying has the first only. Whether case
// counts is known by the system; where none is asked, both are.

// code appends a code in any system.
func (t tuple) code(code string, folded bool) tuple {
	return append(t, codeKind, caseOf(code, folded)).text(code)
}

// coding appends a system, empty for none, and a code in the case that the system
// compares it in.
func (t tuple) coding(system, code string) tuple {
	return append(t, codingKind).text(system).text(code)
}

// system appends a system alone.
func (t tuple) system(system string) tuple { return append(t, systemKind).text(system) }

// ofType appends an identifier by its type and value.
func (t tuple) ofType(kind search.Token, value string, folded bool) tuple {
	t = append(t, ofTypeKind).text(kind.System).text(kind.Code)
	return append(t, caseOf(value, folded)).text(value)
}

// The cases of a code whose system is not known.
const (
	caseless = iota // has no letters, so that both are the same
	asWritten
	inLowerCase
)

func caseOf(code string, folded bool) byte {
	switch {
	case isCaseless(code):
		return caseless
	case folded:
		return inLowerCase
	}
	return asWritten
}

func isCaseless(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return strings.ToLower(s) == s && strings.ToUpper(s) == s
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return false
		}
	}
	return true
}

func (p *packer) token(v search.Token) {
	if v.Code != "" {
		p.key(p.tuple.code(v.Code, v.Folded))
	}
	p.text(v.Texts...)
	if p.param.Bare {
		return
	}
	p.coding(p.tuple, v)
	for _, kind := range v.Kinds {
		p.key(p.tuple.ofType(kind, v.Code, v.Folded))
	}
}

// coding writes the keys of v that name its system.
func (p *packer) coding(t tuple, v search.Token) {
	if v.Code != "" {
		p.key(t.coding(v.System, v.Code))
	}
	if v.System != "" {
		p.key(t.system(v.System))
	}
}

// identifier writes the identifier of a reference.
func (p *packer) identifier(v search.Token) {
	t := append(p.tuple, identifierKind)
	p.key(t.code(v.Code, v.Folded))
	p.coding(t, v)
}

// askToken returns the condition that p has the token a.
func (c *compiler) askToken(p *search.Param, m search.Modifier, a search.AskedToken) (expr, bool) {
	t := newTuple(p)
	switch {
	case m == search.OfType:
		return c.askOfType(t, a)
	case m == search.Text:
		return startsText(a.Text), false
	case m == search.Below:
		return present(p), false
	case p.Bare:
		return c.askBare(p, a), true
	}
	tails, exact := tokenTails(a)
	return c.keys(t, tails), exact
}

// askBare is for codes of one system, which goes without saying.
func (c *compiler) askBare(p *search.Param, a search.AskedToken) expr {
	switch {
	case !a.AnySystem && a.System != p.System:
		return never{}
	case a.AnyCode:
		return present(p)
	case search.IsCaseSensitive(p.System):
		return anyKey{c.secret.hash(newTuple(p).code(a.Code, false))}
	}
	return anyKey{c.secret.hash(newTuple(p).code(search.FoldCase(a.Code), true))}
}

// tokenTails returns the ends of the tuples that a token may have that answers a.
// It is not exact when others have them too.
func tokenTails(a search.AskedToken) (tails []tuple, exact bool) {
	switch {
	case a.AnyCode:
		return []tuple{tuple(nil).system(a.System)}, true
	case !a.AnySystem:
		return []tuple{tuple(nil).coding(a.System, compared(a))}, true
	}
	folded := search.FoldCase(a.Code)
	tails = append(tails, tuple(nil).code(a.Code, false))
	if folded != a.Code || !isCaseless(folded) {
		tails = append(tails, tuple(nil).code(folded, true))
	}
	return tails, folded == a.Code || !isCaseless(folded)
}

// compared returns the code in the case that its system compares it in.
func compared(a search.AskedToken) string {
	if search.IsCaseSensitive(a.System) {
		return a.Code
	}
	return search.FoldCase(a.Code)
}

func (c *compiler) askOfType(t tuple, a search.AskedToken) (expr, bool) {
	kind := search.Token{System: a.Kind.System, Code: compared(*a.Kind)}
	folded := search.FoldCase(a.Code)
	return anyKey{
		c.secret.hash(t.ofType(kind, a.Code, false)),
		c.secret.hash(t.ofType(kind, folded, true)),
	}, folded == a.Code || !isCaseless(folded)
}
