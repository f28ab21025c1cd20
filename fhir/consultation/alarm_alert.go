package consultation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// alertTopicSystem is the code system of what an alert is about, Communication.topic.
const alertTopicSystem = Base + "CodeSystem/alert-topic"

// An Alerting is an alarm that is to be told.
type Alerting struct {
	Watched
	Alarm Alarm     // one of [Alarms]
	At    time.Time // which of its soundings it is: Alarm.Due, or one of those that repeat it
	Now   time.Time
}

// Alert returns the message that tells an alarm, and its receipts, in the order in which
// they refer to one another. What is told goes from the server to who waits for the answer, or
// else to who owes it; about a stat Task to the contact for escalations of the service, or
// else to the owner. The ids depend on the Task, the kind and the time only, so that what
// was told already is not told again. It is nil when there is nobody to tell, as when who
// asked and the owner are no resources of this server, or when the Task cannot be read.
func Alert(a Alerting) []Authored {
	c, err := a.conversation()
	if err != nil {
		return nil
	}
	to := a.recipients(c)
	if len(to) == 0 {
		return nil
	}
	id := a.id("alert")
	all := []Authored{{"Communication", id, encode(a.communication(c, id, to))}}
	for _, k := range to {
		receipt := a.id("receipt " + k.String())
		// It says nothing of the patient, who would see it otherwise.
		f := receiptFacts{id: receipt, message: id, task: c.Key.ID, owner: wireReference{Reference: k.String()}, priority: a.priority(), now: a.Now}
		all = append(all, Authored{"Task", receipt, encode(wireReceipt(f))})
	}
	return all
}

// conversation returns the Task that the alert is part of: of a receipt, that of the message.
func (a Alerting) conversation() (Task, error) {
	if a.Conversation != nil {
		return ReadTask(a.Conversation, a.Base)
	}
	return ReadTask(a.Task, a.Base)
}

// id returns a UUID of version 8 that stands for something about this sounding.
// https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
func (a Alerting) id(what string) string {
	sum := sha256.Sum256(encode([]string{a.Task.ID(), string(a.Alarm.Kind), a.At.UTC().Format(time.RFC3339Nano), what}))
	sum[6] = sum[6]&0x0F | 0x80
	sum[8] = sum[8]&0x3F | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// recipients returns whom to tell, each once.
func (a Alerting) recipients(c Task) []fhir.Key {
	var all []fhir.Key
	tell := func(k fhir.Key) {
		if k = a.house(k); isStaff(k) && !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	switch a.Alarm.Kind {
	case TaskDueSoon:
		tell(c.Owner)
		tell(c.Requester)
	case TaskOverdue, ResponseReceived:
		tell(c.Requester)
	case StatNotOpened:
		tell(a.Service.Contact)
	case UnreadEscalation, ResponseNotOpened:
		receipt, _ := ReadTask(a.Task, a.Base) // it has been read for the alarm
		tell(receipt.Owner)
		if a.Alarm.Kind == UnreadEscalation && a.Message != nil {
			tell(ReadMessage(a.Message, a.Base).Sender)
		}
	}
	if len(all) == 0 {
		tell(c.Owner)
	}
	return all
}

// isStaff reports whether k works for health care: patients are told by people.
func isStaff(k fhir.Key) bool {
	return k.ID != "" && slices.Contains([]string{"Organization", "Practitioner", "PractitionerRole", "HealthcareService", "CareTeam"}, k.Type)
}

// An alertMessage is the Communication of an alert.
type alertMessage struct {
	ResourceType string            `json:"resourceType"`
	ID           string            `json:"id"`
	Meta         wireMeta          `json:"meta,omitzero"`
	Identifier   []wireIdentifier  `json:"identifier"`
	BasedOn      []json.RawMessage `json:"basedOn,omitempty"`
	PartOf       []wireReference   `json:"partOf"`
	Status       string            `json:"status"`
	Category     []wireConcept     `json:"category"`
	Priority     string            `json:"priority"`
	Subject      json.RawMessage   `json:"subject,omitempty"`
	Topic        wireConcept       `json:"topic"`
	About        []wireReference   `json:"about"`
	Sent         string            `json:"sent"`
	Recipient    []json.RawMessage `json:"recipient"`
	Sender       wireReference     `json:"sender"`
	Payload      []wirePayload     `json:"payload"`
}

func (a Alerting) communication(c Task, id string, to []fhir.Key) alertMessage {
	task := wireReference{Reference: c.Key.String()}
	m := alertMessage{
		ResourceType: "Communication", ID: id, Meta: wireMeta{Profile: []string{ukCore + "Communication"}},
		Identifier: []wireIdentifier{{MessageIDSystem, a.id("message")}},
		PartOf:     []wireReference{task}, Status: "completed",
		Category: []wireConcept{conceptOf(CategorySystem, CategoryAlert, "")},
		Priority: a.priority(), Subject: rawOf(c.root.Child("for")),
		Topic: conceptOf(alertTopicSystem, a.topic(), ""), About: []wireReference{task},
		Sent:    dateTime(a.Now.In(a.Service.Core.Zone())),
		Sender:  wireReference{Reference: serverDevice, Display: "Consultation server"},
		Payload: []wirePayload{{a.text(c)}},
	}
	if c.Thread != "" {
		m.Identifier = append(m.Identifier, wireIdentifier{ThreadSystem, c.Thread})
	}
	for n := range c.root.Each("basedOn") {
		m.BasedOn = append(m.BasedOn, rawOf(n))
	}
	for _, k := range []fhir.Key{c.Focus, a.about()} {
		if k.ID != "" {
			m.About = append(m.About, wireReference{Reference: k.String()})
		}
	}
	for _, k := range to {
		m.Recipient = append(m.Recipient, a.reference(c, k))
	}
	return m
}

// about returns the message that was not read.
func (a Alerting) about() fhir.Key {
	if a.Message == nil {
		return fhir.Key{}
	}
	return fhir.Key{Type: "Communication", ID: a.Message.ID()}
}

// reference returns a Reference to k as the Task has it, with what else it says there.
func (a Alerting) reference(c Task, k fhir.Key) json.RawMessage {
	for _, n := range []fhir.Node{c.root.Child("requester"), c.root.Child("owner")} {
		if target(n, a.Base) == k {
			return rawOf(n)
		}
	}
	return encode(wireReference{Reference: k.String()})
}

// rawOf returns the JSON of n; nil when there is none.
func rawOf(n fhir.Node) json.RawMessage {
	if n.IsZero() {
		return nil
	}
	return slices.Clone(json.RawMessage(n.Raw()))
}

// topic returns the code of what the alert is about.
func (a Alerting) topic() string {
	switch a.Alarm.Kind {
	case TaskDueSoon:
		return "response-due-soon"
	case TaskOverdue:
		return "response-overdue"
	case StatNotOpened:
		return string(ResponseNotOpened)
	}
	return string(a.Alarm.Kind)
}

// priority returns how urgent the alert is.
func (a Alerting) priority() string {
	switch a.Alarm.Kind {
	case StatNotOpened:
		return "stat"
	case TaskDueSoon, FilingOverdue, ResponseReceived:
		return "routine"
	}
	return "urgent"
}

// shownTime is how a time is written in an alert.
const shownTime = "2 Jan 2006 15:04"

// text returns what the alert says, without anything of what was written.
func (a Alerting) text(c Task) string {
	what, due := a.name(c.Kind), a.Alarm.Due.In(a.Service.Core.Zone()).Format(shownTime)
	switch a.Alarm.Kind {
	case TaskDueSoon:
		return "A reply to " + what + " is due by " + a.end().In(a.Service.Core.Zone()).Format(shownTime) + "."
	case TaskOverdue:
		return "No reply to " + what + " by the agreed time (" + due + ")."
	case StatNotOpened:
		return "Nobody has opened " + what + ", which is immediate (stat). Open it now."
	case FilingOverdue:
		return "The completed " + what + " was not filed to the record by " + due + "."
	case ResponseReceived:
		return "There is a reply to " + what + "."
	case ResponseNotOpened:
		return "The reply to " + what + " was not opened by " + due + "."
	}
	return "An urgent message about " + what + " was not read by " + due + "."
}

// name names the request by its kind and, where it has one, its number.
func (a Alerting) name(k Kind) string {
	name := map[Kind]string{
		AdviceAndGuidance: "advice request", Referral: "referral", PrescriptionReissue: "prescription request", PatientAction: "request to the patient",
	}[k]
	if name == "" {
		name = "consultation"
	}
	if a.Request != nil {
		if number := identifierIn(a.Request.Root(), "https://fhir.nhs.uk/Id/UBRN"); number != "" {
			name += " " + number
		}
	}
	return name
}
