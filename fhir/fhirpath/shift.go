package fhirpath

import (
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// shift adds a duration to m, or subtracts it; nil when the result leaves the
// years 1 to 9999. What is smaller than m is known is first converted to what is.
// https://hl7.org/fhirpath/N1/#datetime-arithmetic
func shift(m moment, q quantity, back bool) (any, error) {
	unit := durationUnit(q)
	if unit == 0 {
		return nil, errorf(Type, nowhere, "'%s' is no duration that can be added to a date or time: use a calendar duration such as 1 month.", clip(q.unit))
	}
	value := q.value
	if back {
		value = new(apd.Decimal).Neg(value)
	}
	if unit == secondly && q.unit[0] == 'm' {
		value = product(value, apd.New(1, -3))
	}
	if m.kind == timeKind && unit < hourly {
		return nil, errorf(Type, nowhere, "A Time takes hours, minutes and seconds.")
	}
	n, ok := whole(round(value, 0, apd.RoundDown))
	if !ok {
		return nil, nil
	}
	unit, n = m.coarsen(unit, n, strings.HasPrefix(q.unit, "w"))
	return m.add(unit, n, value), nil
}

// durationUnit returns what q counts, 0 for no duration of the calendar or of
// fixed length. Weeks count as days.
func durationUnit(q quantity) precision {
	unit := q.unit
	if !q.calendar {
		switch unit {
		case "wk":
			return daily
		case "d":
			return daily
		case "h":
			return hourly
		case "min":
			return minutely
		case "s", "ms":
			return secondly
		}
		return 0
	}
	switch unit {
	case "year":
		return yearly
	case "month":
		return monthly
	case "week", "day":
		return daily
	case "hour":
		return hourly
	case "minute":
		return minutely
	}
	return secondly
}

// coarsen converts n units to the precision of m: 12 months are a year, 30 days a
// month, 365 days a year.
func (m moment) coarsen(unit precision, n int64, weeks bool) (precision, int64) {
	if weeks {
		n *= 7
	}
	for unit > m.known {
		switch unit {
		case secondly, minutely:
			n /= 60
		case hourly:
			n /= 24
		case daily:
			if m.known == yearly {
				return yearly, n / 365
			}
			n /= 30
		case monthly:
			n /= 12
		}
		unit--
	}
	return unit, n
}

// add moves m by n units; of seconds the fraction in exact counts too.
func (m moment) add(unit precision, n int64, exact *apd.Decimal) any {
	switch unit {
	case yearly:
		m.at = addMonths(m.at, n*12)
	case monthly:
		m.at = addMonths(m.at, n)
	case daily:
		m.at = m.at.AddDate(0, 0, int(n))
	case hourly:
		m.at = m.at.AddDate(0, 0, int(n/24)).Add(time.Duration(n%24) * time.Hour)
	case minutely:
		m.at = m.at.AddDate(0, 0, int(n/1440)).Add(time.Duration(n%1440) * time.Minute)
	case secondly:
		m.addSeconds(n, exact)
	}
	if m.kind == timeKind {
		m.at = time.Date(1, 1, 1, m.at.Hour(), m.at.Minute(), m.at.Second(), m.at.Nanosecond(), time.UTC)
	}
	if year := m.at.Year(); year < 1 || year > 9999 {
		return nil
	}
	return m
}

func (m *moment) addSeconds(n int64, exact *apd.Decimal) {
	nanos, ok := whole(round(product(rest(exact), apd.New(1, 9)), 0, apd.RoundDown))
	if !ok {
		nanos = 0
	}
	m.at = m.at.Add(time.Duration(n)*time.Second + time.Duration(nanos))
	if nanos != 0 && m.digits < 3 {
		m.digits = 3
	}
}

// rest returns the fraction of d.
func rest(d *apd.Decimal) *apd.Decimal {
	v := new(apd.Decimal)
	if _, err := arithmetic().Sub(v, d, round(d, 0, apd.RoundDown)); err != nil {
		return apd.New(0, 0)
	}
	return v
}

// addMonths moves t by n months, to the last day of a month that is too short.
func addMonths(t time.Time, n int64) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location()).AddDate(0, int(n), 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}
