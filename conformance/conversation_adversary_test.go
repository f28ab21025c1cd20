package conformance_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A rivalry is two servers on one database, at which several write at the same time.
type rivalry struct {
	t     *testing.T
	bases [2]string
}

func rivals(t *testing.T) *rivalry {
	t.Helper()
	dsn := pgtest.New(t).DSN
	r := &rivalry{t: t}
	for i := range r.bases {
		base, stop := start(t, dsn, api.Config{})
		r.bases[i] = base
		t.Cleanup(stop)
	}
	for _, name := range []string{"practice", "hospital"} {
		r.expect(201, request{method: "PUT", path: "/fhir/Organization/" + name, body: `{"resourceType":"Organization","id":"` + name + `","name":"` + name + `"}`})
	}
	r.expect(201, request{method: "PUT", path: "/fhir/Patient/ada", body: `{"resourceType":"Patient","id":"ada"}`})
	return r
}

func (r *rivalry) send(n int, q request) exchange {
	x, err := q.send(http.DefaultClient, r.bases[n%2])
	if err != nil {
		r.t.Error(err)
	}
	return x
}

func (r *rivalry) expect(status int, q request) exchange {
	r.t.Helper()
	x := r.send(0, q)
	if x.status != status {
		r.t.Fatalf("the status is not %d\n%s", status, x)
	}
	return x
}

// atOnce sends requests at the same moment, by turns to both servers, and returns the answers.
func (r *rivalry) atOnce(all ...request) []exchange {
	answers := make([]exchange, len(all))
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i, q := range all {
		group.Go(func() {
			<-begin
			answers[i] = r.send(i, q)
		})
	}
	close(begin)
	group.Wait()
	return answers
}

// task returns a new Task of advice that the hospital has got to some status, and its version.
func (r *rivalry) task(moves ...string) (task string, version int) {
	r.t.Helper()
	x := r.expect(201, request{method: "POST", path: "/fhir/Task", body: `{"resourceType":"Task","status":"requested","intent":"order",
		"code":{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"advice-and-guidance"}]},
		"for":{"reference":"Patient/ada"},"requester":{"reference":"Organization/practice"},"owner":{"reference":"Organization/hospital"}}`})
	id, err := find(x.tree, "id")
	if err != nil {
		r.t.Fatal(err)
	}
	task, version = "Task/"+plain(id[0]), 1
	for _, to := range moves {
		r.expect(200, move(task, to, version))
		version++
	}
	return task, version
}

func move(task, to string, version int) request {
	return request{method: "PATCH", path: "/fhir/" + task, headers: [][2]string{{"If-Match", fmt.Sprintf(`W/"%d"`, version)}, {"Content-Type", "application/json-patch+json"}},
		body: `[{"op":"replace","path":"/status","value":"` + to + `"}]`}
}

func letter(task, from, to, more string) request {
	return request{method: "POST", path: "/fhir/Communication", body: `{"resourceType":"Communication","status":"completed","partOf":[{"reference":"` + task + `"}],
		"sender":{"reference":"Organization/` + from + `"},"recipient":[{"reference":"Organization/` + to + `"}],` + more + `"payload":[{"contentString":"x"}]}`}
}

func statuses(all []exchange) []int {
	var codes []int
	for _, x := range all {
		codes = append(codes, x.status)
	}
	slices.Sort(codes)
	return codes
}

// TestRivals has several write to one conversation at once, through two servers: what only one
// of them may, one does.
func TestRivals(t *testing.T) {
	t.Parallel()
	r := rivals(t)
	for range 8 {
		r.replyOnce()
		r.acceptOnce()
		r.messageOrCancel()
		r.cancelOrFail()
	}
}

func (r *rivalry) replyOnce() {
	task, _ := r.task("accepted", "in-progress")
	question := r.expect(201, letter(task, "hospital", "practice", `"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/reply-policy","extension":[{"url":"mode","valueCode":"once"}]}],`))
	id, err := find(question.tree, "id")
	if err != nil {
		r.t.Fatal(err)
	}
	answer := letter(task, "practice", "hospital", `"inResponseTo":[{"reference":"Communication/`+plain(id[0])+`"}],`)
	unnamed := letter(task, "practice", "hospital", "")
	got := statuses(r.atOnce(answer, answer, unnamed, unnamed, answer, unnamed))
	if !slices.Equal(got, []int{201, 422, 422, 422, 422, 422}) {
		r.t.Errorf("answers to a question that takes one: %v", got)
	}
	if stored := r.expect(200, request{method: "GET", path: "/fhir/Communication?_summary=count&part-of=" + task}); !strings.Contains(stored.answer, `"total":2`) {
		r.t.Errorf("question and answer are stored as\n%s", stored)
	}
}

func (r *rivalry) acceptOnce() {
	task, version := r.task("received")
	got := statuses(r.atOnce(move(task, "accepted", version), move(task, "accepted", version)))
	if !slices.Equal(got, []int{200, 412}) {
		r.t.Errorf("two accept: %v", got)
	}
}

// messageOrCancel has nothing said in a Task after it was cancelled.
func (r *rivalry) messageOrCancel() {
	task, version := r.task("accepted")
	all := r.atOnce(letter(task, "hospital", "practice", ""), move(task, "cancelled", version), letter(task, "practice", "hospital", ""))
	if all[1].status != 200 {
		r.t.Errorf("to cancel it:\n%s", all[1])
	}
	ended, err := find(all[1].tree, "lastModified")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		sent, err := find(all[i].tree, "sent")
		switch {
		case all[i].status == 422 && strings.Contains(all[i].answer, "conversation-closed"):
		case all[i].status != 201 || err != nil || plain(sent[0]) > plain(ended[0]):
			r.t.Errorf("while it is cancelled:\n%s\n%s", all[i], all[1])
		}
	}
	if late := r.send(1, letter(task, "hospital", "practice", "")); late.status != 422 {
		r.t.Errorf("afterwards:\n%s", late)
	}
}

func (r *rivalry) cancelOrFail() {
	task, version := r.task()
	got := statuses(r.atOnce(move(task, "cancelled", version), move(task, "accepted", version)))
	if !slices.Equal(got, []int{200, 412}) {
		r.t.Errorf("one cancels, one accepts: %v", got)
	}
}
