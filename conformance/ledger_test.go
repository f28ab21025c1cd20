package conformance_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A fate is what is known of a write.
type fate uint8

const (
	refused  fate = iota // the server said that nothing was stored, or was never reached
	doubtful             // there was no answer, or one that says so
	stored               // the server acknowledged it, or gave it to a reader
)

// A sending is one write that was tried: the one that carries its marker.
type sending struct {
	fate    fate
	content string // canonical
	key     string // Type/id; empty for a create without an answer
	version int    // when stored
}

// A ledger is what clients know of their writes, to hold the server against.
type ledger struct {
	t       *testing.T
	program atomic.Pointer[process] // where to write

	mu       sync.Mutex
	sent     map[string]*sending // by marker
	acks     int
	newest   time.Time // when the newest acknowledged write was begun
	statuses map[string]int
}

func newLedger(t *testing.T, p *process) *ledger {
	l := &ledger{t: t, sent: map[string]*sending{}, statuses: map[string]int{}}
	l.program.Store(p)
	return l
}

// note keeps what became of the write with a marker.
func (l *ledger) note(marker string, s *sending, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[marker] = s
	if s.fate == stored {
		l.acks++
		if began.After(l.newest) {
			l.newest = began
		}
	}
}

// acknowledged returns how many writes were, and when the newest was begun.
func (l *ledger) acknowledged() (int, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks, l.newest
}

// count returns how many writes have the given fate.
func (l *ledger) count(f fate) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.sent {
		if s.fate == f {
			n++
		}
	}
	return n
}

func (l *ledger) countStatus(status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses[status]++
}

func (l *ledger) statusCounts() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.statuses)
}

// A holding is a resource that one writer alone changes.
type holding struct {
	key     string
	version int
	marker  string            // of its version
	pending map[string]string // content by marker of doubtful writes since the last acknowledged one
}

// A writer creates resources and updates them.
type writer struct {
	*ledger
	name   string
	client *http.Client
	n      int
	held   []*holding
	stop   <-chan struct{}
}

// maxHeld is how many of its resources a writer goes on changing.
const maxHeld = 8

func (l *ledger) writer(name string) *writer {
	return &writer{ledger: l, name: name, client: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
}

// run writes until stop is closed: by turns a create with POST, a create with
// PUT, and updates.
func (w *writer) run(stop <-chan struct{}) {
	defer w.client.CloseIdleConnections()
	for w.stop = stop; !w.stopped(); {
		w.n++
		marker := fmt.Sprintf("%s-%d", w.name, w.n)
		switch {
		case w.n%5 == 1 || len(w.held) == 0:
			w.create(marker)
		case w.n%5 == 2:
			w.createAt(marker)
		default:
			w.update(marker, w.held[w.n%len(w.held)])
		}
	}
}

func (w *writer) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// create lets the server choose the id. Without an answer nobody knows it.
func (w *writer) create(marker string) {
	typ, body := content(w.n, marker, "")
	r := w.send(http.MethodPost, "/"+typ, body, nil)
	if r.fate == stored {
		w.hold(r.key, marker)
	}
	w.note(marker, &sending{r.fate, canonical(w.t, []byte(body)), r.key, r.version}, r.began)
}

// createAt chooses the id itself.
func (w *writer) createAt(marker string) {
	typ, body := content(w.n, marker, marker)
	s := &sending{content: canonical(w.t, []byte(body)), key: typ + "/" + marker}
	r := w.send(http.MethodPut, "/"+s.key, body, map[string]string{"If-None-Match": "*"})
	s.fate, s.version = r.fate, r.version
	if r.fate == stored {
		w.hold(s.key, marker)
	}
	if r.status == http.StatusPreconditionFailed {
		w.t.Errorf("PUT %s, which nobody has sent before, was answered with 412", s.key)
	}
	w.note(marker, s, r.began)
}

func (w *writer) hold(key, marker string) {
	if len(w.held) == maxHeld {
		w.held = w.held[1:]
	}
	w.held = append(w.held, &holding{key: key, version: 1, marker: marker, pending: map[string]string{}})
}

// update replaces the version that the writer knows of.
func (w *writer) update(marker string, h *holding) {
	typ, id, _ := strings.Cut(h.key, "/")
	body := contentOf(typ, marker, id)
	s := &sending{content: canonical(w.t, []byte(body)), key: h.key}
	r := w.send(http.MethodPut, "/"+h.key, body, map[string]string{"If-Match": fmt.Sprintf(`W/"%d"`, h.version)})
	s.fate, s.version = r.fate, r.version
	switch {
	case r.fate == stored && r.version != h.version+1:
		w.t.Errorf("update of version %d of %s made version %d", h.version, h.key, r.version)
	case r.fate == stored:
		h.version, h.marker = r.version, marker
		clear(h.pending)
	case r.fate == doubtful:
		h.pending[marker] = s.content
	case r.status == http.StatusPreconditionFailed && len(h.pending) == 0:
		w.t.Errorf("version %d of %s is refused in If-Match, and nobody else changes it:\n%s", h.version, h.key, r.answer)
	}
	w.note(marker, s, r.began)
	if len(h.pending) > 0 {
		w.resolve(h)
	}
}

// resolve reads h after a write in doubt. What a reader was shown must stay, as
// if it had been acknowledged.
func (w *writer) resolve(h *holding) {
	await(w.t, "read of "+h.key, func() bool {
		r := w.send(http.MethodGet, "/"+h.key, "", nil)
		if r.status != http.StatusOK {
			return w.stopped()
		}
		if r.version == h.version {
			return true
		}
		marker := markerOf(r.answer)
		if h.pending[marker] != canonical(w.t, r.answer) || r.version != h.version+1 {
			w.t.Errorf("%s has version %d, which is none of those sent after version %d:\n%s", h.key, r.version, h.version, r.answer)
			return true
		}
		h.version, h.marker = r.version, marker
		w.note(marker, &sending{stored, h.pending[marker], h.key, r.version}, r.began)
		return true
	})
}

// A reply is what a request came to.
type reply struct {
	fate    fate
	status  int // 0 without an answer
	key     string
	version int
	began   time.Time
	answer  []byte
}

// send sends a request and sorts what comes back. Whatever is neither a success
// nor a refusal that says so fails the test.
func (w *writer) send(method, path, body string, header map[string]string) reply {
	r := reply{began: time.Now(), fate: doubtful}
	req, err := http.NewRequest(method, w.program.Load().base+path, strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return r
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.unanswered(&r, err)
		return r
	}
	defer resp.Body.Close()
	r.status = resp.StatusCode
	w.countStatus(strconv.Itoa(r.status))
	r.answer, err = io.ReadAll(resp.Body)
	if err != nil && method == http.MethodGet {
		r.status = 0
		return r
	}
	switch r.status {
	case http.StatusOK, http.StatusCreated:
		// It is acknowledged even when the body is cut short.
		r.fate = stored
		w.acknowledge(&r, req, resp.Header)
		if err == nil && body != "" && canonical(w.t, r.answer) != canonical(w.t, []byte(body)) {
			w.t.Errorf("%s %s is answered with something else than what was sent\nsent %s\ngot  %s", method, path, body, r.answer)
		}
	case http.StatusServiceUnavailable:
		r.fate = unavailable(w.t, resp.Header, r.answer)
		time.Sleep(5 * time.Millisecond) // rather than the two seconds that are asked for
	case http.StatusPreconditionFailed, http.StatusNotFound:
		r.fate = refused
	default:
		w.t.Errorf("%s %s: unexpected status\n%s", method, path, r.answer)
	}
	return r
}

// unanswered sorts a request without an answer. Who could not connect has sent
// nothing.
func (w *writer) unanswered(r *reply, err error) {
	time.Sleep(5 * time.Millisecond) // a server that is not there refuses thousands a second
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		r.fate = refused
		w.countStatus("no connection")
		return
	}
	if errors.Is(err, syscall.ECONNRESET) {
		w.countStatus("reset")
		return
	}
	w.countStatus("no answer")
}

// acknowledge reads which version the answer to a write is about.
func (w *writer) acknowledge(r *reply, req *http.Request, h http.Header) {
	if _, err := fmt.Sscanf(h.Get("ETag"), `W/"%d"`, &r.version); err != nil {
		w.t.Errorf("%s %s: ETag %q: %v", req.Method, req.URL.Path, h.Get("ETag"), err)
	}
	_, path, _ := strings.Cut(h.Get("Location"), "/fhir/")
	r.key, _, _ = strings.Cut(path, "/_history/")
}

// unavailable checks an answer that says that the server cannot serve now, and
// returns what it says about the write.
func unavailable(t *testing.T, h http.Header, answer []byte) fate {
	t.Helper()
	if h.Get("Retry-After") == "" {
		t.Errorf("503 without Retry-After:\n%s", answer)
	}
	var outcome struct {
		Issue []struct {
			Code    string
			Details struct{ Coding []struct{ Code string } }
		}
	}
	if err := json.Unmarshal(answer, &outcome); err != nil || len(outcome.Issue) != 1 {
		t.Errorf("503 with no outcome of one issue (%v):\n%s", err, answer)
		return doubtful
	}
	issue := outcome.Issue[0]
	if issue.Code == "throttled" {
		return refused // it was not let in
	}
	if issue.Code != "transient" || len(issue.Details.Coding) != 1 {
		t.Errorf("503 that does not say in code what became of the request:\n%s", answer)
		return doubtful
	}
	switch issue.Details.Coding[0].Code {
	case "not-stored":
		return refused
	case "outcome-unknown":
		return doubtful
	}
	t.Errorf("503 with the unknown detail %q", issue.Details.Coding[0].Code)
	return doubtful
}

// types are what writers write: kinds with tables of their own, and one without.
var types = []string{"Communication", "Patient", "Basic"}

// content returns the n-th resource of a writer, of less than 2 kB. An empty id
// leaves it out.
func content(n int, marker, id string) (typ, body string) {
	typ = types[n%len(types)]
	return typ, contentOf(typ, marker, id)
}

func contentOf(typ, marker, id string) string {
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	filler := strings.Repeat(marker+" ", 40+len(marker)*7%60)
	more := map[string]string{
		"Communication": fmt.Sprintf(`"status":"completed","payload":[{"contentString":%q}]`, filler),
		"Patient":       fmt.Sprintf(`"name":[{"text":%q}],"multipleBirthInteger":2`, filler),
		"Basic":         fmt.Sprintf(`"code":{"text":%q}`, filler),
	}
	return fmt.Sprintf(`{"resourceType":%q,%s"identifier":[{"system":"urn:marker","value":%q}],%s}`, typ, id, marker, more[typ])
}

// markerOf returns the marker in a resource, or "".
func markerOf(resource []byte) string {
	var r struct{ Identifier []struct{ Value string } }
	if err := json.Unmarshal(resource, &r); err != nil || len(r.Identifier) == 0 {
		return ""
	}
	return r.Identifier[0].Value
}

// canonical writes the content of a resource in one way: without id and meta,
// members in order of their names, numbers as they are.
func canonical(t *testing.T, resource []byte) string {
	t.Helper()
	var tree map[string]any
	d := json.NewDecoder(bytes.NewReader(resource))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Errorf("decode %q: %v", resource, err)
		return ""
	}
	delete(tree, "id")
	delete(tree, "meta")
	text, err := json.Marshal(tree)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
