package conformance_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

const mib = 1 << 20

// TestDiskFull leaves too little room on the disk. What is there can be read;
// nothing can be written.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	program, dir := build(t), dataDir(t)
	p := launch(t, program, "--data-dir="+dir)
	newCaller(t, p.base).send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p = launch(t, program, "--data-dir="+dir, "--disk-free=100")
	c := newCaller(t, p.base)
	for _, r := range requests[:reads] {
		c.send(r, 200)
	}
	for _, r := range requests[reads:] {
		x := c.send(r, http.StatusInsufficientStorage)
		if codes, err := find(x.tree, "issue[*].code"); err != nil || fmt.Sprint(codes) != "[no-store]" {
			t.Errorf("want the code no-store, got %v, %v\n%s", codes, err, x)
		}
	}
	x := c.send(request{method: "GET", path: "/fhir/_history"}, 200)
	if entries, err := find(x.tree, "entry[*]"); err != nil || len(entries) != 1 {
		t.Errorf("want one version in the history\n%s", x)
	}
}

// TestOversized sends bodies that are meant to eat the memory of the server.
func TestOversized(t *testing.T) {
	t.Parallel()
	p := launch(t, build(t), "--dsn="+testDSN(t), "--unsafe")
	newCaller(t, p.base).send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	before, _ := p.memory(t)
	for _, tt := range []struct {
		name   string
		body   func() io.Reader
		size   int64 // -1 sends it in chunks, without saying how long it is
		xml    bool
		status int
		limit  int64 // MiB by which the memory may grow; what came before is in it
	}{
		{"a string of 100 MB", longName, longSize, false, 413, 96},
		{"a string of 100 MB in chunks", longName, -1, false, 413, 96},
		{"10,000 arrays in each other", repeated("[", 10_000), 10_000, false, 400, 96},
		{"5 MiB of open arrays", repeated("[", 5*mib), 5 * mib, false, 400, 96},
		{"5 MiB of open arrays in an element", repeated(`{"resourceType":"Patient","name":`, 1, "[", 5*mib-100), -1, false, 400, 96},
		{"5 MiB of open objects", repeated(`{"a":`, mib), 5 * mib, false, 400, 96},
		{"5 MiB of extensions in each other", repeated(`{"resourceType":"Patient","extension":[`, 1, `{"extension":[`, 350_000), -1, false, 400, 96},
		{"5 MiB of open XML elements", repeated("<a>", 5*mib/3), -1, true, 400, 96},
		{"100 MB of white space", repeated(" ", 100_000_000), -1, false, 413, 96},
		{"5 MiB of empty names", repeated(`{"resourceType":"Patient","name":[{}`, 1, `,{}`, 1_600_000, `]}`, 1), -1, false, 400, 512},
		{"900,000 names", repeated(`{"resourceType":"Patient","name":[{"given":["a"`, 1, `,"b"`, 900_000, `]}]}`, 1), -1, false, 201, 512},
		{"1,300,000 names", repeated(`{"resourceType":"Patient","name":[{"given":["a"`, 1, `,"b"`, 1_300_000, `]}]}`, 1), -1, false, 400, 512},
	} {
		p.forgetPeak(t)
		resp := post(t, p.base+"/Patient", tt.body(), tt.size, tt.xml)
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || tt.status >= 400 && !strings.Contains(string(answer), "OperationOutcome") {
			t.Errorf("%s: status %d, want %d (%v)\n%.500s", tt.name, resp.StatusCode, tt.status, err, answer)
		}
		_, peak := p.memory(t)
		grown := (peak - before) / mib
		if grown > tt.limit {
			t.Errorf("%s: the memory of the server grew by %d MiB, want at most %d", tt.name, grown, tt.limit)
		}
		t.Logf("%-36s %d, %d bytes of answer, memory grew by %d MiB", tt.name, resp.StatusCode, len(answer), grown)
	}
	newCaller(t, p.base).send(request{method: "GET", path: "/fhir/Patient/jane"}, 200)
}

func post(t *testing.T, url string, body io.Reader, size int64, xml bool) *http.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/fhir+json")
	if xml {
		req.Header.Set("Content-Type", "application/fhir+xml")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

const (
	longHead = `{"resourceType":"Patient","name":[{"text":"`
	longTail = `"}]}`
	longSize = int64(len(longHead) + 100_000_000 + len(longTail))
)

func longName() io.Reader { return repeated(longHead, 1, "x", 100_000_000, longTail, 1)() }

// repeated returns what makes a reader of texts, each followed by how often it
// is repeated. The whole is never in memory.
func repeated(parts ...any) func() io.Reader {
	return func() io.Reader {
		r, w := io.Pipe()
		go func() {
			buffered := bufio.NewWriterSize(w, 64<<10)
			for i := 0; i+1 < len(parts); i += 2 {
				text, _ := parts[i].(string)
				times, _ := parts[i+1].(int)
				for range times {
					if _, err := buffered.WriteString(text); err != nil {
						return // the server wants no more
					}
				}
			}
			w.CloseWithError(buffered.Flush())
		}()
		return r
	}
}

// TestLargeBinary stores 90 MiB as they are and reads them back, several times.
// The memory that it takes is given back.
func TestLargeBinary(t *testing.T) {
	t.Parallel()
	const size = 90 * mib
	p := launch(t, build(t), "--dsn="+testDSN(t), "--unsafe")
	c := newCaller(t, p.base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	before, inUse := p.heap(t), int64(0)
	for round := range 3 {
		want := sha256.New()
		content := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(round)}), size), want)
		p.forgetPeak(t)
		url := fmt.Sprintf("%s/Binary/scan-%d", p.base, round)
		if status := putRaw(t, url, content, size); status != http.StatusCreated {
			t.Fatalf("PUT of 90 MiB: status %d", status)
		}
		_, peakPut := p.memory(t)
		p.forgetPeak(t)
		got, n := getRaw(t, url)
		_, peakGet := p.memory(t)
		if n != size || got != hex.EncodeToString(want.Sum(nil)) {
			t.Errorf("%d bytes came back with the hash %s; want %d, %x", n, got, size, want.Sum(nil))
		}
		inUse = p.heap(t) - before
		t.Logf("round %d: memory up to %d MiB to write, %d MiB to read; %d MiB more on the heap afterwards", round, peakPut/mib, peakGet/mib, inUse/mib)
	}
	if inUse > 64*mib {
		t.Errorf("the server keeps %d MiB on its heap, want at most 64", inUse/mib)
	}
}

func putRaw(t *testing.T, url string, content io.Reader, size int64) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, url, content)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/pdf")
	req.Header.Set("Prefer", "return=minimal")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Errorf("PUT %s: %v\n%.500s", url, err, answer)
	}
	return resp.StatusCode
}

func getRaw(t *testing.T, url string) (hash string, n int64) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/pdf")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	sum := sha256.New()
	n, err = io.Copy(sum, resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("GET %s: %s of type %q, %v", url, resp.Status, resp.Header.Get("Content-Type"), err)
	}
	return hex.EncodeToString(sum.Sum(nil)), n
}

// heap returns what is in use on the heap of p after a collection, in bytes.
func (p *process) heap(t *testing.T) int64 {
	t.Helper()
	for _, path := range []string{"/debug/pprof/heap?gc=1", "/metrics"} {
		resp, err := http.Get(p.admin + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, mib)
		for lines.Scan() {
			var n float64
			if _, err := fmt.Sscanf(lines.Text(), "go_memstats_heap_inuse_bytes %g", &n); err == nil {
				return int64(n)
			}
		}
	}
	t.Fatal("the server does not say how large its heap is")
	return 0
}
