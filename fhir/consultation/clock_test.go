package consultation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// Services of the cases.
var (
	england  = healthcare("", "")
	lunch    = healthcare("", available(`{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"08:00:00","availableEndTime":"13:00:00"},{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"14:00:00","availableEndTime":"18:30:00"}`))
	always   = healthcare(noHolidays, available(`{"allDay":true}`))
	nights   = healthcare(noHolidays, available(`{"daysOfWeek":["mon","tue","wed","thu","fri"],"availableStartTime":"18:30:00","availableEndTime":"08:00:00"}`))
	early    = healthcare(noHolidays, available(`{"availableStartTime":"01:30:00","availableEndTime":"03:00:00"}`))
	overlap  = healthcare(noHolidays, available(`{"daysOfWeek":["mon"],"availableStartTime":"20:00:00","availableEndTime":"06:00:00"},{"daysOfWeek":["tue"],"availableStartTime":"05:00:00","availableEndTime":"07:00:00"}`))
	minute   = healthcare(noHolidays, available(`{"availableStartTime":"00:00:00","availableEndTime":"23:59:59"}`))
	leap     = healthcare("", available(`{"daysOfWeek":["tue"],"availableStartTime":"09:00:00","availableEndTime":"17:00:00"}`))
	scotland = healthcare(`{"url":"holidays","valueUri":"`+consultation.ScotlandHolidays+`"}`, available(weekdaysTill))
	training = healthcare("", closedDuring(`"start":"2026-06-10T13:00:00+01:00","end":"2026-06-10T18:30:00+01:00"`))
	newYork  = healthcare(inZone("America/New_York")+`,`+noHolidays, available(weekdaysTill))
	lordHowe = healthcare(inZone("Australia/Lord_Howe")+`,`+noHolidays, available(`{"availableStartTime":"01:00:00","availableEndTime":"04:00:00"}`))
	nepal    = healthcare(inZone("Asia/Kathmandu")+`,`+noHolidays, available(weekdaysTill))
	apia     = healthcare(inZone("Pacific/Apia")+`,`+noHolidays, available(`{"availableStartTime":"08:00:00","availableEndTime":"18:00:00"}`))
)

func core(d time.Duration) consultation.SLA {
	return consultation.SLA{Measure: consultation.CoreHours, Length: d}
}

func wall(d time.Duration) consultation.SLA {
	return consultation.SLA{Measure: consultation.AnyHour, Length: d}
}

func working(days int) consultation.SLA {
	return consultation.SLA{Measure: consultation.WorkingDays, Days: days}
}

var (
	sameDay = consultation.SLA{Measure: consultation.CoreDay}
	nextDay = consultation.SLA{Measure: consultation.NextCoreDay}
)

// cases are clocks and when they are due.
var cases = []struct {
	name    string
	service string
	start   string
	sla     consultation.SLA
	pauses  string // "from > to", apart by commas
	due     string
}{
	{"within a day", england, "Mon 2026-06-08 09:12", core(2 * time.Hour), "", "Mon 2026-06-08 11:12"},
	{"over the night", england, "Mon 2026-06-08 17:30", core(2 * time.Hour), "", "Tue 2026-06-09 09:00"},
	{"up at closing", england, "Mon 2026-06-08 16:30", core(2 * time.Hour), "", "Mon 2026-06-08 18:30"},
	{"before opening", england, "Mon 2026-06-08 06:00", core(2 * time.Hour), "", "Mon 2026-06-08 10:00"},
	{"at opening", england, "Mon 2026-06-08 08:00", core(2 * time.Hour), "", "Mon 2026-06-08 10:00"},
	{"at closing", england, "Mon 2026-06-08 18:30", core(2 * time.Hour), "", "Tue 2026-06-09 10:00"},
	{"a second before closing", england, "Mon 2026-06-08 18:29:59", core(2 * time.Hour), "", "Tue 2026-06-09 09:59:59"},
	{"over the weekend", england, "Fri 2026-06-12 17:30", core(2 * time.Hour), "", "Mon 2026-06-15 09:00"},
	{"all of a day", england, "Mon 2026-06-08 08:00", core(10*time.Hour + 30*time.Minute), "", "Mon 2026-06-08 18:30"},
	{"nothing", england, "Mon 2026-06-08 09:00", core(0), "", "Mon 2026-06-08 09:00"},
	{"nothing at night", england, "Mon 2026-06-08 20:00", core(0), "", "Tue 2026-06-09 08:00"},
	{"nothing by the wall", england, "Mon 2026-06-08 20:00", wall(0), "", "Mon 2026-06-08 20:00"},
	{"no limit", england, "Mon 2026-06-08 20:00", consultation.SLA{}, "", ""},

	{"stat at night", england, "Sat 2026-06-13 23:50", wall(30 * time.Minute), "", "Sun 2026-06-14 00:20"},
	{"stat when the clocks go forward", england, "2026-03-29T00:45:00Z", wall(30 * time.Minute), "", "2026-03-29T01:15:00Z"},
	{"stat when the clocks go back", england, "2026-10-25T00:45:00Z", wall(30 * time.Minute), "", "2026-10-25T01:15:00Z"},
	{"stat on Christmas Day", england, "Fri 2026-12-25 12:00", wall(30 * time.Minute), "", "Fri 2026-12-25 12:30"},

	{"same day in the morning", england, "Mon 2026-06-08 09:00", sameDay, "", "Mon 2026-06-08 18:30"},
	{"same day at the last moment", england, "Mon 2026-06-08 18:29:59", sameDay, "", "Mon 2026-06-08 18:30"},
	{"same day at closing", england, "Mon 2026-06-08 18:30", sameDay, "", "Tue 2026-06-09 18:30"},
	{"same day before opening", england, "Mon 2026-06-08 07:00", sameDay, "", "Mon 2026-06-08 18:30"},
	{"same day on Saturday", england, "Sat 2026-06-13 10:00", sameDay, "", "Mon 2026-06-15 18:30"},
	{"same day at lunch", lunch, "Mon 2026-06-08 13:30", sameDay, "", "Mon 2026-06-08 18:30"},

	{"next day in the morning", england, "Mon 2026-06-08 09:00", nextDay, "", "Tue 2026-06-09 18:30"},
	{"next day at opening", england, "Tue 2026-06-09 08:00", nextDay, "", "Wed 2026-06-10 18:30"},
	{"next day a moment before opening", england, "Tue 2026-06-09 07:59:59", nextDay, "", "Tue 2026-06-09 18:30"},
	{"next day at night", england, "Mon 2026-06-08 20:00", nextDay, "", "Tue 2026-06-09 18:30"},
	{"next day on Friday", england, "Fri 2026-06-12 09:00", nextDay, "", "Mon 2026-06-15 18:30"},
	{"next day on Friday night", england, "Fri 2026-06-12 19:00", nextDay, "", "Mon 2026-06-15 18:30"},
	{"next day at lunch", lunch, "Mon 2026-06-08 13:30", nextDay, "", "Tue 2026-06-09 18:30"},
	{"next day before Good Friday", england, "Thu 2026-04-02 09:00", nextDay, "", "Tue 2026-04-07 18:30"},
	{"next day on Good Friday", england, "Fri 2026-04-03 09:00", nextDay, "", "Tue 2026-04-07 18:30"},
	{"next day on Christmas Eve", england, "Thu 2026-12-24 09:00", nextDay, "", "Tue 2026-12-29 18:30"},

	{"five working days", england, "Mon 2025-11-17 10:02", working(5), "", "Mon 2025-11-24 18:30"},
	{"five working days from before opening", england, "Mon 2025-11-17 07:00", working(5), "", "Mon 2025-11-24 18:30"},
	{"five working days from the evening", england, "Mon 2025-11-17 20:00", working(5), "", "Mon 2025-11-24 18:30"},
	{"five working days from Saturday", england, "Sat 2025-11-15 12:00", working(5), "", "Fri 2025-11-21 18:30"},
	{"no working days", england, "Mon 2025-11-17 10:02", working(0), "", "Mon 2025-11-17 18:30"},
	{"no working days from the evening", england, "Mon 2025-11-17 20:00", working(0), "", "Tue 2025-11-18 18:30"},
	{"working days over Easter", england, "Thu 2026-04-02 12:00", working(2), "", "Wed 2026-04-08 18:30"},
	{"working days over Christmas and its substitute", england, "Wed 2026-12-23 12:00", working(3), "", "Wed 2026-12-30 18:30"},
	{"working days over two substitutes", england, "Fri 2027-12-24 12:00", working(1), "", "Wed 2027-12-29 18:30"},
	{"working days over New Year on a Saturday", england, "Fri 2027-12-31 12:00", working(1), "", "Tue 2028-01-04 18:30"},
	{"Scotland has no Easter Monday", scotland, "Thu 2026-04-02 12:00", working(1), "", "Mon 2026-04-06 18:30"},
	{"Scotland has a second of January", scotland, "Wed 2025-12-31 12:00", working(1), "", "Mon 2026-01-05 18:30"},
	{"Scotland has a summer of its own", scotland, "Fri 2026-07-31 12:00", nextDay, "", "Tue 2026-08-04 18:30"},
	{"England has no second of January", england, "Wed 2025-12-31 12:00", working(1), "", "Fri 2026-01-02 18:30"},

	{"hours over Easter", england, "Thu 2026-04-02 17:30", core(2 * time.Hour), "", "Tue 2026-04-07 09:00"},
	{"hours over Christmas", england, "Thu 2026-12-24 18:00", core(time.Hour), "", "Tue 2026-12-29 08:30"},
	{"on a bank holiday", england, "Mon 2026-05-25 12:00", core(time.Hour), "", "Tue 2026-05-26 09:00"},
	{"the weekend of the clocks forward", england, "Fri 2026-03-27 18:00", core(time.Hour), "", "Mon 2026-03-30 08:30"},
	{"the weekend of the clocks back", england, "Fri 2026-10-23 18:00", core(time.Hour), "", "Mon 2026-10-26 08:30"},
	{"same day after the clocks go forward", england, "2026-03-29T01:30:00Z", sameDay, "", "2026-03-30T17:30:00Z"},
	{"same day after the clocks go back", england, "2026-10-25T01:30:00Z", sameDay, "", "2026-10-26T18:30:00Z"},

	{"clocks forward within the hours", always, "2026-03-28T23:00:00Z", core(3 * time.Hour), "", "2026-03-29T02:00:00Z"},
	{"a day that lasts 23 hours", always, "2026-03-29T00:00:00Z", sameDay, "", "2026-03-29T23:00:00Z"},
	{"a day that lasts 25 hours", always, "2026-10-24T23:00:00Z", sameDay, "", "2026-10-26T00:00:00Z"},
	{"opening that the clocks skip", early, "2026-03-29T00:00:00Z", core(30 * time.Minute), "", "2026-03-29T01:30:00Z"},
	{"hours that the skip shortens", early, "2026-03-29T00:00:00Z", core(90 * time.Minute), "", "2026-03-30T01:00:00Z"},
	{"opening that the clocks show twice", early, "2026-10-24T23:00:00Z", core(time.Hour), "", "2026-10-25T01:30:00Z"},
	{"hours that the clocks lengthen", early, "2026-10-24T23:00:00Z", core(150 * time.Minute), "", "2026-10-25T03:00:00Z"},

	{"round the clock", always, "Sat 2026-06-13 23:00", core(2 * time.Hour), "", "Sun 2026-06-14 01:00"},
	{"round the clock, next day", always, "Sat 2026-06-13 23:00", nextDay, "", "Mon 2026-06-15 00:00"},
	{"round the clock at midnight", always, "Sun 2026-06-14 00:00", sameDay, "", "Mon 2026-06-15 00:00"},
	{"over midnight", nights, "Mon 2026-06-08 23:00", core(2 * time.Hour), "", "Tue 2026-06-09 01:00"},
	{"over midnight, after it", nights, "Tue 2026-06-09 03:00", core(time.Hour), "", "Tue 2026-06-09 04:00"},
	{"over midnight, same day", nights, "Tue 2026-06-09 03:00", sameDay, "", "Tue 2026-06-09 08:00"},
	{"over midnight, next day", nights, "Tue 2026-06-09 03:00", nextDay, "", "Wed 2026-06-10 08:00"},
	{"over midnight, working days", nights, "Tue 2026-06-09 03:00", working(1), "", "Wed 2026-06-10 08:00"},
	{"over midnight, Friday into Saturday", nights, "Sat 2026-06-13 07:00", core(2 * time.Hour), "", "Mon 2026-06-15 19:30"},
	{"a night of 12.5 hours", nights, "Fri 2026-03-27 18:30", core(13*time.Hour + 30*time.Minute), "", "Sat 2026-03-28 08:00"},

	{"spans that overlap over midnight count once", overlap, "Mon 2026-06-08 20:00", core(11 * time.Hour), "", "Tue 2026-06-09 07:00"},
	{"a day to its last minute", minute, "Mon 2026-06-08 20:00", core(25 * time.Hour), "", "Tue 2026-06-09 21:00"},
	{"a leap day", leap, "Mon 2028-02-28 12:00", sameDay, "", "Tue 2028-02-29 17:00"},
	{"after a leap day", leap, "Tue 2028-02-29 16:30", core(time.Hour), "", "Tue 2028-03-07 09:30"},
	{"an afternoon that is closed", training, "Wed 2026-06-10 12:00", core(2 * time.Hour), "", "Thu 2026-06-11 09:00"},
	{"the same day of an afternoon that is closed", training, "Wed 2026-06-10 12:00", sameDay, "", "Wed 2026-06-10 13:00"},
	{"in the closing", training, "Wed 2026-06-10 13:00", sameDay, "", "Thu 2026-06-11 18:30"},

	{"New York over its clocks", newYork, "2026-03-06T22:30:00Z", core(2 * time.Hour), "", "2026-03-09T13:00:00Z"},
	{"New York on a holiday of England", newYork, "2026-12-28T14:00:00Z", core(time.Hour), "", "2026-12-28T15:00:00Z"},
	{"Lord Howe goes back by half an hour", lordHowe, "2026-04-04T14:00:00Z", core(3*time.Hour + 30*time.Minute), "", "2026-04-04T17:30:00Z"},
	{"Nepal is 5:45 ahead", nepal, "2026-06-08T02:00:00Z", core(time.Hour), "", "2026-06-08T03:15:00Z"},
	{"Samoa left a day out", apia, "2011-12-30T03:00:00Z", core(2 * time.Hour), "", "2011-12-30T19:00:00Z"},

	{"a pause in the hours", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 10:00 > Mon 2026-06-08 15:00", "Mon 2026-06-08 16:00"},
	{"a pause over the weekend", england, "Fri 2026-06-12 16:00", core(2 * time.Hour), "Fri 2026-06-12 17:00 > Mon 2026-06-15 09:00", "Mon 2026-06-15 10:00"},
	{"a pause that begins and ends closed", england, "Fri 2026-06-12 17:30", core(2 * time.Hour), "Fri 2026-06-12 19:00 > Mon 2026-06-15 07:00", "Mon 2026-06-15 09:00"},
	{"a pause that begins closed", england, "Fri 2026-06-12 17:30", core(2 * time.Hour), "Sat 2026-06-13 10:00 > Mon 2026-06-15 08:30", "Mon 2026-06-15 09:30"},
	{"pauses out of order that overlap", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 12:00 > Mon 2026-06-08 13:00, Mon 2026-06-08 09:30 > Mon 2026-06-08 12:30", "Mon 2026-06-08 14:30"},
	{"a pause when it is due", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 11:00 > Mon 2026-06-08 12:00", "Mon 2026-06-08 11:00"},
	{"a pause that never was", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 10:30 > Mon 2026-06-08 10:00", "Mon 2026-06-08 11:00"},
	{"a pause that goes on", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 10:00 > ", ""},
	{"a pause that goes on from when it is due", england, "Mon 2026-06-08 09:00", core(2 * time.Hour), "Mon 2026-06-08 11:00 > ", "Mon 2026-06-08 11:00"},
	{"a pause by the wall", england, "Mon 2026-06-08 20:00", wall(30 * time.Minute), "Mon 2026-06-08 20:10 > Mon 2026-06-08 21:10", "Mon 2026-06-08 21:30"},
	{"a pause by the wall that goes on", england, "Mon 2026-06-08 20:00", wall(30 * time.Minute), "Mon 2026-06-08 20:10 > ", ""},
	{"a pause by the wall when it is due", england, "Mon 2026-06-08 20:00", wall(30 * time.Minute), "Mon 2026-06-08 20:30 > ", "Mon 2026-06-08 20:30"},
	{"a pause over one closing", england, "Mon 2025-11-17 10:02", working(5), "Wed 2025-11-19 14:20 > Thu 2025-11-20 11:05", "Tue 2025-11-25 18:30"},
	{"a pause over no closing", england, "Mon 2025-11-17 10:02", working(5), "Wed 2025-11-19 10:00 > Wed 2025-11-19 18:00", "Mon 2025-11-24 18:30"},
	{"a pause over a weekend, in days", england, "Mon 2025-11-17 10:02", working(5), "Fri 2025-11-21 17:00 > Mon 2025-11-24 09:00", "Tue 2025-11-25 18:30"},
	{"a pause of a closed weekend, in days", england, "Mon 2025-11-17 10:02", working(5), "Fri 2025-11-21 19:00 > Mon 2025-11-24 07:00", "Mon 2025-11-24 18:30"},
	{"a pause to the closing", england, "Mon 2025-11-17 10:02", working(5), "Wed 2025-11-19 14:20 > Wed 2025-11-19 18:30", "Tue 2025-11-25 18:30"},
	{"a pause from the closing", england, "Mon 2025-11-17 10:02", working(5), "Wed 2025-11-19 18:30 > Thu 2025-11-20 09:00", "Mon 2025-11-24 18:30"},
	{"a pause of the same day", england, "Mon 2026-06-08 10:00", sameDay, "Mon 2026-06-08 12:00 > Wed 2026-06-10 09:00", "Wed 2026-06-10 18:30"},
	{"a pause in days that goes on", england, "Mon 2026-06-08 10:00", sameDay, "Mon 2026-06-08 12:00 > ", ""},
	{"two pauses in days", england, "Mon 2026-06-08 10:00", nextDay, "Mon 2026-06-08 12:00 > Tue 2026-06-09 09:00, Tue 2026-06-09 12:00 > Wed 2026-06-10 09:00", "Thu 2026-06-11 18:30"},
}

// clockOf returns the clock of a case.
func clockOf(t testing.TB, start string, sla consultation.SLA, pauses string) consultation.Clock {
	t.Helper()
	c := consultation.Clock{Start: moment(t, start), SLA: sla}
	for text := range strings.SplitSeq(pauses, ",") {
		if from, to, ok := strings.Cut(text, ">"); ok {
			c.Pauses = append(c.Pauses, consultation.Pause{From: moment(t, strings.TrimSpace(from)), To: moment(t, strings.TrimSpace(to))})
		}
	}
	return c
}

func TestDue(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := hoursOf(t, c.service)
			clock := clockOf(t, c.start, c.sla, c.pauses)
			got, err := h.Due(clock)
			if want := moment(t, c.due); err != nil || !got.Equal(want) || got.IsZero() != want.IsZero() {
				t.Fatalf("due %v, %v; want %v", got, err, want)
			}
			soon, err := h.Soon(clock)
			if err != nil || soon.After(got) || !got.IsZero() && soon.Before(clock.Start) {
				t.Errorf("soon %v, %v; due %v", soon, err, got)
			}
		})
	}
}

func TestLatest(t *testing.T) {
	t.Parallel()
	h := hoursOf(t, england)
	bounded := core(2 * time.Hour)
	bounded.Latest = consultation.CoreDay
	for _, c := range []struct{ start, pauses, due string }{
		{"Mon 2026-06-08 09:00", "", "Mon 2026-06-08 11:00"},
		{"Mon 2026-06-08 17:30", "", "Mon 2026-06-08 18:30"},
		{"Mon 2026-06-08 20:00", "", "Tue 2026-06-09 10:00"},
		{"Mon 2026-06-08 17:30", "Mon 2026-06-08 18:00 > ", ""},
		{"Mon 2026-06-08 17:30", "Mon 2026-06-08 18:30 > ", "Mon 2026-06-08 18:30"},
		{"Mon 2026-06-08 17:30", "Mon 2026-06-08 18:00 > Tue 2026-06-09 09:00", "Tue 2026-06-09 10:30"},
	} {
		got, err := h.Due(clockOf(t, c.start, bounded, c.pauses))
		if want := moment(t, c.due); err != nil || !got.Equal(want) {
			t.Errorf("from %s with %q due %v, %v; want %v", c.start, c.pauses, got, err, want)
		}
	}
}

func TestSoon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		start  string
		sla    consultation.SLA
		pauses string
		soon   string
	}{
		{"Mon 2026-06-08 09:00", core(10 * time.Hour), "", "Mon 2026-06-08 17:00"},
		{"Mon 2026-06-08 20:00", core(10 * time.Hour), "", "Tue 2026-06-09 16:00"},
		{"Mon 2026-06-08 09:00", core(10 * time.Hour), "Mon 2026-06-08 10:00 > Mon 2026-06-08 12:00", "Tue 2026-06-09 08:30"},
		{"Mon 2026-06-08 20:00", wall(30 * time.Minute), "", "Mon 2026-06-08 20:24"},
		{"Mon 2026-06-08 08:00", nextDay, "", "Tue 2026-06-09 14:18"}, // 16 h 48 of 21 h
		{"Mon 2026-06-08 18:29", sameDay, "", "Mon 2026-06-08 18:29:48"},
		{"Mon 2026-06-08 09:00", core(0), "", "Mon 2026-06-08 09:00"},
	} {
		got, err := hoursOf(t, england).Soon(clockOf(t, c.start, c.sla, c.pauses))
		if want := moment(t, c.soon); err != nil || !got.Equal(want) {
			t.Errorf("from %s by %v soon %v, %v; want %v", c.start, c.sla, got, err, want)
		}
	}
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service, from, to string
		want              time.Duration
	}{
		{england, "Mon 2026-06-08 09:00", "Mon 2026-06-08 10:00", time.Hour},
		{england, "Mon 2026-06-08 10:00", "Mon 2026-06-08 09:00", 0},
		{england, "Fri 2026-06-12 18:00", "Mon 2026-06-15 09:00", 90 * time.Minute},
		{england, "Fri 2026-06-12 18:30", "Mon 2026-06-15 08:00", 0},
		{england, "Wed 2025-12-31 18:30", "Fri 2027-01-01 00:00", 253 * 10 * time.Hour * 105 / 100},
		{always, "Sun 2026-03-29 00:00", "Mon 2026-03-30 00:00", 23 * time.Hour},
		{always, "Sun 2026-10-25 00:00", "Mon 2026-10-26 00:00", 25 * time.Hour},
		{nights, "Tue 2026-06-09 07:00", "Tue 2026-06-09 19:30", 2 * time.Hour},
	} {
		got, err := hoursOf(t, c.service).Elapsed(moment(t, c.from), moment(t, c.to), nil)
		if err != nil || got != c.want {
			t.Errorf("from %s to %s %v, %v; want %v", c.from, c.to, got, err, c.want)
		}
	}
}

// TestBounds holds what has no end against errors that come at once.
func TestBounds(t *testing.T) {
	t.Parallel()
	start := moment(t, "Mon 2026-06-08 09:00")
	shut := healthcare("", available(weekdaysTill)+`,`+closedDuring(`"start":"2026-06-01"`))
	for _, c := range []struct {
		name, service, detail string
		sla                   consultation.SLA
	}{
		{"closed for ever", shut, "never-open", core(time.Hour)},
		{"closed since ever", healthcare("", closedDuring(`"end":"9999"`)), "never-open", sameDay},
		{"closed for a thousand years", healthcare("", closedDuring(`"start":"2000","end":"3000"`)), "never-open", nextDay},
		{"never on a weekday", healthcare("", available(`{"daysOfWeek":["mon"],"availableStartTime":"09:00:00","availableEndTime":"09:00:00"}`)), "never-open", core(1)},
		{"more hours than there are", england, "never-open", core(3_659 * 24 * time.Hour)},
		{"more days than there are", england, "never-open", working(3_660)},
		{"too long", england, "sla-out-of-range", core(1<<63 - 1)},
		{"too long by the wall", england, "sla-out-of-range", wall(1<<63 - 1)},
		{"too many days", england, "sla-out-of-range", working(1 << 60)},
		{"less than nothing", england, "sla-out-of-range", core(-1)},
		{"unknown", england, "sla-out-of-range", consultation.SLA{Measure: 99}},
	} {
		_, err := hoursOf(t, c.service).Due(consultation.Clock{Start: start, SLA: c.sla})
		if o := fhir.AsOutcome(err); o == nil || o.Issues[0].Detail != c.detail {
			t.Errorf("%s: %v, want %s", c.name, err, c.detail)
		}
	}
	for _, year := range []int{-1_000_000, 0, 9999, 1_000_000} {
		far := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		due, err := hoursOf(t, england).Due(consultation.Clock{Start: far, SLA: core(time.Hour)})
		if err != nil || due.Before(far) || due.Sub(far) > 5*24*time.Hour {
			t.Errorf("in the year %d: %v, %v", year, due, err)
		}
	}
	if _, err := hoursOf(t, england).Elapsed(time.Time{}, start, nil); fhir.AsOutcome(err) == nil {
		t.Errorf("two thousand years: %v", err)
	}
	if due, err := hoursOf(t, shut).Due(consultation.Clock{Start: start, SLA: wall(time.Hour)}); err != nil || !due.Equal(start.Add(time.Hour)) {
		t.Errorf("by the wall a service need not open: %v, %v", due, err)
	}
	var none consultation.Hours
	if _, err := none.Next(start); fhir.AsOutcome(err) == nil || none.Open(start) {
		t.Error("the zero Hours open")
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service, at string
		open        bool
		next        string
	}{
		{england, "Mon 2026-06-08 08:00", true, "Mon 2026-06-08 08:00"},
		{england, "Mon 2026-06-08 07:59:59", false, "Mon 2026-06-08 08:00"},
		{england, "Mon 2026-06-08 18:29:59", true, "Mon 2026-06-08 18:29:59"},
		{england, "Mon 2026-06-08 18:30", false, "Tue 2026-06-09 08:00"},
		{england, "Fri 2026-04-03 10:00", false, "Tue 2026-04-07 08:00"},
		{england, "Mon 2026-12-28 10:00", false, "Tue 2026-12-29 08:00"},
		{lunch, "Mon 2026-06-08 13:00", false, "Mon 2026-06-08 14:00"},
		{nights, "Tue 2026-06-09 00:00", true, "Tue 2026-06-09 00:00"},
		{nights, "Tue 2026-06-09 07:59:59", true, "Tue 2026-06-09 07:59:59"},
		{nights, "Sun 2026-06-14 00:00", false, "Mon 2026-06-15 18:30"},
		{always, "Sun 2026-06-14 00:00", true, "Sun 2026-06-14 00:00"},
		{training, "Wed 2026-06-10 12:59:59", true, "Wed 2026-06-10 12:59:59"},
		{training, "Wed 2026-06-10 13:00", false, "Thu 2026-06-11 08:00"},
		{early, "2026-10-25T01:45:00Z", true, "2026-10-25T01:45:00Z"},
		{early, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"},
	} {
		h, at := hoursOf(t, c.service), moment(t, c.at)
		next, err := h.Next(at)
		if h.Open(at) != c.open || err != nil || !next.Equal(moment(t, c.next)) {
			t.Errorf("at %s open %v, next %v, %v; want %v, %s", c.at, h.Open(at), next, err, c.open, c.next)
		}
	}
}
