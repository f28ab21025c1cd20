package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/api/web"
)

// asBrowser is what a browser accepts.
const asBrowser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

// TestPages: browsers get a page where others are told that there is nothing, and
// where the API is.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Pages: map[string]http.Handler{web.FrontPath: web.Open("/fhir")}})
	for _, tt := range []struct {
		request, accept string
		page            bool
	}{
		{"GET /", asBrowser, true},
		{"HEAD /", asBrowser, true},
		{"GET /?_format=html", "Accept: application/json", true},
		{"GET /", "Accept: */*", false},
		{"GET /", "Accept: application/fhir+json", false},
		{"GET /", "Accept: application/fhir+json, text/html;q=0.5", false},
		{"GET /?_format=json", asBrowser, false},
		{"GET /", "Accept: image/png", false},
		{"POST /", asBrowser, false},
		{"GET //", asBrowser, false},
		{"GET /demo/callback", asBrowser, false},
		{"GET /nothing", asBrowser, false},
	} {
		w := ask(s, tt.request, "", tt.accept)
		if tt.page {
			if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Vary") != "Accept" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s %s: %d %v", tt.request, tt.accept, w.Code, w.Header())
			}
			continue
		}
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "the FHIR API is under /fhir") || !strings.Contains(w.Header().Get("Vary"), "Accept") {
			t.Errorf("%s %s: %d %v %s", tt.request, tt.accept, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(s, "GET /?x="+strings.Repeat("x", maxAuthURL), "", asBrowser); w.Code != http.StatusRequestURITooLong {
		t.Errorf("a long address: %d", w.Code)
	}
}

// TestHeadings: what a browser is shown is headed by what it is, below the API and
// beside it, and leads to the page about the server if there is one.
func TestHeadings(t *testing.T) {
	t.Parallel()
	with := newServer(t, Config{Pages: map[string]http.Handler{web.FrontPath: web.Open("/fhir")}})
	without := newServer(t, Config{})
	for path, heading := range map[string]string{
		"/fhir": "FHIR API", "/fhir/": "FHIR API", "/fhir/Patient/1": "Patient/1", "/fhir/Patient": "Patient", "/fhir/metadata": "metadata",
		"/Patient/1": "There is nothing here", "/nothing/here": "There is nothing here", "/fhirs/Patient": "There is nothing here",
	} {
		for s, front := range map[*Server]bool{with: true, without: false} {
			body := ask(s, "GET "+path, "", asBrowser).Body.String()
			if !strings.Contains(body, "<h1><bdi>"+heading+"</bdi>") || strings.Contains(body, `<a href="/">`) != front {
				t.Errorf("%s, with a page about the server %t: %s", path, front, body[:min(len(body), 8000)])
			}
		}
	}
	if body := ask(without, "GET /", "", asBrowser).Body.String(); !strings.Contains(body, "There is nothing here") {
		t.Errorf("without a page there is one: %s", body)
	}
}

// TestPagesAreBound: a page waits with what belongs to signing in, not with the API.
func TestPagesAreBound(t *testing.T) {
	t.Parallel()
	s := newServer(t, Config{Pages: map[string]http.Handler{web.FrontPath: web.Open("/fhir")}})
	if !s.signing.TryAcquire(maxSigning) {
		t.Fatal("somebody is signing in")
	}
	defer s.signing.Release(maxSigning)
	w := ask(s, "GET /", "", asBrowser)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	r := httptest.NewRecorder()
	s.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/fhir/metadata", nil))
	if r.Code != http.StatusOK {
		t.Errorf("the API: %d", r.Code)
	}
}
