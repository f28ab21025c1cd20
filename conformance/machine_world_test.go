package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// A player is somebody who tries moves, and what they are in the Tasks of a kind.
type player struct {
	name  string // as what they try
	who   string
	roles []string // none for who does not see the Task
}

// machinePlayers returns who tries moves of Tasks of a kind: one for each role, and who has none.
func machinePlayers(kind string) []player {
	as := func(name, id string, roles ...string) player {
		return player{name, "practitioner " + id + " user/*.cruds", roles}
	}
	patient := func(role string) player { return player{role, "patient ada patient/*.cruds", []string{role}} }
	nobody := as("nobody", "nina")
	switch kind {
	case "consultation", "prescription-reissue":
		return []player{patient("requester"), as("owner", "ivy", "owner"), as("clinician", "grace", "owner", "clinician"), as("admin", "rosa", "owner", "admin"), nobody}
	case "patient-action":
		return []player{as("requester", "ivy", "requester"), patient("owner"), as("clinician", "grace", "requester"), as("admin", "rosa", "requester", "admin"), nobody}
	case "message-receipt":
		return []player{as("requester", "omar", "requester"), as("owner", "ivy", "owner"), as("clinician", "grace", "owner", "clinician"), as("admin", "rosa", "owner", "admin"), nobody}
	}
	return []player{as("requester", "ivy", "requester"), as("owner", "hal", "owner"), as("clinician", "omar", "owner", "clinician"), as("admin", "sam", "owner", "admin"), as("keeper", "rosa", "requester", "admin"), nobody}
}

// machineStaff are the players that work somewhere: where, and as what.
var machineStaff = [][3]string{
	{"ivy", "practice", "http://terminology.hl7.org/CodeSystem/practitioner-role|secretary"},
	{"grace", "practice", "http://terminology.hl7.org/CodeSystem/practitioner-role|doctor"},
	{"rosa", "practice", "https://fhir.openconsult.example/CodeSystem/practitioner-role|records-admin"},
	{"hal", "hospital", "http://terminology.hl7.org/CodeSystem/practitioner-role|secretary"},
	{"omar", "hospital", "http://terminology.hl7.org/CodeSystem/practitioner-role|doctor"},
	{"sam", "hospital", "https://fhir.openconsult.example/CodeSystem/practitioner-role|records-admin"},
	{"nina", "elsewhere", "http://terminology.hl7.org/CodeSystem/practitioner-role|doctor"},
}

// A mechanism is a server with the Tasks that are tried, and those who try.
type mechanism struct {
	*testing.T
	*subject
	client *http.Client
	tokens map[string]string // by who
}

// newMechanism starts one.
func newMechanism(t *testing.T) *mechanism {
	t.Helper()
	m := &mechanism{T: t, subject: serveSigned(t, api.Config{}, manner{}), tokens: map[string]string{}}
	m.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: time.Minute}
	t.Cleanup(m.client.CloseIdleConnections)
	m.store(
		`{"resourceType":"Organization","id":"practice","active":true,"name":"Practice"}`, `{"resourceType":"Organization","id":"hospital","active":true,"name":"Hospital"}`,
		`{"resourceType":"Organization","id":"elsewhere","active":true,"name":"Elsewhere"}`,
		`{"resourceType":"Patient","id":"ada","active":true,"name":[{"family":"Sample"}],"managingOrganization":{"reference":"Organization/practice"}}`,
		`{"resourceType":"Questionnaire","id":"ask","url":"https://a.example/ask","version":"1","status":"active","item":[{"linkId":"text","text":"What is it?","type":"text"}]}`,
		`{"resourceType":"QuestionnaireResponse","id":"answers","questionnaire":"https://a.example/ask|1","status":"completed","subject":{"reference":"Patient/ada"},"author":{"reference":"Patient/ada"}}`,
		`{"resourceType":"Communication","id":"message","status":"completed","subject":{"reference":"Patient/ada"},"sender":{"reference":"Organization/hospital"},"recipient":[{"reference":"Organization/practice"}],"payload":[{"contentString":"Hello."}]}`,
	)
	for _, s := range machineStaff {
		system, code, _ := strings.Cut(s[2], "|")
		m.store(
			fmt.Sprintf(`{"resourceType":"Practitioner","id":%q,"active":true}`, s[0]),
			fmt.Sprintf(`{"resourceType":"PractitionerRole","id":"%s-role","active":true,"practitioner":{"reference":"Practitioner/%[1]s"},"organization":{"reference":"Organization/%s"},"code":[{"coding":[{"system":%q,"code":%q}]}]}`, s[0], s[1], system, code),
		)
	}
	for _, kind := range machineKinds(t).names() {
		for _, p := range machinePlayers(kind) {
			m.token(p.who)
		}
	}
	return m
}

// of returns m for a test within its own: with tokens of its own for those who try what is of a kind.
// Those of m would have expired for a test that has waited long for its turn.
func (m *mechanism) of(t *testing.T, kind string) *mechanism {
	t.Helper()
	one := &mechanism{T: t, subject: m.subject, client: m.client, tokens: map[string]string{}}
	one.token("administrator")
	for _, p := range machinePlayers(kind) {
		one.token(p.who)
	}
	return one
}

// token returns the token of somebody, which is made once.
func (m *mechanism) token(who string) string {
	if m.tokens[who] == "" {
		a, err := parseActor(who)
		if err != nil {
			m.Fatal(err)
		}
		if m.tokens[who], err = m.door.token(m.Context(), a); err != nil {
			m.Fatal(err)
		}
	}
	return m.tokens[who]
}

// store stores resources as the server itself does, without asking any rule.
func (m *mechanism) store(bodies ...string) {
	m.Helper()
	var b interaction.Bundle
	for _, body := range bodies {
		var of struct{ ResourceType, ID string }
		if err := json.Unmarshal([]byte(body), &of); err != nil {
			m.Fatalf("%v\n%s", err, body)
		}
		r, err := fhir.Decode(of.ResourceType, []byte(body))
		if err != nil {
			m.Fatalf("%v\n%s", err, body)
		}
		b.Entries = append(b.Entries, interaction.Entry{Method: http.MethodPut, Key: fhir.Key{Type: of.ResourceType, ID: of.ID}, Resource: r})
	}
	for part := range slices.Chunk(b.Entries, 200) {
		if _, err := m.door.engine.System(interaction.Origin{}).Transaction(context.Background(), interaction.Bundle{Entries: part}); err != nil {
			m.Fatal(err)
		}
	}
}

// by sends a request of somebody.
func (m *mechanism) by(who string, r request) exchange {
	m.Helper()
	if who != "" {
		r.headers = append(slices.Clone(r.headers), [2]string{"Authorization", "Bearer " + m.tokens[who]})
	}
	x, err := r.send(m.client, m.base)
	if err != nil {
		m.Fatal(err)
	}
	if err := x.always(); err != nil {
		m.Errorf("%v\n%s", err, x)
	}
	return x
}

// read reads a resource as an administrator.
func (m *mechanism) read(key string) exchange {
	m.Helper()
	return m.by("", request{method: http.MethodGet, path: "/fhir/" + key, headers: [][2]string{{"Authorization", "Bearer " + m.tokens["administrator"]}}})
}
