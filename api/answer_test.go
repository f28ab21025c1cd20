package api

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// storing returns a Server that trusts everybody and has a database of its own.
func storing(t *testing.T, c Config) (*Server, *pgtest.Database) {
	t.Helper()
	db := pgtest.New(t)
	// The database of a test does not wait for the disk.
	data, err := store.Open(t.Context(), store.Config{DSN: db.DSN, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	c.Engine, c.Caller, c.Purge = interaction.New(interaction.Config{Store: data}), trustAll, true
	return newServer(t, c), db
}

// ask sends a request, "METHOD target". Headers are "Name: value" lines.
func ask(s *Server, request, body string, headers ...string) *httptest.ResponseRecorder {
	method, target, _ := strings.Cut(request, " ")
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return answer(s, r)
}

const fhirJSON = "Content-Type: application/fhir+json"

// put stores a Patient p whose family name is long enough to be compressed.
func put(t *testing.T, s *Server) {
	t.Helper()
	body := `{"resourceType":"Patient","id":"p","name":[{"family":"` + strings.Repeat("Ng ", 1000) + `"}]}`
	if w := ask(s, "PUT /fhir/Patient/p", body, fhirJSON); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{})
	put(t, s)
	for _, tt := range []struct {
		method, target string
		header         string
		status         int
		has, lacks     string
	}{
		{"GET", "/fhir/Patient/p", "", 200, "Etag Last-Modified Content-Type Content-Length", "Location"},
		{"GET", "/fhir/Patient/p", "Accept: application/fhir+xml", 200, "Etag Last-Modified Content-Type Content-Length", ""},
		{"GET", "/fhir/Patient/p", "Accept: text/html", 200, "Etag Last-Modified Content-Type Content-Security-Policy", ""},
		{"GET", "/fhir/Patient/p", `If-None-Match: W/"1"`, 304, "Etag Last-Modified", "Content-Type Content-Length"},
		{"GET", "/fhir/Patient/p", `If-None-Match: "0", W/"1"`, 304, "Etag", "Content-Type Content-Length"},
		{"GET", "/fhir/Patient/p", `If-Match: W/"1"`, 200, "Etag", ""},
		{"GET", "/fhir/Patient/p", `If-Match: W/"2"`, 412, "Etag Content-Type", ""},
		{"GET", "/fhir/Patient/p/_history/1", "", 200, "Etag Last-Modified Content-Type", ""},
		{"GET", "/fhir/Patient/p/_history", "", 200, "Content-Type Content-Length", "Etag"},
		{"GET", "/fhir/Patient/nobody", "", 404, "Content-Type", "Etag"},
		{"GET", "/fhir/Patient/p", "Accept: image/png", 406, "Content-Type", ""},
		{"GET", "/fhir/Patient", "", 200, "Content-Type Content-Length", "Etag Allow"},
		{"PUT", "/fhir/_history", "", 405, "Allow Content-Type", ""},
		{"POST", "/fhir/Patient", "Content-Type: text/csv", 415, "Content-Type", ""},
		{"PATCH", "/fhir/Patient/p", "Content-Type: text/csv", 415, "Content-Type Accept-Patch", ""},
		{"DELETE", "/fhir/Patient/nobody", "", 204, "", "Content-Type Content-Length Etag"},
		{"DELETE", "/fhir/Patient/nobody", "Prefer: return=OperationOutcome", 200, "Content-Type", ""},
		{"GET", "/fhir/metadata", "", 200, "Etag Content-Type Content-Length", ""},
	} {
		w := ask(s, tt.method+" "+tt.target, "", tt.header)
		if w.Code != tt.status {
			t.Errorf("%s %s %s: %d, want %d: %s", tt.method, tt.target, tt.header, w.Code, tt.status, w.Body)
		}
		for _, name := range append(strings.Fields(tt.has), "X-Request-Id", "Cache-Control", "Vary", "X-Content-Type-Options") {
			if w.Header().Get(name) == "" {
				t.Errorf("%s %s %s: %d without %s", tt.method, tt.target, tt.header, w.Code, name)
			}
		}
		for name := range strings.FieldsSeq(tt.lacks) {
			if w.Header().Get(name) != "" {
				t.Errorf("%s %s %s: %d with %s", tt.method, tt.target, tt.header, w.Code, name)
			}
		}
		if hasNone := tt.status == 204 || tt.status == 304; hasNone != (w.Body.Len() == 0) {
			t.Errorf("%s %s %s: %d with a body of %d bytes", tt.method, tt.target, tt.header, w.Code, w.Body.Len())
		}
		wantCache := "private, no-cache"
		if strings.HasSuffix(tt.target, "metadata") {
			wantCache = "no-cache"
		}
		if got := w.Header().Get("Cache-Control"); got != wantCache {
			t.Errorf("%s %s %s: Cache-Control: %s", tt.method, tt.target, tt.header, got)
		}
	}
}

// TestHead compares HEAD with GET over a real connection, where the length that
// is announced counts.
func TestHead(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{})
	put(t, s)
	if w := ask(s, "PUT /fhir/Binary/b", strings.Repeat("a,b\n", 1000), "Content-Type: text/csv"); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	for _, target := range []string{
		"/fhir/Patient/p", "/fhir/Patient/p?_format=xml", "/fhir/Patient/p?_format=html", "/fhir/Patient/p?_pretty=true", "/fhir/Patient/p/_history/1",
		"/fhir/Binary/b", "/fhir/metadata", "/fhir/Patient/nobody", "/fhir/Shiny/x", "/fhir/Patient", "/fhir/Patient/p?x=y", "/nothing",
	} {
		get, body := over(t, server, "GET", target)
		head, none := over(t, server, "HEAD", target)
		if get.StatusCode != head.StatusCode || len(none) > 0 || int64(len(body)) != get.ContentLength {
			t.Errorf("%s: GET %d with %d of %d bytes, HEAD %d with %d", target, get.StatusCode, len(body), get.ContentLength, head.StatusCode, len(none))
		}
		for _, h := range []http.Header{get.Header, head.Header} {
			h.Del("Date")
		}
		if target == "/fhir/Patient" {
			// The outcome names the method.
			get.Header.Del("Content-Length")
			head.Header.Del("Content-Length")
		}
		if !maps.EqualFunc(get.Header, head.Header, slices.Equal) {
			t.Errorf("%s:\nGET  %v\nHEAD %v", target, get.Header, head.Header)
		}
	}
}

// over sends a request that takes no compressed answer.
func over(t *testing.T, server *httptest.Server, method, target string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("X-Request-Id", "same")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestCompression(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{})
	put(t, s)
	plain := ask(s, "GET /fhir/Patient/p", "")
	for accepts, want := range map[string]string{
		"gzip": "gzip", "gzip, deflate, br": "gzip", "gzip;q=0": "", "identity": "", "": "", "br": "", "gzip, zstd": "zstd", "zstd;q=0, gzip": "gzip",
	} {
		w := ask(s, "GET /fhir/Patient/p", "", "Accept-Encoding: "+accepts)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding: %s: Content-Encoding: %s, want %s", accepts, got, want)
		}
		if vary := w.Header().Values("Vary"); len(vary) != 1 || !strings.Contains(vary[0], "Accept-Encoding") {
			t.Errorf("Accept-Encoding: %s: Vary: %q", accepts, vary)
		}
		if w.Header().Get("Etag") != `W/"1"` {
			t.Errorf("Accept-Encoding: %s: ETag: %s", accepts, w.Header().Get("Etag"))
		}
		if want == "gzip" {
			r, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, plain.Body.Bytes()) {
				t.Errorf("Accept-Encoding: %s: %v, %d bytes", accepts, err, len(body))
			}
		}
	}
}

// TestLogs sends what must never be logged in every part of requests, and makes
// the database fail.
func TestLogs(t *testing.T) {
	t.Parallel()
	var log journal
	s, db := storing(t, Config{Log: log.logger()})
	target := "/fhir/Patient/" + canary
	resource := `{"resourceType":"Patient","id":"` + canary + `","name":[{"family":"` + canary + `"}]}`
	send := func() {
		header := "X-Note: " + canary
		ask(s, "PUT "+target, resource, fhirJSON, header)
		ask(s, "PUT "+target, `{"resourceType":"Patient","`+canary+`":1}`, fhirJSON)
		ask(s, "POST /fhir/Patient", resource, fhirJSON, header)
		ask(s, "POST /fhir/Patient", resource, "Content-Type: text/"+canary)
		ask(s, "PATCH "+target, `[{"op":"replace","path":"/name/0/family","value":"`+canary+`!"}]`, "Content-Type: application/json-patch+json")
		ask(s, "GET "+target+"?_summary=true", "", "Authorization: Bearer "+canary)
		ask(s, "GET "+target+"?_elements="+canary, "", "Accept: "+canary)
		ask(s, "GET "+target+"?_at=2024"+canary, "")
		ask(s, "GET "+target+"?"+canary+"=1", "", "If-None-Match: "+canary)
		ask(s, "GET "+target+"/_history", "", "Accept: text/html", "Referer: https://x/"+canary)
		ask(s, "GET "+target+"/_history/"+canary, "", "Accept: application/fhir+xml")
		ask(s, "GET "+target+"?_format=xml", "")
		ask(s, "GET /fhir/"+canary+"/"+canary, "", "X-Request-Id: "+canary+"!")
		ask(s, "GET /fhir/_history?_page="+canary, "")
		ask(s, canary+" "+target, "")
		ask(s, "PUT /fhir/Binary/b", canary, "Content-Type: text/plain", "X-Security-Context: Patient/"+canary)
		ask(s, "POST "+target+"/$purge", resource, fhirJSON)
		ask(s, "DELETE "+target, "")
	}
	send()
	if n := strings.Count(log.String(), `"msg":"request"`); n != 18 || strings.Contains(log.String(), "ERROR") {
		t.Errorf("%d requests are logged, or an error: %s", n, &log)
	}
	if _, err := db.ExecContext(t.Context(), `ALTER TABLE ver RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	send()
	if w := ask(s, "GET "+target, ""); w.Code != 500 || strings.Contains(w.Body.String(), "gone") || strings.Contains(w.Body.String(), "pq:") {
		t.Errorf("without its table: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "ERROR") {
		t.Errorf("no error of the database is logged: %s", &log)
	}
	if at := strings.Index(log.String(), canary); at >= 0 {
		t.Errorf("the log says %s", log.String()[max(0, at-300):])
	}
}

func TestBinary(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{})
	for content, want := range map[string]string{"Hello": "Hello", "": "", "\x00\xff\"\\": "\x00\xff\"\\"} {
		if w := ask(s, "PUT /fhir/Binary/b", content, `Content-Type: text/plain; charset="utf-8"; a="\"<"`); w.Code >= 300 {
			t.Fatalf("%q: %d %s", content, w.Code, w.Body)
		}
		w := ask(s, "GET /fhir/Binary/b", "")
		if w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != `text/plain; charset="utf-8"; a="\"<"` {
			t.Errorf("%q: %d %v %q", content, w.Code, w.Header(), w.Body)
		}
		for _, name := range []string{"Content-Security-Policy", "Content-Disposition", "X-Content-Type-Options"} {
			if w.Header().Get(name) == "" {
				t.Errorf("%q has no %s", content, name)
			}
		}
	}
	for _, accept := range []string{"image/png", chromium, "*/*", "application/json", ""} {
		if w := ask(s, "GET /fhir/Binary/b", "", "Accept: "+accept); !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("Accept: %s: %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := ask(s, "GET /fhir/Binary/b?_summary=true", ""); w.Header().Get("Content-Type") != jsonType {
		t.Errorf("with _summary: %d %s", w.Code, w.Header().Get("Content-Type"))
	}
}

// TestBodies sends bodies as they can come over a connection.
func TestBodies(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{Limits: Limits{Body: 2000}})
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	const patient = `{"resourceType":"Patient"}`
	head := "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
	chunk := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }
	for _, tt := range []struct{ name, sent, want string }{
		{"plain", head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(patient), patient), "HTTP/1.1 201"},
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(patient[:7]) + chunk(patient[7:]) + "0\r\n\r\n", "HTTP/1.1 201"},
		{"chunked, too large", head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(strings.Repeat(" ", 2001)) + "0\r\n\r\n", "HTTP/1.1 413"},
		{"too large", head + "Content-Length: 2001\r\n\r\n" + strings.Repeat(" ", 2001), "HTTP/1.1 413"},
		{"no body", head + "Content-Length: 0\r\n\r\n", "HTTP/1.1 400"},
		{"expected", head + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(patient)), "HTTP/1.1 100"},
		{"expected, too large", head + "Expect: 100-continue\r\nContent-Length: 2001\r\n\r\n", "HTTP/1.1 413"},
		{"expected, of no use", "POST /fhir/Shiny HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 404"},
		{"compressed", head + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 415"},
		{"unknown transfer", head + "Transfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501"},
	} {
		if got := firstLine(t, server, tt.sent); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	// A body that ends early.
	conn := dial(t, server)
	fmt.Fprintf(conn, "%sContent-Length: 100\r\n\r\n%s", head, patient)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("a body that ends early: %q, %v", line, err)
	}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func firstLine(t *testing.T, server *httptest.Server, sent string) string {
	t.Helper()
	conn := dial(t, server)
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	s, _ := storing(t, Config{})
	server := httptest.NewUnstartedServer(s.Handler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/fhir/Patient", strings.NewReader(`{"resourceType":"Patient"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if location := resp.Header.Get("Location"); resp.ProtoMajor != 2 || resp.StatusCode != 201 || !strings.HasPrefix(location, server.URL+"/fhir/Patient/") {
		t.Errorf("%s %d, Location: %s", resp.Proto, resp.StatusCode, location)
	}
}
