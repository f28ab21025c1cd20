package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A shelf is a server that takes Bundles and does what the tests tell it.
type shelf struct {
	*httptest.Server
	refuse func(w http.ResponseWriter, body []byte) bool // answers in its place
	entry  func(body []byte) int                         // status of an entry

	mu       sync.Mutex
	stored   map[string]string // by Type/id
	versions map[string]int
	requests []*http.Request
	bodies   [][]byte
	answers  map[string][]byte // by Idempotency-Key
	made     int
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{stored: map[string]string{}, versions: map[string]int{}, answers: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

type sentBundle struct {
	Type  string
	Entry []struct {
		Resource json.RawMessage
		Request  struct{ Method, URL, IfNoneExist string }
	}
}

// ServeHTTP carries out a Bundle.
func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, body)
	if s.refuse != nil && s.refuse(w, body) {
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if before, ok := s.answers[key]; ok && key != "" {
		_, _ = w.Write(before)
		return
	}
	var b sentBundle
	if err := json.Unmarshal(body, &b); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"resourceType":"Bundle","type":"%s-response","entry":[`, b.Type)
	for i, e := range b.Entry {
		if i > 0 {
			out.WriteByte(',')
		}
		status := http.StatusCreated
		if s.entry != nil {
			status = s.entry(e.Resource)
		}
		where := e.Request.URL
		if e.Request.Method == http.MethodPost {
			s.made++
			where = fmt.Sprintf("%s/made-%d", where, s.made)
		}
		if status < 300 {
			if s.stored[where] != string(e.Resource) {
				s.versions[where]++
			}
			s.stored[where] = string(e.Resource)
			fmt.Fprintf(&out, `{"response":{"status":"%d Created","location":"%s/_history/%d"}}`, status, where, s.versions[where])
			continue
		}
		fmt.Fprintf(&out, `{"response":{"status":"%d","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid","details":{"text":"no"}}]}}}`, status)
	}
	out.WriteString(`]}`)
	if key != "" {
		s.answers[key] = out.Bytes()
	}
	_, _ = w.Write(out.Bytes())
}

// names returns what is stored.
func (s *shelf) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.stored))
}

func (s *shelf) target(t *testing.T) *target {
	t.Helper()
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &target{name: s.URL, base: base, client: s.Client(), tokens: &tokens{}, giveUp: time.Minute}
}

// options returns the options of a load that keeps its files in dir.
func options(dir string) *loadOptions {
	return &loadOptions{out: io.Discard, log: io.Discard, batch: 3, jobs: 3, ids: "derived", missing: "fail", state: filepath.Join(dir, "state"), rejects: filepath.Join(dir, "rejects")}
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// tree writes files, by their paths below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func patientLine(id string) string { return `{"resourceType":"Patient","id":"` + id + `"}` }

func TestLoadLayouts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"lines", "a.ndjson", patientLine("1") + "\n" + patientLine("2") + "\r\n\n" + patientLine("3"), "Patient/1 Patient/2 Patient/3"},
		{"packed", "a.ndjson.gz", packed(t, patientLine("1")+"\n"+patientLine("2")), "Patient/1 Patient/2"},
		{"with a mark", "a.jsonl", "\xEF\xBB\xBF" + patientLine("1") + "\n", "Patient/1"},
		{"one resource", "a.json", "{\n \"id\": \"1\",\n \"resourceType\": \"Patient\"\n}\n", "Patient/1"},
		{"several resources", "a.json", patientLine("1") + "\n" + patientLine("2"), "Patient/1 Patient/2"},
		{"a Bundle and a resource", "a.json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + patientLine("1") + `}]}` + patientLine("2"), "Patient/1 Patient/2"},
		{"a resource and a Bundle", "a.json", patientLine("2") + `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + patientLine("1") + `}]}`, "Patient/1 Patient/2"},
		{"an empty file", "a.json", "\n", ""},
		{"an empty Bundle", "a.json", `{"resourceType":"Bundle","type":"collection"}`, ""},
		{"a type behind the entries", "a.json", `{"entry":[{"resource":` + patientLine("1") + `}],"type":"document","resourceType":"Bundle"}`, "Patient/1"},
		{"searchset", "a.json", `{"resourceType":"Bundle","type":"searchset","entry":[{"resource":` + patientLine("1") + `,"search":{"mode":"match"}},{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}]}`, "Patient/1"},
		{"history", "a.json", `{"resourceType":"Bundle","type":"history","entry":[{"resource":{"resourceType":"Patient","id":"1","active":true}},{"request":{"method":"DELETE","url":"Patient/9"}},{"resource":` + patientLine("1") + `}]}`, "Patient/1"},
		{"a Bundle in lines", "a.ndjson", `{"resourceType":"Bundle","id":"b","type":"transaction","entry":[]}`, "Bundle/b"},
		{"a request in lines", "a.ndjson", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` + patientLine("1") + `,"request":{"method":"PUT","url":"Patient/1"}}]}`, "Patient/1"},
		{"a transaction", "a.json", `{"resourceType":"Bundle","id":"b","type":"transaction","entry":[{"resource":` + patientLine("1") + `,"request":{"method":"PUT","url":"Patient/1"}}]}`, "Patient/1"},
		{"entries that name each other", "a.json", `{"resourceType":"Bundle","type":"document","entry":[{"fullUrl":"urn:uuid:0A","resource":{"resourceType":"Patient"}},{"fullUrl":"urn:uuid:0b","resource":` + patientLine("2") + `}]}`, "Patient/0a Patient/2"},
		{"an uuid without references", "a.json", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"https://a.example/Patient/2","resource":` + patientLine("2") + `},{"fullUrl":"urn:uuid:0A","resource":{"resourceType":"Patient"}}]}`, "Patient/0a Patient/2"},
	} {
		s, dir := newShelf(t), tree(t, map[string]string{tt.file: tt.text})
		if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{dir}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := strings.Join(s.names(), " "); got != tt.want {
			t.Errorf("%s: %s is stored, want %s", tt.name, got, tt.want)
		}
	}
}

// TestLoadWalk: a directory is walked by name, also behind a link, without hidden files
// and those that hold no JSON.
func TestLoadWalk(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"b.ndjson": "", "a/z.json.gz": "", "a/.hidden.json": "", ".git/x.json": "", "notes.txt": "", manifestName: "{}", "x.ndjson.part": "", "c.JSONL": ""})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	l, err := (&fetcher{}).list(t.Context(), []string{link, filepath.Join(dir, "notes.txt"), "-"})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, s := range l.sources {
		got += strings.TrimPrefix(strings.TrimPrefix(s.name, link+"/"), dir+"/") + " "
	}
	if want := "a/z.json.gz b.ndjson c.JSONL notes.txt - "; got != want || l.passed != 3 {
		t.Errorf("it finds %s and passes %d by; want %s", got, l.passed, want)
	}
}

// TestLoadNewest: of the versions in a history the newest is stored.
func TestLoadNewest(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	dir := tree(t, map[string]string{"a.json": `{"resourceType":"Bundle","type":"history","entry":[{"resource":{"resourceType":"Patient","id":"1","active":true}},{"resource":` + patientLine("1") + `}]}`})
	if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{dir}); err != nil {
		t.Fatal(err)
	}
	if got := s.stored["Patient/1"]; !strings.Contains(got, "active") || s.versions["Patient/1"] != 1 {
		t.Errorf("stored is %s, version %d", got, s.versions["Patient/1"])
	}
}

// TestLoadOrder: of lines about one resource the last holds, however many are sent
// together.
func TestLoadOrder(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, `{"resourceType":"Patient","id":"%d","multipleBirthInteger":%d}`+"\n", i%7, i)
	}
	o := options(t.TempDir())
	o.jobs = 8
	if err := load(t.Context(), o, s.target(t), []string{tree(t, map[string]string{"a.ndjson": text.String()})}); err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		last := 193 + (i+7-193%7)%7
		name := fmt.Sprintf("Patient/%d", i)
		if !strings.Contains(s.stored[name], fmt.Sprintf(":%d}", last)) || s.versions[name] < 28 {
			t.Errorf("of %s %s is stored after %d versions; want %d", name, s.stored[name], s.versions[name], last)
		}
	}
}

// TestLoadStages: hospitals come before practitioners, and those before patients.
func TestLoadStages(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	one := func(id string) string {
		return `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` + patientLine(id) + `,"request":{"method":"PUT","url":"Patient/` + id + `"}}]}`
	}
	dir := tree(t, map[string]string{"Ada.json": one("a"), "practitionerInformation1.json": one("p"), "hospitalInformation1.json": one("h"), "Ben.json": one("b"), "hospitalInformation2.json": one("i")})
	o := options(t.TempDir())
	o.jobs = 8
	if err := load(t.Context(), o, s.target(t), []string{dir}); err != nil {
		t.Fatal(err)
	}
	order := ""
	for _, b := range s.bodies {
		_, id, _ := strings.Cut(string(b), `"id":"`)
		order += id[:1]
	}
	if len(order) != 5 || !strings.ContainsAny(order[:2], "h") || !strings.ContainsAny(order[:2], "i") || order[2] != 'p' {
		t.Errorf("they come in the order %s", order)
	}
}

func TestLoadRejects(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.entry = func(body []byte) int {
		if bytes.Contains(body, []byte("bad")) {
			return http.StatusBadRequest
		}
		return http.StatusCreated
	}
	s.refuse = func(w http.ResponseWriter, body []byte) bool {
		poisoned := bytes.Contains(body, []byte("poison"))
		if poisoned {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"resourceType":"OperationOutcome","issue":[]}`))
		}
		return poisoned
	}
	rejected := []string{`{"resourceType":"Patient", "id":"bad-1"}`, `{"resourceType":"Patient"`, `[]`, `{"id":"1"}`, patientLine("poison"), `nothing`, `{} {}`}
	text := strings.Join([]string{patientLine("1"), rejected[0], rejected[1], patientLine("2"), rejected[2], rejected[3], rejected[4], patientLine("3"), rejected[5], patientLine("4"), rejected[6]}, "\n")
	dir, o := tree(t, map[string]string{"a.ndjson": text, "b.json": `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` + patientLine("5") + `,"request":{"method":"PUT","url":"Patient/5"}},{"resource": ` + patientLine("bad-2") + `,"request":{"method":"PUT","url":"Patient/bad-2"}}]}`}), options(t.TempDir())
	o.jobs = 1
	err := load(t.Context(), o, s.target(t), []string{dir})
	if err == nil || !strings.Contains(err.Error(), "8 lines were rejected") {
		t.Errorf("it ends with %v", err)
	}
	if got := strings.Join(s.names(), " "); got != "Patient/1 Patient/2 Patient/3 Patient/4 Patient/5" {
		t.Errorf("stored is %s", got)
	}
	lines := readLines(t, o.rejects)
	want := append(rejected, `{"resourceType":"Bundle","type":"batch","entry":[{"resource": `+patientLine("bad-2")+`,"request":{"method":"PUT","url":"Patient/bad-2"}}]}`)
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("rejected are\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for i, reason := range readLines(t, o.rejects+".reasons") {
		if !strings.Contains(reason, `"resourceType":"OperationOutcome"`) {
			t.Errorf("reason %d is %s", i, reason)
		}
	}
	if _, err := os.Stat(o.state); err == nil {
		t.Error("the state is still there")
	}
	s.entry, s.refuse = nil, nil
	again := options(t.TempDir())
	source := filepath.Join(t.TempDir(), "again.ndjson")
	if err := os.Rename(o.rejects, source); err != nil {
		t.Fatal(err)
	}
	if err := load(t.Context(), again, s.target(t), []string{source}); err == nil || !strings.Contains(err.Error(), "5 lines") {
		t.Errorf("loaded again they end with %v", err)
	}
	if got := strings.Join(s.names(), " "); got != "Patient/1 Patient/2 Patient/3 Patient/4 Patient/5 Patient/bad-1 Patient/bad-2 Patient/poison" {
		t.Errorf("stored is then %s", got)
	}
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// TestLoadBusy: what the server has no time for is sent again, and stored once.
func TestLoadBusy(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	turns := 0
	s.refuse = func(w http.ResponseWriter, _ []byte) bool {
		turns++
		if turns%3 == 0 {
			return false
		}
		w.WriteHeader([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway}[turns%3])
		return true
	}
	odd := map[string]int{}
	s.entry = func(body []byte) int {
		odd[string(body)]++
		if odd[string(body)]%2 == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusCreated
	}
	text := patientLine("1") + "\n" + patientLine("2") + "\n" + patientLine("3") + "\n" + patientLine("4")
	if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{tree(t, map[string]string{"a.ndjson": text})}); err != nil {
		t.Fatal(err)
	}
	if got := s.names(); len(got) != 4 {
		t.Errorf("stored is %v", got)
	}
}

// TestLoadGivesUp: a server that does not come back ends the load, which then goes on.
func TestLoadGivesUp(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintln(&text, `{"resourceType":"Patient","active":true}`)
		if i == 20 {
			fmt.Fprintln(&text, `{`)
		}
	}
	dir, o := tree(t, map[string]string{"a.ndjson": text.String()}), options(t.TempDir())
	target := s.target(t)
	target.giveUp = 0
	for try := 0; ; try++ {
		turns := 0
		s.mu.Lock()
		s.refuse = func(w http.ResponseWriter, _ []byte) bool {
			if turns++; turns > 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		s.mu.Unlock()
		err := load(t.Context(), o, target, []string{dir})
		if err != nil && strings.Contains(err.Error(), "1 lines were rejected") {
			break
		}
		if err == nil || !strings.Contains(err.Error(), "the same command again") {
			t.Fatalf("it ends with %v", err)
		}
		if try > 20 {
			t.Fatal("it does not get on")
		}
	}
	if got := s.names(); len(got) != 50 {
		t.Errorf("%d are stored", len(got))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range s.versions {
		if n != 1 {
			t.Errorf("%s has %d versions", name, n)
		}
	}
	if got := readLines(t, o.rejects); !slices.Equal(got, []string{"{"}) {
		t.Errorf("rejected is %q", got)
	}
}

func TestLoadRefused(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	dir := tree(t, map[string]string{"a.ndjson": patientLine("1"), "notes.txt": "x"})
	o := options(t.TempDir())
	o.rejects = filepath.Join(dir, "a.ndjson")
	if err := load(t.Context(), o, s.target(t), []string{dir}); err == nil || !strings.Contains(err.Error(), "is loaded itself") {
		t.Errorf("a source is written over: %v", err)
	}
	if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{t.TempDir()}); err == nil || !strings.Contains(err.Error(), "nothing to load") {
		t.Errorf("of an empty directory: %v", err)
	}
	if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{"/nowhere"}); err == nil {
		t.Error("of no file at all nothing is said")
	}
	s.refuse = func(w http.ResponseWriter, _ []byte) bool { w.WriteHeader(http.StatusForbidden); return true }
	if err := load(t.Context(), options(t.TempDir()), s.target(t), []string{dir}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without a right: %v", err)
	}
	o = options(t.TempDir())
	o.state = filepath.Join(t.TempDir(), "state")
	_ = load(t.Context(), o, s.target(t), []string{dir})
	if err := os.WriteFile(filepath.Join(dir, "a.ndjson"), []byte(patientLine("22")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(t.Context(), o, s.target(t), []string{dir}); err == nil || !strings.Contains(err.Error(), "has changed") {
		t.Errorf("of a file that has changed: %v", err)
	}
	for _, wrong := range []loadOptions{{batch: 0, jobs: 1, ids: "server", missing: "fail"}, {batch: 1, jobs: 0, ids: "server", missing: "fail"}, {batch: 1, jobs: 1, ids: "x", missing: "fail"}, {batch: 1, jobs: 1, ids: "server", missing: "x"}} {
		if wrong.check() == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// TestLoadWeb: addresses are loaded, one by one or by the manifest of an export, also
// when connections break.
func TestLoadWeb(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintln(&text, patientLine(fmt.Sprint(i)))
	}
	var mu sync.Mutex
	broken := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/manifest":
			fmt.Fprintf(w, `{"transactionTime":"2026-01-01T00:00:00Z","requiresAccessToken":true,"output":[{"type":"Patient","url":"http://%s/files/1"}],"error":[]}`, r.Host)
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case broken < 3:
			broken++
			w.Header().Set("Content-Length", fmt.Sprint(text.Len()))
			_, _ = w.Write([]byte(text.String()[:broken*10_000]))
			panic(http.ErrAbortHandler)
		default:
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text.String()))
		}
	}))
	defer web.Close()
	o := options(t.TempDir())
	o.batch, o.sourceToken = 500, "secret"
	if err := load(t.Context(), o, s.target(t), []string{web.URL + "/manifest"}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if got := len(s.names()); got != 5000 || broken != 3 {
		t.Errorf("%d are stored over %d broken connections", got, broken)
	}
	mu.Unlock()
	o = options(t.TempDir())
	if err := load(t.Context(), o, s.target(t), []string{web.URL + "/files/1"}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
}

func TestLoadStubs(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[
	{"resource":{"resourceType":"Location"},"request":{"method":"POST","url":"Location","ifNoneExist" : "identifier=urn:l|3"}},
	{"resource":{"resourceType":"Encounter","participant":[{"individual":{"reference": "Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|1"}}],
	"serviceProvider":{"reference":"Organization?identifier=urn:o%7C2"},"location":[{"location":{"reference":"Location?identifier=urn:l|3"}}]},"request":{"method":"POST","url":"Encounter"}}]}`
	o := options(t.TempDir())
	o.missing = "create-stub"
	if err := load(t.Context(), o, s.target(t), []string{tree(t, map[string]string{"a.json": bundle})}); err != nil {
		t.Fatal(err)
	}
	if len(s.bodies) != 2 {
		t.Fatalf("%d requests", len(s.bodies))
	}
	var made sentBundle
	if err := json.Unmarshal(s.bodies[0], &made); err != nil || len(made.Entry) != 2 {
		t.Fatalf("first is sent %s, %v", s.bodies[0], err)
	}
	if got := made.Entry[0].Request.IfNoneExist; got != "identifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C1" {
		t.Errorf("the first is made if there is none of %s", got)
	}
	if got := string(made.Entry[1].Resource); got != `{"resourceType":"Organization","meta":{"tag":[{"system":"https://fhir.openconsult.example/CodeSystem/load","code":"stub"}]},"identifier":[{"system":"urn:o","value":"2"}]}` {
		t.Errorf("the second is %s", got)
	}
	if string(s.bodies[1]) != bundle {
		t.Error("the Bundle is not sent as it is")
	}
}

func TestAsHistory(t *testing.T) {
	t.Parallel()
	const extension = `{"url":"` + originalUpdatedURL + `","valueInstant":"2024-01-01T00:00:00Z"}`
	for given, want := range map[string]string{
		`{"resourceType":"Patient","id":"1"}`:                                                                               ``,
		`{"resourceType":"Patient","id":"1","meta":{"versionId":"1"}}`:                                                      ``,
		`{"resourceType":"Patient","id":"1","meta":{}}`:                                                                     ``,
		`{"resourceType":"Patient","id":"1","meta":{"extension":[` + extension + `],"lastUpdated":"2025-01-01T00:00:00Z"}}`: ``,
		`{"resourceType":"Patient","meta":{"lastUpdated":"2024-01-01T00:00:00Z"},"id":"1"}`:                                 `{"resourceType":"Patient","meta":{"extension":[` + extension + `],"lastUpdated":"2024-01-01T00:00:00Z"},"id":"1"}`,
		`{"meta" : { "lastUpdated":"2024-01-01T00:00:00Z", "extension": [ {"url":"u"}]},"resourceType":"Patient"}`:          `{"meta" : { "lastUpdated":"2024-01-01T00:00:00Z", "extension": [` + extension + `, {"url":"u"}]},"resourceType":"Patient"}`,
	} {
		found, err := newSight().see([]byte(given))
		if err != nil {
			t.Fatal(err)
		}
		got, err := asHistory([]byte(given), found.meta)
		if want == "" {
			want = given
		}
		if err != nil || string(got) != want {
			t.Errorf("%s\nbecomes %s, %v\nwant    %s", given, got, err, want)
		}
	}
}

func TestLoadHistory(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	o := options(t.TempDir())
	o.history = true
	text := `{"resourceType":"Communication","id":"1","meta":{"lastUpdated":"2024-01-01T00:00:00Z"}}` + "\n" + `{"resourceType":"Patient"}`
	if err := load(t.Context(), o, s.target(t), []string{tree(t, map[string]string{"a.ndjson": text})}); err == nil || !strings.Contains(err.Error(), "1 lines") {
		t.Errorf("it ends with %v", err)
	}
	if !strings.Contains(s.stored["Communication/1"], originalUpdatedURL) || s.requests[0].Header.Get("X-History") != "true" {
		t.Errorf("stored is %s by a request with %v", s.stored["Communication/1"], s.requests[0].Header)
	}
}

func FuzzSee(f *testing.F) {
	for _, seed := range []string{`{"resourceType":"Patient","id":"1"}`, `{"meta":{"lastUpdated":"x","extension":[]},"resourceType":"A"}`, `{"resourceType":"Bundle","type":"batch"}`, `{"a":[`, "{\"id\":\"\\ud800\"}", `{} {}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		found, err := newSight().see(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("%q is taken for JSON", raw)
		}
		out, err := asHistory(raw, found.meta)
		if err == nil && !json.Valid(out) {
			t.Fatalf("%q becomes %q", raw, out)
		}
		if made := withID(raw, found.typeEnd, "x"); !json.Valid(made) {
			t.Fatalf("%q becomes %q", raw, made)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	resource := []byte(`{"resourceType":"Communication","id":"1","payload":[{"contentString":"` + strings.Repeat("It hurts. ", 150) + `"}]}`)
	s := newSight()
	b.SetBytes(int64(len(resource)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.see(resource); err != nil {
			b.Fatal(err)
		}
	}
}
