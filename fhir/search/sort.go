package search

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// sort reads _sort, the keys in order of priority.
// https://hl7.org/fhir/R4/search.html#sort
func (p *parser) sort(value string) bool {
	keys := strings.Split(value, ",")
	if len(keys) > MaxSort {
		p.bound("_sort has %d keys at most.", MaxSort)
		return false
	}
	var orders []Order
	for _, key := range keys {
		code, descending := strings.CutPrefix(key, "-")
		o := Order{Param: p.sortable(code), Descending: descending}
		if o.Param == nil {
			return false
		}
		orders = append(orders, o)
	}
	p.query.Sort = orders
	return true
}

// sortable returns the parameter of that code of the first type searched, or nil
// when not all of the types can be sorted by it, which it says.
func (p *parser) sortable(code string) *Param {
	types := p.query.Types
	if len(types) == 0 {
		types = []string{everyType}
	}
	var first *Param
	for _, typ := range types {
		if strings.HasPrefix(code, "_score") {
			p.refuse(fhir.NotSupported, "Matches have no score to sort by.")
			return nil
		}
		param := p.param(typ, code)
		if param == nil {
			return nil
		}
		if !isSortable(param) {
			p.refuse(fhir.NotSupported, "Matches cannot be sorted by %s, which is a %s.%s", code, param.Type, hint(code, p.sortables(typ)))
			return nil
		}
		if first == nil {
			first = param
		}
		if param.Type != first.Type {
			p.refuse(fhir.NotSupported, "Matches cannot be sorted by %s, which is a %s of %s and a %s of %s.", code, first.Type, types[0], param.Type, typ)
			return nil
		}
	}
	return first
}

func isSortable(param *Param) bool {
	switch param.Type {
	case NumberType, DateType, StringType, TokenType, QuantityType, URIType:
		return param.Code != "_text" && param.Code != "_content" && param.Code != "_filter"
	}
	return false
}

func (p *parser) sortables(typ string) []string {
	var codes []string
	for _, param := range p.registry.Params(typ) {
		if isSortable(param) {
			codes = append(codes, param.Code)
		}
	}
	return codes
}
