package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A modifier is what follows the colon of a parameter, as it was understood.
// https://hl7.org/fhir/R4/search.html#modifiers
type modifier struct {
	Modifier        // what is left of it in the Test
	negated  bool   // :not, :not-in
	codes    string // "in", "above" or "below": the tokens are found in the terminology
	target   string // :[type] of a reference
	name     string // the parameter with its modifier
}

// modifier reads the modifier in name, which is code or code:modifier.
func (p *parser) modifier(param *Param, name string) (m modifier, ok bool) {
	_, text, modified := strings.Cut(name, ":")
	m.name = name
	switch {
	case !modified:
		return m, true
	case !slices.Contains(modifiersOf(param), text):
		p.unknownModifier(param, text)
		return m, false
	case isTarget(param, text):
		m.target = text
		return m, true
	}
	switch text {
	case "missing":
		m.Modifier = Missing
	case "exact":
		m.Modifier = Exact
	case "contains":
		m.Modifier = Contains
	case "text":
		m.Modifier = Text
	case "of-type":
		m.Modifier = OfType
	case "identifier":
		m.Modifier = Identifier
	case "not":
		m.negated = true
	case "in", "not-in":
		m.codes, m.negated = "in", text == "not-in"
	case "above", "below":
		m.hierarchy(param, text)
	}
	return m, true
}

// hierarchy is :above or :below, which is a matter of codes for a token, and of
// the text for anything else.
func (m *modifier) hierarchy(param *Param, text string) {
	switch {
	case param.Type == TokenType && param.System != mimeTypes:
		m.codes = text
	case text == "above":
		m.Modifier = Above
	default:
		m.Modifier = Below
	}
}

// unknownModifier refuses a modifier that param does not take.
func (p *parser) unknownModifier(param *Param, text string) {
	valid := modifiersOf(param)
	if param.Type == ReferenceType && spec.R4().Resource(text) != nil {
		p.refuse(fhir.Value, "%s does not point to %s. It points to: %s.", param.Code, text, listed(param.Targets))
		return
	}
	if len(valid) == 0 {
		p.refuse(fhir.NotSupported, "The search parameter %s takes no modifier.", param.Code)
		return
	}
	p.refuse(fhir.NotSupported, "The search parameter %s does not take the modifier %s.%s", param.Code, quote(text), hint(text, valid))
}

// isTarget reports whether text is a type that param may point to.
func isTarget(param *Param, text string) bool {
	if param.Type != ReferenceType {
		return false
	}
	return slices.Contains(param.Targets, text) || len(param.Targets) == 0 && spec.R4().Resource(text) != nil
}

// modifiersOf returns the modifiers that param takes.
func modifiersOf(param *Param) []string {
	switch param.Type {
	case StringType:
		return []string{"missing", "exact", "contains"}
	case TokenType:
		if param.System == mimeTypes {
			return []string{"missing", "not", "below"}
		}
		names := []string{"missing", "text", "not", "in", "not-in", "above", "below"}
		if !param.Bare {
			names = append(names, "of-type")
		}
		return names
	case URIType:
		return []string{"missing", "above", "below"}
	case ReferenceType:
		if param.Canonical {
			return append([]string{"missing", "below"}, targetsOf(param)...)
		}
		return append([]string{"missing", "identifier"}, targetsOf(param)...)
	case NumberType, DateType, QuantityType:
		return []string{"missing"}
	}
	return nil
}

// targetsOf returns the types that param may point to; all for any.
func targetsOf(param *Param) []string {
	if len(param.Targets) == 0 {
		return resourceTypes()
	}
	return param.Targets
}
