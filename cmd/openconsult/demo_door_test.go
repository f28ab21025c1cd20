package main

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestDemoDoor: a browser that comes to the demo is told who can sign in, and its app is let ask.
func TestDemoDoor(t *testing.T) {
	t.Parallel()
	_, base := serveDemo(t)
	ask := func(path string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, originOf(base)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	resp, page := ask("/")
	if resp.StatusCode != http.StatusOK || !strings.Contains(page, base+"</code>") || !strings.Contains(page, demoPassword) {
		t.Errorf("%d %s", resp.StatusCode, page)
	}
	for _, a := range demoAccounts() {
		if !strings.Contains(page, "<code>"+a.Name+"</code>") {
			t.Errorf("the page does not name %s", a.Name)
		}
	}
	m := regexp.MustCompile(`id="try" href="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("there is no app to try")
	}
	if resp, page := ask(html.UnescapeString(m[1])); resp.StatusCode != http.StatusSeeOther || !strings.HasPrefix(resp.Header.Get("Location"), "/auth/continue?") {
		t.Errorf("the demo's app may not ask: %d to %s: %s", resp.StatusCode, resp.Header.Get("Location"), page)
	}
	if resp, page := ask("/demo/callback?code=x"); resp.StatusCode != http.StatusOK || !strings.Contains(page, "has a code") {
		t.Errorf("the demo's app gets no answer: %d %s", resp.StatusCode, page)
	}
}

// TestDemoMoves: a demo that is served at another address than before takes answers there too.
func TestDemoMoves(t *testing.T) {
	t.Parallel()
	const was, is = "http://localhost:8080", "http://localhost:8090"
	authority, err := oauth.Open(t.Context(), pgtest.New(t).DB, oauth.Config{Issuer: is, FHIRBase: is + "/fhir", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{was, is, is} {
		for _, c := range demoClients(origin + "/fhir") {
			if err := makeClient(t.Context(), authority, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := authority.Client(t.Context(), demoPrefix+"app")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.RedirectURIs, " "); got != "http://127.0.0.1/callback http://localhost/callback "+was+"/demo/callback "+is+"/demo/callback" {
		t.Errorf("%s", got)
	}
}
