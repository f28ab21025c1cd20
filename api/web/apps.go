package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// An overview is what the page of a person's apps shows.
type overview struct {
	Account  login.Account
	Record   string // that the person is in: "Patient/1"; empty for none
	Began    string // when the person signed in
	Provider string // where; empty: here
	Base     string // address of the FHIR API
	Front    bool   // there is a page about the server
	Demo     *demo  // nil for a server that is no demo
	Scope    string // that the person would have a token for, to try; empty for none

	Unlinked string // why no record opens; empty when one does
	Done     string // what has just been done; may be empty
	Apps     []app
}

// An app is one that the person has allowed something.
type app struct {
	ID, Name, Created, Used, Ends string
	Patient                       *shownPatient // in context; nil for none
	May                           []string      // in plain words
}

func (d *desk) apps(w http.ResponseWriter, r *http.Request) {
	v, ok := d.signedIn(w, r)
	if !ok {
		return
	}
	granted, err := d.Server.Grants(r.Context(), v.Account.ID)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	body := d.overview(v)
	if v.User == (fhir.Key{}) {
		why := reason(v.Session)
		body.Unlinked = "You are signed in, but not connected to a record. " + why.Why + " " + why.Do
	}
	if v.form.Has("removed") {
		body.Done = "The app has no access any more."
	}
	for _, g := range granted {
		body.Apps = append(body.Apps, d.app(r, v, g))
	}
	s := sheet{Title: "You and your apps", Body: body}
	s.of(v)
	d.show(w, r, s, "apps")
}

// overview says who is signed in.
func (d *desk) overview(v *visit) overview {
	o := overview{Account: v.Account, Began: moment(v.Began), Provider: v.Provider, Base: d.base(), Front: slices.Contains(Paths(d.Config), FrontPath), Demo: d.demo()}
	for _, p := range d.Login.Providers() {
		if p.Name == v.Provider {
			o.Provider = p.Label()
		}
	}
	if v.User != (fhir.Key{}) {
		o.Record = v.User.String()
	}
	switch v.User.Type {
	case "Patient":
		o.Scope = "patient/*.rs"
	case "Practitioner":
		o.Scope = "user/*.rs"
	}
	return o
}

func (d *desk) app(r *http.Request, v *visit, g oauth.Granted) app {
	a := app{ID: g.ID, Name: cmp.Or(g.Name, g.Client), Created: moment(g.Created), Used: moment(g.Used), Ends: "When you sign out, or sooner"}
	if g.Offline {
		a.Ends = moment(g.Expires) + ", or when you remove it. It has access while you are away."
	}
	// A patient that the person sees no more is not named; the app sees it no more either.
	if p, err := d.Patient(r.Context(), v.Session, g.Patient); g.Patient != "" && err == nil {
		who := shown(p)
		a.Patient = &who
	}
	scopes, _ := auth.ParseScopes(g.Scopes, func(string, string) bool { return true })
	for _, it := range items(scopes, g.Patient != "") {
		a.May = append(a.May, it.Label)
	}
	if g.Offline {
		a.May = append(a.May, offlineItem().Label)
	}
	return a
}

// moment writes a time for people, to the minute; the zero time is empty.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04") + " UTC"
}

// revoke takes away what an app was allowed.
func (d *desk) revoke(w http.ResponseWriter, r *http.Request) {
	v, ok := d.signedIn(w, r)
	if !ok {
		return
	}
	if err := d.Server.RevokeGrant(r.Context(), v.Account.ID, v.form.Get("revoke")); err != nil {
		d.fail(w, r, err)
		return
	}
	d.to(w, r, "/apps", map[string][]string{"removed": {"1"}})
}
