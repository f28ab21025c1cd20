package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/api"
)

// A pursuit is a client that follows $changes from the beginning and keeps what it
// is given.
type pursuit struct {
	target  *subject
	token   string
	has     map[string]string   // resources by their full URLs
	reasons map[string][]string // why something came or went, by its full URL
	next    string
	over    int // times it had to start again
}

// pursue begins to follow for somebody.
func pursue(t *testing.T, target *subject, who string) *pursuit {
	t.Helper()
	p := &pursuit{target: target, token: tokenOf(t, target, who)}
	p.begin()
	return p
}

func (p *pursuit) begin() {
	p.has, p.reasons, p.next = map[string]string{}, map[string][]string{}, "/fhir/$changes?_count=3"
}

// read takes a page, for which it waits if there is nothing, and reports whether
// there was anything in it.
func (p *pursuit) read(wait string) (bool, error) {
	x, err := request{method: "GET", path: p.next, headers: [][2]string{{"Prefer", wait}, {"Authorization", "Bearer " + p.token}}}.send(http.DefaultClient, p.target.base)
	if err != nil {
		return false, err
	}
	if x.status == http.StatusGone {
		p.over++
		p.begin()
		return true, nil
	}
	var page struct {
		Link  []struct{ Relation, URL string }
		Entry []struct {
			FullURL  string          `json:"fullUrl"`
			Resource json.RawMessage `json:"resource"`
			Request  struct{ Method string }
			Response struct {
				Outcome struct {
					Issue []struct {
						Details struct{ Coding []struct{ Code string } }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(x.answer), &page); err != nil || x.status != http.StatusOK {
		return false, fmt.Errorf("%d for a page of the feed: %w %.500s", x.status, err, x.answer)
	}
	for _, e := range page.Entry {
		if p.has[e.FullURL] = string(e.Resource); e.Request.Method == "DELETE" {
			delete(p.has, e.FullURL)
		}
		for _, i := range e.Response.Outcome.Issue {
			p.reasons[e.FullURL] = append(p.reasons[e.FullURL], i.Details.Coding[0].Code)
		}
	}
	p.next = ""
	for _, l := range page.Link {
		if l.Relation == "next" {
			p.next = l.URL
		}
	}
	if p.next == "" {
		return false, fmt.Errorf("a page of the feed has no next one: %.500s", x.answer)
	}
	return len(page.Entry) > 0, nil
}

// catchUp reads until there is nothing more.
func (p *pursuit) catchUp(t *testing.T) {
	t.Helper()
	for some := true; some; {
		var err error
		if some, err = p.read(""); err != nil {
			t.Fatal(err)
		}
	}
}

// agrees fails the test unless p has what its client finds and reads.
func (p *pursuit) agrees(t *testing.T, when string) {
	t.Helper()
	p.catchUp(t)
	if diff := cmp.Diff(readable(t, p.target, p.token), p.has); diff != "" {
		t.Errorf("%s: who follows has something else than who reads: %s", when, diff)
	}
}

// readable returns all that can be found and read, by full URLs.
func readable(t *testing.T, target *subject, token string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, typ := range []string{"Organization", "Patient", "Practitioner", "PractitionerRole", "Questionnaire", "QuestionnaireResponse", "Task", "Communication", "ServiceRequest", "Provenance", "Subscription"} {
		a := askAt(t, target.base, token, "GET "+typ+"?_count=1000", "")
		var p feedPage
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != http.StatusOK {
			t.Fatalf("search for %s: %d %s", typ, a.status, a.body)
		}
		for _, e := range p.Entry {
			found[e.FullURL] = string(e.Resource)
			if one := askAt(t, target.base, token, "GET "+strings.TrimPrefix(e.FullURL, target.base+"/"), ""); one.body != string(e.Resource) {
				t.Errorf("%s is read as %s and found as %s", e.FullURL, one.body, e.Resource)
			}
		}
	}
	return found
}

func tokenOf(t *testing.T, target *subject, text string) string {
	t.Helper()
	who, err := parseActor(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := target.door.token(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestJourneyFollowed has two organisations follow the feed while a consultation goes
// from the one to the other and back: in the end each has exactly what it may
// read, and was told why something came into its sight and left it.
func TestJourneyFollowed(t *testing.T) {
	t.Parallel()
	s := journey(t)
	target := s.serve(t, api.Config{})
	practice := pursue(t, target, "client practice-system organizations=practice system/*.cruds")
	hospital := pursue(t, target, "client hospital-system organizations=hospital system/*.cruds")
	var following sync.WaitGroup
	var done atomic.Bool
	for _, p := range []*pursuit{practice, hospital} {
		following.Go(func() {
			for !done.Load() {
				if _, err := p.read("wait=1"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	names := map[string]string{}
	for _, err := range s.runWith(target, func(c *session, st step) error { names = c.names; return st.do(c) }) {
		t.Error(err)
	}
	done.Store(true)
	following.Wait()
	practice.agrees(t, "the practice")
	hospital.agrees(t, "the hospital")
	url := func(typ, name string) string { return target.base + "/" + typ + "/" + name }
	answers := url("QuestionnaireResponse", names["answers"])
	for what, key := range map[string]string{"the answers": answers, "the patient": url("Patient", "ada")} {
		if got := hospital.reasons[key]; !slices.Equal(got, []string{"entered-your-scope"}) {
			t.Errorf("the hospital was told of %s: %v", what, got)
		}
	}
	if len(practice.has) < 15 || hospital.has[url("Communication", names["question"])] != "" || practice.over+hospital.over > 0 {
		t.Errorf("the practice has %d resources and the hospital %d; they started again %d and %d times", len(practice.has), len(hospital.has), practice.over, hospital.over)
	}
	put(t, target.base, tokenOf(t, target, "administrator"), "Patient/ada",
		`{"resourceType":"Patient","id":"ada","active":true,"generalPractitioner":[{"reference":"Organization/elsewhere"}],"managingOrganization":{"reference":"Organization/elsewhere"}}`)
	practice.agrees(t, "the practice, after the patient has moved")
	hospital.agrees(t, "the hospital, after the patient has moved")
	elsewhere := pursue(t, target, "client elsewhere-system organizations=elsewhere system/*.cruds")
	elsewhere.agrees(t, "the new practice")
	if elsewhere.has[answers] == "" {
		t.Error("the new practice has not got the record")
	}
	hospital.isTakenBack(t, names)
}

// isTakenBack has the answers to a form no longer shown to the hospital that p is, which
// is told so, as it is of what is deleted; the conversation itself stays.
func (p *pursuit) isTakenBack(t *testing.T, names map[string]string) {
	t.Helper()
	admin := tokenOf(t, p.target, "administrator")
	url := func(typ, name string) string { return p.target.base + "/" + typ + "/" + name }
	task := askAt(t, p.target.base, admin, "DELETE Task/"+names["advice"], "")
	if task.status != http.StatusUnprocessableEntity || !strings.Contains(task.body, "conversation-not-deletable") {
		t.Errorf("%d for the deletion of a conversation: %s", task.status, task.body)
	}
	request := askAt(t, p.target.base, admin, "PATCH ServiceRequest/"+names["request"],
		`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"ServiceRequest.supportingInfo[0]"}]}]}`)
	role := askAt(t, p.target.base, admin, "DELETE PractitionerRole/nina-gp", "")
	if request.status != http.StatusOK || role.status >= 300 {
		t.Fatalf("%d and %d: %s %s", request.status, role.status, request.body, role.body)
	}
	p.agrees(t, "the hospital, after the answers were taken back")
	for key, want := range map[string][]string{
		url("Task", names["advice"]):                   nil,
		url("QuestionnaireResponse", names["answers"]): {"entered-your-scope", "left-your-scope"},
		url("PractitionerRole", "nina-gp"):             {"deleted"},
	} {
		if got := p.reasons[key]; !slices.Equal(got, want) {
			t.Errorf("the hospital was told of %s: %v", key, got)
		}
	}
}

// TestJourneyTold has the organisations and a doctor told what happens in a
// consultation: exactly that, in order, and nobody of what is not theirs.
func TestJourneyTold(t *testing.T) {
	t.Parallel()
	s := journey(t)
	target := s.serve(t, api.Config{})
	const practice, hospital = "client practice-system organizations=practice system/*.cruds", "client hospital-system organizations=hospital system/*.cruds"
	hooks := map[string]*hook{}
	// Received, accepted, waiting for an answer, of which is told that it was read, and so on.
	changed := []string{"Task/{task}", "Task/{task}", "Task/{task}", "Task/{receipt}", "Task/{task}", "Task/{answerRead}",
		"Task/{advice}", "Task/{advice}", "Task/{advice}", "Task/{opinionRead}", "Task/{task}"}
	want := map[string][]string{
		"practice task-changed":     changed,
		"practice message-received": {"Communication/{acknowledgement}", "Communication/{question}", "Communication/{answer}", "Communication/{inquiry}", "Communication/{opinion}", "Communication/{alert}", "Communication/{reply}"},
		"practice by owner": {"/in/Task/{task} requested", "/in/Task/{task} received", "/in/Task/{task} accepted", "/in/Task/{task} on-hold", "/in/Task/{task} in-progress",
			"/in/Task/{task} completed", "/in/Task/{task} completed"},
		"hospital task-changed":     {"Task/{advice}", "Task/{advice}", "Task/{advice}", "Task/{opinionRead}"},
		"hospital message-received": {"Communication/{inquiry}", "Communication/{opinion}"},
		"grace to her patient":      {"/in/Communication/{acknowledgement} completed", "/in/Communication/{question} completed", "/in/Communication/{reply} completed"},
		"grace of her patient":      changed,
		"nina task-changed":         {},
	}
	ids := map[string]string{}
	subscribe := func(name, who string, to subscribing) {
		hooks[name] = newHook(t, target.base, nil)
		to.endpoint = hooks[name].URL + "/in"
		ids[name] = to.subscribe(t, target.base, tokenOf(t, target, who))
	}
	begin := func() {
		for name, who := range map[string]string{"practice": practice, "hospital": hospital} {
			subscribe(name+" task-changed", who, subscribing{criteria: "task-changed", content: "id-only"})
			subscribe(name+" message-received", who, subscribing{criteria: "message-received", content: "full-resource"})
		}
		subscribe("practice by owner", practice, subscribing{criteria: "Task?owner=Organization/practice&code=consultation", payload: "application/fhir+json"})
		subscribe("grace to her patient", "practitioner grace user/*.cruds", subscribing{criteria: "Communication?recipient=Patient/ada", payload: "application/fhir+json"})
		subscribe("grace of her patient", "practitioner grace user/*.cruds", subscribing{criteria: "task-changed", filters: []string{"Task?patient=Patient/ada"}})
		subscribe("nina task-changed", "practitioner nina user/*.cruds", subscribing{criteria: "task-changed"})
	}
	names := map[string]string{}
	over := false
	for _, err := range s.runWith(target, func(c *session, st step) error {
		names = c.names
		if st.request != nil && st.request.path == "/fhir/QuestionnaireResponse" {
			begin()
		}
		// The whole story has subscriptions in it by then.
		if over = over || st.request != nil && strings.HasPrefix(st.request.path, "/fhir/_history"); over {
			return nil
		}
		return st.do(c)
	}) {
		t.Error(err)
	}
	if t.Failed() {
		return // what has not happened is waited for in vain
	}
	admin := tokenOf(t, target, "administrator")
	for name, h := range hooks {
		await(t, name, func() bool { return len(h.told()) >= len(want[name]) })
	}
	for name, h := range hooks {
		if got := numberOf(t, target.base, admin, ids[name]); got != fmt.Sprint(len(want[name])) {
			t.Errorf("%s has %s events", name, got)
		}
		expected := []string{}
		for _, text := range want[name] {
			for known, id := range names {
				text = strings.ReplaceAll(text, "{"+known+"}", id)
			}
			expected = append(expected, text)
		}
		if diff := cmp.Diff(expected, h.told()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// told returns what a hook was told, each once and in order: what events are about,
// or with R4 criteria where the resource was put and its status.
func (h *hook) told() []string {
	all := foci(h.events())
	known := map[string]bool{}
	for _, d := range h.deliveries() {
		if d.method != http.MethodPut || known[d.id()] {
			continue
		}
		known[d.id()] = true
		var r struct{ Status string }
		if err := json.Unmarshal([]byte(d.body), &r); err != nil {
			h.t.Error(err)
		}
		all = append(all, d.path+" "+r.Status)
	}
	return all
}
