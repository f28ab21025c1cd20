package consultation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// TestDrafts writes, changes and sends a draft.
func TestDrafts(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "completed")
	draft := post(t, posting(c, theGP(), letter(t, c, "Patient/pat-1", object{"status": "preparation", "payload": nil})))
	m := tree(t, draft.Message.JSON)
	if draft.Receipts != nil || draft.Follow != nil || m["status"] != "preparation" || m["sent"] != nil {
		t.Errorf("%+v", draft)
	}
	was := read(t, "Communication", draft.Message.JSON)
	revise := func(c consultation.Conversation, caller consultation.Caller, more object) (consultation.Posted, error) {
		p := posting(c, caller, letter(t, c, "Patient/pat-1", more))
		p.ID, p.Identifier = "", ""
		got, same, err := consultation.Revise(consultation.Revision{Stored: was, Posting: p})
		if same {
			t.Error("a draft is never the same")
		}
		return got, err
	}
	if got, err := revise(c, staff("PractitionerRole/gp-2", "Organization/prac-1"), object{"status": "preparation"}); err != nil || tree(t, got.Message.JSON)["status"] != "preparation" {
		t.Errorf("a colleague cannot go on: %v", err)
	}
	if _, err := revise(c, thePatient(), nil); detail(t, err) != "not-found" {
		t.Errorf("the patient: %v", err)
	}
	if _, err := revise(c, theGP(), nil); detail(t, err) != "conversation-closed" {
		t.Errorf("sent after the end: %v", err)
	}
	if _, err := revise(c, theGP(), object{"identifier": []any{object{"system": consultation.MessageIDSystem, "value": "other"}}}); detail(t, err) != "sent-message-immutable" {
		t.Errorf("another identifier: %v", err)
	}
	c.Task.Status = consultation.StatusInProgress
	got, err := revise(c, theGP(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := tree(t, got.Message.JSON)
	if d := cmp.Diff(m["identifier"], sent["identifier"]); d != "" || sent["status"] != "completed" || len(got.Receipts) != 1 || sent["id"] != "m" {
		t.Errorf("%s %v", d, sent)
	}
}

// TestImmutable lets nobody change what was sent.
func TestImmutable(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	for _, status := range []string{"completed", "in-progress", "stopped", "not-done", "entered-in-error", "unknown", "on-hold"} {
		was := letter(t, c, "Patient/pat-1", object{"id": "out-1", "status": status, "sender": reference("PractitionerRole/gp-1"), "priority": "routine"})
		for _, test := range []struct {
			more object
			same bool
		}{
			{nil, true},
			{object{"meta": object{"versionId": "7", "lastUpdated": "2025-11-21T07:00:00Z"}, "text": object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">x</div>`}}, true},
			{object{"payload": []any{object{"contentString": "other"}}}, false},
			{object{"payload": []any{object{"contentString": "text"}, object{"contentString": "more"}}}, false},
			{object{"recipient": []any{reference("RelatedPerson/rel-1")}}, false},
			{object{"status": "preparation"}, false},
			{object{"priority": nil}, false},
			{object{"_priority": object{"extension": []any{object{"url": "http://example.org/x", "valueBoolean": true}}}}, false},
		} {
			next := tree(t, was.Source())
			for k, v := range test.more {
				if next[k] = v; v == nil {
					delete(next, k)
				}
			}
			got, same, err := consultation.Revise(consultation.Revision{Stored: was, Posting: posting(c, theGP(), make1(t, next))})
			want := "sent-message-immutable"
			if test.same {
				want = ""
			}
			if d := detail(t, err); d != want || same != test.same || got.Message.JSON != nil {
				t.Errorf("%s, %v: got %q, %t", status, test.more, d, same)
			}
		}
	}
}

// TestRetract takes messages back.
func TestRetract(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	posted := post(t, posting(c, theGP(), letter(t, c, "Patient/pat-1", object{"note": []any{object{"text": "secret"}}, "topic": object{"text": "secret"},
		"payload": []any{object{"contentString": "secret"}}})))
	message, receipt := read(t, "Communication", posted.Message.JSON), read(t, "Task", posted.Receipts[0].JSON)
	retract := func(caller consultation.Caller, m *fhir.Resource) ([]consultation.Authored, error) {
		return consultation.Retract(consultation.Retraction{Message: m, Conversation: c, Caller: caller, Reason: "wrong patient",
			Receipts: []*fhir.Resource{receipt}, Now: talkNow.Add(time.Minute)})
	}
	for name, test := range map[string]struct {
		caller consultation.Caller
		want   string
	}{
		"sender": {theGP(), ""}, "colleague": {staff("PractitionerRole/gp-2", "Organization/prac-1"), ""},
		"recipient": {thePatient(), "retract-not-permitted"}, "stranger": {theStranger(), "not-found"}, "nobody": {consultation.Caller{}, "not-found"},
	} {
		if _, err := retract(test.caller, message); detail(t, err) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := retract(theGP(), message)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	decodes(t, all...)
	text := string(all[0].JSON)
	if strings.Contains(text, "secret") || !strings.Contains(text, `"status":"entered-in-error"`) || !strings.Contains(text, "wrong patient") {
		t.Error(text)
	}
	if l := read(t, "Communication", all[0].JSON).Root().Child("meta").Child("security"); l.Child("system").Text() != consultation.RetractedSystem || l.Child("code").Text() != consultation.RetractedCode {
		t.Error("nothing hides what was taken back:", text)
	}
	if status := tree(t, all[1].JSON)["status"]; status != "cancelled" {
		t.Errorf("the receipt is %s", status)
	}
	if again, err := retract(theGP(), read(t, "Communication", all[0].JSON)); again != nil || err != nil {
		t.Errorf("again: %v, %v", again, err)
	}
	receipt = read(t, "Task", all[1].JSON)
	if all, err = retract(theGP(), message); len(all) != 1 || err != nil {
		t.Errorf("a closed receipt: %v, %v", all, err)
	}
}

// TestRetractRequest takes a request back with its message, unless others have one by it, too.
func TestRetractRequest(t *testing.T) {
	t.Parallel()
	for recipients, want := range map[string]bool{
		`{"reference":"Patient/pat-1"}`: true, `{"reference":"Patient/pat-1"},{"reference":"Patient/pat-2"}`: false, `{"reference":"Group/all"}`: false,
	} {
		request := read(t, "CommunicationRequest", []byte(`{"resourceType":"CommunicationRequest","id":"r","meta":{"tag":[{"code":"kept"}]},"status":"completed","note":[{"text":"secret"}],
			"recipient":[`+recipients+`],"payload":[{"contentString":"secret"}]}`))
		got, err := consultation.RetractRequest(request)
		if err != nil || (got.JSON != nil) != want {
			t.Errorf("%s: %s, %v", recipients, got.JSON, err)
		}
		if !want || err != nil {
			continue
		}
		decodes(t, got)
		text := string(got.JSON)
		if strings.Contains(text, "secret") || !strings.Contains(text, `"status":"entered-in-error"`) || !strings.Contains(text, consultation.RetractedCode) || !strings.Contains(text, "kept") {
			t.Error(text)
		}
		if again, err := consultation.RetractRequest(read(t, "CommunicationRequest", got.JSON)); again.JSON != nil || err != nil {
			t.Errorf("again: %s, %v", again.JSON, err)
		}
	}
}

// TestMarkRead closes receipts once.
func TestMarkRead(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	c.Messages = []consultation.Message{question("q", &consultation.Policy{Mode: consultation.ReplyOpen})}
	fromPractice := post(t, posting(c, theGP(), letter(t, c, "Patient/pat-1", nil))).Receipts[0]
	fromPatient := post(t, posting(c, thePatient(), letter(t, c, "Organization/prac-1", nil))).Receipts[0]
	both := []*fhir.Resource{read(t, "Task", fromPractice.JSON), read(t, "Task", fromPatient.JSON)}
	mark := func(caller consultation.Caller, receipts ...*fhir.Resource) ([]consultation.Authored, error) {
		return consultation.MarkRead(consultation.Reading{Receipts: receipts, Caller: caller, Now: talkNow.Add(time.Minute)})
	}
	for name, test := range map[string]struct {
		caller consultation.Caller
		want   int
	}{
		"patient": {thePatient(), 1}, "proxy": {theProxy(), 1}, "practice": {staff("PractitionerRole/gp-2", "Organization/prac-1"), 1}, "hospital": {theConsultant(), 0}, "nobody": {consultation.Caller{}, 0},
	} {
		got, err := mark(test.caller, both...)
		if len(got) != test.want || (detail(t, err) == "not-a-recipient") != (test.want == 0) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		decodes(t, got...)
	}
	got, err := mark(theGP(), both...)
	if err != nil {
		t.Fatal(err)
	}
	task := tree(t, got[0].JSON)
	if task["status"] != "completed" || task["executionPeriod"].(object)["end"] != "2025-11-21T07:01:00+00:00" || !strings.Contains(string(got[0].JSON), `"code":"Read"`) {
		t.Errorf("%s", got[0].JSON)
	}
	closed := read(t, "Task", got[0].JSON)
	if consultation.IsUnread(closed.Root()) || !consultation.IsUnread(both[1].Root()) {
		t.Error("read is taken for unread")
	}
	if again, err := mark(theGP(), closed); again != nil || err != nil {
		t.Errorf("again: %v, %v", again, err)
	}
	if a, err := consultation.ReadOnChannel(closed, talkNow); a.JSON != nil || err != nil {
		t.Errorf("%v, %v", a, err)
	}
	a, err := consultation.ReadOnChannel(both[0], talkNow.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	decodes(t, a)
	if task := tree(t, a.JSON); task["lastModified"] != task["authoredOn"] || task["executionPeriod"].(object)["end"] != "2025-11-21T06:00:00+00:00" {
		t.Errorf("the Task was modified before it was authored: %s", a.JSON)
	}
	for priority, want := range map[string]bool{"": false, "routine": false, "urgent": true, "asap": true, "stat": true} {
		if consultation.Escalates(priority) != want {
			t.Errorf("%q: %t", priority, !want)
		}
	}
}

// TestDeliver moves messages forward only.
func TestDeliver(t *testing.T) {
	t.Parallel()
	c := talk(t, consultation.Consultation, "in-progress")
	statuses := []string{"preparation", "in-progress", "completed", "not-done", "stopped", "entered-in-error", "unknown", "on-hold"}
	may := map[string]string{"preparation": "in-progress completed stopped entered-in-error", "in-progress": "completed not-done stopped entered-in-error",
		"completed": "entered-in-error", "not-done": "completed entered-in-error", "stopped": "entered-in-error"}
	for _, from := range statuses {
		for _, to := range statuses {
			want := strings.Contains(" "+may[from]+" ", " "+to+" ")
			if consultation.MayProgress(from, to) != want {
				t.Errorf("%s to %s: %t", from, to, !want)
			}
			got, err := consultation.Deliver(consultation.Delivery{Message: letter(t, c, "Patient/pat-1", object{"id": "m", "status": from}), Status: to, Reason: "no channel", At: talkNow})
			if err != nil || (got.JSON != nil) != (want && to != "entered-in-error") {
				t.Errorf("%s to %s: %s, %v", from, to, got.JSON, err)
			}
			if got.JSON == nil {
				continue
			}
			decodes(t, got)
			if m := tree(t, got.JSON); m["status"] != to || (m["received"] != nil) != (to == "completed") {
				t.Errorf("%s", got.JSON)
			}
		}
	}
}
