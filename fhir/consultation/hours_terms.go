package consultation

import (
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// longestTerm is the longest time for an answer that a service may set.
const longestTerm = 366

// extensionsNamed returns the extensions of n with a URL.
func extensionsNamed(n fhir.Node, url string) iter.Seq[fhir.Node] {
	return func(yield func(fhir.Node) bool) {
		for e := range n.Each("extension") {
			if e.Child("url").Text() == url && !yield(e) {
				return
			}
		}
	}
}

// extension reads the extensions of a service.
func (r *serviceReader) extension() {
	r.where = map[string]fhir.Node{}
	for e := range extensionsNamed(r.root, ResponseSLA) {
		for part := range e.Each("extension") {
			r.part(part.Child("url").Text(), part)
		}
	}
	for e := range extensionsNamed(r.root, "http://hl7.org/fhir/StructureDefinition/timezone") {
		if r.zone == nil {
			r.timeZone(valueOf(e))
		}
	}
}

// part reads a part of the extension with the times.
func (r *serviceReader) part(name string, part fhir.Node) {
	if _, twice := r.where[name]; twice {
		r.report(fault(part, fhir.Structure, "sla-unreadable", "The part %s comes twice; leave one of them out.", name))
		return
	}
	r.where[name] = part
	value := valueOf(part)
	switch name {
	case "calendar":
		r.calendar(value)
	case "time-zone":
		r.timeZone(value)
	case "holidays":
		r.holidayCalendar(value)
	case "preset":
		r.namedPreset(value)
	case "escalation-contact":
		r.contact(value)
	default:
		r.term(name, part)
	}
}

// valueOf returns the value of an extension, or for one without a value itself, which no
// value is like.
func valueOf(extension fhir.Node) fhir.Node {
	if value := extension.Child("value"); !value.IsZero() {
		return value
	}
	return extension
}

// contact reads who is told of stat Tasks that nobody opens.
func (r *serviceReader) contact(value fhir.Node) {
	k := target(value, "")
	if k.Type != "Organization" && k.Type != "Practitioner" && k.Type != "PractitionerRole" {
		r.report(fault(value, fhir.Value, "escalation-contact-invalid", "The contact for escalations is a reference to an Organization, Practitioner or PractitionerRole of this server; write it so."))
		return
	}
	r.service.Contact = k
}

func (r *serviceReader) calendar(value fhir.Node) {
	switch code := value.Text(); code {
	case EnglandCoreHours, OpeningHours:
		r.service.Calendar = code
	default:
		r.report(fault(value, fhir.CodeInvalid, "calendar-unknown", "There is no such calendar; use %s or %s.", EnglandCoreHours, OpeningHours))
	}
}

func (r *serviceReader) timeZone(value fhir.Node) {
	name := value.Text()
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		r.report(fault(value, fhir.CodeInvalid, "time-zone-unknown", "There is no such time zone; use a name of the IANA data base, such as Europe/London."))
		return
	}
	r.zone = zone
}

func (r *serviceReader) holidayCalendar(value fhir.Node) {
	url, _, _ := strings.Cut(value.Text(), "|")
	if r.holidays = BuiltInCalendar(url); r.holidays != nil {
		return
	}
	for _, c := range r.setting.Calendars {
		if url != "" && c.URL() == url {
			r.holidays = c
			return
		}
	}
	r.report(fault(value, fhir.NotFound, "calendar-unknown", "There is no such holiday calendar; store it as a CodeSystem whose codes are dates, or use %s.", EnglandHolidays))
}

// namedPreset reads the preset that a service names, beside which the operator's holds.
func (r *serviceReader) namedPreset(value fhir.Node) {
	switch code := value.Text(); {
	case code != England2026:
		r.report(fault(value, fhir.CodeInvalid, "preset-unknown", "There is no such preset; use %s.", England2026))
	case r.service.Preset == "":
		r.service.Preset = code
	}
}

// term reads a time for an answer.
func (r *serviceReader) term(name string, part fhir.Node) {
	if _, known := r.service.terms[name]; !known {
		r.report(doubt(part, "sla-unreadable", "No part of this name is read; use stat, asap, urgent, routine, advice-and-guidance, referral, "+
			"unread-escalation-after, response-not-opened-after, filing-after, stat-escalation-after, escalation-contact, calendar, time-zone, holidays or preset."))
		return
	}
	value := valueOf(part)
	anyHour := name == "stat" || name == "stat-escalation-after"
	sla, ok := codedTerm(value.Text()), value.Property() == "valueCode" && !anyHour
	if value.Property() == "valueDuration" {
		sla, ok = readTerm(value, anyHour)
	}
	if !ok || sla.Measure == NoLimit {
		r.report(fault(part, fhir.Value, "sla-unreadable", "A time for an answer is %s, %s (but not for stat and stat-escalation-after) or a Duration in UCUM, "+
			"whole days (d), hours (h) or minutes (min), more than 0 and at most %d days; write it so.", endOfCoreDay, endOfNextCoreDay, longestTerm))
		return
	}
	r.service.terms[name] = sla
}

func codedTerm(code string) SLA {
	switch code {
	case endOfCoreDay:
		return SLA{Measure: CoreDay}
	case endOfNextCoreDay:
		return SLA{Measure: NextCoreDay}
	}
	return SLA{}
}

// readTerm reads a time for an answer from a Duration.
func readTerm(d fhir.Node, anyHour bool) (sla SLA, ok bool) {
	value, err := strconv.ParseFloat(d.Child("value").Text(), 64)
	if err != nil || d.Child("system").Text() != "http://unitsofmeasure.org" || !d.Child("comparator").IsZero() {
		return SLA{}, false
	}
	unit := map[string]time.Duration{"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[d.Child("code").Text()]
	length := value * float64(unit)
	if length < 1 || length > float64(longestTerm*24*time.Hour) {
		return SLA{}, false
	}
	switch exact := time.Duration(math.Round(length)); {
	case anyHour:
		return SLA{Measure: AnyHour, Length: exact}, true
	case unit == 24*time.Hour:
		return SLA{Measure: WorkingDays, Days: int(value)}, value == math.Trunc(value)
	default:
		return SLA{Measure: CoreHours, Length: exact}, true
	}
}
