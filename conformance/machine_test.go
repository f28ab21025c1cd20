package conformance_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A walker tries moves of Tasks of one kind.
type walker struct {
	*mechanism
	machine machinePublished
	kind    string
}

// TestMachine has everybody try every move of every kind over HTTP. What the published state
// machine says is done, and leads there; everything else is refused by the code that is due,
// leaves the Task as it was, and names what the caller may do instead.
func TestMachine(t *testing.T) {
	t.Parallel()
	m, machine := newMechanism(t), machineKinds(t)
	m.store(`{"resourceType":"MedicationRequest","id":"issued","status":"active","intent":"order","medicationCodeableConcept":{"text":"Ramipril 5 mg"},"subject":{"reference":"Patient/ada"}}`)
	for _, kind := range machine.names() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := walker{m.of(t, kind), machine, kind}
			w.prepare()
			for _, from := range taskStatuses {
				for _, p := range machinePlayers(kind) {
					w.tries(from, p)
				}
				w.stays(from)
			}
			w.creates()
		})
	}
}

// prepare stores a Task in every status, and one for every move that is to be made.
func (w walker) prepare() {
	w.Helper()
	var all []string
	for _, from := range taskStatuses {
		all = append(all, w.machine.task(w.kind, from, w.kind+"-"+from)...)
		for _, move := range w.machine.from(w.kind, from) {
			for _, p := range machinePlayers(w.kind) {
				if move.may(p.roles) {
					all = append(all, w.machine.task(w.kind, from, w.id(from, move.To, p))...)
				}
			}
		}
	}
	w.store(all...)
}

func (w walker) id(from, to string, p player) string {
	return strings.Join([]string{w.kind, from, to, p.name}, "-")
}

// tries has a player try all moves out of a status.
func (w walker) tries(from string, p player) {
	w.Helper()
	task := "Task/" + w.kind + "-" + from
	allowed := w.actions(task, from, p)
	for _, to := range taskStatuses {
		move, there := w.machine.find(w.kind, from, to)
		status, code := http.StatusOK, ""
		switch {
		case p.roles == nil:
			status = http.StatusNotFound
		case from == to:
		case !there || !move.clients():
			status, code = http.StatusUnprocessableEntity, "invalid-transition"
		case !move.may(p.roles):
			status, code = http.StatusForbidden, "transition-not-permitted-for-role"
		default:
			w.moves(move, from, p)
			continue
		}
		x := w.by(p.who, request{method: http.MethodPatch, path: "/fhir/" + task, headers: [][2]string{{"If-Match", `W/"1"`}}, body: setStatus(to)})
		if x.status != status || text(x.tree, "issue[0].details.coding[0].code") != code {
			w.Errorf("%s: %s to %s by the %s: want %d %s\n%s", w.kind, from, to, p.name, status, code, x)
			continue
		}
		if status == http.StatusOK && x.header.Get("ETag") != `W/"1"` {
			w.Errorf("%s: staying %s has made a version\n%s", w.kind, from, x)
		}
		if code == "" {
			continue
		}
		if got := moveList(x.tree, refusedMoves, from); !slices.Equal(got, allowed) {
			w.Errorf("%s: %s to %s by the %s: the refusal lists %q, $available-actions %q", w.kind, from, to, p.name, got, allowed)
		}
	}
}

// actions asks what a player may do, and holds it against what is published.
func (w walker) actions(task, from string, p player) []string {
	w.Helper()
	x := w.by(p.who, request{method: http.MethodGet, path: "/fhir/" + task + "/$available-actions"})
	if p.roles == nil {
		if x.status != http.StatusNotFound {
			w.Errorf("%s in %s is shown to nobody\n%s", w.kind, from, x)
		}
		return nil
	}
	got := moveList(x.tree, listedMoves, from)
	if want := w.machine.actions(w.kind, from, p); x.status != http.StatusOK || !slices.Equal(got, want) {
		w.Errorf("%s in %s: the %s may do %q, want %q (%d)", w.kind, from, p.name, got, want, x.status)
	}
	return got
}

// A moveForm says where an answer has its moves: each with parts that are told apart by a name.
type moveForm struct{ at, parts, name string }

var (
	refusedMoves = moveForm{"issue[0].extension", "extension", "url"}
	listedMoves  = moveForm{"parameter", "part", "name"}
)

// moveList lists the moves that an answer names: each with what it requires, or that it is a
// forward, and what stays in its status with the business status.
func moveList(tree any, as moveForm, from string) (all []string) {
	moves, _ := find(tree, as.at+"[*]")
	for i := range moves {
		part := func(which, value string) string {
			return text(tree, fmt.Sprintf("%s[%d].%s[%s=%s].%s", as.at, i, as.parts, as.name, which, value))
		}
		to, more := part("to", "valueCode"), part("precondition", "valueCode")
		if part("forward", "valueBoolean") == "true" {
			more = "forward"
		} else if to == from {
			more = part("business-status", "valueCoding.code")
		}
		all = append(all, strings.TrimSpace(to+" "+more))
	}
	return all
}

func setStatus(to string, more ...string) string {
	ops := append([]string{fmt.Sprintf(`{"op":"replace","path":"/status","value":%q}`, to)}, more...)
	return "[" + strings.Join(ops, ",") + "]"
}

// moves makes a move that is allowed, and sees that the Task has gone there.
func (w walker) moves(move machineMove, from string, p player) {
	w.Helper()
	ops, recipient := w.machine.meets(w.kind, move)
	task := "Task/" + w.id(from, move.To, p)
	r := request{method: http.MethodPatch, path: "/fhir/" + task, headers: [][2]string{{"If-Match", `W/"1"`}}, body: setStatus(move.To, ops...)}
	if recipient != "" {
		r = request{method: http.MethodPost, path: "/fhir", body: fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
			{"resource":{"resourceType":"Communication","status":"completed","partOf":[{"reference":%q}],"recipient":[{"reference":%q}],"payload":[{"contentString":"About this."}],
			 "extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"open"}]}]},"request":{"method":"POST","url":"Communication"}},
			{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":%q,"ifMatch":"W/\"1\""}}]}`,
			task, recipient, base64.StdEncoding.EncodeToString([]byte(r.body)), task)}
	}
	x := w.by(p.who, r)
	if x.status != http.StatusOK {
		w.Errorf("%s: %s to %s by the %s\n%s", w.kind, from, move.To, p.name, x)
		return
	}
	got, want := w.read(task), move.To
	if w.kind == "abort" && move.To == "accepted" {
		want = "completed"
		if stopped := w.read("Task/stop-" + w.id(from, move.To, p)); text(stopped.tree, "status") != "cancelled" {
			w.Errorf("what was to be stopped goes on\n%s", stopped)
		}
	}
	if text(got.tree, "status") != want {
		w.Errorf("%s: %s to %s by the %s has led to\n%s", w.kind, from, move.To, p.name, got)
	}
	if codes := w.machine.Kinds[w.kind].Business[want]; len(codes) > 0 && text(got.tree, "businessStatus.coding[0].code") != codes[0] {
		w.Errorf("%s: the business status of %s is not %s\n%s", w.kind, want, codes[0], got)
	}
}

// stays wants the Task in a status to be as it was before anybody tried anything.
func (w walker) stays(from string) {
	w.Helper()
	if x := w.read("Task/" + w.kind + "-" + from); x.header.Get("ETag") != `W/"1"` || text(x.tree, "status") != from {
		w.Errorf("%s in %s has changed\n%s", w.kind, from, x)
	}
}

// creates has everybody create Tasks in every status.
func (w walker) creates() {
	w.Helper()
	initial := w.machine.Kinds[w.kind].Initial
	for _, status := range taskStatuses {
		may := machineMove{By: initial[status]}
		for _, p := range machinePlayers(w.kind) {
			about := w.machine.task(w.kind, status, w.id("new", status, p))
			w.store(about[:len(about)-1]...)
			body := strings.Replace(about[len(about)-1], fmt.Sprintf(`"id":%q,`, w.id("new", status, p)), "", 1)
			want, code := http.StatusCreated, ""
			switch {
			case !may.clients():
				want, code = http.StatusUnprocessableEntity, "invalid-transition"
			case !may.may(p.roles):
				want, code = http.StatusForbidden, "transition-not-permitted-for-role"
			}
			x := w.by(p.who, request{method: http.MethodPost, path: "/fhir/Task", body: body})
			if x.status != want || text(x.tree, "issue[0].details.coding[0].code") != code {
				w.Errorf("%s created as %s by the %s: want %d %s\n%s", w.kind, status, p.name, want, code, x)
			}
		}
	}
}
