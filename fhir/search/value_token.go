package search

import (
	"slices"
	"strings"
	"sync"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// tokens adds what a token parameter finds at n.
// https://hl7.org/fhir/R4/search.html#token
func (h *harvest) tokens(n fhir.Node, f *find) {
	t := n.Type()
	if t.Primitive == spec.Boolean || isText(t.Primitive) {
		code := n.Text()
		h.addToken(f.param, f.implied(n, code), code)
		return
	}
	switch t.Name {
	case "Coding":
		h.coding(n, f.param, "")
	case "CodeableConcept":
		h.concept(n, f.param)
	case "Identifier":
		if token, ok := h.identifier(n); ok {
			h.add(f.param, token)
		}
	case "ContactPoint":
		h.contact(n, f.param)
	}
}

// implied returns the code system of a primitive.
func (f *find) implied(n fhir.Node, code string) string {
	switch {
	case n.Type().Primitive == spec.Boolean:
		return booleanSystem
	case f.systems != nil:
		return f.systems[code]
	}
	return f.system
}

func (h *harvest) addToken(p *Param, system, code string) {
	if code != "" {
		h.add(p, newToken(system, code))
	}
}

func newToken(system, code string) Token {
	if code == "" || IsCaseSensitive(system) {
		return Token{System: system, Code: code}
	}
	return Token{System: system, Code: FoldCase(code), Folded: true}
}

// coding adds a Coding of a concept with that text, which may be empty.
func (h *harvest) coding(n fhir.Node, p *Param, text string) {
	token := newToken(n.Child("system").Text(), n.Child("code").Text())
	token.Texts = h.folded(text, n.Child("display").Text())
	if token.Code != "" || token.Texts != nil {
		h.add(p, token)
	}
}

// concept adds the codings; the text goes with the first of them, or alone.
func (h *harvest) concept(n fhir.Node, p *Param) {
	text := n.Child("text").Text()
	before := len(h.entries)
	for c := range n.Each("coding") {
		h.coding(c, p, text)
		if len(h.entries) > before {
			text = ""
		}
	}
	if texts := h.folded(text); text != "" && texts != nil {
		h.add(p, Token{Texts: texts})
	}
}

// identifier returns the token of an Identifier. It is not ok without a value.
func (h *harvest) identifier(n fhir.Node) (token Token, ok bool) {
	value := n.Child("value").Text()
	if value == "" {
		return Token{}, false
	}
	token = newToken(n.Child("system").Text(), value)
	kind := n.Child("type")
	if kind.IsZero() {
		return token, true
	}
	token.Texts = h.folded(kind.Child("text").Text())
	for c := range kind.Each("coding") {
		if code := c.Child("code").Text(); code != "" {
			token.Kinds = append(token.Kinds, newToken(c.Child("system").Text(), code))
		}
	}
	return token, true
}

// contact adds a ContactPoint, whose system is its use.
func (h *harvest) contact(n fhir.Node, p *Param) {
	value := FoldCase(n.Child("value").Text())
	if p.Contact {
		value = FoldContact(value)
	}
	if value != "" {
		h.add(p, Token{System: n.Child("use").Text(), Code: value, Folded: true})
	}
}

// folded returns those texts that are not empty, folded, the same one once.
func (h *harvest) folded(texts ...string) []string {
	start := len(h.texts)
	for _, text := range texts {
		if text = Fold(text); text != "" && !slices.Contains(h.texts[start:], text) {
			h.texts = append(h.texts, text)
		}
	}
	if len(h.texts) == start {
		return nil
	}
	return h.texts[start:len(h.texts):len(h.texts)]
}

// FoldContact returns the value of a ContactPoint as it is compared: a phone
// number without its punctuation, anything else in lower case.
func FoldContact(value string) string {
	number := make([]byte, 0, 24)
	for i := range len(value) {
		switch c := value[i]; {
		case c >= '0' && c <= '9' || c == '+' && len(number) == 0:
			number = append(number, c)
		case strings.IndexByte(" ()-./\u00a0", c) < 0:
			return FoldCase(value)
		}
	}
	if len(number) < 3 {
		return FoldCase(value)
	}
	return string(number)
}

// IsCaseSensitive reports whether the codes of a system are known to differ by
// case. Those of other systems, and values of identifiers, are compared without
// it. https://hl7.org/fhir/R4/search.html#token
func IsCaseSensitive(system string) bool {
	if system == "" {
		return false
	}
	_, ok := caseSensitive()[system]
	return ok
}

var caseSensitive = sync.OnceValue(func() map[string]struct{} {
	all := map[string]struct{}{booleanSystem: {}, ucumSystem: {}}
	for _, s := range spec.R4().CodeSystems {
		if s.CaseSensitive {
			all[s.URL] = struct{}{}
		}
	}
	return all
})
