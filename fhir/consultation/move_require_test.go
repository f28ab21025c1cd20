package consultation

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// TestPreconditions: each holds a move up with its own code, and lets it go when it is met.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	ask := Turn{By: OwnerSide, Asks: true}
	say, reply := Turn{By: OwnerSide}, Turn{By: RequesterSide}
	told := Turn{By: OwnerSide, ToRequester: true, New: true}
	advice := func(outcome string, more ...Output) []Output {
		return append([]Output{{Type: "guidance-outcome", Codes: []Code{{AdviceOutcomeSystem, outcome}}}}, more...)
	}
	recommended := Output{Type: "intended-recommendation", Codes: []Code{{RecommendationSystem, "REFERRAL_RECOMMENDED"}}}
	referral := Output{Type: "referral", Target: fhir.Key{Type: "ServiceRequest", ID: "s"}}
	day := func(n int) time.Time { return moveNow.AddDate(0, 0, n) }
	type c struct {
		name     string
		kind     Kind
		from, to Status
		roles    Roles
		edit     func(old, next *Task, f *Facts)
		want     string // the code; empty when it is met
	}
	cases := []c{
		{"form", Consultation, StatusDraft, StatusRequested, Requester, func(_, _ *Task, f *Facts) { f.FormValid = true }, ""},
		{"no form", Consultation, StatusDraft, StatusRequested, Requester, nil, "qr-completed-and-valid"},
		{"no owner", Consultation, StatusDraft, StatusRequested, Requester, func(old, next *Task, f *Facts) { f.FormValid, old.Owner, next.Owner = true, fhir.Key{}, fhir.Key{} }, "owner-required"},

		{"reason and message", Consultation, StatusRequested, StatusRejected, Owner, func(_, n *Task, f *Facts) { n.Reason, f.Turns = true, []Turn{reply, told} }, ""},
		{"no reason", Consultation, StatusRequested, StatusRejected, Owner, func(_, _ *Task, f *Facts) { f.Turns = []Turn{told} }, "reason-and-message-to-requester"},
		{"no message", Consultation, StatusReceived, StatusRejected, Owner, func(_, n *Task, f *Facts) { n.Reason, f.Turns = true, []Turn{reply} }, "reason-and-message-to-requester"},
		{"earlier message", Consultation, StatusReceived, StatusRejected, Owner, func(_, n *Task, f *Facts) {
			n.Reason, f.Turns = true, []Turn{{By: OwnerSide, ToRequester: true}}
		}, "reason-and-message-to-requester"},
		{"message to another", Consultation, StatusReceived, StatusRejected, Owner, func(_, n *Task, f *Facts) {
			n.Reason, f.Turns = true, []Turn{{By: OwnerSide, New: true}}
		}, "reason-and-message-to-requester"},

		{"question", Consultation, StatusAccepted, StatusOnHold, Owner, func(_, _ *Task, f *Facts) { f.Turns = []Turn{reply, ask, say} }, ""},
		{"first question", AdviceAndGuidance, StatusInProgress, StatusOnHold, Owner, func(_, _ *Task, f *Facts) { f.Turns = []Turn{ask} }, ""},
		{"answered question", Consultation, StatusInProgress, StatusOnHold, Owner, func(_, _ *Task, f *Facts) { f.Turns = []Turn{ask, reply} }, "question-sent"},
		{"unanswerable question", Consultation, StatusInProgress, StatusOnHold, Owner, func(_, _ *Task, f *Facts) { f.Turns = []Turn{reply, say} }, "question-sent"},
		{"no turns", Referral, StatusInProgress, StatusOnHold, Owner, nil, "question-sent"},

		{"reply", AdviceAndGuidance, StatusOnHold, StatusInProgress, Requester, func(_, _ *Task, f *Facts) { f.Turns = []Turn{reply, ask, reply} }, ""},
		{"reply and thanks", AdviceAndGuidance, StatusOnHold, StatusInProgress, System, func(_, _ *Task, f *Facts) { f.Turns = []Turn{ask, reply, say} }, ""},
		{"no reply", AdviceAndGuidance, StatusOnHold, StatusInProgress, Requester, func(_, _ *Task, f *Facts) { f.Turns = []Turn{reply, ask} }, "reply-sent"},
		{"no reply at all", Referral, StatusOnHold, StatusInProgress, System, nil, "reply-sent"},
		{"practice goes on without", Consultation, StatusOnHold, StatusInProgress, Owner, nil, ""},

		{"outcome", Consultation, StatusAccepted, StatusCompleted, Owner, func(_, n *Task, _ *Facts) { n.Outputs = []Output{{Type: "outcome"}} }, ""},
		{"no outcome", Consultation, StatusAccepted, StatusCompleted, Owner, func(_, n *Task, _ *Facts) { n.Outputs = []Output{{Type: "filed-to-record"}, {}} }, "outcome-output"},
		{"server without outcome", Consultation, StatusOnHold, StatusCompleted, System, nil, "outcome-output"},
		{"booked", Referral, StatusInProgress, StatusCompleted, Owner, func(_, n *Task, _ *Facts) {
			n.Outputs = []Output{{Type: "outcome", Codes: []Code{{ReferralOutcomeSystem, "attended"}}}}
		}, ""},
		{"booked elsewhere", Referral, StatusInProgress, StatusCompleted, Owner, func(_, n *Task, _ *Facts) {
			n.Outputs = []Output{{Type: "outcome", Codes: []Code{{"urn:x", "attended"}, {ReferralOutcomeSystem, "won"}}}}
		}, "outcome-output"},

		{"advice", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = advice("RETURN_TO_REFERRER_WITH_ADVICE", recommended), []Turn{reply, say}
		}, ""},
		{"advice unsaid", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = advice("RETURN_TO_REFERRER_WITH_ADVICE", recommended), []Turn{say, reply}
		}, "guidance-outcome-output"},
		{"no recommendation", AdviceAndGuidance, StatusOnHold, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = advice("RETURN_TO_REFERRER_WITH_ADVICE"), []Turn{say}
		}, "guidance-outcome-output"},
		{"recommendation only", AdviceAndGuidance, StatusOnHold, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = []Output{recommended}, []Turn{say}
		}, "guidance-outcome-output"},
		{"asking back is no end", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = advice("REQUIRE_FURTHER_INFORMATION", recommended), []Turn{say}
		}, "guidance-outcome-output"},
		{"conversion", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.ConversionAuthorised = advice(providerConverted, referral), true
		}, ""},
		{"conversion to nothing", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.ConversionAuthorised = advice(providerConverted), true
		}, "guidance-outcome-output"},
		{"conversion without leave", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, _ *Facts) {
			n.Outputs = advice(providerConverted, referral)
		}, "conversion-not-authorised"},
		{"conversion beside advice", AdviceAndGuidance, StatusInProgress, StatusCompleted, Clinician, func(_, n *Task, f *Facts) {
			n.Outputs, f.Turns = append(advice("RETURN_TO_REFERRER_WITH_ADVICE", recommended), advice(providerConverted, referral)...), []Turn{say}
		}, "conversion-not-authorised"},

		{"failure", Consultation, StatusInProgress, StatusFailed, Owner, func(_, n *Task, _ *Facts) { n.Reason = true }, ""},
		{"failure unexplained", Consultation, StatusInProgress, StatusFailed, Owner, nil, "status-reason"},
		{"error", MessageReceipt, StatusReady, StatusEnteredInError, Admin, func(_, n *Task, _ *Facts) { n.Reason = true }, ""},
		{"error unexplained", PatientAction, StatusReady, StatusEnteredInError, Admin, nil, "status-reason"},

		{"reopen", Consultation, StatusCompleted, StatusInProgress, Owner, func(_, _ *Task, f *Facts) { f.CompletedAt = day(-28) }, ""},
		{"reopen late", Consultation, StatusCompleted, StatusInProgress, System, func(_, _ *Task, f *Facts) { f.CompletedAt = day(-28).Add(-time.Millisecond) }, "reopen-window-28d"},
		{"reopen what was never", Consultation, StatusCompleted, StatusInProgress, Owner, nil, "reopen-window-28d"},
		{"reopen at no time", Consultation, StatusCompleted, StatusInProgress, Owner, func(_, _ *Task, f *Facts) { f.Now, f.CompletedAt = time.Time{}, day(0) }, "reopen-window-28d"},
		{"further", AdviceAndGuidance, StatusCompleted, StatusInProgress, Requester, func(_, _ *Task, f *Facts) { f.CompletedAt, f.Turns = day(-60), []Turn{say, reply} }, ""},
		{"further late", AdviceAndGuidance, StatusCompleted, StatusInProgress, Requester, func(_, _ *Task, f *Facts) {
			f.CompletedAt, f.Turns = day(-60).Add(-time.Second), []Turn{say, reply}
		}, "further-question-sent-within-60d"},
		{"further unsaid", Referral, StatusCompleted, StatusInProgress, Requester, func(_, _ *Task, f *Facts) { f.CompletedAt, f.Turns = day(-1), []Turn{reply, say} }, "further-question-sent-within-60d"},
		{"further after close", AdviceAndGuidance, StatusCompleted, StatusInProgress, Requester, func(old, n *Task, f *Facts) {
			old.BusinessStatus, n.BusinessStatus, f.CompletedAt, f.Turns = ConversationEndedClosed, "", day(-1), []Turn{say, reply}
		}, "conversation-closed"},
		{"further after conversion", AdviceAndGuidance, StatusCompleted, StatusInProgress, Requester, func(old, n *Task, f *Facts) {
			old.BusinessStatus, n.BusinessStatus, f.CompletedAt, f.Turns = AdviceConverted, "", day(-1), []Turn{say, reply}
		}, "conversation-closed"},

		{"reissue", PrescriptionReissue, StatusAccepted, StatusCompleted, Clinician, func(_, n *Task, _ *Facts) {
			n.Outputs = []Output{{Target: fhir.Key{Type: "MedicationRequest", ID: "1"}}}
		}, ""},
		{"reissue of nothing", PrescriptionReissue, StatusAccepted, StatusCompleted, Clinician, func(_, n *Task, _ *Facts) { n.Outputs = []Output{referral} }, "output-medication-request"},

		{"stopped", Consultation, StatusInProgress, StatusCancelled, System, func(_, _ *Task, f *Facts) { f.AbortAccepted = true }, ""},
		{"stopped by nobody", AdviceAndGuidance, StatusInProgress, StatusCancelled, System, nil, "abort-accepted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old, next := plainTask(c.kind, c.from), plainTask(c.kind, c.to)
			next.Outputs, next.Reason, next.BusinessStatus = nil, false, ""
			f := Facts{Now: moveNow, Match: MatchCurrent}
			if c.edit != nil {
				c.edit(&old, &next, &f)
			}
			d, err := Decide(&old, next, c.roles, f)
			if c.want == "" {
				if err != nil || d.Effect != TaskMoved {
					t.Fatalf("%+v, %v", d, err)
				}
				return
			}
			if class, detail := detailOf(t, err); class != fhir.Unprocessable || detail != c.want {
				t.Errorf("%v %s, want %s", class, detail, c.want)
			}
		})
	}
	codes := map[string]bool{}
	for _, c := range cases {
		codes[c.want] = true
	}
	for kind, k := range readMoveData(t).Kinds {
		for _, m := range k.Moves {
			if !codes[m.Requires] {
				t.Errorf("no case has the precondition %s of %s", m.Requires, kind)
			}
		}
	}
}

// TestHopelessMoves: what no request can meet any more is not offered.
func TestHopelessMoves(t *testing.T) {
	t.Parallel()
	closed := plainTask(AdviceAndGuidance, StatusCompleted)
	closed.BusinessStatus = ConversationEndedClosed
	abort := plainTask(Abort, StatusRequested)
	for name, c := range map[string]struct {
		task Task
		role Roles
		f    Facts
		want string
	}{
		"within":        {plainTask(Consultation, StatusCompleted), Owner, Facts{Now: moveNow, CompletedAt: moveNow}, "in-progress [reopen-window-28d]"},
		"late":          {plainTask(Consultation, StatusCompleted), Owner, Facts{Now: moveNow, CompletedAt: moveNow.AddDate(0, 0, -29)}, ""},
		"closed":        {closed, Requester, Facts{Now: moveNow, CompletedAt: moveNow}, ""},
		"never":         {plainTask(AdviceAndGuidance, StatusCompleted), Requester, Facts{}, "completed [CONVERSATION_ENDED_CLOSED]"},
		"abort":         {abort, Owner, allFacts(""), "accepted, rejected [status-reason]"},
		"abort of none": {abort, Owner, Facts{}, "rejected [status-reason]"},
		"nobody":        {plainTask(Consultation, StatusRequested), 0, allFacts(""), ""},
		"plain":         {Task{Status: StatusRequested}, Owner, Facts{}, ""},
	} {
		if got := listMoves(AvailableActions(c.task, c.role, c.f)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if beginnings("", System) != nil {
		t.Error("plain FHIR has moves")
	}
}

func TestAbort(t *testing.T) {
	t.Parallel()
	accept := func(edit func(*Facts)) (Decision, error) {
		old, next, f := plainTask(Abort, StatusRequested), plainTask(Abort, StatusAccepted), allFacts("")
		old.Key.ID, next.Key.ID = "abort", "abort"
		edit(&f)
		return Decide(&old, next, Owner, f)
	}
	d, err := accept(func(*Facts) {})
	want := []SystemMove{
		{Task: fhir.Key{Type: "Task", ID: "abort"}, From: StatusAccepted, To: StatusCompleted},
		{Task: fhir.Key{Type: "Task", ID: "focus"}, From: StatusInProgress, To: StatusCancelled, BusinessStatus: ConversationEndedCancelled},
	}
	if err != nil || len(d.Follow) != 2 || d.Follow[0] != want[0] || d.Follow[1] != want[1] {
		t.Errorf("%+v, %v, want %+v", d.Follow, err, want)
	}
	for name, edit := range map[string]func(*Facts){
		"unseen":        func(f *Facts) { f.Aborted = nil },
		"other focus":   func(f *Facts) { f.Aborted.Key.ID = "x" },
		"plain":         func(f *Facts) { f.Aborted.Kind = "" },
		"ended":         func(f *Facts) { f.Aborted.Status = StatusCompleted },
		"on hold":       func(f *Facts) { f.Aborted.Status = StatusOnHold },
		"of others":     func(f *Facts) { f.Aborted.Requester = movePatient },
		"at others":     func(f *Facts) { f.Aborted.Owner = movePractice },
		"other patient": func(f *Facts) { f.Aborted.For = fhir.Key{Type: "Patient", ID: "q"} },
		"no work":       func(f *Facts) { f.Aborted.Kind = PatientAction },
	} {
		_, err := accept(edit)
		if _, detail := detailOf(t, err); detail != "abort-not-applicable" {
			t.Errorf("%s: accepted with %s", name, detail)
		}
		f := allFacts("")
		edit(&f)
		if _, err = Decide(nil, plainTask(Abort, StatusRequested), Requester, f); err == nil {
			t.Errorf("%s: created", name)
		}
	}
	f := allFacts("")
	f.AbortOpen = true
	_, err = Decide(nil, plainTask(Abort, StatusRequested), Requester, f)
	if _, detail := detailOf(t, err); detail != "already-requested" {
		t.Errorf("asked twice: %s", detail)
	}
}

func TestBeginningsLack(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*Task){
		"patient-required":   func(t *Task) { t.For = fhir.Key{Type: "Group", ID: "g"} },
		"owner-required":     func(t *Task) { t.Owner = fhir.Key{} },
		"invalid-transition": func(t *Task) { t.BusinessStatus = AdviceConverted },
	} {
		next := plainTask(AdviceAndGuidance, StatusRequested)
		edit(&next)
		_, err := Decide(nil, next, Requester, Facts{})
		if _, detail := detailOf(t, err); detail != want {
			t.Errorf("%s, want %s", detail, want)
		}
	}
	draft := plainTask(AdviceAndGuidance, StatusDraft)
	draft.Owner = fhir.Key{}
	if _, err := Decide(nil, draft, Requester, Facts{}); err != nil {
		t.Errorf("a draft needs no owner yet: %v", err)
	}
}
