package fhirpath

import "time"

// clock is now, today and timeOfDay, which are the same throughout an evaluation.
// https://hl7.org/fhirpath/N1/#current-date-and-time-functions
func clock(v invocation, dst Collection) (Collection, error) {
	m := moment{kind: dateTimeKind, known: secondly, digits: 3, zoned: true, at: v.clock().Truncate(time.Millisecond)}
	switch v.name {
	case "today":
		m = m.cut(daily)
	case "timeOfDay":
		t := m.at
		m.kind, m.zoned = timeKind, false
		m.at = time.Date(1, 1, 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	}
	return append(dst, Item{value: m}), nil
}
