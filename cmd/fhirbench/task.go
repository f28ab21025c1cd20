package main

import (
	"fmt"
	"strings"
	"time"
)

type task struct {
	ResourceType    string       `json:"resourceType"`
	ID              string       `json:"id,omitempty"`
	Identifier      []identifier `json:"identifier"`
	GroupIdentifier identifier   `json:"groupIdentifier"`
	Status          string       `json:"status"`
	BusinessStatus  concept      `json:"businessStatus"`
	Intent          string       `json:"intent"`
	Priority        string       `json:"priority"`
	Code            concept      `json:"code"`
	Description     string       `json:"description"`
	For             reference    `json:"for"`
	AuthoredOn      string       `json:"authoredOn"`
	LastModified    string       `json:"lastModified"`
	Requester       reference    `json:"requester"`
	PerformerType   []concept    `json:"performerType"`
	Owner           reference    `json:"owner"`
	ReasonCode      concept      `json:"reasonCode"`
	Note            []annotation `json:"note"`
	Restriction     restriction  `json:"restriction"`
	Input           []parameter  `json:"input"`
}

type restriction struct {
	Period period `json:"period"`
}

// parameter is an input of a Task with one of the values used here.
type parameter struct {
	Type         concept `json:"type"`
	ValueString  string  `json:"valueString,omitempty"`
	ValueBoolean *bool   `json:"valueBoolean,omitempty"`
}

// task makes the practice's side of an online consultation. Each revision hands it on and says so in a note.
func (d *draft) task() task {
	subject := d.practice.patients[d.number%uint64(len(d.practice.patients))]
	c, begun := pick(d.random, complaints), d.begun()
	changed := d.changed(begun)
	question, state := d.question(c), pick(d.change, taskStates)
	owner := pick(d.change, d.practice.practitioners)
	return task{
		ResourceType:    "Task",
		ID:              d.id,
		Identifier:      []identifier{d.identifier("consultation")},
		GroupIdentifier: d.identifier("episode"),
		Status:          state.status,
		BusinessStatus:  state.business,
		Intent:          "order",
		Priority:        pick(d.random, priorities),
		Code:            coded("http://hl7.org/fhir/CodeSystem/task-code", "fulfill", "Fulfill the focal request"),
		Description:     "Online consultation about " + strings.ToLower(c.display) + ": triage, answer and close",
		For:             subject,
		AuthoredOn:      instant(begun),
		LastModified:    instant(changed),
		Requester:       subject,
		PerformerType:   []concept{{Text: "General practitioner"}},
		Owner:           owner,
		ReasonCode:      c.concept(),
		Note: []annotation{
			{AuthorReference: &owner, Time: instant(changed), Text: fmt.Sprintf("Handed on %d times. %s", d.revision, c.reply)},
		},
		Restriction: restriction{Period: period{Start: instant(begun), End: instant(begun.Add(48 * time.Hour))}},
		Input:       d.inputs(question),
	}
}

func (d *draft) inputs(question string) []parameter {
	photographs := d.random.IntN(2) == 1
	return []parameter{
		{Type: concept{Text: "What the patient wrote"}, ValueString: question},
		{Type: concept{Text: "Photographs offered"}, ValueBoolean: &photographs},
		{Type: concept{Text: "Best time to call"}, ValueString: pick(d.random, callTimes)},
	}
}

// taskState is a code of https://hl7.org/fhir/R4/valueset-task-status.html and what it means to the practice.
type taskState struct {
	status   string
	business concept
}

var taskStates = []taskState{
	{"requested", stateConcept("awaiting-triage", "Awaiting triage")},
	{"accepted", stateConcept("triaged", "Triaged, awaiting a clinician")},
	{"in-progress", stateConcept("with-clinician", "With a clinician")},
	{"on-hold", stateConcept("awaiting-patient", "Awaiting the patient's answer")},
	{"completed", stateConcept("closed", "Answered and closed")},
}

func stateConcept(code, display string) concept {
	return coded(ours+"CodeSystem/fhirbench-consultation-state", code, display)
}

var callTimes = []string{"Before 10:00", "Between 12:00 and 14:00", "After 15:30", "Any time on a weekday"}
