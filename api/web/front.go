package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
)

const (
	// FrontPath is where the page is that says what the server is.
	FrontPath = "/"

	// DemoPath is where the app of a demo takes the answer to its request.
	DemoPath = "/demo/callback"
)

// A Demo is what the pages tell of a server that is there to be tried, whose
// passwords everybody knows.
type Demo struct {
	People   []login.Account // who may sign in
	Password string          // of all of them
	Patient  string          // id of a patient to try things with
	Client   string          // id of a public app that is redirected to DemoPath of the issuer
}

// Paths lists the addresses beside [Patterns] at which [New] serves a page by GET:
// FrontPath, unless the FHIR API itself is there, and in a demo DemoPath.
func Paths(c Config) []string {
	var paths []string
	if strings.TrimSuffix(c.Server.FHIRBase(), "/") != strings.TrimSuffix(c.Issuer, "/") {
		paths = append(paths, FrontPath)
	}
	if c.Demo != nil {
		paths = append(paths, DemoPath)
	}
	return paths
}

// Open returns the handler of the page at FrontPath for a server that has no
// sign-in. The FHIR API is at base, a path such as "/fhir" or a whole address.
func Open(base string) http.Handler {
	d := &desk{Config: Config{}.withDefaults()}
	return dressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.show(w, r, sheet{Title: frontTitle, Body: front{Base: base, Open: true}}, "front")
	}))
}

const frontTitle = "Online consultations in FHIR"

// A front is what the page about the server shows. It is for everybody, so it
// says nothing of what is stored.
type front struct {
	Base string // address of the FHIR API without a last slash
	Open bool   // there is no sign-in
	Demo *demo  // nil for a server that is no demo
}

// A demo is what the pages say of a [Demo].
type demo struct {
	*Demo
	Try string // leads to the page that asks whether the demo's app may come in
}

// Kind says in a word who an account is for.
func (demo) Kind(a login.Account) string {
	if a.Staff {
		return "clinician"
	}
	return "patient"
}

// front shows what the server is, and how to go on.
func (d *desk) front(w http.ResponseWriter, r *http.Request) {
	d.tell(w, r, sheet{Title: frontTitle, Body: front{Base: d.base(), Demo: d.demo()}}, "front")
}

// A reply is what the demo's app has got.
type reply struct {
	Code, Refused          bool
	Token, Redirect, Proof string // what the code is to be sent to, and with
	Client, Try, Base      string
}

// replied stands in for the demo's app when it gets its answer. It shows nothing
// of it: anybody may have made the address.
func (d *desk) replied(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	body := reply{
		Code: q.Has("code"), Refused: q.Has("error"), Token: d.Issuer + oauth.TokenPath, Redirect: d.Issuer + DemoPath,
		Proof: demoVerifier, Client: d.Demo.Client, Try: d.demo().Try, Base: d.base(),
	}
	s := sheet{Title: "Here the demo app gets its answer", Body: body}
	switch {
	case body.Code:
		s.Title = "The demo app has a code"
	case body.Refused:
		s.Title = "The demo app was not let in"
	}
	d.tell(w, r, s, "demo")
}

// tell shows a page that is for everybody, with the name of who is signed in.
func (d *desk) tell(w http.ResponseWriter, r *http.Request, s sheet, page string) {
	v := &visit{cookie: d.cookie(r, sessionCookie)}
	if err := d.find(r, v); err != nil {
		d.fail(w, r, err)
		return
	}
	s.of(v)
	d.show(w, r, s, page)
}

// base returns the address of the FHIR API without a last slash.
func (d *desk) base() string { return strings.TrimSuffix(d.Server.FHIRBase(), "/") }

// demoVerifier proves that a code is brought by who has asked for it. That of an
// app is a secret of its own, new for each request.
// https://www.rfc-editor.org/rfc/rfc7636#section-4.1
const demoVerifier = "everybody-knows-the-verifier-of-the-demo-app"

// demo returns what the pages say of the demo, nil if there is none.
func (d *desk) demo() *demo {
	if d.Demo == nil {
		return nil
	}
	challenge := sha256.Sum256([]byte(demoVerifier))
	request := url.Values{
		"response_type": {"code"}, "client_id": {d.Demo.Client}, "redirect_uri": {d.Issuer + DemoPath}, "aud": {d.base()}, "state": {"demo"},
		"scope":          {"openid fhirUser launch/patient patient/*.rs"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	return &demo{Demo: d.Demo, Try: oauth.AuthorizePath + "?" + request.Encode()}
}
