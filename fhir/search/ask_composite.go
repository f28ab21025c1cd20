package search

import "github.com/openconsult/openconsult/fhir"

// askComposite reads one alternative of a composite parameter: a value for each
// of its parts. https://hl7.org/fhir/R4/search.html#composite
func (p *parser) askComposite(param *Param, text string) (AskedComposite, bool) {
	values := split(text, '$')
	if len(values) != len(param.Parts) {
		names := make([]string, len(param.Parts))
		for i, part := range param.Parts {
			names[i] = part.Param.Code
		}
		p.refuse(fhir.Value, "%s takes %d values with a $ between them: %s.", param.Code, len(names), joinDollar(names))
		return nil, false
	}
	var a AskedComposite
	for i, part := range param.Parts {
		if values[i] == "" {
			p.refuse(fhir.Value, "A value is missing beside a $.")
			return nil, false
		}
		asked := p.asked(part.Param, modifier{name: part.Param.Code}, values[i])
		if len(asked) != 1 {
			return nil, false
		}
		a = append(a, asked[0])
	}
	return a, true
}

func joinDollar(names []string) string {
	s := ""
	for i, name := range names {
		if i > 0 {
			s += "$"
		}
		s += name
	}
	return s
}

// Matches reports whether every part of c answers the same part of a.
func (a AskedComposite) Matches(c Composite, m Modifier) bool {
	if len(a) != len(c) {
		return false
	}
	for i := range a {
		if !matches(a[i], c[i], Plain) {
			return m == Differs
		}
	}
	return m != Differs
}
