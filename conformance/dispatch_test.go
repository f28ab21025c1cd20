package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
)

// messagingSamples is where the samples of messages are.
const messagingSamples = "../../shared/domain/set-c-messaging-sync/"

// A postbox is a gateway for all channels, and a server that sends by it, with a clock that is moved by hand.
type postbox struct {
	t      *testing.T
	base   string // of the server, without /fhir
	secret []byte

	mu     sync.Mutex
	now    time.Time
	got    []map[string]string
	answer map[string]int // by channel; 202 if there is none
}

func (b *postbox) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// advance moves the clock on to at.
func (b *postbox) advance(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.After(b.now) {
		b.now = at
	}
}

// sent returns how many messages the gateway has for a channel.
func (b *postbox) sent(channel string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.got {
		if m["channel"] == channel {
			n++
		}
	}
	return n
}

// ServeHTTP is the gateway.
func (b *postbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var m map[string]string
	if err != nil || !dispatch.Signed(b.secret, body, r.Header.Get(dispatch.SignatureHeader)) || json.Unmarshal(body, &m) != nil {
		b.t.Errorf("the gateway got %s: %v", body, err)
	}
	b.mu.Lock()
	b.got = append(b.got, m)
	status := b.answer[m["channel"]]
	b.mu.Unlock()
	if status == 0 {
		status = http.StatusAccepted
	}
	w.WriteHeader(status)
}

// newPostbox starts a server that sends by some channels, and knows a practice and a patient.
func newPostbox(t *testing.T, channels ...consultation.Channel) *postbox {
	t.Helper()
	b := &postbox{t: t, secret: []byte("the secret of a gateway"), now: time.Date(2025, 11, 20, 11, 0, 0, 0, time.UTC), answer: map[string]int{}}
	gateway := httptest.NewServer(b)
	t.Cleanup(gateway.Close)
	all := map[consultation.Channel]dispatch.Sender{}
	for _, c := range channels {
		all[c] = dispatch.Sender{Provider: &dispatch.Webhook{URL: gateway.URL, Secret: b.secret, Client: gateway.Client()}, Secret: b.secret}
	}
	s := serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, audits: true, sends: sends{all, b.Now}})
		return stop
	})
	b.base = strings.TrimSuffix(s.base, "/fhir")
	b.put("Organization/prac-1", `{"resourceType":"Organization","id":"prac-1","active":true,"name":"Practice"}`)
	b.put("Patient/pat-1", `{"resourceType":"Patient","id":"pat-1","active":true,"identifier":[{"system":"https://fhir.nhs.uk/Id/nhs-number","value":"9990000018"}],
		"telecom":[{"system":"phone","use":"mobile","value":"07700900123"}],"managingOrganization":{"reference":"Organization/prac-1"}}`)
	return b
}

// ask sends a request and returns the answer, decoded.
func (b *postbox) ask(method, path, body string, header map[string]string) (int, map[string]any) {
	b.t.Helper()
	req, err := http.NewRequest(method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var tree map[string]any
	if len(data) > 0 {
		if err := json.Unmarshal(data, &tree); err != nil {
			b.t.Fatalf("%s %s: %s", method, path, data)
		}
	}
	return resp.StatusCode, tree
}

func (b *postbox) put(key, body string) {
	b.t.Helper()
	if status, answer := b.ask("PUT", "/fhir/"+key, body, nil); status != http.StatusCreated && status != http.StatusOK {
		b.t.Fatalf("%s: %d %v", key, status, answer)
	}
}

func (b *postbox) get(path string) map[string]any {
	b.t.Helper()
	status, answer := b.ask("GET", "/fhir/"+path, "", nil)
	if status != http.StatusOK {
		b.t.Fatalf("%s: %d %v", path, status, answer)
	}
	return answer
}

// find returns what a search finds.
func (b *postbox) find(query string) (all []map[string]any) {
	b.t.Helper()
	entries, _ := b.get(query)["entry"].([]any)
	for _, e := range entries {
		all = append(all, e.(map[string]any)["resource"].(map[string]any))
	}
	return all
}

// request returns the example request, in a conversation of its own, with some changes.
func (b *postbox) request(change map[string]any) string {
	b.t.Helper()
	data, err := os.ReadFile(messagingSamples + "communicationrequest-nhsapp-then-sms.json")
	if err != nil {
		b.t.Skipf("the samples are not there: %v", err)
	}
	var r map[string]any
	if err := json.Unmarshal(data, &r); err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"basedOn", "about", "groupIdentifier", "identifier"} {
		delete(r, name)
	}
	maps.Copy(r, change)
	maps.DeleteFunc(r, func(_ string, v any) bool { return v == nil })
	body, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body)
}

// open sends a request and returns its id and that of its message.
func (b *postbox) open(change map[string]any) (request, message string) {
	b.t.Helper()
	status, answer := b.ask("POST", "/fhir/CommunicationRequest", b.request(change), nil)
	if status != http.StatusCreated {
		b.t.Fatalf("%d %v", status, answer)
	}
	request = answer["id"].(string)
	all := b.find("Communication?based-on=CommunicationRequest/" + request)
	if len(all) != 1 {
		b.t.Fatalf("%d messages", len(all))
	}
	return request, all[0]["id"].(string)
}

// say calls back, signed with the secret.
func (b *postbox) say(channel string, said map[string]any) int {
	b.t.Helper()
	body, err := json.Marshal(said)
	if err != nil {
		b.t.Fatal(err)
	}
	status, _ := b.ask("POST", "/callback/"+channel, string(body), map[string]string{dispatch.SignatureHeader: dispatch.Sign(b.secret, body)})
	return status
}

// until waits for something to be true.
func (b *postbox) until(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(deadline) {
			b.t.Fatalf("it is not so that %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (b *postbox) is(message, status string) {
	b.t.Helper()
	b.until("the message is "+status, func() bool { return b.get("Communication/" + message)["status"] == status })
}

func instantOf(t *testing.T, v any) time.Time {
	t.Helper()
	s, _ := v.(string)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Errorf("%v is no time", v)
	}
	return at
}

// TestDispatchScript plays the callbacks of the sample, twice and out of order as they come, and
// holds after each what it says.
func TestDispatchScript(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, consultation.Channels()...)
	data, err := os.ReadFile(messagingSamples + "dispatch-callbacks-script.json")
	if err != nil {
		t.Skipf("the samples are not there: %v", err)
	}
	var script struct {
		Callbacks []struct {
			Key, Channel, Event, At, Signature string
			After                              map[string]any
		}
	}
	if err := json.Unmarshal(data, &script); err != nil || len(script.Callbacks) != 8 {
		t.Fatal(err)
	}
	_, id := b.open(nil)
	b.until("the app has the message", func() bool { return b.sent("nhs-app") == 1 })
	before := b.get("Communication/" + id)
	for i, c := range script.Callbacks {
		said := map[string]any{"key": c.Key, "message": id, "event": c.Event}
		if c.At != "" {
			said["at"] = c.At
			b.advance(instantOf(t, c.At))
		}
		if c.Channel == "sms" && c.Signature == "" {
			b.until("the SMS is sent", func() bool { return b.sent("sms") == 1 })
		}
		var status int
		if c.Signature == "bad" {
			status, _ = b.ask("POST", "/callback/"+c.Channel, "{}", map[string]string{dispatch.SignatureHeader: "sha256=00"})
		} else {
			status = b.say(c.Channel, said)
		}
		want := http.StatusNoContent
		if refused, is := c.After["httpStatus"].(float64); is {
			want = int(refused)
		}
		if status != want {
			t.Fatalf("%d %s: %d", i, c.Key, status)
		}
		after := b.get("Communication/" + id)
		b.held(c.After, before, after)
		before = after
	}
	if b.sent("nhs-app") != 1 || b.sent("sms") != 1 {
		t.Errorf("%v", b.got)
	}
	for _, m := range b.got {
		if m["channel"] == "sms" && (strings.Contains(m["text"], "rash") || !strings.Contains(m["text"], "https://example.org/messages/"+id)) {
			t.Errorf("%v", m)
		}
	}
}

// held compares a message with what is to be after a callback.
func (b *postbox) held(want, before, after map[string]any) {
	b.t.Helper()
	for name, v := range want {
		switch name {
		case "status":
			if after["status"] != v {
				b.t.Errorf("status %v, not %v", after["status"], v)
			}
		case "received":
			if v == nil && after["received"] != nil || v != nil && !instantOf(b.t, after["received"]).Equal(instantOf(b.t, v)) {
				b.t.Errorf("received %v, not %v", after["received"], v)
			}
		case "newVersion":
			if !jsonEqual(before["meta"], after["meta"]) {
				b.t.Errorf("a new version: %v, %v", before["meta"], after["meta"])
			}
		case "fallback":
			b.until("the SMS is sent", func() bool { return b.sent("sms") == 1 })
		case "receiptTask":
			receipts := b.find("Task?focus=Communication/" + after["id"].(string))
			if len(receipts) != 1 || receipts[0]["status"] != v || !instantOf(b.t, receipts[0]["executionPeriod"].(map[string]any)["end"]).Equal(instantOf(b.t, want["executionPeriodEnd"])) {
				b.t.Errorf("%v", receipts)
			}
		case "executionPeriodEnd", "why", "httpStatus":
		default:
			b.t.Errorf("the sample asks for %s, which nobody looks at", name)
		}
	}
}

func jsonEqual(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// TestDispatchFails tells the practice when no channel has delivered a message.
func TestDispatchFails(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, "nhs-app", "sms")
	b.answer["nhs-app"], b.answer["sms"] = http.StatusNotFound, http.StatusBadRequest
	_, id := b.open(nil)
	b.is(id, "not-done")
	m := b.get("Communication/" + id)
	if m["statusReason"] == nil || m["received"] != nil {
		t.Errorf("%v", m)
	}
	task := m["partOf"].([]any)[0].(map[string]any)["reference"].(string)
	alerts := b.find("Communication?part-of=" + task + "&category=" + consultation.CategorySystem + "%7Calert")
	if len(alerts) != 1 || !strings.Contains(string(marshalled(alerts[0]["topic"])), `"delivery-failed"`) {
		t.Fatalf("%v", alerts)
	}
	if waiting := b.find("Task?owner=Organization/prac-1&code=message-receipt&status=ready&focus=Communication/" + alerts[0]["id"].(string)); len(waiting) != 1 {
		t.Errorf("%v", waiting)
	}
	// What comes after all is no failure any more.
	if status := b.say("sms", map[string]any{"key": "late", "message": id, "event": "delivered", "at": "2025-11-20T11:00:00Z"}); status != http.StatusNoContent {
		t.Fatal(status)
	}
	if m := b.get("Communication/" + id); m["status"] != "completed" || m["statusReason"] != nil {
		t.Errorf("%v", m)
	}
}

// TestDispatchBack gives a consultation that waits for the patient in vain back to the practice, and
// records each attempt without the address.
func TestDispatchBack(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, "nhs-app", "sms")
	b.answer["nhs-app"], b.answer["sms"] = http.StatusNotFound, http.StatusNotFound
	_, id := b.open(map[string]any{"occurrencePeriod": map[string]any{"start": "2025-11-20T18:00:00Z"}})
	task := b.get("Communication/" + id)["partOf"].([]any)[0].(map[string]any)["reference"].(string)
	for _, status := range []string{"accepted", "on-hold"} {
		r := b.get(task)
		r["status"] = status
		tag := `W/"` + r["meta"].(map[string]any)["versionId"].(string) + `"`
		if got, answer := b.ask("PUT", "/fhir/"+task, string(marshalled(r)), map[string]string{"If-Match": tag}); got != http.StatusOK {
			t.Fatalf("%s: %d %v", status, got, answer)
		}
	}
	b.advance(b.Now().Add(8 * time.Hour))
	b.is(id, "not-done")
	if r := b.get(task); r["status"] != "in-progress" {
		t.Errorf("%v", r)
	}
	attempts := func() []map[string]any { return b.find("AuditEvent?subtype=dispatch-attempt") }
	b.until("both attempts are recorded", func() bool { return len(attempts()) == 2 })
	for _, a := range attempts() {
		if text := string(marshalled(a)); strings.Contains(text, "07700900123") || strings.Contains(text, "9990000018") || !strings.Contains(text, "Communication/"+id) {
			t.Errorf("%s", text)
		}
	}
}

func marshalled(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// TestDispatchRevoked stops a message that is revoked before its time, and keeps one that was sent.
func TestDispatchRevoked(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, "nhs-app", "sms")
	request, id := b.open(map[string]any{"occurrencePeriod": map[string]any{"start": "2025-11-20T18:00:00Z"}})
	revoke := func(request string) (int, map[string]any) {
		r := b.get("CommunicationRequest/" + request)
		r["status"] = "revoked"
		return b.ask("PUT", "/fhir/CommunicationRequest/"+request, string(marshalled(r)), nil)
	}
	if status, answer := revoke(request); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	b.is(id, "stopped")
	b.advance(b.Now().Add(9 * time.Hour))
	second, other := b.open(map[string]any{"occurrencePeriod": nil})
	b.until("the app has the other message", func() bool { return b.sent("nhs-app") == 1 })
	if b.got[0]["message"] != other {
		t.Errorf("%v", b.got)
	}
	status, answer := revoke(second)
	if status != http.StatusUnprocessableEntity || !strings.Contains(string(marshalled(answer)), `"already-sent"`) {
		t.Errorf("%d %v", status, answer)
	}
}

// TestDispatchRefused refuses what cannot be sent, with the code that says why.
func TestDispatchRefused(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, "nhs-app", "sms")
	b.put("Patient/dead", `{"resourceType":"Patient","id":"dead","active":true,"deceasedBoolean":true,"managingOrganization":{"reference":"Organization/prac-1"}}`)
	b.put("Patient/twin", `{"resourceType":"Patient","id":"twin","active":true,"telecom":[{"system":"sms","value":"07700900555"}]}`)
	b.put("Patient/twin-2", `{"resourceType":"Patient","id":"twin-2","active":true,"telecom":[{"system":"sms","value":"07700900555"}]}`)
	b.put("Patient/silent", `{"resourceType":"Patient","id":"silent","active":true,"telecom":[{"system":"sms","value":"07700900556"}]}`)
	b.put("Consent/silent", `{"resourceType":"Consent","id":"silent","status":"active","scope":{"text":"s"},"patient":{"reference":"Patient/silent"},"policyRule":{"text":"p"},
		"category":[{"coding":[{"system":"`+consultation.ContactRuleSystem+`","code":"contact"}]}],
		"provision":{"type":"deny","code":[{"coding":[{"system":"`+consultation.ChannelSystem+`","code":"sms"}]}]}}`)
	channel := func(codes ...string) (all []any) {
		for _, c := range codes {
			all = append(all, map[string]any{"coding": []any{map[string]any{"system": consultation.ChannelSystem, "code": c}}})
		}
		return all
	}
	to := func(id string) []any { return []any{map[string]any{"reference": "Patient/" + id}} }
	about := func(id string) map[string]any { return map[string]any{"reference": "Patient/" + id} }
	for _, c := range []struct {
		detail, says string
		change       map[string]any
	}{
		{"no-permitted-channel", "no sender for email", map[string]any{"medium": channel("email")}},
		{"no-permitted-channel", "does not want to be contacted by sms", map[string]any{"medium": channel("sms"), "recipient": to("silent"), "subject": about("silent")}},
		{"message-too-long", "nhs-app", map[string]any{"payload": []any{map[string]any{"contentString": strings.Repeat("x", 5001)}}}},
		{"contact-unverified", "contact-override", map[string]any{"medium": channel("sms"), "recipient": to("twin"), "subject": about("twin")}},
		{"recipient-not-contactable", "dead", map[string]any{"recipient": to("dead"), "subject": about("dead")}},
	} {
		status, answer := b.ask("POST", "/fhir/CommunicationRequest", b.request(c.change), nil)
		if text := string(marshalled(answer)); status != http.StatusUnprocessableEntity || !strings.Contains(text, `"`+c.detail+`"`) || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", c.detail, status, text)
		}
	}
	if n := b.get("CommunicationRequest?_summary=count")["total"]; n != 0.0 {
		t.Errorf("%v requests are stored", n)
	}
}

// TestCallbackRefused takes no callback that is not what it should be.
func TestCallbackRefused(t *testing.T) {
	t.Parallel()
	b := newPostbox(t, "sms")
	good := map[string]any{"key": "k", "message": "m", "event": "delivered", "at": "2025-11-20T11:00:00Z"}
	// Until dispatch has begun callbacks are put off.
	await(t, "an unknown message to be refused", func() bool { return b.say("sms", good) == http.StatusNotFound })
	for _, channel := range []string{"email", "pigeon", "sms/x", ""} {
		if status := b.say(channel, good); status != http.StatusForbidden {
			t.Errorf("the channel %q: %d", channel, status)
		}
	}
	for _, body := range []string{"", "{}", `{"key":"k"}`, `[]`, string(marshalled(good)) + "{}", `{"key":"k","message":"m","event":"delivered","at":"soon"}`, `{"key":"k","message":"m","event":"delivered","at":"2025-11-20T11:00:00Z","to":"x"}`, `{"key":"k","message":"m","event":"lost","at":"2025-11-20T11:00:00Z"}`} {
		status, _ := b.ask("POST", "/callback/sms", body, map[string]string{dispatch.SignatureHeader: dispatch.Sign(b.secret, []byte(body))})
		if status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, status)
		}
	}
	large := `{"key":"` + strings.Repeat("k", 9<<10) + `"}`
	if status, _ := b.ask("POST", "/callback/sms", large, map[string]string{dispatch.SignatureHeader: dispatch.Sign(b.secret, []byte(large))}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", status)
	}
	for _, signature := range []string{"", "sha256=", dispatch.Sign([]byte("another secret, as long"), marshalled(good))} {
		if status, _ := b.ask("POST", "/callback/sms", string(marshalled(good)), map[string]string{dispatch.SignatureHeader: signature}); status != http.StatusForbidden {
			t.Errorf("the signature %q: %d", signature, status)
		}
	}
	if status, _ := b.ask("GET", "/callback/sms", "", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("a GET: %d", status)
	}
	if len(b.got) > 0 {
		t.Errorf("%v", b.got)
	}
}
