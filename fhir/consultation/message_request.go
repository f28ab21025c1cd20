package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Opening is a CommunicationRequest by which a practice writes to patients, in a
// conversation that there is or in a new one.
type Opening struct {
	Request      *fhir.Resource
	Conversation *Conversation // of the Task that the request names; nil when it names none
	Caller       Caller
	As           Party                 // whom the caller speaks as
	Practice     Party                 // the organisation that the caller works for, and that begins a new conversation
	Parties      map[fhir.Key]fhir.Key // of a new conversation, as in [Conversation]
	Base         string
	Limits       Limits
	Attachments  map[string]Attachment
	Now          time.Time
	IDs          OpeningIDs
}

// OpeningIDs are the ids of what is written for an Opening.
type OpeningIDs struct {
	Request, Task       string   // logical ids; that of the Task is used for a new conversation only
	Thread              string   // value of the identifier of a new thread, a UUID
	Messages            []string // logical ids, at least one for each recipient
	Identifiers         []string // of the messages, UUIDs, as many
	Receipts            []string // logical ids, as many
	IdentifierOfRequest string   // if the client gives none: a UUID
}

// An Opened is what an Opening comes to.
type Opened struct {
	Task     Authored // the zero value when there was one
	Request  Authored
	Messages []Posted // one for each recipient, in-progress: to be dispatched
}

// TaskNamed returns the Task that a CommunicationRequest belongs to, by basedOn or else by
// about; the empty Key when it names none.
func TaskNamed(request fhir.Node, base string) fhir.Key {
	for _, name := range []string{"basedOn", "about"} {
		for n := range request.Each(name) {
			if k := target(n, base); k.Type == "Task" {
				return k
			}
		}
	}
	return fhir.Key{}
}

// Open judges a CommunicationRequest that is to be created, and returns it with the messages
// to be dispatched. Without a Task of its own it begins a conversation that the practice
// owns: replies thread there. The error is an [*fhir.Outcome] with a Detail of [Post], or
// request-not-active, subject-required (a new conversation is about one patient), or
// practice-only (Denied).
func Open(o Opening) (Opened, error) {
	n := o.Request.Root()
	if err := o.allowed(n); err != nil {
		return Opened{}, err
	}
	var out Opened
	c := o.Conversation
	if c == nil {
		task, begun, err := o.begin(n)
		if err != nil {
			return Opened{}, err
		}
		out.Task, c = task, begun
	}
	var err error
	if out.Messages, err = o.messages(n, *c); err != nil {
		return Opened{}, err
	}
	out.Request, err = o.request(n, *c)
	return out, err
}

// allowed says whether the caller may send the request at all.
func (o Opening) allowed(n fhir.Node) error {
	practice := fhir.Key{}
	if r, ok := fhir.ParseReference(o.Practice.Reference); ok {
		practice = r.Key
	}
	switch {
	case !slices.ContainsFunc(o.Caller.Memberships, func(m Membership) bool { return m.Of == practice && practice.ID != "" }):
		return declined(fhir.Denied, fhir.Forbidden, "practice-only", "Only a practice or service sends messages by a CommunicationRequest; answer a message with a Communication.")
	case n.Child("status").Text() != "active" || n.Child("doNotPerform").Text() == "true":
		return refuse(fhir.BusinessRule, "request-not-active", "CommunicationRequest.status", "Send a request with the status active and without doNotPerform.")
	}
	for _, name := range []string{"sender", "requester"} {
		k := target(n.Child(name), o.Base)
		if !n.Child(name).IsZero() && k != practice && !slices.Contains(o.Caller.Persons, k) {
			return declined(fhir.Denied, fhir.Forbidden, "sender-mismatch", "The request names somebody else than the one who sends it; leave "+name+" out.")
		}
	}
	if named := TaskNamed(n, o.Base); named.ID != "" && (o.Conversation == nil || o.Conversation.Task.Key != named) {
		return declined(fhir.Unknown, fhir.NotFound, "", "There is no such Task here.")
	}
	return nil
}

// KeepsRequest says whether a request whose messages are there already stays what it was: its
// status and notes may change, what it says and to whom may not. The error is an [*fhir.Outcome]
// of class Unprocessable with Detail immutable-element.
func KeepsRequest(old, next fhir.Node) error {
	if sameChildren(old, next, "id", "meta", "text", "status", "statusReason", "note") {
		return nil
	}
	return refuse(fhir.BusinessRule, "immutable-element", "CommunicationRequest", "The messages of this request are on their way already; revoke it, or send another one.")
}

// begin returns the Task of a new conversation.
func (o Opening) begin(n fhir.Node) (Authored, *Conversation, error) {
	patient := target(n.Child("subject"), o.Base)
	if patient.Type != "Patient" {
		return Authored{}, nil, refuse(fhir.Required, "subject-required", "CommunicationRequest.subject",
			"A new conversation is about one patient: name them as the subject, and send one request for each.")
	}
	at, thread := dateTime(o.Now), wireIdentifier{ConsultationIDSystem, o.IDs.Thread}
	t := wireTask{
		ResourceType: "Task", ID: o.IDs.Task, Meta: wireMeta{Profile: []string{ukCore + "Task"}},
		Identifier: []wireIdentifier{thread}, GroupIdentifier: &thread,
		Status: string(StatusRequested), Intent: "order", Priority: HigherPriority(n.Child("priority").Text(), ""),
		Code:       conceptOf(KindSystem, string(Consultation), ""),
		Focus:      &wireReference{Reference: "CommunicationRequest/" + o.IDs.Request, Type: "CommunicationRequest"},
		For:        &wireReference{Reference: patient.String()},
		AuthoredOn: at, LastModified: at,
		Requester: o.Practice.wire(), Owner: o.Practice.wire(),
	}
	task := Authored{"Task", o.IDs.Task, encode(t)}
	r, err := fhir.Decode("Task", task.JSON)
	if err != nil {
		return Authored{}, nil, err
	}
	read, err := ReadTask(r, o.Base)
	if err != nil {
		return Authored{}, nil, err
	}
	return task, &Conversation{Task: read, Base: o.Base, Parties: o.Parties}, nil
}

// messages returns a message for each recipient.
func (o Opening) messages(n fhir.Node, c Conversation) ([]Posted, error) {
	var all []Posted
	for to := range n.Each("recipient") {
		i := len(all)
		if i >= min(len(o.IDs.Messages), len(o.IDs.Identifiers), len(o.IDs.Receipts)) {
			return nil, errNoReceipts
		}
		r, err := fhir.Decode("Communication", o.message(n, to, c))
		if err != nil {
			return nil, err
		}
		posted, err := Post(Posting{
			Message: r, Conversation: c, Caller: o.Caller, As: o.As, Attachments: o.Attachments, Limits: o.Limits, Dispatched: true,
			ID: o.IDs.Messages[i], Identifier: o.IDs.Identifiers[i], Receipts: o.IDs.Receipts[i : i+1], Now: o.Now,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, posted)
	}
	if len(all) == 0 {
		return nil, refuse(fhir.Required, "recipient-required", "CommunicationRequest.recipient", "Say whom the message is for.")
	}
	return all, nil
}

// message returns the Communication to one recipient: what the request says.
func (o Opening) message(n, to fhir.Node, c Conversation) []byte {
	doc := &document{}
	doc.setText("resourceType", "Communication")
	if policy := n.Extension(replyPolicyURL); !policy.IsZero() {
		doc.set("extension", arrayOf(policy))
	}
	doc.setWire("basedOn", []wireReference{{Reference: "CommunicationRequest/" + o.IDs.Request}})
	doc.setWire("partOf", []wireReference{{Reference: c.Task.Key.String()}})
	doc.setText("status", "in-progress")
	for _, name := range []string{"category", "priority", "medium", "payload"} {
		var values []fhir.Node
		for v := range n.Each(name) {
			values = append(values, v)
		}
		switch {
		case len(values) == 0:
		case name == "priority":
			doc.set(name, slices.Clone(values[0].Raw()))
		default:
			doc.set(name, arrayOf(values...))
		}
	}
	doc.set("recipient", arrayOf(to))
	return doc.bytes()
}

// arrayOf returns elements as a JSON array.
func arrayOf(nodes ...fhir.Node) []byte {
	dst := []byte{'['}
	for i, n := range nodes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, n.Raw()...)
	}
	return append(dst, ']')
}

// request returns the request as it is stored.
func (o Opening) request(n fhir.Node, c Conversation) (Authored, error) {
	doc, err := openDocument(n)
	if err != nil {
		return Authored{}, err
	}
	if o.IDs.Request != "" {
		doc.setText("id", o.IDs.Request)
	}
	task := wireReference{Reference: c.Task.Key.String()}
	if TaskNamed(n, o.Base).ID == "" {
		push(doc, "basedOn", task)
	}
	if identifierIn(n, MessageIDSystem) == "" {
		push(doc, "identifier", wireIdentifier{MessageIDSystem, o.IDs.IdentifierOfRequest})
	}
	if g := n.Child("groupIdentifier"); g.IsZero() {
		doc.setWire("groupIdentifier", wireIdentifier{ThreadSystem, c.Task.Thread})
	} else if g.Child("value").Text() != c.Task.Thread {
		return Authored{}, refuse(fhir.BusinessRule, "identifier-mismatch", g.Path(), "The group of the request is the thread of its Task; leave it out.")
	}
	if n.Child("requester").IsZero() {
		doc.setWire("requester", o.As.wire())
	}
	if n.Child("sender").IsZero() {
		doc.setWire("sender", o.Practice.wire())
	}
	doc.setText("authoredOn", dateTime(o.Now))
	return Authored{"CommunicationRequest", o.IDs.Request, doc.bytes()}, nil
}
