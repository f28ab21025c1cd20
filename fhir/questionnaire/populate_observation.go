package questionnaire

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

// observed returns the value of the newest observation of a question's code within the
// period that the question has, if it fits.
// https://hl7.org/fhir/uv/sdc/STU3/populate.html#observation-based-population
func (f *filler) observed(ctx context.Context, n fhir.Node) []formValue {
	period := n.Extension(sdcURL + "observationLinkPeriod").Child("value")
	if period.IsZero() {
		return nil
	}
	codes := codesOf(n)
	since, ok := before(f.now, period)
	switch {
	case f.population.Subject == "":
		f.warn(period, fhir.Required, "subject-missing", "Nobody was named whose observations could be looked for.")
		return nil
	case codes == "" || !ok || since.Year() < 1:
		f.warn(period, fhir.Invalid, "link-invalid", "An observation is found by a code of the item and a period with a UCUM unit of time: one of them is missing.")
		return nil
	}
	const moment = "2006-01-02T15:04:05Z"
	query := "Observation?subject=" + url.QueryEscape(f.population.Subject) + "&code=" + codes +
		"&status=final,amended,corrected&date=ge" + since.UTC().Format(moment) + "&date=le" + f.now.UTC().Format(moment) + "&_sort=-date&_count=1"
	found, _ := f.run(ctx, period, query)
	for _, o := range found {
		if o.Type().Name == "Observation" && slices.Contains([]string{"final", "amended", "corrected"}, o.Child("status").Text()) {
			return f.observation(n, o)
		}
	}
	return nil
}

func (f *filler) observation(n, observation fhir.Node) []formValue {
	v := observation.Child("value")
	if v.IsZero() {
		return nil
	}
	return f.fitting(n, fhirpath.Collection{fhirpath.NodeItem(v)})
}

// codesOf returns the codes of an item as the value of a search parameter.
func codesOf(n fhir.Node) string {
	var all []string
	escape := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`)
	for c := range n.Each("code") {
		code := c.Child("code").Text()
		if code == "" {
			continue
		}
		token := escape.Replace(code)
		if system := c.Child("system").Text(); system != "" {
			token = escape.Replace(system) + "|" + token
		}
		all = append(all, url.QueryEscape(token))
	}
	return strings.Join(all, ",")
}

// before returns the beginning of a period, a Duration, that ends at now.
func before(now time.Time, period fhir.Node) (time.Time, bool) {
	value, unit, calendar, ok := fhirpath.NodeItem(period).Quantity()
	amount, known := wholeOf(value)
	if !ok || calendar || !known {
		return now, false
	}
	switch unit {
	case "a":
		return now.AddDate(-amount, 0, 0), true
	case "mo":
		return now.AddDate(0, -amount, 0), true
	case "wk":
		return now.AddDate(0, 0, -7*amount), true
	case "d":
		return now.AddDate(0, 0, -amount), true
	case "h":
		return now.Add(-time.Duration(amount) * time.Hour), true
	case "min":
		return now.Add(-time.Duration(amount) * time.Minute), true
	case "s":
		return now.Add(-time.Duration(amount) * time.Second), true
	}
	return now, false
}

// wholeOf returns the number that digits write, which is whole and not absurd.
func wholeOf(digits string) (int, bool) {
	whole, fraction, _ := strings.Cut(digits, ".")
	n := 0
	for _, c := range whole {
		if c < '0' || c > '9' || n > 10_000 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, whole != "" && strings.Trim(fraction, "0") == ""
}
