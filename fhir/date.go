package fhir

import "github.com/openconsult/openconsult/fhir/spec"

// checkTime returns what is wrong with a date, dateTime, instant or time, or "".
// https://hl7.org/fhir/R4/datatypes.html#dateTime
func checkTime(kind spec.Primitive, s []byte) string {
	switch kind {
	case spec.Date:
		if rest, parts := cutDate(s); parts == 0 || len(rest) > 0 {
			return "A date is YYYY, YYYY-MM or YYYY-MM-DD and exists in the calendar; write it so."
		}
	case spec.DateTime:
		rest, parts := cutDate(s)
		if parts == 0 || len(rest) > 0 && (parts < 3 || !isZonedTime(rest)) {
			return "A dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone, Z or +hh:mm; write it so."
		}
	case spec.Instant:
		if rest, parts := cutDate(s); parts < 3 || !isZonedTime(rest) {
			return "An instant is YYYY-MM-DDThh:mm:ss with a time zone, Z or +hh:mm; write it so."
		}
	case spec.Time:
		if rest, ok := cutTime(s); !ok || len(rest) > 0 {
			return "A time is hh:mm:ss, without a time zone; write it so."
		}
	}
	return ""
}

// cutDate takes a date off the front of s and says how many of its parts, year,
// month and day, there are; 0 is no date.
func cutDate(s []byte) (rest []byte, parts int) {
	if !digits(s, 4) || string(s[:4]) == "0000" {
		return s, 0
	}
	year := two(s)*100 + two(s[2:])
	s = s[4:]
	if len(s) == 0 || s[0] != '-' {
		return s, 1
	}
	if !digits(s[1:], 2) {
		return s, 0
	}
	month := two(s[1:])
	if month < 1 || month > 12 {
		return s, 0
	}
	s = s[3:]
	if len(s) == 0 || s[0] != '-' {
		return s, 2
	}
	if !digits(s[1:], 2) {
		return s, 0
	}
	if day := two(s[1:]); day < 1 || day > daysIn(year, month) {
		return s, 0
	}
	return s[3:], 3
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isZonedTime reports whether s is the rest of a dateTime after its date.
func isZonedTime(s []byte) bool {
	if len(s) == 0 || s[0] != 'T' {
		return false
	}
	zone, ok := cutTime(s[1:])
	return ok && isZone(zone)
}

// cutTime takes hh:mm:ss with an optional fraction off the front of s. R4 allows
// a leap second.
func cutTime(s []byte) (rest []byte, ok bool) {
	if len(s) < 8 || !digits(s, 2) || s[2] != ':' || !digits(s[3:], 2) || s[5] != ':' || !digits(s[6:], 2) {
		return s, false
	}
	if two(s) > 23 || two(s[3:]) > 59 || two(s[6:]) > 60 {
		return s, false
	}
	s = s[8:]
	if len(s) == 0 || s[0] != '.' {
		return s, true
	}
	i := 1
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[i:], i > 1
}

func isZone(s []byte) bool {
	if string(s) == "Z" {
		return true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || !digits(s[1:], 2) || s[3] != ':' || !digits(s[4:], 2) {
		return false
	}
	hours, minutes := two(s[1:]), two(s[4:])
	return minutes < 60 && (hours < 14 || hours == 14 && minutes == 0)
}

func digits(s []byte, n int) bool {
	if len(s) < n {
		return false
	}
	for _, c := range s[:n] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func two(s []byte) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
