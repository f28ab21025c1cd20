package consultation_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// TestPostRefuses provokes every refusal that is not one of a reply policy.
func TestPostRefuses(t *testing.T) {
	t.Parallel()
	const practice = "Organization/prac-1"
	open := &consultation.Policy{Mode: consultation.ReplyOpen}
	identifier := func(system, value string) object { return object{"system": system, "value": value} }
	tests := []struct {
		name   string
		caller consultation.Caller
		to     string
		more   object
		want   string
	}{
		{"a stranger", theStranger(), practice, nil, "not-found"},
		{"nobody", consultation.Caller{}, practice, nil, "not-found"},
		{"another organisation", theConsultant(), practice, nil, "not-found"},
		{"a proxy of nobody", consultation.Caller{Persons: theProxy().Persons}, practice, nil, "not-found"},
		{"in the name of another", thePatient(), practice, object{"sender": reference("Patient/pat-2")}, "sender-mismatch"},
		{"in the name of a colleague", theGP(), "Patient/pat-1", object{"sender": reference("PractitionerRole/gp-2")}, "sender-mismatch"},
		{"in the name of the practice", thePatient(), practice, object{"sender": reference(practice)}, "sender-mismatch"},
		{"by an identifier", thePatient(), practice, object{"sender": object{"identifier": object{"value": "1"}}}, "sender-mismatch"},
		{"part of nothing", thePatient(), practice, object{"partOf": nil}, "part-of-one-task"},
		{"part of another Task", thePatient(), practice, object{"partOf": []any{reference("Task/other")}}, "part-of-one-task"},
		{"part of two", thePatient(), practice, object{"partOf": []any{reference("Task/t"), reference("Task/t")}}, "part-of-one-task"},
		{"about another patient", thePatient(), practice, object{"subject": reference("Patient/pat-2")}, "subject-mismatch"},
		{"modifier extension", thePatient(), practice, object{"modifierExtension": []any{object{"url": "http://example.org/x", "valueBoolean": true}}}, "unknown-modifier-extension"},
		{"acknowledgement", theGP(), "Patient/pat-1", category("acknowledgement"), "category-not-allowed"},
		{"alert", theGP(), "Patient/pat-1", category("alert"), "category-not-allowed"},
		{"auto-reply", theGP(), "Patient/pat-1", category("auto-reply"), "category-not-allowed"},
		{"unknown category of ours", theGP(), "Patient/pat-1", category("chat"), "category-not-allowed"},
		{"note of a patient", thePatient(), practice, category("internal-note"), "category-not-allowed"},
		{"two categories", theGP(), "Patient/pat-1", object{"category": []any{category("consultation")["category"].([]any)[0], category("internal-note")["category"].([]any)[0]}}, "category-not-allowed"},
		{"on hold", thePatient(), practice, object{"status": "on-hold"}, "status-not-allowed"},
		{"unknown", thePatient(), practice, object{"status": "unknown"}, "status-not-allowed"},
		{"not done", thePatient(), practice, object{"status": "not-done"}, "status-not-allowed"},
		{"in error", thePatient(), practice, object{"status": "entered-in-error"}, "status-not-allowed"},
		{"another thread", thePatient(), practice, object{"identifier": []any{identifier(consultation.ThreadSystem, "thread-2")}}, "identifier-mismatch"},
		{"two identifiers", thePatient(), practice, object{"identifier": []any{identifier(consultation.MessageIDSystem, "1"), identifier(consultation.MessageIDSystem, "2")}}, "identifier-mismatch"},
		{"for nobody", thePatient(), practice, object{"recipient": nil}, "recipient-required"},
		{"for a stranger", thePatient(), "Organization/hosp-1", nil, "recipient-not-in-thread"},
		{"for another patient", theGP(), "Patient/pat-2", nil, "recipient-not-in-thread"},
		{"for oneself", thePatient(), "Patient/pat-1", nil, "recipient-not-in-thread"},
		{"for a colleague", theGP(), "PractitionerRole/gp-2", nil, "recipient-not-in-thread"},
		{"note for the patient", theGP(), "Patient/pat-1", category("internal-note"), "recipient-not-in-thread"},
		{"note for another house", theGP(), "PractitionerRole/elsewhere", category("internal-note"), "recipient-not-in-thread"},
		{"policy of a patient", thePatient(), practice, policyExtension(part("mode", "valueCode", "once")), "reply-policy-not-allowed"},
		{"bad policy", theGP(), "Patient/pat-1", policyExtension(part("mode", "valueCode", "window")), "reply-policy-invalid"},
		{"policy that is over", theGP(), "Patient/pat-1", policyExtension(part("mode", "valueCode", "once"), part("until", "valueDateTime", "2025-11-21T06:00:00Z")), "reply-policy-invalid"},
		{"to an unknown message", thePatient(), practice, replyTo("unknown"), "in-response-to-not-in-thread"},
		{"to a note", thePatient(), practice, replyTo("note"), "in-response-to-not-in-thread"},
		{"to a draft", theGP(), "Patient/pat-1", replyTo("draft"), "in-response-to-not-in-thread"},
		{"to two", thePatient(), practice, object{"inResponseTo": []any{reference("Communication/q"), reference("Communication/q")}}, "in-response-to-not-in-thread"},
		{"nothing to say", thePatient(), practice, object{"payload": nil}, "payload-required"},
		{"too long", thePatient(), practice, object{"payload": []any{object{"contentString": strings.Repeat("ä", 8001)}}}, "message-too-long"},
		{"too many files", thePatient(), practice, object{"payload": photos(11, "Binary/photo")}, "too-many-attachments"},
		{"virus", thePatient(), practice, object{"payload": photos(1, "Binary/virus")}, "attachment-blocked"},
		{"broken", thePatient(), practice, object{"payload": photos(1, "Binary/broken")}, "attachment-blocked"},
		{"movie", thePatient(), practice, object{"payload": photos(1, "Binary/movie")}, "attachment-type"},
		{"big", thePatient(), practice, object{"payload": photos(1, "Binary/big")}, "attachment-too-large"},
		{"elsewhere", thePatient(), practice, object{"payload": photos(1, "https://elsewhere.example/photo.jpg")}, "attachment-not-here"},
		{"inline", thePatient(), practice, object{"payload": []any{object{"contentAttachment": object{"contentType": "image/png", "url": "Binary/photo", "data": "AAAA"}}}}, "attachment-not-here"},
		{"good", thePatient(), practice, object{"payload": photos(10, "Binary/photo")}, ""},
		{"good, not scanned yet", thePatient(), practice, object{"payload": photos(1, "Binary/new")}, ""},
		{"good, by the proxy", theProxy(), practice, object{"sender": reference("RelatedPerson/rel-1")}, ""},
		{"good, of the practice", theGP(), "RelatedPerson/rel-1", object{"sender": reference(practice)}, ""},
	}
	for _, c := range tests {
		conversation := talk(t, consultation.Consultation, "in-progress")
		note, draft := question("note", open), question("draft", open)
		note.Category, draft.Status = "internal-note", "preparation"
		conversation.Messages = []consultation.Message{question("q", open), note, draft}
		_, err := consultation.Post(posting(conversation, c.caller, letter(t, conversation, c.to, c.more)))
		if got := detail(t, err); got != c.want {
			t.Errorf("%s: got %q, want %q (%v)", c.name, got, c.want, err)
		}
	}
}

// TestClasses holds refusals to their classes.
func TestClasses(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	lapsed := posting(c, consultation.Caller{Persons: theProxy().Persons}, letter(t, c, "Organization/prac-1", nil))
	lapsed.LapsedProxy = true
	for _, test := range []struct {
		p    consultation.Posting
		want fhir.Class
		code fhir.Code
	}{
		{posting(c, theStranger(), letter(t, c, "Organization/prac-1", nil)), fhir.Unknown, fhir.NotFound},
		{lapsed, fhir.Denied, fhir.Forbidden},
		{posting(c, thePatient(), letter(t, c, "Organization/prac-1", object{"sender": reference("Patient/pat-2")})), fhir.Denied, fhir.Forbidden},
		{posting(c, thePatient(), letter(t, c, "Organization/hosp-1", nil)), fhir.Unprocessable, fhir.BusinessRule},
	} {
		_, err := consultation.Post(test.p)
		if o := fhir.AsOutcome(err); o == nil || o.Class != test.want || o.Issues[0].Code != test.code {
			t.Errorf("got %v, want class %d", err, test.want)
		}
	}
}

// TestExampleThread sends the messages of the example again: the server sets what it shows.
func TestExampleThread(t *testing.T) {
	t.Parallel()
	var bundle struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(talkSample(t, "ag-conversation-searchset.json"), &bundle); err != nil {
		t.Fatal(err)
	}
	task, err := consultation.ReadTask(read(t, "Task", bundle.Entry[0].Resource), "")
	if err != nil {
		t.Fatal(err)
	}
	task.Status = consultation.StatusInProgress
	c := consultation.Conversation{Task: task, Parties: parties()}
	receipts := map[string]*fhir.Resource{}
	compared := 0
	for _, e := range bundle.Entry[1:] {
		switch want := tree(t, e.Resource); want["resourceType"] {
		case "Communication":
			o := without(tree(t, e.Resource), "meta", "sent", "received", "category", "about", "subject")
			o["identifier"] = o["identifier"].([]any)[:1]
			caller := theConsultant()
			if strings.Contains(string(e.Resource), "Dr Grace") {
				caller = theGP()
			}
			p := posting(c, caller, make1(t, o))
			p.ID, p.Now = want["id"].(string), moment(t, want["sent"].(string))
			p.Receipts = []string{strings.Replace(p.ID, "msg", "rcpt", 1)}
			p.Attachments["Binary/tft-1"] = consultation.Attachment{ContentType: "application/pdf", Bytes: 40211, State: consultation.ScanAvailable}
			got := post(t, p)
			if d := cmp.Diff(without(want, "meta", "received"), without(tree(t, got.Message.JSON), "meta", "received")); d != "" {
				t.Errorf("%s: %s", p.ID, d)
			}
			if len(got.Receipts) != 1 || got.Issues != nil {
				t.Errorf("%s: %d receipts, %v", p.ID, len(got.Receipts), got.Issues)
			}
			receipts[got.Receipts[0].ID] = read(t, "Task", got.Receipts[0].JSON)
			c.Messages = append(c.Messages, stored(t, got))
		case "Task":
			compared++
			compareReceipt(t, want, receipts[want["id"].(string)])
		}
	}
	if len(c.Messages) != 4 || compared != 4 {
		t.Fatalf("%d messages, %d receipts", len(c.Messages), compared)
	}
	turns := c.Turns()
	for i, want := range []consultation.Side{consultation.RequesterSide, consultation.OwnerSide, consultation.RequesterSide, consultation.OwnerSide} {
		if turns[i].By != want || !turns[i].Asks || turns[i].ToRequester != (want == consultation.OwnerSide) {
			t.Errorf("turn %d is %+v", i, turns[i])
		}
	}
}

// compareReceipt reads the message of a receipt when the example did, and compares them.
func compareReceipt(t *testing.T, want object, receipt *fhir.Resource) {
	t.Helper()
	got := receipt.Source()
	if end, ok := want["executionPeriod"].(object); ok {
		for _, caller := range []consultation.Caller{theGP(), theConsultant()} {
			read, err := consultation.MarkRead(consultation.Reading{Receipts: []*fhir.Resource{receipt}, Caller: caller, Now: moment(t, end["end"].(string))})
			if err == nil {
				got = read[0].JSON
			}
		}
	}
	delete(want, "meta")
	for _, name := range []string{"for", "owner"} {
		want[name] = reference(want[name].(object)["reference"].(string))
	}
	// The example does not say how the sender comes to see it.
	sent := reference("Organization/prac-1")
	if want["owner"].(object)["reference"] == "Organization/prac-1" {
		sent = reference("Organization/hosp-1")
	}
	want["extension"] = []any{object{"url": consultation.MessageSenderURL, "valueReference": sent}}
	if d := cmp.Diff(want, without(tree(t, got), "priority")); d != "" {
		t.Error(d)
	}
}

// TestSet looks at what the server sets.
func TestSet(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "on-hold")
	c.Messages = []consultation.Message{question("q", once())}
	got := post(t, posting(c, thePatient(), letter(t, c, "Organization/prac-1", object{
		"sent": "2001-01-01T00:00:00Z", "received": "2001-01-01T00:00:00Z", "priority": "stat", "note": []any{object{"text": "kept"}}})))
	want := object{
		"resourceType": "Communication", "id": "m", "status": "completed", "priority": "urgent",
		"identifier": []any{object{"system": consultation.MessageIDSystem, "value": "7b2c9a52-0000-4000-8000-0000000000ff"},
			object{"system": consultation.ThreadSystem, "value": "thread-1"}},
		"partOf": []any{reference("Task/t")}, "inResponseTo": []any{reference("Communication/q")},
		"category": []any{object{"coding": []any{object{"system": consultation.CategorySystem, "code": "consultation"}}}},
		"subject":  reference("Patient/pat-1"), "about": []any{reference("Task/t"), reference("QuestionnaireResponse/qr-1")},
		"sent": "2025-11-21T07:00:00+00:00", "received": "2025-11-21T07:00:00+00:00", "sender": reference("Patient/pat-1"),
		"recipient": []any{reference("Organization/prac-1")}, "payload": []any{object{"contentString": "text"}}, "note": []any{object{"text": "kept"}},
	}
	if d := cmp.Diff(want, tree(t, got.Message.JSON)); d != "" {
		t.Error(d)
	}
	receipt := tree(t, got.Receipts[0].JSON)
	wantReceipt := object{
		"resourceType": "Task", "id": "r1", "status": "ready", "intent": "order", "priority": "urgent",
		"code":   object{"coding": []any{object{"system": consultation.KindSystem, "code": "message-receipt"}}},
		"partOf": []any{reference("Task/t")}, "focus": object{"reference": "Communication/m", "type": "Communication"},
		"for": reference("Patient/pat-1"), "requester": reference("Device/server"), "owner": reference("Organization/prac-1"),
		"authoredOn": "2025-11-21T07:00:00+00:00", "lastModified": "2025-11-21T07:00:00+00:00",
		"extension": []any{object{"url": consultation.MessageSenderURL, "valueReference": reference("Patient/pat-1")}},
	}
	if d := cmp.Diff(wantReceipt, receipt); d != "" {
		t.Error(d)
	}
	if got.Turn != (consultation.Turn{By: consultation.RequesterSide, New: true}) {
		t.Errorf("%+v", got.Turn)
	}
	out := posting(c, theGP(), letter(t, c, "Patient/pat-1", with(policyExtension(part("mode", "valueCode", "once")), object{"priority": "routine"})))
	out.Dispatched = true
	sent := post(t, out)
	m := tree(t, sent.Message.JSON)
	if m["status"] != "in-progress" || m["received"] != nil || m["sender"].(object)["reference"] != "PractitionerRole/gp-1" || sent.Follow != nil {
		t.Errorf("%v", m)
	}
	if sent.Turn != (consultation.Turn{By: consultation.OwnerSide, Asks: true, ToRequester: true, New: true}) {
		t.Errorf("%+v", sent.Turn)
	}
	bridged := posting(c, thePatient(), letter(t, c, "Organization/prac-1", object{"status": "unknown"}))
	bridged.Bridged = true
	if m := tree(t, post(t, bridged).Message.JSON); m["status"] != "completed" {
		t.Errorf("%v", m)
	}
}

// TestReceipts looks at who gets one.
func TestReceipts(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.AdviceAndGuidance, "in-progress")
	to := []any{reference("HealthcareService/card-ag"), reference("Organization/hosp-1"), reference("PractitionerRole/cons-1"), reference("Organization/prac-1")}
	got := post(t, posting(c, theGP(), letter(t, c, "Organization/hosp-1", object{"recipient": to})))
	var owners []string
	for _, r := range got.Receipts {
		owners = append(owners, read(t, "Task", r.JSON).Root().Child("owner").Child("reference").Text())
	}
	if d := cmp.Diff([]string{"Organization/hosp-1", "PractitionerRole/cons-1"}, owners); d != "" {
		t.Error(d)
	}
	short := posting(c, theGP(), letter(t, c, "Organization/hosp-1", nil))
	short.Receipts = nil
	if _, err := consultation.Post(short); err == nil || fhir.AsOutcome(err) != nil {
		t.Errorf("without ids: %v", err)
	}
	note := post(t, posting(c, theGP(), letter(t, c, "PractitionerRole/gp-2", category("internal-note"))))
	if len(note.Receipts) != 1 || note.Turn != (consultation.Turn{}) || note.Follow != nil {
		t.Errorf("%+v", note)
	}
}

// TestEnds walks what becomes of a message to a conversation that has ended or waits.
func TestEnds(t *testing.T) {
	t.Parallel()
	open := &consultation.Policy{Mode: consultation.ReplyOpen}
	const gp, hospital, patient = "gp", "hospital", "patient"
	day := 24 * time.Hour
	tests := []struct {
		name   string
		kind   consultation.Kind
		status string
		by     string
		policy *consultation.Policy
		ago    time.Duration
		change func(*consultation.Conversation)
		moves  string
		want   string
	}{
		{"waits", "consultation", "on-hold", patient, open, 0, nil, "Task/t: on-hold -> in-progress ", ""},
		{"the practice adds to its question", "consultation", "on-hold", gp, open, 0, nil, "", ""},
		{"works", "consultation", "in-progress", patient, open, 0, nil, "", ""},
		{"open again", "consultation", "completed", patient, open, 28 * day, nil, "Task/t: completed -> in-progress ", ""},
		{"too late", "consultation", "completed", patient, open, 28*day + time.Second, nil, "", "conversation-closed"},
		{"not open", "consultation", "completed", patient, once(), day, nil, "", "conversation-closed"},
		{"by the practice", "consultation", "completed", gp, open, day, nil, "", "conversation-closed"},
		{"rejected", "consultation", "rejected", patient, open, day, nil, "", "conversation-closed"},
		{"failed", "consultation", "failed", patient, open, day, nil, "", "conversation-closed"},
		{"cancelled", "consultation", "cancelled", patient, open, day, nil, "", "conversation-closed"},
		{"in error", "consultation", "entered-in-error", patient, open, day, nil, "", "conversation-closed"},
		{"advice waits", "advice-and-guidance", "on-hold", gp, nil, 0, nil, "Task/t: on-hold -> in-progress PROVIDER_RESPONSE_REQUIRED", ""},
		{"hospital adds", "advice-and-guidance", "on-hold", hospital, nil, 0, nil, "", ""},
		{"further question", "advice-and-guidance", "completed", gp, nil, 60 * day, nil, "Task/t: completed -> in-progress PROVIDER_RESPONSE_REQUIRED", ""},
		{"too late to ask", "advice-and-guidance", "completed", gp, nil, 60*day + time.Second, nil, "", "conversation-closed"},
		{"closed", "advice-and-guidance", "completed", gp, nil, day, func(c *consultation.Conversation) { c.Task.BusinessStatus = consultation.ConversationEndedClosed }, "", "conversation-closed"},
		{"converted", "advice-and-guidance", "completed", gp, nil, day, func(c *consultation.Conversation) { c.Task.BusinessStatus = consultation.AdviceConverted }, "", "conversation-closed"},
		{"never completed", "advice-and-guidance", "completed", gp, nil, day, func(c *consultation.Conversation) { c.CompletedAt = time.Time{} }, "", "conversation-closed"},
		{"hospital after the end", "advice-and-guidance", "completed", hospital, nil, day, nil, "", "conversation-closed"},
		{"patient in advice", "advice-and-guidance", "in-progress", patient, open, 0, nil, "", "not-found"},
		{"referral waits", "referral", "on-hold", gp, nil, 0, nil, "Task/t: on-hold -> in-progress PROVIDER_RESPONSE_REQUIRED", ""},
		{"receipts take none", "message-receipt", "ready", patient, open, 0, nil, "", "part-of-one-task"},
		{"plain Tasks take none", "", "in-progress", patient, open, 0, nil, "", "part-of-one-task"},
	}
	for _, test := range tests {
		c := talk(t, consultation.Consultation, test.status)
		if test.kind == consultation.AdviceAndGuidance || test.kind == consultation.Referral {
			c = talk(t, test.kind, test.status)
		}
		c.Task.Kind = test.kind
		c.CompletedAt = talkNow.Add(-test.ago)
		if test.change != nil {
			test.change(&c)
		}
		c.Messages = []consultation.Message{question("q", test.policy)}
		caller, to := thePatient(), "Organization/prac-1"
		switch {
		case test.by == gp && test.kind == "consultation":
			caller, to = theGP(), "Patient/pat-1"
		case test.by == gp:
			caller, to = theGP(), "Organization/hosp-1"
		case test.by == hospital:
			caller = theConsultant()
		}
		p := posting(c, caller, letter(t, c, to, nil))
		got, err := consultation.Post(p)
		if d := detail(t, err); d != test.want || moves(got) != test.moves {
			t.Errorf("%s: got %q, %q", test.name, d, moves(got))
		}
		if test.by == gp && test.status != "entered-in-error" {
			p.Message = letter(t, c, "Organization/prac-1", category("internal-note"))
			if got, err := consultation.Post(p); err != nil || got.Follow != nil {
				t.Errorf("%s: a note: %v", test.name, err)
			}
		}
	}
}

// TestSuperseded tells of newer messages.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	open := &consultation.Policy{Mode: consultation.ReplyOpen}
	c := talk(t, consultation.Consultation, "in-progress")
	newer, hidden := question("newer", open), question("hidden", open)
	newer.Sent, hidden.Sent = talkNow.Add(-time.Hour), talkNow.Add(-time.Minute)
	hidden.Category = "internal-note"
	c.Messages = []consultation.Message{question("q", open), newer, hidden}
	for id, want := range map[string]int{"q": 1, "newer": 0} {
		got := post(t, posting(c, thePatient(), letter(t, c, "Organization/prac-1", replyTo(id))))
		if len(got.Issues) != want || want == 1 && (got.Issues[0].Detail != "superseded-context" || got.Issues[0].Severity != fhir.Information) {
			t.Errorf("%s: %v", id, got.Issues)
		}
	}
}

// TestShows walks who sees what.
func TestShows(t *testing.T) {
	t.Parallel()
	callers := []consultation.Caller{thePatient(), theProxy(), theGP(), theConsultant(), theStranger(), {}}
	names := []string{"patient", "proxy", "gp", "consultant", "stranger", "nobody"}
	change := func(m consultation.Message, f func(*consultation.Message)) consultation.Message {
		f(&m)
		return m
	}
	toHospital := says("m", "PractitionerRole/gp-1", "HealthcareService/card-ag", nil)
	tests := []struct {
		name string
		kind consultation.Kind
		m    consultation.Message
		want string
	}{
		{"question", "consultation", question("m", nil), "patient proxy gp"},
		{"reply", "consultation", says("m", "Patient/pat-1", "Organization/prac-1", nil), "patient proxy gp"},
		{"reply of the proxy", "consultation", says("m", "RelatedPerson/rel-1", "Organization/prac-1", nil), "patient proxy gp"},
		{"note", "consultation", change(says("m", "PractitionerRole/gp-2", "Organization/prac-1", nil), func(m *consultation.Message) { m.Category = "internal-note" }), "gp"},
		{"released note", "consultation", change(says("m", "PractitionerRole/gp-2", "Organization/prac-1", nil), func(m *consultation.Message) { m.Category, m.Released = "internal-note", true }), "gp"},
		{"draft", "consultation", change(question("m", nil), func(m *consultation.Message) { m.Status = "preparation" }), "gp"},
		{"draft of the patient", "consultation", change(says("m", "Patient/pat-1", "Organization/prac-1", nil), func(m *consultation.Message) { m.Status = "preparation" }), "patient proxy"},
		{"retracted", "consultation", change(question("m", nil), func(m *consultation.Message) { m.Status = "entered-in-error" }), ""},
		{"between clinicians", "advice-and-guidance", toHospital, "gp consultant"},
		{"released", "advice-and-guidance", change(toHospital, func(m *consultation.Message) { m.Released = true }), "patient proxy gp consultant"},
		{"note of the hospital", "advice-and-guidance", change(says("m", "PractitionerRole/cons-1", "Organization/hosp-1", nil), func(m *consultation.Message) { m.Category = "internal-note" }), "consultant"},
		{"of another Task of the thread", "advice-and-guidance", change(question("m", nil), func(m *consultation.Message) { m.Task = key("Task/other") }), "patient proxy gp"},
	}
	for _, test := range tests {
		c := talk(t, test.kind, "in-progress")
		var got []string
		for i, caller := range callers {
			if c.Shows(test.m, caller) {
				got = append(got, names[i])
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: seen by %q, want %q", test.name, s, test.want)
		}
	}
}

// TestOutside tells messages of ours from plain ones, and what may be deleted.
func TestOutside(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	plain := letter(t, c, "Organization/prac-1", object{"partOf": nil}).Root()
	if err := consultation.OutsideConversation(plain); err != nil {
		t.Error(err)
	}
	for _, code := range []string{"consultation", "advice-and-guidance", "acknowledgement", "alert", "internal-note", "auto-reply"} {
		m := letter(t, c, "Organization/prac-1", with(object{"partOf": nil}, category(code))).Root()
		if d := detail(t, consultation.OutsideConversation(m)); d != "part-of-one-task" {
			t.Errorf("%s: %q", code, d)
		}
		if d := detail(t, consultation.Deletable(m, fhir.Node{})); d != "conversation-not-deletable" {
			t.Errorf("%s: %q", code, d)
		}
	}
	task := func(system, code string) fhir.Node {
		return make1(t, object{"resourceType": "Task", "status": "draft", "intent": "order",
			"code": object{"coding": []any{object{"system": system, "code": code}}}}).Root()
	}
	our, their := task(consultation.KindSystem, "consultation"), task("http://example.org", "consultation")
	for _, test := range []struct {
		n, part fhir.Node
		want    string
	}{
		{plain, fhir.Node{}, ""}, {plain, their, ""}, {plain, our, "conversation-not-deletable"},
		{our, fhir.Node{}, "conversation-not-deletable"}, {their, fhir.Node{}, ""},
		{task(consultation.KindSystem, "unknown"), fhir.Node{}, "conversation-not-deletable"},
	} {
		if d := detail(t, consultation.Deletable(test.n, test.part)); d != test.want {
			t.Errorf("got %q, want %q", d, test.want)
		}
	}
}

// BenchmarkPost measures a reply in a conversation of 50 messages.
func BenchmarkPost(b *testing.B) {
	c := talk(b, consultation.Consultation, "on-hold")
	for range 50 {
		c.Messages = append(c.Messages, question("q", &consultation.Policy{Mode: consultation.ReplyOpen}))
	}
	p := posting(c, thePatient(), letter(b, c, "Organization/prac-1", nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := consultation.Post(p); err != nil {
			b.Fatal(err)
		}
	}
}
