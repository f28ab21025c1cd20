package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// unreadLimit is how much opening time an urgent message may stay unread, unless the
// service sets unread-escalation-after.
const unreadLimit = 4 * time.Hour

// Escalates reports whether an unread message of a priority is escalated: urgent and above.
func Escalates(priority string) bool { return slices.Index(priorities(), priority) > 0 }

// MessageSenderURL is the extension of a receipt, a Reference to the party whose staff wrote the
// message, or to the patient or related person who did: they see whether it was read. The server
// writes it.
const MessageSenderURL = extensionBase + "message-sender"

// receiptFacts are what a receipt is made of.
type receiptFacts struct {
	id, message, task string // logical ids
	owner             wireReference
	sender            fhir.Key // the party whose staff wrote the message, or the person; empty for the server
	patient           *wireReference
	priority          string // of the message
	now               time.Time
}

// wireReceipt returns the Task that waits for a message to be read.
func wireReceipt(f receiptFacts) wireTask {
	at := dateTime(f.now)
	var sender []wireExtension
	if f.sender.ID != "" {
		sender = []wireExtension{{URL: MessageSenderURL, ValueReference: &wireReference{Reference: f.sender.String()}}}
	}
	return wireTask{
		ResourceType: "Task", ID: f.id, Extension: sender,
		PartOf: []wireReference{{Reference: "Task/" + f.task}},
		Status: string(StatusReady), Intent: "order", Priority: f.priority,
		Code:       conceptOf(KindSystem, string(MessageReceipt), ""),
		Focus:      &wireReference{Reference: "Communication/" + f.message, Type: "Communication"},
		For:        f.patient,
		AuthoredOn: at, LastModified: at,
		Requester: &wireReference{Reference: serverDevice},
		Owner:     &f.owner,
	}
}

// A Reading is somebody's word that messages were read.
type Reading struct {
	Receipts []*fhir.Resource // of the message, or of all messages of the thread
	Caller   Caller
	Base     string // the address of this server
	Now      time.Time
}

// MarkRead returns the caller's receipts, closed: completed, with executionPeriod.end and
// the code Read. Receipts that are closed already are not among them, so that marking twice
// changes nothing. The receipt of an organisation is that of everyone who works there. When
// none is the caller's the error is an [*fhir.Outcome] of class Denied with Detail
// not-a-recipient.
func MarkRead(r Reading) ([]Authored, error) {
	var closed []Authored
	mine := 0
	for _, receipt := range r.Receipts {
		t, err := ReadTask(receipt, r.Base)
		if err != nil {
			return nil, err
		}
		if t.Kind != MessageReceipt || !r.Caller.is(t.Owner, t) {
			continue
		}
		mine++
		if t.Status != StatusReady {
			continue
		}
		read, err := closeReceipt(receipt, StatusCompleted, r.Now)
		if err != nil {
			return nil, err
		}
		closed = append(closed, read)
	}
	if mine == 0 {
		return nil, declined(fhir.Denied, fhir.Forbidden, "not-a-recipient", "No receipt here is yours: the message was sent to others, or receipts were not kept then; there is nothing to mark as read.")
	}
	return closed, nil
}

// ReadOnChannel returns a receipt, closed because a channel reports that the message was
// read at a time; the zero value when it is closed already.
func ReadOnChannel(receipt *fhir.Resource, at time.Time) (Authored, error) {
	if receipt.Root().Child("status").Text() != string(StatusReady) {
		return Authored{}, nil
	}
	return closeReceipt(receipt, StatusCompleted, at)
}

// IsUnread reports whether a receipt still waits: what a timer asks before it escalates.
func IsUnread(receipt fhir.Node) bool { return receipt.Child("status").Text() == string(StatusReady) }

// closeReceipt returns a receipt in a final status.
func closeReceipt(receipt *fhir.Resource, status Status, at time.Time) (Authored, error) {
	doc, err := openDocument(receipt.Root())
	if err != nil {
		return Authored{}, err
	}
	doc.setText("status", string(status))
	// What a channel reports may be older than the receipt: https://hl7.org/fhir/R4/task.html#inv-1
	last, err := time.Parse(time.RFC3339, receipt.Root().Child("lastModified").Text())
	if err != nil || at.After(last) {
		doc.setText("lastModified", dateTime(at))
	}
	if status == StatusCompleted {
		doc.setWire("executionPeriod", wirePeriod{End: dateTime(at)})
		code, err := openDocument(receipt.Root().Child("code"))
		if err != nil {
			return Authored{}, err
		}
		push(code, "coding", Coded{System: receiptStatusSystem, Code: "Read"})
		doc.set("code", code.bytes())
	}
	return Authored{"Task", receipt.ID(), doc.bytes()}, nil
}
