package search

import (
	"math"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// askDate reads one alternative of a date parameter. Without a zone it is UTC.
// Resources are known to the microsecond: what is finer counts for the prefixes
// that compare, and for eq and ne it is cut off. https://hl7.org/fhir/R4/search.html#date
func (p *parser) askDate(text string) (AskedRange, bool) {
	prefix, text, ok := p.prefix(text)
	if !ok {
		return AskedRange{}, false
	}
	r, ok := dateRange(repairZone(text))
	if !ok || len(fraction(text)) > 9 {
		p.refuse(fhir.Value, "A date is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss.sss with a zone, Z or +hh:mm, and exists in the calendar; the seconds have 9 decimals at most.")
		return AskedRange{}, false
	}
	switch {
	case prefix == Approximately && p.request.Now.IsZero():
		p.refuse(fhir.NotSupported, "Criteria that must hold do not take ap for dates: it depends on the time of the request.")
		return AskedRange{}, false
	case prefix == Approximately:
		r = aroundDate(r, p.request.Now)
	case prefix != Equal && prefix != NotEqual:
		r = finer(r, fraction(text))
	}
	return AskedRange{prefix, r}, true
}

// repairZone puts back the plus of a zone, which form decoding makes a space.
func repairZone(text string) string {
	if i := len(text) - len(" hh:mm"); i > 0 && text[i] == ' ' && strings.Contains(text[:i], "T") {
		return text[:i] + "+" + text[i+1:]
	}
	return text
}

// fraction returns the decimals of the seconds.
func fraction(text string) string {
	_, rest, _ := strings.Cut(text, ".")
	return rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
}

// finer returns r, which is a microsecond, with those ends in its middle that lie
// somewhere in it, when the seconds have more decimals than a microsecond.
func finer(r Range, decimals string) Range {
	if len(decimals) <= 6 {
		return r
	}
	middle := r.Lo + 0.5
	if strings.Trim(decimals[6:], "0") != "" {
		r.Lo = middle
	}
	if strings.Trim(decimals[6:], "9") != "" {
		r.Hi = middle
	}
	return r
}

// aroundDate returns r with a tenth of the time between now and each of its ends
// put to that end.
func aroundDate(r Range, now time.Time) Range {
	at := float64(now.UnixMicro())
	return Range{
		Lo: math.Floor(r.Lo - math.Abs(at-r.Lo)/10),
		Hi: math.Ceil(r.Hi + math.Abs(at-r.Hi)/10),
	}
}

// prefix cuts the prefix off text. https://hl7.org/fhir/R4/search.html#prefix
func (p *parser) prefix(text string) (Prefix, string, bool) {
	if text == "" || !isLetter(text[0]) {
		return Equal, text, true
	}
	if len(text) > 2 {
		switch prefix := Prefix(text[:2]); prefix {
		case Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual, StartsAfter, EndsBefore, Approximately:
			return prefix, text[2:], true
		}
	}
	p.refuse(fhir.Value, "The value begins with no prefix that there is, or has nothing after it. Valid are: eq, ne, gt, lt, ge, le, sa, eb, ap.")
	return "", "", false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
