package questionnaire

import (
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/ucum"
)

func exact() *apd.Context { return apd.BaseContext.WithPrecision(200) }

func isNumber(typ string) bool { return typ == "integer" || typ == "decimal" }
func isDated(typ string) bool  { return typ == "date" || typ == "dateTime" }

// decimalOf returns the value of a number.
func decimalOf(n fhir.Node) (*apd.Decimal, bool) {
	if !n.HasValue() {
		return nil, false
	}
	d, _, err := apd.NewFromString(n.Text())
	return d, err == nil && d.Form == apd.Finite && d.Exponent > -1000 && d.Exponent < 1000
}

// valueKey returns a text that two values have in common when one is a right answer
// where the other is wanted: of a Coding the system and code, of a number its value. It
// is empty for no value, and for what has no such text.
func valueKey(v fhir.Node) string {
	if !v.HasValue() {
		return ""
	}
	switch typ := v.Type().Name; typ {
	case "Coding":
		if code := v.Child("code").Text(); code != "" {
			return "Coding\x00" + v.Child("system").Text() + "\x00" + code
		}
		if display := v.Child("display").Text(); display != "" {
			return "Coding\x00" + v.Child("system").Text() + "\x00\x00" + display
		}
		return ""
	case "integer", "decimal":
		d, ok := decimalOf(v)
		if !ok {
			return ""
		}
		reduced, _ := new(apd.Decimal).Reduce(d)
		if reduced.IsZero() {
			return "number\x000"
		}
		return "number\x00" + reduced.Text('e')
	case "Reference":
		if reference := v.Child("reference").Text(); reference != "" {
			return "Reference\x00" + reference
		}
		id := v.Child("identifier")
		return "Reference\x00\x00" + id.Child("system").Text() + "\x00" + id.Child("value").Text()
	case "string", "uri":
		return "text\x00" + v.Text()
	case "boolean", "date", "dateTime", "time":
		return typ + "\x00" + v.Text()
	}
	return ""
}

// holds reports whether a value is to another as an operator says. What cannot be
// compared is not.
// https://hl7.org/fhir/R4/codesystem-questionnaire-enable-operator.html
func holds(operator string, a, b fhir.Node) bool {
	if operator == "=" {
		return equalValues(a, b)
	}
	below, above, known := compareValues(a, b)
	switch operator {
	case ">":
		return known && above
	case "<":
		return known && below
	case ">=":
		return known && (above || equalValues(a, b))
	case "<=":
		return known && (below || equalValues(a, b))
	}
	return false
}

// equalValues reports whether two values are the same answer.
func equalValues(a, b fhir.Node) bool {
	switch at, bt := a.Type().Name, b.Type().Name; {
	case at == "Quantity" && bt == "Quantity":
		order, ok := compareQuantities(a, b)
		return ok && order == 0
	case isDated(at) && isDated(bt):
		x, okX := momentOf(a.Text())
		y, okY := momentOf(b.Text())
		return okX && okY && x.from.Equal(y.from) && x.to.Equal(y.to)
	case at == "time" && bt == "time":
		x, okX := clockOf(a.Text())
		y, okY := clockOf(b.Text())
		return okX && okY && x == y
	case at == "Attachment" && bt == "Attachment":
		return string(appendPlain(nil, a)) == string(appendPlain(nil, b))
	}
	key := valueKey(a)
	return key != "" && key == valueKey(b)
}

// compareValues says whether a is below or above b for certain. It is not known for what
// has no order.
func compareValues(a, b fhir.Node) (below, above, known bool) {
	switch at, bt := a.Type().Name, b.Type().Name; {
	case isNumber(at) && isNumber(bt):
		x, okX := decimalOf(a)
		y, okY := decimalOf(b)
		if !okX || !okY {
			return false, false, false
		}
		order := x.Cmp(y)
		return order < 0, order > 0, true
	case at == "Quantity" && bt == "Quantity":
		order, ok := compareQuantities(a, b)
		return order < 0, order > 0, ok
	case isDated(at) && isDated(bt):
		x, okX := momentOf(a.Text())
		y, okY := momentOf(b.Text())
		return !x.to.After(y.from), !x.from.Before(y.to), okX && okY
	case at == "time" && bt == "time":
		x, okX := clockOf(a.Text())
		y, okY := clockOf(b.Text())
		return x < y, x > y, okX && okY
	}
	return false, false, false
}

// compareQuantities is ok for units of the same dimension, and for the same unit of any
// other kind.
func compareQuantities(a, b fhir.Node) (order int, ok bool) {
	x, okX := decimalOf(a.Child("value"))
	y, okY := decimalOf(b.Child("value"))
	if !okX || !okY {
		return 0, false
	}
	if sameUnit(a, b) {
		return x.Cmp(y), true
	}
	if a.Child("system").Text() != ucumURL || b.Child("system").Text() != ucumURL {
		return 0, false
	}
	x, unitX, err := ucum.Canonical(x, a.Child("code").Text())
	if err != nil {
		return 0, false
	}
	y, unitY, err := ucum.Canonical(y, b.Child("code").Text())
	if err != nil || unitX != unitY {
		return 0, false
	}
	return x.Cmp(y), true
}

func sameUnit(a, b fhir.Node) bool {
	codeA, codeB := a.Child("code").Text(), b.Child("code").Text()
	if codeA == "" && codeB == "" {
		return a.Child("unit").Text() == b.Child("unit").Text()
	}
	return codeA == codeB && a.Child("system").Text() == b.Child("system").Text()
}

// A moment is the time that a date or dateTime stands for. Its end is not part of it.
type moment struct{ from, to time.Time }

// momentOf reads a date or dateTime. One without a zone is in UTC.
func momentOf(text string) (moment, bool) {
	for _, form := range []struct {
		layout              string
		years, months, days int
	}{{"2006", 1, 0, 0}, {"2006-01", 0, 1, 0}, {"2006-01-02", 0, 0, 1}} {
		if len(text) == len(form.layout) {
			from, err := time.Parse(form.layout, text)
			return moment{from, from.AddDate(form.years, form.months, form.days)}, err == nil
		}
	}
	// A leap second is as good as the one before it, for a form.
	from, err := time.Parse(time.RFC3339Nano, strings.Replace(text, ":60", ":59", 1))
	unit := time.Second
	if i := strings.IndexByte(text, '.'); i >= 0 {
		for _, r := range text[i+1:] {
			if r < '0' || r > '9' || unit == 1 {
				break
			}
			unit /= 10
		}
	}
	return moment{from, from.Add(unit)}, err == nil
}

// clockOf reads a time of day.
func clockOf(text string) (time.Duration, bool) {
	t, err := time.Parse("15:04:05.999999999", strings.Replace(text, ":60", ":59", 1))
	return t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), err == nil
}
