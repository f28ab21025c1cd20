package interaction

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// A chapter is a section of a summary. https://hl7.org/fhir/uv/ips/STU1.1/StructureDefinition-Composition-uv-ips.html
type chapter struct {
	code, display string // of LOINC
	title         string
	types         []string
	required      bool     // stands in the document even with nothing in it
	category      []string // of Observations: those of one of these; nil for all that no other chapter has
	columns       []string
}

// chapters are the sections in their order.
func chapters() []chapter {
	return []chapter{
		{code: "48765-2", display: "Allergies and adverse reactions Document", title: "Allergies and intolerances", types: []string{"AllergyIntolerance"}, required: true, columns: []string{"Allergy or intolerance", "Criticality", "Reaction"}},
		{code: "10160-0", display: "History of Medication use Narrative", title: "Medication", types: []string{"MedicationRequest", "MedicationStatement"}, required: true, columns: []string{"Medicine", "Dosage", "Status", "Since"}},
		{code: "11450-4", display: "Problem list - Reported", title: "Problems", types: []string{"Condition"}, required: true, columns: []string{"Problem", "Status", "Since"}},
		{code: "11369-6", display: "History of Immunization Narrative", title: "Immunizations", types: []string{"Immunization"}, columns: []string{"Vaccine", "Date"}},
		{code: "30954-2", display: "Relevant diagnostic tests/laboratory data Narrative", title: "Results", types: []string{"DiagnosticReport", "Observation"}, columns: []string{"Test", "Result", "Date"}},
		{code: "47519-4", display: "History of Procedures Document", title: "Procedures", types: []string{"Procedure"}, columns: []string{"Procedure", "Status", "Date"}},
		{code: "8716-3", display: "Vital signs", title: "Vital signs", types: []string{"Observation"}, category: []string{"vital-signs"}, columns: []string{"Measurement", "Value", "Date"}},
		{code: "29762-2", display: "Social history Narrative", title: "Social history", types: []string{"Observation"}, category: []string{"social-history"}, columns: []string{"Fact", "Value", "Date"}},
	}
}

// takes reports whether a resource stands in the chapter.
func (h *chapter) takes(n fhir.Node) bool {
	typ := n.Type().Name
	if !slices.Contains(h.types, typ) {
		return false
	}
	if typ != "Observation" {
		return true
	}
	if h.category != nil {
		return isOf(n, h.category)
	}
	return !isOf(n, []string{"vital-signs", "social-history"})
}

// isOf reports whether an Observation has one of some categories.
func isOf(n fhir.Node, categories []string) bool {
	for category := range n.Each("category") {
		for c := range category.Each("coding") {
			if slices.Contains(categories, c.Child("code").Text()) {
				return true
			}
		}
	}
	return false
}

// A reading is what is in a summary, by what it is referred to as.
type reading map[fhir.Key]fhir.Node

// row returns what a chapter says of a resource, for its columns.
func (r reading) row(n fhir.Node) []string {
	switch n.Type().Name {
	case "AllergyIntolerance":
		return []string{conceptText(n.Child("code")), n.Child("criticality").Text(), each(n, "reaction", func(n fhir.Node) string { return each(n, "manifestation", conceptText) })}
	case "MedicationRequest":
		return []string{r.medicine(n), each(n, "dosageInstruction", dosageText), n.Child("status").Text(), n.Child("authoredOn").Text()}
	case "MedicationStatement":
		return []string{r.medicine(n), each(n, "dosage", dosageText), n.Child("status").Text(), valueText(n.Child("effective"))}
	case "Condition":
		return []string{conceptText(n.Child("code")), conceptText(n.Child("clinicalStatus")), valueText(n.Child("onset"))}
	case "Immunization":
		return []string{conceptText(n.Child("vaccineCode")), valueText(n.Child("occurrence"))}
	case "Procedure":
		return []string{conceptText(n.Child("code")), n.Child("status").Text(), valueText(n.Child("performed"))}
	case "DiagnosticReport":
		return []string{conceptText(n.Child("code")), n.Child("conclusion").Text(), valueText(n.Child("effective"))}
	}
	return []string{conceptText(n.Child("code")), resultText(n), valueText(n.Child("effective"))}
}

// medicine returns which medicine a prescription or statement is about.
func (r reading) medicine(n fhir.Node) string {
	medication := n.Child("medication")
	if medication.Type().Name != "Reference" {
		return conceptText(medication)
	}
	text := medication.Child("reference").Text()
	for contained := range n.Each("contained") {
		if text == "#"+contained.Child("id").Text() {
			return conceptText(contained.Child("code"))
		}
	}
	if ref, ok := fhir.ParseReference(text); ok {
		if named, known := r[ref.Key]; known {
			return conceptText(named.Child("code"))
		}
	}
	return medication.Child("display").Text()
}
