package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// maxDays is how far a clock is followed: ten years and a little.
const maxDays = 3_660

// An openSpan is a time at which a service opens on a weekday, in seconds from its
// midnight. to is more than a day when it closes on the next one, and always more than
// from.
type openSpan struct{ from, to int }

// A week has the spans of every weekday, Sunday first, in order and without overlaps.
type week [7][]openSpan

// A closure is a time at which a service is closed although its week says open. A zero
// to is for ever.
type closure struct {
	from, to time.Time
	why      string
}

// Hours say when a service is open: the spans of its week in a time zone, without its
// holidays and closures. Times are half-open: at its opening a service is open, at its
// closing it is closed. Where clocks skip the time of an opening or closing, it is the
// moment of the skip; where they show it twice, it is the first. Hours do not change and
// may be used by several goroutines at once. The zero Hours never open.
//
// A core-hours day is all the spans that begin on a calendar day, also those that end
// on the next; its closing is the end of the last of them.
type Hours struct {
	zone     *time.Location
	week     week
	holidays *Calendar
	closures []closure // in order, apart from each other
}

// Zone returns the time zone of the hours, UTC for the zero Hours.
func (h *Hours) Zone() *time.Location {
	if h.zone == nil {
		return time.UTC
	}
	return h.zone
}

// DateTime returns t as a FHIR dateTime in the time zone of the hours, to the second.
func (h *Hours) DateTime(t time.Time) string {
	return t.In(h.Zone()).Format("2006-01-02T15:04:05-07:00")
}

// Open reports whether the service is open at t.
func (h *Hours) Open(t time.Time) bool {
	w := h.walker(t)
	for range 3 { // a day before, which may not have ended, and one that clocks may have skipped
		for _, s := range w.day() {
			if !t.Before(s.from) && t.Before(s.to) {
				return true
			}
		}
	}
	return false
}

// Next returns the first moment from t on at which the service is open: t itself when
// it is open then. The error is an Outcome: it does not open within ten years.
func (h *Hours) Next(t time.Time) (time.Time, error) {
	w := h.walker(t)
	for w.more() {
		for _, s := range w.day() {
			if s.to.After(t) {
				return later(s.from, t).In(h.Zone()), nil
			}
		}
	}
	return time.Time{}, w.failure()
}

// A stretch is a time at which the service is open.
type stretch struct{ from, to time.Time }

// A walker follows hours day by day.
type walker struct {
	hours     *Hours
	next, end civil
	shut      int // of the closures, those before it are over
	buf       []stretch
}

// walker returns a walker that begins with the day before t.
func (h *Hours) walker(t time.Time) *walker {
	first := civilOf(t, h.Zone()) - 1
	over, _ := slices.BinarySearchFunc(h.closures, t.Add(-3*daySeconds*time.Second), func(c closure, t time.Time) int {
		if c.to.IsZero() {
			return 1
		}
		return c.to.Compare(t)
	})
	w := &walker{hours: h, next: first, end: first + maxDays, shut: over}
	if h.week.isEmpty() {
		w.end = first
	}
	return w
}

func (w week) isEmpty() bool {
	for _, spans := range w {
		if len(spans) > 0 {
			return false
		}
	}
	return true
}

// more reports whether there are days left. A service that is closed for ever has
// none.
func (w *walker) more() bool {
	if w.next >= w.end {
		return false
	}
	all := w.hours.closures
	if w.shut == len(all)-1 && all[w.shut].to.IsZero() {
		return w.next.reach(0, w.hours.Zone()).Before(all[w.shut].from)
	}
	return true
}

// failure is what is wrong when no day was left.
func (w *walker) failure() error {
	text := "The service does not open, or not long enough, within ten years; give it an availableTime that its notAvailable leaves open."
	o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "HealthcareService.availableTime", "%s", text)
	o.Issues[0].Detail = "never-open"
	return o
}

// day returns the stretches of the next day, in memory that the next call uses again.
func (w *walker) day() []stretch {
	day, h := w.next, w.hours
	w.next++
	w.buf = w.buf[:0]
	for _, s := range h.week[day.weekday()] {
		w.span(day, s.from, min(s.to, daySeconds))
		if s.to > daySeconds {
			w.span(day+1, 0, s.to-daySeconds)
		}
	}
	return w.buf
}

// span adds a span of a day, from and to in seconds, unless it is a holiday.
func (w *walker) span(day civil, from, to int) {
	if _, holiday := w.hours.holidays.on(day); holiday {
		return
	}
	zone := w.hours.Zone()
	open := stretch{day.reach(from, zone), day.reach(to, zone)}
	all := w.hours.closures
	for w.shut < len(all) && !all[w.shut].to.IsZero() && !all[w.shut].to.After(open.from) {
		w.shut++
	}
	for _, c := range all[w.shut:] {
		if !c.from.Before(open.to) {
			break
		}
		w.add(stretch{open.from, c.from})
		if c.to.IsZero() {
			return
		}
		open.from = later(open.from, c.to)
	}
	w.add(open)
}

// add appends a stretch unless it is empty, to the last one if it goes on from there.
func (w *walker) add(s stretch) {
	if !s.from.Before(s.to) {
		return
	}
	if last := len(w.buf) - 1; last >= 0 && w.buf[last].to.Equal(s.from) {
		w.buf[last].to = s.to
		return
	}
	w.buf = append(w.buf, s)
}

// shut returns the closures in order, those that touch made one.
func shut(all []closure) []closure {
	slices.SortStableFunc(all, func(a, b closure) int { return a.from.Compare(b.from) })
	var joined []closure
	for _, c := range all {
		if !c.to.IsZero() && !c.to.After(c.from) {
			continue
		}
		last := len(joined) - 1
		if last < 0 || !joined[last].to.IsZero() && joined[last].to.Before(c.from) {
			joined = append(joined, c)
			continue
		}
		if j := &joined[last]; !j.to.IsZero() && (c.to.IsZero() || c.to.After(j.to)) {
			j.to = c.to
		}
	}
	return joined
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
