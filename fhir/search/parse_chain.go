package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// chain reads a criterion of what a reference points to. first is the reference
// parameter, which may have a type: subject, or subject:Patient.
// https://hl7.org/fhir/R4/search.html#chaining
func (p *parser) chain(at scope, first string, end criterion) Condition {
	if !p.deeper(&at) {
		return nil
	}
	code, target, typed := strings.Cut(first, ":")
	param := p.reference(at.typ, code)
	if param == nil {
		return nil
	}
	targets := []string{target}
	switch {
	case typed && !isTarget(param, target):
		p.refuse(fhir.Value, "%s does not lead to a %s.%s", param.Code, quote(target), hint(target, targetsOf(param)))
		return nil
	case !typed:
		if targets = p.leadingTo(param, end.name); len(targets) == 0 {
			p.deadEnd(param, end.name)
			return nil
		}
	}
	return p.chainTo(param, targets, ending{first + "." + end.name, at.depth, end})
}

// An ending is what stands behind a link.
type ending struct {
	name  string // with the link
	depth int
	criterion
}

// chainTo reads the end of a chain for each type that it may lead to.
func (p *parser) chainTo(param *Param, targets []string, end ending) Condition {
	var any Or
	before := len(p.issues)
	p.several += len(targets) - 1
	defer func() { p.several -= len(targets) - 1 }()
	for _, target := range targets {
		if !p.branch() {
			return nil
		}
		where := p.condition(scope{target, end.depth}, end.criterion.name, end.value)
		any = append(any, &Chain{Param: param, Target: target, Where: where, Name: end.name})
	}
	switch {
	case len(p.issues) > before:
		return nil
	case len(any) == 1:
		return any[0]
	}
	return any
}

// deeper counts a link.
func (p *parser) deeper(at *scope) bool {
	at.depth++
	if at.depth > MaxChain {
		p.bound("A chain has %d links at most.", MaxChain)
		return false
	}
	return true
}

// branch counts a type that a chain leads to.
func (p *parser) branch() bool {
	p.branches++
	if p.branches > MaxBranches {
		p.bound("The chain leads to too many resource types: name the type of each link, such as subject:Patient.name.")
		return false
	}
	return true
}

// reference returns the reference parameter of that code, or nil, which it says.
func (p *parser) reference(typ, code string) *Param {
	param := p.param(typ, code)
	if param == nil {
		return nil
	}
	if param.Type != ReferenceType {
		p.refuse(fhir.Value, "%s is a %s and does not lead to another resource. References of %s are: %s.",
			param.Code, param.Type, ofType(typ), listed(p.references(typ)))
		return nil
	}
	return param
}

func (p *parser) references(typ string) []string {
	var codes []string
	for _, param := range p.registry.Params(typ) {
		if param.Type == ReferenceType {
			codes = append(codes, param.Code)
		}
	}
	return codes
}

// leadingTo returns the types that param may point to and whose resources a
// criterion of that name can be about.
func (p *parser) leadingTo(param *Param, name string) []string {
	return slices.DeleteFunc(slices.Clone(targetsOf(param)), func(typ string) bool { return !p.leads(link{typ, name}) })
}

// A link is a type that a chain may lead to, and the name of what follows.
type link struct{ typ, name string }

// leads reports whether the parameters along l are there, on some way.
func (p *parser) leads(l link) bool {
	if known, ok := p.leading[l]; ok {
		return known
	}
	if len(p.leading) >= maxWays {
		p.bound("The chain leads to too many resource types: name the type of each link, such as subject:Patient.name.")
		return false
	}
	p.leading[l] = p.findWay(l)
	return p.leading[l]
}

func (p *parser) findWay(l link) bool {
	if rest, ok := strings.CutPrefix(l.name, "_has:"); ok {
		source, rest, _ := strings.Cut(rest, ":")
		code, _, _ := strings.Cut(rest, ":")
		param := p.registry.Param(source, code)
		return param == nil || param.Type == ReferenceType && isTarget(param, l.typ)
	}
	code := firstCode(l.name)
	param := p.registry.Param(l.typ, code)
	first, rest, chained := strings.Cut(l.name, ".")
	switch {
	case isCommon(code):
		return true
	case param == nil || !chained:
		return param != nil
	case param.Type != ReferenceType:
		return false
	}
	if _, target, typed := strings.Cut(first, ":"); typed {
		return isTarget(param, target)
	}
	return slices.ContainsFunc(targetsOf(param), func(typ string) bool { return p.leads(link{typ, rest}) })
}

// deadEnd says that no target of param has the parameter that name begins with.
func (p *parser) deadEnd(param *Param, name string) {
	var codes []string
	targets := targetsOf(param)
	for _, typ := range targets {
		for _, other := range p.registry.Params(typ) {
			codes = append(codes, other.Code)
		}
	}
	code := firstCode(name)
	codes = slices.Compact(slices.Sorted(slices.Values(codes)))
	p.refuse(fhir.NotSupported, "%s leads to %s, none of which has %s as the next part of the chain.%s", param.Code, listed(targets), quote(code), hint(code, codes))
}

// has reads what follows _has: Type:reference:criterion.
// https://hl7.org/fhir/R4/search.html#has
func (p *parser) has(at scope, rest, value string) Condition {
	if !p.deeper(&at) || !p.branch() {
		return nil
	}
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) < 3 || slices.Contains(parts, "") {
		p.refuse(fhir.Value, "_has is written _has:Type:reference:parameter, such as _has:Observation:patient:code.")
		return nil
	}
	source := parts[0]
	if spec.R4().Resource(source) == nil {
		p.refuse(fhir.Value, "There is no resource type %s.%s", quote(source), hint(source, resourceTypes()))
		return nil
	}
	param := p.reference(source, parts[1])
	if param == nil {
		return nil
	}
	if at.typ != "" && !isTarget(param, at.typ) {
		p.refuse(fhir.Value, "%s of %s does not point to %s. It points to: %s.", param.Code, source, at.typ, listed(targetsOf(param)))
		return nil
	}
	where := p.condition(scope{source, at.depth}, parts[2], value)
	if where == nil {
		return nil
	}
	return &Has{Source: source, Param: param, Where: where, Name: "_has:" + rest}
}
