package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// canary is what must never be in a log.
const canary = "Wilhelmina-9434765919"

// journal collects what is logged at every level.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

// Write collects b.
func (l *journal) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// String returns everything so far.
func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *journal) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serveAt adds a public route to s.
func serveAt(s *Server, path string, serve func(c *gin.Context) error) {
	s.router.GET(path, s.handle(route{method: "GET", path: path, rule: public, serve: serve}))
}

type patient struct{ name string }

func TestPanic(t *testing.T) {
	t.Parallel()
	var log journal
	var seen []Observation
	s := newServer(t, Config{Log: log.logger(), Observe: func(o Observation) { seen = append(seen, o) }})
	serveAt(s, "/boom", func(c *gin.Context) error {
		c.Header("ETag", `W/"1"`)
		c.Header("Content-Length", "1000000")
		panic(patient{canary})
	})
	for range 2 {
		r := httptest.NewRequest("GET", "/boom", nil)
		r.Header.Set("Origin", "https://app.example")
		w := answer(s, r)
		checkRefusal(t, w)
		id := w.Header().Get("X-Request-Id")
		if w.Code != 500 || !strings.Contains(w.Body.String(), id) || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w.Header().Get("ETag") != "" || w.Header().Get("Content-Length") != "" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("the headers are %v", w.Header())
		}
		for _, want := range []string{`"type":"api.patient"`, `"request":"` + id + `"`, "middleware_test.go", `"route":"/boom"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %s: %s", want, &log)
			}
		}
	}
	if strings.Contains(log.String(), canary) {
		t.Errorf("the log says what was panicked with: %s", &log)
	}
	if len(seen) != 2 || seen[0].Status != 500 || seen[0].Route != "/boom" {
		t.Errorf("observed: %+v", seen)
	}
}

func TestPanicAfterAnswerBegan(t *testing.T) {
	t.Parallel()
	var log journal
	s := newServer(t, Config{Log: log.logger()})
	serveAt(s, "/small", func(c *gin.Context) error {
		c.Data(200, "text/plain", []byte("begun"))
		panic(canary)
	})
	serveAt(s, "/large", func(c *gin.Context) error {
		c.Header("Content-Type", "text/plain")
		_, _ = c.Writer.Write(bytes.Repeat([]byte("begun"), 100_000))
		panic(canary)
	})
	serveAt(s, "/fine", func(c *gin.Context) error {
		c.Data(200, "text/plain", []byte("fine"))
		return nil
	})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	for _, path := range []string{"/small", "/large"} {
		for _, encoding := range []string{"identity", "gzip", "zstd"} {
			r, _ := http.NewRequest("GET", server.URL+path, nil)
			r.Header.Set("Accept-Encoding", encoding)
			resp, err := server.Client().Do(r)
			if err != nil {
				continue
			}
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				t.Errorf("%s in %s arrived as if it were whole", path, encoding)
			}
		}
	}
	resp, err := server.Client().Get(server.URL + "/fine")
	if err != nil {
		t.Fatalf("the server does not live: %v", err)
	}
	resp.Body.Close()
	if strings.Contains(log.String(), canary) || strings.Count(log.String(), `"msg":"panic"`) < 6 {
		t.Errorf("the log: %s", &log)
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll, Limits: Limits{Memory: 1 << 20}})
	read := func() *http.Request { return httptest.NewRequest("GET", "/fhir/metadata", nil) }
	large := func() *http.Request { return announcing(smallBody + 1) }
	for name, tt := range map[string]struct {
		room    *semaphore.Weighted
		size    int64
		refused func() *http.Request
		others  func() *http.Request
	}{
		"small": {s.small, 1 << 18, read, nil},
		"large": {s.memory, 1 << 20, large, read},
	} {
		if err := tt.room.Acquire(t.Context(), tt.size); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		w := answer(s, tt.refused())
		if took := time.Since(start); took < admitAfter || took > 20*admitAfter {
			t.Errorf("%s: it took %v to refuse", name, took)
		}
		checkRefusal(t, w)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"throttled"`) {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
		if tt.others != nil {
			if w := answer(s, tt.others()); w.Code != 200 {
				t.Errorf("%s: others get %d %s", name, w.Code, w.Body)
			}
		}
		tt.room.Release(tt.size)
		for range 100 {
			if w := answer(s, tt.refused()); w.Code == 503 {
				t.Fatalf("%s, with room again: %d %s", name, w.Code, w.Body)
			}
		}
		if !tt.room.TryAcquire(tt.size) {
			t.Errorf("%s: not all memory was given back", name)
		}
		tt.room.Release(tt.size)
	}
}

func TestExpected(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for length, want := range map[int64]int64{0: 0, 17: 17, -1: 5 << 20, 1<<63 - 1: 1 << 30} {
		if got := s.expected(&http.Request{ContentLength: length}); got != want {
			t.Errorf("Content-Length %d: %d, want %d", length, got, want)
		}
	}
	// What announces too much waits for all the memory there is, and is refused by its length.
	if w := answer(newServer(t, Config{Caller: trustAll}), announcing(1<<63-1)); w.Code != 413 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func announcing(length int64) *http.Request {
	r := httptest.NewRequest("POST", "/fhir/Patient", strings.NewReader("{"))
	r.Header.Set("Content-Type", "application/fhir+json")
	r.ContentLength = length
	return r
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for id, kept := range map[string]bool{
		"":                          false,
		"abc-123.x":                 true,
		strings.Repeat("a", 64):     true,
		strings.Repeat("a", 65):     false,
		"a b":                       false,
		"a\nb":                      false,
		`"}{"level":"ERROR"`:        false,
		"<script>alert(1)</script>": false,
		"é":                         false,
	} {
		r := httptest.NewRequest("GET", "/fhir/nothing/at/all", nil)
		r.Header.Set("X-Request-Id", id)
		got := answer(s, r).Header().Values("X-Request-Id")
		if len(got) != 1 || (got[0] == id) != kept || !fhir.ValidID(got[0]) {
			t.Errorf("%q came back as %q", id, got)
		}
	}
}

// TestObservations makes sure that the measurements have a bounded number of
// names, whatever clients send.
func TestObservations(t *testing.T) {
	t.Parallel()
	var seen []Observation
	s := newServer(t, Config{Caller: trustAll, Observe: func(o Observation) { seen = append(seen, o) }})
	for _, r := range []*http.Request{
		httptest.NewRequest("BREW", "/fhir/Patient/"+canary, nil),
		httptest.NewRequest("GET", "/fhir/"+canary+"/p", nil),
		httptest.NewRequest("GET", "/"+canary+"?"+canary, nil),
		httptest.NewRequest("GET", "/fhir/Patient/"+canary+"?"+canary, nil),
		httptest.NewRequest("GET", "/"+strings.Repeat(canary, 1000), nil),
	} {
		answer(s, r)
	}
	want := []Observation{
		{Method: "other", Status: 405, Class: "write", Admitted: true}, {Method: "GET", Route: "/:type/:id", Status: 404, Class: "read", Admitted: true},
		{Method: "GET", Status: 404, Class: "search", Admitted: true}, {Method: "GET", Route: "/:type/:id", Status: 400, Class: "read", Admitted: true},
		{Method: "GET", Status: 414},
	}
	for i, o := range seen {
		o.Took, o.Waited = 0, 0
		if o != want[i] {
			t.Errorf("%d: %+v, want %+v", i, o, want[i])
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d observations", len(seen))
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err     error
		status  int
		retry   bool
		logged  bool
		explain string
	}{
		{fhir.Errorf(fhir.BadRequest, fhir.Value, "", "No."), 400, false, false, "No."},
		{fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "No."), 401, false, false, "No."},
		{fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "No."), 403, false, false, "No."},
		{fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "No."), 404, false, false, "No."},
		{fhir.Errorf(fhir.Clash, fhir.Conflict, "", "No."), 409, false, false, "No."},
		{fhir.Errorf(fhir.Gone, fhir.Deleted, "", "No."), 410, false, false, "No."},
		{fhir.Errorf(fhir.Stale, fhir.Conflict, "", "No."), 412, false, false, "No."},
		{fhir.Errorf(fhir.TooLarge, fhir.TooLong, "", "No."), 413, false, false, "No."},
		{fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "", "No."), 422, false, false, "No."},
		{fhir.Errorf(fhir.Busy, fhir.Throttled, "", "No."), 429, true, false, "No."},
		{fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "No."), 503, true, false, "No."},
		{fhir.Errorf(fhir.Full, fhir.NoStore, "", "No."), 507, true, false, "No."},
		{&refusal{418, fhir.NotSupported, "Tea."}, 418, false, false, "Tea."},
		{&store.Unavailable{Err: errors.New("dial")}, 503, true, true, "nothing was stored"},
		{&store.Unavailable{Err: errors.New("EOF"), Unknown: true}, 503, true, true, "not known whether"},
		{context.DeadlineExceeded, 503, true, true, "too long"},
		{errors.New("a fault about " + "nobody"), 500, false, true, "The id of this request is tried."},
	} {
		var log journal
		s := newServer(t, Config{Log: log.logger()})
		serveAt(s, "/fail", func(*gin.Context) error { return tt.err })
		r := httptest.NewRequest("GET", "/fail", nil)
		r.Header.Set("X-Request-Id", "tried")
		w := answer(s, r)
		checkRefusal(t, w)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.explain) {
			t.Errorf("%v: %d %s, want %d", tt.err, w.Code, w.Body, tt.status)
		}
		if got := w.Header().Get("Retry-After") != ""; got != tt.retry {
			t.Errorf("%v: Retry-After: %v", tt.err, got)
		}
		if got := strings.Contains(log.String(), `"level":"ERROR"`); got != tt.logged {
			t.Errorf("%v: logged: %v", tt.err, got)
		}
	}
}

// TestGone makes sure that a client that goes away makes no noise.
func TestGone(t *testing.T) {
	t.Parallel()
	var log journal
	var seen Observation
	s := newServer(t, Config{Log: log.logger(), Observe: func(o Observation) { seen = o }})
	ctx, cancel := context.WithCancel(t.Context())
	serveAt(s, "/slow", func(c *gin.Context) error {
		cancel()
		return &store.Unavailable{Err: c.Request.Context().Err(), Unknown: true}
	})
	answer(s, httptest.NewRequest("GET", "/slow", nil).WithContext(ctx))
	if seen.Status != statusGone || strings.Contains(log.String(), "ERROR") {
		t.Errorf("%+v: %s", seen, &log)
	}
}

func TestUnsupportedHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll})
	for _, name := range []string{"If-None-Exist", "If-Unmodified-Since", "Content-Range", "X-Provenance", "X-Cascade"} {
		for _, value := range []string{"x", ""} {
			r := announcing(1)
			if name == noneExist {
				r = httptest.NewRequest("PUT", "/fhir/Patient/p", nil)
			}
			r.Header[http.CanonicalHeaderKey(name)] = []string{value}
			if w := answer(s, r); w.Code != 400 || !strings.Contains(w.Body.String(), name) {
				t.Errorf("%s: %q: %d %s", name, value, w.Code, w.Body)
			}
		}
	}
}

func TestNotWritable(t *testing.T) {
	t.Parallel()
	full := fhir.Errorf(fhir.Full, fhir.NoStore, "", "Full.")
	s := newServer(t, Config{Purge: true, Caller: trustAll, Writable: func() error { return full }})
	for _, r := range s.routes() {
		// Of a Bundle each entry says whether it writes.
		writes := r.method != "GET" && !strings.HasSuffix(r.path, "/_search") && r.interaction != bundled && r.interaction != interaction.Match
		if r.writes != writes {
			t.Errorf("%s %s writes: %v", r.method, r.path, r.writes)
		}
		if !writes {
			continue
		}
		if w := answer(s, requestTo(r, r.method)); w.Code != 507 {
			t.Errorf("%s %s: %d", r.method, r.path, w.Code)
		}
	}
	for body, status := range map[string]int{
		`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/a"}}]}`:                                         507,
		`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"DELETE","url":"Patient/a"}},{"request":{"method":"GET","url":"metadata"}}]}`: 200,
	} {
		r := httptest.NewRequest("POST", "/fhir", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/fhir+json")
		if w := answer(s, r); w.Code != status || status == 200 && (!strings.Contains(w.Body.String(), `"507 Insufficient Storage"`) || !strings.Contains(w.Body.String(), "CapabilityStatement")) {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestCallerError(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: func(*http.Request) (access.Grant, error) {
		return access.Trusted("x"), fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "The token is old.")
	}})
	if w := answer(s, httptest.NewRequest("GET", "/fhir/_history", nil)); w.Code != 401 || !strings.Contains(w.Body.String(), "old") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
