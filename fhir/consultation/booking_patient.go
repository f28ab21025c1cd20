package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// asPatient holds for patients and who acts for them.
func (j *judgement) asPatient() *fhir.Outcome {
	if !j.isPatient() {
		return nil
	}
	if j.Old != nil && (j.Old.Holds() != "" || j.Old.Status == "booked") {
		return j.cancel()
	}
	switch {
	case j.Old != nil && j.Old.Status == j.Next.Status && j.Next.Holds() == "":
		return nil
	case j.Next.Status == "booked" && len(j.Next.Slots) == 0 && !j.Next.Strange:
		return refuse(fhir.BusinessRule, "slot-required", "Appointment.slot", "Name the free Slots that you book, or ask for an appointment by the status proposed.")
	}
	switch j.Next.Status {
	case "arrived", "checked-in", "fulfilled", "noshow":
		return denied("element-not-permitted-for-role", "Appointment.status", "This is for the practice to say; a patient books, and cancels.")
	}
	return nil
}

// cancel judges what a patient changes of what is booked: nothing but that it is cancelled,
// in time.
func (j *judgement) cancel() *fhir.Outcome {
	var o fhir.Outcome
	for _, name := range changedIn(j.Old.root, j.Next.root) {
		if name != "cancelationReason" || j.Next.Status != "cancelled" {
			o.Issues = append(o.Issues, denied("element-not-permitted-for-role", "Appointment."+name, "What is booked stays as it is; cancel it and book anew, or ask the practice.").Issues...)
		}
	}
	switch {
	case len(o.Issues) > 0:
		o.Class = fhir.Denied
		return &o
	case j.Next.Status == j.Old.Status:
		return nil
	case j.Next.Status != "cancelled" || j.Old.Status != "booked" && j.Old.Status != "pending":
		return denied("element-not-permitted-for-role", "Appointment.status", "A patient cancels what is booked, and does not change it otherwise; ask the practice.")
	case j.Old.Status == "booked" && !j.inTime():
		return refuse(fhir.BusinessRule, "too-late-to-cancel", "Appointment.status", "It is too late to cancel here: that ends %.0f hours before the beginning. Please tell the practice.", CancelUntil.Hours())
	}
	return nil
}

// inTime reports whether a patient may still cancel. What has no beginning can be cancelled.
func (j *judgement) inTime() bool {
	return j.Old.Start.IsZero() || !j.Now.IsZero() && !j.Now.After(j.Old.Start.Add(-CancelUntil))
}

// limit bounds what a patient books.
func (j *judgement) limit() *fhir.Outcome {
	if !j.isPatient() || j.status() != "" {
		return nil
	}
	booked := 0
	for _, a := range j.Others {
		if a.Key != j.Next.Key && a.With == j.practice && a.Start.After(j.Now) && (a.Status == "booked" || a.Status == "pending") {
			booked++
		}
	}
	if booked < BookingLimit {
		return nil
	}
	return refuse(fhir.BusinessRule, "booking-limit", "Appointment", "You have %d appointments with this practice to come, which is as many as can be booked here; cancel one, or ask the practice.", booked)
}

// changedIn returns the names of the elements at the top of a resource that differ, but those of
// its status, identity and version, and what only the server writes, in the order of next, then
// of old.
func changedIn(old, next fhir.Node) []string {
	var names []string
	for _, root := range []fhir.Node{next, old} {
		for c := range root.Children() {
			switch name := c.Name(); name {
			case "id", "meta", "status":
			default:
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.EqualFunc(written(old, name), written(next, name), sameNode)
	})
}

// written returns the elements with a name that a client writes.
func written(n fhir.Node, name string) []fhir.Node {
	return slices.DeleteFunc(slices.Collect(n.Each(name)), func(e fhir.Node) bool {
		return name == "extension" && e.Child("url").Text() == BookedWithURL
	})
}
