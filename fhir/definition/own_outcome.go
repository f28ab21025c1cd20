package definition

// outcomes are the codes of OperationOutcome.issue.details by which the conversation's
// refusals and notes are told apart. What breaks a rule of FHIR itself, or of a form, has
// further ones.
func outcomes() []ownCode {
	var all []ownCode
	for _, part := range [][][2]string{moveOutcomes(), messageOutcomes(), serviceOutcomes(), formOutcomes(), requestOutcomes()} {
		for _, c := range part {
			all = append(all, ownCode{Code: c[0], Definition: c[1]})
		}
	}
	return all
}

// moveOutcomes are those of what becomes of Tasks.
func moveOutcomes() [][2]string {
	return [][2]string{
		{"invalid-transition", "Nobody can move the Task so from where it is."},
		{"transition-not-permitted-for-role", "Somebody can move the Task so, but not this caller."},
		{"element-not-permitted-for-role", "Somebody can change this element, but not this caller."},
		{"immutable-element", "This element stays as it was made."},
		{"unknown-task-kind", "Task.code has a kind that there is not."},
		{"several-task-kinds", "Task.code has more than one kind."},
		{"unknown-modifier-extension", "A modifier extension that is not known may change what the resource means."},
		{"abort-accepted", "Only an accepted abort stops this work."},
		{"abort-not-applicable", "The work that is to be aborted is not under way."},
		{"qr-completed-and-valid", "The form has to be completed and in order."},
		{"reason-and-message-to-requester", "Who asked has to be told why, in the same transaction."},
		{"question-sent", "A question has to have been sent that can be answered."},
		{"reply-sent", "The question has to have been answered."},
		{"outcome-output", "The Task needs an output of the type outcome."},
		{"guidance-outcome-output", "The Task needs an outcome, a recommendation and the advice."},
		{"output-medication-request", "The Task needs an output that refers to a MedicationRequest."},
		{"status-reason", "The Task needs a statusReason."},
		{"reopen-window-28d", "What was completed more than 28 days ago stays so."},
		{"further-question-sent-within-60d", "A further question comes within 60 days."},
		{"conversion-not-authorised", "Who asked for advice has not allowed to make a referral of it."},
		{"owner-required", "The Task has to say who must act."},
		{"owner-not-found", "It cannot be found out which organisation must act."},
		{"conversation-closed", "The conversation has ended, and takes no more messages."},
		{"conversation-full", "The conversation has as many messages as it may have."},
		{"conversation-not-deletable", "What is part of a conversation is not deleted."},
		{"not-in-conversation", "The resource is part of no conversation."},
		{"provenance-required", "What is filed needs a Provenance."},
		{"superseded-source", "A version was filed that is not the current one."},
		{"subject-mismatch", "The resource is about another patient than the conversation."},
	}
}

// messageOutcomes are those of messages and of their way to the recipient.
func messageOutcomes() [][2]string {
	return [][2]string{
		{"already-identified", "It is known already whom the Task is for."},
		{"patient-not-active", "The patient is not active."},
		{"part-of-one-task", "A message is part of exactly one Task."},
		{"category-not-allowed", "Messages of this category are not sent by this caller, or not here."},
		{"status-not-allowed", "A message is not sent with this status."},
		{"sender-mismatch", "The sender is another one than the caller."},
		{"identifier-mismatch", "The identifiers are not those of the message or of the conversation."},
		{"recipient-required", "A message needs a recipient."},
		{"recipient-not-in-thread", "The recipient is no party of the conversation."},
		{"recipient-not-known", "A patient turns to nobody but their practice and those who have a Task with them."},
		{"recipient-not-contactable", "The recipient cannot be written to."},
		{"in-response-to-not-in-thread", "The message that is answered is not one of this conversation."},
		{"superseded-context", "There is a newer message than the one that is answered."},
		{"payload-required", "A message needs a text or an attachment."},
		{"message-too-long", "The text is longer than it may be here."},
		{"too-many-attachments", "There are more attachments than there may be here."},
		{"attachment-not-here", "The attachment is not stored on this server."},
		{"attachment-blocked", "The attachment is harmful or broken."},
		{"attachment-pending", "The attachment is being scanned."},
		{"attachment-too-large", "The attachment is larger than it may be here."},
		{"attachment-type", "Attachments of this type are not taken."},
		{"sent-message-immutable", "What was sent does not change."},
		{"retract-not-permitted", "This caller cannot take the message back."},
		{"replies-not-allowed", "The message that is answered takes no replies."},
		{"already-replied", "There is a reply already, and only one is taken."},
		{"reply-window-closed", "The time for replies is over."},
		{"reply-policy-invalid", "The reply policy cannot be read."},
		{"reply-policy-not-allowed", "This message cannot have such a reply policy."},
		{"not-a-recipient", "The caller is no recipient of the message."},
		{"no-permitted-channel", "There is no channel on which the recipient may be reached."},
		{"contact-unverified", "It was not found out whether the contact is the patient's."},
		{"fallback-after-invalid", "The time after which the next channel is tried cannot be read."},
		{"already-sent", "The message has been sent already."},
		{"batch-too-large", "There are more recipients than one request takes."},
		{"request-not-active", "What asks for the message is not active."},
	}
}

// serviceOutcomes are those of services, bookings and prescriptions.
func serviceOutcomes() [][2]string {
	return [][2]string{
		{"healthcare-service-not-available", "The service that was chosen takes no requests."},
		{"outside-hours", "The service is closed now; its clock begins when it opens."},
		{"never-open", "The service never opens, so that nothing can be due."},
		{"emergency-advice", "What the patient is told to do at once."},
		{"calendar-unknown", "There is no such calendar."},
		{"calendar-too-long", "The calendar has more days than can be read."},
		{"time-zone-unknown", "There is no such time zone."},
		{"holiday-not-a-date", "A holiday is not a date."},
		{"hours-empty", "Opening hours have no beginning or end."},
		{"closing-ends-before-start", "A closing ends before it begins."},
		{"preset-unknown", "There is no such preset."},
		{"preset-violated", "The service breaks a rule of its preset."},
		{"sla-unreadable", "A time for an answer cannot be read."},
		{"sla-out-of-range", "A time for an answer is too short or too long."},
		{"escalation-contact-invalid", "The contact for escalations is none that can be told."},
		{"slot-required", "An appointment needs a slot."},
		{"slot-unknown", "There is no such slot."},
		{"slot-unavailable", "The slot is taken."},
		{"slot-held", "Somebody else is booking this Slot; it may become free again."},
		{"slot-not-of-practice", "The practice whose Slot this is does not take part, or its diary is closed."},
		{"booking-not-permitted", "Only the patient and the practice book and cancel here."},
		{"slot-booked", "The slot is booked, and does not become free so."},
		{"slot-in-past", "The slot has begun already."},
		{"slots-not-adjacent", "The slots do not follow one another."},
		{"appointment-holds-slots", "An appointment holds these slots."},
		{"appointment-time-differs", "The appointment is at another time than its slots."},
		{"booking-limit", "The patient has as many bookings as there may be."},
		{"cancelation-reason-required", "A cancellation needs a reason."},
		{"too-late-to-cancel", "It is too late to cancel."},
		{"diary-confirms", "Another system has to confirm what is booked."},
		{"clinical-only", "Only clinical staff can do this."},
		{"questionnaire-mismatch", "The answers are those to another form."},
		{"invalid-provenance-header", "The header X-Provenance has no Provenance, or one that names its target."},
		{"practice-only", "Only the practice can do this."},
		{"patient-required", "It has to be said who the patient is."},
		{"not-a-repeat", "The prescription is none that is issued again."},
		{"review-due", "The medication has to be reviewed first."},
		{"too-early", "It is too early to issue the prescription again."},
		{"already-requested", "The same has been asked for already."},
	}
}

// formOutcomes are those of forms that are submitted, and of triage.
func formOutcomes() [][2]string {
	return [][2]string{
		{"questionnaire-not-found", "There is no such form."},
		{"questionnaire-required", "It has to be said which form is answered."},
		{"questionnaire-broken", "The form itself cannot be used."},
		{"questionnaire-contained", "The form has to be one that is published."},
		{"canonical-duplicate", "There are several forms of this URL and version."},
		{"subject-required", "It has to be said whom the form is about."},
		{"proxy-not-active", "Nobody has allowed the caller to act for the patient, or not any more."},
		{"identity-unverified", "It has not been found out yet who the patient is."},
		{"response-submitted", "What was submitted stays: it is no draft again, and is not taken back."},
		{"amendment-not-by-author", "Only who has sent the answers can amend them."},
		{"amendment-too-late", "The practice has begun, and the answers stay."},
		{"amendment-window-closed", "The time to amend the answers is over."},
		{"triage-not-approved", "Nobody has approved the triage rules of this version of the form."},
		{"triage-rule-unapproved", "Nobody has approved this triage rule for this version of the form."},
		{"triage-rule-condition", "The condition of a triage rule cannot be evaluated."},
		{"triage-rule-id", "A triage rule has no id of its own."},
		{"triage-rule-link-id", "A triage rule asks for a question that there is not."},
		{"triage-rule-priority", "A triage rule has no priority that there is."},
		{"too-many-triage-rules", "The form has more triage rules than there may be."},
		{"item-required", "A question that has to be answered is not."},
		{"item-not-enabled", "A question is answered that is not asked."},
	}
}

// requestOutcomes are those of requests as such.
func requestOutcomes() [][2]string {
	return [][2]string{
		{"if-match-required", "The version that is to be changed has to be named."},
		{"version-conflict", "The resource has changed since."},
		{"insufficient-scope", "The token does not allow this."},
		{"idempotency-key-reused", "The key was used for another request."},
		{"request-in-flight", "The same request is being carried out."},
		{"identifier-in-use", "Something else has this identifier."},
		{"invalid-cursor", "The cursor is none of this server, caller or query."},
		{"cursor-expired", "The cursor is too old; begin anew."},
		{"not-stored", "Nothing was stored; it is safe to repeat the request."},
		{"outcome-unknown", "It is not known whether it was stored; with its key it is safe to repeat the request."},
		{"operation-parameter", "A parameter of an operation is missing or wrong."},
		{"explanation", "How an answer came about."},
	}
}
