package main

import (
	"fmt"
	"time"
)

// flowApp has a patient look at her record, book an appointment and ask for a prescription.
func flowApp(c *scene) {
	ada := c.actors.ada
	c.play(step{who: ada, does: "opens the summary of her record", ask: c.fill("GET Patient/{run}ada/$summary")},
		status(200), gives("type", "document"), gives("entry[0].resource.type.coding.code.first()", "60591-5"),
		holds("her allergy and her medicine are in it", "entry.resource.where($this is AllergyIntolerance).code.text = 'Allergy to nuts' and entry.resource.where($this is MedicationRequest).exists()"),
		lacks("what is not released is not, nor that there is any", "suspicion"))
	c.play(step{who: c.actors.grace, does: "sees what is not released to the patient", ask: c.fill("GET Condition?patient=Patient/{run}ada")}, status(200), gives("total", "1"))
	c.play(step{who: ada, does: "looks for the same", ask: c.fill("GET Condition?patient=Patient/{run}ada")}, status(200), gives("total", "0"))
	c.play(step{who: ada, does: "takes everything with her", ask: c.fill("GET Patient/{run}ada/$everything?_count=500")},
		status(200), holds("there are her forms, messages and medicines", "entry.resource.where($this is QuestionnaireResponse).exists() and entry.resource.where($this is Communication).exists() and entry.resource.where($this is MedicationRequest).count() = 2"),
		lacks("and nothing of other patients", c.run+"ben"))
	c.play(step{who: ada, does: "lists what she may ask for again", ask: c.fill("GET MedicationRequest?patient=Patient/{run}ada&intent=plan&status=active")},
		status(200), gives("entry.resource.medication.text", "Ramipril 5 mg"))
	c.book()
	c.prescription()
}

// book books, and cancels.
func (c *scene) book() {
	ada, ben := c.actors.ada, c.actors.ben
	search := fmt.Sprintf("GET Slot?schedule.actor=HealthcareService/%sconsultations&status=free&start=ge%s&_sort=start", c.run, time.Now().UTC().Format(time.DateOnly))
	c.play(step{who: ada, does: "looks for a free appointment", ask: search},
		status(200), gives("entry.resource.id", c.run+"slot-1, "+c.run+"slot-2"))
	visit := c.play(step{who: ada, does: "books the first", ask: "POST Appointment", body: c.appointment("ada", "slot-1")},
		status(201), gives("status", "booked"), at("start", c.nine())).key()
	c.told(c.actors.system, "appointment-changed", visit)
	c.play(step{who: ben, does: "wants the same one", ask: "POST Appointment", body: c.appointment("ben", "slot-1")}, refused(409, "slot-unavailable")...)
	c.play(step{who: ben, does: "wants one that has been", ask: "POST Appointment", body: c.appointment("ben", "slot-past")}, refused(422, "slot-in-past")...)
	c.play(step{who: ben, does: "sees what is left", ask: search}, status(200), gives("entry.resource.id", c.run+"slot-2"))
	c.play(step{who: ben, does: "does not see who has booked", ask: "GET " + visit}, status(404))
	c.move(step{who: ada, does: "cancels without a reason", ask: visit}, to("cancelled"), refused(422, "cancelation-reason-required")...)
	c.move(step{who: ada, does: "cancels", ask: visit}, to("cancelled", `{"op":"add","path":"/cancelationReason","value":{"text":"I am well again"}}`), status(200), gives("status", "cancelled"))
	c.told(c.actors.system, "appointment-changed", visit)
	c.play(step{who: ben, does: "finds both free", ask: search}, status(200), gives("entry.resource.id", c.run+"slot-1, "+c.run+"slot-2"))
}

func (c *scene) nine() time.Time {
	day, _ := time.Parse(time.DateOnly, c.names["day"])
	return day.Add(9 * time.Hour)
}

func (c *scene) appointment(patient, slot string) string {
	return c.fill(`{"resourceType":"Appointment","status":"booked","slot":[{"reference":"Slot/{run}{slot}"}],
 "participant":[{"actor":{"reference":"Patient/{run}{patient}"},"status":"accepted"},{"actor":{"reference":"HealthcareService/{run}consultations"},"status":"accepted"}]}`,
		"patient", patient, "slot", slot)
}

// prescription asks for a medicine again, and the practice decides.
func (c *scene) prescription() {
	ada, grace := c.actors.ada, c.actors.grace
	ask := func(medicine string) step {
		return step{who: ada, does: "asks for " + medicine + " again", ask: "POST Task", body: c.fill(`{"resourceType":"Task","status":"requested","intent":"order",
 "code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"prescription-reissue"},{"system":"http://snomed.info/sct","code":"103742009"}]},
 "focus":{"reference":"MedicationRequest/{run}{medicine}"},"for":{"reference":"Patient/{run}ada"},"requester":{"reference":"Patient/{run}ada"},"owner":{"reference":"Organization/{run}practice"}}`, "medicine", medicine)}
	}
	c.play(ask("amoxicillin"), refused(422, "not-a-repeat")...)
	first := c.play(ask("ramipril"), status(201), gives("status", "requested")).key()
	c.told(c.actors.system, "prescription-request-changed", first)
	c.play(ask("ramipril"), refused(422, "already-requested")...)
	c.move(step{who: ada, does: "withdraws it", ask: first}, to("cancelled"), status(200), gives("status", "cancelled"))
	task := c.play(ask("ramipril"), status(201)).key()
	c.move(step{who: grace, does: "has seen it", ask: task}, to("received"), status(200))
	c.move(step{who: ada, does: "wants to withdraw it now", ask: task}, to("cancelled"), refused(422, "invalid-transition")...)
	c.move(step{who: grace, does: "agrees", ask: task}, to("accepted"), status(200))
	c.move(step{who: grace, does: "ends it without a prescription", ask: task}, to("completed"), refused(422, "output-medication-request")...)
	issued := `{"op":"add","path":"/output","value":[{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"medication-request"}]},"valueReference":{"reference":"urn:uuid:00000000-0000-4000-8000-0000000000f1"}}]}`
	a := c.play(step{who: grace, does: "issues the prescription", ask: "POST ", body: transaction(
		c.fill(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-0000000000f1","resource":{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"Ramipril 5 mg"},
  "subject":{"reference":"Patient/{run}ada"},"authoredOn":"{today}","basedOn":[{"reference":"MedicationRequest/{run}ramipril"}],"requester":{"reference":"Practitioner/{run}grace"}},"request":{"method":"POST","url":"MedicationRequest"}}`,
			"today", time.Now().UTC().Format(time.DateOnly)),
		patched(task, c.look(grace, task).header.Get("ETag"), to("completed", issued)))}, status(200))
	c.play(step{who: ada, does: "sees that it was issued", ask: "GET " + task}, status(200), gives("status", "completed"), gives("output.value.reference", a.located(0)))
	for range 4 {
		c.told(c.actors.system, "prescription-request-changed", task)
	}
	c.play(ask("ramipril"), refused(422, "too-early")...)
}
