package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
)

// TestMetaOperations goes through the operations on meta over HTTP.
func TestMetaOperations(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	send := func(operation, parameter string, want int) string {
		t.Helper()
		w := by(s, "operator").ask("POST /fhir/Observation/visible1/"+operation, `{"resourceType":"Parameters","parameter":[`+parameter+`]}`, fhirJSON)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", operation, parameter, w.Code, w.Body, want)
		}
		return w.Body.String()
	}
	const tag = `{"name":"meta","valueMeta":{"tag":[{"system":"urn:x","code":"y"}]}}`
	added := send("$meta-add", tag, 200)
	if !strings.Contains(added, `"name":"return","valueMeta":{"versionId":"3"`) || !strings.Contains(added, `"code":"y"`) {
		t.Error(added)
	}
	w := by(s, "operator").ask("GET /fhir/Observation/visible1/$meta", "")
	if w.Code != 200 || w.Body.String() != added || w.Header().Get("Etag") != `W/"3"` {
		t.Errorf("$meta: %s", raw(w))
	}
	if deleted := send("$meta-delete", tag, 200); strings.Contains(deleted, "tag") {
		t.Error(deleted)
	}
	send("$meta-add", `{"name":"meta","valueString":"x"}`, 400)
	send("$meta-add", `{"name":"other","valueMeta":{"id":"x"}}`, 400)
	send("$meta-add", tag+","+tag, 400)
}

// TestAccessExplain asks why somebody sees something, over HTTP.
func TestAccessExplain(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{})
	send := func(token, of, parameters string) *httptest.ResponseRecorder {
		return by(s, token).ask("POST /fhir/Observation/"+of+"/$access-explain", `{"resourceType":"Parameters","parameter":[`+parameters+`]}`, fhirJSON)
	}
	const of = `{"name":"token","valueString":"visible1"}`
	for _, tt := range []struct {
		token, of, parameters string
		status                int
		says                  string
	}{
		{"operator", "visible1", of, 200, `{"name":"permitted","valueBoolean":true}`},
		{"root", "visible1", of, 200, `"valueString":"patient Patient/visible1"`},
		{"operator", "hidden-1", of, 200, `{"name":"permitted","valueBoolean":false}`},
		{"operator", "visible1", of + `,{"name":"permission","valueCode":"u"}`, 200, `{"name":"permitted","valueBoolean":true}`},
		{"operator", "visible1", `{"name":"client","valueString":"narrow"},{"name":"permission","valueCode":"s"}`, 200, `It lacks the permission s.`},
		{"operator", "missing1", of, 404, "There is no Observation"},
		{"operator", "visible1", `{"name":"token","valueString":"bad"}`, 422, "The token grants nothing."},
		{"operator", "visible1", `{"name":"permission","valueCode":"r"}`, 400, "either a token"},
		{"operator", "visible1", of + `,{"name":"user","valueString":"Practitioner/x"}`, 400, "either a token"},
		{"operator", "visible1", of + "," + of, 400, "each once"},
		{"operator", "visible1", `{"name":"nonsense","valueString":"x"}`, 400, "each once"},
		{"operator", "visible1", of + `,{"name":"permission","valueCode":"x"}`, 400, "permission"},
		{"visible1", "visible1", of, 403, "Only who runs the server"},
	} {
		w := send(tt.token, tt.of, tt.parameters)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || strings.Contains(w.Body.String(), `"bad"`) {
			t.Errorf("%s asks of %s %s: %d %s", tt.token, tt.of, tt.parameters, w.Code, w.Body)
		}
		if _, err := fhir.Decode("", w.Body.Bytes()); err != nil {
			t.Errorf("%s: %v", w.Body, err)
		}
	}
	if w := by(s, "operator").ask("GET /fhir/Observation/visible1/$access-explain?token=visible1", ""); w.Code != 405 {
		t.Errorf("a token in an address: %d %s", w.Code, w.Body)
	}
	if w := ask(newServer(t, Config{Caller: trustAll}), "POST /fhir/Observation/visible1/$access-explain", "{}", fhirJSON); w.Code != 404 && w.Code != 405 {
		t.Errorf("without somebody to ask: %d", w.Code)
	}
}

// TestBesides sends what belongs to signing in to its own handler.
func TestBesides(t *testing.T) {
	t.Parallel()
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/panic" {
			panic("x")
		}
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, "page ", r.URL.Path, " ", len(body), " ", err)
	})
	with, without := newServer(t, Config{Auth: pages}), newServer(t, Config{})
	for _, path := range []string{"/auth/token", "/.well-known/openid-configuration", "/fhir/.well-known/smart-configuration", "/smart/launch"} {
		w := ask(with, "POST "+path, "x=y", "Origin: https://app.example")
		if w.Body.String() != "page "+path+" 3 <nil>" || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Request-Id") == "" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %s", path, raw(w))
		}
		if w := ask(without, "POST "+path, "x=y"); w.Code != 404 && w.Code != 405 {
			t.Errorf("%s without a handler: %d", path, w.Code)
		}
	}
	for _, path := range []string{"/auth", "/authx/", "/fhir/auth/", "/", "/fhir/metadata"} {
		if w := ask(with, "GET "+path, ""); strings.HasPrefix(w.Body.String(), "page") {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	if w := ask(with, "POST /auth/token", strings.Repeat("x", maxAuthBody+1)); !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("a large body: %s", w.Body)
	}
	if w := ask(with, "GET /auth/token?"+strings.Repeat("x", maxAuthURL), ""); w.Code != 414 {
		t.Errorf("a long address: %d", w.Code)
	}
	if w := ask(with, "GET /auth/panic", ""); w.Code != 500 {
		t.Errorf("a panic: %d", w.Code)
	}
}

// TestSecurityStatement has the statement tell how to sign in.
func TestSecurityStatement(t *testing.T) {
	t.Parallel()
	s := guarded(t, Config{Security: &conformance.Security{Authorize: "https://x/auth/authorize", Token: "https://x/auth/token"}})
	w := ask(s, "GET /fhir/metadata", "")
	for _, want := range []string{
		`"code":"SMART-on-FHIR"`, `"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"`, `{"url":"authorize","valueUri":"https://x/auth/authorize"}`, `{"url":"token","valueUri":"https://x/auth/token"}`,
		`"cors":true`, `"name":"meta-delete"`, `"name":"access-explain"`, `"updateCreate":false`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the statement lacks %s", want)
		}
	}
	if strings.Contains(w.Body.String(), `"url":"revoke"`) {
		t.Error("the statement tells an address that is none")
	}
	if w := ask(newServer(t, Config{}), "GET /fhir/metadata", ""); strings.Contains(w.Body.String(), "SMART") || strings.Contains(w.Body.String(), "access-explain") {
		t.Error("the statement of a server without sign-in tells of one")
	}
}
