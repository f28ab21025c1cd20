package consultation_test

import (
	"os"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests are those of the toolchain

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

const (
	weekdaysTill = `{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"08:00:00","availableEndTime":"18:30:00"}`
	noHolidays   = `{"url":"holidays","valueCanonical":"` + consultation.NoHolidays + `"}`
)

// healthcare returns a HealthcareService with the parts of its response-sla and other
// elements, each may be "".
func healthcare(parts, elements string) string {
	s := `{"resourceType":"HealthcareService","id":"h"`
	if parts != "" {
		s += `,"extension":[{"url":"` + consultation.ResponseSLA + `","extension":[` + parts + `]}]`
	}
	if elements != "" {
		s += `,` + elements
	}
	return s + `}`
}

func inZone(name string) string { return `{"url":"time-zone","valueCode":"` + name + `"}` }

func available(spans string) string { return `"availableTime":[` + spans + `]` }

func closedDuring(during string) string {
	return `"notAvailable":[{"description":"Training","during":{` + during + `}}]`
}

func limit(name, value, code string) string {
	return `{"url":"` + name + `","valueDuration":{"value":` + value + `,"unit":"x","system":"http://unitsofmeasure.org","code":"` + code + `"}}`
}

// serviceOf reads a HealthcareService and the issues that it has.
func serviceOf(t testing.TB, src string, setting consultation.Setting) (*consultation.Service, []fhir.Issue) {
	t.Helper()
	r, err := fhir.Decode("HealthcareService", []byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	s, issues, err := consultation.ReadService(r, setting)
	if err != nil {
		t.Fatal(err)
	}
	return s, issues
}

// hoursOf returns the core hours of a HealthcareService.
func hoursOf(t testing.TB, src string) *consultation.Hours {
	t.Helper()
	s, _ := serviceOf(t, src, consultation.Setting{})
	return s.Core
}

// moment reads a time of London, "2026-03-29 08:00" with or without a weekday before it,
// or one with an offset.
func moment(t testing.TB, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at
	}
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"Mon 2006-01-02 15:04", "Mon 2006-01-02 15:04:05"} {
		if at, err := time.ParseInLocation(layout, s, london); err == nil {
			if at.Format("Mon") != s[:3] {
				t.Fatalf("%s is a %s", s, at.Format("Mon"))
			}
			return at
		}
	}
	t.Fatalf("%q is no time", s)
	return time.Time{}
}

// clockSample reads a file of the shared samples.
func clockSample(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile("../../../shared/domain/" + name)
	if err != nil {
		t.Skipf("the shared material is not here: %v", err)
	}
	return src
}
