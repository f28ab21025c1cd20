package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// England2026 is the preset of general practice in England: the online tool is open, without
// a limit of its use, in all core hours; what is urgent is answered on the same core-hours
// day, and everything else by the end of the next. Core hours are 08:00 to 18:30, Monday to
// Friday, without Good Friday, Christmas Day and bank holidays. Clocks run in them whatever
// the service says.
// https://www.legislation.gov.uk/uksi/2015/1862 (core hours)
const England2026 = "england-2026"

// The core hours of England, in seconds from midnight.
const (
	coreFrom = 8 * 60 * 60
	coreTo   = 18*60*60 + 30*60
)

// presetLook is how many days of a closing are looked at. England never has that many
// without core hours.
const presetLook = 15

// preset reports what the preset that the service has to keep refuses.
func (r *serviceReader) preset() {
	if r.service.Preset != England2026 {
		return
	}
	r.presetOpen()
	for n := range r.root.Each("notAvailable") {
		if r.closesCore(n) {
			r.refuse(n, "This closes online consultation in core hours, 08:00 to 18:30 from Monday to Friday, which the preset does not allow but on bank holidays; leave it out or choose other times.")
		}
	}
	for e := range extensionsNamed(r.root, SubmissionLimit) {
		r.refuse(e, "The preset does not allow a limit to how much is submitted; leave it out.")
	}
	if r.zone != nil && r.zone.String() != "Europe/London" {
		r.refuse(r.root.Child("availableTime"), "The preset counts core hours in Europe/London; leave the time zone out.")
	}
	if r.holidays != nil && r.holidays.URL() != EnglandHolidays {
		r.refuse(r.where["holidays"], "The preset has the bank holidays of England; leave the other calendar out.")
	}
	for _, name := range []string{"stat", "asap", "urgent", "routine"} {
		r.presetTerm(name)
	}
}

func (r *serviceReader) refuse(n fhir.Node, text string) {
	if n.IsZero() {
		n = r.root
	}
	r.report(fault(n, fhir.BusinessRule, "preset-violated", "%s", text))
}

// presetOpen reports core hours in which the service is not open.
func (r *serviceReader) presetOpen() {
	own := r.service.Opening.week
	for day := time.Monday; day <= time.Friday; day++ {
		if !covers(own, day) {
			r.refuse(r.root.Child("availableTime"), "The preset demands that online consultation is open from 08:00 to 18:30 from Monday to Friday; add the missing times.")
			break
		}
	}
	if active := r.root.Child("active"); active.Text() == "false" {
		r.report(doubt(active, "preset-violated", "A service that is not active takes no consultations, which the preset does not allow in core hours; do this only to end the service."))
	}
}

// covers reports whether a week, which is tidy, is open in all core hours of a day.
func covers(w week, day time.Weekday) bool {
	at := coreFrom
	for shift := -1; shift <= 0; shift++ {
		for _, s := range w[(int(day)+shift+7)%7] {
			if s.from+shift*daySeconds <= at {
				at = max(at, s.to+shift*daySeconds)
			}
		}
	}
	return at >= coreTo
}

// closesCore reports whether a notAvailable closes in core hours that England's bank holidays
// leave, of the years that they are known for or later.
func (r *serviceReader) closesCore(n fhir.Node) bool {
	during := n.Child("during")
	from, _ := period(during.Child("start").Text(), r.london)
	_, to := period(during.Child("end").Text(), r.london)
	if from.IsZero() && to.IsZero() || !to.IsZero() && !to.After(from) {
		return false
	}
	holidays := BuiltInCalendar(EnglandHolidays)
	first, _ := holidays.Years()
	if known := civilDate(first, time.January, 1).reach(0, r.london); from.Before(known) {
		from = known
	}
	core := &Hours{zone: r.london, week: englandWeek(), holidays: holidays}
	w := core.walker(from)
	for range presetLook {
		for _, s := range w.day() {
			if s.to.After(from) && (to.IsZero() || s.from.Before(to)) {
				return true
			}
		}
	}
	return false
}

// presetTerm reports a time for an answer that is longer than the preset's, and bounds
// one that may be.
func (r *serviceReader) presetTerm(name string) {
	latest := CoreDay
	if name == "routine" {
		latest = NextCoreDay
	}
	sla := r.service.terms[name]
	switch {
	case name == "stat" && sla.Length <= 30*time.Minute, sla.Measure == CoreDay, sla.Measure == latest:
	case sla.Measure == CoreHours && sla.Length <= (coreTo-coreFrom)*time.Second:
		sla.Latest = latest
		r.service.terms[name] = sla
	default:
		r.service.terms[name] = defaults()[name]
		r.refuse(r.where[name], "The preset does not allow so much time for an answer: 30 minutes when it is stat, "+
			endOfCoreDay+" when it is asap or urgent, "+endOfNextCoreDay+" when it is routine; shorten it.")
	}
}
