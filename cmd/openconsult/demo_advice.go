package main

import (
	"fmt"
	"strings"
)

// flowAdvice has a doctor ask a specialist, who asks back, and advises; and shows who is told
// that an answer has come, or has not.
func flowAdvice(c *scene) {
	grace, hana := c.actors.grace, c.actors.hana
	practice, hospital := "Organization/"+c.run+"practice", "Organization/"+c.run+"hospital"
	silent := c.askAdvice("stat", "", "Her throat closes. What now?")
	task := c.askAdvice("routine", "AUTHORISED_TO_CONVERT", "Hoarse for six weeks. Is a scan needed first?")
	c.play(step{who: hana, does: "finds both on the hospital's list, the one that is due first above", ask: "GET Task?owner=" + hospital + "&business-status=PROVIDER_RESPONSE_REQUIRED&_sort=due"},
		status(200), gives("entry.resource.select('Task/' + id)", silent+", "+task))
	c.told(c.actors.hospital, "message-received", c.firstMessage(hana, task))
	c.move(step{who: hana, does: "takes the second one on", ask: task}, to("accepted"), status(200))
	asked := c.sayAnd(hana, letter{task: task, to: practice, text: "Does she smoke?"}, to("on-hold"))
	c.told(c.actors.system, "advice-response-received", task)
	c.alert(grace, task, "response-received")
	c.play(step{who: grace, does: "finds it on the practice's list", ask: "GET Task?requester=" + practice + "&business-status=REFERRER_TO_SUBMIT_FURTHER_INFORMATION"},
		status(200), gives("entry.resource.select('Task/' + id)", task))
	c.play(step{who: grace, does: "reads the question", ask: "POST " + asked + "/$mark-read"}, status(200), gives("parameter.where(name='marked').value", "1"))
	supplied := c.say(grace, letter{task: task, to: hospital, text: "Twenty a day.", answers: asked, urgent: true}, status(201))
	c.play(step{who: hana, does: "sees that it is hers again", ask: "GET " + task}, status(200), gives("status", "in-progress"), gives("businessStatus.coding.code", "PROVIDER_RESPONSE_REQUIRED"))
	c.told(c.actors.hospital, "message-received", supplied.key())
	c.advise(task)
	c.play(step{who: c.actors.ada, does: "does not see what doctors write to each other", ask: "GET Communication?part-of=" + task}, status(200), gives("total", "0"))
	c.unanswered(silent, task)
	c.convert()
}

// askAdvice asks the hospital something, with leave to make a referral of it or not, and returns
// the Task.
func (c *scene) askAdvice(priority, leave, text string) string {
	extension := ""
	if leave != "" {
		extension = fmt.Sprintf(`"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/conversion-authorisation","valueCoding":{"system":"https://fhir.openconsult.example/CodeSystem/conversion-authorisation","code":%q}}],`, leave)
	}
	a := c.play(step{who: c.actors.grace, does: fmt.Sprintf("asks the hospital (%s): “%s”", priority, text), ask: "POST ", body: c.fill(transaction(
		`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"ServiceRequest",{extension}"status":"active","intent":"order",
  "category":[{"coding":[{"system":"https://fhir.nhs.uk/CodeSystem/message-category-servicerequest","code":"request"}]}],
  "code":{"coding":[{"system":"https://fhir.nhs.uk/CodeSystem/servicerequest-code","code":"advice-and-guidance"}]},
  "subject":{"reference":"Patient/{run}ada"},"requester":{"reference":"PractitionerRole/{run}grace-gp"},"performer":[{"reference":"Organization/{run}hospital"}]},
  "request":{"method":"POST","url":"ServiceRequest"}}`,
		`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Task","status":"requested","intent":"order","priority":"{priority}",
  "code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}]},
  "basedOn":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"}],"focus":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},
  "for":{"reference":"Patient/{run}ada"},"requester":{"reference":"Organization/{run}practice"},"owner":{"reference":"Organization/{run}hospital"}},
  "request":{"method":"POST","url":"Task"}}`,
		fmt.Sprintf(`{"resource":{"resourceType":"Communication","status":"completed","partOf":[{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002"}],
  "recipient":[{"reference":"Organization/{run}hospital"}],"payload":[{"contentString":%q}]},"request":{"method":"POST","url":"Communication"}}`, text)),
		"extension", extension, "priority", priority)},
		status(200), holds("all three are stored", "entry.where(response.status.startsWith('201')).count() = 3"))
	return a.located(1)
}

func (c *scene) firstMessage(who *actor, task string) string {
	return c.look(who, "Communication?part-of="+task+"&category:not=alert&_sort=sent").text("'Communication/' + entry[0].resource.id")
}

// alert expects that there is an alert of the server about something.
func (c *scene) alert(who *actor, task, topic string) {
	c.await(step{who: who, does: "looks for the alert " + topic, ask: "GET Communication?part-of=" + task + "&category=alert"},
		status(200), holds("it is there once, from the server", "entry.resource.where(topic.coding.code = '"+topic+"' and sender.reference = 'Device/server').count() = 1"))
}

// advise gives the advice, which nobody opens for a while, and closes the conversation.
func (c *scene) advise(task string) {
	grace, hana := c.actors.grace, c.actors.hana
	c.move(step{who: hana, does: "ends it without an outcome", ask: task}, to("completed"), refused(422, "guidance-outcome-output")...)
	advice := output(
		"guidance-outcome", `{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1","code":"RETURN_TO_REFERRER_WITH_ADVICE"}`,
		"intended-recommendation", `{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceIntendedRecommendation-1","code":"ADVICE_FOLLOWED_BY_REFERRAL_IF_REQUIRED"}`)
	advised := c.sayAnd(hana, letter{task: task, to: "Organization/" + c.run + "practice", text: "A scan first, then refer her."}, to("completed", advice))
	c.told(c.actors.system, "advice-response-received", task)
	c.told(c.actors.system, "message-received", advised)
	c.untold(c.actors.ada, "message-received", advised)
	c.play(step{who: grace, does: "finds the answer on the practice's list", ask: c.fill("GET Task?requester=Organization/{run}practice&business-status=REFERRER_TO_REVIEW_RESPONSE")},
		status(200), gives("entry.resource.select('Task/' + id)", task))
	c.alert(grace, task, "response-not-opened")
	c.told(c.actors.system, "response-not-opened", task)
	c.play(step{who: grace, does: "reads everything", ask: "POST " + task + "/$mark-read"}, status(200), holds("the advice was among it", "parameter.where(name='marked').value > 0"))
	c.move(step{who: grace, does: "ends the conversation", ask: task}, `[{"op":"replace","path":"/businessStatus/coding/0/code","value":"CONVERSATION_ENDED_CLOSED"}]`,
		status(200), gives("businessStatus.coding.code", "CONVERSATION_ENDED_CLOSED"))
	c.say(grace, letter{task: task, to: "Organization/" + c.run + "hospital", text: "One more thing."}, refused(422, "conversation-closed")...)
}

// unanswered shows who is told of what nobody has opened or answered. What is immediate is due
// in seconds at this hospital.
func (c *scene) unanswered(silent, other string) {
	grace := c.actors.grace
	c.told(c.actors.system, "task-due-soon", silent)
	c.told(c.actors.system, "task-overdue", silent)
	for _, topic := range []string{"response-due-soon", "response-overdue"} {
		c.alert(grace, silent, topic)
	}
	c.await(step{who: c.actors.seeder, does: "sees that the duty desk was told that nobody has opened it", ask: "GET Communication?part-of=" + silent + "&category=alert"},
		status(200), gives("entry.resource.where(topic.coding.code = 'response-not-opened').first().recipient.reference", "Organization/"+c.run+"duty"))
	c.told(c.actors.hospital, "unread-escalation", other)
}

// convert makes a referral of what was asked, if who asked has said that this may be done.
func (c *scene) convert() {
	hana := c.actors.hana
	for _, leave := range []string{"", "AUTHORISED_TO_CONVERT"} {
		task := c.askAdvice("routine", leave, "Please look at this swelling.")
		c.move(step{who: hana, does: "takes it on", ask: task}, to("accepted"), status(200))
		c.move(step{who: hana, does: "begins", ask: task}, to("in-progress"), status(200))
		seen := c.look(hana, task)
		converted := output("guidance-outcome", `{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1","code":"PROVIDER_CONVERTED"}`)
		converted = strings.TrimSuffix(converted, "]}") + `,{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"referral"}]},
 "valueReference":{"reference":"urn:uuid:00000000-0000-4000-8000-0000000000aa"}}]}`
		message := letter{task: task, to: "Organization/" + c.run + "practice", text: "We will see her here."}
		s := step{who: hana, does: "makes a referral of it", ask: "POST ", body: transaction(
			c.fill(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-0000000000aa","resource":{"resourceType":"ServiceRequest","basedOn":[{"reference":"{asked}"}],"status":"active","intent":"order",
  "category":[{"coding":[{"system":"https://fhir.nhs.uk/CodeSystem/message-category-servicerequest","code":"referral"}]}],
  "subject":{"reference":"Patient/{run}ada"},"requester":{"reference":"PractitionerRole/{run}hana-ent"},"performer":[{"reference":"HealthcareService/{run}advice"}]},
  "request":{"method":"POST","url":"ServiceRequest"}}`, "asked", seen.text("focus.reference")),
			fmt.Sprintf(`{"resource":%s,"request":{"method":"POST","url":"Communication"}}`, message.json()),
			patched(task, seen.header.Get("ETag"), to("completed", converted)))}
		if leave == "" {
			s.does += ", which nobody has allowed"
			c.play(s, refused(422, "conversion-not-authorised")...)
			continue
		}
		c.play(s, status(200))
		c.play(step{who: c.actors.grace, does: "sees that it was converted", ask: "GET " + task}, status(200), gives("status", "completed"), gives("businessStatus.coding.code", "ADVICE_CONVERTED"))
		c.told(c.actors.system, "advice-response-received", task)
	}
}
