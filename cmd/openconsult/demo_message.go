package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir/dispatch"
)

// flowMessage has the practice write to a patient by channels outside of the server. The demo
// is the gateway of these, and calls back as one does: twice, and out of order.
func flowMessage(c *scene) {
	ada, practice := c.actors.ada, "Organization/"+c.run+"practice"
	message, task := c.dispatch("ada", "Please send a photo of the rash in daylight.")
	c.play(step{who: c.actors.grace, does: "sees that it is on its way", ask: "GET " + message}, status(200), gives("status", "in-progress"))
	c.given(message, "nhs-app", c.names["nhs-ada"], "Please send a photo of the rash in daylight.")
	c.callback(callback{channel: "nhs-app", key: "1", message: message, event: "unnotified"}, status(204))
	c.given(message, "sms", c.names["phone-ada"], "")
	c.callback(callback{channel: "sms", key: "0", message: message, event: "delivered", note: ", signed by somebody else", forged: true}, status(403))
	c.callback(callback{channel: "sms", key: "3", message: message, event: "delivered"}, status(204))
	c.await(step{who: c.actors.grace, does: "sees that it has arrived", ask: "GET " + message}, status(200), gives("status", "completed"), holds("there is a time", "received.exists()"))
	before := c.look(c.actors.grace, message).header.Get("ETag")
	c.callback(callback{channel: "sms", key: "3", message: message, event: "delivered", note: ", for the second time"}, status(204))
	c.callback(callback{channel: "sms", key: "2", message: message, event: "sending", note: ", too late"}, status(204))
	c.callback(callback{channel: "nhs-app", key: "4", message: message, event: "permanent_failure", note: ", after it has arrived"}, status(204))
	c.play(step{who: c.actors.grace, does: "sees no change by what came twice or late", ask: "GET " + message}, status(200), gives("status", "completed"), has("ETag", "^"+before+"$"))
	c.callback(callback{channel: "nhs-app", key: "5", message: message, event: "read"}, status(204))
	c.await(step{who: c.actors.grace, does: "sees that it was read", ask: "GET Task?code=message-receipt&focus=" + message}, status(200), gives("entry.resource.status", "completed"))
	c.told(c.actors.system, "message-read", c.look(c.actors.grace, "Task?code=message-receipt&focus="+message).text("'Task/' + entry.resource.id"))

	c.play(step{who: ada, does: "opens the conversation", ask: "GET " + task + "/$thread"}, status(200), gives("entry.where(search.mode='match').resource.select('Communication/' + id)", message))
	answered := c.say(ada, letter{task: task, to: practice, text: "I have sent it.", answers: message}, status(201))
	c.told(c.actors.system, "message-received", answered.key())
	c.say(ada, letter{task: task, to: practice, text: "Did it arrive?", answers: message}, refused(422, "already-replied")...)
	c.unreachable()
}

// dispatch has the practice write to a patient, and returns the message and its Task.
func (c *scene) dispatch(patient, text string) (message, task string) {
	a := c.play(step{who: c.actors.grace, does: fmt.Sprintf("writes “%s”, by NHS App and else by SMS", text), ask: "POST CommunicationRequest", body: c.request(patient, text)},
		status(201), gives("status", "active"))
	found := c.play(step{who: c.actors.grace, does: "finds the message that comes of it", ask: "GET Communication?based-on=" + a.key()},
		status(200), gives("total", "1"), holds("it is part of a conversation", "entry.resource.partOf.reference.startsWith('Task/')"))
	return "Communication/" + found.text("entry.resource.id"), found.text("entry.resource.partOf.reference")
}

func (c *scene) request(patient, text string) string {
	return c.fill(`{"resourceType":"CommunicationRequest","status":"active","subject":{"reference":"Patient/{run}{patient}"},"recipient":[{"reference":"Patient/{run}{patient}"}],
 "extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"once"}]},
  {"url":"https://fhir.openconsult.example/StructureDefinition/fallback-after","valueDuration":{"value":4,"unit":"hour","system":"http://unitsofmeasure.org","code":"h"}}],
 "medium":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/channel","code":"nhs-app"}]},{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/channel","code":"sms"}]}],
 "payload":[{"contentString":"{text}"}]}`, "patient", patient, "text", text)
}

// given expects that the gateway was given a message, once and with a signature. Without a text
// it is a link that tells nothing.
func (c *scene) given(message, channel, address, text string) {
	if c.broken || c.ctx.Err() != nil {
		c.skipped++
		return
	}
	c.steps++
	fmt.Fprintf(c.out, "  The gateway of %s is given the message\n", channel)
	id := message[min(len(message), len("Communication/")):]
	got := c.ear.lettersOf(id, channel)
	for deadline := time.Now().Add(patience); len(got) == 0 && time.Now().Before(deadline) && c.pause(); {
		got = c.ear.lettersOf(id, channel)
	}
	var shown, wrong []string
	switch {
	case len(got) != 1:
		wrong = append(wrong, fmt.Sprintf("it was given %d times within %s", len(got), patience))
	case got[0]["to"] != address:
		wrong = append(wrong, fmt.Sprintf("it is for %s and should be for %s", got[0]["to"], address))
	case text != "" && got[0]["text"] != text || text == "" && !isLink(got[0]["text"]):
		wrong = append(wrong, "it says “"+got[0]["text"]+"”")
	default:
		shown = []string{fmt.Sprintf("to %s: “%s”", address, got[0]["text"])}
	}
	c.verdict(shown, wrong)
}

// isLink reports whether a text leads to the server, and tells nothing of what was written.
func isLink(text string) bool {
	return strings.Contains(text, "http") && !strings.Contains(text, "rash") && !strings.Contains(text, "test")
}

// A callback is what a gateway says of a message.
type callback struct {
	channel, key, message, event string
	note                         string // why it is said, when that is odd
	forged                       bool   // it is signed with another secret
}

// callback has a gateway say something. What it says again under one key is the same.
func (c *scene) callback(b callback, want ...check) {
	body, again := c.said[b.key]
	if !again {
		// It is all strings, which can be written.
		raw, _ := json.Marshal(map[string]string{"key": c.run + b.key, "message": b.message[min(len(b.message), len("Communication/")):],
			"event": b.event, "at": time.Now().UTC().Format(time.RFC3339)})
		body = string(raw)
		c.said[b.key] = body
	}
	secret := c.secret
	if b.forged {
		secret = []byte("not the secret of the gateway")
	}
	c.play(step{who: &actor{name: "The gateway of " + b.channel}, does: "calls back: " + b.event + b.note, ask: "POST /callback/" + b.channel, body: body,
		header: map[string]string{dispatch.SignatureHeader: dispatch.Sign(secret, []byte(body))}}, want...)
}

// unreachable shows who is told when nobody can be reached.
func (c *scene) unreachable() {
	grace := c.actors.grace
	c.play(step{who: grace, does: "writes to Cleo, who wants to be written to by no channel", ask: "POST CommunicationRequest", body: c.request("cleo", "Please call us.")},
		refused(422, "no-permitted-channel")...)
	message, task := c.dispatch("ben", "Your test is due.")
	c.given(message, "nhs-app", c.names["nhs-ben"], "Your test is due.")
	c.callback(callback{channel: "nhs-app", key: "6", message: message, event: "permanent_failure"}, status(204))
	c.given(message, "sms", c.names["phone-ben"], "")
	c.callback(callback{channel: "sms", key: "7", message: message, event: "permanent_failure"}, status(204))
	c.await(step{who: grace, does: "sees that no channel has reached him", ask: "GET " + message}, status(200), gives("status", "not-done"), holds("it says why", "statusReason.exists()"))
	c.alert(grace, task, "delivery-failed")
	c.told(c.actors.system, "message-delivery-failed", message)
}
