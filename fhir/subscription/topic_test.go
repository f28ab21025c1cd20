package subscription

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// registry returns the search parameters of R4 and of the server itself.
func registry(t testing.TB) *search.Registry {
	t.Helper()
	var own []search.Custom
	for i, p := range search.Own() {
		own = append(own, search.Custom{Definition: &p.SearchParameter, Type: p.Base[0], Position: 1000 + i})
	}
	r, err := search.NewRegistry(spec.R4(), base, 1, own)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func documentOf(t testing.TB, r *search.Registry, body string) *document {
	t.Helper()
	if body == "" {
		return nil
	}
	root := decode(t, body).Root()
	ix, err := r.Index(root, root.Child("id").Text())
	if err != nil {
		t.Fatal(err)
	}
	return &document{root, ix}
}

func message(status string) string {
	return fmt.Sprintf(`{"resourceType":"Communication","id":"c","status":%q}`, status)
}

// alert is a message by which the server tells something.
func alert(topic string) string {
	return fmt.Sprintf(`{"resourceType":"Communication","id":"c","status":"completed","category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":"alert"}]}],
		"partOf":[{"reference":"Task/t"}],"topic":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/alert-topic","code":%q}]}}`, topic)
}

// output is what came of a Task, of these types of ours.
func output(types ...string) string {
	var all []string
	for i, t := range types {
		all = append(all, fmt.Sprintf(`{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":%q}]},"valueString":"%d"}`, t, i))
	}
	return `,"output":[` + strings.Join(all, ",") + `]`
}

func appointment(status, more string) string {
	return fmt.Sprintf(`{"resourceType":"Appointment","id":"a","status":%q,"participant":[{"status":"accepted"}]%s}`, status, more)
}

func patient(more string) string { return `{"resourceType":"Patient","id":"p"` + more + `}` }

// TestTopicsFire holds every topic against what became of a resource, and says
// which fire.
func TestTopicsFire(t *testing.T) {
	t.Parallel()
	r := registry(t)
	owner := func(id string) string { return `,"owner":{"reference":"Organization/` + id + `"}` }
	const business = `,"businessStatus":{"coding":[{"code":"ADVICE_CONVERTED"}]}`
	assigned := func(id string) string {
		return `,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/assigned-to","valueReference":{"reference":"Practitioner/` + id + `"}}]`
	}
	for _, c := range []struct{ name, old, now, want string }{
		{"consultation comes in", "", task("t", "consultation", "requested"), "consultation-submitted"},
		{"consultation is diverted at once", "", task("t", "consultation", "rejected"), "consultation-submitted"},
		{"draft", "", task("t", "consultation", "draft"), ""},
		{"draft is sent", task("t", "consultation", "draft"), task("t", "consultation", "requested"), "consultation-submitted task-changed"},
		{"draft is given up", task("t", "consultation", "draft"), task("t", "consultation", "entered-in-error"), "task-changed"},
		{"consultation goes on", task("t", "consultation", "requested"), task("t", "consultation", "received"), "task-changed"},
		{"no kind of ours", `{"resourceType":"Task","id":"t","status":"ready","intent":"order"}`, `{"resourceType":"Task","id":"t","status":"completed","intent":"order"}`, ""},
		{"another owner", task("t", "patient-action", "ready", owner("1")), task("t", "patient-action", "ready", owner("2")), "task-changed"},
		{"due", task("t", "patient-action", "ready"), task("t", "patient-action", "ready", `,"restriction":{"period":{"end":"2026-03-01"}}`), "task-changed"},
		{"assigned", task("t", "patient-action", "ready", assigned("1")), task("t", "patient-action", "ready", assigned("2")), "task-changed"},
		{"a note", task("t", "patient-action", "ready"), task("t", "patient-action", "ready", `,"note":[{"text":"x"}]`), ""},
		{"read", task("t", "message-receipt", "ready"), task("t", "message-receipt", "completed"), "message-read task-changed"},
		{"read already", task("t", "message-receipt", "completed"), task("t", "message-receipt", "completed", owner("1")), "task-changed"},
		{"receipt is made", "", task("t", "message-receipt", "ready"), ""},
		{"advice is asked", "", task("t", "advice-and-guidance", "requested"), ""},
		{"advice comes", task("t", "advice-and-guidance", "in-progress"), task("t", "advice-and-guidance", "completed", output("outcome")), "advice-response-received task-changed"},
		{"referral is booked", task("t", "referral", "in-progress"), task("t", "referral", "completed", output("outcome")), "advice-response-received task-changed"},
		{"referral needs more", task("t", "referral", "in-progress"), task("t", "referral", "on-hold"), "advice-response-received task-changed"},
		{"advice needs more", task("t", "advice-and-guidance", "in-progress"), task("t", "advice-and-guidance", "on-hold"), "advice-response-received task-changed"},
		{"advice is converted", task("t", "advice-and-guidance", "completed"), task("t", "advice-and-guidance", "completed", business), "advice-response-received task-changed"},
		{"filed", task("t", "consultation", "completed"), task("t", "consultation", "completed", output("filed-to-record")), "record-filed"},
		{"filed again", task("t", "consultation", "completed", output("filed-to-record")), task("t", "consultation", "completed", output("filed-to-record", "filed-to-record")), "record-filed"},
		{"other output", task("t", "consultation", "completed", output("filed-to-record")), task("t", "consultation", "completed", output("filed-to-record", "outcome")), ""},
		{"output of the same code elsewhere", task("t", "consultation", "completed"), task("t", "consultation", "completed", strings.ReplaceAll(output("filed-to-record"), "task-io", "x")), ""},
		{"filing is taken back", task("t", "consultation", "completed", output("outcome", "filed-to-record")), task("t", "consultation", "completed", output("outcome")), ""},
		{"due soon", "", alert("response-due-soon"), "message-received task-due-soon"},
		{"overdue", "", alert("response-overdue"), "message-received task-overdue"},
		{"not opened", "", alert("response-not-opened"), "message-received response-not-opened"},
		{"not read", "", alert("unread-escalation"), "message-received unread-escalation"},
		{"not filed", "", alert("filing-overdue"), "message-received filing-overdue"},
		{"an alert is changed", alert("filing-overdue"), strings.Replace(alert("filing-overdue"), `"partOf"`, `"language":"en","partOf"`, 1), ""},
		{"no alert", "", strings.Replace(alert("response-overdue"), `"alert"`, `"consultation"`, 1), "message-received"},
		{"response is there", "", alert("response-received"), "message-received"},
		{"message fails", message("in-progress"), message("not-done"), "message-delivery-failed"},
		{"message has failed", message("not-done"), message("not-done"), ""},
		{"message fails at once", "", message("not-done"), "message-delivery-failed"},
		{"prescription is asked", "", task("t", "prescription-reissue", "requested"), "prescription-request-changed"},
		{"prescription goes on", task("t", "prescription-reissue", "requested"), task("t", "prescription-reissue", "accepted"), "prescription-request-changed task-changed"},
		{"message", "", message("completed"), "message-received"},
		{"message on its way", message("preparation"), message("in-progress"), "message-received"},
		{"message is there", message("in-progress"), message("completed"), ""},
		{"draft of a message", "", message("preparation"), ""},
		{"appointment", "", appointment("booked", ""), "appointment-changed"},
		{"appointment ends", appointment("booked", ""), appointment("fulfilled", ""), "appointment-changed"},
		{"appointment has a note", appointment("booked", ""), appointment("booked", `,"comment":"x"`), ""},
		{"patient", "", patient(""), ""},
		{"patient's number", patient(""), patient(`,"identifier":[{"value":"1"}]`), "patient-identity-changed"},
		{"patient is merged", patient(`,"active":true`), patient(`,"active":false,"link":[{"other":{"reference":"Patient/2"},"type":"replaced-by"}]`), "patient-identity-changed"},
		{"patient moves", patient(""), patient(`,"address":[{"city":"x"}]`), ""},
	} {
		old, now := documentOf(t, r, c.old), documentOf(t, r, c.now)
		fired := map[string]bool{}
		for _, topic := range Topics() {
			all, err := rules(r, &watch{id: "s", topic: &topic, typ: topic.Resource})
			if err != nil {
				t.Fatalf("%s: %v", topic.Name, err)
			}
			for _, rule := range all {
				fires, err := rule.fires(now, func() (*document, error) { return old, nil })
				if err != nil {
					t.Fatal(err)
				}
				if fires && rule.typ == now.index.Key.Type {
					fired[topic.Name] = true
				}
			}
		}
		for _, want := range strings.Fields(c.want) {
			if !fired[want] {
				t.Errorf("%s: %s does not fire", c.name, want)
			}
			delete(fired, want)
		}
		for name := range fired {
			t.Errorf("%s: %s fires", c.name, name)
		}
	}
}

// TestTopicsAreWhole makes sure that what topics name is there, and what they are
// published as.
func TestTopicsAreWhole(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, topic := range Topics() {
		if got := topicOf(topic.URL()); got == nil || got.Name != topic.Name {
			t.Errorf("%s is not found by its URL", topic.Name)
		}
		for _, f := range topic.Filters {
			if r.Param(topic.Resource, f) == nil {
				t.Errorf("%s: %s has no search parameter %s", topic.Name, topic.Resource, f)
			}
		}
		for _, tr := range topic.Triggers {
			typ := spec.R4().Resource(tr.typeOf(&topic))
			for _, p := range tr.Changed {
				name, _, _ := strings.Cut(p, ".")
				if !strings.HasPrefix(p, "extension(") && typ.Element(name) == nil {
					t.Errorf("%s: %s has no element %s", topic.Name, topic.Resource, p)
				}
			}
		}
		var published struct {
			ResourceType, ID, URL string
			ResourceTrigger       []struct{ Resource string }
			CanFilterBy           []struct{ FilterParameter string }
		}
		if err := json.Unmarshal(topic.JSON(), &published); err != nil {
			t.Fatalf("%s: %v", topic.Name, err)
		}
		if published.ResourceType != "SubscriptionTopic" || published.ID != topic.Name || len(published.ResourceTrigger) != len(topic.Triggers) || len(published.CanFilterBy) != len(topic.Filters) {
			t.Errorf("%s is published as %s", topic.Name, topic.JSON())
		}
	}
}
