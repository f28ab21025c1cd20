package main

import (
	"bytes"
	_ "embed" // for the people and places of a run
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

//go:embed demo_world.ndjson
var demoWorld []byte

// prepare makes the practice, the hospital and the patients, and subscribes to what happens.
func prepare(c *scene) {
	for _, patient := range []string{"ada", "ben", "cleo"} {
		c.names["nhs-"+patient] = nhsNumber()
		c.names["phone-"+patient] = c.freePhone()
	}
	c.names["day"] = time.Now().UTC().AddDate(0, 0, 3).Format(time.DateOnly)
	var entries []string
	for line := range bytes.Lines(demoWorld) {
		body := c.fill(strings.TrimSpace(string(line)))
		key := newHeard(&http.Response{}, []byte(body)).key()
		entries = append(entries, fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":%q}}`, body, key))
	}
	c.play(step{who: c.actors.seeder, does: "makes a practice, a hospital, a form with triage rules, diaries and patients", ask: "POST ", body: transaction(entries...)},
		status(200), gives("entry.where(response.status.startsWith('201')).count()", fmt.Sprint(len(entries))))
	c.subscribe(c.actors.system, "consultation-submitted", "task-changed", "message-received", "message-read", "advice-response-received", "task-due-soon",
		"task-overdue", "response-not-opened", "record-filed", "appointment-changed", "prescription-request-changed", "message-delivery-failed")
	c.subscribe(c.actors.hospital, "task-changed", "message-received", "unread-escalation")
	c.subscribe(c.actors.ada, "message-received")
}

// subscribe has somebody told of topics, and waits until the server has shaken hands.
func (c *scene) subscribe(who *actor, topics ...string) {
	const backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
	for _, topic := range topics {
		c.play(step{who: who, does: "subscribes to " + topic, ask: "POST Subscription", body: c.fill(`{"resourceType":"Subscription","status":"requested","reason":"The demo",
 "criteria":"https://fhir.openconsult.example/SubscriptionTopic/{topic}",
 "channel":{"type":"rest-hook","endpoint":"{endpoint}","payload":"application/fhir+json",
  "_payload":{"extension":[{"url":"`+backport+`backport-payload-content","valueCode":"id-only"}]},
  "extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/subscription-secret","valueString":"{secret}"}]}}`,
			"topic", topic, "endpoint", c.ear.base+hookPath+who.id, "secret", c.ear.secret)},
			status(201))
	}
	c.await(step{who: who, does: "waits until all of them are active", ask: "GET Subscription?status=active&_total=accurate"},
		status(200), gives("total", fmt.Sprint(len(topics))))
}

// freePhone returns a telephone number of the range for drama that no patient has: to one that
// several people share nothing is sent.
// https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
func (c *scene) freePhone() string {
	from := rand.IntN(1000)
	for i := range 1000 {
		number := fmt.Sprintf("07700900%03d", (from+i)%1000)
		a, err := c.send(c.ctx, step{who: c.actors.seeder, ask: "GET Patient?telecom=" + number + "&_summary=count"})
		if err == nil && a.text("total") == "0" && !taken(c.names, number) {
			return number
		}
		if err != nil {
			break
		}
	}
	return ""
}

func taken(names map[string]string, value string) bool {
	for _, v := range names {
		if v == value {
			return true
		}
	}
	return false
}

// transaction returns a Bundle of entries that are stored together.
func transaction(entries ...string) string {
	return `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Join(entries, ",\n") + `]}`
}
