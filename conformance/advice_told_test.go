package conformance_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/api"
)

// TestAdviceTold has a practice subscribe as in the public sample to what becomes of its requests for
// advice: it is told when it is asked back, answered and turned away, by reference only, and of
// nothing that others have asked.
func TestAdviceTold(t *testing.T) {
	t.Parallel()
	sample := sharedFile(t, "domain", "set-c-messaging-sync", "subscription-advice-response.json")
	target := serveSignIn(t, api.Config{})
	play := func(text string) map[string]string {
		s, err := parse("advice", []byte("# Advice is told.\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		var names map[string]string
		for _, err := range s.runWith(target, func(c *session, st step) error { names = c.names; return st.do(c) }) {
			t.Fatal(err)
		}
		return names
	}
	play(adviceWorld)
	h := newHook(t, target.base, nil)
	token := tokenOf(t, target, "client practice-system organizations=practice system/*.cruds")
	a := askAt(t, target.base, token, "POST Subscription", sampleSubscription(t, sample, h.URL+"/fhir-hook"))
	if a.status != http.StatusCreated {
		t.Fatalf("subscribe as in the sample: %d %s", a.status, a.body)
	}
	awaitStatus(t, target.base, token, a.text("id"), "active")
	first := play(adviceAnswered)["task"]
	others := strings.NewReplacer("Organization/practice", "Organization/elsewhere", "PractitionerRole/grace-gp", "PractitionerRole/nina-gp", "practitioner grace", "practitioner nina")
	play(adviceElse + others.Replace(strings.ReplaceAll(adviceRejected, "Patient/ada", "Patient/eve")))
	second := play(adviceRejected)["task"]
	if diff := cmp.Diff([]string{first, first, second}, foci(h.awaitEvents(3))); diff != "" {
		t.Error(diff)
	}
	for _, d := range h.deliveries() {
		if d.path != "/fhir-hook" || d.header.Get("Authorization") != "Bearer sample-only" || len(d.resources) > 0 || strings.Contains(d.body, "palpitations") {
			t.Errorf("the practice is sent %s %v %s", d.path, d.header, d.body)
		}
	}
}

// sampleSubscription returns the Subscription of the sample by this practice, until later, to an
// endpoint that shares a secret.
func sampleSubscription(t *testing.T, sample []byte, endpoint string) string {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(sample), "Organization/prac-1", "Organization/practice")), &r); err != nil {
		t.Fatal(err)
	}
	r["end"] = "2099-01-01T00:00:00Z"
	channel := r["channel"].(map[string]any)
	channel["endpoint"] = endpoint
	channel["extension"] = append(channel["extension"].([]any), map[string]any{"url": "https://fhir.openconsult.example/StructureDefinition/subscription-secret", "valueString": hookSecret})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const adviceElse = `as administrator
PUT /fhir/Patient/eve
{"resourceType":"Patient","id":"eve","active":true,"name":[{"family":"Elsewhere"}],"managingOrganization":{"reference":"Organization/elsewhere"}}
= 201

`

// adviceBegun asks for advice, and the hospital takes it on.
const adviceBegun = `as practitioner grace user/*.cruds
POST /fhir
` + adviceAsked + `
= 200
let task = json entry[1].response.location ~ (Task/[^/]*)

as practitioner omar user/*.cruds
`

const adviceRejected = adviceBegun + `PATCH /fhir/{task}
If-Match: W/"1"
[{"op":"replace","path":"/status","value":"rejected"},{"op":"add","path":"/statusReason","value":{"text":"Ask neurology."}}]
= 200
`

const adviceAnswered = adviceBegun + `PATCH /fhir/{task}
If-Match: W/"1"
[{"op":"replace","path":"/status","value":"accepted"}]
= 200

POST /fhir/Communication
{"resourceType":"Communication","status":"completed","partOf":[{"reference":"{task}"}],"recipient":[{"reference":"Organization/practice"}],"payload":[{"contentString":"Any palpitations at rest?"}]}
= 201

PATCH /fhir/{task}
If-Match: W/"2"
[{"op":"replace","path":"/status","value":"on-hold"}]
= 200

as practitioner grace user/*.cruds
POST /fhir/Communication
{"resourceType":"Communication","status":"completed","partOf":[{"reference":"{task}"}],"recipient":[{"reference":"Organization/hospital"}],"payload":[{"contentString":"None."}]}
= 201

as practitioner omar user/*.cruds
POST /fhir/Communication
{"resourceType":"Communication","status":"completed","partOf":[{"reference":"{task}"}],"recipient":[{"reference":"Organization/practice"}],"payload":[{"contentString":"A tape is not needed."}]}
= 201

PATCH /fhir/{task}
If-Match: W/"4"
[{"op":"replace","path":"/status","value":"completed"},{"op":"add","path":"/output","value":[
 {"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"guidance-outcome"}]},"valueCodeableConcept":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceResponseOutcome-1","code":"RETURN_TO_REFERRER_WITH_ADVICE"}]}},
 {"type":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-io","code":"intended-recommendation"}]},"valueCodeableConcept":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-GuidanceIntendedRecommendation-1","code":"ADVICE_ONLY_NO_REFERRAL_RECOMMENDED"}]}}]}]
= 200
`
