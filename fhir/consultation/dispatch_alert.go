package consultation

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// topicDeliveryFailed is what an alert is about when no channel has delivered a message, a
// code of alertTopicSystem.
const topicDeliveryFailed = "delivery-failed"

// An Undelivered is a message that no channel has delivered.
type Undelivered struct {
	Message *fhir.Resource
	Task    *fhir.Resource // that it is part of
	Base    string         // the address of this server
	Now     time.Time
}

// Alert returns what tells the practice, in the order in which it refers to one another: an
// alert to who has sent the message, and a receipt that waits until somebody has read it. The
// ids depend on the message only, so that it is not told twice. It is nil when the Task is
// none of a conversation, or its owner no resource of this server.
func (u Undelivered) Alert() []Authored {
	t, err := ReadTask(u.Task, u.Base)
	if err != nil || t.Kind == "" || !isStaff(t.Owner) {
		return nil
	}
	id, receipt := u.id("alert"), u.id("receipt")
	task := wireReference{Reference: "Task/" + u.Task.ID()}
	m := alertMessage{
		ResourceType: "Communication", ID: id, Meta: wireMeta{Profile: []string{ukCore + "Communication"}},
		Identifier: []wireIdentifier{{MessageIDSystem, u.id("message")}},
		PartOf:     []wireReference{task}, Status: "completed",
		Category: []wireConcept{conceptOf(CategorySystem, CategoryAlert, "")},
		Priority: "urgent", Subject: rawOf(t.root.Child("for")),
		Topic:   conceptOf(alertTopicSystem, topicDeliveryFailed, ""),
		About:   []wireReference{task, {Reference: "Communication/" + u.Message.ID()}},
		Sent:    dateTime(u.Now),
		Sender:  wireReference{Reference: serverDevice, Display: "Consultation server"},
		Payload: []wirePayload{{"A message could not be delivered by any channel. Reach the patient another way."}},
	}
	m.Recipient = append(m.Recipient, rawOf(t.root.Child("owner")))
	if t.Thread != "" {
		m.Identifier = append(m.Identifier, wireIdentifier{ThreadSystem, t.Thread})
	}
	f := receiptFacts{id: receipt, message: id, task: u.Task.ID(), owner: wireReference{Reference: t.Owner.String()}, priority: "urgent", now: u.Now}
	if t.For.ID != "" {
		f.patient = &wireReference{Reference: t.For.String()}
	}
	return []Authored{{"Communication", id, encode(m)}, {"Task", receipt, encode(wireReceipt(f))}}
}

// Move returns the move that puts the Task back on the list of the practice: a consultation
// that waits for the patient does so in vain. The zero value is none.
func (u Undelivered) Move() SystemMove {
	t, err := ReadTask(u.Task, u.Base)
	if err != nil || t.Kind != Consultation || t.Status != StatusOnHold {
		return SystemMove{}
	}
	return SystemMove{Task: fhir.Key{Type: "Task", ID: u.Task.ID()}, From: StatusOnHold, To: StatusInProgress}
}

// id returns a UUID of version 8 that stands for something about the message.
// https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
func (u Undelivered) id(what string) string {
	sum := sha256.Sum256(encode([]string{topicDeliveryFailed, u.Message.ID(), what}))
	sum[6] = sum[6]&0x0F | 0x80
	sum[8] = sum[8]&0x3F | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
