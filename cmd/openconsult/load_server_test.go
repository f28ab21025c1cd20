package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// synthea is a directory of records as Synthea writes them, one transaction a patient.
const (
	synthea      = "../../../shared/suites/synthea"
	syntheaCount = 2101
)

func needSynthea(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(synthea); err != nil {
		t.Skipf("there are no records of Synthea: %v", err)
	}
}

// startServer runs a server on a database, and returns its base.
func startServer(t *testing.T, dsn string) string {
	t.Helper()
	return "http://" + serveOver(t, dsn, "--admin-addr=").FHIR + "/fhir"
}

// serveOver runs a server on a database until the test ends, and returns its addresses.
func serveOver(t *testing.T, dsn string, flags ...string) served {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	where, done := make(lines, 1), make(chan error, 1)
	s, err := completed(t, append([]string{"--auth=none", "--addr=127.0.0.1:0", "--conns=4", "--dsn=" + dsn, "--unsafe"}, flags...), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve(ctx, s, slog.New(slog.NewJSONHandler(where, nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case at := <-where:
		return at
	case err := <-done:
		done <- err
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("it does not begin to serve")
	}
	return served{}
}

// targetOf returns the server with a base.
func targetOf(t *testing.T, base string) *target {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &target{name: base, base: u, client: &http.Client{Transport: newTransport(u)}, tokens: &tokens{}, giveUp: time.Minute}
}

// insideOf returns a server inside of the test on a database.
func insideOf(t *testing.T, dsn string) *target {
	t.Helper()
	s, r := &settings{}, &reach{giveUp: time.Minute, jobs: true}
	f := s.flags()
	r.declare(f)
	if err := f.Parse([]string{"--dsn", dsn, "--unsafe", "--conns", "4"}); err != nil {
		t.Fatal(err)
	}
	target, err := r.open(t.Context(), s, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.stop(); err != nil {
			t.Error(err)
		}
	})
	return target
}

// stored returns how many resources a database holds, and how many versions of them.
func stored(t *testing.T, db *pgtest.Database) (resources, versions int) {
	t.Helper()
	if err := db.QueryRow("SELECT (SELECT count(*) FROM res), (SELECT count(*) FROM ver)").Scan(&resources, &versions); err != nil {
		t.Fatal(err)
	}
	return resources, versions
}

// A snare is on the way to a server and kills the process that sends, at the requests with
// some numbers: before the server has the request, or when it has carried it out and its
// answer is on the way.
type snare struct {
	*httptest.Server
	at []int

	mu      sync.Mutex
	n       int
	process *os.Process // nil once it was killed
}

func newSnare(t *testing.T, base string, at ...int) *snare {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	s := &snare{at: at}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.pass(w, r, u) }))
	t.Cleanup(s.Close)
	return s
}

func (s *snare) pass(w http.ResponseWriter, r *http.Request, to *url.URL) {
	process, late := s.spring()
	if process != nil && !late {
		_ = process.Kill()
		panic(http.ErrAbortHandler)
	}
	// The server is to end what it has begun, whatever becomes of who asked.
	out := r.Clone(context.WithoutCancel(r.Context()))
	out.RequestURI, out.URL.Scheme, out.URL.Host, out.Host = "", to.Scheme, to.Host, to.Host
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if process != nil {
		_ = process.Kill()
	}
	if err != nil || process != nil {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body)
}

// spring counts a request, and returns the process that is to be killed at it, if it is to
// be, and whether that comes after the request.
func (s *snare) spring() (process *os.Process, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	if s.process == nil || len(s.at) == 0 || s.n < s.at[0] {
		return nil, false
	}
	process, s.process, s.at = s.process, nil, s.at[1:]
	return process, len(s.at)%2 == 0
}

// run runs openconsult with arguments in dir, until it ends or is killed.
func (s *snare) run(t *testing.T, dir string, args ...string) (killed bool, out string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "openconsult", args...)
	var said bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &said, &said
	s.mu.Lock()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = c.Process
	s.mu.Unlock()
	err := c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return true, said.String()
	}
	if err != nil {
		said.WriteString(err.Error())
	}
	return false, said.String()
}

// TestLoadKilled kills a load five times and lets it go on each time: no line is lost and
// none is stored twice, with ids that follow from the lines as with ids of the server.
func TestLoadKilled(t *testing.T) {
	t.Parallel()
	needSynthea(t)
	records, err := filepath.Abs(synthea)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range []string{"derived", "server"} {
		t.Run(ids, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			way := newSnare(t, startServer(t, db.DSN), 3, 8, 17, 24, 31)
			var text strings.Builder
			for i := range 900 {
				fmt.Fprintf(&text, `{"resourceType":"Observation","status":"final","code":{"text":"%d"}}`+"\n", i)
				if i%300 == 7 {
					text.WriteString("{\n")
				}
			}
			dir := tree(t, map[string]string{"in/a.ndjson": text.String(), "in/b.ndjson.gz": packed(t, text.String())})
			args := []string{"load", "--base", way.URL + "/fhir", "--ids", ids, "--batch", "40", "--jobs", "3", "--rejects", "rejects", filepath.Join(dir, "in"), records}
			kills := 0
			for {
				killed, out := way.run(t, dir, args...)
				if !killed {
					if !strings.Contains(out, "6 lines were rejected") || !strings.Contains(out, fmt.Sprintf("loaded\t%d\n", 1800+syntheaCount)) {
						t.Fatalf("it ends with\n%s", out)
					}
					break
				}
				kills++
			}
			if resources, versions := stored(t, db); kills != 5 || resources != 1800+syntheaCount || versions != resources {
				t.Errorf("after %d kills there are %d versions of %d resources, want %d", kills, versions, resources, 1800+syntheaCount)
			}
			if got := readLines(t, filepath.Join(dir, "rejects")); len(got) != 6 {
				t.Errorf("rejected are %q", got)
			}
		})
	}
}

// stampsOf finds what a server adds to a resource when it stores it.
var stampsOf = regexp.MustCompile(`"versionId":"[0-9]+","lastUpdated":"[^"]*",?`)

// contents returns all lines of an export without stamps, sorted.
func contents(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		for _, line := range readLines(t, f) {
			line = stampsOf.ReplaceAllString(line, "")
			all = append(all, strings.ReplaceAll(strings.ReplaceAll(line, `,"meta":{}`, ""), `"meta":{},`, ""))
		}
	}
	slices.Sort(all)
	return all
}

// TestExportLoadExport: what is exported, loaded into another database and exported again
// is the same, over HTTP and without.
func TestExportLoadExport(t *testing.T) {
	t.Parallel()
	needSynthea(t)
	first, second := pgtest.New(t), pgtest.New(t)
	from, to := targetOf(t, startServer(t, first.DSN)), insideOf(t, second.DSN)
	o := options(t.TempDir())
	o.batch = 100
	if err := load(t.Context(), o, from, []string{synthea, filepath.Join("testdata", "..", "demo.ndjson")}); err != nil {
		t.Fatal(err)
	}
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	if err := export(t.Context(), quietExport(), from, one); err != nil {
		t.Fatal(err)
	}
	o = options(t.TempDir())
	o.batch = 100
	if err := load(t.Context(), o, to, []string{one}); err != nil {
		t.Fatal(err)
	}
	if err := export(t.Context(), quietExport(), to, two); err != nil {
		t.Fatal(err)
	}
	a, b := contents(t, one), contents(t, two)
	if len(a) < syntheaCount || !slices.Equal(a, b) {
		t.Errorf("%d and %d lines differ", len(a), len(b))
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("first\n%s\nsecond\n%s", a[i], b[i])
			}
		}
	}
}

// TestExportKilled kills an export four times and lets it go on: it is whole in the end.
func TestExportKilled(t *testing.T) {
	t.Parallel()
	needSynthea(t)
	base := startServer(t, pgtest.New(t).DSN)
	if err := load(t.Context(), options(t.TempDir()), targetOf(t, base), []string{synthea}); err != nil {
		t.Fatal(err)
	}
	way, dir := newSnare(t, base, 2, 5, 9, 15), t.TempDir()
	for kills := 0; ; kills++ {
		killed, out := way.run(t, dir, "export", "--base", way.URL+"/fhir", "out")
		if killed {
			continue
		}
		if kills != 4 || !strings.Contains(out, fmt.Sprintf("exported\t%d\n", syntheaCount)) {
			t.Fatalf("after %d kills it ends with\n%s", kills, out)
		}
		break
	}
	if got := contents(t, filepath.Join(dir, "out")); len(got) != syntheaCount {
		t.Errorf("there are %d lines", len(got))
	}
}

// TestWatchServer follows a server from its first state to a deletion, by a watcher that is
// killed between.
func TestWatchServer(t *testing.T) {
	t.Parallel()
	base := startServer(t, pgtest.New(t).DSN)
	to, dir := targetOf(t, base), t.TempDir()
	var text strings.Builder
	for i := range 250 {
		fmt.Fprintln(&text, patientLine(fmt.Sprint(i)))
	}
	if err := load(t.Context(), options(t.TempDir()), to, []string{tree(t, map[string]string{"a.ndjson": text.String()})}); err != nil {
		t.Fatal(err)
	}
	way := newSnare(t, base, 2, 5, 7)
	follow := func() {
		for {
			killed, out := way.run(t, dir, "watch", "--base", way.URL+"/fhir", "--once", "--count", "40", "--type", "Patient,Task", "--state", "state", "--output", "out")
			if !killed {
				if out != "" {
					t.Fatalf("it says %s", out)
				}
				return
			}
		}
	}
	follow()
	if _, err := to.insist(t.Context(), request{method: http.MethodDelete, address: to.at("/Patient/7")}); err != nil {
		t.Fatal(err)
	}
	follow()
	seen := map[string]int{}
	all := readLines(t, filepath.Join(dir, "out"))
	for _, line := range all {
		var c change
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[c.URL]++
	}
	var last change
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil || len(all) != 251 || len(seen) != 250 {
		t.Errorf("there are %d lines of %d resources, %v", len(all), len(seen), err)
	}
	if last.URL != "Patient/7" || last.Reason != "deleted" || last.Resource != nil || last.Version != 2 || last.Origin == "" {
		t.Errorf("the last line is %s", all[len(all)-1])
	}
}

// TestLoadPast: what is finished is loaded as it was, as often as one likes; what is not is
// rejected.
func TestLoadPast(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	to := insideOf(t, db.DSN)
	finished := `{"resourceType":"Communication","id":"old","meta":{"versionId":"7","lastUpdated":"2019-05-01T10:00:00.000Z"},"status":"completed","sent":"2019-05-01T09:59:00Z","sender":{"reference":"Practitioner/grace"},"payload":[{"contentString":"x"}]}`
	open := `{"resourceType":"Task","id":"open","status":"in-progress","intent":"order"}`
	dir := tree(t, map[string]string{"a.ndjson": finished + "\n" + open + "\n"})
	for range 2 {
		o := options(t.TempDir())
		o.history = true
		if err := load(t.Context(), o, to, []string{dir}); err == nil || !strings.Contains(err.Error(), "1 lines were rejected") {
			t.Fatalf("it ends with %v", err)
		}
		if got := readLines(t, o.rejects); got[0] != open {
			t.Errorf("rejected is %s", got)
		}
	}
	if resources, versions := stored(t, db); resources != 1 || versions != 1 {
		t.Errorf("there are %d versions of %d resources", versions, resources)
	}
	a, err := to.insist(t.Context(), request{method: http.MethodGet, address: to.at("/Communication/old")})
	if err != nil || !strings.Contains(string(a.body), `"valueInstant":"2019-05-01T10:00:00.000Z"`) || !strings.Contains(string(a.body), "Practitioner/grace") {
		t.Errorf("it is read as %s, %v", a.body, err)
	}
}

// TestLoadNamed: a Bundle that names by identifier who is not there is rejected, or gets
// somebody to name; loaded once more, it is not carried out again.
func TestLoadNamed(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	to := insideOf(t, db.DSN)
	dir := tree(t, map[string]string{"Ada.json": `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:27de96c6-6910-4f0f-8f10-00ce6090f447",
		"resource":{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"participant":[{"individual":{"reference":"Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999"}}]},
		"request":{"method":"POST","url":"Encounter"}}]}`})
	o := options(t.TempDir())
	if err := load(t.Context(), o, to, []string{dir}); err == nil || !strings.Contains(err.Error(), "1 lines were rejected") {
		t.Fatalf("it ends with %v", err)
	}
	if why := readLines(t, o.rejects+".reasons"); !strings.Contains(why[0], "Ada.json:1") || !strings.Contains(why[0], "Bundle.entry[0]") {
		t.Errorf("the reason is %s", why)
	}
	if err := os.Rename(o.rejects, filepath.Join(dir, "Ada.json")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o = options(t.TempDir())
		o.missing = "create-stub"
		if err := load(t.Context(), o, to, []string{dir}); err != nil {
			t.Fatal(err)
		}
	}
	a, err := to.insist(t.Context(), request{method: http.MethodGet, address: to.at("/Encounter?practitioner.identifier=http://hl7.org/fhir/sid/us-npi|9999&_summary=count")})
	if err != nil || !strings.Contains(string(a.body), `"total":1`) {
		t.Errorf("found are %s, %v", a.body, err)
	}
	if resources, _ := stored(t, db); resources != 2 {
		t.Errorf("there are %d resources", resources)
	}
}
