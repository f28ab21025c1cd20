package consultation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

const bookingBase = "https://fhir.openconsult.example/fhir"

// aDay is a diary with four Slots of a quarter of an hour from ten on, and a fifth one of another
// diary; the third is busy, and the fourth is held by the Appointment held.
type aDay struct {
	t       testing.TB
	booking Booking
}

func resource(t testing.TB, src string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return r
}

func newDay(t testing.TB) *aDay {
	t.Helper()
	d := &aDay{t: t, booking: Booking{
		Slots: map[fhir.Key]Slot{}, Diaries: map[fhir.Key]Diary{},
		Practices: map[fhir.Key]fhir.Key{{Type: "HealthcareService", ID: "gp"}: {Type: "Organization", ID: "prac"}, {Type: "HealthcareService", ID: "nurse"}: {Type: "Organization", ID: "prac"}, {Type: "HealthcareService", ID: "other"}: {Type: "Organization", ID: "elsewhere"}},
		Now:       time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	}}
	d.diary("gp", "")
	d.diary("other", "")
	d.diary("remote", `"extension":[{"url":"`+RemoteDiaryURL+`","valueBoolean":true}],`)
	d.diary("closed", `"active":false,`)
	for i, status := range []string{"free", "free", "busy", "busy", "free"} {
		d.slot(fmt.Sprint(i+1), "gp", status, 10*60+15*i)
	}
	d.slot("x", "other", "free", 10*60+30)
	d.slot("early", "gp", "free", 8*60)
	d.slot("now", "gp", "free", 9*60)
	d.slot("r", "remote", "free", 10*60)
	d.slot("c", "closed", "free", 10*60)
	d.slot("wanted", "gp", "busy-tentative", 13*60)
	d.slot("lost", "nowhere", "free", 10*60)
	return d
}

func (d *aDay) diary(id, more string) {
	service := id
	if id == "remote" || id == "closed" {
		service = "gp"
	}
	s := ReadDiary(resource(d.t, `{"resourceType":"Schedule","id":"`+id+`",`+more+`"actor":[{"reference":"HealthcareService/`+service+`"}]}`), bookingBase)
	d.booking.Diaries[s.Key] = s
}

func (d *aDay) slot(id, schedule, status string, minute int) {
	at := func(m int) string { return fmt.Sprintf("2026-03-02T%02d:%02d:00Z", m/60, m%60) }
	s := ReadSlot(resource(d.t, `{"resourceType":"Slot","id":"`+id+`","schedule":{"reference":"Schedule/`+schedule+`"},"status":"`+status+`","start":"`+at(minute)+`","end":"`+at(minute+15)+`"}`), bookingBase)
	d.booking.Slots[s.Key] = s
}

// wanted returns an Appointment from "booked 1 2 more", where more is any further JSON.
func (d *aDay) appointment(words string, more ...string) *Appointment {
	d.t.Helper()
	f := strings.Fields(words)
	var slots []string
	for _, s := range f[1:] {
		slots = append(slots, `{"reference":"Slot/`+s+`"}`)
	}
	text := `{"resourceType":"Appointment","id":"a","status":"` + f[0] + `"`
	if slots != nil {
		text += `,"slot":[` + strings.Join(slots, ",") + `]`
	}
	parts := strings.Join(more, ",")
	if !strings.Contains(parts, `"participant"`) {
		text += `,"participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"HealthcareService/gp"},"status":"accepted"}]`
	}
	if parts != "" {
		text += "," + parts
	}
	a := ReadAppointment(resource(d.t, text+"}"), bookingBase)
	return &a
}

// as returns the caller of a name.
func (d *aDay) as(who string) Booking {
	b := d.booking
	organization := func(id string) Caller {
		return Caller{Persons: []fhir.Key{{Type: "Practitioner", ID: id}}, Memberships: []Membership{{Of: fhir.Key{Type: "Organization", ID: id}}}}
	}
	switch who {
	case "patient":
		b.Caller.Persons = []fhir.Key{{Type: "Patient", ID: "p"}}
	case "proxy":
		b.Caller.Persons, b.Caller.Proxies = []fhir.Key{{Type: "RelatedPerson", ID: "r"}}, []fhir.Key{{Type: "Patient", ID: "p"}}
	case "former":
		b.Caller.Persons = []fhir.Key{{Type: "RelatedPerson", ID: "r"}}
	case "practice":
		b.Caller = organization("prac")
	case "elsewhere":
		b.Caller = organization("elsewhere")
	case "system":
		b.Keeper, b.Caller.Memberships = true, []Membership{{Of: fhir.Key{Type: "Organization", ID: "prac"}}}
	case "foreign":
		b.Keeper, b.Caller.Memberships = true, []Membership{{Of: fhir.Key{Type: "Organization", ID: "elsewhere"}}}
	case "all":
		b.All = true
	default:
		d.t.Fatal(who)
	}
	return b
}

const (
	why = `"cancelationReason":{"text":"I am well again"}`
)

// TestBook is who may do what with Appointments that hold Slots, and what becomes of the Slots.
func TestBook(t *testing.T) {
	t.Parallel()
	participants := func(refs ...string) string {
		var all []string
		for _, r := range refs {
			all = append(all, `{"actor":{"reference":"`+r+`"},"status":"accepted"}`)
		}
		return `"participant":[` + strings.Join(all, ",") + `]`
	}
	at10 := `"start":"2026-03-02T10:00:00Z","end":"2026-03-02T10:15:00Z"`
	at1045 := `"start":"2026-03-02T10:45:00Z","end":"2026-03-02T11:00:00Z"`
	cases := []struct {
		who, old, next string // "" is no version
		more           string // of next
		oldMore        string
		want           string // the moves of Slots, or the Detail of the refusal
	}{
		{"patient", "", "booked 1", "", "", "1:busy"},
		{"proxy", "", "booked 1", "", "", "1:busy"},
		{"former", "", "booked 1", "", "", "booking-not-permitted"},
		{"practice", "", "booked 1", "", "", "1:busy"},
		{"elsewhere", "", "booked 1", "", "", "booking-not-permitted"},
		{"all", "", "booked 1", "", "", "1:busy"},
		{"patient", "", "booked 2 1", "", "", "2:busy 1:busy"},
		{"patient", "", "booked 1 1", "", "", "1:busy"},
		{"patient", "", "booked 1 5", "", "", "slots-not-adjacent"},
		{"patient", "", "booked 2 x", "", "", "slots-not-adjacent"},
		{"patient", "", "booked 3", "", "", "slot-unavailable"},
		{"patient", "", "booked 2 3", "", "", "slot-unavailable"},
		{"practice", "", "booked 3", "", "", "slot-unavailable"},
		{"patient", "", "booked wanted", "", "", "slot-held"},
		{"patient", "", "pending wanted", "", "", "slot-held"},
		{"all", "", "arrived 3", "", "", "slot-unavailable"},
		{"patient", "", "booked early", "", "", "slot-in-past"},
		{"patient", "", "booked now", "", "", "slot-in-past"},
		{"all", "", "booked early", "", "", "slot-in-past"},
		{"practice", "", "fulfilled early", "", "", "early:busy"},
		{"patient", "", "fulfilled early", "", "", "element-not-permitted-for-role"},
		{"patient", "", "booked none", "", "", "slot-unknown"},
		{"all", "", "booked none", "", "", "slot-unknown"},
		{"all", "", "booked lost", "", "", "slot-not-of-practice"},
		{"patient", "", "booked c", "", "", "slot-not-of-practice"},
		{"patient", "", "booked x", "", "", "slot-not-of-practice"},
		{"patient", "", "booked 1", participants("Patient/p"), "", "slot-not-of-practice"},
		{"patient", "", "booked 1", participants("Patient/p", "HealthcareService/nurse"), "", "1:busy"},
		{"practice", "", "booked 1", participants("HealthcareService/gp"), "", "patient-required"},
		{"patient", "", "booked 1", participants("Patient/p", "Patient/q", "HealthcareService/gp"), "", "booking-not-permitted"},
		{"patient", "", "booked 1", `"start":"2026-03-02T10:00:00+00:00","end":"2026-03-02T10:15:00.000Z"`, "", "1:busy"},
		{"patient", "", "booked 1", at1045, "", "appointment-time-differs"},
		{"patient", "", "booked 1 2", at10, "", "appointment-time-differs"},
		{"all", "", "booked", at10, "", ""},
		{"patient", "", "booked", at10, "", "slot-required"},
		{"proxy", "", "booked", at10, "", "slot-required"},
		{"practice", "", "booked", at10, "", ""},
		{"patient", "", "proposed", "", "", ""},
		{"patient", "", "proposed 1", "", "", ""},
		{"patient", "proposed", "booked", at10, "", "slot-required"},
		{"patient", "proposed 1", "booked 1", "", "", "1:busy"},
		{"patient", "proposed", "proposed", `"comment":"I would rather come on Tuesday"`, "", ""},
		{"patient", "", "pending 1", "", "", "1:busy-tentative"},
		{"elsewhere", "", "proposed 1", "", "", ""},

		{"patient", "", "booked r", "", "", "diary-confirms"},
		{"practice", "", "booked r", "", "", "diary-confirms"},
		{"patient", "", "pending r", "", "", "r:busy-tentative"},
		{"system", "", "booked r", "", "", "r:busy"},
		{"foreign", "", "booked r", "", "", "booking-not-permitted"},
		{"all", "", "booked r", "", "", "r:busy"},
		{"practice", "pending r", "booked r", "", "", "diary-confirms"},
		{"practice", "pending r", "arrived r", "", "", "diary-confirms"},
		{"patient", "pending r", "booked r", "", "", "element-not-permitted-for-role"},
		{"system", "pending r", "booked r", "", "", "r:busy"},

		{"patient", "booked 4", "cancelled 4", at1045 + "," + why, at1045, "too-late-to-cancel"},
		{"proxy", "booked 4", "cancelled 4", at1045 + "," + why, at1045, "too-late-to-cancel"},
		{"practice", "booked 4", "cancelled 4", at1045 + "," + why, at1045, "4:free"},
		{"practice", "booked 4", "cancelled", at1045 + "," + why, at1045, "4:free"},
		{"practice", "booked 4", "cancelled 4", at1045, at1045, "cancelation-reason-required"},
		{"elsewhere", "booked 4", "cancelled 4", at1045 + "," + why, at1045, "booking-not-permitted"},
		{"former", "booked 4", "cancelled 4", at1045 + "," + why, at1045, "booking-not-permitted"},
		{"patient", "pending 4", "cancelled 4", at1045 + "," + why, at1045, "4:free"},
		{"practice", "booked 4", "entered-in-error 4", at1045, at1045, "4:free"},
		{"practice", "booked 4", "booked 1", at10, at1045, "4:free 1:busy"},
		{"practice", "booked 4", "booked 4 5", `"start":"2026-03-02T10:45:00Z","end":"2026-03-02T11:15:00Z"`, at1045, "5:busy"},
		{"practice", "booked 4", "booked", at1045, at1045, "4:free"},
		{"practice", "booked 4", "arrived 4", at1045, at1045, ""},
		{"elsewhere", "booked 4", "booked 4", at1045 + `,"comment":"bring the letter"`, at1045, ""},
		{"practice", "booked 4", "booked 4", at10, at1045, "appointment-time-differs"},
		{"patient", "booked 4", "booked 4", at1045, at1045, ""},
		{"patient", "booked 4", "booked 1", at10, at1045, "element-not-permitted-for-role"},
		{"patient", "booked 4", "booked 4", at1045 + `,"comment":"late"`, at1045, "element-not-permitted-for-role"},
		{"patient", "booked 4", "proposed 4", at1045, at1045, "element-not-permitted-for-role"},
		{"patient", "booked 4", "entered-in-error 4", at1045, at1045, "element-not-permitted-for-role"},
		{"patient", "arrived 4", "cancelled 4", at1045 + "," + why, at1045, "element-not-permitted-for-role"},
		{"patient", "booked", "cancelled", at1045 + "," + why, at1045, "too-late-to-cancel"},
		{"patient", "booked", "cancelled", why, "", ""},
		{"patient", "booked", "cancelled", "", "", ""},
		{"patient", "booked 4", "", "", at1045, "appointment-holds-slots"},
		{"all", "pending 4", "", "", at1045, "appointment-holds-slots"},
		{"practice", "cancelled 4", "", "", at1045, ""},
		{"practice", "cancelled 4", "booked 4", at1045, at1045, "slot-unavailable"},
		{"practice", "cancelled 1", "booked 1", at10, at10, "1:busy"},
	}
	for _, c := range cases {
		d := newDay(t)
		b := d.as(c.who)
		if c.old != "" {
			b.Old = d.appointment(c.old, notEmpty(c.oldMore)...)
		}
		if c.next != "" {
			b.Next = d.appointment(c.next, notEmpty(c.more)...)
		}
		if got := outcomeOf(t, b); got != c.want {
			t.Errorf("%s: %q -> %q %s: %q, want %q", c.who, c.old, c.next, c.more, got, c.want)
		}
	}
}

func notEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// outcomeOf returns the moves of Slots that a Booking leads to, or the Detail of its refusal.
func outcomeOf(t *testing.T, b Booking) string {
	t.Helper()
	got, err := Book(b)
	if o := fhir.AsOutcome(err); o != nil {
		return o.Issues[0].Detail
	}
	if err != nil {
		t.Fatal(err)
	}
	var moves []string
	for _, m := range got.Slots {
		moves = append(moves, m.Slot.Key.ID+":"+m.Status)
		src, err := m.Slot.As(m.Status)
		if err != nil {
			t.Fatal(err)
		}
		if s := ReadSlot(resource(t, string(src)), bookingBase); s.Status != m.Status || !s.Start.Equal(m.Slot.Start) || s.Schedule != m.Slot.Schedule {
			t.Errorf("a Slot is written as %s", src)
		}
	}
	return strings.Join(moves, " ")
}

// TestBookFillsIn is what the server writes into an Appointment: when it is, and with whom. What
// a client says of the latter does not count.
func TestBookFillsIn(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	b := d.as("patient")
	b.Next = d.appointment("booked 2 1", `"extension":[{"url":"`+BookedWithURL+`","valueReference":{"reference":"Organization/none"}},{"url":"urn:x","valueString":"1.10"}]`)
	got, err := Book(b)
	if err != nil {
		t.Fatal(err)
	}
	text := string(got.Appointment)
	for _, want := range []string{`"start":"2026-03-02T10:00:00+00:00"`, `"end":"2026-03-02T10:30:00+00:00"`,
		`"extension":[{"url":"urn:x","valueString":"1.10"},{"url":"` + BookedWithURL + `","valueReference":{"reference":"Organization/prac"}}]`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	a := ReadAppointment(resource(t, text), bookingBase)
	if a.With != (fhir.Key{Type: "Organization", ID: "prac"}) || a.Holds() != SlotBusy {
		t.Errorf("it reads as %+v", a)
	}
	b.Old, b.Next = &a, &a
	if again, err := Book(b); err != nil || len(again.Slots) != 2 {
		t.Errorf("Slots that are not busy yet: %v, %v", again, err)
	}
}

// TestCancelUntil is the last moment in which a patient cancels.
func TestCancelUntil(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	for after, want := range map[time.Duration]string{-time.Nanosecond: "4:free", 0: "4:free", time.Nanosecond: "too-late-to-cancel"} {
		at := `"start":"2026-03-02T10:45:00Z","end":"2026-03-02T11:00:00Z"`
		b := d.as("patient")
		b.Old, b.Next = d.appointment("booked 4", at), d.appointment("cancelled 4", at, why)
		b.Now = time.Date(2026, 3, 2, 8, 45, 0, 0, time.UTC).Add(after)
		if got := outcomeOf(t, b); got != want {
			t.Errorf("%v after the end: %q, want %q", after, got, want)
		}
	}
}

// TestBookingLimit counts what a patient has booked with the same practice and is still to come.
func TestBookingLimit(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	prac, future := fhir.Key{Type: "Organization", ID: "prac"}, d.booking.Now.Add(time.Hour)
	other := func(id, status string, with fhir.Key, at time.Time) Appointment {
		return Appointment{Key: fhir.Key{Type: "Appointment", ID: id}, Status: status, With: with, Start: at}
	}
	counted := []Appointment{other("1", "booked", prac, future), other("2", "pending", prac, future)}
	third := other("3", "booked", prac, future)
	for name, extra := range map[string]Appointment{
		"past":      other("3", "booked", prac, d.booking.Now.Add(-time.Hour)),
		"cancelled": other("3", "cancelled", prac, future),
		"elsewhere": other("3", "booked", fhir.Key{Type: "Organization", ID: "elsewhere"}, future),
		"itself":    other("a", "booked", prac, future),
	} {
		b := d.as("patient")
		b.Next, b.Others = d.appointment("booked 1"), append(slices.Clone(counted), extra)
		if got := outcomeOf(t, b); got != "1:busy" {
			t.Errorf("with one that is %s: %q", name, got)
		}
	}
	for who, want := range map[string]string{"patient": "booking-limit", "proxy": "booking-limit", "practice": "1:busy", "all": "1:busy"} {
		b := d.as(who)
		b.Next, b.Others = d.appointment("booked 1"), append(slices.Clone(counted), third)
		if got := outcomeOf(t, b); got != want {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}
}

// TestOwnDiary books with somebody who has a diary without a practice.
func TestOwnDiary(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	s := ReadDiary(resource(t, `{"resourceType":"Schedule","id":"own","actor":[{"reference":"Practitioner/own"}]}`), bookingBase)
	d.booking.Diaries[s.Key] = s
	d.slot("o", "own", "free", 12*60)
	who := `"participant":[{"actor":{"reference":"Patient/p"},"status":"accepted"},{"actor":{"reference":"Practitioner/own"},"status":"accepted"}]`
	for name, want := range map[string]string{"patient": "o:busy", "practice": "booking-not-permitted"} {
		b := d.as(name)
		b.Next = d.appointment("booked o", who)
		if got := outcomeOf(t, b); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	b := d.as("practice")
	b.Caller.Persons = []fhir.Key{{Type: "Practitioner", ID: "own"}}
	b.Next = d.appointment("booked o", who)
	if got := outcomeOf(t, b); got != "o:busy" {
		t.Errorf("whose diary it is: %q", got)
	}
}

// TestNothingIsKnown books without any fact: nobody may.
func TestNothingIsKnown(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	for _, words := range []string{"booked 1", "pending 1", "arrived 1"} {
		if _, err := Book(Booking{Next: d.appointment(words)}); err == nil {
			t.Errorf("%s is taken without facts", words)
		}
	}
}

// TestChangeSlot is what may be done to a Slot by hand.
func TestChangeSlot(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	slot := d.booking.Slots[fhir.Key{Type: "Slot", ID: "4"}]
	change := func(edit func(*Slot)) *Slot { s := slot; edit(&s); return &s }
	moved := change(func(s *Slot) { s.Start = s.Start.Add(time.Minute) })
	freed := change(func(s *Slot) { s.Status = SlotFree })
	given := change(func(s *Slot) { s.Schedule.ID = "other" })
	cases := []struct {
		next    *Slot
		holder  string
		refused bool
	}{
		{freed, "booked 4", true}, {moved, "booked 4", true}, {given, "booked 4", true}, {nil, "booked 4", true},
		{freed, "pending 4", true}, {freed, "arrived 3 4", true}, {&slot, "booked 4", false},
		{freed, "cancelled 4", false}, {freed, "proposed 4", false}, {nil, "cancelled 4", false}, {freed, "booked 3", false},
	}
	for _, c := range cases {
		err := ChangeSlot(slot, c.next, []Appointment{*d.appointment(c.holder)})
		o := fhir.AsOutcome(err)
		if (err != nil) != c.refused || c.refused && (o == nil || o.Issues[0].Detail != "slot-booked") {
			t.Errorf("%+v beside %s: %v", c.next, c.holder, err)
		}
	}
	if err := ChangeSlot(slot, freed, nil); err != nil {
		t.Errorf("a Slot that nobody holds: %v", err)
	}
}

// TestTakeUp is which Tasks an Appointment completes, and how.
func TestTakeUp(t *testing.T) {
	t.Parallel()
	d := newDay(t)
	src := func(kind, status, patient string) *fhir.Resource {
		return resource(t, `{"resourceType":"Task","id":"t","status":"`+status+`","intent":"order","code":{"coding":[{"system":"`+KindSystem+`","code":"`+kind+`"}]},"for":{"reference":"Patient/`+patient+`"},
			"requester":{"reference":"Organization/prac"},"owner":{"reference":"Patient/p"},"output":[{"type":{"text":"a"},"valueString":"b"}]}`)
	}
	named := `"supportingInformation":[{"reference":"Condition/c"},{"reference":"Task/t"}]`
	booked := d.appointment("booked 1", named)
	cases := []struct {
		kind, status, patient string
		by                    Roles
		old, next             *Appointment
		want                  bool
	}{
		{"patient-action", "ready", "p", Owner, nil, booked, true},
		{"patient-action", "in-progress", "p", Requester, nil, booked, true},
		{"patient-action", "ready", "p", Owner, d.appointment("pending r"), booked, true},
		{"patient-action", "ready", "p", 0, nil, booked, false},
		{"patient-action", "ready", "p", Admin, nil, booked, false},
		{"patient-action", "cancelled", "p", Owner, nil, booked, false},
		{"patient-action", "completed", "p", Owner, nil, booked, false},
		{"patient-action", "ready", "q", Owner, nil, booked, false},
		{"consultation", "in-progress", "p", Owner, nil, booked, false},
		{"patient-action", "ready", "p", Owner, booked, booked, false},
		{"patient-action", "ready", "p", Owner, nil, d.appointment("pending r", named), false},
		{"patient-action", "ready", "p", Owner, nil, d.appointment("booked 1"), false},
	}
	for _, c := range cases {
		task, err := ReadTask(src(c.kind, c.status, c.patient), bookingBase)
		if err != nil {
			t.Fatal(err)
		}
		if got := IsTakenUp(task, c.by, c.old, *c.next); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	out, err := TakeUp(src("patient-action", "ready", "p"), booked.Key, d.booking.Now)
	if err != nil {
		t.Fatal(err)
	}
	task, err := ReadTask(resource(t, string(out)), bookingBase)
	if err != nil || task.Status != StatusCompleted || len(task.Outputs) != 2 || task.Outputs[1].Type != "appointment" || task.Outputs[1].Target != booked.Key {
		t.Errorf("%s: %+v, %v", out, task, err)
	}
}
