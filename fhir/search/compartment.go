package search

import (
	"cmp"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// compartments are the types whose resources have a compartment.
// https://hl7.org/fhir/R4/compartmentdefinition.html
func compartments() [5]string {
	return [...]string{"Patient", "Encounter", "RelatedPerson", "Practitioner", "Device"}
}

// CompartmentParams returns the reference parameters that put a resource of the
// given type into the compartment of another ("Patient", "Encounter",
// "RelatedPerson", "Practitioner", "Device"); nil when no resource of that type is
// ever in one. "{def}" among them stands for the compartment's own resource. A
// Task is in the compartment of the patient it is for, of which R4 says nothing.
// https://hl7.org/fhir/R4/compartmentdefinition.html
func CompartmentParams(compartment, typ string) []string {
	if compartment == "Patient" && typ == "Task" {
		return []string{"patient"}
	}
	return spec.R4().Compartment(compartment, typ)
}

// addCompartments tells the parameters of a type which compartments they put a
// resource into.
func (r *Registry) addCompartments(typ string, t *table) {
	for _, name := range compartments() {
		for _, code := range CompartmentParams(name, typ) {
			if p := t.byCode[code]; p != nil {
				p.compartments = append(p.compartments, name)
			}
		}
	}
}

// members returns the compartments that a resource is in: its own, if it has
// one, and those of what its entries refer to.
func members(key fhir.Key, entries []Entry) []Member {
	var all []Member
	own := compartments()
	if slices.Contains(own[:], key.Type) {
		all = append(all, Member{key})
	}
	for _, e := range entries {
		if len(e.Param.compartments) == 0 {
			continue
		}
		ref, ok := e.Value.(Reference)
		if ok && slices.Contains(e.Param.compartments, ref.Key.Type) {
			all = append(all, Member{ref.Key})
		}
	}
	slices.SortFunc(all, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.Compartment.Type, b.Compartment.Type), strings.Compare(a.Compartment.ID, b.Compartment.ID))
	})
	return slices.Compact(all)
}
