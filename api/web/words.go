package web

import (
	"strings"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

// clause says in plain words what a scope for resources allows, and what may
// not be plain in it. With inContext there is a patient that it is about.
func clause(s auth.Scope, inContext bool) (label, detail string) {
	label = verbs(s.Allows) + " " + noun(s.Type)
	if s.Type == "*" {
		label = verbs(s.Allows) + " everything in the record"
		detail = "Every kind of information, now and in future."
	}
	switch {
	case s.Context == access.ForUser && s.Type == "*":
		label = verbs(s.Allows) + " everything in all records that you have access to"
	case isDirectory(s.Type):
	case s.Context == access.ForUser:
		label += " of everybody whose records you have access to"
	case inContext:
		label += " of this patient"
	}
	for _, w := range s.Where {
		label += ", only " + condition(s.Type, w)
	}
	return label, detail
}

// isDirectory reports whether resources of a type are about no patient.
func isDirectory(typ string) bool {
	switch typ {
	case "Endpoint", "HealthcareService", "Location", "Medication", "Organization", "OrganizationAffiliation", "Practitioner", "PractitionerRole",
		"Questionnaire", "Schedule", "Slot", "ValueSet", "CodeSystem":
		return true
	}
	return false
}

// verbs says what permissions allow.
func verbs(p access.Permission) string {
	var words []string
	for _, v := range []struct {
		any  access.Permission
		word string
	}{{access.MayRead | access.MaySearch, "see"}, {access.MayCreate, "add"}, {access.MayUpdate, "change"}, {access.MayDelete, "delete"}} {
		if p&v.any != 0 {
			words = append(words, v.word)
		}
	}
	switch n := len(words); {
	case n == 0:
		return "Nothing with"
	case n > 1:
		words = []string{strings.Join(words[:n-1], ", "), words[n-1]}
	}
	text := strings.Join(words, " and ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// condition says what an argument of a scope leaves.
func condition(typ string, a access.Argument) string {
	if a.Param == "category" {
		for _, k := range kindsOf(typ) {
			if k.argument() == a.Value {
				return strings.ToLower(k.Label[:1]) + k.Label[1:]
			}
		}
	}
	return "where " + a.Param + " is " + a.Value
}

// noun is what people call the resources of a type.
func noun(typ string) string {
	switch typ {
	case "*":
		return "everything"
	case "AllergyIntolerance":
		return "allergies and intolerances"
	case "Appointment":
		return "appointments"
	case "Binary":
		return "attached files and pictures"
	case "CarePlan":
		return "care plans"
	case "CareTeam":
		return "care teams"
	case "Communication":
		return "messages"
	case "CommunicationRequest":
		return "requests for messages"
	case "Condition":
		return "conditions, problems and diagnoses"
	case "Consent":
		return "decisions about sharing"
	case "Coverage":
		return "insurance"
	case "DiagnosticReport":
		return "test reports"
	case "DocumentReference":
		return "documents and letters"
	case "Encounter":
		return "visits and consultations"
	case "FamilyMemberHistory":
		return "family history"
	case "HealthcareService":
		return "services that are offered"
	case "Immunization":
		return "vaccinations"
	case "MedicationRequest":
		return "prescriptions"
	case "MedicationStatement":
		return "medicines taken"
	case "Observation":
		return "test results, measurements and observations"
	case "Organization":
		return "practices, hospitals and other organisations"
	case "Patient":
		return "personal details (name, date of birth, address)"
	case "Practitioner":
		return "names and details of professionals"
	case "PractitionerRole":
		return "where professionals work"
	case "Provenance":
		return "who has written what"
	case "QuestionnaireResponse":
		return "answers to questionnaires"
	case "RelatedPerson":
		return "relatives and carers"
	case "ServiceRequest":
		return "referrals and orders"
	case "Task":
		return "requests for care"
	}
	return plural(spaced(typ))
}

// spaced writes MedicationDispense as "medication dispense".
func spaced(typ string) string {
	var b strings.Builder
	for i, r := range typ {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func plural(s string) string {
	switch {
	case strings.HasSuffix(s, "y") && !strings.HasSuffix(s, "ey"):
		return s[:len(s)-1] + "ies"
	case strings.HasSuffix(s, "s") || strings.HasSuffix(s, "history"):
		return s
	}
	return s + "s"
}

// A kind is a category of resources that a person may allow by itself.
type kind struct {
	Code, Label string
	system      string
	Checked     bool
}

// argument is the value of the search parameter category for k.
func (k kind) argument() string { return k.system + "|" + k.Code }

const (
	conditionCategory   = "http://terminology.hl7.org/CodeSystem/condition-category"
	usConditionCategory = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
	observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"
	usResultCategory    = "http://hl7.org/fhir/us/core/CodeSystem/us-core-observation-category"
	usCategory          = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
)

// kindsOf returns the categories of a type, nil if people are not asked for any.
// https://hl7.org/fhir/us/core/STU7/scopes.html
func kindsOf(typ string) []kind {
	switch typ {
	case "Condition":
		return []kind{
			{Code: "problem-list-item", Label: "Problems on the problem list", system: conditionCategory},
			{Code: "encounter-diagnosis", Label: "Diagnoses made at a visit", system: conditionCategory},
			{Code: "health-concern", Label: "Health concerns", system: usConditionCategory},
		}
	case "Observation":
		return []kind{
			{Code: "laboratory", Label: "Laboratory results", system: observationCategory},
			{Code: "vital-signs", Label: "Vital signs, such as weight and blood pressure", system: observationCategory},
			{Code: "social-history", Label: "Social history, such as smoking and work", system: observationCategory},
			{Code: "survey", Label: "Answers to surveys and assessments", system: observationCategory},
			{Code: "sdoh", Label: "Living conditions, such as housing and food", system: usCategory},
			{Code: "clinical-test", Label: "Clinical tests, such as an ECG", system: usResultCategory},
			{Code: "procedure", Label: "Results of procedures", system: observationCategory},
		}
	}
	return nil
}
