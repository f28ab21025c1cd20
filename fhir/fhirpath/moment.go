package fhirpath

import (
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// momentKind tells dates, dateTimes and times apart.
type momentKind uint8

const (
	dateKind momentKind = iota
	dateTimeKind
	timeKind
)

func (k momentKind) String() string {
	switch k {
	case dateKind:
		return "Date"
	case dateTimeKind:
		return "DateTime"
	}
	return "Time"
}

// precision says how much of a moment is known. Seconds and their fraction are
// one precision. https://hl7.org/fhirpath/N1/#datetime-equality
type precision uint8

const (
	yearly precision = iota + 1
	monthly
	daily
	hourly
	minutely
	secondly
)

// A moment is a Date, DateTime or Time that may be known in part. A Time has the
// date 0001-01-01.
type moment struct {
	kind   momentKind
	known  precision
	digits uint8     // of the fraction of the second, as written
	zoned  bool      // whether it says where
	at     time.Time // its first instant; UTC unless zoned
}

// momentOf reads a primitive node.
func momentOf(n fhir.Node) (moment, bool) {
	switch n.Type().Primitive {
	case spec.Date:
		return parseMoment(dateKind, n.Text())
	case spec.Time:
		return parseMoment(timeKind, n.Text())
	}
	return parseMoment(dateTimeKind, n.Text())
}

// parseMoment reads what follows the @, or the @T, of a literal. A DateTime
// without a time may end in T.
func parseMoment(kind momentKind, s string) (moment, bool) {
	m := moment{kind: kind}
	date, clock, timed := s, "", false
	switch kind {
	case timeKind:
		date, clock, timed = "0001-01-01", s, true
	case dateTimeKind:
		date, clock, timed = strings.Cut(s, "T")
	}
	year, month, day, ok := m.parseDate(date)
	if !ok || clock != "" && m.known < daily || kind == timeKind && clock == "" {
		return m, false
	}
	zone := time.UTC
	var parts [4]int
	if timed && clock != "" {
		if parts, zone, ok = m.parseClock(clock); !ok {
			return m, false
		}
	}
	m.at = time.Date(year, time.Month(month), day, parts[0], parts[1], parts[2], parts[3], zone)
	return m, true
}

func (m *moment) parseDate(s string) (year, month, day int, ok bool) {
	layouts := [...]string{"2006", "2006-01", "2006-01-02"}
	for i, layout := range layouts {
		if len(layout) != len(s) {
			continue
		}
		t, err := time.Parse(layout, s)
		if err != nil || t.Year() == 0 {
			return 0, 0, 0, false
		}
		m.known = precision(i + 1)
		return t.Year(), int(t.Month()), t.Day(), true
	}
	return 0, 0, 0, false
}

// parseClock reads hh[:mm[:ss[.fff]]] and a zone. A leap second, which FHIR
// allows, runs over into the next minute.
func (m *moment) parseClock(s string) (parts [4]int, zone *time.Location, ok bool) {
	zone = time.UTC
	if m.kind == dateTimeKind {
		if s, zone, ok = m.cutZone(s); !ok {
			return parts, zone, false
		}
	}
	limits := [...]int{23, 59, 60}
	for i, limit := range limits {
		if len(s) < 2 || !isDigit(s[0]) || !isDigit(s[1]) {
			return parts, zone, false
		}
		parts[i] = int(s[0]-'0')*10 + int(s[1]-'0')
		if parts[i] > limit {
			return parts, zone, false
		}
		m.known = hourly + precision(i)
		if s = s[2:]; s == "" {
			return parts, zone, true
		}
		if i < 2 && s[0] != ':' || i == 2 && s[0] != '.' {
			return parts, zone, false
		}
		s = s[1:]
	}
	parts[3], ok = m.parseFraction(s)
	return parts, zone, ok
}

func (m *moment) parseFraction(s string) (nanos int, ok bool) {
	if s == "" || len(s) > 64 {
		return 0, false
	}
	for i := range 9 {
		nanos *= 10
		if i < len(s) {
			if !isDigit(s[i]) {
				return 0, false
			}
			nanos += int(s[i] - '0')
		}
	}
	m.digits = uint8(min(len(s), 9))
	return nanos, strings.Trim(s, "0123456789") == ""
}

// cutZone takes a zone off the end of s, if it has one.
func (m *moment) cutZone(s string) (rest string, zone *time.Location, ok bool) {
	if rest, is := strings.CutSuffix(s, "Z"); is {
		m.zoned = true
		return rest, time.UTC, true
	}
	i := strings.LastIndexAny(s, "+-")
	if i < 0 {
		return s, time.UTC, true
	}
	t, err := time.Parse("-07:00", s[i:])
	if err != nil {
		return s, nil, false
	}
	_, seconds := t.Zone()
	m.zoned = true
	return s[:i], time.FixedZone("", seconds), seconds >= -14*3600 && seconds <= 14*3600
}

// String returns m as a literal writes it, without the @ and the T that marks a
// Time.
func (m moment) String() string {
	var b strings.Builder
	if m.kind != timeKind {
		b.WriteString(m.at.Format([...]string{"2006", "2006-01", "2006-01-02"}[min(m.known, daily)-1]))
		if m.known >= hourly {
			b.WriteByte('T')
		}
	}
	if m.known >= hourly {
		b.WriteString(m.at.Format([...]string{"15", "15:04", "15:04:05"}[m.known-hourly]))
	}
	if m.digits > 0 {
		b.WriteString("." + fmt.Sprintf("%09d", m.at.Nanosecond())[:m.digits])
	}
	if m.zoned {
		b.WriteString(m.at.Format("Z07:00"))
	}
	return b.String()
}

// end returns the first instant after m.
func (m moment) end() time.Time {
	switch m.known {
	case yearly:
		return m.at.AddDate(1, 0, 0)
	case monthly:
		return m.at.AddDate(0, 1, 0)
	case daily:
		return m.at.AddDate(0, 0, 1)
	case hourly:
		return m.at.Add(time.Hour)
	case minutely:
		return m.at.Add(time.Minute)
	}
	return m.at.Add(time.Nanosecond)
}

// compareMoments orders a and b; it is not known when they agree as far as both
// are known and one is known further, or when only one says where it is and the
// zone of the other could decide. https://hl7.org/fhirpath/N1/#comparison
func compareMoments(a, b moment) (order int, known bool) {
	if a.known >= hourly && b.known >= hourly && a.zoned != b.zoned {
		return compareApart(a, b)
	}
	x, y := a.at, b.at
	if a.zoned && b.zoned {
		x, y = x.UTC(), y.UTC()
	}
	both := min(a.known, b.known)
	if order := compareParts(x, y, both); order != 0 {
		return order, true
	}
	return 0, a.known == b.known
}

// compareParts compares x and y by what their clocks show, down to p.
func compareParts(x, y time.Time, p precision) int {
	for _, part := range [...]struct {
		of   precision
		x, y int
	}{
		{yearly, x.Year(), y.Year()}, {monthly, int(x.Month()), int(y.Month())}, {daily, x.Day(), y.Day()},
		{hourly, x.Hour(), y.Hour()}, {minutely, x.Minute(), y.Minute()},
		{secondly, x.Second(), y.Second()}, {secondly, x.Nanosecond(), y.Nanosecond()},
	} {
		switch {
		case part.of > p:
			return 0
		case part.x < part.y:
			return -1
		case part.x > part.y:
			return 1
		}
	}
	return 0
}

// compareApart orders two moments only one of which has a zone: the other may be
// in any.
func compareApart(a, b moment) (order int, known bool) {
	if a.zoned {
		order, known = compareApart(b, a)
		return -order, known
	}
	switch {
	case !a.end().Add(12 * time.Hour).After(b.at):
		return -1, true
	case !a.at.Add(-14 * time.Hour).Before(b.end()):
		return 1, true
	}
	return 0, false
}
