package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// Published returns the resource that tells everybody what [Compartment] returns.
// The server makes it, so nothing is stored under that name.
func Published() fhir.Key {
	return fhir.Key{Type: "CompartmentDefinition", ID: "openconsult-patient"}
}

// A Membership says how resources of a type come to be seen by a patient.
type Membership struct {
	Type   string
	Params []string // reference parameters of R4: who is named by one sees it. Patient has "{def}", itself; nil: no patient sees any by them
	Remark string   // what differs from R4, and why; what does not depend on parameters. May be empty
}

// Compartment returns our patient compartment: what gives the key Patient, for
// each resource type of R4 by name.
func Compartment() []Membership {
	params := map[string][]string{"Patient": {"{def}"}}
	for _, p := range spec.R4().SearchParameters {
		for _, typ := range p.Base {
			if p.Type == "reference" && effectOf(typ, p.Code)&patientSees != 0 && !slices.Contains(params[typ], p.Code) {
				params[typ] = append(params[typ], p.Code)
			}
		}
	}
	var all []Membership
	for _, t := range spec.R4().Resources() {
		slices.Sort(params[t.Name])
		all = append(all, Membership{t.Name, params[t.Name], remark(t.Name)})
	}
	return all
}

// remark says in what resources of a type are seen otherwise than R4's patient
// compartment would have it, or than parameters can say.
func remark(typ string) string {
	switch typ {
	case "AuditEvent":
		return "Read-only; a patient may be told the organisation that has looked at the data, and not the person."
	case "Binary":
		return "Whoever sees a message, a document, a report or a form sees the files that it has as attachments; a file that nothing has is its author's."
	case "Communication", "CommunicationRequest":
		return "Not by subject: clinicians write to one another about a patient. What has the category internal-note no patient sees, nor a draft of others; what has the extension release-to-patient the subject sees."
	case "Device":
		return "R4 leaves devices out. One that has a patient is that patient's, and not everybody's; one without is open."
	case "Group":
		return "Not at all, though R4 has member: a member would see who the others are."
	case "List":
		return "Not by source: a list that a patient made may be about somebody else."
	case "Patient":
		return "The patient's own resource; links are not followed, since whoever could set one would see the other's record."
	case "Practitioner":
		return "Open, as the directory is, but in part: patients and who acts for them are shown neither telecom and address with the use home nor birthDate nor the narrative, and such a resource is tagged SUBSETTED. They do not search or sort by these."
	case "Schedule":
		return "One that has actors from the directory only is open."
	case "ServiceRequest":
		return "Not by performer: a patient who is to do something sees the Task for it."
	case "Task":
		return "R4 leaves tasks out; as in R5 a task is that of the patient it is for. Not by focus, which may be somebody else's; a patient who asks for a task, or does it, sees what it is about. The receipt of a message is only theirs whose message it is, or who got it."
	}
	if isOpen(typ) {
		return "Open: whoever may ask for the type sees it."
	}
	return ""
}
