package web

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

const (
	password = "correct horse battery"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk-0123456789"
)

// A world has pages over https, an app at another origin, and people: ada (a
// patient), carer (of two patients), gp (a practitioner), lost (linked to nobody).
type world struct {
	*httptest.Server
	app    *httptest.Server
	login  *login.Login
	oauth  *oauth.Server
	client oauth.Client
	people map[string]login.Account
	idp    *provider
	pages  atomic.Pointer[http.Handler]
	db     *sql.DB
}

func patients() []Patient {
	return []Patient{
		{ID: "ada", Name: "Ada Lovelace", BirthDate: "1815-12-10", Number: "943 476 5919"},
		{ID: "byron", Name: "Byron King", BirthDate: "1836-05", Number: "9434765870"},
		{ID: "nobody"},
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := pgtest.New(t)
	w := &world{db: db.DB, people: map[string]login.Account{}}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*w.pages.Load()).ServeHTTP(rw, r) }))
	w.StartTLS()
	t.Cleanup(w.Close)
	w.app = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "<title>The app</title><h1 id=arrived>Arrived</h1>")
	}))
	t.Cleanup(w.app.Close)
	w.idp = newProvider(t)
	var err error
	if w.login, err = login.Open(t.Context(), db.DB, login.Config{
		Issuer: w.URL, Cost: login.Cost{MiB: 1, Passes: 1, Lanes: 1}, HTTP: w.idp.Client(), Providers: []login.Provider{w.idp.config()},
		Find: func(context.Context, string, string, string) ([]fhir.Key, error) {
			return []fhir.Key{{Type: "Patient", ID: "ada"}}, nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	w.oauth, err = oauth.Open(t.Context(), db.DB, oauth.Config{Issuer: w.URL, FHIRBase: w.URL + "/fhir", Session: w.login.Alive, Known: func(string, string) bool { return true },
		Sees: func(_ context.Context, user fhir.Key, patient string) (bool, error) {
			return mayHave(user, patient), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	w.populate(t)
	w.serve(t, nil)
	return w
}

// serve has w serve its pages from now on, those of a demo if there is one.
func (w *world) serve(t *testing.T, d *Demo) {
	t.Helper()
	handler := New(Config{Issuer: w.URL, Login: w.login, Server: w.oauth, Patient: findPatient, Patients: ownPatients, Search: searchPatients, Demo: d, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	w.pages.Store(&handler)
}

func (w *world) populate(t *testing.T) {
	t.Helper()
	for name, user := range map[string]string{"ada": "Patient/ada", "carer": "RelatedPerson/c", "gp": "Practitioner/gp", "lost": "/"} {
		typ, id, _ := strings.Cut(user, "/")
		a, err := w.login.AddAccount(t.Context(), login.Account{Name: name, Display: "Person " + name, Staff: name == "gp", User: fhir.Key{Type: typ, ID: id}}, password)
		if err != nil {
			t.Fatal(err)
		}
		w.people[name] = a
	}
	var err error
	w.client, _, err = w.oauth.AddClient(t.Context(), oauth.Client{
		ID: "growth", Name: "Growth <b>Chart</b>", Public: true, RedirectURIs: []string{w.app.URL + "/back"}, LaunchURLs: []string{w.app.URL + "/launch"}, Active: true,
		Scopes: "openid fhirUser launch launch/patient offline_access patient/*.cruds user/*.cruds",
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mayHave(user fhir.Key, patient string) bool {
	switch user.Type {
	case "Patient":
		return user.ID == patient
	case "RelatedPerson":
		return patient == "ada" || patient == "byron"
	}
	return user.Type == "Practitioner" && patient != "hidden"
}

func findPatient(_ context.Context, s *login.Session, id string) (Patient, error) {
	for _, p := range patients() {
		if p.ID == id && mayHave(s.User, id) {
			return p, nil
		}
	}
	return Patient{}, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such patient.")
}

func ownPatients(_ context.Context, s *login.Session) (list []Patient, err error) {
	for _, p := range patients() {
		if mayHave(s.User, p.ID) {
			list = append(list, p)
		}
	}
	return list, nil
}

func searchPatients(_ context.Context, s *login.Session, q Query) (list []Patient, err error) {
	if s.User.Type != "Practitioner" {
		return nil, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only practitioners search.")
	}
	for _, p := range patients() {
		number := strings.ReplaceAll(p.Number, " ", "")
		if strings.Contains(strings.ToLower(p.Name), strings.ToLower(q.Name)) && strings.HasPrefix(p.BirthDate, q.BirthDate) && strings.Contains(number, q.Number) && len(list) < q.Limit {
			list = append(list, p)
		}
	}
	return list, nil
}

// request is what the app asks for.
func (w *world) request(scope string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {w.client.ID}, "redirect_uri": {w.app.URL + "/back"}, "scope": {scope}, "state": {"a state & more"}, "aud": {w.URL + "/fhir"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
}

// A browser follows redirects to the pages, and stops at those to the app.
type browser struct {
	*http.Client
	t *testing.T
	w *world
}

func (w *world) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: w.Client().Transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if "https://"+r.URL.Host != w.URL {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return &browser{c, t, w}
}

// A page is an answer that was read.
type page struct {
	*http.Response
	text string
}

func (b *browser) do(r *http.Request) *page {
	b.t.Helper()
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{resp, string(body)}
	p.inspect(b.t)
	return p
}

func (b *browser) get(path string) *page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.w.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// post sends a form as a browser sends one of our own pages.
func (b *browser) post(path string, form url.Values) *page {
	b.t.Helper()
	return b.postFrom(b.w.URL, path, form)
}

func (b *browser) postFrom(origin, path string, form url.Values) *page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.w.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	if origin != b.w.URL {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	return b.do(r)
}

// form returns the hidden fields and ticks of the page as a browser sends them
// when a button is pressed.
func (p *page) form(more ...string) url.Values {
	v := url.Values{}
	p.each("input", func(a map[string]string) {
		_, checked := a["checked"]
		if a["type"] == "hidden" && !(a["name"] == "token" && v.Has("token")) && !(a["name"] == "request" && v.Has("request")) || checked {
			v.Add(a["name"], a["value"])
		}
	})
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v
}

// each calls f with the attributes of every element of a name.
func (p *page) each(name string, f func(map[string]string)) {
	z := html.NewTokenizer(strings.NewReader(p.text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			if tok := z.Token(); name == "*" || tok.Data == name {
				a := map[string]string{"<": tok.Data}
				for _, attr := range tok.Attr {
					a[attr.Key] = attr.Val
				}
				f(a)
			}
		}
	}
}

var title = regexp.MustCompile(`<title>([^<]*)</title>`)

func (p *page) title() string {
	if m := title.FindStringSubmatch(p.text); m != nil {
		return m[1]
	}
	return ""
}

// inspect holds every page against what all of them promise: no script, nothing
// loaded, a label for every field, one h1, ids once, and the headers.
func (p *page) inspect(t *testing.T) {
	t.Helper()
	at := p.Request.URL.Path
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff"} {
		if p.Header.Get(name) != want {
			t.Errorf("%s: %s is %q", at, name, p.Header.Get(name))
		}
	}
	csp := p.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none';", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%s: the policy %q lacks %s", at, csp, want)
		}
	}
	if p.text == "" {
		return
	}
	seen, labels, h1 := map[string]int{}, map[string]bool{}, 0
	p.each("label", func(a map[string]string) { labels[a["for"]] = true })
	p.each("*", func(a map[string]string) {
		if id := a["id"]; id != "" {
			seen[id]++
		}
		switch a["<"] {
		case "script", "link", "img", "iframe", "object":
			t.Errorf("%s: there is a %s", at, a["<"])
		case "h1":
			h1++
		case "html":
			if a["lang"] == "" {
				t.Errorf("%s: the page has no language", at)
			}
		case "input":
			if a["type"] != "hidden" && !labels[a["id"]] {
				t.Errorf("%s: the field %s has no label", at, a["id"])
			}
		case "button":
			if a["id"] == "" {
				t.Errorf("%s: a button has no id", at)
			}
		}
		for name := range a {
			if strings.HasPrefix(name, "on") || name == "style" {
				t.Errorf("%s: %s has %s", at, a["<"], name)
			}
		}
	})
	for id, n := range seen {
		if n > 1 {
			t.Errorf("%s: the id %s is there %d times", at, id, n)
		}
	}
	if h1 != 1 || !strings.HasSuffix(p.title(), " - OpenConsult") {
		t.Errorf("%s: %d h1, title %q", at, h1, p.title())
	}
	p.references(t, seen)
}

// references makes sure that what labels and descriptions name is there.
func (p *page) references(t *testing.T, ids map[string]int) {
	t.Helper()
	p.each("*", func(a map[string]string) {
		for _, name := range []string{"for", "aria-describedby", "aria-labelledby"} {
			for _, id := range strings.Fields(a[name]) {
				if ids[id] == 0 {
					t.Errorf("%s: %s of a %s names %s, which is not there", p.Request.URL.Path, name, a["<"], id)
				}
			}
		}
		if to, ok := strings.CutPrefix(a["href"], "#"); ok && ids[to] == 0 {
			t.Errorf("%s: a link leads to %s, which is not there", p.Request.URL.Path, to)
		}
	})
}

// signIn begins with the request of an app, or with none, and signs in.
func (b *browser) signIn(name string, request url.Values) *page {
	b.t.Helper()
	path := "/auth/sign-in"
	if request != nil {
		path = "/auth/authorize?" + request.Encode()
	}
	p := b.get(path)
	if p.title() != "Sign in - OpenConsult" {
		b.t.Fatalf("%d %s: %s", p.StatusCode, p.title(), p.text)
	}
	return b.post("/auth/sign-in", p.form("name", name, "password", password))
}

// redeem returns what the app gets for the code that it was sent.
func (w *world) redeem(t *testing.T, p *page) oauth.TokenResponse {
	t.Helper()
	back, err := url.Parse(p.Header.Get("Location"))
	if err != nil || p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(back.String(), w.app.URL+"/back?") {
		t.Fatalf("%d to %s: %s", p.StatusCode, back, p.text)
	}
	q := back.Query()
	if q.Get("state") != "a state & more" || q.Get("iss") != w.URL || q.Get("error") != "" {
		t.Fatalf("sent back with %v", q)
	}
	answer, err := w.oauth.Token(t.Context(), url.Values{"grant_type": {"authorization_code"}, "code": {q.Get("code")}, "redirect_uri": {w.app.URL + "/back"}, "client_id": {w.client.ID}, "code_verifier": {verifier}}, "")
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (p *page) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if p.StatusCode != status {
		t.Errorf("%s answers %d, want %d", p.Request.URL.Path, p.StatusCode, status)
	}
	for _, want := range texts {
		if !strings.Contains(p.text, want) {
			t.Errorf("%s does not say %q:\n%s", p.Request.URL.Path, want, p.text[strings.Index(p.text, "<body"):])
		}
	}
}

const everything = "openid fhirUser launch/patient offline_access patient/Patient.rs patient/Condition.rs patient/Observation.rs"

func TestPatientAllowsAnApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("ada", w.request(everything))
	p.wants(t, 200, "Ada Lovelace", "10 December 1815", "NHS number ending 5919", w.app.URL, "Growth &lt;b&gt;Chart", "Keep access when you are not using the app", "Vital signs")
	answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow")))
	if answer.Scope != everything || answer.Patient != "ada" || answer.RefreshToken == "" || answer.IDToken == "" {
		t.Errorf("%+v", answer)
	}
	p = b.get("/auth/apps")
	p.wants(t, 200, "Growth &lt;b&gt;Chart", "Last used", "Ada Lovelace", "access while you are away")
	id := ""
	p.each("button", func(a map[string]string) { id = a["value"] })
	b.post("/auth/apps", p.form("revoke", id)).wants(t, 200, "has no access any more", "No app has access")
}

func TestPersonAllowsLess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("ada", w.request(everything))
	form := p.form("decision", "allow", "scope-2", "some", "scope-3", "some")
	form["scope"] = []string{"patient/Patient.rs", "identity"}
	p = b.post("/auth/consent", form)
	p.wants(t, 422, "There is a problem", `href="#scope-2-some"`)
	if !strings.HasPrefix(p.title(), "Error: ") || p.form()["scope-3"][0] != "some" || len(p.form()["scope"]) != 2 {
		t.Errorf("%s: %v", p.title(), p.form())
	}
	form["scope-2-kind"], form["scope-3-kind"] = []string{"health-concern"}, []string{"laboratory", "sdoh"}
	answer := w.redeem(t, b.post("/auth/consent", form))
	const want = "patient/Condition.rs?category=http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
	if !strings.Contains(answer.Scope, want) || strings.Contains(answer.Scope, "offline_access") || strings.Contains(answer.Scope+" ", "Observation.rs ") || answer.RefreshToken != "" || answer.Patient != "ada" {
		t.Errorf("%+v", answer)
	}
}

func TestPersonRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	for _, form := range []string{"/auth/consent", "/auth/refuse"} {
		p := b.get("/auth/authorize?" + w.request(everything).Encode())
		if strings.HasPrefix(p.title(), "Sign in") {
			p = b.post("/auth/sign-in", p.form("name", "ada", "password", password))
		}
		p = b.post(form, p.form("decision", "refuse"))
		back := p.Header.Get("Location")
		if p.StatusCode != 303 || !strings.Contains(back, "error=access_denied") || !strings.Contains(back, "state=a+state") {
			t.Errorf("%s: %d to %s", form, p.StatusCode, back)
		}
	}
}

func TestClinicianChoosesAPatient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("gp", w.request("launch/patient patient/*.rs"))
	p.wants(t, 200, "Choose a patient", "NHS number", "Step 1 of 2")
	b.post("/auth/choose-patient", p.form("do", "search")).wants(t, 422, `href="#patient-name"`)
	b.post("/auth/choose-patient", p.form("birth-date", "31 31 1980")).wants(t, 422, `href="#birth-date"`)
	b.post("/auth/choose-patient", p.form("name", "nobody at all")).wants(t, 200, "No patient found")
	b.post("/auth/choose-patient", p.form("name", "xx", "patient", "hidden")).wants(t, 404)
	b.post("/auth/choose-patient", p.form("patient", "../x")).wants(t, 404)
	p = b.post("/auth/choose-patient", p.form("name", "  love", "birth-date", "10/12/1815", "number", "943 476 5919"))
	p.wants(t, 200, "1 patient<", "Ada Lovelace", "5919")
	p = b.post("/auth/choose-patient", p.form("patient", "ada"))
	p.wants(t, 200, "Ada Lovelace", "Step 2 of 2", "now and in future", "Choose another patient")
	if answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow"))); answer.Patient != "ada" {
		t.Errorf("%+v", answer)
	}
	p = b.get("/auth/authorize?" + w.request("user/Task.rs").Encode())
	p.wants(t, 200, "of everybody whose records you have access to")
	if answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow"))); answer.Patient != "" || answer.Scope != "user/Task.rs" {
		t.Errorf("%+v", answer)
	}
}

func TestProxyChoosesAmongPatients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("carer", w.request("launch/patient patient/*.rs"))
	p.wants(t, 200, "2 patients", "Ada Lovelace", "Byron King", "May 1836")
	p = b.post("/auth/choose-patient", p.form("patient", "byron"))
	if answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow"))); answer.Patient != "byron" {
		t.Errorf("%+v", answer)
	}
}

func TestUnlinkedOpensNoRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("lost", w.request(everything))
	p.wants(t, 403, "not connected to a record", "has not been linked")
	request := p.form().Get("request")
	for _, path := range []string{"/auth/consent", "/auth/choose-patient"} {
		b.get(path+"?patient=ada&request="+request).wants(t, 403, "not connected to a record")
		b.post(path, p.form("patient", "ada", "decision", "allow", "scope", "patient/Patient.rs")).wants(t, 403, "not connected to a record")
	}
	if back := b.post("/auth/refuse", p.form()); !strings.Contains(back.Header.Get("Location"), "error=access_denied") {
		t.Errorf("%d to %s", back.StatusCode, back.Header.Get("Location"))
	}
	b.get("/auth/apps").wants(t, 200, "not connected to a record")
}

func TestPatientOfAnotherIsNotGranted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("ada", w.request(everything))
	b.post("/auth/consent", p.form("decision", "allow", "patient", "byron")).wants(t, 404)
	b.get("/auth/consent?patient=byron&request="+p.form().Get("request")).wants(t, 404)
}

func TestPromptAndMaxAge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	ask := func(name, value string) *page {
		r := w.request(everything)
		r.Set(name, value)
		return b.get("/auth/authorize?" + r.Encode())
	}
	if back := ask("prompt", "none").Header.Get("Location"); !strings.Contains(back, "error=login_required") {
		t.Errorf("nobody is signed in: %s", back)
	}
	b.signIn("ada", nil).wants(t, 200, "Your apps")
	if back := ask("prompt", "none").Header.Get("Location"); !strings.Contains(back, "error=consent_required") {
		t.Errorf("nobody was asked: %s", back)
	}
	ask("max_age", "3600").wants(t, 200, "Allow Growth")
	for name, value := range map[string]string{"prompt": "login", "max_age": "0"} {
		p := ask(name, value)
		if p.title() != "Sign in - OpenConsult" {
			t.Errorf("%s=%s: %s", name, value, p.title())
		}
		b.post("/auth/sign-in", p.form("name", "ada", "password", password)).wants(t, 200, "Allow Growth")
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	b.signIn("ada", nil)
	p := b.get("/auth/sign-out")
	b.post("/auth/sign-out", p.form()).wants(t, 200, "You are signed out")
	if p := b.get("/auth/apps"); p.title() != "Sign in - OpenConsult" {
		t.Errorf("after signing out: %s", p.title())
	}
}

// The request of an app that cannot be trusted leads nowhere.
func TestBadRequestsAreShownNotRedirected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	for name, value := range map[string]string{"client_id": "unknown", "redirect_uri": "https://evil.example/back"} {
		r := w.request(everything)
		r.Set(name, value)
		p := b.get("/auth/authorize?" + r.Encode())
		p.wants(t, 400, "cannot be connected")
		if p.Header.Get("Location") != "" || strings.Contains(p.text, "href=\"https://evil") {
			t.Errorf("%s: leads to %s", name, p.Header.Get("Location"))
		}
	}
	b.get("/auth/continue?request=forged").wants(t, 400, "cannot be connected")
	b.get("/auth/nothing").wants(t, 404)
	r := w.request(everything)
	r.Set("aud", "https://inferno.healthit.gov/invalid_aud")
	p := b.get("/auth/authorize?" + r.Encode())
	if strings.Contains(p.Header.Get("Location"), "code=") || p.StatusCode == 200 {
		t.Errorf("a wrong aud: %d to %s", p.StatusCode, p.Header.Get("Location"))
	}
}

func TestDefaultsDeny(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	if _, err := c.Patient(t.Context(), &login.Session{}, "ada"); fhir.AsOutcome(err) == nil {
		t.Errorf("a patient without a rule: %v", err)
	}
	if list, err := c.Search(t.Context(), &login.Session{}, Query{Name: "a"}); len(list) > 0 || err != nil {
		t.Errorf("%v, %v", list, err)
	}
	if c.Now().Before(time.Now().Add(-time.Minute)) {
		t.Error("the clock is wrong")
	}
}
