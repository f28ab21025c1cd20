package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Measure is what a time for an answer is counted in.
type Measure uint8

// The measures. The zero Measure sets no time.
const (
	NoLimit     Measure = iota
	AnyHour             // by the wall clock, at any hour
	CoreHours           // only while the service is open
	CoreDay             // until the core-hours day closes that is on, or else the next one
	NextCoreDay         // until the core-hours day closes that opens next
	WorkingDays         // until the closing of a core-hours day some days after today
	lastMeasure = WorkingDays
)

// An SLA is the time that a service has for an answer. SLAs can be compared by ==. The
// zero SLA sets no time.
type SLA struct {
	Measure Measure
	Length  time.Duration // for AnyHour and CoreHours
	Days    int           // for WorkingDays; 0 is the same as CoreDay
	// Latest bounds the time if it is CoreDay or NextCoreDay: what is due is due by
	// then, too. Any other value bounds nothing.
	Latest Measure
}

// A Pause is a time at which a clock stands still, because an answer of somebody else is
// awaited. It is half-open. A zero To has not ended yet. A Pause that ends before it
// begins is none.
type Pause struct{ From, To time.Time }

// A Clock is one time that runs: since when, how long, and when it stood still. The order
// of the pauses and whether they overlap does not matter.
type Clock struct {
	Start  time.Time
	SLA    SLA
	Pauses []Pause
}

// Due returns when the time of a clock is up, in the time zone of the hours. It is the
// zero time without a limit, and while the clock stands still.
//
// CoreHours that are up at a closing are due at that closing, not at the next opening;
// CoreHours of nothing are up when the clock first runs. A
// CoreDay that begins outside of the hours ends with the next core-hours day. So does a
// NextCoreDay: what comes in at night is due by the end of the day that follows. Working
// days count from the day after the one on which the clock starts, and a day does not
// count whose closing a pause covers. A pause that begins when the time is up, or later,
// does not matter.
//
// The error is an Outcome: the service does not open, or not long enough, within ten
// years, or the SLA is negative or longer than that.
func (h *Hours) Due(c Clock) (time.Time, error) {
	if err := c.SLA.check(); err != nil {
		return time.Time{}, err
	}
	pauses := standstills(c.Pauses)
	due, err := h.due(c.Start, c.SLA, pauses)
	if err != nil || c.SLA.Latest != CoreDay && c.SLA.Latest != NextCoreDay || c.SLA.Measure == NoLimit {
		return due, err
	}
	latest, err := h.due(c.Start, SLA{Measure: c.SLA.Latest}, pauses)
	switch {
	case err != nil:
		return time.Time{}, err
	case due.IsZero() || !latest.IsZero() && latest.Before(due):
		return latest, nil
	}
	return due, nil
}

// check refuses an SLA that is beyond what a clock follows.
func (s SLA) check() error {
	if s.Length < 0 || s.Days < 0 || s.Length > maxDays*24*time.Hour || s.Days > maxDays || s.Measure > lastMeasure {
		o := fhir.Errorf(fhir.Unprocessable, fhir.Value, "", "The time for an answer is negative or longer than ten years; make it shorter.")
		o.Issues[0].Detail = "sla-out-of-range"
		return o
	}
	return nil
}

// due is Due for one measure and pauses in order.
func (h *Hours) due(start time.Time, s SLA, pauses []Pause) (time.Time, error) {
	switch s.Measure {
	case AnyHour:
		return h.local(wallDue(start, s.Length, pauses)), nil
	case CoreHours:
		return h.coreDue(start, s.Length, pauses)
	case CoreDay, NextCoreDay, WorkingDays:
		return h.closingDue(start, s, pauses)
	}
	return time.Time{}, nil
}

// local returns t in the time zone of the hours, the zero time as it is.
func (h *Hours) local(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(h.Zone())
}

// wallDue returns when a length has passed outside of the pauses.
func wallDue(start time.Time, length time.Duration, pauses []Pause) time.Time {
	for _, p := range pauses {
		if passed := p.From.Sub(start); passed >= length {
			break
		} else if p.To.IsZero() {
			return time.Time{}
		} else if p.To.After(start) {
			length -= max(passed, 0)
			start = p.To
		}
	}
	return start.Add(length)
}

// coreDue returns when a length has passed while the service was open, outside of the
// pauses.
func (h *Hours) coreDue(start time.Time, length time.Duration, pauses []Pause) (time.Time, error) {
	due := time.Time{}
	w := h.walker(start)
	err := w.each(start, pauses, func(s stretch) bool {
		if passed := s.to.Sub(s.from); passed < length {
			length -= passed
			return true
		}
		due = s.from.Add(length)
		return false
	})
	return h.local(due), err
}

// closingDue returns the closing at which an SLA in days is up.
func (h *Hours) closingDue(start time.Time, s SLA, pauses []Pause) (time.Time, error) {
	w, left := h.walker(start), 0
	for first := true; w.more(); {
		day := w.next
		spans := w.day()
		if len(spans) == 0 || !spans[len(spans)-1].to.After(start) {
			continue
		}
		if first {
			first, left = false, s.closings(day, spans[0].from, start, h.Zone())
		}
		closing := spans[len(spans)-1].to
		switch p := covering(pauses, closing); {
		case p == nil:
			left--
		case p.To.IsZero():
			return time.Time{}, nil
		}
		if left == 0 {
			return closing.In(h.Zone()), nil
		}
	}
	return time.Time{}, w.failure()
}

// closings returns how many closings an SLA in days waits for, of which the first is
// that of the given day, which opens at the given moment.
func (s SLA) closings(day civil, opening, start time.Time, zone *time.Location) int {
	switch {
	case s.Measure == NextCoreDay && !opening.After(start):
		return 2
	case s.Measure == WorkingDays && day <= civilOf(start, zone):
		return s.Days + 1
	case s.Measure == WorkingDays:
		return max(s.Days, 1)
	}
	return 1
}

// Elapsed returns for how long the service was open between two moments, outside of the
// pauses; 0 when to is not after from. The error is an Outcome: they are more than ten
// years apart.
func (h *Hours) Elapsed(from, to time.Time, pauses []Pause) (time.Duration, error) {
	if to.Sub(from) > maxDays*24*time.Hour {
		o := fhir.Errorf(fhir.Unprocessable, fhir.Value, "", "Core hours are counted over ten years at most; choose moments nearer to each other.")
		o.Issues[0].Detail = "sla-out-of-range"
		return 0, o
	}
	all := standstills(append([]Pause{{From: to}}, pauses...))
	passed := time.Duration(0)
	w := h.walker(from)
	if w.more() {
		w.end = civilOf(to, h.Zone()) + 2
	}
	_ = w.each(from, all, func(s stretch) bool { // it ends where the last pause begins, so days left or not is all the same
		passed += s.to.Sub(s.from)
		return true
	})
	return passed, nil
}

// soon returns the moment from which an answer that is due at a time is due soon: when
// 80 % of the core hours, or for AnyHour of the time, between the start of the clock and
// then have passed.
func (h *Hours) soon(c Clock, due time.Time) (time.Time, error) {
	pauses := standstills(c.Pauses)
	if c.SLA.Measure == AnyHour && c.SLA.Latest == NoLimit {
		return h.local(wallDue(c.Start, c.SLA.Length/5*4, pauses)), nil
	}
	open, err := h.Elapsed(c.Start, due, pauses)
	if err != nil {
		return time.Time{}, err
	}
	return h.coreDue(c.Start, open/5*4, pauses)
}
