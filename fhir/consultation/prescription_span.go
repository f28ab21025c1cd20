package consultation

import (
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

const ucum = "http://unitsofmeasure.org"

// The longest time that a Duration is read as; a longer one is that.
const longestSpan = 10 * 365 * 24 * time.Hour

// span returns how long a Duration in UCUM is: 0 for one that says nothing that can be read. A
// month is 28 days and a year 365, as medicines are given.
// https://hl7.org/fhir/R4/datatypes.html#duration
func span(n fhir.Node) time.Duration {
	value, err := strconv.ParseFloat(n.Child("value").Text(), 64)
	unit := unitSpan(n.Child("code").Text())
	if err != nil || value <= 0 || unit == 0 || n.Child("system").Text() != ucum || !n.Child("comparator").IsZero() {
		return 0
	}
	if value > float64(longestSpan/unit) {
		return longestSpan
	}
	return time.Duration(value * float64(unit))
}

func unitSpan(code string) time.Duration {
	const day = 24 * time.Hour
	switch code {
	case "s":
		return time.Second
	case "min":
		return time.Minute
	case "h":
		return time.Hour
	case "d":
		return day
	case "wk":
		return 7 * day
	case "mo":
		return 28 * day
	case "a":
		return 365 * day
	}
	return 0
}

// count returns a number of times; 0 when n has none.
func count(n fhir.Node) int {
	i, err := strconv.Atoi(n.Text())
	if err != nil || i < 0 {
		return 0
	}
	return i
}
