package main

import (
	"fmt"
	"strings"
	"time"
)

// flowRecord has the practice's record system follow what happens, and file it.
func flowRecord(c *scene) {
	system, ada := c.actors.system, c.actors.ada
	next := c.catchUp(system)
	response, task := c.submit(ada, "I need a note for my employer")
	a := c.play(step{who: system, does: "asks what is new", ask: "GET " + next},
		status(200), holds("the form and the Task are there", fmt.Sprintf("entry.resource.where(%s or %s).count() = 2", is(response), is(task))), holds("there is a next page, for later", nextPage+".exists()"))
	next = a.text(nextPage)
	c.move(step{who: ada, does: "amends what she has sent, which nobody has taken on yet", ask: response}, `[{"op":"replace","path":"/item/1/answer/0/valueString","value":"I need a note for my employer, by Friday"}]`,
		status(200), gives("status", "amended"), gives("meta.versionId", "2"))
	c.play(step{who: system, does: "asks with a cursor that somebody has changed", ask: "GET $changes?cursor=nonsense"}, refused(400, "invalid-cursor")...)

	grace := c.actors.grace
	c.move(step{who: grace, does: "takes it on", ask: task}, to("accepted"), status(200))
	outcome := output("outcome", `{"system":"https://fhir.openconsult.example/CodeSystem/consultation-outcome","code":"advice-given"}`)
	said := c.sayAnd(grace, letter{task: task, to: "Patient/" + c.run + "ada", text: "It is ready for you.", replies: "open"}, to("completed", outcome))
	c.file(response, task)
	c.play(step{who: ada, does: "writes once more", ask: "POST Communication", body: letter{task: task, to: "Organization/" + c.run + "practice", text: "Thank you.", answers: said}.json()}, status(201))
	c.unfiled(task, "true", "a message that came later makes it not filed again")
	c.play(step{who: system, does: "files that, too", ask: "POST ", body: c.filing(response, task, "2")}, status(200))
	c.unfiled(task, "false", "nothing is left to file")

	a = c.play(step{who: system, does: "asks what is new", ask: "GET " + next}, status(200), holds("the Task comes in the order of its versions",
		"entry.resource.where("+is(task)+").count() > 2 and entry.resource.where("+is(task)+").last().output.where(type.coding.code='filed-to-record').count() = 2"))
	c.leaves(a.text(nextPage))
}

// nextPage is where a Bundle says how to go on.
const nextPage = "link.where(relation='next').url"

// is is the criterion for a resource by its key.
func is(key string) string {
	typ, id, _ := strings.Cut(key, "/")
	return fmt.Sprintf("($this is %s and id = '%s')", typ, id)
}

// catchUp reads the feed up to now, and returns where it goes on.
func (c *scene) catchUp(who *actor) string {
	a := c.play(step{who: who, does: "begins with all there is", ask: "GET $changes?_type=Patient,Task,Communication,QuestionnaireResponse&_count=100"},
		status(200), gives("type", "history"), holds("its patients are there", "entry.resource.where($this is Patient).exists()"))
	for range 100 {
		if a.text("entry.exists()") != "true" {
			break
		}
		a = c.look(who, a.text(nextPage))
	}
	return a.text(nextPage)
}

// file files a conversation, as it is to be done and as it is not.
func (c *scene) file(response, task string) {
	system := c.actors.system
	c.unfiled(task, "true", "it is not filed yet")
	c.move(step{who: system, does: "files it without saying who has done so", ask: task}, `[{"op":"add","path":"/output/-","value":`+c.filed(task)+`}]`, refused(422, "provenance-required")...)
	c.play(step{who: system, does: "files what is no longer current", ask: "POST ", body: c.filing(response, task, "1")}, refused(409, "superseded-source")...)
	c.play(step{who: system, does: "files it", ask: "POST ", body: c.filing(response, task, "2")},
		status(200), holds("the Task and the Provenance are stored", "entry.count() = 2"))
	c.told(system, "record-filed", task)
	c.unfiled(task, "false", "it is filed")
}

// unfiled looks whether a Task is on the list of what is not in the record.
func (c *scene) unfiled(task, want, words string) {
	c.play(step{who: c.actors.system, does: "looks at what is not in the record", ask: c.fill("GET Task?filed=false&patient=Patient/{run}ada&code=consultation&_count=100")},
		status(200), holds(words, fmt.Sprintf("entry.resource.where(%s).exists() = %s", is(task), want)))
}

// filed is the output that says where in the record something is.
func (c *scene) filed(task string) string {
	return fmt.Sprintf(`{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"filed-to-record"}]},
 "valueReference":{"type":"Encounter","identifier":{"system":"urn:example:record:encounter","value":"E-%s-%d"}}}`, c.run, len(task)+c.steps)
}

// filing is the transaction by which a record system says what it has filed.
func (c *scene) filing(response, task, version string) string {
	op := fmt.Sprintf(`[{"op":"add","path":"/output/-","value":%s}]`, c.filed(task))
	return transaction(patched(task, c.look(c.actors.system, task).header.Get("ETag"), op), c.fill(`{"fullUrl":"urn:uuid:f11ed000-0000-4000-8000-000000000001","resource":{"resourceType":"Provenance",
 "target":[{"reference":"{task}"}],"recorded":"{now}","agent":[
  {"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"assembler"}]},"who":{"type":"Device","display":"Record system of the demo"},"onBehalfOf":{"reference":"Organization/{run}practice"}},
  {"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":"author"}]},"who":{"reference":"PractitionerRole/{run}grace-gp"}}],
 "entity":[{"role":"source","what":{"reference":"{response}/_history/{version}"}}]},"request":{"method":"POST","url":"Provenance"}}`,
		"task", task, "now", time.Now().UTC().Format(time.RFC3339), "response", response, "version", version))
}

// leaves has a patient move to another practice.
func (c *scene) leaves(next string) {
	elsewhere := c.actors.elsewhere
	there := c.catchUpEmpty(elsewhere)
	leo := "Patient/" + c.run + "leo"
	c.move(step{who: c.actors.seeder, does: "has Leo move to another practice", ask: leo}, c.fill(`[{"op":"replace","path":"/managingOrganization/reference","value":"Organization/{run}elsewhere"},
 {"op":"replace","path":"/generalPractitioner/0/reference","value":"Organization/{run}elsewhere"}]`), status(200))
	const told = "entry.where(request.url.contains('%s') and response.outcome.issue.details.coding.code = '%s')"
	c.await(step{who: c.actors.system, does: "is told that he has left, and nothing else of him", ask: "GET " + next},
		status(200), holds("a tombstone says so", fmt.Sprintf(told, leo, "left-your-scope")+".where(request.method = 'DELETE' and resource.empty()).exists()"))
	c.await(step{who: elsewhere, does: "is told that he has come", ask: "GET " + there},
		status(200), holds("his record is there", fmt.Sprintf(told, leo, "entered-your-scope")+".where(resource.exists()).exists()"))
	c.play(step{who: c.actors.system, does: "looks for him", ask: "GET " + leo}, status(404))
}

// catchUpEmpty begins to follow the feed of a practice that has no patients.
func (c *scene) catchUpEmpty(who *actor) string {
	return c.play(step{who: who, does: "has no patients yet", ask: "GET $changes?_type=Patient"}, status(200), gives("entry.count()", "0")).text(nextPage)
}
