package consultation

import (
	"fmt"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// repeat is a MedicationRequest that may be repeated twice, every 28 days; %s is anything more.
const repeat = `{"resourceType":"MedicationRequest","id":"mr","status":"active","intent":"plan","medicationCodeableConcept":{"text":"Ramipril"},
	"subject":{"reference":"Patient/p"},"dispenseRequest":{"numberOfRepeatsAllowed":2,"dispenseInterval":{"value":28,"unit":"days","system":"http://unitsofmeasure.org","code":"d"}%s}%s}`

func planOf(t testing.TB, dispense, more string) Plan {
	t.Helper()
	return ReadPlan(resource(t, fmt.Sprintf(repeat, dispense, more)), bookingBase)
}

func issueOf(t testing.TB, date, more string) Issue {
	t.Helper()
	if date != "" {
		more += `,"authoredOn":"` + date + `"`
	}
	return ReadIssue(resource(t, `{"resourceType":"MedicationRequest","id":"o","subject":{"reference":"Patient/p"},"medicationCodeableConcept":{"text":"Ramipril"},"basedOn":[{"reference":"MedicationRequest/mr"}]`+more+`}`), bookingBase)
}

const wasOrdered = `,"status":"completed","intent":"order"`

// TestMayReissue is what may be asked for again, and when.
func TestMayReissue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	plain := planOf(t, "", "")
	information := func(parts string) Plan {
		return planOf(t, "", `,"extension":[{"url":"`+RepeatInformationURL+`","extension":[`+parts+`]}]`)
	}
	edit := func(change func(*Plan)) Plan { p := plain; change(&p); return p }
	long := issueOf(t, "2025-11-01", wasOrdered)
	longer := issueOf(t, "2025-10-01", wasOrdered)
	cases := []struct {
		name   string
		plan   Plan
		issues []Issue
		open   bool
		want   string
	}{
		{"never issued", plain, nil, false, ""},
		{"an order", edit(func(p *Plan) { p.Intent = "order" }), nil, false, "not-a-repeat"},
		{"stopped", edit(func(p *Plan) { p.Status = "stopped" }), nil, false, "not-a-repeat"},
		{"on hold", edit(func(p *Plan) { p.Status = "on-hold" }), nil, false, "not-a-repeat"},
		{"of somebody else", edit(func(p *Plan) { p.Patient.ID = "q" }), nil, false, "not-a-repeat"},
		{"without repeats", edit(func(p *Plan) { p.Repeats = 0 }), nil, false, "not-a-repeat"},
		{"one left", plain, []Issue{long, longer}, false, ""},
		{"none left", plain, []Issue{long, longer, issueOf(t, "2025-09-01", wasOrdered)}, false, "not-a-repeat"},
		{"one was cancelled", plain, []Issue{long, longer, issueOf(t, "2026-03-01", `,"status":"cancelled","intent":"order"`)}, false, ""},
		{"one is a plan", plain, []Issue{long, longer, issueOf(t, "2026-03-01", `,"status":"active","intent":"plan"`)}, false, ""},
		{"two issued by the extension", information(`{"url":"numberOfPrescriptionsIssued","valueUnsignedInt":2}`), nil, false, ""},
		{"three issued by the extension", information(`{"url":"numberOfPrescriptionsIssued","valueUnsignedInt":3}`), nil, false, "not-a-repeat"},
		{"review yesterday", information(`{"url":"authorisationExpiryDate","valueDateTime":"2026-03-01"}`), nil, false, "review-due"},
		{"review today", information(`{"url":"authorisationExpiryDate","valueDateTime":"2026-03-02"}`), nil, false, ""},
		{"review an hour ago", information(`{"url":"authorisationExpiryDate","valueDateTime":"2026-03-02T08:00:00Z"}`), nil, false, "review-due"},
		{"our review date", planOf(t, "", `,"extension":[{"url":"`+ReviewDateURL+`","valueDate":"2026-02-28"}]`), nil, false, "review-due"},
		{"valid no longer", planOf(t, `,"validityPeriod":{"end":"2026-02"}`, ""), nil, false, "review-due"},
		{"valid this month", planOf(t, `,"validityPeriod":{"end":"2026-03"}`, ""), nil, false, ""},
		{"issued yesterday", plain, []Issue{issueOf(t, "2026-03-01", wasOrdered)}, false, "too-early"},
		{"issued 20 days ago", plain, []Issue{issueOf(t, "2026-02-10T10:00:00Z", wasOrdered)}, false, "too-early"},
		{"issued 21 days ago", plain, []Issue{issueOf(t, "2026-02-09T09:00:00Z", wasOrdered)}, false, ""},
		{"the later one counts", plain, []Issue{issueOf(t, "2026-03-01", wasOrdered), long}, false, "too-early"},
		{"no interval", planOf(t, "", "").without(), []Issue{issueOf(t, "2026-03-01", wasOrdered)}, false, ""},
		{"asked for", plain, nil, true, "already-requested"},
	}
	for _, c := range cases {
		r := Reissue{Task: Task{Kind: PrescriptionReissue, For: fhir.Key{Type: "Patient", ID: "p"}}, Plan: &c.plan, Issues: c.issues, Open: c.open, Now: now}
		got := ""
		if err := MayReissue(r); err != nil {
			o := fhir.AsOutcome(err)
			if o == nil || o.Class != fhir.Unprocessable || o.Issues[0].Expression != "Task.focus" {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			got = o.Issues[0].Detail
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if o := fhir.AsOutcome(MayReissue(Reissue{Now: now})); o == nil || o.Issues[0].Detail != "not-a-repeat" {
		t.Errorf("nothing at all: %v", o)
	}
}

// without returns p as one that says nothing of how long an issue lasts.
func (p Plan) without() Plan {
	p.interval = fhir.Node{}
	return p
}

// TestSpan is how long Durations are.
func TestSpan(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for value, want := range map[string]time.Duration{
		`{"value":28,"system":"http://unitsofmeasure.org","code":"d"}`:                  28 * day,
		`{"value":4,"system":"http://unitsofmeasure.org","code":"wk"}`:                  28 * day,
		`{"value":0.5,"system":"http://unitsofmeasure.org","code":"wk"}`:                84 * time.Hour,
		`{"value":2,"system":"http://unitsofmeasure.org","code":"mo"}`:                  56 * day,
		`{"value":90,"system":"http://unitsofmeasure.org","code":"min"}`:                90 * time.Minute,
		`{"value":1,"system":"http://unitsofmeasure.org","code":"a"}`:                   365 * day,
		`{"value":1e30,"system":"http://unitsofmeasure.org","code":"d"}`:                longestSpan,
		`{"value":-3,"system":"http://unitsofmeasure.org","code":"d"}`:                  0,
		`{"value":28,"unit":"days"}`:                                                    0,
		`{"value":28,"system":"http://unitsofmeasure.org","code":"mg"}`:                 0,
		`{"value":28,"comparator":"<","system":"http://unitsofmeasure.org","code":"d"}`: 0,
	} {
		r := resource(t, `{"resourceType":"MedicationRequest","status":"active","intent":"plan","medicationCodeableConcept":{"text":"a"},"subject":{"reference":"Patient/p"},"dispenseRequest":{"expectedSupplyDuration":`+value+`}}`)
		if got := span(ReadPlan(r, bookingBase).interval); got != want {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
}
