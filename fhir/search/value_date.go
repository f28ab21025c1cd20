package search

import (
	"math"

	"github.com/openconsult/openconsult/fhir"
)

const (
	microsecond = 1
	second      = 1_000_000 * microsecond
	minute      = 60 * second
	day         = 24 * 60 * minute
)

// dateValue returns what a date parameter finds at n.
// https://hl7.org/fhir/R4/search.html#date
func dateValue(n fhir.Node) (Range, bool) {
	t := n.Type()
	if isDate(t.Primitive) {
		return dateRange(n.Text())
	}
	switch t.Name {
	case "Period":
		return periodRange(n)
	case "Timing":
		return timingRange(n)
	}
	return Range{}, false
}

// periodRange is open where an end is missing; without both it is no value.
func periodRange(n fhir.Node) (Range, bool) {
	start, started := dateRange(n.Child("start").Text())
	end, ended := dateRange(n.Child("end").Text())
	if !started {
		start.Lo = math.Inf(-1)
	}
	if !ended {
		end.Hi = math.Inf(1)
	}
	return Range{start.Lo, max(start.Lo, end.Hi)}, started || ended
}

// timingRange covers all events and the bounds of the repetition. How often
// something happens in between does not count.
func timingRange(n fhir.Node) (Range, bool) {
	hull, found := Range{math.Inf(1), math.Inf(-1)}, false
	add := func(r Range, ok bool) {
		if ok {
			hull, found = Range{min(hull.Lo, r.Lo), max(hull.Hi, r.Hi)}, true
		}
	}
	for event := range n.Each("event") {
		add(dateRange(event.Text()))
	}
	if bounds := n.Child("repeat").Child("bounds"); !bounds.IsZero() && bounds.Type().Name == "Period" {
		add(periodRange(bounds))
	}
	return hull, found
}

// dateRange returns the time that a date, a dateTime or an instant may stand
// for: "2024-03" covers the month, "2024-03-04T10:00" the minute. Without a zone
// it is UTC. What is finer than a microsecond is cut off.
func dateRange(text string) (Range, bool) {
	s := scan{text: text, ok: true}
	year := s.number(4, 1, 9999)
	if s.end() {
		return s.between(days(year, 1)*day, days(year+1, 1)*day)
	}
	s.skip('-')
	month := s.number(2, 1, 12)
	if s.end() {
		return s.between(days(year, month)*day, days(year, month+1)*day)
	}
	s.skip('-')
	from := days(year, month)
	from += s.number(2, 1, days(year, month+1)-from) - 1
	if s.end() {
		return s.between(from*day, (from+1)*day)
	}
	s.skip('T')
	time, length := s.time()
	from = from*day + time - s.zone()
	if !s.end() {
		return Range{}, false
	}
	return s.between(from, from+length)
}

// days counts from 1970-01-01 to the first of a month in the Gregorian calendar;
// month 13 is January of the year after.
func days(year, month int64) int64 {
	// Years begin in March here, so that the leap day comes last.
	year, month = year-(14-month)/12, (month+9)%12
	return 365*year + year/4 - year/100 + year/400 + (month*153+2)/5 - 719_468
}

// A scan reads numbers off the front of text until one is not there.
type scan struct {
	text string
	ok   bool
}

// end reports whether there is nothing more to read; that is so after a fault.
func (s *scan) end() bool { return !s.ok || s.text == "" }

func (s *scan) between(lo, hi int64) (Range, bool) {
	// Far from 1970 a float64 does not tell microseconds apart.
	r := Range{float64(lo), max(float64(hi), math.Nextafter(float64(lo), math.Inf(1)))}
	return r, s.ok
}

func (s *scan) next(c byte) bool {
	if s.text == "" || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

func (s *scan) skip(c byte) { s.ok = s.next(c) && s.ok }

func (s *scan) digit() (int64, bool) {
	if s.text == "" || s.text[0] < '0' || s.text[0] > '9' {
		return 0, false
	}
	d := int64(s.text[0] - '0')
	s.text = s.text[1:]
	return d, true
}

// number reads exactly width digits of a number from lo to hi.
func (s *scan) number(width int, lo, hi int64) int64 {
	var v int64
	for range width {
		d, ok := s.digit()
		s.ok = s.ok && ok
		v = v*10 + d
	}
	s.ok = s.ok && v >= lo && v <= hi
	return v
}

// time reads hh:mm, hh:mm:ss or hh:mm:ss.fff, and says how much of the day has
// passed and how long the time lasts.
func (s *scan) time() (at, length int64) {
	at = s.number(2, 0, 23) * 60 * minute
	s.skip(':')
	at += s.number(2, 0, 59) * minute
	if !s.next(':') {
		return at, minute
	}
	at += s.number(2, 0, 60) * second
	if !s.next('.') {
		return at, second
	}
	length = second
	first, ok := s.digit()
	s.ok = s.ok && ok
	for d := first; ok; d, ok = s.digit() {
		if length > microsecond {
			length /= 10
			at += d * length
		}
	}
	return at, length
}

// zone reads Z, +hh:mm, -hh:mm or nothing.
func (s *scan) zone() int64 {
	sign := int64(1)
	switch {
	case s.text == "" || s.next('Z'):
		return 0
	case s.next('-'):
		sign = -1
	default:
		s.skip('+')
	}
	offset := s.number(2, 0, 14) * 60 * minute
	s.skip(':')
	return sign * (offset + s.number(2, 0, 59)*minute)
}
