package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// posted returns a request that sends a Bundle with the given entries.
func posted(typ, entries string, headers ...string) *http.Request {
	r := httptest.NewRequest("POST", "http://own.example/fhir", strings.NewReader(`{"resourceType":"Bundle","type":"`+typ+`","entry":[`+entries+`]}`))
	r.Header.Set("Content-Type", "application/fhir+json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// understood returns the first entry of a transaction as the server understands it.
func understood(t testing.TB, s *Server, entries string) (asking, error) {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = posted("transaction", entries)
	sent, err := s.submission(c)
	if err != nil {
		return asking{}, err
	}
	p := &processing{Server: s, c: c, sent: sent}
	a := p.understand(0)
	return a, allProblems(sent, []asking{a})
}

// TestUnderstand reads the addresses of entries.
func TestUnderstand(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	const patient, parameters = `"resource":{"resourceType":"Patient","id":"a"},`, `"resource":{"resourceType":"Parameters"},`
	for _, tt := range []struct{ content, method, url, more, want string }{
		{"", "GET", "Patient/a", "", "GET Patient/a"},
		{"", "GET", "/Patient/a", "", "GET Patient/a"},
		{"", "GET", "http://own.example/fhir/Patient/a", "", "GET Patient/a"},
		{"", "GET", "Patient/a/_history/3", "", "GET Patient/a v3"},
		{"", "GET", "Patient/a", `,"ifNoneMatch":"W/\"2\""`, "GET Patient/a not2"},
		{"", "GET", "Patient?name=x", "", "GET Patient/ page"},
		{"", "GET", "Patient/a/Observation?code=x", "", "GET Observation/ page"},
		{"", "GET", "?_type=Patient", "", "GET / page"},
		{"", "HEAD", "Patient/a", "", "HEAD Patient/a"},
		{"", "POST", "Patient/_search?name=x", "", "GET Patient/ page"},
		{patient, "POST", "Patient", "", "POST Patient/"},
		{patient, "POST", "Patient", `,"ifNoneExist":"a=b"`, "POST Patient/?a=b"},
		{patient, "PUT", "Patient/a", `,"ifMatch":"W/\"3\""`, "PUT Patient/a =3"},
		{patient, "PUT", "Patient/a", `,"ifNoneMatch":"*"`, "PUT Patient/a =-1"},
		{patient, "PUT", "Patient?identifier=a%7Cb", "", "PUT Patient/?identifier=a%7Cb"},
		{parameters, "PATCH", "Patient/a", "", "PATCH Patient/a patch"},
		{"", "DELETE", "Patient/a", "", "DELETE Patient/a"},
		{"", "DELETE", "Patient?a=b", "", "DELETE Patient/?a=b"},

		{"", "GET", "http://own.example.evil/fhir/Patient/a", "", ""},
		{"", "GET", "http://own.example/fhirx/Patient/a", "", ""},
		{"", "GET", "//own.example/fhir/Patient/a", "", ""},
		{"", "GET", "Patient/a#b", "", ""},
		{"", "GET", "Patient/..", "", ""},
		{"", "GET", "Patient%2Fa", "", ""},
		{"", "GET", "%zz", "", ""},
		{"", "GET", "Patient/a/_history/0", "", ""},
		{"", "GET", "Patient/a/_history", "", ""},
		{"", "GET", "Patient/a?_at=2020", "", ""},
		{"", "GET", "$reindex", "", ""},
		{"", "GET", "Patient/a", `,"ifNoneMatch":"*"`, ""},
		{"", "GET", "Patient/a", `,"ifMatch":"W/\"2\""`, ""},
		{"", "GET", "Patient/a?access_token=x", "", ""},
		{"", "GET", "Patient?_cursor=x", "", ""},
		{patient, "GET", "Patient/a", "", ""},
		{patient, "POST", "Patient/a", "", ""},
		{patient, "POST", "", "", ""},
		{patient, "PUT", "Patient", "", ""},
		{patient, "PUT", "Patient/a?x=y", "", ""},
		{patient, "PUT", "Observation/a", "", ""},
		{patient, "PATCH", "Patient/a", "", ""},
		{"", "PUT", "Patient/a", "", ""},
		{"", "DELETE", "Patient/a/_history/1", "", ""},
		{"", "DELETE", "Patient/a", `,"ifNoneMatch":"*"`, ""},
		{patient, "PUT", "Patient/a", `,"ifModifiedSince":"2020-01-01T00:00:00Z"`, ""},
	} {
		entry := fmt.Sprintf(`{%s"request":{"method":%q,"url":%q%s}}`, tt.content, tt.method, tt.url, tt.more)
		a, err := understood(t, s, entry)
		if tt.want == "" {
			if o := fhir.AsOutcome(err); o == nil || !strings.HasPrefix(o.Issues[0].Expression, "Bundle.entry[0].re") {
				t.Errorf("%s: %v", entry, err)
			}
			continue
		}
		if err != nil || inShort(&a) != tt.want {
			t.Errorf("%s: %s, want %s, %v", entry, inShort(&a), tt.want, err)
		}
	}
}

// inShort says in short what an entry asks.
func inShort(a *asking) string {
	e := a.entry
	text := e.Method + " " + e.Key.String()
	if e.Conditional {
		text += "?" + e.Criteria
	}
	if e.Expect != store.Anything {
		text += fmt.Sprintf(" =%d", e.Expect)
	}
	switch r := e.Reading; {
	case r == nil:
	case r.Page != nil:
		text += " page"
	case r.Version > 0:
		text += fmt.Sprintf(" v%d", r.Version)
	case r.IfNoneMatch > 0:
		text += fmt.Sprintf(" not%d", r.IfNoneMatch)
	}
	if e.Patch != nil {
		text += " patch"
	}
	return text
}

// FuzzUnderstand reads addresses of all sorts: what is understood is about a type that
// there is and an id that there may be.
func FuzzUnderstand(f *testing.F) {
	s := newServer(f, Config{})
	for _, url := range []string{"Patient/a", "/Patient?a=b", "http://own.example/fhir/Patient/a/_history/1", "../x", "Patient/_search?x", "%2f", "a:b", "//x/y", "?_type=Patient&x=%zz", ""} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			f.Add(method, url)
		}
	}
	f.Fuzz(func(t *testing.T, method, url string) {
		entry := append([]byte(`{"resource":{"resourceType":"Patient","id":"a"},"request":{"method":`), fhir.AppendString(nil, method)...)
		if method == "GET" || method == "DELETE" {
			entry = append([]byte(`{"request":{"method":`), fhir.AppendString(nil, method)...)
		}
		entry = append(fhir.AppendString(append(entry, `,"url":`...), url), `}}`...)
		a, err := understood(t, s, string(entry))
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Fatal(err)
			}
			return
		}
		k := a.entry.Key
		if _, err := resourceType(k.Type); err != nil && (k.Type != "" || a.entry.Reading == nil) {
			t.Errorf("%s %q is about a %q", method, url, k.Type)
		}
		if k.ID != "" && !fhir.ValidID(k.ID) {
			t.Errorf("%s %q is about %q", method, url, k.ID)
		}
	})
}

// TestEntriesAskOnce makes sure that the sender of a Bundle is asked about once, that
// entries of a batch do what they may and no more, and that none is a Bundle.
func TestEntriesAskOnce(t *testing.T) {
	t.Parallel()
	asked := 0
	s := newServer(t, Config{Caller: func(*http.Request) (access.Grant, error) { asked++; return access.Trusted("x"), nil }})
	entry := `{"request":{"method":"GET","url":"metadata"}}`
	w := answer(s, posted("batch", entry+","+entry+`,{"request":{"method":"GET","url":"metadata?mode=nonsense"}},{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":"/"}}`))
	body := w.Body.String()
	if w.Code != 200 || strings.Count(body, `"status":"200 OK"`) != 2 || strings.Count(body, `"status":"400 Bad Request"`) != 2 || asked != 1 {
		t.Errorf("%d, asked %d times: %.500s", w.Code, asked, body)
	}
}

// TestBatchAnswerIsBounded asks for more than an answer may hold.
func TestBatchAnswerIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll, Limits: Limits{Bundle: 300 << 10}})
	entry := `{"request":{"method":"GET","url":"metadata"}}`
	w := answer(s, posted("batch", entry+strings.Repeat(","+entry, 999)))
	if n := strings.Count(w.Body.String(), `"status":"413 Request Entity Too Large"`); w.Code != 200 || n < 500 || w.Body.Len() > 3<<20 {
		t.Errorf("%d, %d refused, %d bytes", w.Code, n, w.Body.Len())
	}
}
