package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A stream is a server with a feed of n patients, in pages of three.
type stream struct {
	*httptest.Server
	n       int
	expired bool
	asked   []*http.Request
}

func newStream(t *testing.T, n int) *stream {
	s := &stream{n: n}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP serves pages of the feed.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r)
	at := 0
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		_, _ = fmt.Sscan(cursor, &at)
		if s.expired {
			s.expired = false
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"details":{"text":"it is too long ago"}}]}`)
			return
		}
	}
	var entries []string
	for ; at < s.n && len(entries) < 3; at++ {
		entries = append(entries, fmt.Sprintf(`{"fullUrl":"https://fhir.example.org/fhir/Patient/%[1]d","resource":%[2]s,"request":{"method":"PUT","url":"Patient/%[1]d"},
			"response":{"status":"200","etag":"W/\"2\"","lastModified":"2026-01-01T00:00:00.000Z"},"extension":[{"url":"%[3]sfeed-origin","valueString":"app"},{"url":"%[3]sfeed-settled","valueBoolean":true}]}`, at, patientLine(fmt.Sprint(at)), extensionBase))
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"history","link":[{"relation":"next","url":"https://fhir.example.org/fhir/$changes?cursor=%d"}],"entry":[%s]}`, at, strings.Join(entries, ","))
}

func (s *stream) target(t *testing.T) *target {
	t.Helper()
	base, err := url.Parse(s.URL + "/fhir")
	if err != nil {
		t.Fatal(err)
	}
	return &target{base: base, client: s.Client(), tokens: &tokens{}, giveUp: time.Minute}
}

// onceMore watches until there is nothing more, and returns all that is in the output.
func onceMore(t *testing.T, s *stream, dir string) []string {
	t.Helper()
	o := &watchOptions{once: true, count: 3, state: filepath.Join(dir, "state"), output: filepath.Join(dir, "out")}
	if err := watch(t.Context(), o, s.target(t)); err != nil {
		t.Fatal(err)
	}
	return readLines(t, o.output)
}

// numbered fails unless lines are of the patients from 0 to n-1, in order.
func numbered(t *testing.T, lines []string, n int) {
	t.Helper()
	if len(lines) != n {
		t.Fatalf("%d lines, want %d: %q", len(lines), n, lines)
	}
	for i, line := range lines {
		var c change
		if err := json.Unmarshal([]byte(line), &c); err != nil || c.URL != fmt.Sprintf("Patient/%d", i) {
			t.Fatalf("line %d is %s, %v", i, line, err)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s, dir := newStream(t, 7), t.TempDir()
	numbered(t, onceMore(t, s, dir), 7)
	s.n = 11
	lines := onceMore(t, s, dir)
	numbered(t, lines, 11)
	if want := `{"url":"Patient/10","version":2,"method":"PUT","at":"2026-01-01T00:00:00.000Z","origin":"app","settled":true,"resource":{"resourceType":"Patient","id":"10"}}`; lines[10] != want {
		t.Errorf("the last is %s\nwant %s", lines[10], want)
	}
}

// TestWatchKilled: whatever of a page was written when it was killed, each line is in the
// output once.
func TestWatchKilled(t *testing.T) {
	t.Parallel()
	for cut := range 8 {
		s, dir := newStream(t, 7), t.TempDir()
		o := &watchOptions{once: true, count: 3, state: filepath.Join(dir, "state"), output: filepath.Join(dir, "out")}
		b, err := openWatch(o, o.first(s.target(t)))
		if err != nil {
			t.Fatal(err)
		}
		w := &watcher{options: o, target: s.target(t), book: b}
		if _, err := w.fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		full := `{"url":"Patient/0"}` + "\n" + `{"url":"Patient/1"}` + "\n" + `{"url":"Pati`
		if err := os.WriteFile(o.output, []byte(full[:len(full)*cut/7]), 0o600); err != nil {
			t.Fatal(err)
		}
		numbered(t, onceMore(t, s, dir), 7)
	}
}

// TestWatchPrinted: on standard output it goes on behind what it knows to have printed.
func TestWatchPrinted(t *testing.T) {
	t.Parallel()
	s, dir := newStream(t, 7), t.TempDir()
	o := &watchOptions{once: true, count: 3, state: filepath.Join(dir, "state")}
	var out strings.Builder
	for range 20 {
		b, err := openWatch(o, o.first(s.target(t)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		b.out = writerFunc(func(p []byte) (int, error) {
			cancel()
			return out.Write(p)
		})
		w := &watcher{options: o, target: s.target(t), book: b}
		if err := w.run(ctx); err != nil {
			t.Fatal(err)
		}
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	numbered(t, strings.Split(strings.TrimSpace(out.String()), "\n"), 7)
}

// A writerFunc is a function to write with.
type writerFunc func([]byte) (int, error)

// Write calls f.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestWatchForgotten(t *testing.T) {
	t.Parallel()
	s, dir := newStream(t, 4), t.TempDir()
	numbered(t, onceMore(t, s, dir), 4)
	o := &watchOptions{once: true, count: 3, state: filepath.Join(dir, "state"), output: filepath.Join(dir, "out")}
	s.expired = true
	if err := watch(t.Context(), o, s.target(t)); err == nil || !strings.Contains(err.Error(), "410 Gone: it is too long ago; --restart") {
		t.Errorf("it ends with %v", err)
	}
	s.expired, o.restart, o.log = true, true, io.Discard
	if err := watch(t.Context(), o, s.target(t)); err != nil {
		t.Fatal(err)
	}
	lines := readLines(t, o.output)
	if len(lines) != 9 || lines[4] != `{"restart":"it is too long ago"}` {
		t.Fatalf("there are %q", lines)
	}
	numbered(t, lines[5:], 4)
}

func TestWatchAsks(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	o := &watchOptions{count: 9, types: []string{"Task", "Patient"}, notOwn: true}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := watch(ctx, o, s.target(t)); err != nil {
		t.Fatal(err)
	}
	if r := s.asked[0]; r.URL.RawQuery != "_count=9&_origin%3Anot=self&_type=Task%2CPatient" || r.Header.Get("Prefer") != "wait=30" {
		t.Errorf("it asks %s with %v", r.URL, r.Header)
	}
	if len(s.asked) > 2 {
		t.Errorf("it asks %d times in a moment", len(s.asked))
	}
	other := &watchOptions{once: true, count: 3, state: filepath.Join(t.TempDir(), "state")}
	if err := watch(t.Context(), other, s.target(t)); err != nil {
		t.Fatal(err)
	}
	other.types = []string{"Task"}
	if err := watch(t.Context(), other, s.target(t)); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("the state of something else is taken: %v", err)
	}
}

func TestChangeOfTombstone(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../shared/domain/set-c-messaging-sync/changes-page.json")
	if err != nil {
		t.Skipf("there is no example of a page: %v", err)
	}
	var p feedPage
	if err := json.Unmarshal(page, &p); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range p.Entry {
		c := e.change()
		fmt.Fprintf(&all, "%s %d %s %q %t\n", c.URL, c.Version, c.Method, c.Reason, c.Resource != nil)
	}
	if want := "Task/cons-03 6 PATCH \"\" true\nCommunication/in-77 1 POST \"\" true\nCommunication/out-9 3 DELETE \"entered-in-error\" false\nTask/cons-88 12 DELETE \"left-your-scope\" false\n"; all.String() != want {
		t.Errorf("%s\nwant\n%s", all.String(), want)
	}
}
