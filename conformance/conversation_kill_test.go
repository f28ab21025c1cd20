package conformance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A talker goes through conversations on a server that dies now and then, and knows how far each
// of them has come for sure.
type talker struct {
	t      *testing.T
	client *http.Client
	steps  atomic.Int64

	mu   sync.Mutex
	told map[string]int // the steps that were acknowledged, by Task/id
}

// The steps of a conversation: what is acknowledged of one that has taken so many.
var talkSteps = []string{"", "requested", "accepted", "on-hold", "in-progress", "in-progress", "cancelled"}

// TestConversationKill9 kills the server, its database and both while specialists are asked, ask
// back, are answered, and stop their work because they were asked to. Afterwards a question is
// there with the Task on hold, an answer with the Task going on, what was stopped with its abort
// Task completed, and every message with its receipt; or nothing of it.
func TestConversationKill9(t *testing.T) {
	t.Parallel()
	kills, between := 6, int64(60)
	if testing.Short() {
		kills = 3
	}
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	k := &talker{t: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: patience}, told: map[string]int{}}
	for path, body := range map[string]string{
		"Organization/practice": `{"resourceType":"Organization","id":"practice","active":true,"name":"Practice"}`,
		"Organization/hospital": `{"resourceType":"Organization","id":"hospital","active":true,"name":"Hospital"}`,
		"Patient/ada":           `{"resourceType":"Patient","id":"ada","active":true,"managingOrganization":{"reference":"Organization/practice"}}`,
	} {
		if x, ok := k.send(p.base, request{method: http.MethodPut, path: "/fhir/" + path, body: body}); !ok {
			t.Fatalf("PUT %s\n%s", path, x)
		}
	}
	ways := crashes[:3]
	for i := range kills {
		way, start := ways[i%len(ways)], k.steps.Load()
		ended := k.begin(p.base)
		await(t, "steps before a kill", func() bool { return k.steps.Load() >= start+between })
		if way.server {
			p.kill()
		}
		way.what(t, dir)
		ended()
		if way.server {
			p = launch(t, program, "--data-dir="+dir)
		}
		await(t, "the server after "+way.name+" was killed", func() bool {
			_, ok := k.send(p.base, request{method: http.MethodGet, path: "/fhir/Patient/ada"})
			return ok
		})
		k.check(p.base)
	}
	t.Logf("%d conversations, %d steps, %d kills", len(k.told), k.steps.Load(), kills)
}

// begin has several talkers talk until one step of theirs fails, and returns what waits for that.
func (k *talker) begin(base string) (wait func()) {
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for k.talk(base) {
			}
		})
	}
	return group.Wait
}

// send sends a request, and reports whether it was done.
func (k *talker) send(base string, r request) (exchange, bool) {
	x, err := r.send(k.client, base)
	if err != nil {
		return x, false
	}
	if x.status >= 400 && x.status < 500 {
		k.t.Errorf("a step was refused\n%s", x)
	}
	return x, x.status < 300
}

// talk goes through one conversation, and reports whether it came to its end.
func (k *talker) talk(base string) bool {
	x, ok := k.send(base, request{method: http.MethodPost, path: "/fhir/Task", body: newCase("advice-and-guidance", "requested", "")})
	if !ok {
		return false
	}
	task := "Task/" + text(x.tree, "id")
	k.took(task)
	patch := func(key, version, to string) request {
		return request{method: http.MethodPatch, path: "/fhir/" + key, headers: [][2]string{{"If-Match", `W/"` + version + `"`}}, body: setStatus(to)}
	}
	message := func(from, to string) string {
		return fmt.Sprintf(`{"resourceType":"Communication","status":"completed","partOf":[{"reference":%q}],"sender":{"reference":%q},"recipient":[{"reference":%q}],"payload":[{"contentString":"For how long?"}]}`, task, from, to)
	}
	question := fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":%s,"request":{"method":"POST","url":"Communication"}},
		{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":%q},"request":{"method":"PATCH","url":%q,"ifMatch":"W/\"2\""}}]}`,
		message("Organization/hospital", "Organization/practice"), base64.StdEncoding.EncodeToString([]byte(setStatus("on-hold"))), task)
	for _, r := range []request{
		patch(task, "1", "accepted"),
		{method: http.MethodPost, path: "/fhir", body: question},
		{method: http.MethodPost, path: "/fhir/Communication", body: message("Organization/practice", "Organization/hospital")},
		{method: http.MethodPost, path: "/fhir/Task", body: newCase("abort", "requested", fmt.Sprintf(`,"focus":{"reference":%q}`, task))},
	} {
		if x, ok = k.send(base, r); !ok {
			return false
		}
		k.took(task)
	}
	if _, ok = k.send(base, patch("Task/"+text(x.tree, "id"), "1", "accepted")); ok {
		k.took(task)
	}
	return ok
}

// took notes that a conversation has come one step further.
func (k *talker) took(task string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.told[task]++
	k.steps.Add(1)
}

// A talked is what is stored of a conversation.
type talked struct {
	status             string
	messages, alerts   int
	receipts           int
	abort, abortStatus string
}

// check holds what is stored of all conversations against what was acknowledged, and against itself.
func (k *talker) check(base string) {
	k.t.Helper()
	all := k.stored(base)
	for task, steps := range k.told {
		got := all[task]
		if got == nil {
			k.t.Errorf("%s was acknowledged, and is not there", task)
			continue
		}
		// A step that was cut off may have been done.
		if want := []string{talkSteps[steps], talkSteps[min(steps+1, len(talkSteps)-1)]}; got.status != want[0] && got.status != want[1] {
			k.t.Errorf("%s has taken %d steps, and is %s", task, steps, got.status)
		}
	}
	for task, got := range all {
		messages := map[string]int{"on-hold": 1, "in-progress": 2, "cancelled": 2}[got.status]
		asked := min(messages, 1)
		if got.messages != messages || got.alerts != asked || got.receipts != got.messages+got.alerts {
			k.t.Errorf("%s is torn: %+v", task, *got)
		}
		if stopped := got.status == "cancelled"; stopped != (got.abortStatus == "completed") || !stopped && got.abortStatus != "" && got.abortStatus != "requested" {
			k.t.Errorf("%s is torn: %+v", task, *got)
		}
	}
}

// stored reads all conversations.
func (k *talker) stored(base string) map[string]*talked {
	k.t.Helper()
	all, of := map[string]*talked{}, map[string]string{}
	tasks := k.all(base, "Task")
	for _, f := range tasks {
		if f.Code.Coding[0].Code == "advice-and-guidance" {
			all["Task/"+f.ID] = &talked{status: f.Status}
		}
	}
	for _, f := range k.all(base, "Communication") {
		got := all[f.PartOf[0].Reference]
		of["Communication/"+f.ID] = f.PartOf[0].Reference
		if f.Category[0].Coding[0].Code == "alert" {
			got.alerts++
		} else {
			got.messages++
		}
	}
	for _, f := range tasks {
		switch f.Code.Coding[0].Code {
		case "message-receipt":
			all[of[f.Focus.Reference]].receipts++
		case "abort":
			got := all[f.Focus.Reference]
			if got.abort != "" {
				k.t.Errorf("%s is to be stopped twice", f.Focus.Reference)
			}
			got.abort, got.abortStatus = f.ID, f.Status
		}
	}
	return all
}

// A said is as much of a resource as tells what it came of.
type said struct {
	ID, Status string
	Focus      struct{ Reference string }
	Code       struct{ Coding []struct{ Code string } }
	Category   []struct{ Coding []struct{ Code string } }
	PartOf     []struct{ Reference string }
}

// all reads all resources of a type.
func (k *talker) all(base, typ string) (list []said) {
	k.t.Helper()
	for url := "/fhir/" + typ + "?_count=1000"; url != ""; {
		x, ok := k.send(base, request{method: http.MethodGet, path: strings.TrimPrefix(url, strings.TrimSuffix(base, "/fhir"))})
		var page historyPage
		if !ok || json.Unmarshal([]byte(x.answer), &page) != nil {
			k.t.Fatalf("GET %s\n%s", url, x)
		}
		for _, e := range page.Entry {
			var one said
			if err := json.Unmarshal(e.Resource, &one); err != nil {
				k.t.Fatal(err)
			}
			list = append(list, one)
		}
		url = page.next()
	}
	return list
}
