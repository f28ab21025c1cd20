package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The extensions of diaries.
const (
	RemoteDiaryURL = extensionBase + "remote-diary" // of a Schedule, a boolean: another system keeps it, and what is booked in it waits for that system
	BookedWithURL  = extensionBase + "booked-with"  // of an Appointment, a Reference: the practice whose Slots it holds; the server writes it
)

// The statuses of a Slot that bookings make. https://hl7.org/fhir/R4/valueset-slotstatus.html
const (
	SlotFree      = "free"
	SlotBusy      = "busy"
	SlotTentative = "busy-tentative"
)

// A Slot is what the rules look at of a Slot resource.
type Slot struct {
	Key      fhir.Key
	Schedule fhir.Key // empty when it is no literal reference to this server
	Status   string
	Start    time.Time
	End      time.Time

	root fhir.Node
}

// ReadSlot reads a Slot. References that begin with base, the address of this server
// without a last slash, are taken as relative ones.
func ReadSlot(r *fhir.Resource, base string) Slot {
	n := r.Root()
	return Slot{
		Key:      fhir.Key{Type: "Slot", ID: r.ID()},
		Schedule: target(n.Child("schedule"), base),
		Status:   n.Child("status").Text(),
		Start:    momentOf(n.Child("start")),
		End:      momentOf(n.Child("end")),
		root:     n,
	}
}

// As returns the JSON of the Slot with another status.
func (s Slot) As(status string) ([]byte, error) {
	doc, err := openDocument(s.root)
	if err != nil {
		return nil, err
	}
	doc.setText("status", status)
	return doc.bytes(), nil
}

// A Diary is what the rules look at of a Schedule resource, which Slots are of.
type Diary struct {
	Key    fhir.Key
	Actors []fhir.Key
	Remote bool // another system keeps the diary
	Closed bool // it is not active: nothing is booked in it any more
}

// ReadDiary reads a Schedule. References are taken as in [ReadSlot].
func ReadDiary(r *fhir.Resource, base string) Diary {
	n := r.Root()
	return Diary{
		Key:    fhir.Key{Type: "Schedule", ID: r.ID()},
		Actors: targets(n, "actor", base),
		Remote: n.Extension(RemoteDiaryURL).Child("value").Text() == "true",
		Closed: n.Child("active").Text() == "false",
	}
}

// An Appointment is what the rules look at of an Appointment resource.
type Appointment struct {
	Key      fhir.Key
	Status   string
	Slots    []fhir.Key // each once
	Strange  bool       // a slot is named by what is no literal reference to this server
	Patients []fhir.Key // that take part
	Others   []fhir.Key // that take part and are no patients
	Tasks    []fhir.Key // in supportingInformation
	Start    time.Time  // zero when it is not there
	End      time.Time
	Reason   bool     // there is a cancelationReason
	With     fhir.Key // the practice that it is booked with, as the server wrote it

	root fhir.Node
}

// ReadAppointment reads an Appointment. References are taken as in [ReadSlot].
func ReadAppointment(r *fhir.Resource, base string) Appointment {
	n := r.Root()
	a := Appointment{
		Key:    fhir.Key{Type: "Appointment", ID: r.ID()},
		Status: n.Child("status").Text(),
		Start:  momentOf(n.Child("start")),
		End:    momentOf(n.Child("end")),
		Reason: says(n.Child("cancelationReason")),
		With:   target(n.Extension(BookedWithURL).Child("value"), base),
		root:   n,
	}
	for s := range n.Each("slot") {
		switch k := target(s, base); {
		case k.Type != "Slot":
			a.Strange = true
		case !slices.Contains(a.Slots, k):
			a.Slots = append(a.Slots, k)
		}
	}
	for p := range n.Each("participant") {
		switch k := target(p.Child("actor"), base); {
		case k.Type == "Patient":
			a.Patients = append(a.Patients, k)
		case k.ID != "":
			a.Others = append(a.Others, k)
		}
	}
	for _, k := range targets(n, "supportingInformation", base) {
		if k.Type == "Task" {
			a.Tasks = append(a.Tasks, k)
		}
	}
	return a
}

// Holds returns the status that the Slots of the Appointment have because of it: busy, of one
// that waits for the practice busy-tentative, and "" when it holds none.
func (a Appointment) Holds() string {
	if len(a.Slots) == 0 && !a.Strange {
		return ""
	}
	switch a.Status {
	case "pending":
		return SlotTentative
	case "booked", "arrived", "checked-in", "fulfilled", "noshow":
		return SlotBusy
	}
	return ""
}

// held returns the Slots that a holds; a may be nil.
func (a *Appointment) held() []fhir.Key {
	if a == nil || a.Holds() == "" {
		return nil
	}
	return a.Slots
}

// targets returns what the references of an element that repeats point to on this server.
func targets(n fhir.Node, name, base string) []fhir.Key {
	var all []fhir.Key
	for e := range n.Each(name) {
		if k := target(e, base); k.ID != "" {
			all = append(all, k)
		}
	}
	return all
}
