package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Identification says who the patient of a submission is that came from somebody unknown.
type Identification struct {
	Task     *fhir.Resource
	Response *fhir.Resource // in its focus; nil when there is none
	Patient  Party
	Now      time.Time
}

// Identify returns the Task and the response with the patient in them: the Task is for the
// patient, and is not identity-unverified any more, so that it can be filed. What was said of the
// patient before stays in the earlier versions. The error is an [*fhir.Outcome] of class
// Unprocessable with Detail already-identified when the Task is not of somebody unknown.
func Identify(i Identification) ([]Authored, error) {
	if kind, err := KindOf(i.Task.Root()); err != nil || kind != Consultation || !IsUnverified(i.Task.Root()) {
		return nil, refuse(fhir.BusinessRule, "already-identified", "Task.for", "It is known already whom this Task is for; a wrong patient is put right by the practice that has made the record, with $merge or a new consultation.")
	}
	task, err := openDocument(i.Task.Root())
	if err != nil {
		return nil, err
	}
	task.setWire("for", i.Patient.wire())
	task.setText("lastModified", dateTime(i.Now))
	if codeIn(i.Task.Root().Child("businessStatus"), BusinessSystem) == IdentityNotVerified {
		task.setWire("businessStatus", businessStatus(New))
	}
	task.setExtensions(append(otherExtensions(i.Task.Root(), identityStateURL), encode(wireExtension{URL: identityStateURL, ValueCode: string(IdentityTraced)})))
	all := []Authored{{"Task", i.Task.ID(), task.bytes()}}
	if i.Response == nil {
		return all, nil
	}
	response, err := openDocument(i.Response.Root())
	if err != nil {
		return nil, err
	}
	response.setWire("subject", i.Patient.wire())
	return append(all, Authored{"QuestionnaireResponse", i.Response.ID(), response.bytes()}), nil
}
