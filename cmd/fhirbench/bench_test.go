package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fhirServer is the foreign side: it keeps resources in memory, and counts what it is asked.
type fhirServer struct {
	mu       sync.Mutex
	versions map[string][]string
	gone     map[string]bool
	asked    map[string]int
	problems []string
	// token is what every request must bear.
	token string
	// bodyOnly leaves out Location and ETag.
	bodyOnly bool
}

func newFHIRServer(t *testing.T) (*fhirServer, string) {
	t.Helper()
	s := &fhirServer{versions: map[string][]string{}, gone: map[string]bool{}, asked: map[string]int{}}
	h := httptest.NewServer(s.routes())
	t.Cleanup(h.Close)
	return s, h.URL + "/fhir"
}

func (s *fhirServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fhir/{type}", s.create)
	mux.HandleFunc("GET /fhir/{type}/{id}", s.read)
	mux.HandleFunc("GET /fhir/{type}/{id}/_history/{version}", s.vread)
	mux.HandleFunc("PUT /fhir/{type}/{id}", s.update)
	mux.HandleFunc("DELETE /fhir/{type}/{id}", s.remove)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.token != "" && r.Header.Get("Authorization") != "Bearer "+s.token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *fhirServer) create(w http.ResponseWriter, r *http.Request) {
	s.asked["create "+r.PathValue("type")]++
	s.write(w, r, r.PathValue("type")+"/"+strconv.Itoa(len(s.versions)+1), http.StatusCreated)
}

func (s *fhirServer) update(w http.ResponseWriter, r *http.Request) {
	s.asked["update"]++
	key := r.PathValue("type") + "/" + r.PathValue("id")
	if r.PathValue("type") != "Questionnaire" && (len(s.versions[key]) == 0 || s.gone[key]) {
		s.problems = append(s.problems, "update of "+key+", which is not there")
	}
	s.write(w, r, key, http.StatusOK)
}

func (s *fhirServer) write(w http.ResponseWriter, r *http.Request, key string, status int) {
	body, err := io.ReadAll(r.Body)
	var resource struct{ ResourceType, ID string }
	if err != nil || json.Unmarshal(body, &resource) != nil || resource.ResourceType != r.PathValue("type") {
		s.problems = append(s.problems, key+": body is not such a resource: "+string(body))
	}
	if r.Method == http.MethodPut && resource.ID != r.PathValue("id") {
		s.problems = append(s.problems, key+": body has the id "+resource.ID)
	}
	for _, before := range s.versions[key] {
		if before == string(body) {
			s.problems = append(s.problems, key+": update without a change")
		}
	}
	s.versions[key] = append(s.versions[key], string(body))
	version := len(s.versions[key])
	if !s.bodyOnly {
		w.Header().Set("Location", fmt.Sprintf("http://%s/fhir/%s/_history/%d", r.Host, key, version))
		w.Header().Set("ETag", fmt.Sprintf(`W/"%d"`, version))
	}
	w.WriteHeader(status)
	_, id, _ := strings.Cut(key, "/")
	fmt.Fprintf(w, `{"resourceType":%q,"id":%q,"meta":{"versionId":"%d"}}`, r.PathValue("type"), id, version)
}

func (s *fhirServer) read(w http.ResponseWriter, r *http.Request) {
	s.asked["read"]++
	key := r.PathValue("type") + "/" + r.PathValue("id")
	switch versions := s.versions[key]; {
	case s.gone[key]:
		w.WriteHeader(http.StatusGone)
	case len(versions) == 0:
		w.WriteHeader(http.StatusNotFound)
	default:
		io.WriteString(w, versions[len(versions)-1])
	}
}

func (s *fhirServer) vread(w http.ResponseWriter, r *http.Request) {
	s.asked["vread"]++
	version, err := strconv.Atoi(r.PathValue("version"))
	versions := s.versions[r.PathValue("type")+"/"+r.PathValue("id")]
	if err != nil || version < 1 || version > len(versions) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	io.WriteString(w, versions[version-1])
}

func (s *fhirServer) remove(w http.ResponseWriter, r *http.Request) {
	s.asked["delete"]++
	key := r.PathValue("type") + "/" + r.PathValue("id")
	if len(s.versions[key]) == 0 || s.gone[key] {
		s.problems = append(s.problems, "delete of "+key+", which is not there")
	}
	s.gone[key] = true
	w.WriteHeader(http.StatusNoContent)
}

// measure runs the command as a person would and returns its report.
func measure(t *testing.T, want int, args ...string) report {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), append(args, "-json"), &stdout, &stderr); got != want {
		t.Fatalf("exit status %d, want %d; it said: %s%s", got, want, stdout.String(), stderr.String())
	}
	var r report
	decode(t, stdout.Bytes(), &r)
	return r
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	// Besides the measured requests, 1 Organization, 8 Practitioners and -people Patients and Tasks are made.
	tests := map[string]struct {
		args  string
		asked map[string]int
	}{
		"create": {"-workload create", map[string]int{"create Communication": 200, "create Task": 10, "create Patient": 10}},
		"read":   {"-workload read", map[string]int{"create Communication": 50, "read": 200}},
		"vread":  {"-workload vread", map[string]int{"create Communication": 50, "vread": 200}},
		"update": {"-workload update", map[string]int{"create Communication": 50, "update": 200}},
		"tasks":  {"-workload update -type Task", map[string]int{"create Task": 50, "create Patient": 10, "update": 200}},
		"forms": {"-workload create -type QuestionnaireResponse",
			map[string]int{"create QuestionnaireResponse": 200, "update": 1, "create Task": 0}},
		"absent practice": {"-workload create -people 0",
			map[string]int{"create Communication": 200, "create Organization": 0, "create Patient": 0}},
		"open loop": {"-workload read -rate 20000", map[string]int{"read": 200}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, base := newFHIRServer(t)
			args := append([]string{"-base", base, "-n", "200", "-set", "50", "-people", "10", "-c", "4"}, strings.Fields(test.args)...)
			r := measure(t, exitOK, args...)
			if r.Requests != 200 || r.Succeeded != 200 {
				t.Errorf("%d requests, %d succeeded; want 200, 200", r.Requests, r.Succeeded)
			}
			for what, want := range test.asked {
				if got := server.asked[what]; got != want {
					t.Errorf("%s: %d requests, want %d", what, got, want)
				}
			}
			if len(server.problems) > 0 {
				t.Errorf("the server saw %d problems, such as: %s", len(server.problems), server.problems[0])
			}
		})
	}
}

func TestMixedWorkloadOfAllTypes(t *testing.T) {
	t.Parallel()
	server, base := newFHIRServer(t)
	r := measure(t, exitOK, "-base", base, "-workload", "mixed", "-type", "all", "-n", "2000", "-set", "20", "-people", "5")
	if len(server.problems) > 0 {
		t.Errorf("the server saw %d problems, such as: %s", len(server.problems), server.problems[0])
	}
	for name, percent := range map[string]uint64{"read": 50, "create": 25, "update": 20, "delete": 5} {
		want := r.Requests * percent / 100
		if got := r.Operations[name].Succeeded; got < want*7/10 || got > want*13/10 {
			t.Errorf("%d of %s, want about %d", got, name, want)
		}
	}
	for _, s := range typeShares {
		if server.asked["create "+s.name] < 20 {
			t.Errorf("only %d of %s were made", server.asked["create "+s.name], s.name)
		}
	}
}

func TestIDsFromTheBody(t *testing.T) {
	t.Parallel()
	server, base := newFHIRServer(t)
	server.bodyOnly = true
	for _, workload := range []string{"vread", "mixed"} {
		measure(t, exitOK, "-base", base, "-workload", workload, "-n", "100", "-set", "10", "-people", "3")
	}
	if len(server.problems) > 0 {
		t.Errorf("the server saw %d problems, such as: %s", len(server.problems), server.problems[0])
	}
}

func TestUnexpectedStatus(t *testing.T) {
	t.Parallel()
	server, base := newFHIRServer(t)
	server.token = "right"
	args := []string{"-base", base, "-n", "20", "-people", "0"}
	r := measure(t, exitUnexpected, append(args, "-token", "wrong")...)
	if r.Statuses["401"] != 20 || r.Succeeded != 0 || r.PerSecond != 0 || r.Latency != (latency{}) {
		t.Errorf("%+v: want 20 of 401 and no latency", r)
	}
	r = measure(t, exitOK, append(args, "-token", "right")...)
	if r.Statuses["201"] != 20 || r.Succeeded != 20 {
		t.Errorf("%+v: want 20 of 201", r)
	}
}

func TestPreparationIsRefused(t *testing.T) {
	t.Parallel()
	server, base := newFHIRServer(t)
	server.token = "right"
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), []string{"-base", base, "-workload", "read"}, &stdout, &stderr); got != exitUnexpected {
		t.Errorf("exit status %d, want %d", got, exitUnexpected)
	}
	if want := "make the practice: create Organization: status 401"; !strings.Contains(stderr.String(), want) {
		t.Errorf("it said %q, want %q in it", stderr.String(), want)
	}
}

func TestTransportErrors(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	hasty := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(hasty.Close)
	for class, base := range map[string]string{"refused": "http://127.0.0.1:1", "timeout": silent.URL, "closed": hasty.URL} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			r := measure(t, exitUnexpected, "-base", base, "-n", "3", "-c", "1", "-people", "0", "-timeout", "200ms")
			if r.Errors[class] != 3 || r.Requests != 3 {
				t.Errorf("%d requests, errors %v; want 3 of %s", r.Requests, r.Errors, class)
			}
		})
	}
}

func TestInterruptedRunReports(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if asked == 10 {
			cancel()
		}
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(server.Close)
	var stdout, stderr bytes.Buffer
	args := []string{"-base", server.URL, "-d", "1h", "-c", "1", "-people", "0"}
	if got := run(ctx, args, &stdout, &stderr); got != exitInterrupted {
		t.Errorf("exit status %d, want %d; it said %s", got, exitInterrupted, stderr.String())
	}
	for _, want := range []string{"interrupted", "201 × ", "errors: none"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, stdout.String())
		}
	}
}
