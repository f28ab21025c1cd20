package subscription

import (
	"encoding/json"
	"slices"
	"strings"
)

// canonicalBase begins the canonical URL of every topic.
const canonicalBase = "https://fhir.openconsult.example/SubscriptionTopic/"

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
// set and there was none before, or the version before met Previous, one of
// Changed is no longer the same and one of Added has more. Deletions fire nothing.
type Trigger struct {
	Type     string   // of the versions; empty: that of the topic
	Focus    string   // by which search parameter they name what the event is about; empty: it is about them
	Current  string   // criteria, as in a query
	Previous string   // criteria; empty: any
	Create   bool     // a first version fires it, too
	Changed  []string // paths of elements, "restriction.period"; an extension by "extension(url)"; none: nothing need have
	Added    []string // names of elements that repeat, "output(code)" for those of a type of ours; none: nothing need be
}

// typeOf returns the type of the versions that may fire t, one of the triggers of a topic.
func (t Trigger) typeOf(of *Topic) string {
	if t.Type != "" {
		return t.Type
	}
	return of.Resource
}

// URL returns the canonical URL of t.
func (t Topic) URL() string { return canonicalBase + t.Name }

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
		x := trigger{Resource: tr.typeOf(&t), Supported: []string{"update"}, Criteria: criteria{tr.Previous, "test-fails", tr.Current, "test-fails", true}}
		if tr.Create {
			x.Supported, x.Criteria.Create = []string{"create", "update"}, "test-passes"
		}
		x.Description = tr.describe()
		topic.Triggers = append(topic.Triggers, x)
	}
	for _, f := range t.Filters {
		topic.Filters = append(topic.Filters, filter{t.Resource, f})
	}
	return text(topic)
}

// describe says what criteria do not; "" for nothing.
func (t Trigger) describe() string {
	var all []string
	if len(t.Changed) > 0 {
		all = append(all, "An update fires if one of these has changed: "+strings.Join(t.Changed, ", ")+".")
	}
	if len(t.Added) > 0 {
		all = append(all, "An update fires if there are more of these: "+strings.Join(t.Added, ", ")+".")
	}
	if t.Focus != "" {
		all = append(all, "The event is about what its "+t.Focus+" names.")
	}
	return strings.Join(all, " ")
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
