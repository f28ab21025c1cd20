package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
)

// newDemo has the pages of w be those of a demo, with an app of its own.
func (w *world) newDemo(t *testing.T) {
	t.Helper()
	if _, _, err := w.oauth.AddClient(t.Context(), oauth.Client{
		ID: "demo", Name: "Demo app", Public: true, Native: true, RedirectURIs: []string{w.URL + DemoPath}, Active: true, Scopes: "openid fhirUser launch/patient patient/*.cruds",
	}); err != nil {
		t.Fatal(err)
	}
	w.serve(t, &Demo{People: []login.Account{w.people["ada"], w.people["gp"]}, Password: password, Patient: "ada", Client: "demo"})
}

// href returns where the link with an id leads.
func (p *page) href(t *testing.T, id string) string {
	t.Helper()
	to := ""
	p.each("a", func(a map[string]string) {
		if a["id"] == id {
			to = a["href"]
		}
	})
	if to == "" {
		t.Fatalf("%s has no link %s:\n%s", p.Request.URL.Path, id, p.text)
	}
	return to
}

// lacks fails the test if the page says one of the texts.
func (p *page) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(p.text, text) {
			t.Errorf("%s says %q", p.Request.URL, text)
		}
	}
}

// TestFront: the page about the server says the same to everybody, and to who is
// signed in that they are.
func TestFront(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.get("/")
	p.wants(t, http.StatusOK, w.URL+"/fhir</code>", "openconsult token", "openconsult client add", "Sign in")
	p.lacks(t, "demo", password, "Person", "There is no sign-in")
	if to := p.href(t, "to-metadata"); to != w.URL+"/fhir/metadata" {
		t.Errorf("the CapabilityStatement is at %s", to)
	}
	b.get(p.href(t, "to-sign-in")).wants(t, http.StatusOK, "User name")
	b.signIn("ada", nil).wants(t, http.StatusOK, "You and your apps", "Person ada", "Patient/ada")
	p = b.get("/")
	p.wants(t, http.StatusOK, "signed in as <bdi>Person ada")
	b.get(p.href(t, "to-account")).wants(t, http.StatusOK, "You and your apps")
	p.lacks(t, "Ada Lovelace", "to-sign-in")
}

// TestPublicPagesReflectNothing: what stands in an address is in no page that is
// for everybody, and such a page is only for GET and only where it is.
func TestPublicPagesReflectNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDemo(t)
	b := w.browser(t)
	const canary = "canary<script>"
	for _, path := range []string{"/", DemoPath} {
		for _, name := range []string{"code", "state", "error", "error_description", "iss", "x"} {
			b.get(path+"?"+url.Values{name: {canary}}.Encode()).lacks(t, "canary")
		}
		if p := b.post(path, url.Values{"code": {canary}}); p.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, p.StatusCode)
		}
	}
	b.get("/nothing").wants(t, http.StatusNotFound)
	w.serve(t, nil)
	b.get(DemoPath+"?code=x").wants(t, http.StatusNotFound)
}

// TestDemoApp: who comes to a demo finds who can sign in, lets its app in, and gets
// a token with the code, by what the pages say.
func TestDemoApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDemo(t)
	b := w.browser(t)
	p := b.get("/")
	p.wants(t, http.StatusOK, "everybody knows its passwords", "<code>ada</code>", "Person ada</bdi>, patient", "Person gp</bdi>, clinician", password, "openconsult demo")
	p = b.get(p.href(t, "try"))
	p = b.post("/auth/sign-in", p.form("name", "ada", "password", password))
	p.wants(t, http.StatusOK, "Allow Demo app")
	p = b.post("/auth/consent", p.form("decision", "allow"))
	p.wants(t, http.StatusOK, "The demo app has a code", w.URL+oauth.TokenPath, "client_id=demo", "redirect_uri="+w.URL+DemoPath, "code_verifier="+demoVerifier)
	code := p.Request.URL.Query().Get("code")
	p.lacks(t, code)
	answer, err := w.oauth.Token(t.Context(), url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {w.URL + DemoPath}, "client_id": {"demo"}, "code_verifier": {demoVerifier}}, "")
	if err != nil || answer.Patient != "ada" {
		t.Errorf("%+v, %v", answer, err)
	}
	p = b.get("/auth/apps")
	p.wants(t, http.StatusOK, "Demo app", "openconsult token --data-dir DIR --user ada --scope 'patient/*.rs'", w.URL+"/fhir/Patient/ada")
	p = b.get(p.href(t, "try"))
	b.post("/auth/consent", p.form("decision", "refuse")).wants(t, http.StatusOK, "was not let in", "Nothing was shared")
	b.get(DemoPath).wants(t, http.StatusOK, "Here the demo app gets its answer")
}

// TestAccount: the page after signing in says who that is, and promises nothing to
// who is in no record.
func TestAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDemo(t)
	b := w.browser(t)
	b.signIn("gp", nil).wants(t, http.StatusOK, "Practitioner/gp", "user/*.rs", "opens no record", "No app has access")
	p := w.browser(t).signIn("lost", nil)
	p.wants(t, http.StatusOK, "Not connected", "not connected to a record")
	p.lacks(t, "openconsult token")
	w.serve(t, nil)
	p = b.get("/auth/apps")
	p.wants(t, http.StatusOK, "Practitioner/gp", "opens no record")
	p.lacks(t, "openconsult token", "demo")
}

// TestPaths: where the FHIR API itself is at the root there is no page.
func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := func(base string, d *Demo) []string {
		server, err := oauth.Open(t.Context(), w.db, oauth.Config{Issuer: w.URL, FHIRBase: base})
		if err != nil {
			t.Fatal(err)
		}
		return Paths(Config{Issuer: w.URL, Server: server, Demo: d})
	}
	for base, want := range map[string][]string{"/fhir": {"/"}, "/x/fhir": {"/"}, "": nil, "/": nil} {
		if got := at(w.URL+base, nil); !slices.Equal(got, want) {
			t.Errorf("%q: %q", base, got)
		}
	}
	if got := at(w.URL+"/fhir", &Demo{}); !slices.Equal(got, []string{"/", DemoPath}) {
		t.Errorf("a demo has %q", got)
	}
}

// TestOpen: the page of a server without sign-in says so, and leads to what there is.
func TestOpen(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"/fhir", "https://fhir.example.org/fhir"} {
		w := httptest.NewRecorder()
		Open(base).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?x=canary", nil))
		p := &page{w.Result(), w.Body.String()}
		p.Request = httptest.NewRequest(http.MethodGet, "/", nil)
		p.inspect(t)
		p.wants(t, http.StatusOK, "There is no sign-in here", `href="`+base+`/Patient"`, `href="`+base+`/metadata"`)
		p.lacks(t, "/auth/", "canary", "token")
	}
}

// TestHeading: a page that is about no resource is not headed as one.
func TestHeading(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]Page{
		"Patient/1": {Title: "Patient/1", Status: 404}, "There is nothing here": {Status: 404}, "FHIR API": {Status: 401},
	} {
		p.Base, p.JSON = testBase, []byte(`{}`)
		got := string(p.HTML())
		inspect(t, []byte(got))
		if !strings.Contains(got, "<h1><bdi>"+want+"</bdi>") || !strings.Contains(got, "<title>"+want+" - OpenConsult") || strings.Contains(got, "About this server") {
			t.Errorf("%s: %s", want, got)
		}
		p.Front = FrontPath
		if got := string(p.HTML()); !strings.Contains(got, `<a href="/">About this server</a>`) {
			t.Errorf("%s does not lead to the page about the server", want)
		}
	}
}
