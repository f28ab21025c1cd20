package consultation

import (
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// What a HealthcareService says about its clocks is in an extension of ours with these
// parts, all optional:
//
//   - calendar (code): which hours are core hours, a calendar code;
//   - time-zone (code): IANA name of the zone of its opening hours;
//   - holidays (canonical or uri): its holiday calendar, a CodeSystem;
//   - preset (code): a contract that it has to keep, [England2026];
//   - stat, asap, urgent, routine, advice-and-guidance, referral and
//     unread-escalation-after: the time for an answer, a code or a Duration;
//   - response-not-opened-after and filing-after: how long the answer of a specialist may
//     stay unread, and a completed consultation out of the record, likewise;
//   - stat-escalation-after (Duration by the wall clock): when it is told that nobody has
//     opened a stat Task, and how often again;
//   - escalation-contact (Reference): the Organization, Practitioner or PractitionerRole who
//     is told; without one it is who owns the Task.
const (
	ResponseSLA     = "https://fhir.openconsult.example/StructureDefinition/response-sla"
	SubmissionLimit = "https://fhir.openconsult.example/StructureDefinition/submission-limit"
)

// The codes of the part calendar. Without one it is OpeningHours when the service has an
// availableTime, and EnglandCoreHours when it has none.
const (
	EnglandCoreHours = "england-core-hours" // 08:00 to 18:30 in London, Monday to Friday, without England's bank holidays
	OpeningHours     = "opening-hours"      // the service's own availableTime
)

// The codes for the time for an answer. All others are Durations: minutes and hours are
// core hours, days are working days; of stat both are by the wall clock.
const (
	endOfCoreDay     = "end-of-core-day"
	endOfNextCoreDay = "end-of-next-core-day"
)

// A Setting is what the operator says about all services. The zero Setting is none.
type Setting struct {
	Preset    string      // that every service has to keep; "" for none but those that services name
	Calendars []*Calendar // holiday calendars beside the built-in ones
}

// A Service is a HealthcareService as its clocks see it. It does not change.
type Service struct {
	Core     *Hours   // in which clocks run
	Opening  *Hours   // in which somebody is there, which may be more or less
	Calendar string   // the code of which Core are
	Preset   string   // that it has to keep; "" for none
	Contact  fhir.Key // who is told of stat Tasks that nobody opens; empty for the owner
	terms    map[string]SLA
}

// SLA returns the time that the service has for an answer to a Task of a kind and
// priority. It is the zero SLA for kinds that have none, and for the receipt of a routine
// message. A Task without a priority is routine; stat is stat for every kind that has a
// time.
func (s *Service) SLA(kind, priority string) SLA {
	if priority == "" {
		priority = "routine"
	}
	switch kind {
	case "consultation", "prescription-reissue":
		return s.terms[priority]
	case "advice-and-guidance", "referral":
		if priority == "stat" {
			return s.terms[priority]
		}
		return s.terms[kind]
	case "message-receipt":
		if priority != "routine" {
			return s.terms["unread-escalation-after"]
		}
	}
	return SLA{}
}

// defaults are the times of a service that says nothing else.
func defaults() map[string]SLA {
	return map[string]SLA{
		"stat":                    {Measure: AnyHour, Length: 30 * time.Minute},
		"asap":                    {Measure: CoreDay},
		"urgent":                  {Measure: CoreDay},
		"routine":                 {Measure: NextCoreDay},
		"advice-and-guidance":     {Measure: WorkingDays, Days: 5},
		"referral":                {Measure: WorkingDays, Days: 5},
		"unread-escalation-after": {Measure: CoreHours, Length: unreadLimit},

		"response-not-opened-after": {Measure: WorkingDays, Days: 2},
		"filing-after":              {Measure: WorkingDays, Days: 2},
		"stat-escalation-after":     {Measure: AnyHour, Length: 10 * time.Minute},
	}
}

// HolidayCalendar returns the canonical URL of the holiday calendar that a
// HealthcareService names, "" when it names none.
func HolidayCalendar(r *fhir.Resource) string {
	for ext := range extensionsNamed(r.Root(), ResponseSLA) {
		for part := range extensionsNamed(ext, "holidays") {
			return part.Child("value").Text()
		}
	}
	return ""
}

// ReadService reads what a HealthcareService says about its hours and its times, and
// what is wrong with that. Errors among the issues are reasons to refuse the resource;
// the Service can be used all the same, it takes what is wrong for not said. The error is
// a fault of the installation: it has no time zones.
func ReadService(r *fhir.Resource, setting Setting) (*Service, []fhir.Issue, error) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, nil, fmt.Errorf("reading the hours of a service: %w", err)
	}
	reader := serviceReader{root: r.Root(), setting: setting, london: london}
	reader.service = &Service{terms: defaults(), Preset: setting.Preset}
	reader.extension()
	reader.hours()
	reader.preset()
	return reader.service, reader.issues, nil
}

// A serviceReader reads one HealthcareService.
type serviceReader struct {
	root     fhir.Node
	setting  Setting
	london   *time.Location
	service  *Service
	zone     *time.Location // that the service names; nil for none
	holidays *Calendar      // that the service names; nil for none
	where    map[string]fhir.Node
	issues   []fhir.Issue
}

func (r *serviceReader) report(is fhir.Issue) { r.issues = append(r.issues, is) }

// hours makes the hours of the service.
func (r *serviceReader) hours() {
	own, told := r.week()
	closures := r.closures()
	s := r.service
	if s.Calendar == "" {
		s.Calendar = EnglandCoreHours
		if told {
			s.Calendar = OpeningHours
		}
	}
	if s.Preset == England2026 {
		s.Calendar = EnglandCoreHours
	}
	zone, holidays := r.zone, r.holidays
	if zone == nil {
		zone = r.london
	}
	if holidays == nil {
		holidays = BuiltInCalendar(EnglandHolidays)
	}
	s.Opening = &Hours{zone: zone, week: own, holidays: holidays, closures: closures}
	if s.Core = s.Opening; s.Calendar == EnglandCoreHours {
		s.Core = &Hours{zone: r.london, week: englandWeek(), holidays: holidays, closures: closures}
	}
}

// englandWeek returns the core hours of the contract of general practice in England.
func englandWeek() week {
	var w week
	for day := time.Monday; day <= time.Friday; day++ {
		w[day] = []openSpan{{coreFrom, coreTo}}
	}
	return w
}
