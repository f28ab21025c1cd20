package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A posting is a form that was sent under a key.
type posting struct {
	key, body string
	answer    string // the body of the first 201; empty while there was none
	link      string // what came with it, apart from the address of the server
}

// A postroom sends forms to a server that dies now and then.
type postroom struct {
	t      *testing.T
	client *http.Client
	served atomic.Int64

	mu   sync.Mutex
	sent []*posting
}

// TestSubmissionKill9 kills the server, its database and both while forms come in. Afterwards
// every form that is there has all that comes of one, every one that was acknowledged is there,
// and who sends one again with its key gets the first answer.
func TestSubmissionKill9(t *testing.T) {
	t.Parallel()
	kills, between := 10, int64(40)
	if testing.Short() {
		kills = 3
	}
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	room := &postroom{t: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: patience}}
	room.open(p.base)
	ways, torn := crashes[:3], 0
	for i := range kills {
		way := ways[i%len(ways)]
		ended := room.receive(p.base)
		start := room.served.Load()
		await(t, "forms before a kill", func() bool { return room.served.Load() >= start+between })
		if way.server {
			p.kill()
		}
		way.what(t, dir)
		ended()
		if way.server {
			p = launch(t, program, "--data-dir="+dir)
		}
		await(t, "the server after "+way.name+" was killed", func() bool { return room.alive(p.base) })
		room.check(p.base, false)
		torn += room.again(p.base)
		room.check(p.base, true)
	}
	if torn == 0 {
		t.Error("no kill came while a form was being stored")
	}
	t.Logf("%d kills, %d forms, %d of them cut off and sent again", kills, len(room.sent), torn)
}

// open makes the practice.
func (r *postroom) open(base string) {
	for path, body := range map[string]string{
		"Organization/practice": `{"resourceType":"Organization","id":"practice","name":"Sampleford Surgery"}`,
		"Patient/ada":           `{"resourceType":"Patient","id":"ada","managingOrganization":{"reference":"Organization/practice"}}`,
		"Questionnaire/ask": `{"resourceType":"Questionnaire","id":"ask","url":"https://a.example/ask","version":"1","status":"active",
			"code":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":"consultation"}],"item":[{"linkId":"text","text":"What is it?","type":"text"}]}`,
	} {
		x, err := request{method: http.MethodPut, path: "/fhir/" + path, body: body}.send(r.client, base)
		if err != nil || x.status != http.StatusCreated {
			r.t.Fatalf("PUT %s: %v\n%s", path, err, x)
		}
	}
}

func (r *postroom) alive(base string) bool {
	x, err := request{method: http.MethodGet, path: "/fhir/Patient/ada"}.send(r.client, base)
	return err == nil && x.status == http.StatusOK
}

// receive has several senders send until one of theirs is cut off, and returns what waits for that.
func (r *postroom) receive(base string) (wait func()) {
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for r.post(base, r.next()) {
			}
		})
	}
	return group.Wait
}

// next makes a form up.
func (r *postroom) next() *posting {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sent)
	p := &posting{key: fmt.Sprint("form-", n)}
	p.body = fmt.Sprintf(`{"resourceType":"QuestionnaireResponse","identifier":{"system":"https://app.example/forms","value":%q},"questionnaire":"https://a.example/ask|1",
		"status":"completed","subject":{"reference":"Patient/ada"},"item":[{"linkId":"text","answer":[{"valueString":"%d %s"}]}]}`, p.key, n, strings.Repeat(fmt.Sprint(n*7919, " "), 5))
	r.sent = append(r.sent, p)
	return p
}

// origins are the addresses of servers, which change from one to the next.
var origins = regexp.MustCompile(`http://[^/]*`)

// post sends a form and reports whether it was stored, now or before. What is answered once is
// answered always.
func (r *postroom) post(base string, p *posting) bool {
	x, err := request{method: http.MethodPost, path: "/fhir/QuestionnaireResponse", headers: [][2]string{{"Idempotency-Key", p.key}}, body: p.body}.send(r.client, base)
	if err != nil || x.status != http.StatusCreated {
		if err == nil && x.status < http.StatusInternalServerError {
			r.t.Errorf("a form was answered with %d\n%s", x.status, x)
		}
		return false
	}
	link := origins.ReplaceAllString(strings.Join(x.header.Values("Link"), ", ")+" "+x.header.Get("Location")+" "+x.header.Get("ETag"), "")
	if p.answer != "" && (x.answer != p.answer || link != p.link || x.header.Get("Idempotent-Replay") != "true") {
		r.t.Errorf("%s was answered by\n%s %s\nand now by\n%s %s", p.key, p.answer, p.link, x.answer, link)
	}
	p.answer, p.link = x.answer, link
	r.served.Add(1)
	return true
}

// again sends what was cut off, and some of what was not, once more, and returns how many of the
// first there were.
func (r *postroom) again(base string) (torn int) {
	for i, p := range r.sent {
		fresh := p.answer == ""
		if fresh {
			torn++
		}
		if (fresh || i%10 == 0) && !await(r.t, "the answer to "+p.key, func() bool { return r.post(base, p) }) {
			return torn
		}
	}
	return torn
}

// A filed is as much of a resource as tells what it came of.
type filed struct {
	ID         string
	Identifier json.RawMessage
	Focus      struct{ Reference string }
	Code       struct{ Coding []struct{ Code string } }
	PartOf     []struct{ Reference string }
	Target     []struct{ Reference string }
}

// all reads all resources of a type.
func (r *postroom) all(base, typ string) (list []filed) {
	for url := "/fhir/" + typ + "?_count=1000"; url != ""; {
		x, err := request{method: http.MethodGet, path: url}.send(r.client, base)
		if err != nil || x.status != http.StatusOK {
			r.t.Fatalf("GET %s: %v\n%s", url, err, x)
		}
		var page historyPage
		if err := json.Unmarshal([]byte(x.answer), &page); err != nil {
			r.t.Fatal(err)
		}
		for _, e := range page.Entry {
			var one filed
			if err := json.Unmarshal(e.Resource, &one); err != nil {
				r.t.Fatal(err)
			}
			list = append(list, one)
		}
		url = page.next()
	}
	return list
}

// A sorted is what came of forms, by what it names.
type sorted struct {
	tasks    map[string]string   // of forms
	messages map[string][]string // of Tasks
	receipts map[string]int      // of messages
	origins  map[string]int      // Provenances of Tasks
}

func (r *postroom) sort(base string) sorted {
	all := sorted{map[string]string{}, map[string][]string{}, map[string]int{}, map[string]int{}}
	for _, f := range r.all(base, "Task") {
		if strings.HasPrefix(f.Focus.Reference, "Communication/") {
			all.receipts[f.Focus.Reference]++
			continue
		}
		if all.tasks[f.Focus.Reference] != "" {
			r.t.Errorf("%s has two Tasks", f.Focus.Reference)
		}
		all.tasks[f.Focus.Reference] = "Task/" + f.ID
	}
	for _, f := range r.all(base, "Communication") {
		all.messages[f.PartOf[0].Reference] = append(all.messages[f.PartOf[0].Reference], "Communication/"+f.ID)
	}
	for _, f := range r.all(base, "Provenance") {
		all.origins[f.Target[1].Reference]++
	}
	return all
}

// forms returns the responses that are stored, by their identifiers.
func (r *postroom) forms(base string) map[string]string {
	all := map[string]string{}
	for _, f := range r.all(base, "QuestionnaireResponse") {
		var id struct{ Value string }
		if err := json.Unmarshal(f.Identifier, &id); err != nil {
			r.t.Fatal(err)
		}
		if all[id.Value] != "" {
			r.t.Errorf("%s is there twice", id.Value)
		}
		all[id.Value] = "QuestionnaireResponse/" + f.ID
	}
	return all
}

// check holds what is stored against what was sent: for every form a Task, an acknowledgement, a
// receipt and a Provenance, and nothing else. If whole is set, every form that was sent is there.
// The database may still carry out what a server that is dead has asked, so forms are looked at
// before and after the rest.
func (r *postroom) check(base string, whole bool) {
	r.t.Helper()
	before, rest, after := r.forms(base), r.sort(base), r.forms(base)
	for key, form := range before {
		task := rest.tasks[form]
		if task == "" || len(rest.messages[task]) != 1 || rest.receipts[rest.messages[task][0]] != 1 || rest.origins[task] != 1 {
			r.t.Errorf("%s has the Task %q, the messages %v, %d Provenances", key, task, rest.messages[task], rest.origins[task])
		}
	}
	for _, n := range []int{len(rest.tasks), len(rest.receipts), len(rest.messages), len(rest.origins)} {
		if n < len(before) || n > len(after) {
			r.t.Errorf("%d to %d forms, %d Tasks, %d receipts, messages in %d, %d Provenances", len(before), len(after), len(rest.tasks), len(rest.receipts), len(rest.messages), len(rest.origins))
			break
		}
	}
	for _, p := range r.sent {
		if before[p.key] == "" && (whole || p.answer != "") {
			r.t.Errorf("%s was acknowledged, and is not there", p.key)
		}
	}
}
