package main

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// What most flows do.

// at expects that a FHIRPath expression finds a time.
func at(path string, want time.Time) check {
	return func(a heard) (string, string) {
		got, err := time.Parse(time.RFC3339, a.text(path))
		if err != nil || !got.Equal(want) {
			return "", fmt.Sprintf("%s should be %s and is %q", path, want.Format(time.RFC3339), a.text(path))
		}
		return path + " = " + a.text(path), ""
	}
}

// look asks for something without saying so.
func (c *scene) look(who *actor, path string) heard {
	if c.broken {
		return heard{}
	}
	a, err := c.send(c.ctx, step{who: who, ask: "GET " + path})
	if err != nil {
		return heard{}
	}
	return a
}

// move changes a resource by JSON Patch, for the version that there is.
func (c *scene) move(s step, patch string, want ...check) {
	key := s.ask
	s.ask, s.body = "PATCH "+key, patch
	s.header = map[string]string{"If-Match": c.look(s.who, key).header.Get("ETag")}
	c.play(s, want...)
}

// to is the patch that gives a Task a status.
func to(status string, more ...string) string {
	return "[" + strings.Join(append([]string{fmt.Sprintf(`{"op":"replace","path":"/status","value":%q}`, status)}, more...), ",") + "]"
}

// output is the part of a patch that gives a Task its first outputs: pairs of a type and a Coding.
func output(pairs ...string) string {
	var all []string
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, fmt.Sprintf(`{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":%q}]},"valueCodeableConcept":{"coding":[%s]}}`, pairs[i], pairs[i+1]))
	}
	return `{"op":"add","path":"/output","value":[` + strings.Join(all, ",") + `]}`
}

// A letter is a message in a conversation.
type letter struct {
	task, to string // "Task/1", "Patient/1"
	text     string
	answers  string // the message that it answers: "Communication/1"; or ""
	replies  string // how often it may be answered: "once"; "" says nothing
	urgent   bool
}

func (l letter) json() string {
	more := ""
	if l.answers != "" {
		more += fmt.Sprintf(`,"inResponseTo":[{"reference":%q}]`, l.answers)
	}
	if l.replies != "" {
		more += fmt.Sprintf(`,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":%q}]}]`, l.replies)
	}
	if l.urgent {
		more += `,"priority":"urgent"`
	}
	return fmt.Sprintf(`{"resourceType":"Communication","status":"completed","partOf":[{"reference":%q}],"recipient":[{"reference":%q}],"payload":[{"contentString":%q}]%s}`,
		l.task, l.to, l.text, more)
}

// say sends a message by itself.
func (c *scene) say(who *actor, l letter, want ...check) heard {
	return c.play(step{who: who, does: fmt.Sprintf("writes “%s”", l.text), ask: "POST Communication", body: l.json()}, want...)
}

// sayAnd sends a message and moves the Task, both or neither. It returns the key of the message.
func (c *scene) sayAnd(who *actor, l letter, patch string) string {
	a := c.play(step{who: who, does: fmt.Sprintf("writes “%s”, and moves the Task with it", l.text), ask: "POST ", body: transaction(
		fmt.Sprintf(`{"resource":%s,"request":{"method":"POST","url":"Communication"}}`, l.json()),
		patched(l.task, c.look(who, l.task).header.Get("ETag"), patch))},
		status(200), holds("both are stored", "entry.count() = 2 and entry[0].response.status.startsWith('201') and entry[1].response.status.startsWith('200')"))
	return a.located(0)
}

// patched is an entry of a transaction that changes a resource.
func patched(key, etag, patch string) string {
	return fmt.Sprintf(`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":%q,"ifMatch":%q}}`,
		base64.StdEncoding.EncodeToString([]byte(patch)), key, etag)
}

// located returns what an entry of a transaction was stored as: "Task/1".
func (a heard) located(entry int) string {
	location, _, _ := strings.Cut(a.text(fmt.Sprintf("entry[%d].response.location", entry)), "/_history/")
	parts := strings.Split(location, "/")
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

// taskOf returns the Task that the answer to a submission links to.
func (a heard) taskOf() string {
	for _, link := range a.header.Values("Link") {
		for one := range strings.SplitSeq(link, ",") {
			url, rel, _ := strings.Cut(one, ">")
			if i := strings.Index(url, "Task/"); i >= 0 && strings.Contains(rel, `rel="task"`) {
				return url[i:]
			}
		}
	}
	return ""
}

// answers is a QuestionnaireResponse to the form of the demo.
func (c *scene) answers(patient, problem, more string) string {
	return c.fill(`{"resourceType":"QuestionnaireResponse","questionnaire":"https://fhir.openconsult.example/Questionnaire/{run}form|1","status":"completed",
 "subject":{"reference":"Patient/{run}{patient}"},"authored":"{now}","item":[{more}]}`,
		"patient", patient, "now", time.Now().UTC().Format(time.RFC3339), "more", fmt.Sprintf(more, problem))
}

// The items of a response; %q is what the matter is.
const (
	harmless = `{"linkId":"chest-pain","answer":[{"valueBoolean":false}]},{"linkId":"problem","answer":[{"valueString":%q}]},{"linkId":"skin","answer":[{"valueBoolean":false}]}`
	redFlag  = `{"linkId":"chest-pain","answer":[{"valueBoolean":true}]},{"linkId":"problem","answer":[{"valueString":%q}]},{"linkId":"skin","answer":[{"valueBoolean":false}]}`
)

// submit sends a form, and returns its key and that of the Task that comes of it.
func (c *scene) submit(who *actor, problem string) (response, task string) {
	a := c.play(step{who: who, does: fmt.Sprintf("submits “%s”", problem), ask: "POST QuestionnaireResponse", body: c.answers(who.id, problem, harmless)},
		status(201), has("Link", `Task/[^>]+>; rel="task"`))
	return a.key(), a.taskOf()
}
