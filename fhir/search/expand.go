package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// valueSet returns the codes of the value set that text names by its canonical
// URL, or by a relative reference if there is a terminology. https://hl7.org/fhir/R4/search.html#token
func (p *parser) valueSet(text string) []Asked {
	url, ok := p.unescaped(text)
	if !ok {
		return nil
	}
	if p.terminology != nil {
		return p.inquire(inquiry{"in", spec.Coding{Code: url}})
	}
	url, version, _ := strings.Cut(url, "|")
	for _, v := range spec.R4().ValueSets {
		if v.URL == url && (version == "" || version == v.Version) {
			asked := make([]Asked, len(v.Codes))
			for i, c := range v.Codes {
				asked[i] = AskedToken{System: c.System, Code: c.Code}
			}
			return asked
		}
	}
	p.refuse(fhir.NotSupported, "The value set is none of those that come with R4's required bindings; there is no terminology here that knows others. List the codes instead, with commas between them.")
	return nil
}

// related returns the codes above or below a in the hierarchy of its system, and
// a itself.
func (p *parser) related(param *Param, a AskedToken, direction string) []Asked {
	system := a.System
	if a.AnySystem {
		system = param.System
	}
	if a.AnyCode || system == "" {
		p.refuse(fhir.Value, "With :%s a value is system|code: a code alone does not say in which hierarchy it is looked for.", direction)
		return nil
	}
	if p.terminology != nil {
		if !p.isDefined(param, AskedToken{System: system, Code: a.Code}) {
			return nil
		}
		return p.inquire(inquiry{direction, spec.Coding{System: system, Code: a.Code}})
	}
	c := codeSystem(system)
	if c == nil {
		p.refuse(fhir.NotSupported, "The code system is none of those that come with R4's required bindings; there is no terminology here that knows others. List the codes instead, with commas between them.")
		return nil
	}
	asked := []Asked{AskedToken{System: system, Code: a.Code}}
	i := findConcept(c, a.Code)
	if i < 0 {
		if !p.isDefined(param, AskedToken{System: system, Code: a.Code}) {
			return nil
		}
		return asked
	}
	for j := range c.Concepts {
		if j != i && (direction == "above" && descends(c, i, j) || direction == "below" && descends(c, j, i)) {
			asked = append(asked, AskedToken{System: system, Code: c.Concepts[j].Code})
		}
	}
	return asked
}

// descends reports whether the concept at i stands below that at top.
func descends(c *spec.CodeSystem, i, top int) bool {
	for i >= 0 && i != top {
		i = c.Concepts[i].Parent
	}
	return i == top
}

func codeSystem(url string) *spec.CodeSystem {
	for _, c := range spec.R4().CodeSystems {
		if c.URL == url {
			return c
		}
	}
	return nil
}

func findConcept(c *spec.CodeSystem, code string) int {
	return slices.IndexFunc(c.Concepts, func(x spec.Concept) bool {
		return x.Code == code || !c.CaseSensitive && strings.EqualFold(x.Code, code)
	})
}

// isDefined refuses a code that its system does not have, where all values are
// codes of that system. R4 lets a server answer so or find nothing; what finds
// nothing for a typing error hides work that is waiting. For a lenient caller it
// finds nothing, with a warning, and also where the code may be one of another
// type that is searched. https://hl7.org/fhir/R4/search.html#errors
func (p *parser) isDefined(param *Param, a AskedToken) bool {
	if !param.Bare || a.AnyCode || !a.AnySystem && a.System != param.System {
		return true
	}
	c := codeSystem(param.System)
	if c == nil || findConcept(c, a.Code) >= 0 {
		return true
	}
	codes := make([]string, len(c.Concepts))
	for i, x := range c.Concepts {
		codes[i] = x.Code
	}
	if p.request.Lenient || p.several > 0 || len(p.query.Types) != 1 {
		p.warn(fhir.CodeInvalid, "%s has a code that its code system does not define, and that finds nothing.%s", param.Code, hint(a.Code, codes))
		return true
	}
	p.refuse(fhir.CodeInvalid, "%s has no such code.%s", param.Code, hint(a.Code, codes))
	return false
}
