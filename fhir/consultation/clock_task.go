package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// ClockPause is the extension of a Task with a time, a Period, at which its clock stood
// still. A Period without an end is still on. There may be many. One that cannot be read is
// none, for a clock that stands still by mistake alerts nobody.
const ClockPause = "https://fhir.openconsult.example/StructureDefinition/clock-pause"

// ReadClock returns since when the clock of a Task runs, and its pauses. It runs since the
// beginning of restriction.period, or since authoredOn; start is the zero time when the
// Task says neither, or only a date.
func ReadClock(task *fhir.Resource) (start time.Time, pauses []Pause) {
	root := task.Root()
	start = momentOf(root.Child("restriction").Child("period").Child("start"))
	if start.IsZero() {
		start = momentOf(root.Child("authoredOn"))
	}
	for e := range extensionsNamed(root, ClockPause) {
		value := e.Child("value")
		end := value.Child("end")
		p := Pause{From: momentOf(value.Child("start")), To: momentOf(end)}
		if unread := end.HasValue() && p.To.IsZero(); !unread && !p.From.IsZero() {
			pauses = append(pauses, p)
		}
	}
	return start, pauses
}

// momentOf returns the moment that a dateTime with a time is, or the zero time.
func momentOf(n fhir.Node) time.Time {
	t, err := time.Parse(time.RFC3339, leapless(n.Text()))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Hold returns pauses with one more that begins now, and Resume ends those that have not
// ended. Holding twice begins one pause only; the pauses given are not changed.
func Hold(pauses []Pause, now time.Time) []Pause {
	for _, p := range pauses {
		if p.To.IsZero() {
			return pauses
		}
	}
	return append(pauses[:len(pauses):len(pauses)], Pause{From: now})
}

// Resume returns pauses with those ended now that have not ended. The pauses given are
// not changed.
func Resume(pauses []Pause, now time.Time) []Pause {
	ended := make([]Pause, len(pauses))
	for i, p := range pauses {
		if ended[i] = p; p.To.IsZero() {
			ended[i].To = later(now, p.From)
		}
	}
	return ended
}

// JSON returns the pause as the extension [ClockPause], with its times in the time zones
// that they are in, to the nanosecond.
func (p Pause) JSON() []byte {
	dst := []byte(`{"url":"` + ClockPause + `","valuePeriod":{"start":"` + p.From.Format(exactDateTime) + `"`)
	if !p.To.IsZero() {
		dst = append(dst, `,"end":"`+p.To.Format(exactDateTime)+`"`...)
	}
	return append(dst, `}}`...)
}

// exactDateTime is the layout of a FHIR dateTime that loses nothing.
const exactDateTime = "2006-01-02T15:04:05.999999999-07:00"
