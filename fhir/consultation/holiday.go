package consultation

import (
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The built-in holiday calendars: code systems whose codes are dates. England's is
// that of Wales, too.
const (
	EnglandHolidays         = "https://fhir.openconsult.example/CodeSystem/holidays-england"
	ScotlandHolidays        = "https://fhir.openconsult.example/CodeSystem/holidays-scotland"
	NorthernIrelandHolidays = "https://fhir.openconsult.example/CodeSystem/holidays-northern-ireland"
	NoHolidays              = "https://fhir.openconsult.example/CodeSystem/holidays-none"
)

// maxHolidays is how many days a calendar has at most.
const maxHolidays = 10_000

// A Calendar says which days are holidays. It does not change. Nil has none.
type Calendar struct {
	url         string
	names       map[civil]string
	first, last int // the years that it speaks of; both 0 for one without an end
}

// BuiltInCalendar returns a calendar that comes with the server, or nil when url names
// none of them.
func BuiltInCalendar(url string) *Calendar {
	c := &Calendar{url: url, names: map[civil]string{}}
	switch url {
	case EnglandHolidays:
		c.fill('E')
	case ScotlandHolidays:
		c.fill('S')
	case NorthernIrelandHolidays:
		c.fill('N')
	case NoHolidays:
	default:
		return nil
	}
	return c
}

// fill adds the bank holidays of a nation.
func (c *Calendar) fill(nation byte) {
	for line := range strings.Lines(bankHolidays) {
		date, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		nations, name, _ := strings.Cut(rest, " ")
		if strings.IndexByte(nations, nation) >= 0 {
			c.add(date, name)
		}
	}
}

// add makes a date, YYYY-MM-DD, a holiday and reports whether it is one.
func (c *Calendar) add(date, name string) bool {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return false
	}
	if len(c.names) == 0 {
		c.first, c.last = t.Year(), t.Year()
	}
	c.first, c.last = min(c.first, t.Year()), max(c.last, t.Year())
	c.names[civilDate(t.Date())] = name
	return true
}

// URL returns the canonical URL of the calendar, "" for nil.
func (c *Calendar) URL() string {
	if c == nil {
		return ""
	}
	return c.url
}

// on returns the name of the holiday that a day is; ok is false when it is none.
func (c *Calendar) on(day civil) (name string, ok bool) {
	if c == nil {
		return "", false
	}
	name, ok = c.names[day]
	return name, ok
}

// Years returns the first and the last year of which the calendar speaks, both 0 for
// one that has no holidays at all. Outside of them no day is known to be a holiday, so
// that what is due there may be due too early, never too late.
func (c *Calendar) Years() (first, last int) {
	if c == nil {
		return 0, 0
	}
	return c.first, c.last
}

// ReadCalendar reads a calendar from a CodeSystem whose codes are dates, YYYY-MM-DD, and
// whose displays are names of holidays. A code that is no date is left out and is an
// issue.
func ReadCalendar(r *fhir.Resource) (*Calendar, []fhir.Issue) {
	root := r.Root()
	c := &Calendar{url: root.Child("url").Text(), names: map[civil]string{}}
	var issues []fhir.Issue
	for concept := range root.Each("concept") {
		code := concept.Child("code")
		if len(c.names) >= maxHolidays {
			issues = append(issues, fault(code, fhir.TooLong, "calendar-too-long", "A holiday calendar has %d days at most; make the others another calendar.", maxHolidays))
			break
		}
		if !c.add(code.Text(), concept.Child("display").Text()) {
			issues = append(issues, fault(code, fhir.Value, "holiday-not-a-date", "The code of a holiday is its date, YYYY-MM-DD; write it so."))
		}
	}
	return c, issues
}
