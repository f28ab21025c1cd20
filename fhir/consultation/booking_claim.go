package consultation

import (
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// claim judges whether the Appointment may hold its Slots.
func (j *judgement) claim() *fhir.Outcome {
	if j.Next.Holds() == "" {
		return nil
	}
	if j.changesSlots() {
		for _, rule := range [...]func() *fhir.Outcome{j.known, j.ofPractice, j.taker, j.adjacent, j.confirmed, j.ahead, j.free, j.limit} {
			if o := rule(); o != nil {
				return o
			}
		}
	}
	return j.times()
}

// slot returns a Slot that is to be held, and where it is named.
func (j *judgement) slot(i int) (Slot, string) {
	return j.Slots[j.Next.Slots[i]], fmt.Sprintf("Appointment.slot[%d]", i)
}

func (j *judgement) known() *fhir.Outcome {
	if j.Next.Strange {
		return slotUnknown("Appointment.slot")
	}
	for i := range j.Next.Slots {
		if s, at := j.slot(i); s.Key.ID == "" || s.Start.IsZero() || s.End.IsZero() {
			return slotUnknown(at)
		}
	}
	return nil
}

func slotUnknown(at string) *fhir.Outcome {
	return refuse(fhir.BusinessRule, "slot-unknown", at, "There is no such Slot here; search for free ones, and name them by literal references to this server.")
}

// ofPractice sees to it that the practice takes part whose diary it is.
func (j *judgement) ofPractice() *fhir.Outcome {
	const detail = "slot-not-of-practice"
	if j.schedule == nil {
		if j.scattered() {
			return notAdjacent()
		}
		return refuse(fhir.BusinessRule, detail, "Appointment.slot", "The Slot is of no Schedule on this server; book another one.")
	}
	takesPart := func(k fhir.Key) bool {
		return slices.Contains(j.schedule.Actors, k) || j.practice.ID != "" && j.Practices[k] == j.practice
	}
	switch {
	case j.schedule.Closed:
		return refuse(fhir.BusinessRule, detail, "Appointment.slot", "The Schedule of the Slot is not active any more; book another one.")
	case j.practice.ID == "":
		return refuse(fhir.BusinessRule, detail, "Appointment.slot", "The Schedule of the Slot names nobody on this server as its actor; book another one.")
	case !slices.ContainsFunc(j.Next.Others, takesPart):
		return refuse(fhir.BusinessRule, detail, "Appointment.participant", "The Slot is of a Schedule whose actors do not take part; add an actor of the Schedule as a participant, or book a Slot of theirs.")
	}
	return nil
}

// scattered reports whether the Slots are of more Schedules than one.
func (j *judgement) scattered() bool {
	first, _ := j.slot(0)
	return slices.ContainsFunc(j.Next.Slots, func(k fhir.Key) bool { return j.Slots[k].Schedule != first.Schedule })
}

// taker sees to it that somebody comes.
func (j *judgement) taker() *fhir.Outcome {
	if len(j.Next.Patients) > 0 {
		return nil
	}
	return refuse(fhir.Required, "patient-required", "Appointment.participant", "Say who comes: add a participant with a literal reference to a Patient on this server.")
}

// adjacent sees to it that the Slots are one stretch of time.
func (j *judgement) adjacent() *fhir.Outcome {
	all := j.inOrder()
	for i := range all[1:] {
		if !all[i].End.Equal(all[i+1].Start) {
			return notAdjacent()
		}
	}
	return nil
}

func notAdjacent() *fhir.Outcome {
	return refuse(fhir.BusinessRule, "slots-not-adjacent", "Appointment.slot", "Slots that are booked together must be of one Schedule, each beginning when the one before ends; make two Appointments.")
}

// inOrder returns the Slots that are to be held by time.
func (j *judgement) inOrder() []Slot {
	all := make([]Slot, 0, len(j.Next.Slots))
	for _, k := range j.Next.Slots {
		all = append(all, j.Slots[k])
	}
	slices.SortFunc(all, func(a, b Slot) int { return a.Start.Compare(b.Start) })
	return all
}

// confirmed sees to it that nobody but the system that keeps a diary says that something is
// booked in it.
func (j *judgement) confirmed() *fhir.Outcome {
	if !j.schedule.Remote || j.Next.Holds() != SlotBusy || j.status() == SlotBusy || j.All || j.Keeper && j.roles&Owner != 0 {
		return nil
	}
	return refuse(fhir.BusinessRule, "diary-confirms", "Appointment.status", "Another system keeps this diary, and it is booked when that says so: ask by the status pending, and wait until it is booked.")
}

// ahead sees to it that only what is still to come is booked.
func (j *judgement) ahead() *fhir.Outcome {
	if j.Next.Status != "booked" && j.Next.Status != "pending" || j.status() != "" && sameKeys(j.Old.held(), j.Next.held()) {
		return nil
	}
	for i := range j.Next.Slots {
		if s, at := j.slot(i); !s.Start.After(j.Now) || j.Now.IsZero() {
			return refuse(fhir.BusinessRule, "slot-in-past", at, "This Slot has begun already; search for free ones that begin later.")
		}
	}
	return nil
}

// free sees to it that nobody else has what is to be held.
func (j *judgement) free() *fhir.Outcome {
	for i, k := range j.Next.Slots {
		if slices.Contains(j.Old.held(), k) {
			continue
		}
		s, at := j.slot(i)
		switch s.Status {
		case SlotFree:
		case SlotTentative:
			return taken("slot-held", at, "Somebody is booking this Slot, which may become free again; search for another one, or try later.")
		default:
			return taken("slot-unavailable", at, "This Slot is not free any more; search for another one.")
		}
	}
	return nil
}

func taken(detail, at, text string) *fhir.Outcome {
	o := refuse(fhir.Conflict, detail, at, "%s", text)
	o.Class = fhir.Clash
	return o
}

// times sees to it that the Appointment is when its Slots are.
func (j *judgement) times() *fhir.Outcome {
	from, to, ok := j.span()
	if !ok {
		return nil // it was stored before, and nothing is known of its Slots
	}
	for _, t := range [...]struct {
		element   string
		got, want time.Time
	}{{"start", j.Next.Start, from}, {"end", j.Next.End, to}} {
		if n := j.Next.root.Child(t.element); !n.IsZero() && !t.got.Equal(t.want) {
			return refuse(fhir.BusinessRule, "appointment-time-differs", "Appointment."+t.element, "The Appointment begins and ends with its Slots; say the same, or leave start and end out.")
		}
	}
	return nil
}

// span returns the time that the Slots take.
func (j *judgement) span() (from, to time.Time, ok bool) {
	if j.known() != nil || len(j.Next.Slots) == 0 {
		return time.Time{}, time.Time{}, false
	}
	all := j.inOrder()
	return all[0].Start, all[len(all)-1].End, true
}

// write returns what is to be stored.
func (j *judgement) write() (Booked, error) {
	var out Booked
	for _, k := range j.Old.held() {
		if s := j.Slots[k]; !slices.Contains(j.Next.held(), k) && (s.Status == SlotBusy || s.Status == SlotTentative) {
			out.Slots = append(out.Slots, SlotMove{s, SlotFree})
		}
	}
	if j.Next.Holds() == "" {
		return out, nil
	}
	for _, k := range j.Next.Slots {
		if s := j.Slots[k]; s.Key.ID != "" && s.Status != j.Next.Holds() {
			out.Slots = append(out.Slots, SlotMove{s, j.Next.Holds()})
		}
	}
	doc, err := openDocument(j.Next.root)
	if err != nil {
		return Booked{}, err
	}
	if from, to, ok := j.span(); ok {
		j.fill(doc, "start", from)
		j.fill(doc, "end", to)
	}
	if j.practice.ID != "" {
		doc.setExtension(j.Next.root, BookedWithURL, wireBookedWith{BookedWithURL, wireReference{Reference: j.practice.String()}})
	}
	out.Appointment = doc.bytes()
	return out, nil
}

// fill says when the Appointment is, unless the client did.
func (j *judgement) fill(doc *document, name string, t time.Time) {
	if j.Next.root.Child(name).IsZero() {
		doc.setText(name, dateTime(t))
	}
}

type wireBookedWith struct {
	URL   string        `json:"url"`
	Value wireReference `json:"valueReference"`
}

// setExtension gives the resource at n, which d is, the extension x in place of all that have
// the URL.
func (d *document) setExtension(n fhir.Node, url string, x any) {
	list := []byte{'['}
	for e := range n.Each("extension") {
		if e.Child("url").Text() != url {
			list = append(append(list, e.Raw()...), ',')
		}
	}
	d.set("extension", append(append(list, encode(x)...), ']'))
}
