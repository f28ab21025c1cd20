package consultation

import (
	"github.com/openconsult/openconsult/fhir"
)

const (
	onlineConsultation = "149951000000107" // SNOMED CT: information received using an online consultation system
	serviceURL         = extensionBase + "healthcare-service"
)

// StartsConsultation reports whether completed responses to a form start a consultation.
// The form says so by its code: consultation in [KindSystem], or SNOMED CT
// 149951000000107.
func StartsConsultation(questionnaire fhir.Node) bool {
	for c := range questionnaire.Each("code") {
		switch code(c) {
		case Code{KindSystem, string(Consultation)}, Code{snomedSystem, onlineConsultation}:
			return true
		}
	}
	return false
}

// ChosenService returns the HealthcareService that a response is sent to, by its extension
// healthcare-service with a valueReference; the empty Key when it names none. base is the
// address of this server.
func ChosenService(response fhir.Node, base string) fhir.Key {
	return target(response.Extension(serviceURL).Child("value"), base)
}

// A Destination is what is known about where a submission goes.
type Destination struct {
	Chosen  fhir.Key  // as [ChosenService] says; may be empty
	Service fhir.Node // that HealthcareService; zero when it is not there
	Patient fhir.Node // the Patient; zero when nobody knows who it is
	Entered fhir.Key  // the organisation of the receptionist who enters it; empty when the patient does
	Base    string    // the address of this server
}

// ChooseOwner returns the organisation that must answer a submission: that of the chosen
// service, or else the practice that the patient is registered with
// (Patient.generalPractitioner, or else managingOrganization), or else, for a patient whom
// reception does not know, the practice of the receptionist. Without any it is an
// [*fhir.Outcome] of class Unprocessable with Detail owner-not-found; a chosen service that
// is not there, not active, or of nobody is healthcare-service-not-available.
func ChooseOwner(d Destination) (fhir.Key, error) {
	if d.Chosen.ID != "" {
		owner := target(d.Service.Child("providedBy"), d.Base)
		if owner.Type != "Organization" || d.Service.Child("active").Text() == "false" {
			return fhir.Key{}, refuse(fhir.BusinessRule, "healthcare-service-not-available", "QuestionnaireResponse.extension",
				"The chosen service takes no requests; choose another, or leave the choice out to ask the patient's own practice.")
		}
		return owner, nil
	}
	for gp := range d.Patient.Each("generalPractitioner") {
		if owner := target(gp, d.Base); owner.Type == "Organization" {
			return owner, nil
		}
	}
	if owner := target(d.Patient.Child("managingOrganization"), d.Base); owner.ID != "" {
		return owner, nil
	}
	if d.Entered.ID != "" {
		return d.Entered, nil
	}
	return fhir.Key{}, refuse(fhir.BusinessRule, "owner-not-found", "QuestionnaireResponse.subject",
		"No practice is known for this patient; choose a HealthcareService in the extension %s.", serviceURL)
}
