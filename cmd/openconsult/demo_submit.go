package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"time"
)

// flowSubmit has patients ask their practice by a form: a rash with a photo, pain in the chest,
// and what somebody asks for another.
func flowSubmit(c *scene) {
	ada := c.actors.ada
	c.play(step{who: ada, does: "opens the form", ask: c.fill("GET Questionnaire?url=https://fhir.openconsult.example/Questionnaire/{run}form")},
		status(200), gives("entry.resource.title", "Ask your practice"))
	due := c.play(step{who: ada, does: "asks by when the practice answers", ask: c.fill("GET HealthcareService/{run}consultations/$due?priority=routine")},
		status(200), holds("a time is named", "parameter.where(name='due').value.exists()"))
	c.rash(due)
	c.incomplete()
	c.chestPain()
	c.byProxy()
}

// rash submits what can wait, with a photo, twice under one key.
func (c *scene) rash(due heard) {
	ada, practice := c.actors.ada, c.run+"practice"
	photo := c.play(step{who: ada, does: "uploads a photo", ask: "POST Binary", body: fmt.Sprintf(`{"resourceType":"Binary","contentType":"image/png","data":%q}`, aPhoto())},
		status(201), gives("contentType", "image/png"), holds("nobody has scanned it, and it says so", "meta.tag.where(code='NOT_SCANNED').exists()"))
	send := step{who: ada, does: "submits “A red rash on my arm” with the photo", ask: "POST QuestionnaireResponse",
		header: map[string]string{"Idempotency-Key": c.run + "rash"},
		body: c.answers("ada", "A red rash on my arm", `{"linkId":"chest-pain","answer":[{"valueBoolean":false}]},{"linkId":"problem","answer":[{"valueString":%q}]},
 {"linkId":"skin","answer":[{"valueBoolean":true}]},{"linkId":"photo","answer":[{"valueAttachment":{"contentType":"image/png","url":"`+photo.key()+`"}}]}`)}
	first := c.play(send, status(201), gives("status", "completed"), has("Link", `Task/[^>]+>; rel="task"`))
	task := first.taskOf()
	answerBy, _ := time.Parse(time.RFC3339, due.text("parameter.where(name='due').value"))
	c.play(step{who: ada, does: "looks at what became of it", ask: "GET " + task},
		status(200), gives("status", "requested"), gives("priority", "routine"), gives("owner.reference", "Organization/"+practice), gives("requester.reference", "Patient/"+c.run+"ada"),
		at("restriction.period.end", answerBy))
	c.play(step{who: ada, does: "reads the acknowledgement", ask: "GET Communication?part-of=" + task},
		status(200), gives("total", "1"), gives("entry.resource.category.coding.code", "acknowledgement"), gives("entry.resource.sender.reference", "Device/server"))
	c.told(c.actors.system, "consultation-submitted", task)
	c.told(ada, "message-received", c.look(ada, "Communication?part-of="+task).text("'Communication/' + entry[0].resource.id"))
	send.does = "sends the same again, as an app does that got no answer"
	c.play(send, status(201), has("Idempotent-Replay", "^true$"), gives("id", first.text("id")))
	c.play(step{who: ada, does: "has one request, not two", ask: "GET Task?focus=" + first.key()}, status(200), gives("total", "1"))
}

// incomplete leaves out what has to be answered.
func (c *scene) incomplete() {
	c.play(step{who: c.actors.ada, does: "leaves out two questions", ask: "POST QuestionnaireResponse", body: c.answers("ada", "It is nothing", `{"linkId":"problem","answer":[{"valueString":%q}]}`)},
		status(422), gives("issue.details.coding.code", "item-required, item-required"))
}

// chestPain submits what cannot wait.
func (c *scene) chestPain() {
	ada := c.actors.ada
	a := c.play(step{who: ada, does: "submits “Tight pain across my chest”", ask: "POST QuestionnaireResponse", body: c.answers("ada", "Tight pain across my chest", redFlag)},
		status(201))
	task := a.taskOf()
	asked := c.play(step{who: c.actors.grace, does: "finds it at the top of the list", ask: c.fill("GET Task?owner=Organization/{run}practice&code=consultation&status=requested&_sort=due")},
		status(200), gives("entry[0].resource.id", task[min(len(task), len("Task/")):]), gives("entry[0].resource.priority", "stat"),
		gives("entry[0].resource.businessStatus.coding.code", "diverted-emergency"),
		holds("the rule that has fired is named", "entry[0].resource.descendants().where($this = 'chest-pain-now').exists()"))
	began, _ := time.Parse(time.RFC3339, asked.text("entry[0].resource.authoredOn"))
	c.play(step{who: ada, does: "sees that she is answered within half an hour", ask: "GET " + task}, status(200), at("restriction.period.end", began.Add(30*time.Minute)))
	c.play(step{who: ada, does: "is told what to do at once", ask: "GET Communication?part-of=" + task},
		status(200), holds("the advice is there", "entry.resource.payload.content.where(contains('Call 999 now')).exists()"))
	c.told(c.actors.system, "consultation-submitted", task)
}

// byProxy submits for somebody else.
func (c *scene) byProxy() {
	form := c.answers("ben", "My father coughs", harmless)
	a := c.play(step{who: c.actors.cora, does: "submits “My father coughs”", ask: "POST QuestionnaireResponse", body: form}, status(201))
	c.play(step{who: c.actors.ben, does: "sees who has asked for him", ask: "GET " + a.taskOf()},
		status(200), gives("for.reference", "Patient/"+c.run+"ben"), gives("requester.reference", "RelatedPerson/"+c.run+"cora"))
	c.told(c.actors.system, "consultation-submitted", a.taskOf())
	c.play(step{who: c.actors.dora, does: "tries the same, without Ben's consent", ask: "POST QuestionnaireResponse", body: form}, refused(403, "proxy-not-active")...)
	c.play(step{who: c.actors.ada, does: "does not see what Ben asks", ask: "GET " + a.taskOf()}, status(404))
}

// aPhoto returns a small picture as PNG in base64.
func aPhoto() string {
	var b bytes.Buffer
	// Writing to memory does not fail, and the picture can be encoded.
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)))
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
