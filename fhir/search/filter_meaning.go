package search

import (
	"fmt"
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A filterScope is where an expression stands: the types it is about, of which
// there are several only at the top, and how many links lead there.
type filterScope struct {
	types []string
	depth int
}

// compare returns what e means; nil is what was refused.
func (p *parser) compare(at filterScope, e filterNode) Condition {
	switch e := e.(type) {
	case *junction:
		return p.join(at, e)
	case *negation:
		if c := p.compare(at, e.node); c != nil {
			return Not{c}
		}
	case *comparison:
		return p.compareEach(at, e)
	}
	return nil
}

func (p *parser) join(at filterScope, e *junction) Condition {
	all := make([]Condition, 0, len(e.nodes))
	before := len(p.issues)
	for _, node := range e.nodes {
		all = append(all, p.compare(at, node))
	}
	switch {
	case len(p.issues) > before:
		return nil
	case len(all) == 1:
		return all[0]
	case e.or:
		return Or(all)
	}
	return And(all)
}

// compareEach returns what e means for each of the types. A negation stands
// around all of them, as in [parser.conditionOfEach].
func (p *parser) compareEach(at filterScope, e *comparison) Condition {
	types := at.types
	if p.sharedBy(types, e.path[0].name) {
		types = types[:1]
	}
	var any Or
	negated, before := false, len(p.issues)
	for _, typ := range types {
		var c Condition
		if len(e.path) > 1 {
			c = p.follow(scope{typ, at.depth}, e)
		} else {
			c, negated = p.comparison(typ, e)
		}
		any = append(any, c)
	}
	switch {
	case len(p.issues) > before:
		return nil
	case len(any) == 1:
		return negate(any[0], negated)
	}
	return negate(any, negated)
}

// follow returns what e means, whose path begins with a reference.
func (p *parser) follow(at scope, e *comparison) Condition {
	if !p.deeper(&at) {
		return nil
	}
	first, rest := e.path[0], &comparison{e.path[1:], e.operator, e.value}
	code, target, typed := strings.Cut(first.name, ":")
	param := p.reference(at.typ, code)
	if param == nil {
		return nil
	}
	targets := []string{target}
	if typed && !isTarget(param, target) {
		p.refuse(fhir.Value, "%s does not lead to a %s.%s", param.Code, quote(target), hint(target, targetsOf(param)))
		return nil
	}
	if !typed {
		if targets = p.leadingTo(param, rest.name()); len(targets) == 0 {
			p.deadEnd(param, rest.path[0].name)
			return nil
		}
	}
	var any Or
	for _, target := range targets {
		if !p.branch() {
			return nil
		}
		where := p.followed(filterScope{[]string{target}, at.depth}, first, rest)
		any = append(any, &Chain{Param: param, Target: target, Where: where, Name: "_filter " + e.name()})
	}
	if len(any) == 1 {
		return any[0]
	}
	return any
}

// name returns the path as a chain has it.
func (e *comparison) name() string {
	names := make([]string, len(e.path))
	for i, s := range e.path {
		names[i] = aliased(s.name)
	}
	return strings.Join(names, ".")
}

// followed returns what must hold of what a link leads to.
func (p *parser) followed(at filterScope, first filterStep, rest *comparison) Condition {
	if first.where == nil {
		return p.compare(at, rest)
	}
	return And{p.compare(at, first.where), p.compare(at, rest)}
}

// aliased returns the parameter that name stands for. The examples of _filter
// write id for _id.
func aliased(name string) string {
	if name == "id" {
		return "_id"
	}
	return name
}

// comparison returns what e means for resources of type typ, without the
// negation that its operator may mean.
func (p *parser) comparison(typ string, e *comparison) (c Condition, negated bool) {
	code := e.path[0].name
	if p.registry.Param(typ, code) == nil {
		code = aliased(code)
	}
	switch code {
	case "_id":
		return p.compareID(e)
	case "_lastUpdated":
		return p.compareUpdated(e), false
	case "_list", "_text", "_content", "_filter", "_has":
		p.refuse(fhir.NotSupported, "%s cannot stand in a _filter; give it beside it.", code)
		return nil, false
	}
	param := p.param(typ, code)
	if param == nil {
		return nil, false
	}
	name := fmt.Sprintf("_filter %s %s", code, e.operator)
	if e.operator == "pr" {
		return p.present(param, name, e.value)
	}
	m, ok := operatorOf(param, e.operator)
	if !ok {
		p.refuse(fhir.NotSupported, "The operator %s of _filter does not apply to %s, which is a %s. Valid are: %s.",
			e.operator, code, param.Type, strings.Join(operatorsOf(param), ", "))
		return nil, false
	}
	before := len(p.issues)
	values := p.compared(param, m, e)
	if len(p.issues) > before {
		return nil, false
	}
	return &Test{Param: param, Modifier: m.Modifier, Values: values, Name: name}, m.negated
}

// present returns what pr means: whether there is a value.
func (p *parser) present(param *Param, name, value string) (c Condition, negated bool) {
	if value != "true" && value != "false" {
		p.refuse(fhir.Value, "The operator pr of _filter is followed by true or false.")
		return nil, false
	}
	return &Test{Param: param, Modifier: Missing, Name: name}, value == "false"
}

// operatorOf returns the modifier that operator means for param. It is not ok
// when the two do not go together, or when what they mean cannot be answered.
func operatorOf(param *Param, operator string) (m modifier, ok bool) {
	m.name = param.Code
	switch operator {
	case "eq", "re":
		if param.Type == StringType {
			m.Modifier = Whole
		}
	case "ne":
		if !isOrdered(param) {
			m.Modifier = Differs
		}
	case "co":
		m.Modifier = Contains
	case "ew":
		m.Modifier = Ends
	case "in", "ni":
		m.codes, m.negated = "in", operator == "ni"
	case "ss":
		m.codes = "below"
	case "sb":
		m.codes = "above"
	}
	for _, valid := range operatorsOf(param) {
		if valid == operator {
			return m, true
		}
	}
	return m, false
}

func isOrdered(param *Param) bool {
	switch param.Type {
	case NumberType, DateType, QuantityType:
		return true
	}
	return false
}

// operatorsOf returns the operators that apply to param. Letters are not greater
// or less than others, and what a number or a date has in it is asked by po.
func operatorsOf(param *Param) []string {
	switch param.Type {
	case StringType:
		return []string{"eq", "ne", "co", "sw", "ew", "pr"}
	case NumberType, QuantityType:
		return []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "pr"}
	case DateType:
		return []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "po", "pr"}
	case TokenType:
		return []string{"eq", "ne", "ss", "sb", "in", "ni", "pr"}
	case ReferenceType:
		return []string{"re", "eq", "ne", "pr"}
	case URIType, CompositeType:
		return []string{"eq", "ne", "pr"}
	}
	return nil
}

// compared reads the value of e.
func (p *parser) compared(param *Param, m modifier, e *comparison) []Asked {
	text := e.value
	switch param.Type {
	case StringType:
		text = escape(text, `\,|$`)
	case URIType, ReferenceType:
		text = escape(text, `\`)
	case TokenType, QuantityType, CompositeType:
		text = withSystems(text)
	}
	if !isOrdered(param) {
		return p.asked(param, m, text)
	}
	if e.operator != "po" {
		return p.asked(param, m, e.operator+text)
	}
	a, ok := p.askDate("eq" + text)
	a.Prefix = Approximately
	return one(a, ok)
}

// escape puts a backslash before each of the characters.
func escape(s, characters string) string {
	for _, c := range characters {
		s = strings.ReplaceAll(s, string(c), `\`+string(c))
	}
	return s
}

// withSystems puts URLs in the place of the names that _filter has for some code
// systems.
func withSystems(text string) string {
	values := split(text, '$')
	for i, value := range values {
		parts := split(value, '|')
		for j := range len(parts) - 1 {
			parts[j] = systemOf(parts[j])
		}
		values[i] = strings.Join(parts, "|")
	}
	return strings.Join(values, "$")
}

func systemOf(name string) string {
	switch strings.ToLower(name) {
	case "loinc":
		return "http://loinc.org"
	case "snomed":
		return "http://snomed.info/sct"
	case "rxnorm":
		return "http://www.nlm.nih.gov/research/umls/rxnorm"
	case "ucum":
		return ucumSystem
	}
	return name
}

func (p *parser) compareID(e *comparison) (c Condition, negated bool) {
	if e.operator != "eq" && e.operator != "ne" {
		p.refuse(fhir.NotSupported, "The operator %s of _filter does not apply to _id. Valid are: eq, ne.", e.operator)
		return nil, false
	}
	if !fhir.ValidID(e.value) {
		p.refuse(fhir.Value, "An id has 1 to 64 letters, digits, hyphens and dots.")
		return nil, false
	}
	return IDs{e.value}, e.operator == "ne"
}

func (p *parser) compareUpdated(e *comparison) Condition {
	param := &Param{Code: "_lastUpdated", Type: DateType}
	m, ok := operatorOf(param, e.operator)
	if !ok || e.operator == "pr" {
		p.refuse(fhir.NotSupported, "The operator %s of _filter does not apply to _lastUpdated. Valid are: eq, ne, gt, lt, ge, le, sa, eb, ap, po.", e.operator)
		return nil
	}
	values := p.compared(param, m, e)
	if len(values) == 0 {
		return nil
	}
	return Updated{values}
}
