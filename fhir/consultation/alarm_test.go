package consultation_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// taskOf returns a Task of a kind with further elements.
func taskOf(kind, status, elements string) string {
	return `{"resourceType":"Task","id":"t","status":"` + status + `","intent":"order","code":{"coding":[{"system":"` + consultation.KindSystem + `","code":"` + kind + `"}]},` +
		`"requester":{"reference":"Organization/prac"},"owner":{"reference":"Organization/hosp"},"for":{"reference":"Patient/p"}` + elements + `}`
}

// period returns a restriction with a period.
func period(start, end string) string {
	return `,"restriction":{"period":{"start":"` + start + `","end":"` + end + `"}}`
}

// watchedOf returns a Task by the clocks of a service.
func watchedOf(t testing.TB, task, service string) consultation.Watched {
	t.Helper()
	s, _ := serviceOf(t, service, consultation.Setting{})
	return consultation.Watched{Task: resource(t, task), Service: s}
}

func resource(t testing.TB, body string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return r
}

// list writes alarms as "kind time", by the clocks of London.
func list(t testing.TB, all []consultation.Alarm) string {
	t.Helper()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, a := range all {
		line := string(a.Kind) + " " + a.Due.In(london).Format("Mon 2006-01-02 15:04")
		if a.Every > 0 {
			line += fmt.Sprintf(" every %v", a.Every)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

// TestAlarmsOfClocks has times that end after a weekend, a bank holiday and a change of the clocks.
func TestAlarmsOfClocks(t *testing.T) {
	t.Parallel()
	london := healthcare("", "")
	for _, tt := range []struct{ name, task, want string }{
		{"a day of core hours", taskOf("consultation", "requested", period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z")),
			"task-due-soon Tue 2026-03-03 16:24, task-overdue Tue 2026-03-03 18:30"},
		{"over a weekend", taskOf("consultation", "requested", period("2026-03-06T13:30:00Z", "2026-03-09T13:00:00Z")),
			"task-due-soon Mon 2026-03-09 11:00, task-overdue Mon 2026-03-09 13:00"},
		{"over the weekend of summer time", taskOf("advice-and-guidance", "accepted", period("2026-03-27T16:30:00Z", "2026-03-30T16:00:00+01:00")),
			"task-due-soon Mon 2026-03-30 14:00, task-overdue Mon 2026-03-30 16:00"},
		{"over Easter", taskOf("advice-and-guidance", "in-progress", period("2026-04-02T18:20:00+01:00", "2026-04-07T08:40:00+01:00")),
			"task-due-soon Tue 2026-04-07 08:30, task-overdue Tue 2026-04-07 08:40"},
		{"five working days", taskOf("advice-and-guidance", "requested", period("2025-11-17T10:02:00+00:00", "2025-11-24T18:30:00+00:00")),
			"task-due-soon Fri 2025-11-21 16:48, task-overdue Mon 2025-11-24 18:30"},
		{"a pause that has ended", taskOf("consultation", "in-progress", period("2026-03-03T08:00:00Z", "2026-03-03T18:00:00Z")+`,"extension":[{"url":"`+consultation.ClockPause+`","valuePeriod":{"start":"2026-03-03T09:00:00Z","end":"2026-03-03T14:00:00Z"}}]`),
			"task-due-soon Tue 2026-03-03 17:00, task-overdue Tue 2026-03-03 18:00"},
		{"a pause that is on", taskOf("consultation", "in-progress", period("2026-03-03T08:00:00Z", "2026-03-03T18:00:00Z")+`,"extension":[{"url":"`+consultation.ClockPause+`","valuePeriod":{"start":"2026-03-03T09:00:00Z"}}]`), ""},
		{"no core hours in between", taskOf("consultation", "requested", period("2026-03-07T10:00:00Z", "2026-03-07T20:00:00Z")),
			"task-due-soon Sat 2026-03-07 18:00, task-overdue Sat 2026-03-07 20:00"},
		{"by the wall clock", taskOf("consultation", "received", `,"priority":"stat"`+period("2026-03-07T10:00:00Z", "2026-03-07T10:30:00Z")),
			"task-due-soon Sat 2026-03-07 10:24, task-overdue Sat 2026-03-07 10:30"},
		{"by the wall clock, with a pause", taskOf("consultation", "received", `,"priority":"stat"`+period("2026-03-07T10:00:00Z", "2026-03-07T11:00:00Z")+`,"extension":[{"url":"`+consultation.ClockPause+`","valuePeriod":{"start":"2026-03-07T10:10:00Z","end":"2026-03-07T10:40:00Z"}}]`),
			"task-due-soon Sat 2026-03-07 10:54, task-overdue Sat 2026-03-07 11:00"},
		{"since it was written", taskOf("referral", "accepted", `,"authoredOn":"2026-03-03T08:00:00Z","restriction":{"period":{"end":"2026-03-03T18:00:00Z"}}`),
			"task-due-soon Tue 2026-03-03 16:00, task-overdue Tue 2026-03-03 18:00"},
		{"since nobody knows when", taskOf("referral", "accepted", `,"restriction":{"period":{"end":"2026-03-03T18:00:00Z"}}`), "task-overdue Tue 2026-03-03 18:00"},
		{"by a day", taskOf("patient-action", "ready", `,"restriction":{"period":{"end":"2026-06-03"}}`), "task-overdue Thu 2026-06-04 00:00"},
		{"by no time", taskOf("consultation", "requested", ""), ""},
		{"by no date", taskOf("consultation", "requested", `,"restriction":{"period":{"end":"2026"}}`), ""},
		{"on hold", taskOf("consultation", "on-hold", period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z")), ""},
		{"a draft", taskOf("consultation", "draft", period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z")), ""},
		{"answered", taskOf("advice-and-guidance", "completed", period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z")), ""},
		{"cancelled", taskOf("consultation", "cancelled", period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z")), ""},
		{"stat that nobody has opened", taskOf("consultation", "requested", `,"priority":"stat"`+period("2026-03-07T10:00:00Z", "2026-03-07T10:30:00Z")),
			"task-due-soon Sat 2026-03-07 10:24, task-overdue Sat 2026-03-07 10:30, stat-not-opened Sat 2026-03-07 10:10 every 10m0s"},
		{"plain FHIR", `{"resourceType":"Task","status":"requested","intent":"order"` + period("2026-03-03T08:00:00Z", "2026-03-03T18:30:00Z") + `}`, ""},
	} {
		if got := list(t, consultation.Alarms(watchedOf(t, tt.task, london))); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// TestAlarmsOfMessages is about messages that nobody reads.
func TestAlarmsOfMessages(t *testing.T) {
	t.Parallel()
	receipt := func(owner, status string) string {
		return strings.Replace(taskOf("message-receipt", status, `,"focus":{"reference":"Communication/m"},"partOf":[{"reference":"Task/c"}]`), "Organization/hosp", owner, 1)
	}
	message := func(category, priority, status string) string {
		return `{"resourceType":"Communication","id":"m","status":"` + status + `","priority":"` + priority + `","sent":"2026-03-06T16:30:00Z","sender":{"reference":"PractitionerRole/dr"},` +
			`"category":[{"coding":[{"system":"` + consultation.CategorySystem + `","code":"` + category + `"}]}]}`
	}
	for _, tt := range []struct{ name, kind, receipt, message, parts, want string }{
		{"urgent", "consultation", receipt("Patient/p", "ready"), message("consultation", "urgent", "completed"), "", "unread-escalation Mon 2026-03-09 10:00"},
		{"urgent, on its way", "consultation", receipt("Patient/p", "ready"), message("consultation", "stat", "in-progress"), "", "unread-escalation Mon 2026-03-09 10:00"},
		{"urgent, by a setting", "consultation", receipt("Patient/p", "ready"), message("consultation", "urgent", "completed"), limit("unread-escalation-after", "1", "h"), "unread-escalation Fri 2026-03-06 17:30"},
		{"routine", "consultation", receipt("Patient/p", "ready"), message("consultation", "routine", "completed"), "", ""},
		{"read", "consultation", receipt("Patient/p", "completed"), message("consultation", "urgent", "completed"), "", ""},
		{"retracted", "consultation", receipt("Patient/p", "ready"), message("consultation", "urgent", "entered-in-error"), "", ""},
		{"an alert", "consultation", receipt("Organization/hosp", "ready"), message("alert", "stat", "completed"), "", ""},
		{"an acknowledgement", "consultation", receipt("Patient/p", "ready"), message("acknowledgement", "stat", "completed"), "", ""},
		{"advice", "advice-and-guidance", receipt("Organization/prac", "ready"), message("advice-and-guidance", "routine", "completed"), "", "response-not-opened Tue 2026-03-10 18:30"},
		{"advice to somebody there", "advice-and-guidance", receipt("PractitionerRole/gp", "ready"), message("advice-and-guidance", "routine", "completed"), "", "response-not-opened Tue 2026-03-10 18:30"},
		{"advice, by a setting", "advice-and-guidance", receipt("Organization/prac", "ready"), message("advice-and-guidance", "routine", "completed"), limit("response-not-opened-after", "1", "d"), "response-not-opened Mon 2026-03-09 18:30"},
		{"urgent advice", "referral", receipt("Organization/prac", "ready"), message("advice-and-guidance", "urgent", "completed"), "", "response-not-opened Mon 2026-03-09 10:00"},
		{"a question to specialists", "advice-and-guidance", receipt("Organization/hosp", "ready"), message("advice-and-guidance", "routine", "completed"), "", ""},
		{"an urgent question to one of them", "advice-and-guidance", receipt("PractitionerRole/dr", "ready"), message("advice-and-guidance", "urgent", "completed"), "", "unread-escalation Mon 2026-03-09 10:00"},
	} {
		w := watchedOf(t, tt.receipt, healthcare(tt.parts, ""))
		w.Conversation, w.Message = resource(t, taskOf(tt.kind, "in-progress", "")), resource(t, tt.message)
		w.Parties = map[fhir.Key]fhir.Key{{Type: "PractitionerRole", ID: "dr"}: {Type: "Organization", ID: "hosp"}}
		if got := list(t, consultation.Alarms(w)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if got := consultation.Alarms(watchedOf(t, receipt("Patient/p", "ready"), healthcare("", ""))); got != nil {
		t.Errorf("without its message: %v", got)
	}
}

// TestAlarmsOfFiling is about what is not in the record.
func TestAlarmsOfFiling(t *testing.T) {
	t.Parallel()
	output := func(code string) string {
		return `,"output":[{"type":{"coding":[{"system":"` + consultation.TaskIOSystem + `","code":"` + code + `"}]},"valueString":"x"}]`
	}
	completed := time.Date(2026, 4, 2, 15, 0, 0, 0, time.UTC) // before Easter
	for _, tt := range []struct{ name, task, parts, want string }{
		{"not filed", taskOf("consultation", "completed", output("outcome")), "", "filing-overdue Wed 2026-04-08 18:30"},
		{"not filed, by a setting", taskOf("consultation", "completed", ""), limit("filing-after", "30", "min"), "filing-overdue Thu 2026-04-02 16:30"},
		{"filed, but not the last message", taskOf("consultation", "completed", output("filed-to-record")+`,"extension":[{"url":"`+consultation.FiledURL+`","valueBoolean":false}]`), "", "filing-overdue Wed 2026-04-08 18:30"},
		{"kept as filed", taskOf("consultation", "completed", `,"extension":[{"url":"`+consultation.FiledURL+`","valueBoolean":true}]`), "", ""},
		{"filed", taskOf("consultation", "completed", output("filed-to-record")), "", ""},
		{"under way", taskOf("consultation", "in-progress", ""), "", ""},
		{"advice", taskOf("advice-and-guidance", "completed", ""), "", ""},
	} {
		w := watchedOf(t, tt.task, healthcare(tt.parts, ""))
		w.Unfiled = completed
		if got := list(t, consultation.Alarms(w)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestAlertSample is the alert of the sample: what was asked, and not answered in time.
func TestAlertSample(t *testing.T) {
	t.Parallel()
	const shared = "../../../shared/domain/set-b-advice-guidance/"
	sample, err := os.ReadFile(shared + "ag-overdue-alert.json")
	if err != nil {
		t.Skipf("the sample payloads are not here: %v", err)
	}
	created, err := os.ReadFile(shared + "ag-create-transaction.json")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("urn:uuid:0a9f2a10-0000-4000-8000-0000000000e1", "ServiceRequest/ag-sr-1").Replace(string(created))
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &bundle); err != nil {
		t.Fatal(err)
	}
	w := watchedOf(t, `{"resourceType":"Task","status":"draft","intent":"order"}`, healthcare("", ""))
	for _, e := range bundle.Entry {
		switch body := string(e.Resource); {
		case strings.Contains(body, `"resourceType": "Task"`):
			w.Task = resource(t, strings.Replace(body, `"resourceType": "Task"`, `"resourceType": "Task", "id": "ag-task-1"`, 1))
		case strings.Contains(body, `"resourceType": "ServiceRequest"`):
			w.Request = resource(t, body)
		}
	}
	all := consultation.Alarms(w)
	if len(all) != 2 || all[1].Kind != consultation.TaskOverdue {
		t.Fatalf("alarms %v", all)
	}
	got := consultation.Alert(consultation.Alerting{Watched: w, Alarm: all[1], At: all[1].Due, Now: time.Date(2025, 11, 24, 18, 30, 5, 0, time.UTC)})
	if len(got) != 2 || got[0].Type != "Communication" || got[1].Type != "Task" {
		t.Fatalf("written %v", got)
	}
	have, want := tree(t, got[0].JSON), tree(t, sample)
	delete(want, "meta")
	delete(have, "meta")
	delete(want, "id")
	delete(have, "id")
	want["identifier"] = want["identifier"].([]any)[1:]
	have["identifier"] = have["identifier"].([]any)[1:]
	if h, s := string(marshal(t, have)), string(marshal(t, want)); h != s {
		t.Errorf("alert\n%s\nsample\n%s", h, s)
	}
	receipt := tree(t, got[1].JSON)
	if receipt["status"] != "ready" || receipt["owner"].(object)["reference"] != "Organization/prac-1" || receipt["focus"].(object)["reference"] != "Communication/"+got[0].ID {
		t.Errorf("receipt %s", got[1].JSON)
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAlert says who is told what, and that what is told again is the same.
func TestAlert(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	contact := `{"url":"escalation-contact","valueReference":{"reference":"Practitioner/duty"}}`
	byPatient := strings.Replace(taskOf("consultation", "requested", `,"priority":"stat"`+period("2026-03-09T10:00:00Z", "2026-03-09T10:30:00Z")), "Organization/prac", "Patient/p", 1)
	asked := taskOf("advice-and-guidance", "requested", `,"priority":"stat"`+period("2026-03-09T10:00:00Z", "2026-03-09T10:30:00Z"))
	filed := taskOf("consultation", "completed", "")
	for _, tt := range []struct {
		name, task, parts string
		kind              consultation.AlarmKind
		want              string
	}{
		{"soon, asked by a patient", byPatient, "", consultation.TaskDueSoon, "response-due-soon routine Organization/hosp"},
		{"overdue, asked by a patient", byPatient, "", consultation.TaskOverdue, "response-overdue urgent Organization/hosp"},
		{"soon, asked by a practice", asked, "", consultation.TaskDueSoon, "response-due-soon routine Organization/hosp Organization/prac"},
		{"overdue, asked by a practice", asked, "", consultation.TaskOverdue, "response-overdue urgent Organization/prac"},
		{"stat", asked, contact, consultation.StatNotOpened, "response-not-opened stat Practitioner/duty"},
		{"stat, without a contact", asked, "", consultation.StatNotOpened, "response-not-opened stat Organization/hosp"},
		{"not filed", filed, "", consultation.FilingOverdue, "filing-overdue routine Organization/hosp"},
	} {
		w := watchedOf(t, tt.task, healthcare(tt.parts, ""))
		w.Unfiled = now
		for _, a := range consultation.Alarms(w) {
			if a.Kind != tt.kind {
				continue
			}
			in := consultation.Alerting{Watched: w, Alarm: a, At: a.Due, Now: now}
			all := consultation.Alert(in)
			if got := summary(t, all); got != tt.want {
				t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
			}
			in.Now = now.Add(time.Hour)
			if again := consultation.Alert(in); again[0].ID != all[0].ID || again[1].ID != all[1].ID {
				t.Errorf("%s: told again it has other ids", tt.name)
			}
			if in.At = in.At.Add(time.Minute); consultation.Alert(in)[0].ID == all[0].ID {
				t.Errorf("%s: at another time it has the same id", tt.name)
			}
		}
	}
}

// summary writes an alert as topic, priority and owners of receipts.
func summary(t testing.TB, all []consultation.Authored) string {
	t.Helper()
	if len(all) == 0 {
		return "none"
	}
	c := tree(t, all[0].JSON)
	s := fmt.Sprint(c["topic"].(object)["coding"].([]any)[0].(object)["code"], " ", c["priority"])
	for _, r := range all[1:] {
		s += fmt.Sprint(" ", tree(t, r.JSON)["owner"].(object)["reference"])
	}
	return s
}
