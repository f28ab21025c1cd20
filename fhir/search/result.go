package search

import (
	"slices"
	"strconv"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// result returns what reads a parameter that says how results come rather than
// which, or nil when name is none. https://hl7.org/fhir/R4/search.html#return
func (p *parser) result(name string) func(value string) bool {
	switch name {
	case "_count":
		return p.count
	case "_total":
		return p.total
	case "_summary":
		return p.summary
	case "_elements":
		return p.elements
	case "_sort":
		return p.sort
	case "_type":
		return p.searchTypes
	case "_explain":
		return p.explain
	case "_contained":
		return p.contained
	case "_containedType", "_query", "_score":
		return func(string) bool {
			p.refuse(fhir.NotSupported, "%s is not supported.", name)
			return false
		}
	}
	return nil
}

func (p *parser) count(value string) bool {
	n, err := strconv.Atoi(value)
	switch {
	case err != nil || !areDigits(value):
		p.refuse(fhir.Value, "_count is a whole number from 0 to %d.", MaxCount)
		return false
	case n > MaxCount:
		p.bound("_count is %d at most.", MaxCount)
		return false
	}
	p.query.Count = n
	return true
}

func (p *parser) total(value string) bool {
	switch value {
	case "none":
		p.query.Total = TotalNone
	case "estimate":
		p.query.Total = TotalEstimate
	case "accurate":
		p.query.Total = TotalAccurate
	default:
		return p.unknownValue("_total", value, "none", "estimate", "accurate")
	}
	return true
}

func (p *parser) summary(value string) bool {
	switch s := fhir.Summary(value); s {
	case fhir.SummaryTrue, fhir.SummaryText, fhir.SummaryData, fhir.SummaryCount, fhir.SummaryFalse:
		p.query.Select.Summary = s
		return true
	}
	return p.unknownValue("_summary", value, "true", "text", "data", "count", "false")
}

func (p *parser) explain(value string) bool {
	if value != "true" && value != "false" {
		return p.unknownValue("_explain", value, "true", "false")
	}
	p.query.Explain = value == "true"
	return true
}

// contained accepts only the default: contained resources are not searched.
func (p *parser) contained(value string) bool {
	switch value {
	case "false":
		return true
	case "true", "both":
		p.refuse(fhir.NotSupported, "Contained resources are not searched: _contained is false.")
		return false
	}
	return p.unknownValue("_contained", value, "false")
}

// unknownValue always returns false.
func (p *parser) unknownValue(name, value string, valid ...string) bool {
	p.refuse(fhir.Value, "%s has no value %s.%s", name, quote(value), hint(value, valid))
	return false
}

// elements reads _elements, the names of top-level elements of the matches.
// https://hl7.org/fhir/R4/search.html#elements
func (p *parser) elements(value string) bool {
	names := strings.Split(value, ",")
	for _, name := range names {
		if !slices.ContainsFunc(p.shownTypes(), func(typ string) bool { return spec.R4().Type(typ).Element(name) != nil }) {
			p.refuse(fhir.Value, "There is no element %s at the top of %s.%s", quote(name), listed(p.shownTypes()), hint(name, p.elementNames()))
			return false
		}
	}
	p.query.Select.Elements = append(p.query.Select.Elements, names...)
	return true
}

// shownTypes returns the types of resources that _elements is about, which is
// not for included ones.
func (p *parser) shownTypes() []string {
	if len(p.query.Types) == 0 {
		return resourceTypes()
	}
	return p.query.Types
}

func (p *parser) elementNames() []string {
	var names []string
	for _, typ := range p.shownTypes() {
		for _, e := range spec.R4().Type(typ).Elements {
			names = append(names, e.Name)
		}
	}
	return names
}

// combine applies what parameters mean together.
func (p *parser) combine() {
	q := p.query
	switch {
	case q.Select.Summary == fhir.SummaryText && len(q.Includes) > 0:
		p.refuse(fhir.Value, "_summary=text does not go with _include and _revinclude: leave one of them out.")
	case len(q.Select.Elements) > 0 && !slices.Contains([]fhir.Summary{"", fhir.SummaryFalse, fhir.SummaryCount}, q.Select.Summary):
		p.refuse(fhir.Value, "_elements does not go with _summary=%s: leave one of them out.", q.Select.Summary)
	}
	if q.Count == 0 || q.Select.Summary == fhir.SummaryCount {
		q.Count, q.Total, q.Select.Summary = 0, TotalAccurate, fhir.SummaryCount
	}
}
