package subscription

// The code systems that topics go by.
const (
	ownSystem  = "https://fhir.openconsult.example/CodeSystem/"
	ioSystem   = ownSystem + "task-io"           // of the types of outputs
	kinds      = ownSystem + "task-kind|"        // of Task.code
	categories = ownSystem + "message-category|" // of Communication.category
	alerts     = ownSystem + "alert-topic|"      // of Communication.topic
)

// Topics returns the topics that subscriptions can name.
func Topics() []Topic {
	return append(append(taskTopics(), messageTopics()...), timeTopics()...)
}

// taskTopics are those of what becomes of Tasks and what hangs together with them.
func taskTopics() []Topic {
	return []Topic{{
		Name: "consultation-submitted", Title: "Consultation submitted",
		Description: "A patient's online consultation has come in: its Task is there and is no draft. So does one that was diverted.",
		Resource:    "Task", Filters: []string{"owner", "priority", "code"},
		Triggers: []Trigger{{Current: "code=" + kinds + "consultation&status:not=draft,entered-in-error", Previous: "status=draft", Create: true}},
	}, {
		Name: "task-changed", Title: "Task changed",
		Description: "The status, business status, owner, due time or assigned person of a Task of this server's kinds has changed.",
		Resource:    "Task", Filters: []string{"owner", "requester", "patient", "code", "status"},
		Triggers: []Trigger{{Current: "code=" + kinds, Changed: []string{
			"status", "businessStatus", "owner", "restriction.period", "extension(https://fhir.openconsult.example/StructureDefinition/assigned-to)",
		}}},
	}, {
		Name: "advice-response-received", Title: "Advice received",
		Description: "A request for advice and guidance, or a referral, was answered, sent back for more information, rejected, closed or converted.",
		Resource:    "Task", Filters: []string{"requester"},
		Triggers: []Trigger{
			{Current: "code=" + kinds + "advice-and-guidance," + kinds + "referral&status=on-hold,completed,rejected,failed", Changed: []string{"status"}},
			{Current: "code=" + kinds + "advice-and-guidance&business-status=ADVICE_CONVERTED", Changed: []string{"businessStatus"}},
		},
	}, {
		Name: "appointment-changed", Title: "Appointment changed",
		Description: "An Appointment was made, or its status has changed.",
		Resource:    "Appointment", Filters: []string{"practitioner", "patient"},
		Triggers: []Trigger{{Create: true, Changed: []string{"status"}}},
	}, {
		Name: "patient-identity-changed", Title: "Patient identity changed",
		Description: "The identifiers of a Patient have changed, or it was merged with another one or parted from it.",
		Resource:    "Patient", Filters: []string{"organization"},
		Triggers: []Trigger{{Changed: []string{"identifier", "active", "link"}}},
	}, {
		Name: "record-filed", Title: "Record filed",
		Description: "What came of a Task was filed in a record: it has an output filed-to-record that it did not have.",
		Resource:    "Task", Filters: []string{"owner"},
		Triggers: []Trigger{{Current: "code=" + kinds, Added: []string{"output(filed-to-record)"}}},
	}, {
		Name: "prescription-request-changed", Title: "Prescription request changed",
		Description: "The request to issue a prescription again was made, or its status has changed.",
		Resource:    "Task", Filters: []string{"patient", "owner"},
		Triggers: []Trigger{{Current: "code=" + kinds + "prescription-reissue", Create: true, Changed: []string{"status"}}},
	}}
}

// messageTopics are those of what becomes of messages.
func messageTopics() []Topic {
	return []Topic{{
		Name: "message-received", Title: "Message received",
		Description: "A message has reached its recipients, or is on its way to them.",
		Resource:    "Communication", Filters: []string{"recipient", "category", "part-of"},
		Triggers: []Trigger{{Current: "status=completed,in-progress", Previous: "status:not=completed,in-progress", Create: true}},
	}, {
		Name: "message-read", Title: "Message read",
		Description: "A recipient has read a message: its receipt, a Task, is completed.",
		Resource:    "Task", Filters: []string{"requester", "part-of"},
		Triggers: []Trigger{{Current: "code=" + kinds + "message-receipt&status=completed", Previous: "status=ready"}},
	}, {
		Name: "message-delivery-failed", Title: "Message not delivered",
		Description: "A message has reached its recipient on no channel.",
		Resource:    "Communication", Filters: []string{"sender", "recipient", "part-of"},
		Triggers: []Trigger{{Current: "status=not-done", Previous: "status:not=not-done", Create: true}},
	}}
}

// timeTopics are those of what the clock says. Its alert fires them, and they are about
// the Task that the alert is part of.
func timeTopics() []Topic {
	timed := func(name, alert, title, description string) Topic {
		return Topic{
			Name: name, Title: title, Description: description, Resource: "Task", Filters: []string{"owner", "requester", "code"},
			Triggers: []Trigger{{
				Type: "Communication", Focus: "part-of", Current: "category=" + categories + "alert&topic=" + alerts + alert,
				Previous: "topic:not=" + alerts + alert, Create: true,
			}},
		}
	}
	return []Topic{
		timed("task-due-soon", "response-due-soon", "Task due soon", "Most of the time that there is to answer a Task has passed."),
		timed("task-overdue", "response-overdue", "Task overdue", "A Task was not answered by the time at which it is due."),
		timed("response-not-opened", "response-not-opened", "Not opened", "Nobody has opened the answer to a Task, or a Task that cannot wait."),
		timed("unread-escalation", "unread-escalation", "Urgent message not read", "Nobody has read an urgent message of a conversation within its limit."),
		timed("filing-overdue", "filing-overdue", "Filing overdue", "A conversation has ended, and what came of it was not filed in a record in time."),
	}
}
