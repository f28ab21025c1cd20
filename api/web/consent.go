package web

import (
	"net/http"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
)

// A proposal is what the page for allowing an app shows.
type proposal struct {
	App, Origin string
	Patient     *shownPatient // in context; nil for none
	Other       bool          // the person may choose another patient
	Items       []item
	Offline     *item // access while the person is away; nil if it was not asked for
}

func (d *desk) consentForm(w http.ResponseWriter, r *http.Request) {
	if e, ok := d.agreeing(w, r); ok {
		d.propose(w, r, e, nil)
	}
}

// agreeing returns the errand of somebody who may decide, with the patient in
// context.
func (d *desk) agreeing(w http.ResponseWriter, r *http.Request) (*errand, bool) {
	e, ok := d.errand(w, r)
	if !ok {
		return nil, false
	}
	if e.User == (fhir.Key{}) {
		d.unlinked(w, r, e)
		return nil, false
	}
	var id string
	switch {
	case e.Launch != nil && e.Launch.Patient != "":
		id = e.Launch.Patient
	case !e.NeedsPatient(e.Scopes):
		return e, true
	default:
		id = e.form.Get("patient")
	}
	if id == "" {
		d.to(w, r, "/continue", asked(e.Request.ID))
		return nil, false
	}
	var err error
	if e.patient, err = d.patient(r, e, id); err != nil {
		d.fail(w, r, err)
		return nil, false
	}
	return e, true
}

// propose shows what the app asks for, with what was ticked if it was sent
// before.
func (d *desk) propose(w http.ResponseWriter, r *http.Request, e *errand, problems []problem) {
	body := proposal{App: e.Client.Name, Origin: origin(e.RedirectURI)}
	s := sheet{Title: "Allow " + e.Client.Name + "?", Problems: problems}
	inContext := e.patient.ID != ""
	if inContext {
		who := shown(e.patient)
		body.Patient, body.Other = &who, e.NeedsPatient(e.Scopes) && e.User.Type != "Patient"
	}
	if body.Other {
		s.Step = "Step 2 of 2"
	}
	body.Items = items(e.Scopes, inContext)
	if e.Scopes.Offline {
		body.Offline = offlineItem()
	}
	if problems != nil {
		body.tick(e.form, problems)
	}
	s.Body = body
	d.show(w, r, e.leading(s), "consent")
}

// consent takes the decision. What is granted never goes beyond what was asked,
// whatever the form says.
func (d *desk) consent(w http.ResponseWriter, r *http.Request) {
	e, ok := d.agreeing(w, r)
	if !ok {
		return
	}
	switch e.form.Get("decision") {
	case "refuse":
		d.turnDown(w, r, e.Request.ID, oauth.AccessDenied)
		return
	case "allow":
	default:
		d.propose(w, r, e, []problem{{"allow", "Choose whether to allow this."}})
		return
	}
	chosen, problems := choose(e.Scopes, e.form)
	if problems != nil {
		d.propose(w, r, e, problems)
		return
	}
	d.grant(w, r, e, oauth.Decision{Patient: e.patient.ID, Scopes: chosen})
}

// grant gives the app what was decided, in the name of the person.
func (d *desk) grant(w http.ResponseWriter, r *http.Request, e *errand, decided oauth.Decision) {
	decided.Request, decided.Account, decided.Session = e.Request.ID, e.Account.ID, e.Session.ID
	decided.User, decided.AuthTime, decided.ACR = e.User, e.Began, e.Assurance
	address, err := d.Server.Grant(r.Context(), decided)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	away(w, address)
}
