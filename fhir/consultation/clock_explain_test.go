package consultation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// told returns the steps of an explanation, one a line.
func told(e consultation.Explanation) string {
	var b strings.Builder
	for _, s := range e.Steps {
		mark := "-"
		if s.Counts {
			mark = "+"
		}
		fmt.Fprintf(&b, "%s %s > %s %s\n", mark, s.From.Format("Mon 02 15:04"), s.To.Format("Mon 02 15:04"), s.Why)
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, service  string
		kind, priority string
		start, pauses  string
		want           string
		notes          int
	}{
		{"stat", england, "consultation", "stat", "Sat 2026-06-13 23:50", "", "+ Sat 13 23:50 > Sun 14 00:20 Every hour counts.\n", 0},
		{"stat with a pause", england, "consultation", "stat", "Mon 2026-06-08 10:00", "Mon 2026-06-08 10:10 > Mon 2026-06-08 11:10",
			"+ Mon 08 10:00 > Mon 08 10:10 Every hour counts.\n- Mon 08 10:10 > Mon 08 11:10 Waiting for an answer.\n+ Mon 08 11:10 > Mon 08 11:30 Every hour counts.\n", 0},
		{"Easter", healthcare(coded("calendar", "england-core-hours"), available(weekdaysTill)), "consultation", "routine", "Thu 2026-04-02 19:00", "",
			"- Thu 02 19:00 > Tue 07 08:00 Good Friday; Easter Monday.\n+ Tue 07 08:00 > Tue 07 18:30 Core hours.\n", 1},
		{"paused", england, "consultation", "routine", "Mon 2026-06-08 10:00", "Mon 2026-06-08 12:00 > ", "+ Mon 08 10:00 > Mon 08 12:00 Core hours.\n", 1},
		{"closing", training, "consultation", "routine", "Wed 2026-06-10 09:00", "",
			"+ Wed 10 09:00 > Wed 10 13:00 Core hours.\n- Wed 10 13:00 > Thu 11 08:00 Training.\n+ Thu 11 08:00 > Thu 11 18:30 Core hours.\n", 0},
		{"a night", england, "consultation", "routine", "Mon 2026-06-08 18:00", "",
			"+ Mon 08 18:00 > Mon 08 18:30 Core hours.\n- Mon 08 18:30 > Tue 09 08:00 Outside core hours.\n+ Tue 09 08:00 > Tue 09 18:30 Core hours.\n", 0},
		{"no limit", england, "abort", "routine", "Mon 2026-06-08 18:00", "", "", 0},
		{"after the last known holiday", england, "consultation", "urgent", "Mon 2035-01-01 09:00", "", "+ Mon 01 09:00 > Mon 01 18:30 Core hours.\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := serviceOf(t, c.service, consultation.Setting{})
			q := consultation.Question{Kind: c.kind, Priority: c.priority, Start: moment(t, c.start), Pauses: clockOf(t, c.start, sameDay, c.pauses).Pauses}
			e, err := s.Explain(q)
			if err != nil || told(e) != c.want || len(e.Notes) != c.notes {
				t.Fatalf("%v, notes %q\ngot\n%swant\n%s", err, e.Notes, told(e), c.want)
			}
			r, err := fhir.Decode("Parameters", e.JSON())
			if err != nil {
				t.Fatalf("%v\n%s", err, e.JSON())
			}
			values := map[string]string{}
			for p := range r.Root().Each("parameter") {
				values[p.Child("name").Text()] = p.Child("value").Text()
			}
			if due := e.Deadline.Due; due.IsZero() != (values["due"] == "") || !due.IsZero() && values["due"] != due.Format("2006-01-02T15:04:05-07:00") {
				t.Errorf("due %v is told as %q", due, values["due"])
			}
			if values["time-zone"] != "Europe/London" || values["priority"] != c.priority {
				t.Errorf("%v", values)
			}
		})
	}
}

// TestExplainLong holds the explanation of a long time to a size.
func TestExplainLong(t *testing.T) {
	t.Parallel()
	var closings []string
	for i := range 400 {
		at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, i).Format(time.RFC3339)
		closings = append(closings, `{"description":"`+strings.Repeat("ä", 2_000)+`","during":{"start":"`+at+`","end":"`+at[:14]+`30:00Z"}}`)
	}
	s, _ := serviceOf(t, healthcare(limit("urgent", "8000", "h"), `"notAvailable":[`+strings.Join(closings, ",")+`]`), consultation.Setting{})
	e, err := s.Explain(consultation.Question{Kind: "consultation", Priority: "urgent", Start: moment(t, "Mon 2026-06-01 08:00")})
	if err != nil || len(e.Steps) < 200 || len(e.Steps) > 205 || len(e.JSON()) > 150_000 {
		t.Fatalf("%v, %d steps, %d bytes", err, len(e.Steps), len(e.JSON()))
	}
	for i, step := range e.Steps {
		if i > 0 && !step.From.Equal(e.Steps[i-1].To) {
			t.Fatalf("a gap before %v", step)
		}
	}
	if last := e.Steps[len(e.Steps)-1]; !last.To.Equal(e.Deadline.Due) {
		t.Errorf("it ends with %v, due %v", last, e.Deadline.Due)
	}
}

// TestDeadlineNeverOpen keeps what is known of a submission that can have no due time.
func TestDeadlineNeverOpen(t *testing.T) {
	t.Parallel()
	s, _ := serviceOf(t, healthcare("", closedDuring(`"start":"2026-01-01"`)), consultation.Setting{})
	start := moment(t, "Mon 2026-06-08 10:00")
	if d, err := s.Deadline(consultation.Question{Kind: "consultation", Priority: "urgent", Start: start}); fhir.AsOutcome(err) == nil || d.Open || !d.Due.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
	d, err := s.Deadline(consultation.Question{Kind: "consultation", Priority: "stat", Start: start})
	if err != nil || !d.Due.Equal(start.Add(30*time.Minute)) || !d.Opens.IsZero() {
		t.Errorf("stat: %+v, %v", d, err)
	}
}

// TestTaskClock holds and resumes the clock of a Task and reads it back.
func TestTaskClock(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time { return moment(t, s) }
	held := consultation.Hold(nil, at("2025-11-19T14:20:00.123456789Z"))
	if again := consultation.Hold(held, at("2025-11-19T15:00:00Z")); len(again) != 1 || again[0] != held[0] {
		t.Errorf("held twice: %v", again)
	}
	pauses := consultation.Resume(held, at("2025-11-20T11:05:00+01:00"))
	if !held[0].To.IsZero() || pauses[0].To.IsZero() {
		t.Errorf("%v became %v", held, pauses)
	}
	pauses = consultation.Hold(pauses, at("2025-11-21T09:00:00Z"))
	src := `{"resourceType":"Task","status":"on-hold","intent":"order","authoredOn":"2025-11-17T10:01:59Z","restriction":{"period":{"start":"2025-11-17T10:02:00+00:00"}},"extension":[` +
		string(pauses[0].JSON()) + `,` + string(pauses[1].JSON()) + `,{"url":"` + consultation.ClockPause + `","valuePeriod":{"start":"2025-11-21T09:00:00Z","end":"2025"}}]}`
	r, err := fhir.Decode("Task", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	start, read := consultation.ReadClock(r)
	if !start.Equal(at("2025-11-17T10:02:00Z")) || len(read) != 2 || !read[0].From.Equal(pauses[0].From) || !read[0].To.Equal(pauses[0].To) || !read[1].To.IsZero() {
		t.Errorf("from %v with %v", start, read)
	}
	r, _ = fhir.Decode("Task", []byte(`{"resourceType":"Task","status":"requested","intent":"order","authoredOn":"2025-11-17T10:01:59Z"}`))
	if start, _ := consultation.ReadClock(r); !start.Equal(at("2025-11-17T10:01:59Z")) {
		t.Errorf("from %v", start)
	}
}
