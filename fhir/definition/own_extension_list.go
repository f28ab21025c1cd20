package definition

// ownExtensions returns the extensions of the conversation.
func ownExtensions() []ownExtension {
	return append(ownTaskExtensions(), ownOtherExtensions()...)
}

// ownTaskExtensions are those of Tasks and forms.
func ownTaskExtensions() []ownExtension {
	task, form, answers := []string{"Task"}, []string{"Questionnaire"}, []string{"QuestionnaireResponse"}
	is := func(types ...string) []string { return types }
	rule := []ownPart{
		{"id", "By which it is told apart from the others of the form", is("id")},
		{"condition", "When it fires, in FHIRPath over the answers", is("Expression")},
		{"priority", "How urgent what fires it is at least", is("code")},
		{"disposition", "Where the patient is to turn to", is("Coding", "CodeableConcept")},
		{"finding", "What it finds", is("Coding", "CodeableConcept")},
		{"patientMessage", "What the patient is told", is("markdown", "string")},
		{"approver", "Who has approved it", is("string", "Reference")},
		{"approved", "When", is("date", "dateTime")},
		{"approvedVersion", "For which version of the form", is("string")},
	}
	outcome := []ownPart{
		{"rule", "The id of the rule", is("id")},
		{"questionnaire", "The form, with its version", is("canonical")},
		{"disposition", "Where the patient was told to turn to", is("Coding", "CodeableConcept")},
		{"evaluatedAt", "When", is("dateTime")},
	}
	return []ownExtension{
		{"assigned-to", "Assigned to", "The person or team of the owner who sees to a Task.", task, is("Reference"), nil, false},
		{"clock-pause", "Clock pause", "A time at which the clock of a Task stood still. One without an end is still on.", task, is("Period"), nil, true},
		{"filed", "Filed", "Whether all that was said in a conversation has been filed in a record. The server writes it.", task, is("boolean"), nil, false},
		{"identity-state", "Identity state", "That it has not been found out yet who the patient is. The server writes it.", task, is("code"), nil, false},
		{"message-sender", "Sender of the message", "Whose message a receipt is for, and on whose behalf the server has acknowledged a form: they see it. The server writes it.", []string{"Task", "Communication"}, is("Reference"), nil, false},
		{"task-replaces", "Replaces", "The Task that this one was forwarded from.", task, is("Reference"), nil, false},
		{"triage-outcome", "Triage outcome", "A triage rule that has fired.", task, nil, outcome, true},
		{"triage-rule", "Triage rule", "A rule by which answers are triaged.", form, nil, rule, true},
		{"triage-approval", "Triage approval", "Who has approved all triage rules of a version of a form.", form, nil, rule[6:], false},
		{"healthcare-service", "Service", "The HealthcareService that the patient has chosen.", answers, is("Reference"), nil, false},
	}
}

// ownOtherExtensions are those of messages and of what goes with them.
func ownOtherExtensions() []ownExtension {
	is := func(types ...string) []string { return types }
	count := is("integer", "positiveInt", "unsignedInt")
	policy := []ownPart{
		{"mode", "none, once, window or open", is("code")},
		{"until", "When the window closes", is("dateTime", "instant")},
		{"by", "Who may reply", is("code")},
		{"maxAttachments", "How many attachments a reply may have", count},
		{"maxLength", "How many characters a reply may have", count},
	}
	request, contact := []string{"CommunicationRequest"}, []string{"ContactPoint"}
	return []ownExtension{
		{"reply-policy", "Reply policy", "Who may reply to a message, how often and until when.", []string{"Communication", "CommunicationRequest"}, nil, policy, false},
		{"release-to-patient", "Released to the patient", "That the patient may see a message between clinicians.", []string{"Communication"}, is("boolean"), nil, false},
		{"conversion-authorisation", "Conversion authorised", "Whether a specialist may convert a request for advice to a referral, in the words of e-RS.", []string{"ServiceRequest"}, is("Coding", "CodeableConcept", "code"), nil, false},
		{"fallback-after", "Fallback after", "After which time without delivery the next channel is tried.", request, is("Duration"), nil, false},
		{"dispatch-content", "Content that is sent", "Whether the text itself is sent, or a link to it.", request, is("code"), nil, false},
		{"contact-override", "Override of the contact", "Why a contact is used that was not verified.", request, is("string"), nil, false},
		{"contact-verified", "Contact verified", "Whether it was found out that a contact is the patient's.", contact, is("boolean"), nil, false},
		{"contact-opt-out", "Opted out", "A channel that a patient does not want to be reached on, or all.", []string{"Patient"}, is("code"), nil, true},
		{"medication-review-date", "Review date", "When a medication is to be reviewed, after which it is not issued again.", []string{"MedicationRequest"}, is("date", "dateTime"), nil, false},
		{"remote-diary", "Remote diary", "That another system keeps a diary, which has to confirm what is booked.", []string{"Schedule"}, is("boolean"), nil, false},
		{"thread-unread", "Unread messages", "How many messages of the conversation the caller has not read. It stands at the entry of the Task.", []string{"Bundle"}, is("unsignedInt"), nil, false},
		{"booked-with", "Booked with", "The practice whose slots an appointment holds. The server writes it.", []string{"Appointment"}, is("Reference"), nil, false},
	}
}
