package main

// flowReply has the practice and the patient write to each other until the matter is settled.
func flowReply(c *scene) {
	ada, grace := c.actors.ada, c.actors.grace
	patient, practice := "Patient/"+c.run+"ada", "Organization/"+c.run+"practice"
	_, task := c.submit(ada, "My knee hurts when I walk")
	c.play(step{who: grace, does: "finds it on the list", ask: "GET Task?owner=" + practice + "&status=requested&_sort=due"},
		status(200), holds("it is there", "entry.resource.where('Task/' + id = '"+task+"').exists()"))
	c.play(step{who: grace, does: "forgets to say which version she has seen", ask: "PATCH " + task, body: to("accepted")}, refused(400, "if-match-required")...)
	c.move(step{who: grace, does: "takes it on", ask: task}, to("accepted"), status(200), gives("status", "accepted"))
	c.told(c.actors.system, "task-changed", task)
	c.play(step{who: ada, does: "sees that the practice has it, and what she may do", ask: "GET " + task + "/$available-actions"},
		status(200), gives("parameter.part.where(name='to').value", "cancelled"))

	asked := c.sayAnd(grace, letter{task: task, to: patient, text: "Is it swollen?", replies: "once"}, to("on-hold"))
	c.told(ada, "message-received", asked)
	c.play(step{who: grace, does: "sees that the clock stands still", ask: "GET " + task},
		status(200), gives("status", "on-hold"), holds("since now, with no end", "extension.where(url.endsWith('clock-pause')).value.where(end.empty()).exists()"))
	c.read(task, asked)
	answered := c.say(ada, letter{task: task, to: practice, text: "Yes, since Monday.", answers: asked}, status(201), gives("status", "completed"), gives("sender.reference", patient))
	c.told(c.actors.system, "message-received", answered.key())
	c.play(step{who: ada, does: "sees that the practice goes on", ask: "GET " + task},
		status(200), gives("status", "in-progress"), holds("the clock runs again", "extension.where(url.endsWith('clock-pause')).value.where(end.empty()).empty()"))
	c.say(ada, letter{task: task, to: practice, text: "And one more thing.", answers: asked}, refused(422, "already-replied")...)
	c.close(task, asked)
	c.retract(task)
}

// read has the patient read the conversation.
func (c *scene) read(task, asked string) {
	ada := c.actors.ada
	c.play(step{who: ada, does: "opens the conversation", ask: "GET " + task + "/$thread"},
		status(200), gives("total", "2"), gives("entry[0].extension.where(url.endsWith('thread-unread')).value", "2"),
		holds("the newest comes last", "'Communication/' + entry.where(search.mode='match').last().resource.id = '"+asked+"'"))
	read := c.play(step{who: ada, does: "has read the question", ask: "POST " + asked + "/$mark-read"},
		status(200), gives("parameter.where(name='marked').value", "1"))
	receipt := read.text("parameter.where(name='receipt').value.reference")
	c.play(step{who: c.actors.grace, does: "sees when she has", ask: "GET " + receipt},
		status(200), gives("status", "completed"), holds("there is a time", "executionPeriod.end.exists()"), gives("code.coding.where(code='Read').count()", "1"))
	c.told(c.actors.system, "message-read", receipt)
	c.play(step{who: ada, does: "reads it again, which changes nothing", ask: "POST " + asked + "/$mark-read"},
		status(200), gives("parameter.where(name='marked').value", "0"))
}

// close ends the conversation, and takes it up again.
func (c *scene) close(task, asked string) {
	ada, grace := c.actors.ada, c.actors.grace
	c.move(step{who: grace, does: "closes it without saying how it ended", ask: task}, to("completed"), refused(422, "outcome-output")...)
	outcome := output("outcome", `{"system":"https://fhir.openconsult.example/CodeSystem/consultation-outcome","code":"advice-given","display":"Advice given"}`)
	c.move(step{who: grace, does: "closes it with an outcome", ask: task}, to("completed", outcome), status(200), gives("status", "completed"))
	c.told(c.actors.system, "task-changed", task)
	c.say(ada, letter{task: task, to: "Organization/" + c.run + "practice", text: "Are you still there?", answers: asked}, refused(422, "conversation-closed")...)
	c.move(step{who: ada, does: "tries to open it again herself", ask: task}, to("in-progress"), refused(403, "transition-not-permitted-for-role")...)
	c.move(step{who: grace, does: "opens it again, within 28 days", ask: task}, to("in-progress"), status(200), gives("status", "in-progress"))
}

// retract takes a message back.
func (c *scene) retract(task string) {
	ada, grace := c.actors.ada, c.actors.grace
	sent := c.say(grace, letter{task: task, to: "Patient/" + c.run + "ada", text: "This is meant for somebody else."}, status(201)).key()
	c.told(ada, "message-received", sent)
	c.play(step{who: ada, does: "tries to take it back", ask: "POST " + sent + "/$retract"}, refused(403, "retract-not-permitted")...)
	c.play(step{who: grace, does: "takes it back", ask: "POST " + sent + "/$retract", body: `{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"Sent to the wrong patient"}]}`},
		status(200), gives("status", "entered-in-error"), gives("statusReason.text", "Sent to the wrong patient"), lacks("what it said is gone", "meant for somebody else"))
	c.play(step{who: ada, does: "looks for it", ask: "GET " + sent}, status(404))
	c.play(step{who: grace, does: "tries to delete what was said", ask: "DELETE " + sent},
		holds("it is refused", "issue.where(severity='error').exists()"))
}
