package web

import (
	"net/http"
	"strings"

	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
)

// A door is what the page for signing in shows.
type door struct {
	App       string // that wants to connect; may be empty
	Name      string // as it was typed
	Providers []login.Provider
}

func (d *desk) signInForm(w http.ResponseWriter, r *http.Request) {
	form, ok := d.read(w, r)
	if ok {
		d.door(w, r, sheet{Request: form.Get("request")}, "")
	}
}

// door shows the page for signing in.
func (d *desk) door(w http.ResponseWriter, r *http.Request, s sheet, name string) {
	s.Title = "Sign in"
	body := door{Name: name, Providers: d.Login.Providers()}
	if s.Request != "" {
		request, err := d.Server.Asked(r.Context(), s.Request)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		body.App = request.Client.Name
	}
	s.Token, s.Body = token(d.browser(w, r)), body
	d.show(w, r, s, "sign-in")
}

// signIn takes what was typed. All that is wrong with it is told in one way.
func (d *desk) signIn(w http.ResponseWriter, r *http.Request) {
	form, ok := d.read(w, r)
	if !ok {
		return
	}
	s := sheet{Request: form.Get("request")}
	if !genuine(form, d.cookie(r, visitCookie)) {
		d.stale(w, r, &visit{form: form})
		return
	}
	given := login.Credentials{Name: form.Get("name"), Password: form.Get("password"), Code: form.Get("code")}
	if s.Problems = missingCredentials(given); s.Problems != nil {
		d.door(w, r, s, given.Name)
		return
	}
	account, err := d.Login.SignIn(r.Context(), given, d.Address(r))
	switch o := fhir.AsOutcome(err); {
	case err == nil:
		d.begin(w, r, login.Proved(account), s.Request)
	case o != nil && (o.Class == fhir.Unauthorized || o.Class == fhir.Busy):
		if err := d.Note(r.Context(), Event{Failed: true, Address: d.Address(r)}); err != nil {
			d.fail(w, r, err)
			return
		}
		s.Problems = []problem{{"", o.Issues[0].Text}}
		s.Status = status(o.Class)
		d.door(w, r, s, given.Name)
	default:
		d.fail(w, r, err)
	}
}

func missingCredentials(c login.Credentials) (list []problem) {
	if strings.TrimSpace(c.Name) == "" {
		list = append(list, problem{"name", "Enter your user name."})
	}
	if c.Password == "" {
		list = append(list, problem{"password", "Enter your password."})
	}
	return list
}

// begin starts a session under a new cookie, whatever cookie the browser had.
func (d *desk) begin(w http.ResponseWriter, r *http.Request, p login.Proof, request string) {
	if err := d.end(r); err != nil {
		d.fail(w, r, err)
		return
	}
	if err := d.Note(r.Context(), Event{Account: p.Account.ID, User: p.User, Provider: p.Provider, Address: d.Address(r)}); err != nil {
		d.fail(w, r, err)
		return
	}
	cookie, err := d.Login.Begin(r.Context(), p)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.setCookie(w, sessionCookie, cookie)
	d.setCookie(w, visitCookie, "")
	d.to(w, r, "/continue", asked(request))
}

// end ends the session that the browser has, with the access of apps that hangs
// on it.
func (d *desk) end(r *http.Request) error {
	v := &visit{cookie: d.cookie(r, sessionCookie)}
	if err := d.find(r, v); err != nil || v.Session == nil {
		return err
	}
	if err := d.Note(r.Context(), Event{Out: true, Account: v.Account.ID, User: v.User, Address: d.Address(r)}); err != nil {
		return err
	}
	if err := d.Server.EndSession(r.Context(), v.ID); err != nil {
		return err
	}
	return d.Login.End(r.Context(), v.cookie)
}

// depart sends somebody to sign in at a provider.
func (d *desk) depart(w http.ResponseWriter, r *http.Request) {
	if err := d.Login.Enter(d.Address(r)); err != nil {
		d.fail(w, r, err)
		return
	}
	address, err := d.Login.Depart(r.Context(), r.PathValue("provider"), d.browser(w, r), r.URL.Query().Get("request"))
	if err != nil {
		d.fail(w, r, err)
		return
	}
	away(w, address)
}

// arrive takes somebody back from a provider.
func (d *desk) arrive(w http.ResponseWriter, r *http.Request) {
	proof, request, err := d.Login.Arrive(r.Context(), r.PathValue("provider"), d.cookie(r, visitCookie), r.URL.Query())
	o := fhir.AsOutcome(err)
	switch {
	case err == nil:
		d.begin(w, r, proof, request)
	case o != nil && o.Class != fhir.Unknown:
		if o.Class == fhir.Unavailable {
			d.Log.WarnContext(r.Context(), "nobody can sign in at a provider", "error", err)
		}
		d.door(w, r, sheet{Request: request, Status: status(o.Class), Problems: []problem{{"", o.Issues[0].Text}}}, "")
	default:
		d.fail(w, r, err)
	}
}

func (d *desk) signOutForm(w http.ResponseWriter, r *http.Request) {
	v := &visit{cookie: d.cookie(r, sessionCookie)}
	if err := d.find(r, v); err != nil {
		d.fail(w, r, err)
		return
	}
	if v.Session == nil {
		d.show(w, r, sheet{Title: "Signed out", Body: true}, "sign-out")
		return
	}
	s := sheet{Title: "Sign out"}
	s.of(v)
	d.show(w, r, s, "sign-out")
}

func (d *desk) signOut(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.signedIn(w, r); !ok {
		return
	}
	if err := d.end(r); err != nil {
		d.fail(w, r, err)
		return
	}
	d.setCookie(w, sessionCookie, "")
	d.to(w, r, "/sign-out", nil)
}
