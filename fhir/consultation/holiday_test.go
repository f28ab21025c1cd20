package consultation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// easter returns Easter Sunday by the Gregorian rule of Meeus, Jones and Butcher.
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	l := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*l) / 451
	month, day := (h+l-7*m+114)/31, (h+l-7*m+114)%31+1
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
}

// ruled returns the bank holidays of England and Wales in a year by the rules alone.
func ruled(year int) []string {
	on := func(m time.Month, d int) time.Time { return time.Date(year, m, d, 0, 0, 0, 0, time.UTC) }
	monday := func(t time.Time) time.Time { return t.AddDate(0, 0, (8-int(t.Weekday()))%7) }
	days := []time.Time{easter(year).AddDate(0, 0, -2), easter(year).AddDate(0, 0, 1), monday(on(time.May, 1)), monday(on(time.May, 25)), monday(on(time.August, 25))}
	for _, d := range []time.Time{on(time.January, 1), on(time.December, 25), on(time.December, 26)} {
		for d.Weekday() == time.Saturday || d.Weekday() == time.Sunday || slices.ContainsFunc(days, d.Equal) {
			d = d.AddDate(0, 0, 1)
		}
		if d.Month() == time.December && d.Day() == 26 && on(time.December, 25).Weekday() == time.Sunday {
			d = on(time.December, 27)
		}
		days = append(days, d)
	}
	var dates []string
	for _, d := range days {
		dates = append(dates, d.Format(time.DateOnly))
	}
	return dates
}

// proclaimed are the days that no rule knows.
var proclaimed = map[int]struct{ more, less []string }{
	2022: {[]string{"2022-06-02", "2022-06-03", "2022-09-19", "2022-12-26"}, []string{"2022-05-30"}},
	2023: {[]string{"2023-05-08"}, nil},
}

func TestBankHolidays(t *testing.T) {
	t.Parallel()
	c := consultation.BuiltInCalendar(consultation.EnglandHolidays)
	first, last := c.Years()
	if first > 2025 || last < 2028 {
		t.Fatalf("the years are %d to %d", first, last)
	}
	for year := first; year <= last; year++ {
		var got []string
		for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			if name, ok := c.Holiday(d); ok {
				got = append(got, d.Format(time.DateOnly))
				if name == "" || d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
					t.Errorf("%v %q", d, name)
				}
			}
		}
		want := append(ruled(year), proclaimed[year].more...)
		want = slices.DeleteFunc(want, func(s string) bool { return slices.Contains(proclaimed[year].less, s) })
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("%d: %v, want %v", year, got, want)
		}
	}
}

func TestNations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		date                     string
		england, scotland, north bool
	}{
		{"2026-01-01", true, true, true},
		{"2026-01-02", false, true, false},
		{"2026-03-17", false, false, true},
		{"2026-04-03", true, true, true},
		{"2026-04-06", true, false, true},
		{"2026-06-15", false, true, false},
		{"2026-07-13", false, false, true},
		{"2026-08-03", false, true, false},
		{"2026-08-31", true, false, true},
		{"2026-11-30", false, true, false},
		{"2026-12-26", false, false, false},
		{"2026-12-28", true, true, true},
	} {
		day, _ := time.Parse(time.DateOnly, c.date)
		for url, want := range map[string]bool{
			consultation.EnglandHolidays: c.england, consultation.ScotlandHolidays: c.scotland,
			consultation.NorthernIrelandHolidays: c.north, consultation.NoHolidays: false,
		} {
			if name, ok := consultation.BuiltInCalendar(url).Holiday(day); ok != want {
				t.Errorf("%s in %s: %q %v", c.date, url, name, ok)
			}
		}
	}
	if consultation.BuiltInCalendar("http://example.org/none") != nil {
		t.Error("a calendar that nobody knows is built in")
	}
}

func TestReadCalendar(t *testing.T) {
	t.Parallel()
	r, err := fhir.Decode("CodeSystem", []byte(`{"resourceType":"CodeSystem","url":"http://a","status":"active","content":"complete",`+
		`"concept":[{"code":"2026-02-30"},{"code":"2026-02-03","display":"Dull day"},{"code":"Monday"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c, issues := consultation.ReadCalendar(r)
	if len(issues) != 2 || issues[0].Expression != "CodeSystem.concept[0].code" || issues[0].Detail != "holiday-not-a-date" {
		t.Errorf("issues %v", issues)
	}
	if name, ok := c.Holiday(time.Date(2026, 2, 3, 23, 0, 0, 0, time.UTC)); !ok || name != "Dull day" || c.URL() != "http://a" {
		t.Errorf("%q %v", name, ok)
	}
	var none *consultation.Calendar
	if _, ok := none.Holiday(time.Now()); ok || none.URL() != "" {
		t.Error("nil has a holiday")
	}
}
