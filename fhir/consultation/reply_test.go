package consultation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// A step is one of the script of replies.
type step struct {
	As, Post, Put, At string
	Expect            struct {
		Status                           int
		Code, Detail, TaskStatus, Help   string
		Replayed                         bool
		CommunicationStatus, Note, Topic string
	}
}

// TestReplyPolicyScript replays the script as far as no store is asked.
func TestReplyPolicyScript(t *testing.T) {
	t.Parallel()
	var script struct{ Steps []step }
	if err := json.Unmarshal(talkSample(t, "reply-policy-script.json"), &script); err != nil {
		t.Fatal(err)
	}
	five := 5
	policy := once()
	policy.Attachments = &five
	c := talk(t, consultation.Consultation, "on-hold")
	c.Messages = []consultation.Message{question("out-1", policy), question("out-2", policy)}
	played := 0
	for _, s := range script.Steps {
		now := talkNow
		if s.At != "" {
			now = moment(t, s.At)
		}
		answer := posting(c, thePatient(), letter(t, c, "Organization/prac-1", replyTo("out-1")))
		var err error
		switch {
		case s.Expect.Replayed:
			continue // no rule is asked: the first answer is given again
		case s.Put != "":
			_, _, err = consultation.Revise(consultation.Revision{Stored: letter(t, c, "Patient/pat-1", object{"id": "out-1"}),
				Posting: posting(c, theGP(), letter(t, c, "Patient/pat-1", object{"payload": []any{object{"contentString": "other"}}}))})
		case strings.HasSuffix(s.Post, "$retract"):
			var all []consultation.Authored
			all, err = consultation.Retract(consultation.Retraction{Caller: theGP(), Conversation: c, Now: now,
				Message: letter(t, c, "Patient/pat-1", object{"id": "out-1", "sender": reference("PractitionerRole/gp-1")})})
			if err == nil && consultation.ReadMessage(read(t, "Communication", all[0].JSON), "").Status != s.Expect.CommunicationStatus {
				t.Errorf("%s: %s", s.Post, all[0].JSON)
			}
		default:
			switch {
			case strings.Contains(s.Post, "other message"):
				answer.Message = letter(t, c, "Organization/prac-1", replyTo("out-2"))
			case strings.Contains(s.Post, "6 photos"):
				answer.Message = letter(t, c, "Organization/prac-1", with(replyTo("out-2"), object{"payload": photos(6, "Binary/photo")}))
			}
			switch {
			case strings.Contains(s.As, "pat-2"):
				answer.Caller = theStranger()
			case strings.Contains(s.As, "rel-1"):
				answer.Caller = consultation.Caller{Persons: theProxy().Persons}
				answer.LapsedProxy = true
			}
			answer.Now, answer.ID = now, fmt.Sprintf("in-%d", played)
			var got consultation.Posted
			if got, err = consultation.Post(answer); err == nil {
				if moves(got) != "Task/t: on-hold -> in-progress " || s.Expect.TaskStatus != "on-hold -> in-progress (by system)" {
					t.Errorf("%s: %s", s.Post, moves(got))
				}
				c.Messages = append(c.Messages, stored(t, got))
				c.Task.Status = got.Follow[0].To
			}
		}
		played++
		want := s.Expect.Detail
		if want == "" {
			want = s.Expect.Code
		}
		if got := detail(t, err); got != want {
			t.Errorf("%s as %s: got %q, want %q", s.Post+s.Put, s.As, got, want)
			continue
		}
		if o := fhir.AsOutcome(err); o != nil && string(o.Issues[0].Code) != s.Expect.Code {
			t.Errorf("%s: got %s, want %s", s.Post, o.Issues[0].Code, s.Expect.Code)
		}
		if o := fhir.AsOutcome(err); s.Expect.Help != "" && !strings.Contains(o.Issues[0].Text, "start a new consultation") {
			t.Errorf("%s: %v", s.Post, err)
		}
	}
	if played != 8 {
		t.Errorf("%d steps were played", played)
	}
}

// TestReplyPolicies walks the modes.
func TestReplyPolicies(t *testing.T) {
	t.Parallel()
	none := &consultation.Policy{Mode: consultation.ReplyNone}
	open := &consultation.Policy{Mode: consultation.ReplyOpen}
	window := &consultation.Policy{Mode: consultation.ReplyWindow, Until: talkNow.Add(time.Hour)}
	late := &consultation.Policy{Mode: consultation.ReplyWindow, Until: talkNow.Add(-time.Second)}
	exact := &consultation.Policy{Mode: consultation.ReplyWindow, Until: talkNow}
	endless := &consultation.Policy{Mode: consultation.ReplyWindow}
	referrer := &consultation.Policy{Mode: consultation.ReplyOpen, By: "referrer"}
	zero, ten := 0, 10
	brief := &consultation.Policy{Mode: consultation.ReplyOpen, Length: &ten, Attachments: &zero}
	reply := says("in-0", "Patient/pat-1", "Organization/prac-1", nil)
	reply.InReplyTo = key("Communication/q")
	retracted := reply
	retracted.Status = "entered-in-error"
	elsewhere := question("e", open)
	elsewhere.Task = key("Task/other")
	tests := []struct {
		name     string
		caller   consultation.Caller
		messages []consultation.Message
		more     object
		want     string
	}{
		{"nothing was asked", thePatient(), nil, nil, "replies-not-allowed"},
		{"no policy", thePatient(), []consultation.Message{question("q", nil)}, nil, "replies-not-allowed"},
		{"none", thePatient(), []consultation.Message{question("q", none)}, nil, "replies-not-allowed"},
		{"empty policy", thePatient(), []consultation.Message{question("q", &consultation.Policy{})}, nil, "replies-not-allowed"},
		{"unreadable policy", thePatient(), []consultation.Message{{Key: key("Communication/q"), Task: key("Task/t"), Status: "completed", Category: "consultation",
			Sender: key("Organization/prac-1"), Recipients: []fhir.Key{key("Patient/pat-1")}, Unspeakable: true}}, nil, "replies-not-allowed"},
		{"once", thePatient(), []consultation.Message{question("q", once())}, nil, ""},
		{"once, by the proxy", theProxy(), []consultation.Message{question("q", once())}, replyTo("q"), ""},
		{"once, by the proxy after the patient", theProxy(), []consultation.Message{question("q", once()), reply}, replyTo("q"), "already-replied"},
		{"once, again", thePatient(), []consultation.Message{question("q", once()), reply}, nil, "already-replied"},
		{"once, after a retracted reply", thePatient(), []consultation.Message{question("q", once()), retracted}, nil, ""},
		{"window", thePatient(), []consultation.Message{question("q", window), reply}, nil, ""},
		{"window, at its end", thePatient(), []consultation.Message{question("q", exact)}, nil, ""},
		{"window, late", thePatient(), []consultation.Message{question("q", late)}, nil, "reply-window-closed"},
		{"window without an end", thePatient(), []consultation.Message{question("q", endless)}, nil, "reply-window-closed"},
		{"open", thePatient(), []consultation.Message{question("q", open), reply}, nil, ""},
		{"for the referrer", thePatient(), []consultation.Message{question("q", referrer)}, nil, ""},
		{"for the patient", thePatient(), []consultation.Message{question("q", &consultation.Policy{Mode: consultation.ReplyOpen, By: "patient"})}, nil, ""},
		{"for somebody else", thePatient(), []consultation.Message{question("q", &consultation.Policy{Mode: consultation.ReplyOpen, By: "cardiologist"})}, nil, "replies-not-allowed"},
		{"the newest counts", thePatient(), []consultation.Message{question("q", open), question("p", none)}, nil, "replies-not-allowed"},
		{"an older one is named", thePatient(), []consultation.Message{question("q", open), question("p", none)}, replyTo("q"), ""},
		{"asked in another Task", thePatient(), []consultation.Message{elsewhere}, nil, "replies-not-allowed"},
		{"asked in another Task, which is named", thePatient(), []consultation.Message{elsewhere}, replyTo("e"), "replies-not-allowed"},
		{"to one's own message", thePatient(), []consultation.Message{question("q", open), reply}, replyTo("in-0"), "replies-not-allowed"},
		{"too long", thePatient(), []consultation.Message{question("q", brief)}, object{"payload": []any{object{"contentString": "twelve chars"}}}, "message-too-long"},
		{"as long as may be", thePatient(), []consultation.Message{question("q", brief)}, object{"payload": []any{object{"contentString": "Grüße äöü!"}}}, ""},
		{"no attachments", thePatient(), []consultation.Message{question("q", brief)}, object{"payload": photos(1, "Binary/photo")}, "too-many-attachments"},
	}
	for _, c := range tests {
		conversation := talk(t, consultation.Consultation, "on-hold")
		conversation.Messages = c.messages
		_, err := consultation.Post(posting(conversation, c.caller, letter(t, conversation, "Organization/prac-1", c.more)))
		if got := detail(t, err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestReadPolicy reads good and bad policies.
func TestReadPolicy(t *testing.T) {
	t.Parallel()
	mode := func(s string) object { return part("mode", "valueCode", s) }
	until := part("until", "valueDateTime", "2025-12-03T18:30:00+00:00")
	tests := []struct {
		parts []object
		ok    bool
	}{
		{[]object{mode("none")}, true},
		{[]object{mode("once")}, true},
		{[]object{mode("once"), until}, true},
		{[]object{mode("window")}, false},
		{[]object{mode("window"), until, part("by", "valueCode", "referrer")}, true},
		{[]object{mode("window"), until, part("by", "valueCode", "anybody")}, false},
		{[]object{mode("open"), part("maxAttachments", "valueInteger", 0), part("maxLength", "valueInteger", 2000)}, true},
		{[]object{mode("open"), part("maxAttachments", "valueInteger", -1)}, false},
		{[]object{mode("open"), part("maxLength", "valueString", "long")}, false},
		{[]object{mode("always")}, false},
		{[]object{until}, false},
		{[]object{mode("window"), part("until", "valueDate", "2025-12-03")}, false},
	}
	c := talk(t, consultation.Consultation, "in-progress")
	for _, test := range tests {
		p, err := consultation.ReadPolicy(letter(t, c, "Patient/pat-1", policyExtension(test.parts...)).Root())
		if ok := err == nil; ok != test.ok || ok && p == nil {
			t.Errorf("%v: %+v, %v", test.parts, p, err)
		}
	}
	if p, err := consultation.ReadPolicy(letter(t, c, "Patient/pat-1", nil).Root()); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestOnceIsOnce draws conversations at random: whoever answers, and whether they name what
// they answer or not, no question under the policy once ever has two replies.
func TestOnceIsOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		kind := rapid.SampledFrom([]consultation.Kind{consultation.Consultation, consultation.AdviceAndGuidance}).Draw(r, "kind")
		c := talk(t, kind, "in-progress")
		asks, asked, to, from := theGP(), "Patient/pat-1", "Organization/prac-1", []consultation.Caller{thePatient(), theProxy()}
		if kind == consultation.AdviceAndGuidance {
			asks, asked, to, from = theConsultant(), "Organization/prac-1", "Organization/hosp-1", []consultation.Caller{theGP(), staff("PractitionerRole/gp-2", "Organization/prac-1")}
		}
		questions, now := []string{}, talkNow
		for i := range rapid.IntRange(1, 12).Draw(r, "messages") {
			now = now.Add(time.Minute)
			id := fmt.Sprintf("m%d", i)
			var p consultation.Posting
			if len(questions) == 0 || rapid.IntRange(0, 3).Draw(r, "who") == 0 {
				p = posting(c, asks, letter(t, c, asked, policyExtension(part("mode", "valueCode", "once"))))
			} else {
				more := object{}
				if rapid.Bool().Draw(r, "names") {
					more = replyTo(rapid.SampledFrom(questions).Draw(r, "question"))
				}
				p = posting(c, rapid.SampledFrom(from).Draw(r, "caller"), letter(t, c, to, more))
			}
			p.ID, p.Now = id, now
			got, err := consultation.Post(p)
			if err != nil {
				if d := detail(t, err); d != "already-replied" && d != "in-response-to-not-in-thread" && d != "replies-not-allowed" {
					r.Fatal(d)
				}
				continue
			}
			m := stored(t, got)
			c.Messages = append(c.Messages, m)
			if m.Policy != nil {
				questions = append(questions, id)
			}
		}
		replies := map[fhir.Key]int{}
		for _, m := range c.Messages {
			if m.Policy == nil {
				replies[m.InReplyTo]++
			}
		}
		for k, n := range replies {
			if n > 1 || k.ID == "" {
				r.Fatalf("%s has %d replies", k, n)
			}
		}
	})
}
