package consultation

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// FuzzBook books whatever an Appointment can say: what is allowed can be stored, and takes only
// Slots that are free.
func FuzzBook(f *testing.F) {
	for _, seed := range []string{
		`{"resourceType":"Appointment","status":"booked","slot":[{"reference":"Slot/1"}],"participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"HealthcareService/gp"},"status":"accepted"}]}`,
		`{"resourceType":"Appointment","extension":[{"url":"urn:x","valueString":"\u00e9"}],"status":"pending","slot":[{"reference":"Slot/r"},{"display":"any"}],"_start":{"id":"a"},"participant":[{"status":"accepted"}]}`,
		`{"resourceType":"Appointment","status":"cancelled","cancelationReason":{"text":"a"},"slot":[{"reference":"https://other.example/Slot/1"}],"participant":[{"actor":{"reference":"#p"},"status":"declined"}]}`,
		`{"resourceType":"Appointment","status":"arrived","start":"2026-03-02T10:00:00.5+14:00","end":"2026-03-02T23:59:60Z","slot":[{"reference":"Slot/early"},{"reference":"Slot/1"}],"participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"}]}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	day := newDay(f)
	f.Fuzz(func(t *testing.T, src []byte, asPatient bool) {
		r, err := fhir.Decode("Appointment", src)
		if err != nil {
			return
		}
		next := ReadAppointment(r, bookingBase)
		b := day.as("all")
		if asPatient {
			b = day.as("patient")
		}
		b.Next = &next
		got, err := Book(b)
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Error(err)
			}
			return
		}
		for _, m := range got.Slots {
			if m.Slot.Status != SlotFree {
				t.Errorf("%s takes %+v", src, m.Slot)
			}
		}
		if len(got.Slots) != len(next.held()) {
			t.Errorf("%s takes %d Slots of %d", src, len(got.Slots), len(next.held()))
		}
		if got.Appointment != nil {
			if _, err := fhir.DecodeDerived("Appointment", got.Appointment); err != nil {
				t.Errorf("%s becomes %s: %v", src, got.Appointment, err)
			}
		}
	})
}
