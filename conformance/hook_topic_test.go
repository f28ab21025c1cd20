package conformance_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parties stores a practice and a patient of it.
func parties(t *testing.T, base, token string) {
	t.Helper()
	for _, id := range []string{"practice", "elsewhere"} {
		put(t, base, token, "Organization/"+id, fmt.Sprintf(`{"resourceType":"Organization","id":%q,"name":%q}`, id, id))
	}
	put(t, base, token, "Patient/ada", `{"resourceType":"Patient","id":"ada","generalPractitioner":[{"reference":"Organization/practice"}]}`)
}

// TestHookTopic has subscriptions to a topic told the same events with whole
// resources, with references, and with nothing.
func TestHookTopic(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	parties(t, s.base, "")
	hooks, ids := map[string]*hook{}, map[string]string{}
	for _, content := range []string{"full-resource", "id-only", "empty"} {
		h := newHook(t, s.base, nil)
		hooks[content] = h
		ids[content] = subscribing{criteria: "task-changed", filters: []string{"Task?owner=Organization/practice", "Task?status=accepted,completed"}, content: content,
			endpoint: h.URL + "/in", headers: []string{"Authorization: Bearer of-the-receiver"}}.subscribe(t, s.base, "")
	}
	for _, w := range [][2]string{{"a", "requested"}, {"a", "accepted"}, {"b", "requested"}, {"a", "in-progress"}, {"b", "accepted"}, {"a", "completed"}} {
		put(t, s.base, "", "Task/"+w[0], workItem(w[0], w[1]))
	}
	other := strings.ReplaceAll(workItem("c", "requested"), "Organization/practice", "Organization/elsewhere")
	put(t, s.base, "", "Task/c", other)
	put(t, s.base, "", "Task/c", strings.ReplaceAll(other, "requested", "accepted"))
	put(t, s.base, "", "Task/b", workItem("b", "completed"))
	about := []string{"Task/a", "Task/b", "Task/a", "Task/b"}
	for content, h := range hooks {
		got := foci(h.awaitEvents(4))
		if want := about; content == "empty" && !slices.Equal(got, []string{"", "", "", ""}) || content != "empty" && !slices.Equal(got, want) {
			t.Errorf("%s is about %v", content, got)
		}
		checkContent(t, content, ids[content], h.deliveries())
	}
}

// checkContent holds what was sent against what a subscription's content is.
func checkContent(t *testing.T, content, id string, got []delivery) {
	t.Helper()
	if got[0].kind != "handshake" || got[0].status != "requested" || len(got[0].events) > 0 || got[0].last != 0 {
		t.Errorf("%s begins with %s", content, got[0].body)
	}
	var resources []string
	for _, d := range got {
		if d.method != http.MethodPost || d.path != "/in" || d.header.Get("Authorization") != "Bearer of-the-receiver" || !strings.HasPrefix(d.header.Get("Content-Type"), "application/fhir+json") {
			t.Errorf("%s is sent %s %s %v", content, d.method, d.path, d.header)
		}
		if d.subscription != "Subscription/"+id || d.kind == "event-notification" && d.status != "active" {
			t.Errorf("%s is told of %s, %s", content, d.subscription, d.status)
		}
		if content == "empty" && (len(d.entries) > 0 || d.topic != "" || strings.Contains(d.body, "Task/")) {
			t.Errorf("a notification should say nothing: %s", d.body)
		}
		resources = append(resources, d.resources...)
	}
	var want []string
	if content == "full-resource" {
		want = []string{"Task/a accepted", "Task/b accepted", "Task/a completed", "Task/b completed"}
	}
	if !slices.Equal(resources, want) {
		t.Errorf("%s has the resources %v", content, resources)
	}
}

// TestHookCriteria has subscriptions with R4 criteria told by nothing, and by the
// resource put where the receiver keeps it, as JSON and as XML.
func TestHookCriteria(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	parties(t, s.base, "")
	hooks := map[string]*hook{}
	for id, payload := range map[string]string{"plain": "", "json": "application/fhir+json", "xml": "application/fhir+xml"} {
		hooks[id] = newHook(t, s.base, nil)
		subscribing{criteria: "Task?owner=Organization/practice&status=requested,completed", payload: payload, endpoint: hooks[id].URL + "/in"}.subscribe(t, s.base, "")
	}
	put(t, s.base, "", "Patient/ben", `{"resourceType":"Patient","id":"ben"}`)
	for _, w := range [][2]string{{"a", "requested"}, {"a", "accepted"}, {"b", "requested"}, {"a", "completed"}} {
		put(t, s.base, "", "Task/"+w[0], workItem(w[0], w[1]))
	}
	want := map[string][]string{
		"plain": {"POST /in 1 ", "POST /in 2 ", "POST /in 3 "},
		"json":  {"PUT /in/Task/a 1 requested", "PUT /in/Task/b 2 requested", "PUT /in/Task/a 3 completed"},
		"xml":   {"PUT /in/Task/a 1 requested", "PUT /in/Task/b 2 requested", "PUT /in/Task/a 3 completed"},
	}
	for id, h := range hooks {
		var got []string
		for _, d := range h.awaitDeliveries(3) {
			status := ""
			for _, of := range []string{"requested", "completed"} {
				if strings.Contains(d.body, `"status":"`+of+`"`) || strings.Contains(d.body, `<status value="`+of+`"`) {
					status = of
				}
			}
			if id != "plain" && !strings.HasPrefix(d.header.Get("Content-Type"), "application/fhir+"+id) || id == "plain" && d.body != "" {
				t.Errorf("%s is sent %v %s", id, d.header, d.body)
			}
			got = append(got, fmt.Sprintf("%s %s %s %s", d.method, d.path, d.header.Get("X-Event-Number"), status))
		}
		if diff := cmp.Diff(want[id], got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

// TestHookRecovers has a receiver fail and come back: nothing is lost, what failed
// comes again with the same id, and another receiver waits for nothing meanwhile.
func TestHookRecovers(t *testing.T) {
	t.Parallel()
	s := servePlain(t)
	parties(t, s.base, "")
	var down atomic.Bool
	failing := newHook(t, s.base, func() int {
		if down.Load() {
			return http.StatusInternalServerError
		}
		return 0
	})
	healthy := newHook(t, s.base, nil)
	id := subscribing{criteria: "task-changed", content: "id-only", endpoint: failing.URL, most: 5}.subscribe(t, s.base, "")
	subscribing{criteria: "task-changed", content: "id-only", endpoint: healthy.URL, most: 5}.subscribe(t, s.base, "")
	put(t, s.base, "", "Task/a", workItem("a", "requested"))
	put(t, s.base, "", "Task/a", workItem("a", "accepted"))
	failing.awaitEvents(1)
	down.Store(true)
	for n := range 20 {
		put(t, s.base, "", "Task/a", workItem("a", []string{"in-progress", "on-hold"}[n%2]))
	}
	healthy.awaitEvents(21)
	var a answered
	await(t, "an attempt in vain", func() bool {
		a = askAt(t, s.base, "", "GET Subscription/"+id+"/$status", "")
		return strings.Contains(a.body, "failed-attempts")
	})
	if !strings.Contains(a.body, "with the status 500") || !strings.Contains(a.body, `"events-since-subscription-start","valueString":"21"`) || !strings.Contains(a.body, `"delivered-event-number","valueString":"1"`) {
		t.Errorf("its status is %s", a.body)
	}
	down.Store(false)
	failing.awaitEvents(21)
	ids := map[string]int{}
	for _, d := range failing.deliveries() {
		ids[d.id()]++
		if len(d.events) > 5 {
			t.Errorf("%d events come at once", len(d.events))
		}
	}
	repeated := slices.DeleteFunc(slices.Collect(func(yield func(int) bool) {
		for _, n := range ids {
			if !yield(n) {
				return
			}
		}
	}), func(n int) bool { return n == 1 })
	if len(repeated) != 1 {
		t.Errorf("%d notifications were sent again, want the one that failed: %v", len(repeated), ids)
	}
}
