package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// allowed are all permissions.
const allPermissions = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch

// tokens are who sends requests, by their tokens.
type tokens map[string]access.Grant

func (t tokens) caller(r *http.Request) (access.Grant, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if g, known := t[token]; ok && known {
		return g, nil
	}
	return access.Grant{}, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Send a good access token.")
}

func patientGrant(id string, allows access.Permission, types ...string) access.Grant {
	k := fhir.Key{Type: "Patient", ID: id}
	t := access.Terms{Client: "app", ID: "grant " + id, User: k, Patient: k, Standings: map[access.Context]access.Standing{
		access.ForPatient: {Parties: []access.Key{{Kind: access.Open}, {Kind: access.Patient, Of: k.String()}, {Kind: access.Author, Of: k.String()}}, Denied: access.DeniedLabels(nil, true)},
	}}
	for _, typ := range types {
		t.Scopes = append(t.Scopes, access.Scope{Context: access.ForPatient, Type: typ, Allows: allows})
	}
	return access.NewGrant(t)
}

func operatorGrant() access.Grant {
	return access.NewGrant(access.Terms{
		Client: "operator", Roles: access.Operate | access.Labels, Scopes: []access.Scope{{Context: access.ForSystem, Type: "*", Allows: allPermissions}},
		Standings: map[access.Context]access.Standing{access.ForSystem: {All: true}},
	})
}

// guarded returns a Server on which Patients visible1 and hidden-1, with an
// Observation each, are known to the tokens of these names; root is trusted.
func guarded(t *testing.T, c Config) *Server {
	t.Helper()
	data, err := store.Open(t.Context(), store.Config{DSN: pgtest.New(t).DSN, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	known := tokens{
		"root": access.Trusted("root"), "visible1": patientGrant("visible1", allPermissions, "*"), "hidden-1": patientGrant("hidden-1", allPermissions, "*"),
		"narrow": patientGrant("visible1", access.MayRead, "Observation"), "writer": patientGrant("visible1", access.MayCreate|access.MayUpdate, "Communication"), "operator": operatorGrant(),
	}
	c.Engine, c.Caller, c.Purge = interaction.New(interaction.Config{Store: data}), known.caller, true
	c.GrantOf = func(_ context.Context, a Asked) (access.Grant, error) {
		g, ok := known[a.Token+a.Client]
		if !ok {
			return g, fhir.Errorf(fhir.Unauthorized, fhir.Login, "", "Send a good access token.")
		}
		return g, nil
	}
	s := newServer(t, c)
	for _, id := range []string{"visible1", "hidden-1"} {
		for _, body := range []string{patientBody(id), observationBody(id), strings.Replace(observationBody(id), "final", "amended", 1)} {
			name := strings.Split(body, `"`)
			if w := by(s, "root").ask("PUT /fhir/"+name[3]+"/"+id, body, fhirJSON); w.Code >= 300 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
	}
	return s
}

func patientBody(id string) string {
	return `{"resourceType":"Patient","id":"` + id + `","name":[{"family":"Secret"}]}`
}

func observationBody(id string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"secret"},"subject":{"reference":"Patient/` + id + `"}}`
}

// ask sends a request with a token and always the same id.
func (b holder) ask(request, body string, headers ...string) *httptest.ResponseRecorder {
	return ask(b.server, request, body, append(headers, "Authorization: Bearer "+b.token, "X-Request-Id: same")...)
}

// A holder sends requests with a token.
type holder struct {
	server *Server
	token  string
}

func by(s *Server, token string) holder { return holder{s, token} }

// raw writes an answer down to the last byte.
func raw(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintln(&b, w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintln(&b, name, w.Header()[name])
	}
	return b.String() + w.Body.String()
}

// TestB6HiddenIsMissing sends each kind of request about what is hidden, about
// what is missing and about what is seen. The first two answers are the same to
// the byte.
func TestB6HiddenIsMissing(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{BaseURL: "https://fhir.example/fhir"})
	const parameters = `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:x","code":"y"}]}}]}`
	for _, tt := range []struct {
		request, body string
		headers       []string
		visible       int
	}{
		{"GET /fhir/Observation/ID", "", nil, 200},
		{"HEAD /fhir/Observation/ID", "", nil, 200},
		{"GET /fhir/Observation/ID?_format=xml", "", nil, 200},
		{"GET /fhir/Observation/ID?_summary=true", "", nil, 200},
		{"GET /fhir/Observation/ID?_pretty=true", "", nil, 200},
		{"GET /fhir/Observation/ID", "", []string{"Accept: text/html"}, 200},
		{"GET /fhir/Observation/ID", "", []string{`If-None-Match: W/"2"`}, 304},
		{"GET /fhir/Observation/ID", "", []string{"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"}, 304},
		{"GET /fhir/Observation/ID", "", []string{`If-Match: W/"7"`}, 412},
		{"GET /fhir/Observation/ID", "", []string{`If-None-Match: nonsense`}, 400},
		{"GET /fhir/Observation/ID?_at=2999", "", nil, 200},
		{"GET /fhir/Observation/ID/_history", "", nil, 200},
		{"GET /fhir/Observation/ID/_history?_count=1", "", nil, 200},
		{"GET /fhir/Observation/ID/_history/1", "", nil, 200},
		{"GET /fhir/Observation/ID/_history/1", "", []string{`If-None-Match: W/"1"`}, 304},
		{"GET /fhir/Observation/ID/$meta", "", nil, 200},
		{"GET /fhir/Patient/ID", "", nil, 200},
		{"GET /fhir/Observation?_id=ID", "", nil, 200},
		{"GET /fhir/Patient/ID/Observation", "", nil, 200},
		{"GET /fhir/Observation?subject=Patient/ID", "", nil, 200},
		{"POST /fhir/Observation/_search", "_id=ID", []string{"Content-Type: application/x-www-form-urlencoded"}, 200},
		{"PUT /fhir/Observation/ID", observationBody("ID"), []string{fhirJSON}, 403},
		{"PUT /fhir/Observation/ID", observationBody("ID"), []string{fhirJSON, `If-Match: W/"1"`}, 412},
		{"PUT /fhir/Observation/ID", observationBody("ID"), []string{fhirJSON, "If-None-Match: *"}, 412},
		{"PATCH /fhir/Observation/ID", `[]`, []string{"Content-Type: application/json-patch+json"}, 403},
		{"DELETE /fhir/Observation/ID", "", []string{`If-Match: W/"7"`}, 403},
		{"DELETE /fhir/Observation/ID", "", []string{"Prefer: return=OperationOutcome"}, 403},
		{"DELETE /fhir/Observation?_id=ID", "", []string{`If-Match: W/"7"`}, 412},
		{"POST /fhir/Observation/ID/$meta-add", parameters, []string{fhirJSON}, 403},
		{"POST /fhir/Observation/ID/$meta-delete", parameters, []string{fhirJSON}, 403},
	} {
		get := func(id string) *httptest.ResponseRecorder {
			return by(s, "visible1").ask(strings.ReplaceAll(tt.request, "ID", id), strings.ReplaceAll(tt.body, "ID", id), tt.headers...)
		}
		hidden, missing := get("hidden-1"), get("missing1")
		if h, m := strings.ReplaceAll(raw(hidden), "hidden-1", "missing1"), raw(missing); steady(h) != steady(m) {
			t.Errorf("%s %v: hidden\n%s\nmissing\n%s", tt.request, tt.headers, h, m)
		}
		// Only what one has asked by oneself is repeated.
		if !strings.Contains(tt.request, "?") && !strings.Contains(tt.request, "_search") && !slices.Contains(tt.headers, "Accept: text/html") && strings.Count(raw(hidden), "hidden-1") > strings.Count(tt.request, "/Patient/ID/")*3 {
			t.Errorf("%s: the answer repeats the id: %s", tt.request, raw(hidden))
		}
		if w := get("visible1"); w.Code != tt.visible {
			t.Errorf("%s %v: %d for what is seen, want %d: %s", tt.request, tt.headers, w.Code, tt.visible, w.Body)
		}
	}
	if w := by(s, "root").ask("GET /fhir/Observation/hidden-1", ""); w.Header().Get("Etag") != `W/"2"` {
		t.Errorf("what is hidden was changed: %s", raw(w))
	}
}

// steady leaves out the time of a Bundle, at which nobody wrote anything, and the
// sealed words of its links, which hold what was asked.
func steady(answer string) string {
	return regexp.MustCompile(`"lastUpdated":"[^"]*"|_cursor=[\w-]*`).ReplaceAllString(answer, "")
}

// TestB18NotKept makes sure that nothing that is told under a token is kept.
func TestB18NotKept(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, r := range s.routes() {
		for _, method := range r.methods() {
			for _, token := range []string{"visible1", "narrow", "operator", "wrong"} {
				req := requestTo(r, method)
				req.Header.Set("Authorization", "Bearer "+token)
				w := answer(s, req)
				want := "no-store"
				if r.rule == public {
					want = "no-cache"
				}
				if got := w.Header().Get("Cache-Control"); got != want {
					t.Errorf("%s %s by %s: %d with Cache-Control %s", method, r.path, token, w.Code, got)
				}
				if vary := w.Header().Get("Vary"); !strings.Contains(vary, "Authorization") || !strings.Contains(vary, "Accept") || !strings.Contains(vary, "Prefer") {
					t.Errorf("%s %s by %s: %d with Vary %s", method, r.path, token, w.Code, vary)
				}
			}
		}
	}
}

// TestChallenge wants WWW-Authenticate to say what would help.
func TestChallenge(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, tt := range []struct {
		request string
		header  string
		status  int
		want    string
	}{
		{"GET /fhir/Patient/visible1", "", 401, `Bearer realm="OpenConsult"`},
		{"GET /fhir/Patient/visible1", "Authorization: Bearer wrong", 401, `Bearer realm="OpenConsult", error="invalid_token"`},
		{"GET /fhir/Patient/visible1", "Authorization: Basic eDp5", 401, `Bearer realm="OpenConsult", error="invalid_token"`},
		{"GET /fhir/Patient/visible1", "Authorization: Bearer narrow", 403, `Bearer realm="OpenConsult", error="insufficient_scope"`},
		{"GET /fhir/Observation?subject:Patient.family=x", "Authorization: Bearer narrow", 403, `Bearer realm="OpenConsult", error="insufficient_scope"`},
		{"POST /fhir/$reindex", "Authorization: Bearer visible1", 403, ""},
		{"DELETE /fhir/Observation/visible1", "Authorization: Bearer visible1", 403, ""},
		{"GET /fhir/Patient/hidden-1", "Authorization: Bearer visible1", 404, ""},
		{"GET /fhir/Patient/visible1", "Authorization: Bearer visible1", 200, ""},
		{"GET /fhir/Patient/visible1?access_token=visible1", "", 400, ""},
		{"GET /fhir/Patient/visible1?%61ccess_token=visible1", "Authorization: Bearer visible1", 400, ""},
		{"GET /fhir/Patient?Access_Token=visible1", "Prefer: handling=lenient", 400, ""},
		{"GET /fhir/metadata?access_token=visible1", "", 400, ""},
	} {
		w := ask(s, tt.request, "", tt.header)
		if got := w.Header().Get("WWW-Authenticate"); w.Code != tt.status || got != tt.want {
			t.Errorf("%s %s: %d with %q, want %d with %q", tt.request, tt.header, w.Code, got, tt.status, tt.want)
		}
		if strings.Contains(w.Body.String(), "wrong") || tt.status == 400 && !strings.Contains(w.Body.String(), "Authorization only") {
			t.Errorf("%s: %s", tt.request, w.Body)
		}
	}
	w := by(s, "visible1").ask("POST /fhir/Patient/_search", "_id=x&access_token=visible1", "Content-Type: application/x-www-form-urlencoded", "Prefer: handling=lenient")
	if w.Code != 400 {
		t.Errorf("a token in a form: %d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET /fhir/Patient/visible1", "", "Origin: https://app.example"); !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("scripts may not read the challenge: %v", w.Header())
	}
}

// TestB9Override sends other methods in headers, queries and forms.
func TestB9Override(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	for _, request := range []string{"GET /fhir/Observation/visible1?_method=DELETE", "POST /fhir/Observation/_search?_method=DELETE"} {
		if w := by(s, "root").ask(request, ""); w.Code != 400 {
			t.Errorf("%s: %d", request, w.Code)
		}
	}
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		if w := by(s, "root").ask("GET /fhir/Observation/visible1", "", name+": DELETE"); w.Code != 200 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if w := by(s, "root").ask("GET /fhir/Observation/visible1", ""); w.Code != 200 {
		t.Errorf("it is gone: %d", w.Code)
	}
	batch := `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/hidden-1"}}]}`
	if w := by(s, "visible1").ask("POST /fhir", batch, fhirJSON); w.Code != 200 || !strings.Contains(raw(w), `"status":"404 Not Found"`) || strings.Contains(raw(w), "200 OK") {
		t.Errorf("a batch: %s", raw(w))
	}
}

// TestB10Host sends foreign names of the server: what it says of itself stays.
func TestB10Host(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{BaseURL: "https://fhir.example/fhir"})
	for _, request := range []string{"GET /fhir/Observation", "GET /fhir/Observation?_format=html", "GET /fhir/Observation/visible1/_history", "GET /fhir/metadata"} {
		r := httptest.NewRequest("GET", strings.TrimPrefix(request, "GET "), nil)
		r.Host = "evil.example"
		r.Header.Set("Authorization", "Bearer visible1")
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"} {
			r.Header.Set(name, "evil.example")
		}
		w := answer(s, r)
		if w.Code != 200 || strings.Contains(raw(w), "evil") || !strings.Contains(raw(w), "https://fhir.example/fhir") {
			t.Errorf("%s: %s", request, raw(w))
		}
	}
	w := by(s, "root").ask("POST /fhir/Observation", observationBody("x"), fhirJSON, "Host: evil.example")
	if at := w.Header().Get("Location"); !strings.HasPrefix(at, "https://fhir.example/fhir/Observation/") {
		t.Errorf("Location: %s", at)
	}
}

// TestB12Parsers sends what two parsers read in two ways.
func TestB12Parsers(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	message := func(sender string) string {
		return `{"resourceType":"Communication","status":"completed",` + sender + `,"subject":{"reference":"Patient/visible1"}}`
	}
	own := `"sender":{"reference":"Patient/visible1"}`
	if w := by(s, "visible1").ask("POST /fhir/Communication", message(own), fhirJSON); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, sender := range []string{
		own + `,"sender":{"reference":"Patient/hidden-1"}`,
		own + `,"Sender":{"reference":"Patient/hidden-1"}`,
		own + `,"s\u0065nder":{"reference":"Patient/hidden-1"}`,
		own + `,"__proto__":{"sender":{}}`,
		own + `,"resourceType":"Patient"`,
		"\"sender\":{\"reference\":\"Patient/visible1\xff\"}",
		`"sender":{"reference":"Patient/visible1\ud800"}`,
		`"sender":{"reference":"Patient/visible1","reference":"Patient/hidden-1"}`,
	} {
		if w := by(s, "visible1").ask("POST /fhir/Communication", message(sender), fhirJSON); w.Code != 400 {
			t.Errorf("%s: %d %s", sender, w.Code, w.Body)
		}
	}
	if w := by(s, "root").ask("GET /fhir/Communication?_total=accurate&_count=0", ""); !strings.Contains(w.Body.String(), `"total":1`) {
		t.Errorf("something was stored: %s", w.Body)
	}
}

// isOpen reports whether an address below base is of what the server says of itself.
func isOpen(path string) bool {
	switch path {
	case "/metadata", "/CompartmentDefinition/openconsult-patient", "/$task-machine":
		return true
	}
	return slices.ContainsFunc(publications(), func(p conformance.Published) bool { return "/"+p.Key.String() == path })
}

// TestB16EveryRoute asks the router itself which addresses there are. Without a
// token all but what the server says of itself refuse.
func TestB16EveryRoute(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	fill := strings.NewReplacer(":type", "Patient", ":id", "visible1", ":vid", "1", ":inner", "Observation")
	for _, r := range s.router.Routes() {
		w := ask(s, r.Method+" "+fill.Replace(r.Path), "")
		open := isOpen(strings.TrimPrefix(r.Path, base)) && (r.Method == "GET" || r.Method == "HEAD")
		if open != (w.Code == 200) || !open && w.Code != 401 && w.Code != 405 {
			t.Errorf("%s %s without a token: %d %s", r.Method, r.Path, w.Code, w.Body)
		}
	}
	for _, request := range []string{"POST /fhir/$graphql", "GET /fhir/$export", "POST /fhir/Patient/visible1/$everything", "GET /fhir/Patient/$everything", "GET /fhir/$versions"} {
		if w := by(s, "operator").ask(request, ""); w.Code != 404 && w.Code != 405 && w.Code != 400 {
			t.Errorf("%s: %d %s", request, w.Code, w.Body)
		}
	}
}

// TestB17Paths reaches for what is hidden by odd addresses.
func TestB17Paths(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{Auth: http.NotFoundHandler()})
	for _, path := range []string{
		"/fhir/Patient/hidden-1", "/fhir/Patient/hidden-1/", "/fhir//Patient/hidden-1", "/fhir/Patient//hidden-1", "/fhir/./Patient/hidden-1", "/fhir/x/../Patient/hidden-1",
		"/fhir/Patient/visible1/../hidden-1", "/fhir/Patient%2fhidden-1", "/fhir/Patient%2Fhidden-1", "/fhir/patient/hidden-1", "/FHIR/Patient/hidden-1", "/fhir/Patient/hidden-1;x",
		"/fhir/Patient/visible1/..;/hidden-1", "/fhir/Patient/hidden-1%00", "/fhir/Patient/hidden-1%20", "/fhir/Patient/hidden-1%3f", "/fhir/Patient/%68idden-1", "/auth/../fhir/Patient/hidden-1",
		"/fhir/.well-known/../Patient/hidden-1", "/fhir/Patient/visible1/Patient?_id=hidden-1", "/fhir/Patient/hidden-1/_history/1", "/fhir/Patient/hidden-1/_history/1/",
	} {
		w := by(s, "visible1").ask("GET "+path, "")
		if strings.Contains(w.Body.String(), "Secret") {
			t.Errorf("%s: %d shows what is hidden", path, w.Code)
		}
		if w.Code == 301 || w.Code == 302 || w.Code == 307 || w.Code >= 500 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := by(s, "visible1").ask("GET /fhir/Patient/%76isible1", ""); w.Code != 200 {
		t.Errorf("an escape that means nothing: %d", w.Code)
	}
}

// TestWriterWhoMayNotRead gets nothing back of what it may not read.
func TestWriterWhoMayNotRead(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	body := `{"resourceType":"Communication","status":"in-progress","sender":{"reference":"Patient/visible1"},"subject":{"reference":"Patient/visible1"},"payload":[{"contentString":"Secret"}]}`
	w := by(s, "writer").ask("POST /fhir/Communication", body, fhirJSON)
	if w.Code != 201 || w.Body.Len() > 0 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	at, _, _ := strings.Cut(w.Header().Get("Location"), "/_history")
	path := at[strings.Index(at, "/fhir/"):]
	ops := `[{"op":"replace","path":"/status","value":"on-hold"}]`
	if w := by(s, "writer").ask("PATCH "+path, ops, "Content-Type: application/json-patch+json"); w.Code != 200 || w.Body.Len() > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := by(s, "writer").ask("GET "+path, ""); w.Code != 403 {
		t.Errorf("a read: %d", w.Code)
	}
	if w := by(s, "visible1").ask("GET "+path, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "on-hold") {
		t.Errorf("a read by who may: %d %s", w.Code, w.Body)
	}
	if w := by(s, "visible1").ask("PATCH "+path, ops, "Content-Type: application/json-patch+json"); w.Code != 200 || !strings.Contains(w.Body.String(), "Secret") {
		t.Errorf("a patch by who may read: %d %s", w.Code, w.Body)
	}
}
