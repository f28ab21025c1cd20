package web

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// authorize takes the request of an app. A cross-site form comes without our
// cookies, so whoever is signed in is looked for after a redirect only.
func (d *desk) authorize(w http.ResponseWriter, r *http.Request) {
	form, ok := d.read(w, r)
	if !ok {
		return
	}
	if err := d.Login.Enter(d.Address(r)); err != nil {
		d.fail(w, r, err)
		return
	}
	request, err := d.Server.Ask(r.Context(), form)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.to(w, r, "/continue", asked(request.ID))
}

// An errand is a visit for the request of an app.
type errand struct {
	*visit
	*oauth.Request
	patient Patient // in context; without an ID there is none, or none yet
}

// errand returns what a signed-in person decides. It sends others to sign in.
func (d *desk) errand(w http.ResponseWriter, r *http.Request) (*errand, bool) {
	v, ok := d.signedIn(w, r)
	if !ok {
		return nil, false
	}
	request, err := d.Server.Asked(r.Context(), v.form.Get("request"))
	if err != nil {
		d.fail(w, r, err)
		return nil, false
	}
	e := &errand{visit: v, Request: request}
	if !fresh(e) {
		d.to(w, r, "/sign-in", asked(request.ID))
		return nil, false
	}
	if l := request.Launch; l != nil && !launchedFor(l, v.Session) {
		d.show(w, r, e.sheet(sheet{Title: "This app was opened for somebody else", Status: http.StatusForbidden, Body: trouble{Lead: "Open it again from your own record system. Nothing was shared with it."}}), "error")
		return nil, false
	}
	return e, true
}

// launchedFor reports whether an EHR has opened an app for the person of a
// session.
func launchedFor(l *oauth.Launch, s *login.Session) bool {
	if l.Account != "" {
		return l.Account == s.Account.ID
	}
	return l.User != (fhir.Key{}) && l.User == s.User
}

// requestLife is how long a request stands, so that its beginning is known.
const requestLife = 10 * time.Minute

// fresh reports whether the person has signed in as lately as the app asks,
// counted from when it asked.
// https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
func fresh(e *errand) bool {
	since := e.Expires.Add(-requestLife)
	if slices.Contains(e.Prompt, "login") || slices.Contains(e.Prompt, "select_account") {
		return !e.Began.Before(since)
	}
	return e.MaxAge == nil || !e.Began.Before(since.Add(-*e.MaxAge))
}

// sheet completes a page of the errand.
func (e *errand) sheet(s sheet) sheet {
	s.of(e.visit)
	s.Request = e.Request.ID
	return s
}

// leading completes a page of the errand whose forms may lead back to the app.
func (e *errand) leading(s sheet) sheet {
	s = e.sheet(s)
	s.app = origin(e.RedirectURI)
	return s
}

// next sends a person to the page that comes next.
func (d *desk) next(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("request")
	if id == "" {
		d.to(w, r, "/apps", nil)
		return
	}
	if request, err := d.Server.Asked(r.Context(), id); err == nil && slices.Contains(request.Prompt, "none") {
		d.silent(w, r, request)
		return
	}
	e, ok := d.errand(w, r)
	switch {
	case !ok:
	case e.User == (fhir.Key{}):
		d.unlinked(w, r, e)
	case !e.NeedsPatient(e.Scopes):
		d.to(w, r, "/consent", asked(id))
	case e.User.Type == "Patient":
		d.to(w, r, "/consent", url.Values{"request": {id}, "patient": {e.User.ID}})
	default:
		d.to(w, r, "/choose-patient", asked(id))
	}
}

// silent refuses a request that allows no page, since there is always one.
func (d *desk) silent(w http.ResponseWriter, r *http.Request, request *oauth.Request) {
	v := &visit{cookie: d.cookie(r, sessionCookie)}
	if err := d.find(r, v); err != nil {
		d.fail(w, r, err)
		return
	}
	code := oauth.ConsentRequired
	if v.Session == nil || !fresh(&errand{visit: v, Request: request}) {
		code = oauth.LoginRequired
	}
	d.turnDown(w, r, request.ID, code)
}

// refuse tells the app that the person has said no.
func (d *desk) refuse(w http.ResponseWriter, r *http.Request) {
	if v, ok := d.signedIn(w, r); ok {
		d.turnDown(w, r, v.form.Get("request"), oauth.AccessDenied)
	}
}

func (d *desk) turnDown(w http.ResponseWriter, r *http.Request, request, code string) {
	address, err := d.Server.Refuse(r.Context(), request, code)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	away(w, address)
}

// A dead end, and the way out of it.
type deadEnd struct{ Why, Do string }

// unlinked tells somebody who is signed in why no record opens.
func (d *desk) unlinked(w http.ResponseWriter, r *http.Request, e *errand) {
	s := e.leading(sheet{Title: "You are not connected to a record", Status: http.StatusForbidden, Body: reason(e.Session)})
	d.show(w, r, s, "unlinked")
}

// reason says in words why a session speaks for nobody.
func reason(s *login.Session) deadEnd {
	who := "your practice"
	if s.Account.Staff {
		who = "your administrator"
	}
	switch s.Unlinked {
	case login.WeakAssurance:
		return deadEnd{"You signed in in a way that does not prove well enough who you are.", "Sign in again, and prove your identity fully when you are asked to."}
	case login.NoIdentifier:
		return deadEnd{"The service that you signed in with did not tell us your number in the register of patients or staff.", "Check that your account there is complete and that you agreed to share it, then sign in again."}
	case login.NoRecord:
		return deadEnd{"Nobody with your number is registered here.", "Ask " + who + " whether you are registered, and whether your number is right."}
	case login.SeveralFound:
		return deadEnd{"More than one record here has your number, so we cannot tell which one is yours.", "Tell " + who + ", so that they can put this right."}
	}
	return deadEnd{"Your account has not been linked to you in the register of patients or staff.", "Ask " + who + " to link it."}
}
