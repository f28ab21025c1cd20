package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// A vault is a server that exports what the tests tell it.
type vault struct {
	*httptest.Server
	mu      sync.Mutex
	files   map[string]string
	ready   int // looks at the status until the files are
	looks   int
	begun   int
	fetched map[string]int
	breaks  map[string]int // connections that break off, by file
	deleted bool
	gone    bool // the job is not known any more
}

func newVault(t *testing.T) *vault {
	v := &vault{fetched: map[string]int{}, breaks: map[string]int{}, ready: 1}
	v.files = map[string]string{"p1": patientLine("1") + "\n" + patientLine("2") + "\n", "p2": patientLine("3") + "\n", "t1": `{"resourceType":"Task","id":"1"}` + "\n", "e1": "{}\n"}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

// ServeHTTP serves the asynchronous pattern under a public name that is not its address.
func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const public = "https://fhir.example.org/fhir"
	v.mu.Lock()
	defer v.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/fhir/")
	switch {
	case r.Header.Get("Authorization") != "Bearer secret":
		w.WriteHeader(http.StatusUnauthorized)
	case strings.HasSuffix(name, "$export"):
		v.begun, v.looks, v.gone = v.begun+1, 0, false
		if r.Header.Get("Prefer") != "respond-async" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Location", public+"/$bulk/1")
		w.WriteHeader(http.StatusAccepted)
	case name == "$bulk/1" && r.Method == http.MethodDelete:
		v.deleted = true
		w.WriteHeader(http.StatusAccepted)
	case v.gone:
		w.WriteHeader(http.StatusNotFound)
	case name == "$bulk/1" && v.looks < v.ready:
		v.looks++
		w.Header().Set("X-Progress", "1 of 3 types")
		w.WriteHeader(http.StatusAccepted)
	case name == "$bulk/1":
		fmt.Fprintf(w, `{"transactionTime":"2026-01-01T00:00:00Z","request":"x","requiresAccessToken":true,"output":[{"type":"Patient","url":"%[1]s/$bulk/1/p1","count":2},
			{"type":"Patient","url":"%[1]s/$bulk/1/p2","count":1},{"type":"Task","url":"%[1]s/$bulk/1/t1","count":1}],"error":[]}`, public)
	default:
		file := strings.TrimPrefix(name, "$bulk/1/")
		v.fetched[file]++
		if v.breaks[file] > 0 {
			v.breaks[file]--
			_, _ = w.Write([]byte(v.files[file][:10]))
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(v.files[file]))
	}
}

func (v *vault) target(t *testing.T) *target {
	t.Helper()
	base, err := url.Parse(v.URL + "/fhir")
	if err != nil {
		t.Fatal(err)
	}
	return &target{base: base, client: v.Client(), tokens: &tokens{fixed: "secret"}, giveUp: time.Minute}
}

func quietExport() *exportOptions { return &exportOptions{jobs: 1, out: io.Discard, log: io.Discard} }

func TestExport(t *testing.T) {
	t.Parallel()
	v, dir := newVault(t), filepath.Join(t.TempDir(), "out")
	v.breaks["p1"] = 2
	o := quietExport()
	o.types, o.since, o.typeFilters = []string{"Patient", "Task"}, "2026-01-01T00:00:00Z", []string{"Task?status=completed"}
	var said strings.Builder
	o.out = &said
	if err := export(t.Context(), o, v.target(t), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Patient.000.ndjson": v.files["p1"], "Patient.001.ndjson": v.files["p2"], "Task.000.ndjson": v.files["t1"]} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 4 {
		t.Errorf("the directory holds %v, %v", left, err)
	}
	if m := strings.Join(readLines(t, filepath.Join(dir, manifestName)), " "); !strings.Contains(m, `"url": "Patient.001.ndjson"`) {
		t.Errorf("the manifest is %s", m)
	}
	if want := "Patient\t3\nTask\t1\nexported\t4\nas of\t2026-01-01T00:00:00Z\n"; said.String() != want || !v.deleted || v.fetched["p1"] != 3 {
		t.Errorf("it says %q, deleted is %t, fetched %v", said.String(), v.deleted, v.fetched)
	}
	if got, want := o.kickOff(v.target(t)), v.URL+"/fhir/$export?_outputFormat=application%2Ffhir%2Bndjson&_since=2026-01-01T00%3A00%3A00Z&_type=Patient%2CTask&_typeFilter=Task%3Fstatus%3Dcompleted"; got != want {
		t.Errorf("it asks for %s, want %s", got, want)
	}
	if err := export(t.Context(), o, v.target(t), dir); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("into the same directory: %v", err)
	}
	if err := load(t.Context(), options(t.TempDir()), newShelf(t).target(t), []string{dir}); err != nil {
		t.Errorf("it is not loaded: %v", err)
	}
}

// TestExportResumes: what is there is not fetched again, unless the server has forgotten
// what it was part of.
func TestExportResumes(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		v, dir := newVault(t), t.TempDir()
		v.breaks["t1"] = 100
		if err := export(t.Context(), quietExport(), v.target(t), dir); err == nil || !strings.Contains(err.Error(), "Task.000.ndjson") {
			t.Fatalf("with a file that does not arrive: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, manifestName)); err == nil {
			t.Error("there is a manifest of what is not whole")
		}
		other := quietExport()
		other.of = "Group/1"
		if err := export(t.Context(), other, v.target(t), dir); err == nil || !strings.Contains(err.Error(), "something else") {
			t.Errorf("of something else: %v", err)
		}
		v.mu.Lock()
		v.gone, v.breaks["t1"] = gone, 0
		v.mu.Unlock()
		if err := export(t.Context(), quietExport(), v.target(t), dir); err != nil {
			t.Fatal(err)
		}
		if wantBegun, wantFetched := map[bool]int{false: 1, true: 2}[gone], map[bool]int{false: 1, true: 2}[gone]; v.begun != wantBegun || v.fetched["p1"] != wantFetched {
			t.Errorf("gone %t: begun %d times, fetched %v", gone, v.begun, v.fetched)
		}
	}
}

func TestExportPacked(t *testing.T) {
	t.Parallel()
	v, dir, o := newVault(t), t.TempDir(), quietExport()
	o.packed, o.keep = true, true
	if err := export(t.Context(), o, v.target(t), dir); err != nil || v.deleted {
		t.Fatal(err, v.deleted)
	}
	f, err := os.Open(filepath.Join(dir, "Patient.000.ndjson.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != v.files["p1"] {
		t.Errorf("%q, %v", text, err)
	}
}

// TestExportCounts: a file with other than as many lines as the manifest says is not kept.
func TestExportCounts(t *testing.T) {
	t.Parallel()
	v, dir := newVault(t), t.TempDir()
	v.files["p2"] = ""
	if err := export(t.Context(), quietExport(), v.target(t), dir); err == nil || !strings.Contains(err.Error(), "0 lines, and the manifest says 1") {
		t.Errorf("it ends with %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "Patient.001.ndjson")); err == nil {
		t.Error("the file is kept")
	}
}

func TestExportRefused(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	target := v.target(t)
	target.tokens = &tokens{}
	if err := export(t.Context(), quietExport(), target, t.TempDir()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a token: %v", err)
	}
}

func TestSafeName(t *testing.T) {
	t.Parallel()
	m := &manifest{Output: []manifestFile{{Type: "../etc/Patient"}, {Type: "Patient"}, {Type: "etcPatient"}}}
	got := ""
	for _, p := range partsOf(m, false) {
		got += p.name + " "
	}
	if want := "etcPatient.000.ndjson Patient.000.ndjson etcPatient.001.ndjson "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLineCount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "\n\n": 2} {
		c := &lineCount{last: '\n'}
		for i := range len(text) {
			_, _ = c.Write([]byte(text[i : i+1]))
		}
		if c.total() != want {
			t.Errorf("%q has %d lines, want %d", text, c.total(), want)
		}
	}
}
