package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	groupConversation = "Conversation"
	consultForm       = ours + "Questionnaire/fhirbench-consult"
	demoPractice      = "Organization/demo-practice"
	// threadMessages is how long the conversation is that is read.
	threadMessages = 50
)

// talk is what patients and their practice do on the server with sign-in.
type talk struct {
	*figures
	patients  []speaker
	clinician speaker
	mu        sync.Mutex
	waiting   []string // Tasks that nobody has accepted: "Task/1"; guarded by mu
}

// speaker is somebody with a token.
type speaker struct {
	id     string // "Patient/1"
	header http.Header
	// read and written are conversations: one that is long, and one that grows.
	read, written string
}

// conversation measures what is done in online consultations. One client is one patient.
func (f *figures) conversation(ctx context.Context) error {
	t := &talk{figures: f}
	if err := t.admit(ctx); err != nil {
		return err
	}
	for _, clients := range []int{figureClients, 1} {
		s := side{clients: clients, next: func(client int) func(context.Context) error {
			q := t.form(client)
			return func(ctx context.Context) error { _, err := t.submit(ctx, q); return err }
		}}
		if err := t.measured(ctx, t.rounds, "a form by a patient, which becomes a Task", s); err != nil {
			return err
		}
	}
	if err := t.ready(ctx); err != nil {
		return err
	}
	for _, clients := range []int{figureClients, 1} {
		if err := t.exchange(ctx, clients); err != nil {
			return err
		}
	}
	return nil
}

// exchange measures what is done with the Tasks that there are.
func (t *talk) exchange(ctx context.Context, clients int) error {
	ask := func(made func(client int) asking) side {
		return side{clients: clients, next: func(client int) func(context.Context) error {
			q := made(client)
			if q.address == "" {
				return nil
			}
			return func(ctx context.Context) error { return t.signed.must(ctx, q) }
		}}
	}
	reading := ask(func(client int) asking {
		who := t.patients[client]
		return asking{method: http.MethodGet, address: fmt.Sprintf("%s/$thread?_count=%d", who.read, threadMessages), header: who.header}
	})
	if err := t.measured(ctx, t.rounds, fmt.Sprintf("$thread of %d messages, as the patient", threadMessages), reading); err != nil {
		return err
	}
	writing := ask(func(client int) asking { return t.message(t.patients[client], t.patients[client].written) })
	if err := t.measured(ctx, t.rounds, "a message of the practice", writing); err != nil {
		return err
	}
	// There are only so many Tasks.
	return t.measured(ctx, 1, "a Task is accepted", ask(func(int) asking { return t.acceptance() }))
}

// measured gives one side its turns.
func (t *talk) measured(ctx context.Context, rounds int, name string, s side) error {
	all, err := compete(ctx, rounds, t.lasting, s)
	if err == nil {
		t.add(all[0].figure(groupConversation, name))
	}
	return err
}

// admit makes the form and the patients, and gets everybody a token.
func (t *talk) admit(ctx context.Context) error {
	if err := t.put(ctx, "Questionnaire/fhirbench-consult", consultQuestionnaire); err != nil {
		return err
	}
	for i := range figureClients {
		id := fmt.Sprintf("fhirbench-talker-%d", i)
		patient := fmt.Sprintf(`{"resourceType":"Patient","id":%q,"active":true,"name":[{"family":"Talker","given":["Number %d"]}],"birthDate":"1984-02-29",`+
			`"generalPractitioner":[{"reference":%q}],"managingOrganization":{"reference":%[3]q}}`, id, i, demoPractice)
		if err := t.put(ctx, "Patient/"+id, patient); err != nil {
			return err
		}
		header, err := t.token(ctx, "--patient", id, "--scope", "patient/*.cruds")
		if err != nil {
			return err
		}
		t.patients = append(t.patients, speaker{id: "Patient/" + id, header: header})
	}
	var err error
	t.clinician.header, err = t.token(ctx, "--user", "demo-grace", "--scope", "user/*.cruds")
	return err
}

func (t *talk) token(ctx context.Context, args ...string) (http.Header, error) {
	token, err := t.operate(ctx, append([]string{"token", "--client", "demo-app"}, args...)...)
	return http.Header{"Authorization": {"Bearer " + token}}, err
}

// form is a request of a patient.
func (t *talk) form(client int) asking {
	return asking{method: http.MethodPost, address: "QuestionnaireResponse", header: t.patients[client].header, body: fmt.Appendf(nil,
		`{"resourceType":"QuestionnaireResponse","questionnaire":"%s|1","status":"completed","subject":{"reference":%q},"authored":%q,"item":[`+
			`{"linkId":"chest-pain","answer":[{"valueBoolean":false}]},{"linkId":"problem","answer":[{"valueString":"A red rash on my arm, case %s"}]},`+
			`{"linkId":"temperature","answer":[{"valueDecimal":37.2}]}]}`,
		consultForm, t.patients[client].id, instant(time.Now().UTC()), rand.Text())}
}

// submit sends a form and returns the Task that came of it.
func (t *talk) submit(ctx context.Context, q asking) (string, error) {
	a, err := t.signed.ask(ctx, q)
	if err == nil {
		err = a.must("submit a form")
	}
	if err != nil {
		return "", err
	}
	task := taskOf(a.header)
	if task == "" {
		return "", errors.New("submit a form: no Task came of it")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, task)
	return task, nil
}

// taskOf returns the Task that the answer to a form links to, or "".
func taskOf(h http.Header) string {
	for _, link := range h.Values("Link") {
		address, relation, _ := strings.Cut(link, ">")
		if i := strings.Index(address, "Task/"); i >= 0 && strings.Contains(relation, `rel="task"`) {
			return address[i:]
		}
	}
	return ""
}

// message is one of the practice to a patient.
func (t *talk) message(to speaker, task string) asking {
	return asking{method: http.MethodPost, address: "Communication", header: t.clinician.header, body: fmt.Appendf(nil,
		`{"resourceType":"Communication","status":"completed","partOf":[{"reference":%q}],"recipient":[{"reference":%q}],"payload":[{"contentString":"Please send a photo of the rash in daylight."}]}`,
		task, to.id)}
}

// ready makes a long conversation and one that grows for each patient, and enough Tasks to accept.
func (t *talk) ready(ctx context.Context) error {
	_, err := spread(ctx, figureClients, figureClients, func(ctx context.Context, i int) (err error) {
		who := &t.patients[i]
		if who.written, err = t.submit(ctx, t.form(i)); err != nil {
			return err
		}
		if who.read, err = t.submit(ctx, t.form(i)); err != nil {
			return err
		}
		// The acknowledgement is a message, too.
		for range threadMessages - 1 {
			if err := t.signed.must(ctx, t.message(*who, who.read)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	enough := 2000
	if t.quick {
		enough = 100
	}
	_, err = spread(ctx, figureClients, max(0, enough-len(t.waiting)), func(ctx context.Context, i int) error {
		_, err := t.submit(ctx, t.form(i%figureClients))
		return err
	})
	return err
}

// acceptance has the practice accept a Task; without an address when there is none left.
func (t *talk) acceptance() asking {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		return asking{}
	}
	task := t.waiting[0]
	t.waiting = t.waiting[1:]
	header := t.clinician.header.Clone()
	header["If-Match"], header["Content-Type"] = []string{`W/"1"`}, []string{"application/json-patch+json"}
	return asking{method: http.MethodPatch, address: task, header: header, body: []byte(`[{"op":"replace","path":"/status","value":"accepted"}]`)}
}

// consultQuestionnaire is a form with a rule that sets priority.
const consultQuestionnaire = `{"resourceType":"Questionnaire","id":"fhirbench-consult","url":"` + consultForm + `","version":"1","status":"active",
"title":"Ask your practice","subjectType":["Patient"],"code":[{"system":"http://snomed.info/sct","code":"149951000000107"}],
"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/triage-rule","extension":[{"url":"id","valueId":"high-fever"},{"url":"priority","valueCode":"urgent"},
{"url":"condition","valueExpression":{"language":"text/fhirpath","expression":"%resource.item.where(linkId='temperature').answer.value >= 39"}}]}],
"item":[{"linkId":"chest-pain","text":"Do you have pain in your chest now?","type":"boolean","required":true},
{"linkId":"problem","text":"What is the matter?","type":"text","required":true,"maxLength":2000},
{"linkId":"temperature","text":"What is your temperature, in degrees Celsius?","type":"decimal"}]}`
