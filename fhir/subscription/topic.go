package subscription

import (
	"encoding/json"
	"slices"
	"strings"
)

// canonicalBase begins the canonical URL of every topic.
const canonicalBase = "https://fhir.openconsult.example/SubscriptionTopic/"

// kinds is the code system of what Task.code says of our Tasks.
const kinds = "https://fhir.openconsult.example/CodeSystem/task-kind|"

// A Topic is something that subscriptions can be about. R4 has no such resource:
// a Subscription names a topic by its canonical URL.
// https://hl7.org/fhir/R5/subscriptiontopic.html
type Topic struct {
	Name        string // "task-changed"
	Title       string
	Description string
	Resource    string // the type of what its events are about
	Triggers    []Trigger
	Filters     []string // search parameters of Resource that a subscription may narrow it by
}

// A Trigger says which versions fire a topic: those that meet Current, if Create is
// set and there was none before, or the version before met Previous and one of
// Changed is no longer the same. Deletions fire nothing.
type Trigger struct {
	Current  string   // criteria, as in a query
	Previous string   // criteria; empty: any
	Create   bool     // a first version fires it, too
	Changed  []string // paths of elements, "restriction.period"; an extension by "extension(url)"; none: nothing need have
}

// URL returns the canonical URL of t.
func (t Topic) URL() string { return canonicalBase + t.Name }

// Topics returns the topics that subscriptions can name.
func Topics() []Topic {
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
		Name: "advice-response-received", Title: "Advice received",
		Description: "A request for advice and guidance was answered, sent back for more information, rejected, closed or converted.",
		Resource:    "Task", Filters: []string{"requester"},
		Triggers: []Trigger{
			{Current: "code=" + kinds + "advice-and-guidance&status=on-hold,completed,rejected,failed", Changed: []string{"status"}},
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
		Description: "What came of a Task was filed: it has other output than before.",
		Resource:    "Task", Filters: []string{"owner"},
		Triggers: []Trigger{{Current: "code=" + kinds, Changed: []string{"output"}}},
	}, {
		Name: "prescription-request-changed", Title: "Prescription request changed",
		Description: "The request to issue a prescription again was made, or its status has changed.",
		Resource:    "Task", Filters: []string{"patient", "owner"},
		Triggers: []Trigger{{Current: "code=" + kinds + "prescription-reissue", Create: true, Changed: []string{"status"}}},
	}}
}

// topicOf returns the topic that a canonical URL names, with a version or without,
// or nil.
func topicOf(canonical string) *Topic {
	url, version, _ := strings.Cut(canonical, "|")
	all := Topics()
	i := slices.IndexFunc(all, func(t Topic) bool { return t.URL() == url })
	if i < 0 || version != "" && version != topicVersion {
		return nil
	}
	return &all[i]
}

// topicVersion is the business version of the topics.
const topicVersion = "1.0.0"

// JSON returns t as a SubscriptionTopic of R5.
func (t Topic) JSON() []byte {
	type criteria struct {
		Previous string `json:"previous,omitempty"`
		Create   string `json:"resultForCreate"`
		Current  string `json:"current,omitempty"`
		Delete   string `json:"resultForDelete"`
		Both     bool   `json:"requireBoth"`
	}
	type trigger struct {
		Description string   `json:"description,omitempty"`
		Resource    string   `json:"resource"`
		Supported   []string `json:"supportedInteraction"`
		Criteria    criteria `json:"queryCriteria"`
	}
	type filter struct {
		Resource  string `json:"resource"`
		Parameter string `json:"filterParameter"`
	}
	type shape struct {
		Resource string `json:"resource"`
	}
	topic := struct {
		ResourceType string    `json:"resourceType"`
		ID           string    `json:"id"`
		URL          string    `json:"url"`
		Version      string    `json:"version"`
		Title        string    `json:"title"`
		Status       string    `json:"status"`
		Description  string    `json:"description"`
		Triggers     []trigger `json:"resourceTrigger"`
		Filters      []filter  `json:"canFilterBy"`
		Shapes       []shape   `json:"notificationShape"`
	}{
		ResourceType: "SubscriptionTopic", ID: t.Name, URL: t.URL(), Version: topicVersion, Title: t.Title, Status: "active", Description: t.Description,
		Shapes: []shape{{t.Resource}},
	}
	for _, tr := range t.Triggers {
		x := trigger{Resource: t.Resource, Supported: []string{"update"}, Criteria: criteria{tr.Previous, "test-fails", tr.Current, "test-fails", true}}
		if tr.Create {
			x.Supported, x.Criteria.Create = []string{"create", "update"}, "test-passes"
		}
		if len(tr.Changed) > 0 {
			x.Description = "An update fires if one of these has changed: " + strings.Join(tr.Changed, ", ") + "."
		}
		topic.Triggers = append(topic.Triggers, x)
	}
	for _, f := range t.Filters {
		topic.Filters = append(topic.Filters, filter{t.Resource, f})
	}
	return text(topic)
}

// text returns v, which can be written, as JSON.
func text(v any) []byte {
	var b strings.Builder
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	if err := w.Encode(v); err != nil {
		panic("write JSON: " + err.Error())
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
