package consultation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Revision is a change of a Communication that is stored. The Posting is that of the new
// text; of its Conversation, Messages do not include the Communication itself.
type Revision struct {
	Stored *fhir.Resource
	Posting
}

// Revise judges a change of a message. A draft may be changed and sent by the organisation or
// person that wrote it: it is judged like a new one. What was sent stays as it is: the error
// is an [*fhir.Outcome] of class Unprocessable with Detail sent-message-immutable, unless the
// new text says just the same, which unchanged reports; then nothing is stored.
func Revise(r Revision) (out Posted, unchanged bool, err error) {
	stored := ReadMessage(r.Stored, r.Conversation.Base)
	if stored.Status == "preparation" {
		if !r.Conversation.Shows(stored, r.Caller) {
			return Posted{}, false, declined(fhir.Unknown, fhir.NotFound, "", "There is no such Communication here.")
		}
		if sent := identifierIn(r.Message.Root(), MessageIDSystem); sent != "" && sent != stored.Identifier {
			return Posted{}, false, errSent("The identifier of a message stays; send it as it was.")
		}
		r.ID, r.Identifier = r.Stored.ID(), stored.Identifier
		out, err = Post(r.Posting)
		return out, false, err
	}
	if sameMessage(r.Stored.Root(), r.Message.Root()) {
		return Posted{}, true, nil
	}
	return Posted{}, false, errSent("What was sent cannot be changed; send another message, or take this one back with $retract.")
}

func errSent(text string) error {
	return refuse(fhir.BusinessRule, "sent-message-immutable", "Communication", "%s", text)
}

// sameMessage reports whether two resources say the same, apart from their narrative and what
// the server keeps in meta.
func sameMessage(a, b fhir.Node) bool {
	return sameChildren(a, b, "id", "meta", "text")
}

// sameChildren compares elements by their children, in whatever order their properties are.
func sameChildren(a, b fhir.Node, except ...string) bool {
	x, y := byProperty(a, except), byProperty(b, except)
	if len(x) != len(y) {
		return false
	}
	for name, values := range x {
		if !slices.EqualFunc(values, y[name], sameValue) {
			return false
		}
	}
	return true
}

func sameValue(a, b fhir.Node) bool {
	if hasMembers(a) != hasMembers(b) || !hasMembers(a) && a.Text() != b.Text() {
		return false
	}
	return sameChildren(a, b)
}

// hasMembers reports whether n is a JSON object.
func hasMembers(n fhir.Node) bool { return n.HasValue() && n.Raw()[0] == '{' }

func byProperty(n fhir.Node, except []string) map[string][]fhir.Node {
	all := map[string][]fhir.Node{}
	for c := range n.Children() {
		if !slices.Contains(except, c.Property()) {
			all[c.Property()] = append(all[c.Property()], c)
		}
	}
	return all
}

// MayProgress reports whether the server may move a Communication between two statuses: the
// statuses never go back. Nothing comes after entered-in-error, or after completed but that.
// What seemed not to arrive may prove to have arrived later.
// https://hl7.org/fhir/R4/valueset-event-status.html
func MayProgress(from, to string) bool {
	switch from {
	case "preparation":
		return to == "in-progress" || to == "completed" || to == "stopped" || to == "entered-in-error"
	case "in-progress":
		return to == "completed" || to == "not-done" || to == "stopped" || to == "entered-in-error"
	case "not-done":
		return to == "completed" || to == "entered-in-error"
	case "completed", "stopped":
		return to == "entered-in-error"
	}
	return false
}

// A Delivery is what has become of a message that was dispatched.
type Delivery struct {
	Message *fhir.Resource
	Status  string    // completed, not-done or stopped
	Reason  string    // of not-done; may be empty
	At      time.Time // of the delivery
}

// Deliver returns a message with the outcome of its dispatch: received is set once. The zero
// value is no change, since the message does not go back: see [MayProgress].
func Deliver(d Delivery) (Authored, error) {
	if !MayProgress(d.Message.Root().Child("status").Text(), d.Status) || d.Status == "entered-in-error" {
		return Authored{}, nil
	}
	doc, err := openDocument(d.Message.Root())
	if err != nil {
		return Authored{}, err
	}
	doc.setText("status", d.Status)
	if d.Status == "completed" && doc.get("received") == nil {
		doc.setText("received", dateTime(d.At))
	}
	doc.drop("statusReason")
	if d.Reason != "" {
		doc.setWire("statusReason", wireConcept{Text: d.Reason})
	}
	return Authored{"Communication", d.Message.ID(), doc.bytes()}, nil
}

// The label of a message that was taken back, one of meta.security. Package access hides what
// has it.
const (
	RetractedSystem = Base + "CodeSystem/label"
	RetractedCode   = "RETRACTED"
)

// A Retraction takes a message back.
type Retraction struct {
	Message      *fhir.Resource
	Conversation Conversation
	Caller       Caller
	Reason       string           // may be empty
	Receipts     []*fhir.Resource // of the message
	Now          time.Time
}

// Retract returns the message without its content, entered-in-error and with the label that
// hides it, and the receipts that still waited, cancelled; nothing when it was taken back
// already. Earlier versions keep the content, for auditors only, as the label sees to. Who has sent the message may take it back, as may their
// organisation; the error is an [*fhir.Outcome] of class Denied with Detail
// retract-not-permitted, or of class Unknown when the caller may not see the message.
func Retract(r Retraction) ([]Authored, error) {
	m := ReadMessage(r.Message, r.Conversation.Base)
	if err := r.permitted(m); err != nil || m.Status == "entered-in-error" {
		return nil, err
	}
	doc, err := openDocument(r.Message.Root())
	if err != nil {
		return nil, err
	}
	doc.drop("text", "contained", "payload", "note", "topic", "reasonCode", "statusReason")
	doc.setText("status", "entered-in-error")
	if r.Reason != "" {
		doc.setWire("statusReason", wireConcept{Text: r.Reason})
	}
	if err := hide(doc); err != nil {
		return nil, err
	}
	all := []Authored{{"Communication", r.Message.ID(), doc.bytes()}}
	for _, receipt := range r.Receipts {
		if !IsUnread(receipt.Root()) {
			continue
		}
		cancelled, err := closeReceipt(receipt, StatusCancelled, r.Now)
		if err != nil {
			return nil, err
		}
		all = append(all, cancelled)
	}
	return all, nil
}

// RetractRequest returns the CommunicationRequest of a message that was taken back: it is
// entered-in-error, too, without its content and with the label that hides it. The zero value is
// no change, since it was taken back before, or others get messages by it as well.
func RetractRequest(request *fhir.Resource) (Authored, error) {
	n := request.Root()
	others := 0
	for to := range n.Each("recipient") {
		if others++; others > 1 || strings.HasPrefix(to.Child("reference").Text(), "Group/") {
			return Authored{}, nil
		}
	}
	if n.Child("status").Text() == "entered-in-error" {
		return Authored{}, nil
	}
	doc, err := openDocument(n)
	if err != nil {
		return Authored{}, err
	}
	doc.drop("text", "contained", "payload", "note", "reasonCode", "statusReason")
	doc.setText("status", "entered-in-error")
	if err := hide(doc); err != nil {
		return Authored{}, err
	}
	return Authored{"CommunicationRequest", request.ID(), doc.bytes()}, nil
}

// hide gives a resource the label of what was taken back.
func hide(doc *document) error {
	meta := &document{}
	if has := doc.get("meta"); has != nil {
		var err error
		if meta, err = parseDocument(has); err != nil {
			return fmt.Errorf("read the meta of a message: %w", err)
		}
	}
	push(meta, "security", Coded{System: RetractedSystem, Code: RetractedCode})
	doc.set("meta", meta.bytes())
	return nil
}

func (r Retraction) permitted(m Message) error {
	c := r.Conversation
	house := c.house(r.Caller)
	own := r.Caller.is(m.Sender, c.Task) || house.ID != "" && c.standsFor(m.Sender, house)
	if own {
		return nil
	}
	if !c.Shows(m, r.Caller) {
		return declined(fhir.Unknown, fhir.NotFound, "", "There is no such Communication here.")
	}
	return declined(fhir.Denied, fhir.Forbidden, "retract-not-permitted", "Only who has sent a message can take it back; ask them to.")
}

// Deletable says whether a resource may be deleted, as far as conversations go: Tasks of our
// kinds, and messages of ours, may not. The error is an [*fhir.Outcome] of class Unprocessable
// with Detail conversation-not-deletable. part is the Task that a Communication is part of,
// zero when there is none.
func Deletable(n, part fhir.Node) error {
	ours := false
	switch n.Name() {
	case "Task":
		ours = isOurs(n)
	case "Communication":
		ours = OutsideConversation(n) != nil || !part.IsZero() && isOurs(part)
	}
	if !ours {
		return nil
	}
	return NotDeletable()
}

// NotDeletable returns the Outcome that refuses to delete a part of a conversation.
func NotDeletable() error {
	return refuse(fhir.BusinessRule, "conversation-not-deletable", "", "Nothing in a conversation is deleted; take a message back with $retract, or set a Task to entered-in-error.")
}

// isOurs reports whether a Task is of a kind, or pretends to be.
func isOurs(task fhir.Node) bool {
	kind, err := KindOf(task)
	return kind != "" || err != nil
}
