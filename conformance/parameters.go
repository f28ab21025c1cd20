package conformance

import (
	"slices"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

type searchParam struct {
	Name          string `json:"name"`
	Definition    string `json:"definition"`
	Type          string `json:"type"`
	Documentation string `json:"documentation,omitempty"`
}

// searchParams returns the parameters of a type, or those of all types, by which
// resources can be found now.
func searchParams(r *search.Registry, typ string) []searchParam {
	if r == nil {
		return nil
	}
	var list []searchParam
	for _, p := range r.Params(typ) {
		if p.State == search.Active {
			list = append(list, searchParam{p.Code, p.URL, string(p.Type), remark(p)})
		}
	}
	return list
}

// remark says what is particular about how a parameter is served.
func remark(p *search.Param) string {
	switch {
	case p.Code == "_content":
		return "All words must be in the content of the resource, in any order, without regard to case and accents."
	case p.Code == "_text":
		return "All words must be in the narrative, in any order, without regard to case and accents."
	case p.Code == "_filter":
		return "Criteria joined by and, or and not, with parentheses."
	case p.Code == "phonetic":
		return "Compared as name is, by spelling and not by sound."
	case p.Type == search.CompositeType:
		return "Values are joined by a dollar sign."
	case p.Custom:
		return "Defined on this server."
	}
	return ""
}

// inclusions are the references that searches can follow, from and to each type.
type inclusions struct {
	forward, reverse map[string][]string
}

// inclusionsOf leaves out the type without, which cannot be included and includes nothing.
func inclusionsOf(r *search.Registry, without string) inclusions {
	in := inclusions{map[string][]string{}, map[string][]string{}}
	if r == nil {
		return in
	}
	for _, source := range spec.R4().Resources() {
		if source.Name == without {
			continue
		}
		for _, p := range r.Params(source.Name) {
			if p.Type != search.ReferenceType || p.State != search.Active {
				continue
			}
			name := source.Name + ":" + p.Code
			in.forward[source.Name] = append(in.forward[source.Name], name)
			for _, target := range spec.R4().Resources() {
				if target.Name != without && (len(p.Targets) == 0 || slices.Contains(p.Targets, target.Name)) {
					in.reverse[target.Name] = append(in.reverse[target.Name], name)
				}
			}
		}
	}
	return in
}

// compartments returns the compartments that can be searched, and the one by which
// access is decided.
// https://hl7.org/fhir/R4/compartmentdefinition.html
func compartments(r *search.Registry) []string {
	if r == nil {
		return nil
	}
	var list []string
	for _, name := range []string{"device", "encounter", "patient", "practitioner", "relatedperson"} {
		list = append(list, "http://hl7.org/fhir/CompartmentDefinition/"+name)
	}
	return append(list, compartmentURL)
}
