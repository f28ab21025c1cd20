package consultation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

func coded(name, code string) string { return `{"url":"` + name + `","valueCode":"` + code + `"}` }

// TestProblems reads configurations and says what is wrong with them, as
// "severity detail expression".
func TestProblems(t *testing.T) {
	t.Parallel()
	preset := consultation.Setting{Preset: consultation.England2026}
	day := func(name, from, to string) string {
		return `{"daysOfWeek":["` + name + `"],"availableStartTime":"` + from + `","availableEndTime":"` + to + `"}`
	}
	monToThu := `{"daysOfWeek":["mon","tue","wed","thu"],"availableStartTime":"08:00:00","availableEndTime":"18:30:00"}`
	const sla = "HealthcareService.extension[0].extension[%d]"
	at := func(format string, i int) string { return fmt.Sprintf(format, i) }
	for _, c := range []struct {
		name, parts, elements string
		setting               consultation.Setting
		want                  []string
	}{
		{"nothing said", "", "", preset, nil},
		{"core hours", "", available(weekdaysTill), preset, nil},
		{"overlap", "", available(day("mon", "08:00:00", "12:00:00") + `,` + day("mon", "11:00:00", "18:00:00")), consultation.Setting{},
			[]string{"warning hours-overlap HealthcareService.availableTime[1]"}},
		{"touching is no overlap", "", available(day("mon", "08:00:00", "12:00:00") + `,` + day("mon", "12:00:00", "18:00:00")), consultation.Setting{}, nil},
		{"the same day named twice is no overlap", "", available(`{"daysOfWeek":["mon","mon"],"availableStartTime":"08:00:00"}`), consultation.Setting{}, nil},
		{"overlap over midnight", "", available(day("mon", "20:00:00", "06:00:00") + `,` + day("tue", "05:00:00", "07:00:00")), consultation.Setting{},
			[]string{"warning hours-end-before-start HealthcareService.availableTime[0].availableEndTime", "warning hours-overlap HealthcareService.availableTime[1]"}},
		{"overlap over midnight, other order", "", available(day("tue", "05:00:00", "07:00:00") + `,` + day("mon", "20:00:00", "06:00:00")), consultation.Setting{},
			[]string{"warning hours-end-before-start HealthcareService.availableTime[1].availableEndTime", "warning hours-overlap HealthcareService.availableTime[1]"}},
		{"end at start", "", available(day("mon", "08:00:00", "08:00:00")), consultation.Setting{}, []string{"error hours-empty HealthcareService.availableTime[0].availableStartTime"}},
		{"all day with times", "", available(`{"allDay":true,"availableStartTime":"08:00:00","availableEndTime":"08:00:00"}`), consultation.Setting{}, nil},
		{"midnight to midnight", "", available(day("mon", "00:00:00", "00:00:00")), consultation.Setting{}, nil},
		{"closing without a time", "", `"notAvailable":[{"description":"x"}]`, consultation.Setting{}, []string{"warning closing-without-time HealthcareService.notAvailable[0]"}},
		{"closing backwards", "", closedDuring(`"start":"2026-06-02T10:00:00Z","end":"2026-06-02T10:00:00+01:00"`), consultation.Setting{},
			[]string{"error closing-ends-before-start HealthcareService.notAvailable[0].during.end"}},
		{"unknown zone", inZone("Europe/Londn"), "", consultation.Setting{}, []string{"error time-zone-unknown " + at(sla, 0) + ".value"}},
		{"the zone of the machine", inZone("Local"), "", consultation.Setting{}, []string{"error time-zone-unknown " + at(sla, 0) + ".value"}},
		{"a zone with a path", inZone("../../etc/passwd"), "", consultation.Setting{}, []string{"error time-zone-unknown " + at(sla, 0) + ".value"}},
		{"a part without a value", `{"url":"holidays"},{"url":"calendar"},{"url":"time-zone"},{"url":"preset"},{"url":"urgent"}`, "", consultation.Setting{},
			[]string{"error calendar-unknown " + at(sla, 0), "error calendar-unknown " + at(sla, 1), "error time-zone-unknown " + at(sla, 2), "error preset-unknown " + at(sla, 3), "error sla-unreadable " + at(sla, 4)}},
		{"unknown calendar", coded("calendar", "mars"), "", consultation.Setting{}, []string{"error calendar-unknown " + at(sla, 0) + ".value"}},
		{"unknown holidays", `{"url":"holidays","valueUri":"http://a"}`, "", consultation.Setting{}, []string{"error calendar-unknown " + at(sla, 0) + ".value"}},
		{"unknown preset", coded("preset", "england-1948"), "", consultation.Setting{}, []string{"error preset-unknown " + at(sla, 0) + ".value"}},
		{"unknown part", coded("whenever", "x"), "", consultation.Setting{}, []string{"warning sla-unreadable " + at(sla, 0)}},
		{"a part twice", coded("urgent", "end-of-core-day") + `,` + coded("urgent", "end-of-core-day"), "", consultation.Setting{}, []string{"error sla-unreadable " + at(sla, 1)}},
		{"times that are none", coded("urgent", "soon") + `,` + coded("stat", "end-of-core-day") + `,` + limit("asap", "0", "h") + `,` + limit("routine", "367", "d") + `,` +
			limit("referral", "1.5", "d") + `,` + limit("advice-and-guidance", "-1", "d") + `,` + limit("unread-escalation-after", "1", "mo"), "", consultation.Setting{},
			[]string{"error sla-unreadable " + at(sla, 0), "error sla-unreadable " + at(sla, 1), "error sla-unreadable " + at(sla, 2), "error sla-unreadable " + at(sla, 3),
				"error sla-unreadable " + at(sla, 4), "error sla-unreadable " + at(sla, 5), "error sla-unreadable " + at(sla, 6)}},

		{"preset: an afternoon is missing", "", available(monToThu + `,` + day("fri", "08:00:00", "13:00:00")), preset, []string{"error preset-violated HealthcareService.availableTime[0]"}},
		{"preset: lunch", "", available(`{"availableStartTime":"08:00:00","availableEndTime":"13:00:00"},{"availableStartTime":"14:00:00","availableEndTime":"18:30:00"}`), preset,
			[]string{"error preset-violated HealthcareService.availableTime[0]"}},
		{"preset: two spans that touch", "", available(`{"availableStartTime":"07:00:00","availableEndTime":"13:00:00"},{"availableStartTime":"13:00:00"}`), preset, nil},
		{"preset: nights only", "", available(day("mon", "18:30:00", "08:00:00")), preset,
			[]string{"warning hours-end-before-start HealthcareService.availableTime[0].availableEndTime", "error preset-violated HealthcareService.availableTime[0]"}},
		{"preset: named by the service", coded("preset", "england-2026"), closedDuring(`"start":"2026-06-10"`), consultation.Setting{}, []string{"error preset-violated HealthcareService.notAvailable[0]"}},
		{"preset: bank holidays", "", closedDuring(`"start":"2025-12-25","end":"2025-12-26"`), preset, nil},
		{"preset: Easter", "", closedDuring(`"start":"2026-04-03","end":"2026-04-06"`), preset, nil},
		{"preset: the day after Easter", "", closedDuring(`"start":"2026-04-03","end":"2026-04-07T08:00:01+01:00"`), preset, []string{"error preset-violated HealthcareService.notAvailable[0]"}},
		{"preset: until core hours begin", "", closedDuring(`"start":"2026-04-03","end":"2026-04-07T08:00:00+01:00"`), preset, nil},
		{"preset: a night", "", closedDuring(`"start":"2026-06-10T18:30:00+01:00","end":"2026-06-11T08:00:00+01:00"`), preset, nil},
		{"preset: a training afternoon", "", closedDuring(`"start":"2026-06-10T13:00:00+01:00","end":"2026-06-10T18:30:00+01:00"`), preset, []string{"error preset-violated HealthcareService.notAvailable[0]"}},
		{"preset: for ever", "", closedDuring(`"end":"2030"`), preset, []string{"error preset-violated HealthcareService.notAvailable[0]"}},
		{"preset: long ago", "", closedDuring(`"start":"2015-06-10","end":"2015-06-12"`), preset, nil},
		{"preset: a limit", "", `"extension":[{"url":"` + consultation.SubmissionLimit + `","valuePositiveInt":50}]`, preset, []string{"error preset-violated HealthcareService.extension[0]"}},
		{"preset: not active", "", `"active":false`, preset, []string{"warning preset-violated HealthcareService.active"}},
		{"preset: another zone", inZone("Europe/Paris"), "", preset, []string{"error preset-violated HealthcareService"}},
		{"preset: other holidays", `{"url":"holidays","valueUri":"` + consultation.ScotlandHolidays + `"}`, "", preset, []string{"error preset-violated " + at(sla, 0)}},
		{"preset: too slow", limit("stat", "31", "min") + `,` + coded("urgent", "end-of-next-core-day") + `,` + limit("asap", "1", "d") + `,` + limit("routine", "11", "h"), "", preset,
			[]string{"error preset-violated " + at(sla, 0), "error preset-violated " + at(sla, 2), "error preset-violated " + at(sla, 1), "error preset-violated " + at(sla, 3)}},
		{"preset: quick", limit("stat", "5", "min") + `,` + limit("urgent", "1", "h") + `,` + coded("asap", "end-of-core-day") + `,` + coded("routine", "end-of-core-day"), "", preset, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, issues := serviceOf(t, healthcare(c.parts, c.elements), c.setting)
			var got []string
			for _, is := range issues {
				got = append(got, fmt.Sprintf("%v %s %s", is.Severity, is.Detail, is.Expression))
				if is.Code == "" || !strings.HasSuffix(is.Text, ".") {
					t.Errorf("%+v", is)
				}
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestSample reads the shared HealthcareService.
func TestSample(t *testing.T) {
	t.Parallel()
	bundle, err := fhir.Decode("Bundle", clockSample(t, "set-a-consultation/context-bundle.json"))
	if err != nil {
		t.Fatal(err)
	}
	var src string
	for entry := range bundle.Root().Each("entry") {
		if r := entry.Child("resource"); r.Type().Name == "HealthcareService" {
			src = string(r.Raw())
		}
	}
	for _, preset := range []string{"", consultation.England2026} {
		s, issues := serviceOf(t, src, consultation.Setting{Preset: preset})
		if len(issues) > 0 || s.Calendar != consultation.EnglandCoreHours || s.Preset != preset {
			t.Fatalf("%v, calendar %s", issues, s.Calendar)
		}
		for _, c := range []struct{ kind, priority, start, due, presetDue string }{
			{"consultation", "stat", "Thu 2025-11-20 09:12:32", "Thu 2025-11-20 09:42:32", ""}, // expected-triage-task-for-02
			{"consultation", "asap", "Thu 2025-11-20 09:12", "Thu 2025-11-20 11:12", ""},
			{"consultation", "asap", "Thu 2025-11-20 17:30", "Fri 2025-11-21 09:00", "Thu 2025-11-20 18:30"},
			{"consultation", "urgent", "Thu 2025-11-20 17:30", "Thu 2025-11-20 18:30", ""},
			{"consultation", "routine", "Thu 2025-11-20 17:30", "Fri 2025-11-21 18:30", ""},
			{"consultation", "", "Thu 2025-11-20 20:00", "Fri 2025-11-21 18:30", ""},
			{"consultation", "routine", "Wed 2025-12-24 12:00", "Mon 2025-12-29 18:30", ""},
			{"advice-and-guidance", "routine", "Mon 2025-11-17 10:02", "Mon 2025-11-24 18:30", ""}, // ag-task-history
			{"referral", "urgent", "Mon 2025-11-17 10:02", "Mon 2025-11-24 18:30", ""},
			{"referral", "stat", "Sat 2025-11-15 10:02", "Sat 2025-11-15 10:32", ""},
			{"message-receipt", "urgent", "Fri 2025-11-21 17:30", "Mon 2025-11-24 11:00", ""},
			{"message-receipt", "routine", "Fri 2025-11-21 17:30", "", ""},
			{"patient-action", "stat", "Fri 2025-11-21 17:30", "", ""},
			{"abort", "stat", "Fri 2025-11-21 17:30", "", ""},
		} {
			due := c.due
			if preset != "" && c.presetDue != "" {
				due = c.presetDue
			}
			got, err := s.Deadline(consultation.Question{Kind: c.kind, Priority: c.priority, Start: moment(t, c.start)})
			if err != nil || !got.Due.Equal(moment(t, due)) {
				t.Errorf("%s %s from %s under %q due %v, %v; want %s", c.kind, c.priority, c.start, preset, got.Due, err, due)
			}
		}
	}
}

// TestCalendars says which hours count, by the calendar and the operator's preset.
func TestCalendars(t *testing.T) {
	t.Parallel()
	long := available(`{"daysOfWeek":["mon","sat"],"availableStartTime":"07:00:00","availableEndTime":"20:00:00"}`)
	own := `{"url":"holidays","valueCanonical":"http://a|1"}`
	r, err := fhir.Decode("CodeSystem", []byte(`{"resourceType":"CodeSystem","url":"http://a","status":"active","content":"complete","concept":[{"code":"2026-06-08"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	feast, _ := consultation.ReadCalendar(r)
	for _, c := range []struct {
		name, src, preset string
		at                string
		opening, core     bool
	}{
		{"own hours", healthcare("", long), "", "Mon 2026-06-08 19:00", true, true},
		{"own hours by name", healthcare(coded("calendar", "opening-hours"), long), "", "Sat 2026-06-13 19:00", true, true},
		{"core hours by name", healthcare(coded("calendar", "england-core-hours"), long), "", "Mon 2026-06-08 19:00", true, false},
		{"core hours by preset", healthcare(coded("calendar", "opening-hours"), long), consultation.England2026, "Mon 2026-06-08 19:00", true, false},
		{"no hours", healthcare("", ""), "", "Mon 2026-06-08 19:00", true, false},
		{"no hours, always", healthcare(coded("calendar", "opening-hours"), ""), "", "Mon 2026-06-08 19:00", true, true},
		{"a bank holiday", healthcare("", long), "", "Mon 2026-05-25 12:00", false, false},
		{"a holiday of its own", healthcare(own, long), "", "Mon 2026-06-08 12:00", false, false},
		{"no bank holiday of its own", healthcare(own, long), "", "Mon 2026-05-25 12:00", true, true},
		{"the standard extension for zones", `{"resourceType":"HealthcareService","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/timezone","valueCode":"Asia/Tokyo"}],` + long + `}`,
			"", "2026-06-07T22:30:00Z", true, true},
	} {
		s, issues := serviceOf(t, c.src, consultation.Setting{Preset: c.preset, Calendars: []*consultation.Calendar{feast}})
		at := moment(t, c.at)
		if s.Opening.Open(at) != c.opening || s.Core.Open(at) != c.core {
			t.Errorf("%s: open %v, core hours %v; %v", c.name, s.Opening.Open(at), s.Core.Open(at), issues)
		}
	}
	r, _ = fhir.Decode("HealthcareService", []byte(healthcare(own, "")))
	if got := consultation.HolidayCalendar(r); got != "http://a|1" {
		t.Errorf("the calendar is %q", got)
	}
}

// TestClosures reads partial dates, which stand for all that they cover.
func TestClosures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ during, at, next string }{
		{`"start":"2026-06-09","end":"2026-06-10"`, "Tue 2026-06-09 09:00", "Thu 2026-06-11 08:00"},
		{`"start":"2026-06","end":"2026-06"`, "Tue 2026-06-09 09:00", "Wed 2026-07-01 08:00"},
		{`"start":"2026","end":"2026"`, "Tue 2026-06-09 09:00", "Fri 2027-01-01 08:00"},
		{`"end":"2026-06-09"`, "Tue 2026-06-09 09:00", "Wed 2026-06-10 08:00"},
		{`"start":"2026-06-09T09:00:00+01:00","end":"2026-06-09T11:59:60+01:00"`, "Tue 2026-06-09 09:00", "Tue 2026-06-09 11:59:59"},
		{`"start":"2026-03-28","end":"2026-03-30T09:00:00.5+01:00"`, "Sun 2026-03-29 12:00", "2026-03-30T08:00:00.5Z"},
		{`"start":"2026-06-08","end":"2026-06-08"}},{"description":"a","during":{"start":"2026-06-09","end":"2026-06-09"}},{"description":"b","during":{"start":"2026-06-07","end":"2026-06-10"`,
			"Mon 2026-06-08 09:00", "Thu 2026-06-11 08:00"},
	} {
		h := hoursOf(t, healthcare(noHolidays, available(weekdaysTill)+`,`+`"notAvailable":[{"description":"x","during":{`+c.during+`}}]`))
		next, err := h.Next(moment(t, c.at))
		if want := moment(t, c.next); err != nil || !next.Equal(want) {
			t.Errorf("%s: next %v, %v; want %v", c.during, next, err, want)
		}
	}
}

// FuzzService reads any HealthcareService and follows its clocks: no panic, no long walk,
// no answer before the question.
func FuzzService(f *testing.F) {
	for _, src := range []string{england, lunch, always, nights, early, leap, scotland, training, newYork, lordHowe, apia,
		healthcare(coded("preset", "england-2026")+`,`+limit("asap", "2", "h"), available(weekdaysTill)+`,`+closedDuring(`"start":"2026"`))} {
		f.Add([]byte(src))
	}
	start := time.Date(2026, 10, 24, 23, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.Decode("HealthcareService", src)
		if err != nil {
			return
		}
		for _, preset := range []string{"", consultation.England2026} {
			s, _, err := consultation.ReadService(r, consultation.Setting{Preset: preset})
			if err != nil {
				t.Fatal(err)
			}
			for _, priority := range []string{"stat", "asap", "urgent", "routine"} {
				e, err := s.Explain(consultation.Question{Kind: "consultation", Priority: priority, Start: start})
				if err != nil && fhir.AsOutcome(err) == nil || err == nil && (e.Deadline.Due.Before(start) || e.Deadline.Soon.After(e.Deadline.Due)) {
					t.Fatalf("%s: %+v, %v", priority, e.Deadline, err)
				}
				if _, err := fhir.Decode("Parameters", e.JSON()); err != nil || len(e.JSON()) > 200_000 {
					t.Fatalf("%v\n%s", err, e.JSON())
				}
			}
		}
	})
}
