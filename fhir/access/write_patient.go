package access

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// patientsWrite reports whether patients may write resources of a type at all.
func patientsWrite(typ string) bool {
	switch typ {
	case "Appointment", "AppointmentResponse", "Binary", "Communication", "CommunicationRequest", "DocumentReference", "MedicationStatement",
		"Observation", "QuestionnaireResponse", "Subscription", "Task":
		return true
	}
	return false
}

// isFinal reports whether a resource of that type and status has left the hands
// of the patient who wrote it.
func isFinal(typ, status string) bool {
	switch typ {
	case "Communication":
		return status != "preparation" && status != "in-progress" && status != "on-hold"
	case "QuestionnaireResponse":
		return status != "in-progress" && status != "stopped"
	}
	return false
}

// mayAsPatient holds for patients and who acts for them.
func (r *writer) mayAsPatient() error {
	if !patientsWrite(r.Type) {
		return r.denied(r.Type, "Patients do not write resources of type %s.", r.Type)
	}
	if r.Old != nil {
		if err := r.mayChangeAsPatient(); err != nil {
			return err
		}
	}
	if r.New == nil {
		return nil
	}
	own := r.patients()
	subjects := Subjects(r.New.named())
	isOwn := func(of string) bool { return slices.Contains(own, of) }
	if i := slices.IndexFunc(subjects, func(of string) bool { return !isOwn(of) }); i >= 0 {
		return r.denied(r.Type, "You may write about yourself only, or whom you act for.")
	}
	if r.Type != "Binary" && r.Type != "Subscription" && !slices.ContainsFunc(r.New.named(), func(k Key) bool { return k.Kind == Patient && isOwn(k.Of) }) {
		return r.denied(r.Type, "Name the patient that the %s is from or about: you, or whom you act for.", r.Type)
	}
	if !r.asked() && !r.isFrom(r.New) {
		return r.denied(authorElement(r.Type), "Name nobody but yourself, or whom you act for, as the one whom this is from.")
	}
	return nil
}

// mayChangeAsPatient holds for what is there already: a patient changes what is
// from that patient, and who may see it stays as it is.
func (r *writer) mayChangeAsPatient() error {
	switch {
	case isFinal(r.Type, r.Old.Status) && !r.Amends:
		return r.denied(r.Type+".status", "What is completed stays as it is: send a new %s.", r.Type)
	case r.New == nil && !r.owns(r.Old):
		return r.denied(r.Type, "You may delete only what is from you, or from whom you act for.")
	case r.New == nil:
		return nil
	case r.Type != "Appointment" && !r.owns(r.Old) && !r.asked():
		return r.denied(r.Type, "You may change only what is from you, or from whom you act for.")
	case !slices.Equal(r.Old.named(), r.New.named()):
		return r.denied(r.Type, "Leave who takes part in this %s, whom it is about, and its labels as they are.", r.Type)
	}
	return nil
}

// asked reports whether this is a change of a Task that the writer was asked to
// do, whose requester stays.
func (r *writer) asked() bool {
	return r.Type == "Task" && r.Old != nil && r.New != nil && r.isSelf(r.Old.Owner) && r.Old.Owner == r.New.Owner &&
		slices.Equal(r.Old.Authors, r.New.Authors) && r.Old.Stranger == r.New.Stranger
}

// isFrom reports whether nobody but the writer is said to be whom c is from.
func (r *writer) isFrom(c *Content) bool {
	other := func(k fhir.Key) bool { return !r.isSelf(k) }
	return !c.Stranger && !slices.ContainsFunc(c.Authors, other) && !slices.ContainsFunc(c.Reporters, other)
}

// wrote reports whether c says that it is from the writer and from nobody else.
func (r *writer) wrote(c *Content) bool {
	return len(c.Authors)+len(c.Reporters) > 0 && r.isFrom(c)
}

// owns reports whether c is the writer's own: a Subscription, which says nothing of
// whom it is from, if it was made by who acts for one of the same patients.
func (r *writer) owns(c *Content) bool {
	if r.Type != "Subscription" {
		return r.wrote(c)
	}
	var any []Key
	for _, of := range r.patients() {
		any = append(any, Key{Author, of})
	}
	return c.Given != nil && c.Given(any)
}

// isSelf reports whether k is a patient that the writer writes for, or the
// writer.
func (r *writer) isSelf(k fhir.Key) bool {
	return k.ID != "" && (k == r.terms.User || slices.Contains(r.patients(), k.String()))
}
