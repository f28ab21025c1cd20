package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api"
)

// An adviceStep is one of the script about advice and guidance.
type adviceStep struct {
	Name, Actor, From, To, Missing string
	SameKey                        bool
	IfMatch                        *string
	Expect                         struct {
		Status             int
		Code, Detail, Hint string
		BusinessStatus     string
		Replayed           bool
		NoNewVersion       bool
	}
}

// TestAdviceScript plays the public script of advice and guidance over HTTP, each step by whom
// it names: what is allowed happens, and what is not is refused by the code that it says.
func TestAdviceScript(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(shared(), "domain", "set-b-advice-guidance")
	raw, err := os.ReadFile(filepath.Join(dir, "ag-transition-script.json"))
	if err != nil {
		t.Skipf("the script is not here (set OPENCONSULT_SHARED): %v", err)
	}
	var all struct{ Steps []adviceStep }
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Steps) != 24 {
		t.Fatalf("%d steps", len(all.Steps))
	}
	text := adviceWorld
	for i, s := range all.Steps {
		if !strings.Contains(string(raw), `"ifMatch": null`) {
			t.Fatal("no step lacks If-Match")
		}
		text += fmt.Sprintf("\n# %d. %s\n", i+1, s.Name) + s.script()
	}
	s, err := parse("ag-transition-script.json", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, err := range s.run(serveSignIn(t, api.Config{})) {
		t.Error(err)
	}
}

// as is who plays an actor.
func (s adviceStep) as() string {
	switch s.Actor {
	case "gp":
		return "as practitioner grace user/*.cruds\n"
	case "cons":
		return "as practitioner omar user/*.cruds\n"
	case "hosp-admin":
		return "as practitioner ivy user/*.cruds\n"
	case "other":
		return "as practitioner nina user/*.cruds\n"
	}
	return "as practitioner omar user/*.cruds\n" // whose consent has the server do it
}

// script returns the requests of the step.
func (s adviceStep) script() string {
	if s.From == "" {
		return s.as() + "POST /fhir\nIdempotency-Key: ask\n" + adviceAsked + "\n= 200\n= json entry[1].response.status 201 Created\n" +
			"let task = json entry[1].response.location ~ (Task/[^/]*)\n" + s.replay()
	}
	look := "as administrator\nGET /fhir/{task}\n= 200\n= json status " + s.From + "\nlet etag = header ETag\nlet match = header ETag ~ ([0-9]+)\n"
	if s.Actor == "server" {
		return look + adviceAbort + s.expect(look)
	}
	if s.talks() {
		return look + s.as() + "POST /fhir\n" + s.bundle() + "\n" + s.expect(look)
	}
	match := "If-Match: {etag}\n"
	switch {
	case s.Expect.Detail == "if-match-required":
		match = ""
	case s.Expect.Detail == "version-conflict":
		match = "If-Match: W/\"99\"\n"
	}
	return look + s.as() + "PATCH /fhir/{task}\n" + match + s.patch() + "\n" + s.expect(look)
}

func (s adviceStep) replay() string {
	if s.Expect.Replayed {
		return "= header Idempotent-Replay true\n"
	}
	return "= no header Idempotent-Replay\n"
}

// talks reports whether the step sends the message that its move needs.
func (s adviceStep) talks() bool {
	switch {
	case s.Missing != "" || s.Expect.Status != 200:
		return false
	case s.To == "on-hold", s.To == "completed", s.To == "in-progress" && s.Actor == "gp":
		return true
	}
	return false
}

func (s adviceStep) patch() string {
	ops := fmt.Sprintf(`[{"op":"replace","path":"/status","value":%q}`, s.To)
	if s.To == "completed" && s.Missing == "" && s.From == "in-progress" {
		ops += `,{"op":"add","path":"/output","value":[` +
			`{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"guidance-outcome"}]},"valueCodeableConcept":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1","code":"RETURN_TO_REFERRER_WITH_ADVICE"}]}},` +
			`{"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"intended-recommendation"}]},"valueCodeableConcept":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceIntendedRecommendation-1","code":"ADVICE_FOLLOWED_BY_REFERRAL_IF_REQUIRED"}]}}]}`
	}
	return ops + "]"
}

// bundle sends a message together with the move.
func (s adviceStep) bundle() string {
	to := "Organization/hospital"
	if s.Actor != "gp" {
		to = "Organization/practice"
	}
	patch := base64.StdEncoding.EncodeToString([]byte(s.patch()))
	return fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[`+
		`{"resource":{"resourceType":"Communication","status":"completed","partOf":[{"reference":"{task}"}],"recipient":[{"reference":%q}],"payload":[{"contentString":"About the palpitations."}]},"request":{"method":"POST","url":"Communication"}},`+
		`{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":"{task}","ifMatch":"W/\"{match}\""}}]}`, to, patch)
}

// expect returns what the step is answered with, and what the Task is afterwards.
func (s adviceStep) expect(look string) string {
	text := fmt.Sprintf("= %d\n", s.Expect.Status)
	if s.Expect.Code != "" {
		text += "= issue " + s.Expect.Code + "\n"
	}
	if s.Expect.Detail != "" {
		text += "= json issue[0].details.coding[0].code " + s.Expect.Detail + "\n"
	}
	if strings.Contains(s.Expect.Hint, "abort") {
		text += "= json issue[0].details.text ~ abort Task\n"
	}
	after := s.From
	if s.Expect.Status == 200 {
		after = s.To
	}
	text += "as administrator\nGET /fhir/{task}\n= 200\n= json status " + after + "\n"
	if s.Expect.BusinessStatus != "" {
		text += "= json businessStatus.coding[0].code " + s.Expect.BusinessStatus + "\n"
	}
	if s.Expect.NoNewVersion || s.Expect.Status != 200 {
		text += "= header ETag {etag}\n"
	}
	return text
}

const adviceAbort = `as practitioner grace user/*.cruds
POST /fhir/Task
{"resourceType":"Task","status":"requested","intent":"order","code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"abort"}]},
 "focus":{"reference":"{task}"},"for":{"reference":"Patient/ada"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Organization/hospital"}}
= 201
let abort = id
as practitioner omar user/*.cruds
PATCH /fhir/Task/{abort}
If-Match: W/"1"
[{"op":"replace","path":"/status","value":"accepted"}]
`

const adviceAsked = `{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000e1","resource":{"resourceType":"ServiceRequest","status":"active","intent":"order",
  "category":[{"coding":[{"system":"https://fhir.nhs.uk/CodeSystem/message-category-servicerequest","code":"request"}]}],
  "code":{"coding":[{"system":"https://fhir.nhs.uk/CodeSystem/servicerequest-code","code":"advice-and-guidance"}]},
  "subject":{"reference":"Patient/ada"},"requester":{"reference":"PractitionerRole/grace-gp"},"performer":[{"reference":"Organization/hospital"}]},
  "request":{"method":"POST","url":"ServiceRequest"}},
 {"fullUrl":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000f1","resource":{"resourceType":"Task","status":"requested","intent":"order","priority":"routine",
  "code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}]},
  "basedOn":[{"reference":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000e1"}],"focus":{"reference":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000e1"},
  "for":{"reference":"Patient/ada"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Organization/hospital"}},
  "request":{"method":"POST","url":"Task"}},
 {"fullUrl":"urn:uuid:0a9f2a10-0000-4000-8000-000000000011","resource":{"resourceType":"Communication","status":"completed",
  "partOf":[{"reference":"urn:uuid:0a9f2a10-0000-4000-8000-0000000000f1"}],"recipient":[{"reference":"Organization/hospital"}],
  "sender":{"reference":"PractitionerRole/grace-gp"},
  "payload":[{"contentString":"54 year old with intermittent palpitations for three months. Is a 24 hour tape needed first?"}]},
  "request":{"method":"POST","url":"Communication"}}]}`

// adviceWorld has a practice, a hospital and somebody who has nothing to do with either.
const adviceWorld = `# Advice is asked, asked back, given and stopped only by those whose turn it is.
as administrator
PUT /fhir/Organization/practice
{"resourceType":"Organization","id":"practice","active":true,"name":"Sampleford Surgery"}
= 201

PUT /fhir/Organization/hospital
{"resourceType":"Organization","id":"hospital","active":true,"name":"Sampleford General Hospital"}
= 201

PUT /fhir/Organization/elsewhere
{"resourceType":"Organization","id":"elsewhere","active":true,"name":"Elsewhere Surgery"}
= 201

PUT /fhir/Patient/ada
{"resourceType":"Patient","id":"ada","active":true,"name":[{"family":"Sample","given":["Ada"]}],"managingOrganization":{"reference":"Organization/practice"}}
= 201

PUT /fhir/Practitioner/grace
{"resourceType":"Practitioner","id":"grace","active":true}
= 201

PUT /fhir/PractitionerRole/grace-gp
{"resourceType":"PractitionerRole","id":"grace-gp","active":true,"practitioner":{"reference":"Practitioner/grace"},"organization":{"reference":"Organization/practice"},
 "code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}
= 201

PUT /fhir/Practitioner/omar
{"resourceType":"Practitioner","id":"omar","active":true}
= 201

PUT /fhir/PractitionerRole/omar-cardiology
{"resourceType":"PractitionerRole","id":"omar-cardiology","active":true,"practitioner":{"reference":"Practitioner/omar"},"organization":{"reference":"Organization/hospital"},
 "code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}
= 201

PUT /fhir/Practitioner/ivy
{"resourceType":"Practitioner","id":"ivy","active":true}
= 201

PUT /fhir/PractitionerRole/ivy-office
{"resourceType":"PractitionerRole","id":"ivy-office","active":true,"practitioner":{"reference":"Practitioner/ivy"},"organization":{"reference":"Organization/hospital"},
 "code":[{"text":"Medical secretary"}]}
= 201

PUT /fhir/Practitioner/nina
{"resourceType":"Practitioner","id":"nina","active":true}
= 201

PUT /fhir/PractitionerRole/nina-gp
{"resourceType":"PractitionerRole","id":"nina-gp","active":true,"practitioner":{"reference":"Practitioner/nina"},"organization":{"reference":"Organization/elsewhere"},
 "code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"doctor"}]}]}
= 201
`
