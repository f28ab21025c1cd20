package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A scope is where a criterion stands: the type of the resources it is about,
// which is empty for all, and how many links lead there.
type scope struct {
	typ   string
	depth int
}

// condition reads a criterion, such as status:not=completed; nil is one that was
// refused.
func (p *parser) condition(at scope, name, value string) Condition {
	c, negated := p.positive(at, name, value)
	if c == nil {
		return nil
	}
	return negate(c, negated)
}

// negate returns c or its opposite.
func negate(c Condition, negated bool) Condition {
	if !negated {
		return c
	}
	if t, ok := c.(*Test); ok && t.Modifier == Missing {
		missing := *t
		missing.Missing = true
		return &missing
	}
	return Not{c}
}

// positive reads a criterion without the negation that its modifier may mean.
func (p *parser) positive(at scope, name, value string) (c Condition, negated bool) {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return p.has(at, rest, value), false
	}
	if link, rest, ok := strings.Cut(name, "."); ok {
		return p.chain(at, link, criterion{rest, value}), false
	}
	code, modifier, _ := strings.Cut(name, ":")
	if isCommon(code) {
		return p.common(code, modifier, value)
	}
	param := p.param(at.typ, code)
	if param == nil {
		return nil, false
	}
	m, ok := p.modifier(param, name)
	if !ok {
		return nil, false
	}
	if m.Modifier == Missing {
		return p.missing(param, name, value)
	}
	return p.test(param, m, value), m.negated
}

// A criterion is the part of a parameter that is about the end of a link.
type criterion struct{ name, value string }

// test reads the alternatives of value.
func (p *parser) test(param *Param, m modifier, value string) Condition {
	t := &Test{Param: param, Modifier: m.Modifier, Name: m.name}
	before := len(p.issues)
	for _, alternative := range p.alternatives(value) {
		t.Values = append(t.Values, p.asked(param, m, alternative)...)
	}
	if len(t.Values) > MaxCodes {
		p.bound("The values of a parameter stand for %d codes at most.", MaxCodes)
	}
	if len(p.issues) > before {
		return nil
	}
	return t
}

// missing reads the value of :missing.
func (p *parser) missing(param *Param, name, value string) (c Condition, negated bool) {
	if value != "true" && value != "false" {
		p.refuse(fhir.Value, "%s is true or false.", quote(name))
		return nil, false
	}
	return &Test{Param: param, Modifier: Missing, Name: name}, value == "true"
}

// asked reads one alternative of what is asked of param; none when it was
// refused.
func (p *parser) asked(param *Param, m modifier, text string) []Asked {
	switch param.Type {
	case TokenType:
		return p.askTokens(param, m, text)
	case StringType:
		return one(p.askString(m, text))
	case ReferenceType:
		return one(p.askReference(param, m, text))
	case DateType:
		return one(p.askDate(text))
	case NumberType:
		return one(p.askNumber(text))
	case QuantityType:
		return one(p.askQuantity(text))
	case URIType:
		return one(p.askURI(param, m, text))
	case CompositeType:
		return one(p.askComposite(param, text))
	}
	p.refuse(fhir.NotSupported, "The search parameter %s is not supported.", quote(param.Code))
	return nil
}

func one[T Asked](a T, ok bool) []Asked {
	if !ok {
		return nil
	}
	return []Asked{a}
}

// param returns the parameter of that code for resources of type typ, or nil
// when there is none that can be searched by, which it says.
func (p *parser) param(typ, code string) *Param {
	param := p.registry.Param(typ, code)
	switch {
	case param == nil:
		p.refuse(fhir.NotSupported, "There is no search parameter %s for %s.%s", quote(code), ofType(typ), hint(code, p.codes(typ)))
	case param.State == Building:
		p.fatal = true
		p.refuse(fhir.Transient, "The search parameter %s is being built, %d %% of the resources are done; ask again later.", param.Code, param.Percent)
		return nil
	case param.State == Failed:
		p.fatal = true
		p.refuse(fhir.NotSupported, "The search parameter %s could not be built; whoever runs the server can say why.", param.Code)
		return nil
	case param.Type == SpecialType:
		p.refuse(fhir.NotSupported, "The search parameter %s is not supported.", param.Code)
		return nil
	}
	return param
}

// codes returns the names that stand for criteria of resources of type typ.
func (p *parser) codes(typ string) []string {
	codes := []string{"_content", "_filter", "_has", "_id", "_lastUpdated", "_list", "_text", "_type"}
	for _, param := range p.registry.Params(typ) {
		if param.Type != SpecialType {
			codes = append(codes, param.Code)
		}
	}
	return append(codes, "_count", "_elements", "_include", "_revinclude", "_sort", "_summary", "_total")
}

func ofType(typ string) string {
	if typ == "" {
		return "all resource types"
	}
	return typ
}

// alternatives returns the values between the commas of value, still escaped.
func (p *parser) alternatives(value string) []string {
	list := split(value, ',')
	if len(list) > MaxAlternatives {
		p.bound("A parameter has %d values between commas at most.", MaxAlternatives)
		return nil
	}
	for _, text := range list {
		switch {
		case text == "":
			p.refuse(fhir.Value, "A value is missing: there is nothing after the = or beside a comma.")
			return nil
		case len(text) > MaxValue:
			p.fatal = true
			p.refuse(fhir.TooLong, "A value has %d bytes at most.", MaxValue)
			return nil
		}
	}
	return list
}

// common reads a criterion that needs no definition.
func (p *parser) common(code, modifier, value string) (c Condition, negated bool) {
	if modifier != "" && (code != "_id" || modifier != "not") {
		valid := ""
		if code == "_id" {
			valid = " Valid is: not."
		}
		p.refuse(fhir.NotSupported, "%s does not take the modifier %s.%s", code, quote(modifier), valid)
		return nil, false
	}
	switch code {
	case "_id":
		c = p.ids(value)
	case "_lastUpdated":
		c = p.updated(value)
	case "_list":
		c = p.list(value)
	case "_text", "_content":
		c = p.words(code, value)
	default:
		p.refuse(fhir.Value, "_has is written _has:Type:reference:parameter, such as _has:Observation:patient:code.")
	}
	return c, modifier == "not"
}

func (p *parser) ids(value string) Condition {
	ids := p.alternatives(value)
	for _, id := range ids {
		if !fhir.ValidID(id) {
			p.refuse(fhir.Value, "An id has 1 to 64 letters, digits, hyphens and dots.")
			return nil
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return IDs(slices.Clone(ids))
}

func (p *parser) updated(value string) Condition {
	u := Updated{}
	before := len(p.issues)
	for _, text := range p.alternatives(value) {
		u.Values = append(u.Values, one(p.askDate(text))...)
	}
	if len(p.issues) > before {
		return nil
	}
	return u
}

// list reads _list. https://hl7.org/fhir/R4/search.html#list
func (p *parser) list(value string) Condition {
	var any Or
	for _, text := range p.alternatives(value) {
		id := strings.TrimPrefix(text, "List/")
		switch {
		case strings.HasPrefix(id, "$"):
			p.refuse(fhir.NotSupported, "Lists by their function, such as $current-allergies, are not supported: give the id of a List.")
			return nil
		case !fhir.ValidID(id):
			p.refuse(fhir.Value, "_list is the id of a List.")
			return nil
		}
		any = append(any, Listed{id})
	}
	switch len(any) {
	case 0:
		return nil
	case 1:
		return any[0]
	}
	return any
}
