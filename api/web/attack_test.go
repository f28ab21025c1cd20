package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/auth/oauth"
)

// C12: no form of another site does anything, with or without a token.
func TestC12CrossSiteForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("ada", w.request(everything))
	good := p.form("decision", "allow")
	for _, pattern := range Patterns() {
		path, isPost := strings.CutPrefix(pattern, "POST ")
		if !isPost || path == oauth.AuthorizePath {
			continue
		}
		for _, from := range []string{w.app.URL, "https://evil.example", "null"} {
			b.postFrom(from, path, good).wants(t, 403, "Another site")
		}
		if path == "/auth/sign-in" {
			continue
		}
		for _, forged := range []string{"", "x", token("another session"), token(w.people["ada"].ID)} {
			b.post(path, p.form("decision", "allow", "token", forged)).wants(t, 403, "out of date")
		}
	}
	signIn := w.browser(t)
	signIn.get("/auth/sign-in")
	signIn.post("/auth/sign-in", url.Values{"name": {"ada"}, "password": {password}, "token": {token("x")}}).wants(t, 403, "out of date")
	if back := b.post("/auth/consent", good); back.StatusCode != http.StatusSeeOther {
		t.Errorf("the form as it should be: %d", back.StatusCode)
	}
}

// C12: the cross-site form of an app is taken, and needs no cookie.
func TestC12CrossSiteAuthorize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger := &http.Client{Transport: w.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	b := &browser{stranger, t, w}
	p := b.postFrom(w.app.URL, "/auth/authorize", w.request(everything))
	to := p.Header.Get("Location")
	if p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/auth/continue?request=") || len(p.Cookies()) > 0 {
		t.Fatalf("%d to %s", p.StatusCode, to)
	}
	signedIn := w.browser(t)
	signedIn.signIn("ada", nil)
	signedIn.get(to).wants(t, 200, "Allow Growth")
}

// C13: no page can be framed. Every test of this package looks at these headers
// on every answer; here are the kinds of answers.
func TestC13NoFrames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	pages := []*page{b.get("/auth/sign-in"), b.get("/auth/nothing"), b.get("/auth/sign-out"), b.get("/auth/authorize"), b.signIn("ada", w.request(everything)), b.get("/auth/apps"), b.postFrom("https://evil.example", "/auth/apps", nil)}
	for _, p := range pages {
		if p.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(p.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s can be framed", p.Request.URL.Path)
		}
	}
}

// C14: a session that an attacker has planted does not become the victim's.
func TestC14SessionFixation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attacker, victim := w.browser(t), w.browser(t)
	attacker.signIn("gp", nil)
	here, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	victim.Jar.SetCookies(here, attacker.Jar.Cookies(here))
	planted := attacker.Jar.Cookies(here)
	victim.signIn("ada", nil).wants(t, 200, "Person ada")
	for _, c := range planted {
		for _, now := range victim.Jar.Cookies(here) {
			if c.Value == now.Value {
				t.Errorf("the cookie %s was kept", c.Name)
			}
		}
	}
	if p := attacker.get("/auth/apps"); p.title() != "Sign in - OpenConsult" {
		t.Errorf("the planted session goes on: %s", p.title())
	}
	for _, c := range victim.Jar.Cookies(here) {
		if !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("the cookie %s can be planted", c.Name)
		}
	}
}

// C14: nobody is signed in as somebody else without noticing (login CSRF).
func TestC14LoginCSRF(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attacker, victim := w.browser(t), w.browser(t)
	form := attacker.get("/auth/sign-in").form("name", "gp", "password", password)
	victim.post("/auth/sign-in", form).wants(t, 403, "out of date")
	victim.get("/auth/sign-in")
	victim.post("/auth/sign-in", form).wants(t, 403, "out of date")
}

// C14: the cookie's attributes, over https and over http.
func TestC14Cookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		issuer, name string
		secure       bool
	}{
		{w.URL, "__Host-openconsult-session", true},
		{"http://localhost:8080", "openconsult-session", false},
	} {
		h := New(Config{Issuer: tt.issuer, Login: w.login, Server: w.oauth})
		first := httptest.NewRecorder()
		h.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/auth/sign-in", nil))
		form := (&page{nil, first.Body.String()}).form("name", "ada", "password", password)
		r := httptest.NewRequest(http.MethodPost, "/auth/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range first.Result().Cookies() {
			r.AddCookie(c)
		}
		second := httptest.NewRecorder()
		h.ServeHTTP(second, r)
		found := false
		for _, c := range second.Result().Cookies() {
			if !c.HttpOnly || c.Secure != tt.secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("%s: %+v", tt.issuer, c)
			}
			found = found || c.Name == tt.name
		}
		if !found {
			t.Errorf("%s: there is no %s: %d", tt.issuer, tt.name, second.Code)
		}
	}
}

// C14: with two cookies of one name, one of them was planted.
func TestC14TwoCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	b.signIn("ada", nil)
	r, err := http.NewRequest(http.MethodGet, w.URL+"/auth/apps", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-openconsult-session", Value: "planted"})
	if p := b.do(r); p.title() != "Sign in - OpenConsult" {
		t.Errorf("%s", p.title())
	}
}

// C15: what an app calls itself is text, and the page says where data goes, what
// a wildcard means, and that access goes on.
func TestC15ConsentSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.browser(t).signIn("ada", w.request("launch/patient offline_access patient/*.cruds"))
	p.wants(t, 200, "Growth &lt;b&gt;Chart&lt;/b&gt;", `id="app-origin"><bdi>`+w.app.URL+"</bdi>", "now and in future", "See, add, change and delete everything in the record", "The app asks for offline access")
	if strings.Contains(p.text, "<b>") {
		t.Error("the name of the app is markup")
	}
	p = w.browser(t).signIn("ada", w.request("launch/patient patient/Patient.rs"))
	p.wants(t, 200, "See personal details")
	if strings.Contains(p.text, "offline access") || strings.Contains(p.text, "in future") {
		t.Error("it warns of what was not asked")
	}
}

// C16: a launch that was made for one person is no good for another.
func TestC16LaunchOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	launch := func() url.Values {
		handle, err := w.oauth.MintLaunch(t.Context(), oauth.Launch{Client: w.client.ID, Account: w.people["gp"].ID, Patient: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		r := w.request("launch patient/Patient.rs")
		r.Set("launch", handle)
		return r
	}
	for _, name := range []string{"carer", "ada"} {
		b := w.browser(t)
		p := b.signIn(name, launch())
		p.wants(t, 403, "opened for somebody else")
		if strings.Contains(p.text, "Lovelace") || p.Header.Get("Location") != "" {
			t.Errorf("%s learns of the context", name)
		}
	}
	b := w.browser(t)
	p := b.signIn("gp", launch())
	p.wants(t, 200, "Allow Growth", "Ada Lovelace")
	if answer := w.redeem(t, b.post("/auth/consent", p.form("decision", "allow"))); answer.Patient != "ada" {
		t.Errorf("%+v", answer)
	}
}

// C17: the page tells no more than the rule does, and holds back who guesses.
func TestC17SignInTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	form := b.get("/auth/sign-in").form()
	body := func(name string) string {
		form.Set("name", name)
		form.Set("password", "a wrong one")
		p := b.post("/auth/sign-in", form)
		if p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, p.StatusCode)
		}
		return strings.ReplaceAll(p.text, name, "NAME")
	}
	if known, unknown := body("carer"), body("quark"); known != unknown {
		t.Errorf("known: %s\nunknown: %s", known, unknown)
	}
	for range 10 {
		b.post("/auth/sign-in", form)
	}
	b.post("/auth/sign-in", form).wants(t, http.StatusTooManyRequests, "too many tries")
	b.post("/auth/sign-in", url.Values{"token": {form.Get("token")}}).wants(t, 422, "Enter your user name", "Enter your password")
}

// C18: what leads back to the app is in no body, no page tells where it was come
// from, and names that are searched for are in no address.
func TestC18NothingInAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	p := b.signIn("gp", w.request("launch/patient patient/Patient.rs"))
	p = b.post("/auth/choose-patient", p.form("name", "Lovelace", "number", "9434765919"))
	if strings.Contains(p.Request.URL.String(), "Lovelace") || strings.Contains(p.Request.URL.String(), "943") {
		t.Errorf("searched at %s", p.Request.URL)
	}
	if strings.Contains(p.text, "943 476 5919") {
		t.Error("the whole number of a result is shown")
	}
	p = b.post("/auth/choose-patient", p.form("patient", "ada"))
	p = b.post("/auth/consent", p.form("decision", "allow"))
	if p.text != "" || p.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect has the body %q", p.text)
	}
}

// C21: every redirect after a form is a 303, and the page for consent names the
// app's origin, no other page of it does.
func TestC21FormAction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser(t)
	signIn := b.get("/auth/authorize?" + w.request(everything).Encode())
	if csp := signIn.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self'") {
		t.Errorf("the page with the password: %s", csp)
	}
	p := b.post("/auth/sign-in", signIn.form("name", "ada", "password", password))
	if csp := p.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "form-action 'self' "+w.app.URL) {
		t.Errorf("the page for consent: %s", csp)
	}
	p = b.post("/auth/consent", p.form("decision", "allow"))
	if p.StatusCode != http.StatusSeeOther {
		t.Errorf("after consent: %d", p.StatusCode)
	}
	for address, want := range map[string]string{
		"https://a.example/back?x=1": "https://a.example", "http://127.0.0.1:5000/": "http://127.0.0.1:5000", "com.example.app:/back": "com.example.app:", "": "", "://": "",
		"https://a.example;style-src": "",
	} {
		if got := origin(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
