package consultation

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// week reads when the service opens on weekdays; told is false when it does not say, and
// then it is always open.
// https://hl7.org/fhir/R4/healthcareservice-definitions.html#HealthcareService.availableTime
func (r *serviceReader) week() (w week, told bool) {
	for n := range r.root.Each("availableTime") {
		told = true
		span, ok := r.span(n)
		if !ok {
			continue
		}
		overlaps := false
		for _, day := range weekdays(n) {
			overlaps = overlaps || meets(w, day, span)
			w[day] = append(w[day], span)
		}
		if overlaps {
			r.report(doubt(n, "hours-overlap", "These hours overlap others of the same day, and are joined with them; say each time once."))
		}
	}
	if !told {
		for day := range w {
			w[day] = []openSpan{{0, daySeconds}}
		}
	}
	return w.tidy(), told
}

// span reads from when to when the service is open on the days of an availableTime.
func (r *serviceReader) span(n fhir.Node) (openSpan, bool) {
	start, end := n.Child("availableStartTime"), n.Child("availableEndTime")
	span := openSpan{secondOf(start.Text(), 0), secondOf(end.Text(), daySeconds)}
	switch {
	case n.Child("allDay").Text() == "true":
		return openSpan{0, daySeconds}, true
	case end.HasValue() && span.to >= daySeconds-60 || end.HasValue() && span.to == 0:
		span.to = daySeconds // nobody closes for the last minute of a day, and midnight ends it
	}
	switch {
	case span.from >= daySeconds || span.from == span.to:
		r.report(fault(start, fhir.Value, "hours-empty", "The service closes when it opens; give another time, or allDay for all of the day."))
		return span, false
	case span.from > span.to:
		r.report(doubt(end, "hours-end-before-start", "The service closes before it opens, and is taken to close on the next day; mend the times if that is not meant."))
		span.to += daySeconds
	}
	return span, true
}

// secondOf returns the second of the day that a FHIR time says, without a fraction, or
// other when there is none.
func secondOf(time string, other int) int {
	second := 0
	time, _, _ = strings.Cut(time, ".")
	for part := range strings.SplitSeq(time, ":") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return other
		}
		second = second*60 + n
	}
	return second
}

// weekdays returns the days of an availableTime, each once; all of them when it has none.
func weekdays(n fhir.Node) []time.Weekday {
	var days []time.Weekday
	for d := range n.Each("daysOfWeek") {
		i := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, d.Text())
		if i >= 0 && !slices.Contains(days, time.Weekday(i)) {
			days = append(days, time.Weekday(i))
		}
	}
	if days == nil {
		days = []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	}
	return days
}

// meets reports whether a span of a day overlaps one of w, also one that the day before
// begins or that begins on the day after.
func meets(w week, day time.Weekday, s openSpan) bool {
	for shift := -1; shift <= 1; shift++ {
		for _, other := range w[(int(day)+shift+7)%7] {
			if from, to := other.from+shift*daySeconds, other.to+shift*daySeconds; from < s.to && s.from < to {
				return true
			}
		}
	}
	return false
}

// tidy returns the week with the spans of each day in order and joined where they touch,
// and without what a span of the day before covers.
func (w week) tidy() week {
	var tidied week
	for day, spans := range w {
		covered := 0
		for _, s := range w[(day+6)%7] {
			covered = max(covered, s.to-daySeconds)
		}
		slices.SortFunc(spans, func(a, b openSpan) int { return a.from - b.from })
		for _, s := range spans {
			s.from = max(s.from, covered)
			last := len(tidied[day]) - 1
			switch {
			case s.from >= s.to:
			case last >= 0 && s.from <= tidied[day][last].to:
				tidied[day][last].to = max(tidied[day][last].to, s.to)
			default:
				tidied[day] = append(tidied[day], s)
			}
		}
	}
	return tidied
}

// closures reads when the service is not available.
func (r *serviceReader) closures() []closure {
	var all []closure
	for n := range r.root.Each("notAvailable") {
		if c, ok := r.closure(n); ok {
			all = append(all, c)
		}
	}
	return shut(all)
}

// closure reads one time at which the service is not available.
func (r *serviceReader) closure(n fhir.Node) (closure, bool) {
	during := n.Child("during")
	start, end := during.Child("start"), during.Child("end")
	if !start.HasValue() && !end.HasValue() {
		r.report(doubt(n, "closing-without-time", "This closing has no time, and closes nothing; give it a during."))
		return closure{}, false
	}
	zone := r.zone
	if zone == nil {
		zone = r.london
	}
	c := closure{why: n.Child("description").Text()}
	c.from, _ = period(start.Text(), zone)
	_, c.to = period(end.Text(), zone)
	if !c.to.IsZero() && !c.to.After(c.from) {
		r.report(fault(end, fhir.Value, "closing-ends-before-start", "This closing ends before it begins; mend its times."))
		return closure{}, false
	}
	return c, true
}

// period returns what a FHIR dateTime covers: of a date all of that day, month or year in
// the zone. Of one with a time both are that moment. Both are zero for "".
func period(s string, zone *time.Location) (from, to time.Time) {
	if t, err := time.Parse(time.RFC3339, leapless(s)); err == nil {
		return t, t
	}
	layouts, years, months, days := []string{"2006", "2006-01", time.DateOnly}, []int{1, 0, 0}, []int{0, 1, 0}, []int{0, 0, 1}
	for i, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			next := t.AddDate(years[i], months[i], days[i])
			return civilDate(t.Date()).reach(0, zone), civilDate(next.Date()).reach(0, zone)
		}
	}
	return time.Time{}, time.Time{}
}

// leapless returns a dateTime without its leap second, which package time does not read.
func leapless(s string) string {
	if len(s) > 19 && s[16:19] == ":60" {
		return s[:16] + ":59" + s[19:]
	}
	return s
}
