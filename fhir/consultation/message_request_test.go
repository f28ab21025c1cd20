package consultation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// opening is that of the example request, with other elements.
func opening(t testing.TB, caller consultation.Caller, more object) consultation.Opening {
	o := tree(t, talkSample(t, "communicationrequest-nhsapp-then-sms.json"))
	for name, v := range more {
		if o[name] = v; v == nil {
			delete(o, name)
		}
	}
	return consultation.Opening{
		Request: make1(t, o), Caller: caller, Practice: practice, As: consultation.Party{Reference: "PractitionerRole/gp-1"}, Parties: parties(),
		Limits: consultation.DefaultLimits(), Now: moment(t, "2025-11-20T11:00:00Z"),
		IDs: consultation.OpeningIDs{Request: "cr-1", Task: "new-1", Thread: "7b2c9a52-0000-4000-8000-0000000000aa", Messages: []string{"out-1", "out-2"},
			Identifiers: []string{"7b2c9a52-0000-4000-8000-0000000000a1", "7b2c9a52-0000-4000-8000-0000000000a2"}, Receipts: []string{"r1", "r2"},
			IdentifierOfRequest: "7b2c9a52-0000-4000-8000-0000000000ab"},
	}
}

// existing gives an Opening the conversation that the example names.
func existing(t testing.TB, o consultation.Opening) consultation.Opening {
	c := talk(t, consultation.Consultation, "in-progress")
	c.Task.Key, c.Task.Thread = key("Task/cons-03"), "7b2c9a52-0000-4000-8000-000000000002"
	o.Conversation = &c
	return o
}

func opened(t testing.TB, o consultation.Opening) consultation.Opened {
	t.Helper()
	got, err := consultation.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	all := []consultation.Authored{got.Request}
	if got.Task.JSON != nil {
		all = append(all, got.Task)
	}
	for _, m := range got.Messages {
		all = append(append(all, m.Message), m.Receipts...)
	}
	decodes(t, all...)
	return got
}

// TestOpening sends the example request in the conversation that it names.
func TestOpening(t *testing.T) {
	t.Parallel()
	o := existing(t, opening(t, theGP(), nil))
	got := opened(t, o)
	if got.Task.JSON != nil || len(got.Messages) != 1 {
		t.Fatalf("%+v", got)
	}
	want := tree(t, o.Request.Source())
	want["id"] = "cr-1"
	if d := cmp.Diff(want, with(tree(t, got.Request.JSON), object{"id": "cr-1"})); d != "" {
		t.Error(d)
	}
	m := tree(t, got.Messages[0].Message.JSON)
	for name, want := range map[string]any{
		"status": "in-progress", "basedOn": []any{reference("CommunicationRequest/cr-1")}, "partOf": []any{reference("Task/cons-03")},
		"payload": want["payload"], "medium": want["medium"], "category": want["category"], "priority": "routine", "recipient": want["recipient"], "sender": reference("PractitionerRole/gp-1"),
	} {
		if d := cmp.Diff(want, m[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	read := stored(t, got.Messages[0])
	if read.Policy == nil || read.Policy.Mode != consultation.ReplyOnce || *read.Policy.Attachments != 5 || !got.Messages[0].Turn.Asks {
		t.Errorf("%+v", read)
	}
}

// TestOpeningAnew begins a conversation, and answers in it.
func TestOpeningAnew(t *testing.T) {
	t.Parallel()
	fresh := object{"basedOn": nil, "about": nil, "groupIdentifier": nil, "identifier": nil, "requester": nil, "sender": nil}
	got := opened(t, opening(t, theGP(), fresh))
	task, err := consultation.ReadTask(read(t, "Task", got.Task.JSON), "")
	if err != nil || task.Kind != consultation.Consultation || task.Status != consultation.StatusRequested || task.Owner != task.Requester || task.For != key("Patient/pat-1") {
		t.Fatalf("%+v, %v", task, err)
	}
	request := tree(t, got.Request.JSON)
	if d := cmp.Diff([]any{reference("Task/new-1")}, request["basedOn"]); d != "" || request["identifier"] == nil || request["groupIdentifier"].(object)["value"] != task.Thread {
		t.Errorf("%s %v", d, request)
	}
	c := consultation.Conversation{Task: task, Parties: parties(), Messages: []consultation.Message{stored(t, got.Messages[0])}}
	reply := posting(c, thePatient(), letter(t, c, "Organization/prac-1", nil))
	answer := post(t, reply)
	if m := stored(t, answer); m.InReplyTo != key("Communication/out-1") || answer.Turn.By != consultation.RequesterSide || len(answer.Receipts) != 1 {
		t.Errorf("%+v", answer)
	}
	c.Messages = append(c.Messages, stored(t, answer))
	if _, err := consultation.Post(posting(c, thePatient(), letter(t, c, "Organization/prac-1", nil))); detail(t, err) != "already-replied" {
		t.Errorf("again: %v", err)
	}
	two := opened(t, opening(t, theGP(), with(fresh, object{"recipient": []any{reference("Patient/pat-1"), reference("RelatedPerson/rel-1")}})))
	if len(two.Messages) != 2 || two.Messages[1].Message.ID != "out-2" {
		t.Errorf("%+v", two.Messages)
	}
}

// TestOpeningRefuses walks every refusal.
func TestOpeningRefuses(t *testing.T) {
	t.Parallel()
	fresh := object{"basedOn": nil, "about": nil, "groupIdentifier": nil}
	tests := []struct {
		name string
		o    consultation.Opening
		want string
	}{
		{"a patient", existing(t, opening(t, thePatient(), nil)), "practice-only"},
		{"another organisation", existing(t, opening(t, theConsultant(), nil)), "practice-only"},
		{"a draft", existing(t, opening(t, theGP(), object{"status": "draft"})), "request-not-active"},
		{"do not", existing(t, opening(t, theGP(), object{"doNotPerform": true})), "request-not-active"},
		{"in the name of another", existing(t, opening(t, theGP(), object{"sender": reference("Organization/hosp-1")})), "sender-mismatch"},
		{"a Task that is not there", opening(t, theGP(), nil), "not-found"},
		{"another thread", existing(t, opening(t, theGP(), object{"groupIdentifier": object{"value": "other"}})), "identifier-mismatch"},
		{"about nobody", opening(t, theGP(), with(fresh, object{"subject": nil})), "subject-required"},
		{"into another thread", opening(t, theGP(), object{"basedOn": nil, "about": nil}), "identifier-mismatch"},
		{"for nobody", opening(t, theGP(), with(fresh, object{"recipient": nil})), "recipient-required"},
		{"for a stranger", opening(t, theGP(), with(fresh, object{"recipient": []any{reference("Patient/pat-2")}})), "recipient-not-in-thread"},
		{"nothing to say", opening(t, theGP(), with(fresh, object{"payload": nil})), "payload-required"},
	}
	for _, test := range tests {
		if _, err := consultation.Open(test.o); detail(t, err) != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	ended := existing(t, opening(t, theGP(), nil))
	ended.Conversation.Task.Status = consultation.StatusCompleted
	if _, err := consultation.Open(ended); detail(t, err) != "conversation-closed" {
		t.Error(err)
	}
	short := existing(t, opening(t, theGP(), nil))
	short.IDs.Receipts = nil
	if _, err := consultation.Open(short); err == nil || fhir.AsOutcome(err) != nil {
		t.Error(err)
	}
}
