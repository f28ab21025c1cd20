package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

func TestCheckRules(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Purge: true})
	if err := checkRules(s.routes()); err != nil {
		t.Errorf("the routes of the server: %v", err)
	}
	for _, r := range []route{{method: "GET", path: "/new"}, {method: "GET", path: "/new", rule: granted}} {
		err := checkRules(append(s.routes(), r))
		if err == nil || !strings.Contains(err.Error(), "GET /new") {
			t.Errorf("the route %+v: %v", r, err)
		}
	}
}

// TestNobody tries every route as somebody who has not signed in, and as
// somebody who has and may do nothing.
func TestNobody(t *testing.T) {
	t.Parallel()
	nobody := newServer(t, Config{Purge: true})
	powerless := newServer(t, Config{Purge: true, Caller: func(*http.Request) (access.Grant, error) { return access.Grant{}, nil }})
	for _, r := range nobody.routes() {
		for _, method := range r.methods() {
			for s, want := range map[*Server]int{nobody: http.StatusUnauthorized, powerless: http.StatusForbidden} {
				if r.rule == public {
					want = http.StatusOK
				}
				w := answer(s, requestTo(r, method))
				if w.Code != want {
					t.Errorf("%s %s: %d, want %d", method, r.path, w.Code, want)
				}
				says := w.Header().Get("WWW-Authenticate")
				if challenged := want == http.StatusUnauthorized || want == http.StatusForbidden && !isOperators(r.interaction); strings.HasPrefix(says, "Bearer realm=") != challenged {
					t.Errorf("%s %s: %d with WWW-Authenticate %q", method, r.path, w.Code, says)
				}
			}
			if r.rule == public && !isOpen(r.path) {
				t.Errorf("%s %s is public", method, r.path)
			}
		}
	}
}

// isOperators reports whether no scope helps who may not do i.
func isOperators(i access.Interaction) bool {
	return i == access.Purge || i == access.Reindex || i == interaction.ExplainAccess
}

// TestInteractionsAsk makes sure that the handlers by themselves, without what
// handle checks before, do nothing for who has no Grant.
func TestInteractionsAsk(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Purge: true})
	for _, r := range s.routes() {
		if r.rule == public {
			continue
		}
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = requestTo(r, r.method)
		for name, value := range map[string]string{"type": "Patient", "id": "p", "vid": "1", "inner": "Observation"} {
			if strings.Contains(r.path, "/:"+name) {
				c.AddParam(name, value)
			}
		}
		err := r.serve(c)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied {
			t.Errorf("%s %s: %v", r.method, r.path, err)
		}
	}
}

// requestTo returns a request that r can serve.
func requestTo(r route, method string) *http.Request {
	address := base + strings.NewReplacer(":type", "Patient", ":id", "p", ":vid", "1", ":inner", "Observation").Replace(r.path)
	if r.criteria && r.writes {
		address += "?identifier=1"
	}
	body, contentType := `{"resourceType":"Patient","id":"p"}`, "application/fhir+json"
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		body, contentType = "", ""
	case http.MethodPatch:
		body, contentType = `[]`, "application/json-patch+json"
	}
	if r.interaction == interaction.MetaAdd || r.interaction == interaction.MetaDelete || r.interaction == interaction.ExplainAccess {
		body = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`
	}
	if r.interaction == bundled {
		body = `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}`
	}
	if strings.HasSuffix(r.path, "/_search") {
		body, contentType = "_count=1", "application/x-www-form-urlencoded"
	}
	req := httptest.NewRequest(method, address, strings.NewReader(body))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req
}

func TestCheckParams(t *testing.T) {
	t.Parallel()
	r := route{params: []string{"_since", "_count"}}
	for query, want := range map[string]string{
		"":                               "",
		"_count=3&_since=2024":           "",
		"_format=json&_pretty=true":      "",
		"_pretty=":                       "",
		"_pretty=false":                  "",
		"_pretty=yes":                    "_pretty",
		"_summary=true":                  `"_summary"`,
		"_COUNT=3":                       `"_COUNT"`,
		"=":                              `""`,
		"_count=1&_count=2":              "twice",
		"_since=2024;_count=1":           "cannot be read",
		"_since=%zz":                     "cannot be read",
		"name=Smith":                     "_format, _pretty, _since, _count",
		strings.Repeat("x", 100) + "=1":  strings.Repeat("x", 40) + "…",
		"%ff=1":                          `"?"`,
		"_count:exact=1":                 `"_count:exact"`,
		"a=1&b=2":                        `"a"`,
		"_since=2024&_count=1&_format=x": "",
	} {
		err := checkParams(r, query)
		got := ""
		if o := fhir.AsOutcome(err); o != nil {
			got = string(o.JSON())
		}
		quoted := strings.ReplaceAll(want, `"`, `\"`)
		if (err == nil) != (want == "") || !strings.Contains(got, quoted) {
			t.Errorf("?%s: %s, want %s", query, got, want)
		}
	}
}

// TestAddresses goes through addresses that are none, or nearly.
func TestAddresses(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll})
	for _, tt := range []struct {
		method, target string
		status         int
		text           string // in the outcome
	}{
		{"GET", "/", 404, "/fhir/metadata"},
		{"GET", "/fhirs/Patient/p", 404, "/fhir/metadata"},
		{"GET", "//fhir/Patient/p", 404, "/fhir/metadata"},
		{"GET", "/fhir//Patient/p", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient?name=%zz", 400, "percent sign"},
		{"GET", "/fhir/patient?name=x", 404, "did you mean Patient"},
		{"GET", "/fhir/Shiny/", 404, "R4 resource type"},
		{"GET", "/fhir/Patient/p/Shiny", 404, "R4 resource type"},
		{"GET", "/fhir/Patient/p/observation", 404, "did you mean Observation"},
		{"GET", "/fhir/Patient/p/Organization", 404, "Observation, "},
		{"GET", "/fhir/Organization/p/Patient", 404, "no compartment"},
		{"GET", "/fhir/Patient/p_1/Observation", 400, "no valid id"},
		{"GET", "/fhir/Patient?_pretty=maybe", 400, "_pretty"},
		{"GET", "/fhir/Patient?_format=json&_format=xml", 400, "twice"},
		{"PUT", "/fhir/Patient?_format=json", 400, "criteria"},
		{"DELETE", "/fhir/Patient/?", 400, "criteria"},
		{"PATCH", "/fhir/Patient?_pretty=x&name=y", 400, "_pretty"},
		{"GET", "/fhir/Patient/p/", 404, "/fhir/metadata"},
		{"GET", "/fhir/metadata/", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient/p%2F_history", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient%2fp", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient/../Patient/p", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient/..", 400, "no valid id"},
		{"GET", "/fhir/Patient/%2e%2E", 400, "no valid id"},
		{"PUT", "/fhir/Patient/.", 400, "no valid id"},
		{"GET", "/fhir/Patient/p%00", 400, "no valid id"},
		{"GET", "/fhir/Patient/p_1", 400, "no valid id"},
		{"GET", "/fhir/Patient/" + strings.Repeat("p", 65), 400, "no valid id"},
		{"GET", "/fhir/patient/p", 404, "did you mean Patient"},
		{"GET", "/fhir/Shiny/p", 404, "R4 resource type"},
		{"GET", "/fhir/DomainResource/p", 404, "R4 resource type"},
		{"DELETE", "/fhir/Shiny", 404, "R4 resource type"},
		{"OPTIONS", "/fhir/Shiny/p", 404, "R4 resource type"},
		{"OPTIONS", "/fhir/a/b/c/d/e", 404, "/fhir/metadata"},
		{"POST", "/fhir/Patient/p", 405, "does not take POST"},
		{"TRACE", "/fhir/Patient/p", 405, "does not take TRACE"},
		{"BREW", "/fhir/Patient/p", 405, "does not take BREW"},
		{"get", "/fhir/Patient/p", 405, "does not take get"},
		{"CONNECT", "/fhir/Patient/p", 405, "does not take CONNECT"},
		{"POST", "/fhir/Patient/p/$purge", 404, "/fhir/metadata"},
		{"GET", "/fhir/Patient/p/$everything", 404, "R4 resource type"},
		{"POST", "/fhir/$shiny", 404, "R4 resource type"},
		{"GET", "/fhir/Patient/p?_summary=%zz", 400, "cannot be read"},
		{"GET", "/fhir/Patient/p/_history/01", 404, "no such version"},
		{"GET", "/fhir/Patient/p/_history/+1", 404, "no such version"},
		{"GET", "/fhir/Patient/p/_history/99999999999", 404, "no such version"},
		{"GET", "/fhir/Patient/p?" + strings.Repeat("x", maxURL), 414, "POST [type]/_search"},
		{"GET", "/fhir/Patient?_cursor=" + strings.Repeat("x", maxLink), 414, "longer than"},
	} {
		w := answer(s, httptest.NewRequest(tt.method, tt.target, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.text) {
			t.Errorf("%s %.60s: %d %s; want %d %q", tt.method, tt.target, w.Code, w.Body, tt.status, tt.text)
		}
		checkRefusal(t, w)
		if allow := w.Header().Get("Allow"); (tt.status == 405) != (allow == "GET, HEAD, PUT, PATCH, DELETE, OPTIONS") {
			t.Errorf("%s %.60s: %d with Allow: %s", tt.method, tt.target, w.Code, allow)
		}
	}
}

// checkRefusal checks what is true of every refusal.
func checkRefusal(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if contentType := w.Header().Get("Content-Type"); contentType != jsonType {
		t.Errorf("%d has Content-Type %s", w.Code, contentType)
	}
	if r, err := fhir.Decode("OperationOutcome", w.Body.Bytes()); err != nil {
		t.Errorf("%d is explained by %v: %s", w.Code, err, w.Body)
	} else if r.Root().Child("issue").IsZero() {
		t.Errorf("%d is explained by no issue", w.Code)
	}
	for _, name := range []string{"X-Request-Id", "Cache-Control", "Vary", "X-Content-Type-Options"} {
		if w.Header().Get(name) == "" {
			t.Errorf("%d has no %s", w.Code, name)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{})
	for target, want := range map[string]string{
		"/fhir/Patient/p":            "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
		"/fhir":                      "GET, HEAD, POST, OPTIONS",
		"/fhir/Patient":              "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
		"/fhir/Patient/p/Task":       "GET, HEAD, OPTIONS",
		"/fhir/Patient/_search":      "POST, OPTIONS",
		"/fhir/_search":              "POST, OPTIONS",
		"/fhir/$reindex":             "GET, HEAD, POST, OPTIONS",
		"/fhir/_history":             "GET, HEAD, OPTIONS",
		"/fhir/metadata":             "GET, HEAD, OPTIONS",
		"/fhir/Patient/p/_history":   "GET, HEAD, OPTIONS",
		"/fhir/Patient/p/_history/1": "GET, HEAD, OPTIONS",
	} {
		for _, origin := range []string{"", "https://app.example"} {
			r := httptest.NewRequest("OPTIONS", target, nil)
			r.Header.Set("Origin", origin)
			w := answer(s, r)
			if w.Code != 204 || w.Header().Get("Allow") != want || w.Body.Len() > 0 {
				t.Errorf("OPTIONS %s: %d, Allow: %s, %s", target, w.Code, w.Header().Get("Allow"), w.Body)
			}
		}
	}
}

// TestReserved sends what addresses do not take that could be taken for those of
// types and ids.
func TestReserved(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll})
	for target, allow := range map[string]string{
		"/fhir/metadata":         "GET, HEAD, OPTIONS",
		"/fhir/_history":         "GET, HEAD, OPTIONS",
		"/fhir/_search":          "POST, OPTIONS",
		"/fhir/$reindex":         "GET, HEAD, POST, OPTIONS",
		"/fhir/Patient/_history": "GET, HEAD, OPTIONS",
		"/fhir/Patient/_search":  "POST, OPTIONS",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} {
			if strings.Contains(allow, method) {
				continue
			}
			w := answer(s, httptest.NewRequest(method, target, nil))
			if w.Code != 405 || w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow: %s", method, target, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, target := range []string{"/fhir", "/fhir/"} {
		w := answer(s, httptest.NewRequest("PUT", target, nil))
		if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST, OPTIONS" {
			t.Errorf("PUT %s: %d, Allow: %s, %s", target, w.Code, w.Header().Get("Allow"), w.Body)
		}
	}
}

// TestMethodOverride makes sure that no header turns one method into another.
func TestMethodOverride(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Caller: trustAll})
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		r := httptest.NewRequest("POST", "/fhir/Patient/p", nil)
		r.Header.Set(name, "DELETE")
		if w := answer(s, r); w.Code != 405 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, next, want string }{
		{"/fhir/_history", "", "self https://x/fhir/_history first https://x/fhir/_history"},
		{"/fhir/Patient/p/_history?_count=2", "a+/=", "self https://x/fhir/Patient/p/_history?_count=2 first https://x/fhir/Patient/p/_history?_count=2 " +
			"next https://x/fhir/Patient/p/_history?_count=2&_page=a%2B%2F%3D"},
		{"/fhir/_history?_page=one&_format=application/fhir%2Bxml&_since=2024", "two", "self https://x/fhir/_history?_format=application%2Ffhir%2Bxml&_page=one&_since=2024 " +
			"first https://x/fhir/_history?_format=application%2Ffhir%2Bxml&_since=2024 next https://x/fhir/_history?_format=application%2Ffhir%2Bxml&_page=two&_since=2024"},
	} {
		var got []string
		for _, l := range links("https://x/fhir", httptest.NewRequest("GET", tt.target, nil), tt.next) {
			got = append(got, l.Relation, l.URL)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s:\n%v, want\n%s", tt.target, got, tt.want)
		}
	}
}

func TestHistoryEntry(t *testing.T) {
	t.Parallel()
	k := fhir.Key{Type: "Patient", ID: "p"}
	updated := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		op    store.Op
		fresh bool
		want  string
	}{
		{store.Create, true, "POST Patient 201 Created"},
		{store.Update, true, "PUT Patient/p 201 Created"},
		{store.Update, false, "PUT Patient/p 200 OK"},
		{store.Patch, false, "PATCH Patient/p 200 OK"},
		{store.Delete, false, "DELETE Patient/p 204 No Content"},
	} {
		e := historyEntry(&store.Version{Key: k, Number: 7, Updated: updated, Op: tt.op, Fresh: tt.fresh})
		if got := fmt.Sprint(e.Method, " ", e.URL, " ", e.Status); got != tt.want || e.ETag != `W/"7"` || !e.LastModified.Equal(updated) {
			t.Errorf("%c: %s %s %v, want %s", tt.op, got, e.ETag, e.LastModified, tt.want)
		}
	}
}

// newServer returns a Server whose Engine has no database, for requests that
// need none.
func newServer(t testing.TB, c Config) *Server {
	t.Helper()
	if c.Engine == nil {
		c.Engine = interaction.New(interaction.Config{})
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func answer(s *Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// trustAll takes whoever sends a request for a trusted system.
func trustAll(*http.Request) (access.Grant, error) { return access.Trusted("test"), nil }
