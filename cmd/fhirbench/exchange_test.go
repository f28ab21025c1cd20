package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// exchangeServer is the foreign side of the workloads that compare: it keeps resources in memory, tells of them in a feed and
// to subscribers, and exports them. It can be made to do wrong.
type exchangeServer struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next write; guarded by mu
	log     []logged      // guarded by mu
	bodies  map[string][]byte
	counts  map[string]int
	entries map[string]int // of Bundles, by what they name: urn or other
	hooked  sync.WaitGroup

	loses, doubles, mute, refuses bool
}

type logged struct {
	key    string
	number int
	at     time.Time
}

func newExchangeServer(t *testing.T) (*exchangeServer, string) {
	t.Helper()
	s := &exchangeServer{changed: make(chan struct{}), bodies: map[string][]byte{}, counts: map[string]int{}, entries: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fhir", s.bundle)
	mux.HandleFunc("POST /fhir/{type}", s.one)
	mux.HandleFunc("PUT /fhir/{type}/{id}", s.one)
	mux.HandleFunc("GET /fhir/{type}/{id}", s.read)
	mux.HandleFunc("GET /fhir/Subscription", s.find)
	mux.HandleFunc("DELETE /fhir/{type}/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /fhir/$changes", s.changes)
	mux.HandleFunc("GET /fhir/$export", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Location", "http://"+r.Host+"/job/1")
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /job/{n}", s.job)
	mux.HandleFunc("GET /file/{type}", s.file)
	h := httptest.NewServer(mux)
	t.Cleanup(func() { h.Close(); s.hooked.Wait() })
	return s, h.URL + "/fhir"
}

// store writes a version. The caller holds mu.
func (s *exchangeServer) store(typeName, id string, body []byte) logged {
	if id == "" {
		id = strconv.Itoa(len(s.log) + 1)
	}
	key := typeName + "/" + id
	s.counts[key]++
	l := logged{key, s.counts[key], time.Now().UTC()}
	s.log, s.bodies[key] = append(s.log, l), body
	close(s.changed)
	s.changed = make(chan struct{})
	s.deliver(key, body)
	return l
}

// deliver tells the subscriber that a Task's owner has. The caller holds mu.
func (s *exchangeServer) deliver(key string, body []byte) {
	var written struct{ Owner reference }
	if s.mute || !strings.HasPrefix(key, "Task/") || json.Unmarshal(body, &written) != nil {
		return
	}
	for of, text := range s.bodies {
		var sub subscription
		if !strings.HasPrefix(of, "Subscription/") || json.Unmarshal(text, &sub) != nil ||
			sub.Status != "active" || sub.Criteria != "Task?owner="+written.Owner.Reference || sub.Criteria == "Task?owner="+deadOwner {
			continue
		}
		s.hooked.Go(func() {
			r, err := http.NewRequest(http.MethodPut, sub.Channel.Endpoint+"/"+key, bytes.NewReader(body))
			if err != nil {
				return
			}
			if resp, err := http.DefaultClient.Do(r); err == nil {
				resp.Body.Close()
			}
		})
	}
}

func (s *exchangeServer) one(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.PathValue("type") == "Subscription" {
		body = bytes.Replace(body, []byte(`"requested"`), []byte(`"active"`), 1)
	}
	l := s.store(r.PathValue("type"), r.PathValue("id"), body)
	w.Header().Set("ETag", fmt.Sprintf(`W/"%d"`, l.number))
	if r.Method == http.MethodPost {
		w.Header().Set("Location", fmt.Sprintf("http://%s/fhir/%s/_history/%d", r.Host, l.key, l.number))
		w.WriteHeader(http.StatusCreated)
	}
}

func (s *exchangeServer) read(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, known := s.bodies[r.PathValue("type")+"/"+r.PathValue("id")]
	if !known {
		w.WriteHeader(http.StatusNotFound)
	}
	w.Write(body)
}

// find answers a search by _id.
func (s *exchangeServer) find(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []string
	for id := range strings.SplitSeq(r.FormValue("_id"), ",") {
		if body, known := s.bodies["Subscription/"+id]; known {
			entries = append(entries, `{"resource":`+string(body)+"}")
		}
	}
	fmt.Fprintf(w, `{"resourceType":"Bundle","entry":[%s]}`, strings.Join(entries, ","))
}

func (s *exchangeServer) bundle(w http.ResponseWriter, r *http.Request) {
	var b bundle
	if json.NewDecoder(r.Body).Decode(&b) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string]bool{}
	for _, e := range b.Entry {
		names[e.FullURL] = true
	}
	io.WriteString(w, `{"resourceType":"Bundle","type":"transaction-response","entry":[`)
	for i, e := range b.Entry {
		typeName, id, _ := strings.Cut(e.Request.URL, "/")
		s.entries[s.names(e, names)]++
		s.store(typeName, id, e.Resource)
		status := "201 Created"
		if s.refuses && i == 7 {
			status = "422"
		}
		fmt.Fprintf(w, `%s{"response":{"status":%q}}`, strings.Repeat(",", min(i, 1)), status)
	}
	io.WriteString(w, "]}")
}

// names says whether an entry names another one of its Bundle.
func (s *exchangeServer) names(e bundleEntry, names map[string]bool) string {
	for part := range strings.SplitSeq(string(e.Resource), `"`) {
		if strings.HasPrefix(part, "urn:uuid:") {
			if !names[part] {
				return "dangling"
			}
			return "urn"
		}
	}
	return "other"
}

// changes answers at most 50 entries after the cursor, and waits for one when it is asked to.
func (s *exchangeServer) changes(w http.ResponseWriter, r *http.Request) {
	cursor, _ := strconv.Atoi(r.FormValue("cursor"))
	s.mu.Lock()
	if cursor == len(s.log) && r.Header.Get("Prefer") != "" {
		changed := s.changed
		s.mu.Unlock()
		<-changed
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	end := min(cursor+50, len(s.log))
	fmt.Fprintf(w, `{"resourceType":"Bundle","type":"history","link":[{"relation":"self","url":"x"},{"relation":"next","url":"http://%s/fhir/$changes?cursor=%d"}]`, r.Host, end)
	entries := []string{}
	for i, l := range s.log[cursor:end] {
		one := fmt.Sprintf(`{"fullUrl":"http://%s/fhir/%s","resource":%s,"response":{"status":"200","etag":"W/\"%d\"","lastModified":%q}}`,
			r.Host, l.key, `{"resourceType":"Basic","extension":[{"url":"\"fullUrl\":\"x\""}]}`, l.number, l.at.Format(time.RFC3339Nano))
		at := cursor + i
		if s.loses && at%40 == 39 {
			continue
		}
		if entries = append(entries, one); s.doubles && at%40 == 39 {
			entries = append(entries, one)
		}
	}
	if len(entries) > 0 {
		fmt.Fprintf(w, `,"entry":[%s]`, strings.Join(entries, ","))
	}
	io.WriteString(w, "}")
}

// job is done at the second time of asking.
func (s *exchangeServer) job(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("n") == "1" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.counts["job"]++; s.counts["job"]%2 == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusAccepted)
			return
		}
	}
	claimed := 3
	if s.loses {
		claimed = 4
	}
	fmt.Fprintf(w, `{"output":[{"type":"Patient","url":"http://%[1]s/file/Patient","count":%[2]d},{"type":"Task","url":"http://%[1]s/file/Task"}],"error":[]}`, r.Host, claimed)
}

func (s *exchangeServer) file(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept-Encoding") != "" {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	io.WriteString(w, "{}\n{}\n{}"+map[string]string{"Patient": "\n"}[r.PathValue("type")])
}

// compareRun runs a workload as a person would and returns its report.
func compareRun(t *testing.T, want int, args ...string) (comparison, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), append(args, "-json"), &stdout, &stderr); got != want {
		t.Fatalf("exit status %d, want %d; it said: %s%s", got, want, stdout.String(), stderr.String())
	}
	var r comparison
	if stdout.Len() > 0 {
		decode(t, stdout.Bytes(), &r)
	}
	return r, stderr.String()
}

func (r *comparison) counted(name string) int64 {
	for _, c := range r.Counts {
		if c.Name == name {
			return c.N
		}
	}
	return -1
}

func TestTransactionWorkload(t *testing.T) {
	t.Parallel()
	s, base := newExchangeServer(t)
	r, _ := compareRun(t, exitOK, "-base", base, "-workload", "transaction", "-n", "200", "-bundle", "50", "-people", "4", "-c", "2", "-rounds", "3")
	for _, name := range []string{"Bundles of 50", waySingles} {
		if w := r.wayNamed(name); len(w.Rounds) != 3 || w.Rounds[2].Resources != 200 || w.PerSecond <= 0 || w.Rounds[0].Bytes < 200_000 {
			t.Errorf("%s: %+v; want 3 rounds of 200 resources", name, w)
		}
	}
	if len(r.Ratios) != 1 || r.Ratios[0].Wanted != 3 || r.Ratios[0].Low > r.Ratios[0].Median || r.Ratios[0].Median > r.Ratios[0].High {
		t.Errorf("ratios %+v, want one", r.Ratios)
	}
	if s.entries["urn"] != s.entries["other"] || s.entries["urn"] == 0 || s.entries["dangling"] > 0 {
		t.Errorf("entries %v: half must name another one of their Bundle", s.entries)
	}
}

func TestTransactionWorkloadSeesRefusedEntries(t *testing.T) {
	t.Parallel()
	s, base := newExchangeServer(t)
	s.refuses = true
	_, said := compareRun(t, exitUnexpected, "-base", base, "-workload", "transaction", "-n", "100", "-people", "2", "-c", "1")
	if want := "transaction: 99 of 100 entries were created"; !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q in it", said, want)
	}
}

func TestLoadWorkload(t *testing.T) {
	t.Parallel()
	s, base := newExchangeServer(t)
	r, _ := compareRun(t, exitOK, "-base", base, "-workload", "load", "-n", "200", "-bundle", "30", "-rounds", "2")
	if w := r.wayNamed(wayLoad); len(w.Rounds) != 2 || w.Rounds[0].Resources != 180 {
		t.Errorf("%+v; want 2 rounds of 180 resources", w)
	}
	if want := corpusForms + 100 + 2*180; len(s.log) != want || len(s.bodies) != want {
		t.Errorf("%d versions of %d resources, want %d of as many", len(s.log), len(s.bodies), want)
	}
}

func TestLoadWorkloadRunsACommand(t *testing.T) {
	t.Parallel()
	_, base := newExchangeServer(t)
	args := []string{"-base", base, "-workload", "load", "-n", "100", "-rounds", "1", "-load-command"}
	// It says that it has loaded everything, but has not.
	_, said := compareRun(t, exitUnexpected, append(args, `test "$(wc -l <"$FILE")" = 100`)...)
	if want := "was loaded, but to read it answers 404"; !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q in it", said, want)
	}
	_, said = compareRun(t, exitUnexpected, append(args, "echo broken; exit 3")...)
	if want := "exit status 3: broken"; !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q in it", said, want)
	}
}

func TestExportWorkload(t *testing.T) {
	t.Parallel()
	s, base := newExchangeServer(t)
	r, _ := compareRun(t, exitOK, "-base", base, "-workload", "export", "-rounds", "2")
	if w := r.wayNamed(wayExport); len(w.Rounds) != 2 || w.Rounds[1].Resources != 6 || w.Rounds[1].Bytes != 9+8 {
		t.Errorf("%+v; want 2 rounds of 6 resources in 17 bytes", w)
	}
	s.loses = true
	_, said := compareRun(t, exitUnexpected, "-base", base, "-workload", "export")
	if want := "file of Patient: 3 lines, the manifest says 4"; !strings.Contains(said, want) {
		t.Errorf("it said %q, want %q in it", said, want)
	}
}

func TestFeedWorkload(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*exchangeServer)
		exit   int
		wrong  string
	}{
		"exact":   {func(*exchangeServer) {}, exitOK, ""},
		"loses":   {func(s *exchangeServer) { s.loses = true }, exitUnexpected, "missed"},
		"doubles": {func(s *exchangeServer) { s.doubles = true }, exitUnexpected, "doubled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, base := newExchangeServer(t)
			test.change(s)
			r, _ := compareRun(t, test.exit, "-base", base, "-workload", "feed", "-n", "300", "-c", "4", "-followers", "3", "-set", "10", "-people", "3")
			if got := r.counted("versions written"); got != 300 {
				t.Errorf("%d versions, want 300", got)
			}
			for _, what := range []string{"missed", "doubled", "out of order"} {
				if got := r.counted(what); got < 0 || (got > 0) != (what == test.wrong) {
					t.Errorf("%s: %d", what, got)
				}
			}
			if test.wrong == "" && r.Lags[0].Count != 3*300 {
				t.Errorf("%d lags, want 900", r.Lags[0].Count)
			}
		})
	}
}

func TestSubscriptionsWorkload(t *testing.T) {
	t.Parallel()
	_, base := newExchangeServer(t)
	args := []string{"-base", base, "-workload", "subscriptions", "-n", "400", "-subscriptions", "5", "-people", "0", "-rounds", "2", "-listen", "127.0.0.1:0", "-listen-dead", "127.0.0.1:0"}
	r, _ := compareRun(t, exitOK, args...)
	if len(r.Ways) != 3 || len(r.Ratios) != 2 || len(r.Lags) != 2 {
		t.Fatalf("%+v: want three ways, two ratios and two lags", r)
	}
	for _, l := range r.Lags {
		if l.Count != 2*4 {
			t.Errorf("%s: %d deliveries, want 8", l.Name, l.Count)
		}
	}
	if got := r.counted("not delivered"); got != 0 {
		t.Errorf("%d were not delivered", got)
	}
}

func TestSubjectOfADelivery(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, body, want string }{
		{"/hook/1/Task/2", "", "Task/2"},
		{"/hook/1", `{"resourceType":"Task","id":"3"}`, "Task/3"},
		{"/hook/1", "", ""},
		{"/hook/1", `{"resourceType":"Bundle","id":"3"}`, ""},
	} {
		if got := subjectOf(test.path, []byte(test.body)); got != test.want {
			t.Errorf("%s with %s is about %q, want %q", test.path, test.body, got, test.want)
		}
	}
}
