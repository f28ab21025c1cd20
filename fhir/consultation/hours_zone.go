package consultation

import "time"

// daySeconds is how long a calendar day is on its clock, which is not how long it
// lasts when the clocks change.
const daySeconds = 24 * 60 * 60

// A civil is a day of the calendar, counted from 1970-01-01.
type civil int

// civilDate returns the day of a date.
func civilDate(year int, month time.Month, day int) civil {
	return civil(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / daySeconds)
}

// civilOf returns the day that the calendars of a zone show at t.
func civilOf(t time.Time, zone *time.Location) civil {
	_, offset := t.In(zone).Zone()
	local := t.Unix() + int64(offset)
	day := local / daySeconds
	if local%daySeconds < 0 {
		day--
	}
	return civil(day)
}

// weekday returns the day of the week.
func (c civil) weekday() time.Weekday {
	return time.Weekday(((int(c)+4)%7 + 7) % 7)
}

// reach returns the first moment at which the clocks of a zone show a time of a day, in
// seconds, or a later one. So a time that the clocks skip is the moment at which they
// skip it, and of a time that comes twice it is the first.
func (c civil) reach(second int, zone *time.Location) time.Time {
	wall := int64(c)*daySeconds + int64(second)
	// No zone has ever been 16 hours from UTC, so it is earlier there.
	t := time.Unix(wall-16*60*60, 0).In(zone)
	for {
		_, offset := t.Zone()
		_, end := t.ZoneBounds()
		at := time.Unix(wall-int64(offset), 0).In(zone)
		switch {
		case at.Before(t):
			return t
		case end.IsZero() || at.Before(end):
			return at
		}
		t = end
	}
}
