package conformance_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A provocation is a request that is answered by a code of ours.
type provocation struct {
	code   string
	status int
	who    string
	what   string // method and path
	body   string
}

const (
	machineAdmin   = "administrator"
	machinePatient = "patient ada patient/*.cruds"
	machineNurse   = "practitioner grace user/*.cruds"
)

// provoke sends what provokes codes. A change names the version 1, and all answers name what is
// noted of a resource.
func (m *mechanism) provoke(all []provocation) {
	m.Helper()
	for _, p := range all {
		m.token(p.who)
		method, path, _ := strings.Cut(p.what, " ")
		r := request{method: method, path: "/fhir/" + path, body: p.body, headers: [][2]string{{"Prefer", "return=OperationOutcome"}}}
		if method == http.MethodPatch || method == http.MethodPut && strings.HasPrefix(path, "Task/") {
			r.headers = append(r.headers, [2]string{"If-Match", `W/"1"`})
		}
		x := m.by(p.who, r)
		codes, _ := find(x.tree, "issue[*].details.coding[0].code")
		if x.status != p.status || !slices.Contains(codes, any(p.code)) {
			m.Errorf("%s: want %d\n%s", p.code, p.status, x)
		}
	}
}

// newCase returns a Task that is to be created, with what else is true of it.
func newCase(kind, status, more string) string {
	requester, owner := machineParties(kind)
	return fmt.Sprintf(`{"resourceType":"Task","status":%q,"intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":%q}]},"for":{"reference":"Patient/ada"},"requester":{"reference":%q},"owner":{"reference":%q}%s}`,
		status, kind, requester, owner, more)
}

// lastModified finds when a Task was made and changed.
var lastModified = regexp.MustCompile(`"authoredOn":"[^"]*","lastModified":"[^"]*"`)

// TestCodesOfTasks provokes what becomes of Tasks that lack what a move asks for, or are none.
func TestCodesOfTasks(t *testing.T) {
	t.Parallel()
	m, machine := newMechanism(t), machineKinds(t)
	m.token(machineAdmin)
	for id, of := range map[string]string{
		"c-draft": "consultation draft", "c-requested": "consultation requested", "c-accepted": "consultation accepted", "c-completed": "consultation completed",
		"a-requested": "advice-and-guidance requested", "a-progress": "advice-and-guidance in-progress", "a-hold": "advice-and-guidance on-hold", "a-completed": "advice-and-guidance completed",
		"p-accepted": "prescription-reissue accepted",
	} {
		kind, status, _ := strings.Cut(of, " ")
		all := machine.task(kind, status, id)
		switch task := &all[len(all)-1]; id {
		case "c-draft":
			*task = strings.Replace(*task, "QuestionnaireResponse/answers", "QuestionnaireResponse/unfinished", 1)
		case "c-completed":
			*task = lastModified.ReplaceAllString(*task, `"authoredOn":"2026-01-05T10:00:00Z","lastModified":"2026-01-05T10:00:00Z"`)
		}
		m.store(`{"resourceType":"QuestionnaireResponse","id":"unfinished","questionnaire":"https://a.example/ask|1","status":"in-progress","subject":{"reference":"Patient/ada"},"author":{"reference":"Patient/ada"}}`)
		m.store(all...)
	}
	advice := newCase("advice-and-guidance", "requested", "")
	abort := newCase("abort", "requested", `,"focus":{"reference":"Task/a-requested"}`)
	m.provoke([]provocation{
		{"qr-completed-and-valid", 422, machinePatient, "PATCH Task/c-draft", setStatus("requested")},
		{"reason-and-message-to-requester", 422, machineGP, "PATCH Task/c-requested", setStatus("rejected", `{"op":"add","path":"/statusReason","value":{"text":"No."}}`)},
		{"question-sent", 422, machineGP, "PATCH Task/c-accepted", setStatus("on-hold")},
		{"outcome-output", 422, machineGP, "PATCH Task/c-accepted", setStatus("completed")},
		{"reopen-window-28d", 422, machineGP, "PATCH Task/c-completed", setStatus("in-progress")},
		{"reply-sent", 422, machineGP, "PATCH Task/a-hold", setStatus("in-progress")},
		{"guidance-outcome-output", 422, machineDoctor, "PATCH Task/a-progress", setStatus("completed")},
		{"status-reason", 422, machineOffice, "PATCH Task/a-progress", setStatus("failed")},
		{"further-question-sent-within-60d", 422, machineGP, "PATCH Task/a-completed", setStatus("in-progress")},
		{"output-medication-request", 422, machineNurse, "PATCH Task/p-accepted", setStatus("completed")},
		{"element-not-permitted-for-role", 403, machineGP, "PATCH Task/a-progress", `[{"op":"add","path":"/description","value":"Urgent!"}]`},
		{"abort-not-applicable", 422, machineGP, "POST Task", abort},
		{"owner-required", 422, machineGP, "POST Task", strings.Replace(advice, `,"owner":{"reference":"Organization/hospital"}`, "", 1)},
		{"patient-required", 422, machineGP, "POST Task", strings.Replace(advice, `"for":{"reference":"Patient/ada"},`, "", 1)},
		{"unknown-task-kind", 422, machineGP, "POST Task", strings.Replace(advice, "advice-and-guidance", "chat", 1)},
		{"several-task-kinds", 422, machineGP, "POST Task", strings.Replace(advice, `"code":{"coding":[`, `"code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"referral"},`, 1)},
		{"unknown-modifier-extension", 422, machineGP, "POST Task", strings.Replace(advice, `"intent"`, `"modifierExtension":[{"url":"https://a.example/not","valueBoolean":true}],"intent"`, 1)},
	})
}

// TestCodesOfMessages provokes what is said of messages that cannot be sent so.
func TestCodesOfMessages(t *testing.T) {
	t.Parallel()
	m, machine := newMechanism(t), machineKinds(t)
	m.token(machineAdmin)
	m.store(append(machine.task("consultation", "in-progress", "talk"),
		`{"resourceType":"Patient","id":"ben","active":true,"managingOrganization":{"reference":"Organization/practice"}}`,
		saidIn("talk", "asked", "2026-01-05T10:00:00Z"), saidIn("talk", "later", "2026-01-06T10:00:00Z"))...)
	many := strings.Builder{}
	for i := range 101 {
		m.store(fmt.Sprintf(`{"resourceType":"RelatedPerson","id":"rel-%d","active":true,"patient":{"reference":"Patient/ada"}}`, i))
		fmt.Fprintf(&many, `{"reference":"RelatedPerson/rel-%d"},`, i)
	}
	message := func(old, new string) string {
		return strings.Replace(`{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/talk"}],"recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"Hello."}]}`, old, new, 1)
	}
	answer := func(more string) string {
		return `{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/talk"}],"inResponseTo":[{"reference":"Communication/asked"}],"recipient":[{"reference":"Organization/practice"}],"payload":[{"contentString":"It is better."}]` + more + `}`
	}
	asking := func(more string) string {
		return `{"resourceType":"CommunicationRequest","status":"active","subject":{"reference":"Patient/ada"},"recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"Please call."}]` + more + `}`
	}
	m.provoke([]provocation{
		{"sender-mismatch", 403, machineNurse, "POST Communication", message(`"recipient"`, `"sender":{"reference":"PractitionerRole/ivy-role"},"recipient"`)},
		{"subject-mismatch", 422, machineNurse, "POST Communication", message(`"recipient"`, `"subject":{"reference":"Patient/ben"},"recipient"`)},
		{"category-not-allowed", 422, machineNurse, "POST Communication", message(`"recipient"`, `"category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":"alert"}]}],"recipient"`)},
		{"status-not-allowed", 422, machineNurse, "POST Communication", message(`"completed"`, `"on-hold"`)},
		{"identifier-mismatch", 422, machineNurse, "POST Communication", message(`"recipient"`, `"identifier":[{"system":"https://fhir.openconsult.example/Id/thread","value":"another"}],"recipient"`)},
		{"recipient-required", 422, machineNurse, "POST Communication", message(`"recipient":[{"reference":"Patient/ada"}],`, "")},
		{"recipient-not-in-thread", 422, machineNurse, "POST Communication", message("Patient/ada", "Organization/hospital")},
		{"in-response-to-not-in-thread", 422, machineNurse, "POST Communication", message(`"recipient"`, `"inResponseTo":[{"reference":"Communication/message"}],"recipient"`)},
		{"payload-required", 422, machineNurse, "POST Communication", message(`,"payload":[{"contentString":"Hello."}]`, "")},
		{"unknown-modifier-extension", 422, machineNurse, "POST Communication", message(`"recipient"`, `"modifierExtension":[{"url":"https://a.example/not","valueBoolean":true}],"recipient"`)},
		{"reply-policy-not-allowed", 422, machinePatient, "POST Communication", answer(`,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"once"}]}]`)},
		{"superseded-context", 201, machinePatient, "POST Communication", answer("")},
		{"retract-not-permitted", 403, machinePatient, "POST Communication/asked/$retract", ""},
		{"not-a-recipient", 403, machineNurse, "POST Communication/asked/$mark-read", ""},
		{"practice-only", 403, machinePatient, "POST CommunicationRequest", asking("")},
		{"request-not-active", 422, machineNurse, "POST CommunicationRequest", asking(`,"doNotPerform":true`)},
		{"subject-required", 422, machineNurse, "POST CommunicationRequest", strings.Replace(asking(""), `"subject":{"reference":"Patient/ada"},`, "", 1)},
		{"batch-too-large", 422, machineNurse, "POST CommunicationRequest", strings.Replace(asking(mailed), `"recipient":[`, `"recipient":[`+many.String(), 1)},
		{"fallback-after-invalid", 422, machineNurse, "POST CommunicationRequest", asking(mailed + `,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/fallback-after","valueDuration":{"value":1,"unit":"month","system":"http://unitsofmeasure.org","code":"mo"}}]`)},
	})
}

const mailed = `,"medium":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/channel","code":"email"}]}]`

// saidIn is a message of the practice to the patient that can be answered.
func saidIn(task, id, at string) string {
	return fmt.Sprintf(`{"resourceType":"Communication","id":%q,"status":"completed","partOf":[{"reference":"Task/%s"}],"category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":"consultation"}]}],
		"sender":{"reference":"PractitionerRole/grace-role"},"recipient":[{"reference":"Patient/ada"}],"subject":{"reference":"Patient/ada"},"sent":%q,"payload":[{"contentString":"How are you?"}],
		"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"open"}]}]}`, id, task, at)
}

// TestCodesOfServices provokes what is said of services whose hours cannot be counted, and of
// forms whose rules cannot be evaluated.
func TestCodesOfServices(t *testing.T) {
	t.Parallel()
	m := newMechanism(t)
	m.token(machineAdmin)
	service := func(parts, more string) string {
		return `{"resourceType":"HealthcareService","name":"Online","extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/response-sla","extension":[` + parts + `]}]` + more + `}`
	}
	coded := func(name, code string) string { return fmt.Sprintf(`{"url":%q,"valueCode":%q}`, name, code) }
	core := coded("calendar", "opening-hours")
	form := func(rules ...string) string {
		extensions := ""
		if rules != nil {
			extensions = `"extension":[` + strings.Join(rules, ",") + `],`
		}
		return `{"resourceType":"Questionnaire","url":"https://a.example/red","version":"1","status":"active",` + extensions + `"item":[{"linkId":"chest","text":"Pain?","type":"boolean"}]}`
	}
	rule := func(id, priority, condition string) string {
		return fmt.Sprintf(`{"url":"https://fhir.openconsult.example/StructureDefinition/triage-rule","extension":[{"url":"id","valueId":%q},{"url":"priority","valueCode":%q},{"url":"condition","valueExpression":{"language":"text/fhirpath","expression":%q}}]}`, id, priority, condition)
	}
	const met = "%resource.item.where(linkId='chest').answer.value = true"
	var many []string
	for i := range 101 {
		many = append(many, rule(fmt.Sprintf("rule-%d", i), "urgent", met))
	}
	m.provoke([]provocation{
		{"calendar-unknown", 422, machineAdmin, "POST HealthcareService", service(coded("calendar", "moon"), "")},
		{"time-zone-unknown", 422, machineAdmin, "POST HealthcareService", service(coded("time-zone", "Europe/Londn"), "")},
		{"preset-unknown", 422, machineAdmin, "POST HealthcareService", service(coded("preset", "england-1948"), "")},
		{"preset-violated", 422, machineAdmin, "POST HealthcareService", service(coded("preset", "england-2026"), `,"notAvailable":[{"description":"Training","during":{"start":"2026-06-10","end":"2026-06-10"}}]`)},
		{"hours-empty", 422, machineAdmin, "POST HealthcareService", service(core, `,"availableTime":[{"daysOfWeek":["mon"],"availableStartTime":"08:00:00","availableEndTime":"08:00:00"}]`)},
		{"closing-ends-before-start", 422, machineAdmin, "POST HealthcareService", service(core, `,"notAvailable":[{"description":"Party","during":{"start":"2026-06-02T10:00:00Z","end":"2026-06-02T10:00:00+01:00"}}]`)},
		{"sla-unreadable", 422, machineAdmin, "POST HealthcareService", service(coded("urgent", "soon"), "")},
		{"escalation-contact-invalid", 422, machineAdmin, "POST HealthcareService", service(`{"url":"escalation-contact","valueReference":{"reference":"Patient/ada"}}`, "")},
		{"triage-rule-condition", 422, machineAdmin, "POST Questionnaire", form(rule("a", "stat", "%resource.item.where("))},
		{"triage-rule-id", 422, machineAdmin, "POST Questionnaire", form(rule("a", "stat", met), rule("a", "urgent", met))},
		{"triage-rule-link-id", 422, machineAdmin, "POST Questionnaire", form(rule("a", "stat", "%resource.item.where(linkId='head').answer.value = true"))},
		{"triage-rule-priority", 422, machineAdmin, "POST Questionnaire", form(rule("a", "soon", met))},
		{"too-many-triage-rules", 422, machineAdmin, "POST Questionnaire", form(many...)},
		{"triage-rule-unapproved", 201, machineAdmin, "POST Questionnaire", strings.Replace(form(rule("a", "stat", met)), "/red", "/green", 1)},
	})
	m.by(machineAdmin, request{method: http.MethodPut, path: "/fhir/HealthcareService/never", body: strings.Replace(service(core, `,"availableTime":[{"daysOfWeek":["mon"],"availableStartTime":"08:00:00","availableEndTime":"18:00:00"}],"notAvailable":[{"description":"For ever","during":{"start":"2020-01-01"}}]`), `"name"`, `"id":"never","name"`, 1)})
	holidays := func(id, concepts string) string {
		return fmt.Sprintf(`{"resourceType":"CodeSystem","id":%q,"url":"https://a.example/%[1]s","status":"active","content":"complete","concept":[%s]}`, id, concepts)
	}
	days := strings.Builder{}
	for i := range 10_001 {
		fmt.Fprintf(&days, `{"code":"%s"},`, time.Date(2000, 1, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	m.store(holidays("dull", `{"code":"2026-02-30"},{"code":"2026-02-03"}`), holidays("many", strings.TrimSuffix(days.String(), ",")),
		strings.Replace(form(), `"item":[`, `"id":"gate","item":[{"linkId":"why","text":"Why?","type":"string","enableWhen":[{"question":"chest","operator":"=","answerBoolean":true}]},`, 1))
	answers := func(form, items string) string {
		return `{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"` + form + `","subject":{"reference":"Patient/ada"}` + items + `}`
	}
	m.provoke([]provocation{
		{"holiday-not-a-date", 422, machineAdmin, "POST HealthcareService", service(`{"url":"holidays","valueUri":"https://a.example/dull"}`, "")},
		{"calendar-too-long", 422, machineAdmin, "POST HealthcareService", service(`{"url":"holidays","valueUri":"https://a.example/many"}`, "")},
		{"item-not-enabled", 422, machineAdmin, "POST QuestionnaireResponse", answers("https://a.example/red|1", `,"item":[{"linkId":"why","answer":[{"valueString":"So."}]},{"linkId":"chest","answer":[{"valueBoolean":false}]}]`)},
		{"canonical-duplicate", 422, machineAdmin, "POST Questionnaire", form()},
		{"questionnaire-contained", 422, machineAdmin, "POST QuestionnaireResponse", answers("#own", `,"contained":[{"resourceType":"Questionnaire","id":"own","status":"active"}]`)},
		{"questionnaire-not-found", 422, machineAdmin, "POST QuestionnaireResponse", answers("https://a.example/none|1", "")},
	})
	m.provoke([]provocation{{"never-open", 422, machineAdmin, "GET HealthcareService/never/$due?priority=routine", ""}})
}

// TestCodesOfOthers provokes what is said to who changes the answers, and the bookings, of others, or says
// wrongly who somebody is.
func TestCodesOfOthers(t *testing.T) {
	t.Parallel()
	m := newMechanism(t)
	m.token(machineAdmin)
	m.store(`{"resourceType":"Questionnaire","id":"start","url":"https://a.example/start","version":"1","status":"active","code":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}],"item":[{"linkId":"text","text":"What is it?","type":"text"}]}`,
		`{"resourceType":"HealthcareService","id":"gp","active":true,"providedBy":{"reference":"Organization/practice"}}`, `{"resourceType":"Schedule","id":"diary","actor":[{"reference":"HealthcareService/gp"}]}`,
		`{"resourceType":"Slot","id":"early","schedule":{"reference":"Schedule/diary"},"status":"free","start":"2099-03-02T09:00:00Z","end":"2099-03-02T09:15:00Z"}`)
	m.store(append(machineKinds(t).task("consultation", "requested", "unknown"), `{"resourceType":"Patient","id":"merged","active":false,"managingOrganization":{"reference":"Organization/practice"}}`)...)
	const answers = `{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"https://a.example/start|1","subject":{"reference":"Patient/ada"},"item":[{"linkId":"text","answer":[{"valueString":"A rash."}]}]}`
	x := m.by(machinePatient, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: answers})
	changed := strings.Replace(x.answer, "A rash.", "A cold.", 1)
	m.provoke([]provocation{
		{"amendment-not-by-author", 403, machineNurse, "PUT QuestionnaireResponse/" + text(x.tree, "id"), changed},
		{"patient-not-active", 422, machineNurse, "POST Task/unknown/$identify", `{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/merged"}}]}`},
		{"booking-not-permitted", 403, machineDoctor, "POST Appointment", `{"resourceType":"Appointment","status":"booked","slot":[{"reference":"Slot/early"}],"start":"2099-03-02T09:00:00Z","end":"2099-03-02T09:15:00Z","participant":[{"actor":{"reference":"Patient/ada"},"status":"accepted"},{"actor":{"reference":"HealthcareService/gp"},"status":"accepted"},{"actor":{"reference":"Practitioner/omar"},"status":"accepted"}]}`},
	})
}
