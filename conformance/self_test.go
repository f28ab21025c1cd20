package conformance_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// stub answers like a server that knows one patient. A POST is answered with
// its own body; of several PUTs only the first succeeds.
func stub(t *testing.T) *subject {
	t.Helper()
	var puts atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fhir/Patient/1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.Header().Set("ETag", `W/"3"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Location", "http://x/fhir/Patient/1/_history/3")
		io.WriteString(w, `{"resourceType":"Patient","id":"1","active":true,"multipleBirthInteger":2,`+
			`"name":[{"family":"Ng","given":["A","B"]}],"meta":{"lastUpdated":"2026-01-01T00:00:00.002Z"}}`)
	})
	mux.HandleFunc("GET /fhir/Patient/gone", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusGone)
		io.WriteString(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"deleted","expression":["Patient.id"]}]}`)
	})
	mux.HandleFunc("POST /fhir/Patient", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("PUT /fhir/Patient/1", func(w http.ResponseWriter, r *http.Request) {
		if puts.Add(1) > 1 {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusPreconditionFailed)
			io.WriteString(w, "OperationOutcome")
		}
	})
	mux.HandleFunc("GET /fhir/broken", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	mux.HandleFunc("GET /fhir/mute", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusBadRequest) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &subject{base: server.URL + "/fhir", restart: func() {}}
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		holds, fails string // in place of EXPECT after a read of the patient
	}{
		{"200", "201"},
		{"404|200", "404|201"},
		{`header ETag W/"3"`, `header ETag W/"4"`},
		{"header Location ~ /Patient/1/_history/[0-9]+$", "header Location ~ ^/Patient"},
		{"header Last-Modified > Mon, 02 Jan 2006 15:04:04 GMT", "header Last-Modified > Mon, 02 Jan 2006 15:04:05 GMT"},
		{"header Location {base}/Patient/1|", "header Absent ~ ."},
		{"no header Absent", "no header ETag"},
		{"json name[0].given[1] B", "json name[0].given[1] C"},
		{"json name[*].given[*] B", "json name[*].given[*] C"},
		{"json multipleBirthInteger 2", "json multipleBirthInteger 2.0"},
		{"json active true", "json active false"},
		{`json name[0].given ["A","B"]`, `json name[0].given ["B","A"]`},
		{"json name[family=Ng].given[0] A", "json name[family=No].given[0] A"},
		{"json name[0].family ~ ^N", "json name[0].family ~ ^g"},
		{"json meta.lastUpdated > 2026-01-01T00:00:00.001Z", "json meta.lastUpdated > 2026-01-01T00:00:00.002Z"},
		{"json active", "json gender"},
		{"no json gender", "no json active"},
		{"count name[0].given 2", "count name[0].given 1"},
		{"count name[*].given[*] 2", "count name[*].given[*] 3"},
		{"count contact 0", "count name 0"},
		{"no body ~ Smith", "no body ~ N[f-h]"},
		{`body ~ "family":"Ng"`, "body {}"},
		{"body ~ ^.resourceType|Ng", "no body"},
	} {
		read := "# A claim.\nGET /fhir/Patient/1\n= 200\n= "
		if !strings.HasSuffix(tt.holds, "|") {
			checkRun(t, read+tt.holds, "")
		}
		checkRun(t, read+tt.fails, "self.txtar:4: = "+tt.fails)
	}
}

const searchset = `{"resourceType":"Bundle","type":"searchset","entry":[
{"resource":{"resourceType":"Patient","id":"a"},"search":{"mode":"match"}},
{"resource":{"resourceType":"Patient","id":"b"},"search":{"mode":"match"}},
{"resource":{"resourceType":"Patient","id":"c"},"search":{"mode":"include"}}]}
`

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ script, want string }{
		{"GET /fhir/Patient/gone\n= 410\n= issue deleted\n= issue conflict|deleted Patient.id", ""},
		{"GET /fhir/Patient/gone\n= 410\n= issue deleted Patient.name", "there is no such issue"},
		{"GET /fhir/Patient/gone\n= 410\n= issue conflict", "there is no such issue"},
		{"GET /fhir/Patient/1\n= 200\nlet p = id\nlet f = json name[0].family\nGET {base}/Patient/{p}\n= 200\n= json name[0].family {f}", ""},
		{"GET /fhir/Patient/1\n= 200\nlet v = header Location ~ _history/(.+)\nGET /fhir/Patient/1\n= 200\n= header ETag W/\"{v}\"", ""},
		{"GET /fhir/Patient/1\n= 200\nlet v = header Location ~ nothing(.)", "does not match"},
		{"GET /fhir/Patient/1\n= 200\nlet f = json name[0].given[*]", "there are 2 values"},
		{"GET /fhir/Patient/1\n= 200\nlet f = json name[0].family ~ N(.)\nGET /fhir/Patient/1\n= 200\n= json name[0].family N{f}", ""},
		{"GET /fhir/Patient/1\n= 200\nlet f = json name[0].family ~ x(.)", "does not match"},
		{"GET /fhir/Patient/1\n= 200\nawait json active true", ""},
		{"GET /fhir/Patient/1\n= 200\nawait shiny", "this is no expectation"},
		{"POST /fhir/Patient\n< found.json\n= 200\n= matches b a\n= includes Patient/c\n= matches in order a b\n-- found.json --\n" + searchset, ""},
		{"POST /fhir/Patient\n< found.json\n= 200\n= matches in order b a\n-- found.json --\n" + searchset, "they are [a b]"},
		{"POST /fhir/Patient\n< found.json\n= 200\n= matches a\n-- found.json --\n" + searchset, "they are [a b]"},
		{"POST /fhir/Patient\n< found.json\n= 200\n= matches\n-- found.json --\n" + searchset, "they are [a b]"},
		{"POST /fhir/Patient\n< found.json\n= 200\n= includes Task/c\n-- found.json --\n" + searchset, "they are [Patient/c]"},
		{"GET /fhir/Patient/1\n= 200\n= matches\n= includes", "no searchset"},
		{"GET /fhir/Patient/{p}\n= 200", "nothing is named p yet"},
		{"POST /fhir/Patient\nContent-Type: text/plain\nline one\nline two\n\n= 200\n= body ~ ^line one\nline two$", "this is no command"},
		{"POST /fhir/Patient\nContent-Type: text/plain\nline one\nline two\n\n= 200\n= body ~ ^line one.line two$", ""},
		{"POST /fhir/Patient\n<Patient/>\n= 200\n= header Content-Type application/fhir+xml\n= body <Patient/>", ""},
		{"POST /fhir/Patient\n< a.json\n= 200\n= header Content-Type application/fhir+json\n= body {\"a\":{}}\n-- a.json --\n{\"a\":{}}\n", ""},
		{"POST /fhir/Patient\n< b.json\n= 200\n-- a.json --\n{}\n", "no file \"b.json\""},
		{"POST /fhir/Patient\n{\"a\":\"{fill 3}\"}\n= 200\n= body {\"a\":\"xxx\"}", ""},
		{"at once 3\nPUT /fhir/Patient/1\n{\"id\":\"{n}\"}\n= statuses 412 200 412", ""},
		{"at once 3\nPUT /fhir/Patient/1\n{\"id\":\"{n}\"}\n= statuses 200 200 412", "the statuses are [200 412 412]"},
		{"at once 2\nPUT /fhir/Patient/1\n{}\n= 200", "statuses belongs to requests sent at once"},
		{"GET /fhir/Patient/1\n= statuses 200 200", "statuses belongs to requests sent at once"},
		{"restart\nGET /fhir/Patient/1\n= 200", ""},
		{"= 200", "no request was sent yet"},
		{"GET /fhir/broken\n= 500", "the server is at fault"},
		{"GET /fhir/mute\n= 400", "not explained by an OperationOutcome"},
		{"GET /fhir/Patient/1", "self.txtar:2: no status is expected"},
		{"GET /fhir/Patient/1\nGET /fhir/Patient/1\n= 200", "this is no body"},
		{"GET /fhir/Patient/1\n\nGET /fhir/Patient/1\n= 200", "self.txtar:2: no status is expected"},
		{"GET /fhir/Patient/1\n= 200\nSHOUT /fhir/Patient/1", "self.txtar:4: this is no command"},
		{"GET /fhir/Patient/1\n= 200\n= shiny", "self.txtar:4: \"= shiny\": this is no expectation"},
		{"GET /fhir/Patient/1\n= 200\n= json a..b 1", "is no path"},
		{"GET /fhir/Patient/1\n= 200\nlet x = weather", "name one of"},
		{"GET /fhir/Patient/1\n= 200\n\nas nobody\nGET /fhir/Patient/1\n= 200", "self.txtar:5: say who sends the first request before it"},
		{"as ghost x patient/*.rs", "nobody is a \"ghost\""},
		{"as patient patient/*.rs", "say which"},
		{"as patient a", "with which scopes"},
		{"as operator system/*.rs", "with which scopes"},
		{"as patient a roles=labels patient/*.rs", "roles is none of [clearance]"},
		{"as nobody\nor patient a\nGET /fhir/Patient/1\n= 200", "self.txtar:3: \"or patient a\": say with which scopes"},
		{"as patient a clearance=R,PSY patient/*.rs\nGET /fhir/Patient/1\n= 200", ""},
	} {
		checkRun(t, "# A claim.\n"+tt.script, tt.want)
	}
	checkRun(t, "GET /fhir/Patient/1\n= 200\n", "the first line must be the claim")
}

// checkRun runs a script against the stub; want is in the first error, or empty
// if there must be none.
func checkRun(t *testing.T, text, want string) {
	t.Helper()
	s, err := parse("self.txtar", []byte(text))
	got := ""
	if err != nil {
		got = err.Error()
	}
	if err == nil {
		for _, err := range s.run(stub(t)) {
			got += err.Error() + "\n"
		}
	}
	if want == "" && got != "" || !strings.Contains(got, want) {
		t.Errorf("script\n%s\ngot %q\nwant %q", text, got, want)
	}
}
