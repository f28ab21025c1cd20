package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// The days in which a completed Task may be opened again.
const (
	reopenDays  = 28 // a consultation
	furtherDays = 60 // advice and guidance, a referral
)

// unmet returns why t may not be made of next, as far as that is no question of status
// or role; nil when nothing stands in the way.
func (t transition) unmet(old, next Task, f Facts) *fhir.Outcome {
	switch {
	case slices.Contains(t.unless, old.BusinessStatus):
		return refuse(fhir.BusinessRule, "conversation-closed", "", "This conversation has been closed; begin a new one.")
	case old.Status == StatusDraft && t.to == StatusRequested && next.Owner.ID == "":
		return ownerRequired()
	case old.Kind == Abort && t.to == StatusAccepted && !f.abortable(old):
		return notAbortable()
	}
	return missing(t.requires, next, f)
}

// missing returns what is wrong when the precondition with the given code is not met; nil
// when it is, or there is none.
func missing(code string, next Task, f Facts) *fhir.Outcome {
	if code == "guidance-outcome-output" && next.converted() && !f.ConversionAuthorised {
		return refuse(fhir.BusinessRule, "conversion-not-authorised", "Task.output",
			"Who asked for advice has not authorised its conversion into a referral; answer with advice instead.")
	}
	if met(code, next, f) {
		return nil
	}
	expression, text := wanted(code)
	return refuse(fhir.BusinessRule, code, expression, "%s", text)
}

// met says whether a precondition is met. An unknown one is not.
func met(code string, next Task, f Facts) bool {
	switch code {
	case "":
		return true
	case "qr-completed-and-valid":
		return f.FormValid
	case "reason-and-message-to-requester":
		return next.Reason && f.told()
	case "question-sent":
		return f.asked()
	case "reply-sent":
		return f.replied()
	case "outcome-output":
		return next.hasOutcome()
	case "guidance-outcome-output":
		return next.advises(f)
	case "status-reason":
		return next.Reason
	case "reopen-window-28d":
		return f.within(reopenDays)
	case "further-question-sent-within-60d":
		return f.furthered() && f.within(furtherDays)
	case "output-medication-request":
		return next.pointsTo("MedicationRequest")
	case "abort-accepted":
		return f.AbortAccepted
	}
	return false
}

// wanted returns the element that a precondition is about, and what to do about it.
func wanted(code string) (expression, text string) {
	switch code {
	case "qr-completed-and-valid":
		return "Task.focus", "The form in the focus is not completed, or does not answer its Questionnaire; complete it first."
	case "reason-and-message-to-requester":
		return "Task.statusReason", "Nobody is turned away in silence: give a statusReason, and send the requester a message in the same transaction."
	case "question-sent":
		return "", "Send a question whose reply policy allows an answer, before this or in the same transaction."
	case "reply-sent":
		return "", "Answer the open question, before this or in the same transaction."
	case "outcome-output":
		return "Task.output", "Add an output of the type outcome, with a code that this kind of Task allows."
	case "guidance-outcome-output":
		return "Task.output", "Add the outputs guidance-outcome and intended-recommendation with codes of e-RS, and send the advice as a message; for a conversion add guidance-outcome and referral."
	case "status-reason":
		return "Task.statusReason", "Say why: give a statusReason with a text or code."
	case "reopen-window-28d":
		return "", "It is more than 28 days since this was completed; begin a new conversation."
	case "further-question-sent-within-60d":
		return "", "Send a further question in the same transaction; 60 days after the completion begin a new conversation."
	case "output-medication-request":
		return "Task.output", "Add an output that refers to the MedicationRequest issued."
	}
	return "", "This is done by the server only."
}

// hasOutcome says whether t has an output of the type outcome, one of those of its kind
// if the kind lists some.
func (t Task) hasOutcome() bool {
	if r := machine().kinds[t.Kind]; r.outcomes != nil {
		return t.has("outcome", r.outcomeIn, r.outcomes...)
	}
	return t.hasType("outcome")
}

// advises says whether t holds advice, or is converted into a referral.
func (t Task) advises(f Facts) bool {
	if t.converted() {
		return slices.ContainsFunc(t.Outputs, func(o Output) bool { return o.Type == "referral" && o.Target.Type == "ServiceRequest" })
	}
	return t.has("guidance-outcome", AdviceOutcomeSystem, "RETURN_TO_REFERRER_WITH_ADVICE") &&
		t.has("intended-recommendation", RecommendationSystem, "ADVICE_ONLY_NO_REFERRAL_RECOMMENDED",
			"ADVICE_FOLLOWED_BY_REFERRAL_IF_REQUIRED", "REFERRAL_RECOMMENDED", "OTHER") && f.answered()
}

func ownerRequired() *fhir.Outcome {
	return refuse(fhir.Required, "owner-required", "Task.owner", "Say who must act: give an owner with a literal reference to this server.")
}
