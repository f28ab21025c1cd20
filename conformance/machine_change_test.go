package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// newAdvice starts a server with Tasks of advice and guidance, each an id and a status.
func newAdvice(t *testing.T, tasks ...string) *mechanism {
	t.Helper()
	m, machine := newMechanism(t), machineKinds(t)
	m.token("administrator")
	for _, task := range tasks {
		id, status, _ := strings.Cut(task, " ")
		m.store(machine.task("advice-and-guidance", status, id)...)
	}
	return m
}

const (
	machineGP       = "practitioner ivy user/*.cruds"
	machineOffice   = "practitioner hal user/*.cruds"
	machineDoctor   = "practitioner omar user/*.cruds"
	machineStranger = "practitioner nina user/*.cruds"
)

// TestMachineImmutable tries to change every element that stays as it was when the Task was
// created, and those that only the server writes.
func TestMachineImmutable(t *testing.T) {
	t.Parallel()
	m := newAdvice(t, "asked in-progress")
	m.store(`{"resourceType":"Patient","id":"ben","active":true,"managingOrganization":{"reference":"Organization/practice"}}`)
	before := m.read("Task/asked")
	for element, ops := range map[string]string{
		"requester":       `{"op":"replace","path":"/requester/reference","value":"Organization/hospital"}`,
		"for":             `{"op":"replace","path":"/for/reference","value":"Patient/ben"}`,
		"basedOn":         `{"op":"add","path":"/basedOn","value":[{"reference":"ServiceRequest/other"}]}`,
		"partOf":          `{"op":"add","path":"/partOf","value":[{"reference":"Task/other"}]}`,
		"code":            `{"op":"replace","path":"/code/coding/0/code","value":"consultation"}`,
		"groupIdentifier": `{"op":"replace","path":"/groupIdentifier/value","value":"another"}`,
		"authoredOn":      `{"op":"replace","path":"/authoredOn","value":"2020-01-01T00:00:00Z"}`,
		"focus":           `{"op":"add","path":"/focus","value":{"reference":"ServiceRequest/other"}}`,
		"restriction":     `{"op":"add","path":"/restriction","value":{"period":{"end":"2030-01-01T00:00:00Z"}}}`,
	} {
		for _, patch := range []string{"[" + ops + "]", setStatus("failed", ops, `{"op":"add","path":"/statusReason","value":{"text":"No."}}`)} {
			x := m.by(machineDoctor, request{method: http.MethodPatch, path: "/fhir/Task/asked", headers: [][2]string{{"If-Match", `W/"1"`}}, body: patch})
			if x.status != http.StatusUnprocessableEntity || text(x.tree, "issue[0].details.coding[0].code") != "immutable-element" || text(x.tree, "issue[0].expression[0]") != "Task."+element {
				t.Errorf("%s changes\n%s", element, x)
			}
		}
	}
	if after := m.read("Task/asked"); after.answer != before.answer {
		t.Errorf("it was\n%s\nand is\n%s", before.answer, after.answer)
	}
}

// TestMachineSame sends a Task that is what is stored: nothing happens, even in a status that
// nobody leaves.
func TestMachineSame(t *testing.T) {
	t.Parallel()
	m := newAdvice(t, "open in-progress", "over cancelled")
	for _, id := range []string{"open", "over"} {
		now := m.read("Task/" + id)
		for _, who := range []string{machineGP, machineDoctor} {
			x := m.by(who, request{method: http.MethodPut, path: "/fhir/Task/" + id, headers: [][2]string{{"If-Match", `W/"1"`}}, body: now.answer})
			if x.status != http.StatusOK || x.header.Get("ETag") != `W/"1"` || x.answer != now.answer {
				t.Errorf("%s sends what is there\n%s", who, x)
			}
		}
		if x := m.read("Task/" + id + "/_history"); text(x.tree, "total") != "1" {
			t.Errorf("it has versions\n%s", x)
		}
	}
}

// TestMachineOrder sends requests in which several things are wrong: what is named is the first
// that is asked.
func TestMachineOrder(t *testing.T) {
	t.Parallel()
	m := newAdvice(t, "asked in-progress")
	const current, stale = `W/"1"`, `W/"7"`
	for _, c := range []struct {
		what, who, match, to string
		status               int
		code, detail         string
	}{
		{"no token, no If-Match, no such move", "", "", "received", 401, "login", ""},
		{"a stranger, no If-Match, no such move", machineStranger, "", "received", 404, "not-found", ""},
		{"a stranger, stale, no such move", machineStranger, stale, "received", 404, "not-found", ""},
		{"a stranger, a move of others", machineStranger, current, "completed", 404, "not-found", ""},
		{"no If-Match, no such move", machineGP, "", "received", 400, "required", "if-match-required"},
		{"no If-Match, a move of others", machineGP, "", "completed", 400, "required", "if-match-required"},
		{"no If-Match, precondition", machineDoctor, "", "completed", 400, "required", "if-match-required"},
		{"stale, no such move", machineGP, stale, "received", 412, "conflict", "version-conflict"},
		{"stale, a move of others", machineGP, stale, "completed", 412, "conflict", "version-conflict"},
		{"stale, precondition", machineDoctor, stale, "completed", 412, "conflict", "version-conflict"},
		{"no such move, who may nothing", machineGP, current, "received", 422, "business-rule", "invalid-transition"},
		{"no such move, who may the rest", machineDoctor, current, "received", 422, "business-rule", "invalid-transition"},
		{"a move of the server", machineDoctor, current, "cancelled", 422, "business-rule", "invalid-transition"},
		{"a move of the clinician, precondition", machineOffice, current, "completed", 403, "forbidden", "transition-not-permitted-for-role"},
		{"a move of the owner, precondition", machineGP, current, "failed", 403, "forbidden", "transition-not-permitted-for-role"},
		{"precondition", machineDoctor, current, "completed", 422, "business-rule", "guidance-outcome-output"},
		{"precondition", machineOffice, current, "failed", 422, "business-rule", "status-reason"},
		{"precondition", machineOffice, current, "on-hold", 422, "business-rule", "question-sent"},
	} {
		for _, how := range []string{http.MethodPatch, http.MethodPut} {
			r := request{method: how, path: "/fhir/Task/asked", headers: [][2]string{{"If-Match", c.match}}, body: setStatus(c.to)}
			if how == http.MethodPut {
				r.body = strings.Replace(m.read("Task/asked").answer, `"status":"in-progress"`, fmt.Sprintf(`"status":%q`, c.to), 1)
			}
			x := m.by(c.who, r)
			if x.status != c.status || text(x.tree, "issue[0].code") != c.code || text(x.tree, "issue[0].details.coding[0].code") != c.detail {
				t.Errorf("%s: want %d %s %s\n%s", c.what, c.status, c.code, c.detail, x)
			}
		}
	}
	if x := m.read("Task/asked"); x.header.Get("ETag") != current {
		t.Errorf("something has changed\n%s", x)
	}
}
