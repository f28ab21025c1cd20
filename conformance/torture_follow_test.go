package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A tortureEntry is what a client takes of an entry of a Bundle.
type tortureEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
	Request  struct{ Method string }
	Response struct{ ETag, Location string }
}

// A torturePage is a Bundle.
type torturePage struct {
	Link  []struct{ Relation, URL string }
	Entry []tortureEntry
}

func (p torturePage) next() string {
	for _, l := range p.Link {
		if l.Relation == "next" {
			return strings.TrimPrefix(l.URL, strings.TrimSuffix(nearby, "/fhir"))
		}
	}
	return ""
}

// key is the Type/id of e.
func (e tortureEntry) key() string { return keyIn(e.FullURL) }

// version is that of e.
func (e tortureEntry) version() (n int) {
	var r struct{ Meta struct{ VersionID string } }
	if json.Unmarshal(e.Resource, &r) == nil && r.Meta.VersionID != "" {
		_, _ = fmt.Sscan(r.Meta.VersionID, &n)
		return n
	}
	// Without either it is 0, which is no version.
	_, _ = fmt.Sscanf(e.Response.ETag, `W/"%d"`, &n)
	return n
}

// search looks for a group of plots, and keeps what it is shown.
func (w *toiler) search() {
	p := w.plots.pick(w.Rand)
	typ, _, _ := strings.Cut(p.key, "/")
	e := effort{op: searching, group: p.group, rows: map[string]int{}, sent: w.now()}
	x, f := w.ask(request{method: http.MethodGet, path: fmt.Sprintf("/fhir/%s?_count=100&identifier=%s", typ, url.QueryEscape("urn:group|"+p.group))})
	if f == stored {
		var page torturePage
		if err := json.Unmarshal([]byte(x.answer), &page); err != nil {
			w.t.Errorf("%s: %v\n%s", w.name, err, x)
		}
		for _, one := range page.Entry {
			if labelIn(one.Resource, "group") != p.group {
				w.t.Errorf("%s: a search for %s found\n%s", w.name, p.group, one.Resource)
			}
			e.rows[one.key()] = one.version()
		}
	}
	if w.done(e, x, f) != stored {
		w.recover()
	}
}

// A tortureReader follows the feed, and keeps which versions it was given.
type tortureReader struct {
	*toiler
	count   int
	next    string
	mu      sync.Mutex
	got     []string // guarded by mu
	crashes int
	idle    atomic.Int64 // when a page was last empty, since the beginning
}

func newTortureReader(w *toiler, count int) *tortureReader {
	return &tortureReader{toiler: w, count: count, next: fmt.Sprintf("/fhir/$changes?_count=%d", count)}
}

// follow reads a page. Now and then the reader dies before it has kept what it read,
// and begins again where it was.
func (f *tortureReader) follow() {
	asked := f.now()
	x, became := f.ask(request{method: http.MethodGet, path: f.next, headers: [][2]string{{"Prefer", "wait=1"}}})
	if became != stored {
		f.recover()
		return
	}
	var page torturePage
	if err := json.Unmarshal([]byte(x.answer), &page); err != nil || page.next() == "" {
		f.t.Errorf("%s: a page of the feed has no next one: %v\n%s", f.name, err, x)
		return
	}
	if len(page.Entry) > 0 && f.IntN(10) == 0 {
		f.crashes++
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range page.Entry {
		f.got = append(f.got, fmt.Sprintf("%s/%d", e.key(), e.version()))
	}
	f.next = page.next()
	if len(page.Entry) == 0 {
		f.idle.Store(int64(asked))
	}
}

// secretOfBob is in everything that is Bob's alone.
const secretOfBob = "zq7-for-nobody-but-bob"

// record puts something into the record of Ada or Bob.
func (w *toiler) record() {
	of, note := "ada", "for Ada"
	if w.IntN(2) == 0 {
		of, note = "bob", secretOfBob
	}
	id := w.marker()
	e := effort{op: putting, key: "Observation/" + id, marker: id, group: "record-" + of, expect: -1, sent: w.now()}
	body := fmt.Sprintf(`{"resourceType":"Observation","id":%q,"identifier":[{"system":"urn:marker","value":%q},{"system":"urn:group","value":%q}],"status":"final","code":{"text":"Pulse"},
		"subject":{"reference":"Patient/%s"},"note":[{"text":%q}]}`, id, e.marker, e.group, of, note)
	e.content = canonical(w.t, []byte(body))
	x, f := w.ask(request{method: http.MethodPut, path: "/fhir/" + e.key, headers: [][2]string{{"If-None-Match", "*"}}, body: body})
	if f == stored {
		e.version = versionIn(x.header)
	}
	if w.done(e, x, f) != stored {
		w.recover()
	}
}

// A snooper is Ada, who looks at everything that she can think of.
type snooper struct {
	*toiler
	cursor string
	looks  int
	seen   int // answers with something in them
}

// snoop asks for something as Ada. Nothing of Bob's may be in any answer.
func (s *snooper) snoop() {
	bob := fmt.Sprintf("Observation/records-%d", 1+s.IntN(max(1, s.looks)))
	paths := []string{"Observation?_count=50&_sort=-_lastUpdated", "Observation?_count=0&_total=accurate&subject=Patient/bob", "Observation/_history?_count=50", "Observation?subject=Patient/bob", "Observation?identifier=" + url.QueryEscape("urn:group|record-bob"),
		"Patient", "Patient/bob", "Patient/bob/Observation", "Patient/bob/$everything", "Patient/ada/$everything?_count=20", "_history?_count=50", bob, bob + "/_history",
		"AuditEvent?_count=20", "Communication?_count=20", s.cursor, s.cursor, s.cursor}
	path := paths[s.IntN(len(paths))]
	s.looks++
	x, err := request{method: http.MethodGet, path: "/fhir/" + path}.send(s.client, s.base())
	if err != nil {
		s.counted("no answer")
		s.rest(100 * time.Millisecond)
		return
	}
	s.counted(fmt.Sprint(x.status))
	if strings.Contains(x.answer, secretOfBob) || x.status == http.StatusOK && strings.Contains(x.answer, `"fullUrl":"`+nearby+`/Patient/bob"`) {
		s.t.Errorf("Ada was shown what is Bob's\n%s", x)
	}
	var page torturePage
	if x.status == http.StatusOK && json.Unmarshal([]byte(x.answer), &page) == nil {
		if len(page.Entry) > 0 {
			s.seen++
		}
		if path == s.cursor {
			s.cursor = strings.TrimPrefix(page.next(), "/fhir/")
		}
	}
	if x.status >= 500 && x.status != http.StatusServiceUnavailable {
		s.t.Errorf("Ada was answered with %d\n%s", x.status, x)
	}
}

// subscribers are two receivers of notifications: one is sent every version of messages
// that are complete, the other is told of messages that have come.
type subscribers struct {
	whole, told *hook
	down        atomic.Bool
	refused     atomic.Int64
}

func newSubscribers(o *ordeal) *subscribers {
	s := &subscribers{}
	refuse := func() int {
		if s.down.Load() {
			s.refused.Add(1)
			return http.StatusServiceUnavailable
		}
		return 0
	}
	s.whole, s.told = newHook(o.t, nearby, refuse), newHook(o.t, nearby, refuse)
	base := o.front.Load().base
	subscribing{criteria: "Communication?status=completed", payload: "application/fhir+json", endpoint: s.whole.URL + "/in"}.subscribe(o.t, base, o.passes.of("system"))
	subscribing{criteria: "message-received", content: "id-only", endpoint: s.told.URL, most: 10}.subscribe(o.t, base, o.passes.of("system"))
	return s
}

// versionsTold is what the receiver of whole messages has taken, each delivery once.
func (s *subscribers) versionsTold() (all []told) {
	known := map[string]bool{}
	for _, d := range s.whole.deliveries() {
		if !d.taken || d.body == "" || known[d.id()] {
			continue
		}
		known[d.id()] = true
		e := tortureEntry{Resource: json.RawMessage(d.body)}
		var number int64
		if _, err := fmt.Sscan(d.header.Get("X-Event-Number"), &number); err != nil {
			s.whole.t.Errorf("a notification has the number %q", d.header.Get("X-Event-Number"))
		}
		all = append(all, told{number, fmt.Sprintf("%s/%d", strings.TrimPrefix(d.path, "/in/"), e.version())})
	}
	return all
}
