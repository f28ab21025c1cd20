package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// ChangeSlot says whether somebody may make next of a Slot; nil is a deletion. Holders are the
// Appointments that name it. While one of them holds it, neither its status changes nor when it is
// and whose: the Outcome is Unprocessable with the Detail slot-booked. Who may write Slots at all
// is not asked here.
func ChangeSlot(old Slot, next *Slot, holders []Appointment) error {
	holds := func(a Appointment) bool { return a.Holds() != "" && slices.Contains(a.Slots, old.Key) }
	if !slices.ContainsFunc(holders, holds) || next != nil && old.agrees(*next) {
		return nil
	}
	at := "Slot"
	if next != nil && old.Status != next.Status {
		at = "Slot.status"
	}
	return refuse(fhir.BusinessRule, "slot-booked", at, "An Appointment holds this Slot; cancel or move the Appointment, and the Slot becomes free by itself.")
}

// agrees reports whether next is as s is, as far as a booking depends on it.
func (s Slot) agrees(next Slot) bool {
	return s.Status == next.Status && s.Schedule == next.Schedule && s.Start.Equal(next.Start) && s.End.Equal(next.End)
}

// IsTakenUp reports whether an Appointment that becomes booked does what a Task asks for: it names
// a patient-action Task in its supportingInformation, which waits for the same patient, and whoever
// books has to do with that Task.
func IsTakenUp(t Task, by Roles, old *Appointment, next Appointment) bool {
	return next.Status == "booked" && (old == nil || old.Status != "booked") && t.Kind == PatientAction &&
		(t.Status == StatusReady || t.Status == StatusInProgress) &&
		slices.Contains(next.Tasks, t.Key) && slices.Contains(next.Patients, t.For) && by&(Requester|Owner) != 0
}

// TakeUp returns the JSON of a Task that an Appointment completes.
func TakeUp(task *fhir.Resource, appointment fhir.Key, now time.Time) ([]byte, error) {
	doc, err := openDocument(task.Root())
	if err != nil {
		return nil, err
	}
	doc.setText("status", string(StatusCompleted))
	doc.setText("lastModified", dateTime(now))
	push(doc, "output", wireInput{Type: conceptOf(TaskIOSystem, "appointment", ""), Ref: &wireReference{Reference: appointment.String()}})
	return doc.bytes(), nil
}
