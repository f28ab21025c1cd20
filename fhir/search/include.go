package search

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// include reads _include or _revinclude: Source:reference:Target, where the
// target may be left out, the reference may be * for all, and * alone is every
// reference of every type. :recurse is what :iterate was called before R4.
// https://hl7.org/fhir/R4/search.html#include
func (p *parser) include(name, modifier, value string) bool {
	if modifier != "" && modifier != "iterate" && modifier != "recurse" {
		p.refuse(fhir.NotSupported, "%s does not take the modifier %s.%s", name, quote(modifier), hint(modifier, []string{"iterate"}))
		return false
	}
	if len(p.query.Includes) == MaxIncludes {
		p.bound("A search has %d of _include and _revinclude at most.", MaxIncludes)
		return false
	}
	in := Include{Reverse: name == "_revinclude", Iterate: modifier != "", Source: "*", Name: name + "=" + value}
	if modifier != "" {
		in.Name = name + ":" + modifier + "=" + value
	}
	if value != "*" && !p.includeParts(&in, value) {
		return false
	}
	p.query.Includes = append(p.query.Includes, in)
	return true
}

// includeParts reads the parts of value.
func (p *parser) includeParts(in *Include, value string) bool {
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		p.refuse(fhir.Value, "An include is written Source:reference, Source:reference:Target, Source:* or *, such as Task:owner:Organization.")
		return false
	}
	for _, typ := range []string{parts[0], parts[len(parts)-1]} {
		if (typ == parts[0] || len(parts) == 3) && spec.R4().Resource(typ) == nil {
			p.refuse(fhir.Value, "There is no resource type %s.%s", quote(typ), hint(typ, resourceTypes()))
			return false
		}
	}
	in.Source = parts[0]
	if len(parts) == 3 {
		in.Target = parts[2]
	}
	return p.includeParams(in, parts[1]) && p.reaches(in)
}

// includeParams finds the reference parameters of the source.
func (p *parser) includeParams(in *Include, code string) bool {
	if code != "*" {
		param := p.reference(in.Source, code)
		if param == nil {
			return false
		}
		if in.Target != "" && !isTarget(param, in.Target) {
			p.refuse(fhir.Value, "%s of %s does not point to %s. It points to: %s.", code, in.Source, in.Target, listed(targetsOf(param)))
			return false
		}
		in.Params = []*Param{param}
		return true
	}
	for _, param := range p.registry.Params(in.Source) {
		if param.Type == ReferenceType && param.State == Active && (in.Target == "" || isTarget(param, in.Target)) {
			in.Params = append(in.Params, param)
		}
	}
	if len(in.Params) == 0 {
		p.refuse(fhir.Value, "No reference of %s leads to what is asked.", in.Source)
		return false
	}
	return true
}

// reaches reports whether the matches can have something to include. What cannot
// without :iterate is left out with a warning, since R4 does not call it an error.
func (p *parser) reaches(in *Include) bool {
	types := p.query.Types
	if in.Iterate || len(types) == 0 {
		return true
	}
	if !in.Reverse {
		if slices.Contains(types, in.Source) {
			return true
		}
		p.warn(fhir.Value, "No match is a %s: write _include:iterate to include what included resources refer to. It was left out.", in.Source)
		return false
	}
	for _, param := range in.Params {
		for _, typ := range types {
			if isTarget(param, typ) && (in.Target == "" || in.Target == typ) {
				return true
			}
		}
	}
	p.warn(fhir.Value, "No reference of %s that is named points to a match: write _revinclude:iterate to include what refers to included resources. It was left out.", in.Source)
	return false
}
