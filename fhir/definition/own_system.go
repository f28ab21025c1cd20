package definition

// An ownSystem is a code system of this server itself.
type ownSystem struct {
	name, title, description string
	codes                    []ownCode
	open                     bool // others may use codes of their own beside these
}

type ownCode struct {
	Code       string `json:"code"`
	Display    string `json:"display,omitempty"`
	Definition string `json:"definition"`
}

// resource returns s as a CodeSystem.
func (s ownSystem) resource() any {
	content := "complete"
	if s.open {
		content = "fragment"
	}
	return struct {
		ownHead
		CaseSensitive bool      `json:"caseSensitive"`
		Content       string    `json:"content"`
		Count         int       `json:"count"`
		Concept       []ownCode `json:"concept"`
	}{headOf("CodeSystem", s.name, s.title, s.description), true, content, len(s.codes), s.codes}
}

// ownSystems returns the code systems of the conversation.
func ownSystems() []ownSystem {
	return []ownSystem{
		{"alert-topic", "What an alert is about", "Communication.topic of the messages by which the server alerts.", alertTopics(), false},
		{"business-status", "Where a consultation is", "Task.businessStatus of a consultation. Advice and guidance, and referrals, use that of e-RS.", businessStatuses(), false},
		{"label", "Labels of the server", "meta.security of what the server hides.", []ownCode{
			{"RETRACTED", "Retracted", "Who has sent it has taken it back. Nobody but auditors sees it, or what it was."},
		}, false},
		{"message-category", "What a message is", "Communication.category of the messages of a conversation.", messageCategories(), false},
		{"outcome", "Why something is refused", "OperationOutcome.issue.details: what clients may rely on to tell situations apart.", outcomes(), true},
		{"referral-outcome", "What came of a referral", "The output outcome of a Task of the kind referral.", referralOutcomes(), false},
		{"scan-state", "What was found in an attachment", "What is known of the content of a Binary or Attachment. Only AVAILABLE says that it was scanned and nothing was found.", scanStates(), false},
		{"task-io", "What goes into a Task and comes of it", "The type of inputs and outputs of Tasks.", taskIO(), true},
		{"task-kind", "What a Task is", "Task.code of the Tasks that are conversations, and of those that go along with them.", taskKinds(), false},
		{"task-reason", "Why a Task ended", "Task.statusReason where the server writes it.", []ownCode{
			{"forwarded", "Forwarded", "The owner has passed the Task on to another organisation, for which there is a Task of its own."},
		}, true},
	}
}

func alertTopics() []ownCode {
	return []ownCode{
		{"response-received", "Response received", "What was asked has been answered."},
		{"response-due-soon", "Response due soon", "Most of the time that there is for an answer has passed."},
		{"response-overdue", "Response overdue", "There was no answer in time."},
		{"response-not-opened", "Not opened", "Nobody has opened the answer, or what cannot wait."},
		{"unread-escalation", "Urgent message not read", "Nobody has read an urgent message within its limit."},
		{"filing-overdue", "Filing overdue", "What came of a conversation was not filed in a record in time."},
		{"delivery-failed", "Delivery failed", "A message has reached its recipient on no channel."},
	}
}

func businessStatuses() []ownCode {
	return []ownCode{
		{"new", "New", "Nothing particular is known of the request."},
		{"diverted-emergency", "Diverted to emergency care", "The patient was shown where to turn to at once; the practice was told."},
		{"identity-unverified", "Patient not identified yet", "It has to be found out who the patient is before anything is filed."},
		{"possible-duplicate", "Possible duplicate", "It is much like an earlier request of the same patient."},
		{"awaiting-scan", "Awaiting scan", "An attachment is being scanned."},
	}
}

func messageCategories() []ownCode {
	return []ownCode{
		{"consultation", "Consultation", "Between a patient and a practice."},
		{"advice-and-guidance", "Advice and guidance", "Between clinicians, about a patient, who sees it only when it is released."},
		{"acknowledgement", "Acknowledgement", "The server's answer to who has submitted a form."},
		{"alert", "Alert", "The server tells that something has happened, or has not."},
		{"internal-note", "Internal note", "For the sender's own organisation alone."},
		{"auto-reply", "Automatic reply", "Sent by a system without anybody having looked."},
	}
}

func referralOutcomes() []ownCode {
	return []ownCode{
		{"booked", "Booked", "The patient has an appointment."},
		{"attended", "Attended", "The patient was seen."},
		{"declined", "Declined", "The patient does not want what was offered."},
		{"closed", "Closed", "The referral ended otherwise."},
	}
}

func scanStates() []ownCode {
	return []ownCode{
		{"AVAILABLE", "Available", "It was scanned, and nothing was found."},
		{"PENDING", "Pending", "It has not been scanned yet, and is not given out."},
		{"THREATS_FOUND", "Threats found", "It is harmful, and is not given out."},
		{"VALIDATION_FAILED", "Validation failed", "It is not what it says, and is not given out."},
		{"NOT_SCANNED", "Not scanned", "There is no scanner: nothing is claimed."},
	}
}

func taskIO() []ownCode {
	return []ownCode{
		{"questionnaire-response", "Answers", "The version of the QuestionnaireResponse that came in."},
		{"red-flag", "Red flag", "An answer by which a triage rule has fired."},
		{"supporting-document", "Supporting document", "A document that goes with what is asked."},
		{"outcome", "Outcome", "What came of the conversation."},
		{"guidance-outcome", "Outcome of advice", "What came of advice and guidance, in the words of e-RS."},
		{"intended-recommendation", "Recommendation", "What a specialist recommends, in the words of e-RS."},
		{"advice", "Advice", "The message that has the advice."},
		{"referral", "Referral", "The ServiceRequest that advice was converted to."},
		{"filed-to-record", "Filed to record", "What the record has filed of the conversation, by its own identifier."},
		{"appointment", "Appointment", "The Appointment that was booked."},
		{"medication-request", "Medication request", "What was prescribed again."},
	}
}

func taskKinds() []ownCode {
	return []ownCode{
		{"consultation", "Consultation", "A patient asks a practice."},
		{"advice-and-guidance", "Advice and guidance", "A clinician asks a specialist."},
		{"referral", "Referral", "A patient is handed on to a specialist."},
		{"prescription-reissue", "Repeat prescription", "A patient asks for a prescription to be issued again."},
		{"patient-action", "Patient action", "Something for the patient to do."},
		{"message-receipt", "Message receipt", "Whether a recipient has read a message."},
		{"abort", "Abort", "The request to stop work that is under way."},
	}
}
