package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The categories of messages, codes of [CategorySystem].
const (
	CategoryConsultation    = "consultation"
	CategoryAdvice          = "advice-and-guidance"
	CategoryAcknowledgement = "acknowledgement" // by the server only, like the next and the last
	CategoryAlert           = "alert"
	CategoryInternalNote    = "internal-note" // within one organisation
	CategoryAutoReply       = "auto-reply"
)

// categories are all that are ours.
func categories() []string {
	return []string{CategoryConsultation, CategoryAdvice, CategoryAcknowledgement, CategoryAlert, CategoryInternalNote, CategoryAutoReply}
}

// A Message is what the rules look at of a Communication that is stored.
type Message struct {
	Key         fhir.Key
	Task        fhir.Key // that it is part of; empty outside of conversations
	Status      string
	Category    string // empty when it is none of ours
	Sender      fhir.Key
	Recipients  []fhir.Key
	InReplyTo   fhir.Key // empty when it answers nothing
	Sent        time.Time
	Policy      *Policy // nil when it has none
	Released    bool    // a patient may see it although it is none of theirs
	Identifier  string  // of the message
	Unspeakable bool    // its policy cannot be read, so it allows nothing
}

// releaseURL is the extension of a message between clinicians that the patient may see: a
// valueBoolean.
const releaseURL = extensionBase + "release-to-patient"

// ReadMessage reads a Communication; base is the address of this server.
func ReadMessage(r *fhir.Resource, base string) Message {
	n := r.Root()
	m := Message{
		Key:        fhir.Key{Type: "Communication", ID: r.ID()},
		Status:     n.Child("status").Text(),
		Sender:     target(n.Child("sender"), base),
		InReplyTo:  target(n.Child("inResponseTo"), base),
		Released:   n.Extension(releaseURL).Child("value").Text() == "true",
		Identifier: identifierIn(n, MessageIDSystem),
	}
	m.Sent, _ = time.Parse(time.RFC3339, n.Child("sent").Text())
	for category := range n.Each("category") {
		if c := codeIn(category, CategorySystem); c != "" && m.Category == "" {
			m.Category = c
		}
	}
	for to := range n.Each("recipient") {
		m.Recipients = append(m.Recipients, target(to, base))
	}
	for part := range n.Each("partOf") {
		if k := target(part, base); k.Type == "Task" {
			m.Task = k
		}
	}
	policy, err := ReadPolicy(n)
	m.Policy, m.Unspeakable = policy, err != nil
	return m
}

// identifierIn returns the value of the first identifier of a system, or "".
func identifierIn(n fhir.Node, system string) string {
	for id := range n.Each("identifier") {
		if id.Child("system").Text() == system {
			return id.Child("value").Text()
		}
	}
	return ""
}

// RepeatsMessage reports whether a message that is sent says what one that is kept says: it has
// no element that the other has otherwise, but for what the server sets.
func RepeatsMessage(sent, kept fhir.Node) bool {
	for n := range sent.Children() {
		switch name := n.Name(); name {
		case "id", "meta", "identifier", "status", "category", "text":
		default:
			if !slices.EqualFunc(slices.Collect(sent.Each(name)), slices.Collect(kept.Each(name)), sameNode) {
				return false
			}
		}
	}
	return len(slices.Collect(sent.Each("payload"))) == len(slices.Collect(kept.Each("payload")))
}

// isSaid reports whether m has been said and not been taken back.
func (m Message) isSaid() bool {
	switch m.Status {
	case "in-progress", "completed", "unknown":
		return true
	}
	return false
}

// isTalk reports whether m is part of the exchange, not of what surrounds it.
func (m Message) isTalk() bool {
	return m.isSaid() && m.Category != CategoryAcknowledgement && m.Category != CategoryAlert &&
		m.Category != CategoryInternalNote && m.Category != CategoryAutoReply
}

// A Conversation is a Task with what hangs on it. It must be read with the row of the Task
// locked, in the transaction that stores the result: Task, Messages and CompletedAt are what
// the reply policies are held against.
type Conversation struct {
	Task        Task
	Base        string                // the address of this server
	Messages    []Message             // of the Task and, as far as they exist, others of its thread
	Parties     map[fhir.Key]fhir.Key // for whom a PractitionerRole, Practitioner, HealthcareService or CareTeam stands: an Organization; a RelatedPerson: the Patient
	CompletedAt time.Time             // when the Task became completed last; zero when it never did
}

// stand returns for whom k stands, which is k itself when nobody says otherwise.
func (c Conversation) stand(k fhir.Key) fhir.Key {
	if s := c.Parties[k]; s.ID != "" {
		return s
	}
	return k
}

// standsFor reports whether k is a party, or stands for it.
func (c Conversation) standsFor(k, party fhir.Key) bool {
	return k.ID != "" && c.stand(k) == c.stand(party)
}

// party returns the party of the Task that k stands for; the empty Key when it is none.
func (c Conversation) party(k fhir.Key) fhir.Key {
	for _, p := range []fhir.Key{c.Task.Owner, c.Task.Requester} {
		if c.standsFor(k, p) {
			return p
		}
	}
	if c.facesPatient() && c.standsFor(k, c.Task.For) {
		return c.Task.For
	}
	return fhir.Key{}
}

// facesPatient reports whether the patient is a party to the conversation by being its
// subject. Clinicians talk about patients among themselves in the others.
func (c Conversation) facesPatient() bool {
	switch c.Task.Kind {
	case Consultation, PrescriptionReissue, PatientAction:
		return true
	}
	return false
}

// side returns the side that k is on. In a conversation that the owner began, the patient
// stands on the side of the requester.
func (c Conversation) side(k fhir.Key) Side {
	p := c.party(k)
	switch {
	case p.ID == "":
		return 0
	case p == c.Task.Owner:
		return OwnerSide
	}
	return RequesterSide
}

// isPatient reports whether the caller is the patient or an active proxy, in a conversation
// that has the patient for a party.
func (c Conversation) isPatient(caller Caller) bool {
	return c.facesPatient() && c.Task.For.Type == "Patient" && caller.is(c.Task.For, c.Task)
}

// house returns the party that the caller works for; the empty Key for others.
func (c Conversation) house(caller Caller) fhir.Key {
	for _, p := range []fhir.Key{c.Task.Owner, c.Task.Requester} {
		if p.ID == "" || p.Type == "Patient" || p.Type == "RelatedPerson" {
			continue
		}
		if caller.is(p, c.Task) || caller.is(c.stand(p), c.Task) {
			return p
		}
	}
	return fhir.Key{}
}

// Shows reports whether the caller may see a message of the conversation. Who works for a
// party sees what was sent, but the drafts and internal notes of its own organisation only;
// a patient or proxy sees what they sent or were sent, what a proxy writes in the patient's place,
// or what was released to them. What was retracted is seen by nobody.
// https://hl7.org/fhir/R4/compartmentdefinition-patient.html would show a patient more.
func (c Conversation) Shows(m Message, caller Caller) bool {
	if m.Status == "entered-in-error" {
		return false
	}
	if house := c.house(caller); house.ID != "" {
		if c.standsFor(m.Sender, house) || slices.Contains(caller.Persons, m.Sender) {
			return true
		}
		return m.Status != "preparation" && m.Category != CategoryInternalNote && (m.Task == c.Task.Key || c.concerns(m, caller))
	}
	byProxy := m.Sender.Type == "RelatedPerson" && caller.is(c.Task.For, c.Task)
	if m.Status == "preparation" {
		return byProxy || caller.is(m.Sender, c.Task)
	}
	if m.Category == CategoryInternalNote {
		return false
	}
	return c.concerns(m, caller) || byProxy || m.Released && caller.is(c.Task.For, c.Task)
}

// concerns reports whether the caller has sent a message or was sent it, as themselves or as
// a member of an organisation.
func (c Conversation) concerns(m Message, caller Caller) bool {
	return slices.ContainsFunc(append([]fhir.Key{m.Sender}, m.Recipients...), func(k fhir.Key) bool {
		return caller.is(k, c.Task) || c.stand(k).Type == "Organization" && caller.is(c.stand(k), c.Task)
	})
}

// find returns a message of the thread, and whether the caller may see it.
func (c Conversation) find(k fhir.Key, caller Caller) (Message, bool) {
	i := slices.IndexFunc(c.Messages, func(m Message) bool { return m.Key == k })
	if i < 0 || !c.Shows(c.Messages[i], caller) {
		return Message{}, false
	}
	return c.Messages[i], true
}

// Turns returns what [Decide] asks of the messages of the Task, oldest first.
func (c Conversation) Turns() []Turn {
	said := slices.DeleteFunc(slices.Clone(c.Messages), func(m Message) bool { return m.Task != c.Task.Key || !m.isTalk() })
	slices.SortStableFunc(said, func(a, b Message) int { return a.Sent.Compare(b.Sent) })
	turns := make([]Turn, len(said))
	for i, m := range said {
		turns[i] = c.turn(m)
	}
	return turns
}

func (c Conversation) turn(m Message) Turn {
	return Turn{By: c.side(m.Sender), Asks: c.mayBeAnswered(m), ToRequester: slices.ContainsFunc(m.Recipients, func(k fhir.Key) bool {
		return c.side(k) == RequesterSide
	})}
}

// mayBeAnswered reports whether somebody may answer a message: as its policy says, or,
// without one, when no patient is asked.
func (c Conversation) mayBeAnswered(m Message) bool {
	if m.Policy != nil {
		return m.Policy.Mode != ReplyNone && m.Policy.Mode != ""
	}
	return !m.Unspeakable && !c.facesPatient()
}
