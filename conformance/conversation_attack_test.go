package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/consultation"
)

// TestConversationAmendBeside has patients make another consultation about answers on which the
// practice works already: that does not let them change these.
func TestConversationAmendBeside(t *testing.T) {
	t.Parallel()
	c := newChat(t, 1)
	ada, ivy := chatPeople[0], chatPeople[5]
	form := c.by(ada, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: c.form("", "ada", "completed")})
	answers := text(form.tree, "id")
	c.note(form)
	task := c.tasks[0]
	patch := func(who, task, to string, version int) exchange {
		return c.by(who, request{method: http.MethodPatch, path: "/fhir/Task/" + task, headers: [][2]string{{"If-Match", fmt.Sprintf(`W/"%d"`, version)}}, body: setStatus(to)})
	}
	if x := patch(ivy, task, "accepted", 1); x.status != http.StatusOK {
		t.Fatal(x)
	}
	beside := c.aTask(ada, "consultation", "draft", fmt.Sprintf(`"focus":{"reference":"QuestionnaireResponse/%s"},"for":{"reference":"Patient/ada"},"requester":{"reference":"Patient/ada"},"owner":{"reference":"Organization/practice"}`, answers))[0]
	for _, x := range []exchange{beside, patch(ada, text(beside.tree, "id"), "requested", 1)} {
		if x.status >= 300 {
			t.Fatal(x)
		}
	}
	x := c.by(ada, request{method: http.MethodPut, path: "/fhir/QuestionnaireResponse/" + answers, headers: [][2]string{{"If-Match", `W/"1"`}}, body: c.form(answers, "ada", "completed")})
	if x.status != http.StatusUnprocessableEntity || !strings.Contains(x.answer, "amendment-too-late") {
		t.Errorf("answers that the practice works on are changed\n%s", x)
	}
}

// TestConversationAmendForwarded has patients amend what was passed on to another practice.
func TestConversationAmendForwarded(t *testing.T) {
	t.Parallel()
	c := newChat(t, 1)
	ada, ivy := chatPeople[0], chatPeople[5]
	for range 6 {
		form := c.by(ada, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: c.form("", "ada", "completed")})
		answers := text(form.tree, "id")
		c.note(form)
		x := c.by(ivy, request{method: http.MethodPatch, path: "/fhir/Task/" + c.tasks[len(c.tasks)-1], headers: [][2]string{{"If-Match", `W/"1"`}}, body: `[{"op":"replace","path":"/owner/reference","value":"Organization/hospital"}]`})
		if x.status != http.StatusOK {
			t.Fatal(x)
		}
		x = c.by(ada, request{method: http.MethodPut, path: "/fhir/QuestionnaireResponse/" + answers, headers: [][2]string{{"If-Match", `W/"1"`}}, body: c.form(answers, "ada", "completed")})
		if x.status != http.StatusOK {
			t.Errorf("it is not amended\n%s", x)
		}
	}
}

// TestConversationFull has people go on in a conversation that has as many messages as are looked
// at: who has answered what takes one answer does not answer it again because that is not seen.
func TestConversationFull(t *testing.T) {
	t.Parallel()
	c := newChat(t, 1)
	ada, ivy := chatPeople[0], chatPeople[5]
	c.note(c.by(ada, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: c.form("", "ada", "completed")}))
	task := c.tasks[0]
	say := func(who, to, more string) exchange {
		return c.by(who, request{method: http.MethodPost, path: "/fhir/Communication", body: fmt.Sprintf(`{"resourceType":"Communication","status":"completed","partOf":[{"reference":"Task/%s"}],"recipient":[{"reference":%q}],"payload":[{"contentString":"x"}]%s}`, task, to, more)})
	}
	question := say(ivy, "Patient/ada", `,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"once"}]}]`)
	answer := fmt.Sprintf(`,"inResponseTo":[{"reference":"Communication/%s"}]`, text(question.tree, "id"))
	if x := say(ada, "Organization/practice", answer); x.status != http.StatusCreated {
		t.Fatal(x)
	}
	var more []string
	for i := range 2*consultation.MostMessages - 3 {
		more = append(more, fmt.Sprintf(`{"resourceType":"Communication","id":"more-%d","status":"completed","sent":"2026-01-01T00:00:00Z","partOf":[{"reference":"Task/%s"}],"category":[{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/message-category","code":"consultation"}]}],
			"subject":{"reference":"Patient/ada"},"sender":{"reference":"Organization/practice"},"recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"x"}]}`, i, task))
	}
	c.store(more...)
	for _, x := range []exchange{say(ada, "Organization/practice", answer), say(ada, "Organization/practice", ""), say(ivy, "Patient/ada", "")} {
		if x.status != http.StatusUnprocessableEntity || text(x.tree, "issue[0].details.coding[0].code") != "conversation-full" {
			t.Errorf("it goes on\n%s", x)
		}
	}
}

// TestConversationAmendFiled has a patient amend answers that are in the record already: these are
// not all that there is any more.
func TestConversationAmendFiled(t *testing.T) {
	t.Parallel()
	c := newChat(t, 1)
	ada := chatPeople[0]
	form := c.by(ada, request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", body: c.form("", "ada", "completed")})
	c.note(form)
	for range 10 { // it is not always the right one who tries
		if x := c.files(chatPeople[10])[0]; x.status == http.StatusOK {
			break
		}
	}
	filed := func() string {
		return text(first(extended(c.read("Task/"+c.tasks[0]).tree, "filed")), "valueBoolean")
	}
	if filed() != "true" {
		t.Fatal("it is not filed")
	}
	answers := text(form.tree, "id")
	x := c.by(ada, request{method: http.MethodPut, path: "/fhir/QuestionnaireResponse/" + answers, headers: [][2]string{{"If-Match", `W/"1"`}}, body: c.form(answers, "ada", "completed")})
	if x.status != http.StatusOK || filed() != "false" {
		t.Errorf("after the amendment it is filed: %s\n%s", filed(), x)
	}
}
