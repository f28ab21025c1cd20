package conformance_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

func (c *chat) forward(who string) []exchange {
	t := c.task()
	to := c.one([]string{"practice", "hospital", "elsewhere"})
	return c.as(c.party(t.owner, who), request{method: http.MethodPatch, path: "/fhir/Task/" + t.id, headers: [][2]string{{"If-Match", t.etag}},
		body: fmt.Sprintf(`[{"op":"replace","path":"/owner/reference","value":"Organization/%s"}]`, to)})
}

// aTask creates one of a kind.
func (c *chat) aTask(who, kind, status, more string) []exchange {
	return c.as(who, request{method: http.MethodPost, path: "/fhir/Task", body: fmt.Sprintf(`{"resourceType":"Task","status":%q,"intent":"order",
		"code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":%q}]},%s}`, status, kind, more)})
}

func (c *chat) askAdvice(who string) []exchange {
	kind := c.one([]string{"advice-and-guidance", "advice-and-guidance", "referral"})
	more := `"for":{"reference":"Patient/` + c.one([]string{"ada", "ada", "ben"}) + `"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Organization/hospital"}`
	if c.in(3) {
		more += `,"focus":{"reference":"ServiceRequest/convertible"}`
	}
	return c.aTask(c.party("Organization/practice", who), kind, c.one([]string{"requested", "requested", "draft", "accepted"}), more)
}

// closes ends a conversation that has been answered, or makes a referral of it.
func (c *chat) closes(who string) []exchange {
	for range 20 {
		t := c.task()
		head := [][2]string{{"If-Match", t.etag}}
		switch {
		case t.business == "REFERRER_TO_REVIEW_RESPONSE":
			return c.as(c.party(t.requester, who), request{method: http.MethodPatch, path: "/fhir/Task/" + t.id, headers: head, body: `[{"op":"replace","path":"/businessStatus/coding/0/code","value":"CONVERSATION_ENDED_CLOSED"}]`})
		case t.kind == "advice-and-guidance" && t.status == "in-progress" && t.focus != "":
			return c.as(c.party(t.owner, who), request{method: http.MethodPatch, path: "/fhir/Task/" + t.id, headers: head, body: setStatus("completed", `{"op":"add","path":"/output","value":[`+
				fmt.Sprintf(`{"type":`+taskIO+`,"valueCodeableConcept":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1","code":"PROVIDER_CONVERTED"}]}},`, "guidance-outcome")+
				fmt.Sprintf(`{"type":`+taskIO+`,"valueReference":{"reference":"ServiceRequest/convertible"}}]}`, "referral"))})
		}
	}
	return nil
}

func (c *chat) aborts(who string) []exchange {
	for range 20 {
		t := c.task()
		if t.status != "in-progress" && !c.in(15) {
			continue
		}
		return c.aTask(c.party(t.requester, who), "abort", "requested",
			fmt.Sprintf(`"focus":{"reference":"Task/%s"},"for":{"reference":%q},"requester":{"reference":%q},"owner":{"reference":%q}`, t.id, t.of, t.requester, t.owner))
	}
	return nil
}

func (c *chat) repeats(who string) []exchange {
	plan := fmt.Sprintf("plan-%d", c.rng.IntN(4))
	return c.aTask(c.party("Patient/ada", who), "prescription-reissue", "requested",
		`"focus":{"reference":"MedicationRequest/`+plan+`"},"for":{"reference":"Patient/ada"},"requester":{"reference":"Patient/ada"},"owner":{"reference":"Organization/practice"}`)
}

func (c *chat) asksPatient(who string) []exchange {
	of := c.one([]string{"ada", "ben", "cleo"})
	return c.aTask(c.party("Organization/practice", who), "patient-action", "ready",
		fmt.Sprintf(`"for":{"reference":"Patient/%s"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Patient/%[1]s"}`, of))
}

// files says of a conversation that it is in the record.
func (c *chat) files(who string) []exchange {
	t := c.task()
	source := t.focus
	if source != "" {
		source += "/_history/" + strings.Trim(c.read(t.focus).header.Get("ETag"), `W/"`)
	} else {
		source = "Task/" + t.id
	}
	path, open, end := "/output", "[", "]"
	if t.outputs {
		path, open, end = "/output/-", "", ""
	}
	patch := fmt.Sprintf(`[{"op":"add","path":%q,"value":%s{"type":`+taskIO+`,"valueIdentifier":{"value":"E-1"}}%s}]`, path, open, "filed-to-record", end)
	agent := `{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/provenance-participant-type","code":%q}]},"who":{"reference":%q}}`
	x := request{method: http.MethodPost, path: "/fhir", body: fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
		{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":"Task/%s","ifMatch":"W/\"%s\""}},
		{"resource":{"resourceType":"Provenance","target":[{"reference":"Task/%[2]s"}],"recorded":"2026-01-01T00:00:00Z","agent":[%[4]s],"entity":[{"role":"source","what":{"reference":%[5]q}}]},"request":{"method":"POST","url":"Provenance"}}]}`,
		base64.StdEncoding.EncodeToString([]byte(patch)), t.id, t.version, fmt.Sprintf(agent+","+agent, "assembler", "Organization/practice", "author", "PractitionerRole/grace-role"), source)}
	if c.in(3) {
		return c.as(c.party(t.owner, who), x)
	}
	return c.as(chatPeople[10], x)
}

// writesTo has the server send a message.
func (c *chat) writesTo(who string) []exchange {
	of, more := c.one([]string{"Patient/ada", "Patient/ben", "Patient/cleo"}), ""
	if c.in(2) {
		t := c.task()
		of, more = t.of, fmt.Sprintf(`"about":[{"reference":"Task/%s"}],`, t.id)
	}
	return c.as(c.party("Organization/practice", who), request{method: http.MethodPost, path: "/fhir/CommunicationRequest",
		body: fmt.Sprintf(`{"resourceType":"CommunicationRequest",%s"status":"active","subject":{"reference":%q},"recipient":[{"reference":%[2]q}],"payload":[{"contentString":"%x"}]}`, more, of, c.rng.Uint64())})
}

func (c *chat) booksSlot(who string) []exchange {
	of := c.one([]string{"ada", "ben"})
	return c.as(c.party("Patient/"+of, who), request{method: http.MethodPost, path: "/fhir/Appointment",
		body: fmt.Sprintf(`{"resourceType":"Appointment","status":"booked","slot":[{"reference":"Slot/slot-%d"}],"participant":[{"actor":{"reference":"Patient/%s"},"status":"accepted"},{"actor":{"reference":"HealthcareService/gp"},"status":"accepted"}]}`, c.rng.IntN(chatSlots), of)})
}

func (c *chat) unbooks(who string) []exchange {
	id := c.one(c.books)
	x := c.read("Appointment/" + id)
	return c.as(c.party(c.one([]string{"Patient/ada", "Patient/ben"}), who), request{method: http.MethodPatch, path: "/fhir/Appointment/" + id, headers: [][2]string{{"If-Match", x.header.Get("ETag")}}, body: setStatus("cancelled", `{"op":"add","path":"/cancelationReason","value":{"text":"Better."}}`)})
}
