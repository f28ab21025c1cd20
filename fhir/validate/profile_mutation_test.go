package validate

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const uk = "https://fhir.hl7.org.uk/StructureDefinition/"

// A mutation is a change of an example of UK Core, and what is to be found then.
type mutation struct {
	name    string
	example string
	profile string
	change  func(m map[string]any)
	want    []string // Detail, Expression and, after #, the element of the definition
}

// set returns a change that puts a value, written as JSON with single quotes, to a path
// like "identifier.0.system"; an empty one removes what is there. A dash appends.
func set(path, value string) func(map[string]any) {
	return func(m map[string]any) {
		var v any
		if value != "" {
			if err := json.Unmarshal([]byte(strings.ReplaceAll(value, "'", `"`)), &v); err != nil {
				panic(err)
			}
		}
		put(m, strings.Split(path, "."), v)
	}
}

func put(in any, steps []string, v any) any {
	if len(steps) == 0 {
		return v
	}
	switch in := in.(type) {
	case []any:
		if steps[0] == "-" {
			return append(in, put(map[string]any{}, steps[1:], v))
		}
		i, err := strconv.Atoi(steps[0])
		if err != nil {
			panic(err)
		}
		if len(steps) == 1 && v == nil {
			return slices.Delete(in, i, i+1)
		}
		in[i] = put(in[i], steps[1:], v)
		return in
	case map[string]any:
		if len(steps) == 1 && v == nil {
			delete(in, steps[0])
			return in
		}
		below := in[steps[0]]
		if below == nil && len(steps) > 1 {
			below = any([]any{})
			if steps[1] != "-" {
				below = map[string]any{}
			}
		}
		in[steps[0]] = put(below, steps[1:], v)
		return in
	}
	panic("there is nothing at " + steps[0])
}

func all(changes ...func(map[string]any)) func(map[string]any) {
	return func(m map[string]any) {
		for _, change := range changes {
			change(m)
		}
	}
}

const (
	richard = "UKCore-Patient-RichardSmith-Example"
	bp      = "UKCore-Observation-VitalSigns-BloodPressure-Example"
	bpShape = "UKCore-Observation-VitalSigns-BloodPressure"
	leeds   = "UKCore-Organization-LeedsTeachingHospital-Example"
	white   = "UKCore-Observation-Lab-WhiteCellCount-Example"
	report  = "UKCore-DiagnosticReport-Lab-DiagnosticStudiesReport-Example"
)

var mutations = []mutation{
	// Slices and cardinality.
	{"two NHS numbers", richard, "UKCore-Patient", set("identifier.-", `{'system':'https://fhir.nhs.uk/Id/nhs-number','value':'9876543210'}`), []string{"slice-max Patient.identifier[1] #Patient.identifier:nhsNumber"}},
	{"an NHS number without value", richard, "UKCore-Patient", set("identifier.0.value", ""), []string{"cardinality-min Patient.identifier[0].value #Patient.identifier:nhsNumber.value"}},
	{"two verification statuses", richard, "UKCore-Patient", set("identifier.0.extension.-", `{'url':'https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus','valueCodeableConcept':{'coding':[{'system':'https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland','code':'01'}]}}`), []string{"slice-max Patient.identifier[0].extension[1] #Patient.identifier:nhsNumber.extension:nhsNumberVerificationStatus"}},
	{"two ethnic categories", richard, "UKCore-Patient", set("extension.-", `{'url':'https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory','valueCodeableConcept':{'coding':[{'system':'https://fhir.hl7.org.uk/CodeSystem/UKCore-EthnicCategoryEngland','code':'G'}]}}`), []string{"slice-max Patient.extension[4] #Patient.extension:ethnicCategory"}},
	{"two ODS codes", leeds, "UKCore-Organization", set("identifier.-", `{'system':'https://fhir.nhs.uk/Id/ods-organization-code','value':'X'}`), []string{"slice-max Organization.identifier[1] #Organization.identifier:odsOrganisationCode"}},
	{"ODS code without value", leeds, "UKCore-Organization", set("identifier.0.value", ""), []string{"cardinality-min Organization.identifier[0].value #Organization.identifier:odsOrganisationCode.value"}},
	{"no subject", bp, bpShape, set("subject", ""), []string{"cardinality-min Observation.subject #Observation.subject"}},
	{"no time", bp, bpShape, set("effectiveDateTime", ""), []string{"cardinality-min Observation.effective #Observation.effective[x]"}},
	{"two categories", bp, bpShape, set("category.-", `{'coding':[{'system':'http://terminology.hl7.org/CodeSystem/observation-category','code':'vital-signs'}]}`), []string{"cardinality-max Observation.category[1] #Observation.category"}},
	{"a value beside components", bp, bpShape, set("valueString", `'high'`), []string{"cardinality-max Observation.value #Observation.value[x]"}},
	{"a specimen", bp, bpShape, set("specimen", `{'reference':'Specimen/1'}`), []string{"cardinality-max Observation.specimen #Observation.specimen"}},
	{"no LOINC code", bp, bpShape, set("code.coding.1", ""), []string{"invariant Observation #Observation", "slice-min Observation.code.coding #Observation.code.coding:loinc"}},
	{"no SNOMED code", bp, bpShape, set("code.coding.0", ""), []string{"slice-min Observation.code.coding #Observation.code.coding:snomedCT"}},
	{"two LOINC codes", bp, bpShape, set("code.coding.-", `{'system':'http://loinc.org','code':'85354-9'}`), []string{"slice-max Observation.code.coding[2] #Observation.code.coding:loinc"}},
	{"no systolic pressure", bp, bpShape, set("component.0", ""), []string{"slice-min Observation.component #Observation.component:SystolicBP"}},
	{"no components", bp, bpShape, set("component", ""), []string{"cardinality-min Observation.component #Observation.component", "slice-min Observation.component #Observation.component:SystolicBP"}},
	{"another component", bp, bpShape, set("component.1.code.text", `'Mean'`), []string{"slice-closed Observation.component[1] #Observation.component"}},
	{"three components", bp, bpShape, set("component.-", `{'code':{'text':'Mean','coding':[{'system':'http://loinc.org','code':'8478-0'},{'system':'http://snomed.info/sct','code':'6797001'}]},'valueQuantity':{'value':90}}`), []string{"cardinality-max Observation.component[2] #Observation.component", "slice-closed Observation.component[2] #Observation.component"}},
	{"a component without value", bp, bpShape, set("component.0.valueQuantity", ""), []string{"cardinality-min Observation.component[0].value #Observation.component:SystolicBP.value[x]"}},
	{"a component without LOINC code", bp, bpShape, set("component.0.code.coding.1", ""), []string{"slice-min Observation.component[0].code.coding #Observation.component:SystolicBP.code.coding:loinc"}},
	{"not of the laboratory", white, "UKCore-Observation-Lab", set("category.0.coding.0.code", `'imaging'`), []string{"slice-min Observation.category #Observation.category:laboratory"}},
	{"no category", white, "UKCore-Observation-Lab", set("category", ""), []string{"cardinality-min Observation.category #Observation.category", "slice-min Observation.category #Observation.category:laboratory"}},
	{"a report on nobody", report, "UKCore-DiagnosticReport-Lab", set("subject", ""), []string{"cardinality-min DiagnosticReport.subject #DiagnosticReport.subject"}},
	// Types and values.
	{"a component with text", bp, bpShape, all(set("component.0.valueQuantity", ""), set("component.0.valueString", `'142'`)), []string{"type-not-allowed Observation.component[0].value #Observation.component:SystolicBP.value[x]"}},
	{"not final", bp, bpShape, set("status", `'preliminary'`), []string{"fixed-value Observation.status #Observation.status"}},
	{"another unit", bp, bpShape, set("component.0.valueQuantity.code", `'kPa'`), []string{"fixed-value Observation.component[0].value.code #Observation.component:SystolicBP.value[x].code"}},
	{"another LOINC code", bp, bpShape, set("code.coding.1.code", `'8867-4'`), []string{"fixed-value Observation.code.coding[1].code #Observation.code.coding:loinc.code"}},
	{"another display", bp, bpShape, set("component.1.code.coding.1.display", `'Diastolic'`), []string{"fixed-value Observation.component[1].code.coding[1].display #Observation.component:DiastolicBP.code.coding:loinc.display"}},
	{"another system of the category", white, "UKCore-Observation-Lab", set("category.0.coding.0.system", `'http://example.org'`), []string{"fixed-value Observation.category[0].coding[0].system #Observation.category:laboratory.coding.system"}},
	{"a report on a group", report, "UKCore-DiagnosticReport-Lab", set("subject", `{'reference':'Group/1'}`), []string{"target-not-allowed DiagnosticReport.subject #DiagnosticReport.subject"}},
	{"no reason not to vaccinate", "UKCore-Immunization-InfluenzaVaccine-Example", "UKCore-Immunization", set("status", `'not-done'`), []string{"invariant Immunization #Immunization"}},
	// Bindings.
	{"a language that is none", richard, "UKCore-Patient", set("communication.0.language", `{'coding':[{'system':'urn:ietf:bcp:47','code':'not a language'}]}`), []string{"not-in-value-set Patient.communication[0].language "}},
	{"a status that is none", richard, "UKCore-Patient", set("identifier.0.extension.0.valueCodeableConcept.coding.0.code", `'99'`), []string{"not-in-value-set Patient.identifier[0].extension[0].value #Extension.value[x]"}},
	{"a status as text", richard, "UKCore-Patient", set("identifier.0.extension.0.valueCodeableConcept", `{'text':'verified'}`), []string{"code-required Patient.identifier[0].extension[0].value #Extension.value[x]"}},
	// Extensions.
	{"an extension in the wrong place", richard, "UKCore-Patient", set("name.0.extension.-", `{'url':'https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ContactRank','valuePositiveInt':1}`), []string{"extension-context Patient.name[0].extension[0] #Extension"}},
	{"an extension of another type", richard, "UKCore-Patient", all(set("contact.0.extension.0.valuePositiveInt", ""), set("contact.0.extension.0.valueString", `'first'`)), []string{"type-not-allowed Patient.contact[0].extension[0].value #Extension.value[x]"}},
	{"a complex extension with an unknown part", richard, "UKCore-Patient", set("extension.1.extension.-", `{'url':'Nickname','valueString':'x'}`), []string{"extension-unknown-part Patient.extension[1].extension[3] #Extension.extension"}},
	{"a complex extension with a part twice", richard, "UKCore-Patient", set("extension.2.extension.-", `{'url':'systemEffectiveDate','valueDateTime':'2019'}`), []string{"slice-max Patient.extension[2].extension[2] #Extension.extension:systemEffectiveDate"}},
	{"a complex extension without a part", richard, "UKCore-Patient", set("extension.2.extension.0", ""), []string{"slice-min Patient.extension[2].extension #Extension.extension:deathNotificationStatus"}},
	{"a complex extension with a part of another type", richard, "UKCore-Patient", all(set("extension.2.extension.1.valueDateTime", ""), set("extension.2.extension.1.valueDate", `'2019-08-01'`)), []string{"type-not-allowed Patient.extension[2].extension[1].value #Extension.extension:systemEffectiveDate.value[x]"}},
	{"a version in the url", richard, "UKCore-Patient", set("extension.0.url", `'https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory|2.0'`), []string{"extension-url Patient.extension[0].url "}},
	{"a relative url", richard, "UKCore-Patient", set("extension.0.url", `'ethnicity'`), []string{"extension-url Patient.extension[0].url "}},
	{"an extension as a modifier", richard, "UKCore-Patient", set("modifierExtension.-", `{'url':'https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ResidentialStatus','valueCodeableConcept':{'coding':[{'system':'https://fhir.hl7.org.uk/CodeSystem/UKCore-ResidentialStatus','code':'H'}]}}`), []string{"extension-not-modifier Patient.modifierExtension[0] #Extension"}},
	{"an unknown modifier", richard, "UKCore-Patient", set("modifierExtension.-", `{'url':'http://example.org/upside-down','valueBoolean':true}`), []string{"warning modifier-extension-unknown Patient.modifierExtension[0] "}},
	{"an unknown modifier in a Task", "UKCore-Task-Colonoscopy-Example", "UKCore-Task", set("modifierExtension.-", `{'url':'http://example.org/upside-down','valueBoolean':true}`), []string{"modifier-extension-unknown Task.modifierExtension[0] "}},
	{"the wrong profile", richard, bpShape, func(map[string]any) {}, []string{"profile-type Patient "}},
	{"an unknown profile", richard, "UKCore-Pavement", func(map[string]any) {}, []string{"profile-unknown Patient "}},
}

// TestMutations plants one mistake in an example that conforms, and expects that it is
// found, where it is, and nothing else.
func TestMutations(t *testing.T) {
	t.Parallel()
	v, p := ukValidator(t)
	for _, m := range mutations {
		example := ukExample(t, p, m.example)
		m.change(example)
		src, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Decode("", src)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		issues, err := v.Check(t.Context(), r.Root(), Options{Profiles: []string{uk + m.profile}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, is := range issues {
			what := is.Detail + " " + is.Expression + " "
			if is.Severity != fhir.Error {
				what = is.Severity.String() + " " + what
			}
			if i := strings.LastIndexByte(is.Rule, '#'); i >= 0 {
				what += is.Rule[i:]
			}
			got = append(got, what)
		}
		slices.Sort(got)
		if !slices.Equal(got, m.want) {
			t.Errorf("%s:\n got %q\nwant %q", m.name, got, m.want)
		}
	}
	t.Logf("%d mutations", len(mutations))
}
