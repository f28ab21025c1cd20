package conformance_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
)

// play has s answer requests as a script does.
func play(t *testing.T, target *subject, text string) {
	t.Helper()
	script, err := parse(t.Name(), []byte("# "+t.Name()+".\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range script.run(target) {
		t.Error(err)
	}
}

const (
	surgery = `as administrator
PUT /fhir/Organization/practice
{"resourceType":"Organization","id":"practice","name":"Sampleford Surgery"}
= 201

PUT /fhir/Patient/ada
{"resourceType":"Patient","id":"ada","name":[{"family":"Sample"}],"managingOrganization":{"reference":"Organization/practice"}}
= 201

PUT /fhir/Questionnaire/ask
{"resourceType":"Questionnaire","id":"ask","url":"https://a.example/ask","version":"1","status":"active","subjectType":["Patient"],%s
 "code":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}],"item":[{"linkId":"text","text":"What is it?","type":"text"},{"linkId":"chest","text":"Chest pain?","type":"boolean"}]}
= 201

as patient ada patient/*.cruds
`
	chestRule = `{"url":"https://fhir.openconsult.example/StructureDefinition/triage-rule","extension":[{"url":"id","valueId":"chest"},{"url":"priority","valueCode":"stat"},
 {"url":"condition","valueExpression":{"language":"text/fhirpath","expression":"%%resource.item.where(linkId='chest').answer.value = true"}},{"url":"patientMessage","valueMarkdown":"Call 999 now."}]}`
	askedBody = `{"resourceType":"QuestionnaireResponse",%s"questionnaire":"https://a.example/ask|1","status":"completed","subject":{"reference":"Patient/ada"},"item":[{"linkId":"text","answer":[{"valueString":%q}]},{"linkId":"chest","answer":[{"valueBoolean":%t}]}]}`
)

// aSurgery returns the requests that make a practice whose form has the extensions.
func aSurgery(extensions ...string) string {
	if len(extensions) == 0 {
		return fmt.Sprintf(surgery, "")
	}
	return fmt.Sprintf(surgery, `"extension":[`+strings.ReplaceAll(strings.Join(extensions, ","), "%%", "%")+"],")
}

// TestSubmissionHours sends forms at times when the practice is open and when it is not: all are
// taken, a patient is told when it is closed, and a red flag has its advice at any hour.
func TestSubmissionHours(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[time.Time]
	target := serveSigned(t, api.Config{}, manner{audits: true, sends: sends{now: func() time.Time { return *now.Load() }}})
	set := func(text string) {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		now.Store(&at)
	}
	set("2026-03-03T09:00:00Z")
	play(t, target, aSurgery(chestRule))
	for i, c := range []struct {
		at     string
		chest  bool
		closed bool
		due    string // routine by the end of the next core day, stat within half an hour at any hour
	}{
		{"2026-03-03T10:00:00Z", false, false, "2026-03-04T18:30:00+00:00"},
		{"2026-03-03T18:29:59Z", false, false, "2026-03-04T18:30:00+00:00"},
		{"2026-03-03T18:30:00Z", false, true, "2026-03-04T18:30:00+00:00"},
		{"2026-03-07T12:00:00Z", false, true, "2026-03-09T18:30:00+00:00"},
		{"2026-03-07T12:00:00Z", true, true, "2026-03-07T12:30:00+00:00"},
		{"2026-03-30T07:30:00Z", false, false, "2026-03-31T18:30:00+01:00"}, // summer time, open since 7 UTC
		{"2026-04-03T10:00:00Z", false, true, "2026-04-07T18:30:00+01:00"},  // Good Friday
	} {
		set(c.at)
		text := "as patient ada patient/*.cruds\nPOST /fhir/QuestionnaireResponse\nPrefer: return=OperationOutcome\n" +
			fmt.Sprintf(askedBody, "", fmt.Sprintf("Question number %d and %s", i, strings.Repeat("so on ", i)), c.chest) + "\n= 201\nlet task = header Link ~ Task/([^>]*)>\n"
		if c.closed {
			text += "= json issue[*].details.coding[0].code outside-hours\n"
		} else {
			text += "= no body ~ outside-hours\n"
		}
		if c.chest {
			text += "= json issue[*].details.coding[0].code emergency-advice\n"
		}
		play(t, target, text+"\nGET /fhir/Task/{task}\n= 200\n= json restriction.period.end "+c.due+"\n")
	}
}

// TestAmendmentWindow amends a form until the time for that is over.
func TestAmendmentWindow(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)
	var past atomic.Int64
	target := serveSigned(t, api.Config{}, manner{audits: true, sends: sends{now: func() time.Time { return began.Add(time.Duration(past.Load())) }}})
	play(t, target, aSurgery()+"PUT /fhir/QuestionnaireResponse/unused\n"+fmt.Sprintf(askedBody, `"id":"unused",`, "No", false)+"\n= 400|403|404|405\n")
	x := newSession(target)
	defer x.client.CloseIdleConnections()
	play(t, target, "as patient ada patient/*.cruds\nPOST /fhir/QuestionnaireResponse\n"+fmt.Sprintf(askedBody, "", "It itches", false)+"\n= 201\n")
	amend := func(text, want string) string {
		return "as patient ada patient/*.cruds\nGET /fhir/QuestionnaireResponse\n= 200\nlet answers = json entry[0].resource.id\n\n" +
			"PUT /fhir/QuestionnaireResponse/{answers}\n" + fmt.Sprintf(askedBody, `"id":"{answers}",`, text, false) + "\n" + want
	}
	past.Store(int64(24 * time.Hour))
	play(t, target, amend("It still itches", "= 200\n"))
	past.Store(int64(24*time.Hour + time.Second))
	play(t, target, amend("It itches yet", "= 422\n= json issue[0].details.coding[0].code amendment-window-closed\n"))
}

// TestTriageApproval sends forms to a server that is no demonstration: rules that nobody has
// approved for this very version let no form be taken.
func TestTriageApproval(t *testing.T) {
	t.Parallel()
	approval := func(version string) string {
		return `{"url":"https://fhir.openconsult.example/StructureDefinition/triage-approval","extension":[{"url":"approver","valueReference":{"display":"Dr Example"}},{"url":"approved","valueDate":"2026-02-01"},{"url":"approvedVersion","valueString":"` + version + `"}]}`
	}
	refused := "= 422\n= issue business-rule QuestionnaireResponse.questionnaire\n= json issue[0].details.coding[0].code triage-not-approved\n\nGET /fhir/QuestionnaireResponse\n= 200\n= json total 0\n"
	for name, c := range map[string]struct {
		extensions []string
		want       string
	}{
		"no rules":            {nil, "= 201\n"},
		"nobody has approved": {[]string{chestRule}, refused},
		"another version":     {[]string{chestRule, approval("2")}, refused},
		"approved":            {[]string{chestRule, approval("1")}, "= 201\n= header Link ~ rel=\"task\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serveSigned(t, api.Config{}, manner{audits: true, strict: true})
			play(t, target, aSurgery(c.extensions...)+"POST /fhir/QuestionnaireResponse\n"+fmt.Sprintf(askedBody, "", "It itches", true)+"\n"+c.want)
		})
	}
}
