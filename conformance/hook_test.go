package conformance_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	topicBase  = "https://fhir.openconsult.example/SubscriptionTopic/"
	backport   = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
	hookSecret = "a-secret-of-the-test"
)

// A subscribing is what a test asks to be told.
type subscribing struct {
	criteria string   // R4 criteria, or the name of a topic
	filters  []string // of the topic
	content  string   // of the topic's notifications
	payload  string   // with R4 criteria: the type that resources are sent in
	endpoint string   // none: a websocket
	most     int      // events in one notification
	headers  []string
}

// json is the Subscription.
func (s subscribing) json() string {
	list := func(of []string) string {
		text, _ := json.Marshal(of)
		return string(text)
	}
	criteria, more := s.criteria, ""
	if !strings.Contains(criteria, "?") {
		criteria = topicBase + s.criteria
		var all []string
		for _, f := range s.filters {
			all = append(all, fmt.Sprintf(`{"url":"%sbackport-filter-criteria","valueString":%q}`, backport, f))
		}
		if len(all) > 0 {
			more = `,"_criteria":{"extension":[` + strings.Join(all, ",") + `]}`
		}
	}
	channel := `"type":"websocket"`
	if s.endpoint != "" {
		channel = fmt.Sprintf(`"type":"rest-hook","endpoint":%q`, s.endpoint)
	}
	if s.payload != "" {
		channel += fmt.Sprintf(`,"payload":%q`, s.payload)
	}
	if s.content != "" {
		channel += fmt.Sprintf(`,"payload":"application/fhir+json","_payload":{"extension":[{"url":"%sbackport-payload-content","valueCode":%q}]}`, backport, s.content)
	}
	if len(s.headers) > 0 {
		channel += `,"header":` + list(s.headers)
	}
	extensions := fmt.Sprintf(`{"url":"https://fhir.openconsult.example/StructureDefinition/subscription-secret","valueString":%q}`, hookSecret)
	if s.most > 0 {
		extensions += fmt.Sprintf(`,{"url":"%sbackport-max-count","valuePositiveInt":%d}`, backport, s.most)
	}
	return fmt.Sprintf(`{"resourceType":"Subscription","status":"requested","reason":"test","criteria":%q%s,"channel":{%s,"extension":[%s]}}`,
		criteria, more, channel, extensions)
}

// subscribe stores s with a token, which is empty on a server without sign-in,
// waits until it is active, and returns its id.
func (s subscribing) subscribe(t *testing.T, base, token string) (id string) {
	t.Helper()
	a := askAt(t, base, token, "POST Subscription", s.json())
	if a.status != http.StatusCreated {
		t.Fatalf("subscribe to %s: %d %s", s.criteria, a.status, a.body)
	}
	awaitStatus(t, base, token, a.text("id"), "active")
	return a.text("id")
}

// awaitStatus waits until a Subscription has a status, and returns it.
func awaitStatus(t *testing.T, base, token, id, status string) (last answered) {
	t.Helper()
	if !await(t, id+" is "+status, func() bool {
		last = askAt(t, base, token, "GET Subscription/"+id, "")
		return last.text("status") == status
	}) {
		t.Fatalf("%s has another status: %s", id, last.body)
	}
	return last
}

// A told event is one as a subscriber is told of it.
type told struct {
	number int64
	focus  string // "Task/1", or nothing
}

// A notice is a notification as its receiver takes it apart.
type notice struct {
	subscription string
	kind         string // handshake, event-notification, heartbeat; empty with R4 criteria
	status       string
	topic        string
	last         int64 // number of the newest event
	events       []told
	entries      []string // "PUT Task/1", in order
	resources    []string // "Task/1 ready", of those that are there
}

// readNotice takes a notification Bundle apart. References are relative to base.
func readNotice(body, base string) (notice, error) {
	var b struct {
		ResourceType, Type string
		Entry              []struct {
			FullURL  string
			Resource struct {
				ResourceType, ID, Status string
				Parameter                []struct {
					Name, ValueCode, ValueCanonical, ValueString string
					ValueReference                               struct{ Reference string }
					Part                                         []struct {
						Name, ValueString string
						ValueReference    struct{ Reference string }
					}
				}
			}
			Request struct{ Method, URL string }
		}
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		return notice{}, fmt.Errorf("read a notification: %w: %.300s", err, body)
	}
	if b.ResourceType != "Bundle" || b.Type != "history" || len(b.Entry) == 0 {
		return notice{}, fmt.Errorf("no notification: %.300s", body)
	}
	relative := func(url string) string { return strings.TrimPrefix(url, base+"/") }
	var n notice
	for _, p := range b.Entry[0].Resource.Parameter {
		switch p.Name {
		case "subscription":
			n.subscription = relative(p.ValueReference.Reference)
		case "type":
			n.kind = p.ValueCode
		case "status":
			n.status = p.ValueCode
		case "topic":
			n.topic = strings.TrimPrefix(p.ValueCanonical, topicBase)
		case "events-since-subscription-start":
			n.last, _ = strconv.ParseInt(p.ValueString, 10, 64)
		case "notification-event":
			var x told
			for _, part := range p.Part {
				switch part.Name {
				case "event-number":
					x.number, _ = strconv.ParseInt(part.ValueString, 10, 64)
				case "focus":
					x.focus = relative(part.ValueReference.Reference)
				}
			}
			n.events = append(n.events, x)
		}
	}
	for _, e := range b.Entry[1:] {
		n.entries = append(n.entries, e.Request.Method+" "+relative(e.FullURL))
		if r := e.Resource; r.ResourceType != "" {
			n.resources = append(n.resources, r.ResourceType+"/"+r.ID+" "+r.Status)
		}
	}
	return n, nil
}

// A delivery is a request that a hook got.
type delivery struct {
	method, path string
	header       http.Header
	body         string
	taken        bool // it was answered with 200
	notice
}

func (d delivery) id() string { return d.header.Get("X-Delivery-Id") }

// A hook receives what rest-hook subscriptions send.
type hook struct {
	*httptest.Server
	t      *testing.T
	base   string // of the server that calls
	refuse func() int

	mu  sync.Mutex
	got []delivery // guarded by mu
}

// newHook starts a receiver. refuse, which may be nil, gives the status that it
// answers with instead of taking what comes; zero takes it.
func newHook(t *testing.T, base string, refuse func() int) *hook {
	h := &hook{t: t, base: base, refuse: refuse}
	h.Server = httptest.NewServer(http.HandlerFunc(h.receive))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	d := delivery{method: r.Method, path: r.URL.Path, header: r.Header, body: string(body)}
	if !signedRight(r.Header.Get("X-Signature"), d.body) {
		h.t.Errorf("a notification is signed wrongly: %v %.300s", r.Header, body)
	}
	if r.Method == http.MethodPost && len(body) > 0 {
		if d.notice, err = readNotice(d.body, h.base); err != nil {
			h.t.Error(err)
		}
	}
	status := 0
	if h.refuse != nil {
		status = h.refuse()
	}
	h.mu.Lock()
	d.taken = status == 0
	h.got = append(h.got, d)
	h.mu.Unlock()
	if status > 0 {
		w.WriteHeader(status)
	}
}

// signedRight reports whether a signature is one of body by the secret of the test.
func signedRight(signature, body string) bool {
	t, v1, _ := strings.Cut(signature, ",v1=")
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(strings.TrimPrefix(t, "t=") + "." + body))
	return hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(v1))
}

// deliveries returns all that has come.
func (h *hook) deliveries() []delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// events returns what was told, in the order in which it was taken. It fails the
// test if a number is missing or comes in disorder, if something comes twice with
// another delivery id or other content, or if an id is used twice.
func (h *hook) events() []told {
	h.t.Helper()
	var all []told
	known := map[string]string{}
	for _, d := range h.deliveries() {
		if before, again := known[d.id()]; d.id() == "" || again && before != fmt.Sprint(d.events) {
			h.t.Errorf("delivery %q is another one than before: %v", d.id(), d.events)
		} else if again {
			continue
		}
		if d.kind != "event-notification" || !d.taken {
			continue
		}
		known[d.id()] = fmt.Sprint(d.events)
		if d.header.Get("X-Event-Number") != strconv.FormatInt(d.last, 10) {
			h.t.Errorf("the header says number %s of %s", d.header.Get("X-Event-Number"), d.body)
		}
		for _, x := range d.events {
			if x.number != int64(len(all)+1) {
				h.t.Errorf("event %d comes after %d", x.number, len(all))
			}
			all = append(all, x)
		}
	}
	return all
}

// awaitEvents waits for so many events, and returns all there are.
func (h *hook) awaitEvents(n int) (all []told) {
	h.t.Helper()
	if !await(h.t, fmt.Sprintf("%d events", n), func() bool {
		all = h.events()
		return len(all) >= n || h.t.Failed()
	}) || h.t.Failed() {
		h.t.FailNow()
	}
	return all
}

// awaitDeliveries waits for so many requests, and returns all there are.
func (h *hook) awaitDeliveries(n int) (all []delivery) {
	h.t.Helper()
	if !await(h.t, fmt.Sprintf("%d deliveries", n), func() bool {
		all = h.deliveries()
		return len(all) >= n
	}) {
		h.t.FailNow()
	}
	return all
}

// foci returns what events are about.
func foci(events []told) []string {
	all := []string{}
	for _, x := range events {
		all = append(all, x.focus)
	}
	return all
}

// kindOfTask is Task.code of a Task of this server's kinds.
func kindOfTask(kind string) string {
	return fmt.Sprintf(`{"coding":[{"system":"https://fhir.openconsult.example/CodeSystem/task-kind","code":%q}]}`, kind)
}

// workItem is a consultation for a practice.
func workItem(id, status string) string {
	return fmt.Sprintf(`{"resourceType":"Task","id":%q,"status":%q,"intent":"order","code":%s,"owner":{"reference":"Organization/practice"},"for":{"reference":"Patient/ada"}}`,
		id, status, kindOfTask("consultation"))
}

// put stores a resource with a token.
func put(t *testing.T, base, token, key, body string) {
	t.Helper()
	if a := askAt(t, base, token, "PUT "+key, body); a.status != http.StatusCreated && a.status != http.StatusOK {
		t.Fatalf("PUT %s: %d %s", key, a.status, a.body)
	}
}
