package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// What patients may book and cancel by themselves. The practice may always.
const (
	BookingLimit = 3             // bookings of a patient with one practice that are still to come
	CancelUntil  = 2 * time.Hour // before the beginning
)

// A Booking is an Appointment that somebody wants to create, change or delete, with all that
// the rules have to know. Facts that are left out never allow anything. They must be what is
// stored when the result is.
//
// A patient books by an Appointment with the status booked that names free Slots of one
// Schedule, one after the other and in the future, and among its participants the patient and an
// actor of the Schedule. Where the Schedule has the extension [RemoteDiaryURL] the patient asks by
// the status pending, which holds the Slots tentatively, and the system that keeps the diary says
// booked, or cancelled. An Appointment without Slots is plain FHIR, but that no patient makes it
// booked. https://hl7.org/fhir/R4/appointment.html
type Booking struct {
	Old       *Appointment          // as it is; nil for a new one
	Next      *Appointment          // as the client wrote it; nil for a deletion
	Slots     map[fhir.Key]Slot     // of both, as they are
	Diaries   map[fhir.Key]Diary    // of the Slots
	Practices map[fhir.Key]fhir.Key // the Organization of a HealthcareService, PractitionerRole or Location that is an actor or participant
	Caller    Caller                // who asks
	All       bool                  // the caller is trusted with every role
	Keeper    bool                  // the caller is no person: a system that keeps the diary, if it belongs to the practice
	Others    []Appointment         // further ones of the patient that are still to come
	Now       time.Time
}

// A SlotMove is what becomes of a Slot.
type SlotMove struct {
	Slot   Slot
	Status string // its new one
}

// Booked is what a Booking leads to.
type Booked struct {
	Appointment []byte     // what is to be stored; nil is what the client wrote
	Slots       []SlotMove // to be stored with it
}

// Book says what comes of b. The error is an Outcome, or a fault of ours. The Outcomes have the
// Details
//
//   - slot-required, cancelation-reason-required, patient-required, slot-unknown, slots-not-adjacent,
//     slot-not-of-practice, slot-in-past, appointment-time-differs, diary-confirms,
//     booking-limit, too-late-to-cancel, appointment-holds-slots: Unprocessable
//   - slot-unavailable, and slot-held while somebody else waits for it to be confirmed: Clash
//   - booking-not-permitted, element-not-permitted-for-role: Denied
func Book(b Booking) (Booked, error) {
	j := &judgement{Booking: b}
	if b.Next == nil {
		return Booked{}, orNil(j.deleted())
	}
	j.schedule = j.diary()
	j.practice = j.practiceOf(j.schedule)
	j.roles = j.rolesIn()
	for _, rule := range [...]func() *fhir.Outcome{j.asPatient, j.permitted, j.reason, j.claim} {
		if o := rule(); o != nil {
			return Booked{}, o
		}
	}
	return j.write()
}

// orNil returns o as an error that is nil when o is.
func orNil(o *fhir.Outcome) error {
	if o == nil {
		return nil
	}
	return o
}

// A judgement is a Booking while it is looked at.
type judgement struct {
	Booking
	schedule *Diary   // that the Slots are of; nil when it is not known, or there are several
	practice fhir.Key // whose diary it is
	roles    Roles    // of the caller: Requester for the patient, Owner for the practice
}

func (j *judgement) deleted() *fhir.Outcome {
	if len(j.Old.held()) == 0 {
		return nil
	}
	return refuse(fhir.BusinessRule, "appointment-holds-slots", "", "This Appointment holds its Slots; cancel it, or mark it as entered in error, before you delete it.")
}

// subject returns the version that says whose Appointment it is.
func (j *judgement) subject() *Appointment {
	if j.Old != nil {
		return j.Old
	}
	return j.Next
}

// diary returns the Schedule of the Slots that are to be held, or were.
func (j *judgement) diary() *Diary {
	slots := j.Next.Slots
	if len(slots) == 0 {
		slots = j.Old.held()
	}
	var found *Diary
	for _, k := range slots {
		s, ok := j.Diaries[j.Slots[k].Schedule]
		if !ok || found != nil && found.Key != s.Key {
			return nil
		}
		found = &s
	}
	return found
}

// practiceOf returns the Organization of a diary, and of one that is a person's own that person.
func (j *judgement) practiceOf(s *Diary) fhir.Key {
	if s == nil {
		return fhir.Key{}
	}
	for _, actor := range s.Actors {
		if of := j.Practices[actor]; of.ID != "" {
			return of
		}
	}
	if len(s.Actors) > 0 {
		return s.Actors[0]
	}
	return fhir.Key{}
}

// rolesIn returns what the caller is in the Appointment.
func (j *judgement) rolesIn() Roles {
	if j.All {
		return Requester | Owner
	}
	var r Roles
	patients := j.subject().Patients
	foreign := func(p fhir.Key) bool {
		return !slices.Contains(j.Caller.Persons, p) && !slices.Contains(j.Caller.Proxies, p)
	}
	if len(patients) > 0 && !slices.ContainsFunc(patients, foreign) {
		r |= Requester
	}
	if j.keeps() {
		r |= Owner
	}
	return r
}

// keeps reports whether the diary is the caller's, or that of an organisation of the caller.
func (j *judgement) keeps() bool {
	if j.practice.ID == "" || j.practice.Type == "Patient" {
		return false
	}
	return slices.Contains(j.Caller.Persons, j.practice) ||
		slices.ContainsFunc(j.Caller.Memberships, func(m Membership) bool { return m.Of == j.practice })
}

// isPatient reports whether the caller is the patient, or acts for the patient, and nothing else.
func (j *judgement) isPatient() bool { return j.roles == Requester }

// permitted sees to it that only the patient and the practice take and give back Slots.
func (j *judgement) permitted() *fhir.Outcome {
	if j.roles != 0 || !j.changesSlots() {
		return nil
	}
	return denied("booking-not-permitted", "Appointment.slot", "Only the patient of this Appointment, who acts for the patient, and the practice whose diary this is book and cancel here.")
}

// changesSlots reports whether other Slots are held than before, or otherwise.
func (j *judgement) changesSlots() bool {
	return j.status() != j.Next.Holds() || !sameKeys(j.Old.held(), j.Next.held())
}

// status returns the status that the Slots held so far have.
func (j *judgement) status() string {
	if j.Old == nil {
		return ""
	}
	return j.Old.Holds()
}

// reason asks why something booked is cancelled.
func (j *judgement) reason() *fhir.Outcome {
	if j.status() == "" || j.Next.Status != "cancelled" || j.Next.Reason {
		return nil
	}
	return refuse(fhir.BusinessRule, "cancelation-reason-required", "Appointment.cancelationReason", "Say why the Appointment is cancelled: give a cancelationReason with a text or code.")
}

func denied(detail, expression, text string) *fhir.Outcome {
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, expression, "%s", text)
	o.Issues[0].Detail = detail
	return o
}

// sameKeys reports whether a and b, in which each comes once, have the same members.
func sameKeys(a, b []fhir.Key) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(k fhir.Key) bool { return !slices.Contains(b, k) })
}
