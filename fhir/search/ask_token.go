package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// mimeTypes is the system of codes such as text/xml.
const mimeTypes = "urn:ietf:bcp:13"

// askTokens reads one alternative of a token parameter, which a modifier may
// turn into several tokens. https://hl7.org/fhir/R4/search.html#token
func (p *parser) askTokens(param *Param, m modifier, text string) []Asked {
	switch {
	case m.codes == "in":
		return p.valueSet(text)
	case m.Modifier == Text:
		return one(p.askText(text))
	case m.Modifier == OfType:
		return one(p.askOfType(text))
	}
	a, ok := p.askToken(text)
	if !ok || !p.isTruth(param, a) {
		return nil
	}
	if param.Contact {
		a.Code = FoldContact(repairPlus(a.Code))
	}
	if m.codes != "" {
		return p.related(param, a, m.codes)
	}
	if m.Modifier == Plain && !p.isDefined(param, a) {
		return nil
	}
	return []Asked{a}
}

// repairPlus puts back the plus before a phone number, which form decoding makes
// a space.
func repairPlus(code string) string {
	if len(code) > 1 && code[0] == ' ' && code[1] >= '0' && code[1] <= '9' {
		return "+" + code[1:]
	}
	return code
}

// isTruth refuses what is neither true nor false where all values are booleans.
func (p *parser) isTruth(param *Param, a AskedToken) bool {
	if !param.Bare || param.System != booleanSystem {
		return true
	}
	if (a.AnySystem || a.System == booleanSystem) && (a.Code == "true" || a.Code == "false") {
		return true
	}
	p.refuse(fhir.Value, "%s is true or false.", param.Code)
	return false
}

// askToken reads code, system|code, |code or system|.
func (p *parser) askToken(text string) (AskedToken, bool) {
	parts, ok := p.parts(text)
	switch {
	case !ok:
		return AskedToken{}, false
	case len(parts) == 1:
		return AskedToken{AnySystem: true, Code: parts[0]}, true
	case len(parts) > 2:
		p.refuse(fhir.Value, `A token is code, system|code, |code or system|; a | in a code is written \|.`)
		return AskedToken{}, false
	case parts[0] == "" && parts[1] == "":
		p.refuse(fhir.Value, "A token needs a system or a code beside the |.")
		return AskedToken{}, false
	}
	return AskedToken{System: parts[0], Code: parts[1], AnyCode: parts[1] == ""}, true
}

// askOfType reads system|code|value of an identifier with a type.
func (p *parser) askOfType(text string) (AskedToken, bool) {
	parts, ok := p.parts(text)
	if !ok {
		return AskedToken{}, false
	}
	if len(parts) != 3 || slices.Contains(parts, "") {
		p.refuse(fhir.Value, "With :of-type a value is system|code|value: system and code of the identifier's type, then its value.")
		return AskedToken{}, false
	}
	return AskedToken{AnySystem: true, Code: parts[2], Kind: &AskedToken{System: parts[0], Code: parts[1]}}, true
}

// askText reads the beginning of a text that goes with a code.
func (p *parser) askText(text string) (AskedToken, bool) {
	s, ok := p.unescaped(text)
	if !ok {
		return AskedToken{}, false
	}
	a := AskedToken{Text: Fold(s)}
	if a.Text == "" {
		p.refuse(fhir.Value, "The text has no letters to search for.")
		return AskedToken{}, false
	}
	return a, true
}

// parts returns what stands between the bars of text, without backslashes.
func (p *parser) parts(text string) ([]string, bool) {
	parts := split(text, '|')
	for i, s := range parts {
		var ok bool
		if parts[i], ok = p.unescaped(s); !ok {
			return nil, false
		}
	}
	return parts, true
}

// Matches reports whether t answers a. The modifiers Text, OfType, Below (of
// media types: text/xml is above text/xml;charset=utf-8) and Differs change what
// is compared; all others compare the code.
func (a AskedToken) Matches(t Token, m Modifier) bool {
	switch m {
	case Text:
		return slices.ContainsFunc(t.Texts, func(s string) bool { return strings.HasPrefix(s, a.Text) })
	case OfType:
		return a.matchesCode(t) && slices.ContainsFunc(t.Kinds, a.Kind.matches)
	case Below:
		return a.matches(t) || a.matchesSystem(t) && strings.HasPrefix(t.Code, a.codeFor(t)+";")
	case Differs:
		return !a.matches(t)
	}
	return a.matches(t)
}

func (a *AskedToken) matches(t Token) bool { return a.matchesSystem(t) && a.matchesCode(t) }

func (a *AskedToken) matchesSystem(t Token) bool { return a.AnySystem || a.System == t.System }

func (a *AskedToken) matchesCode(t Token) bool { return a.AnyCode || a.codeFor(t) == t.Code }

// codeFor returns the code asked in the form in which t has its own.
func (a *AskedToken) codeFor(t Token) string {
	if t.Folded {
		return FoldCase(a.Code)
	}
	return a.Code
}
