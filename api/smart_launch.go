package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/openconsult/openconsult/auth/oauth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A launchRequest is the body of POST /smart/launch.
type launchRequest struct {
	Client    string              `json:"client_id"`           // the app to open
	LaunchURL string              `json:"launch_url"`          // one of those that it has registered; empty: the first
	Patient   string              `json:"patient"`             // id
	Encounter string              `json:"encounter"`           // id
	Intent    string              `json:"intent"`              // what the app is opened for
	Banner    *bool               `json:"need_patient_banner"` // nil: true
	Context   []oauth.ContextItem `json:"fhirContext"`
	User      string              `json:"user"`    // "Practitioner/1"; for callers without a user
	Account   string              `json:"account"` // likewise, by the id of the account
}

// A launchAnswer is the answer.
type launchAnswer struct {
	Launch  string `json:"launch"`
	Expires int    `json:"expires_in"`           // seconds
	URL     string `json:"launch_url,omitempty"` // open this; empty when the app has no launch address
}

// launch keeps the context for an app that an EHR is about to open. The caller
// has an access token of a client that is registered to launch apps. With a user
// in the token the launch is for that user, otherwise for whom the body names. The
// caller must see the patient.
func (s *smart) launch(r *http.Request) (int, any, string, error) {
	g, client, err := s.launcher(r)
	if err != nil {
		return 0, nil, client, err
	}
	body, err := content(r)
	if err != nil {
		return 0, nil, client, err
	}
	var asked launchRequest
	if err := json.Unmarshal(body, &asked); err != nil {
		return 0, nil, client, badRequest("The body is a JSON object with client_id, patient and so on.")
	}
	answer, err := s.open(r, g, asked)
	return http.StatusCreated, answer, client, err
}

// launcher returns what the caller may do, and its client.
func (s *smart) launcher(r *http.Request) (access.Grant, string, error) {
	if s.Caller == nil {
		return access.Grant{}, "", denied()
	}
	g, err := s.Caller(r)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unauthorized {
		return g, "", &oauth.Error{Code: "invalid_token", Description: "Send a good access token.", Status: http.StatusUnauthorized, Challenge: `Bearer error="invalid_token"`}
	}
	if err != nil {
		return g, "", err
	}
	c, err := s.Server.Client(r.Context(), g.Client())
	if errors.Is(err, oauth.ErrNoClient) || err == nil && (!c.Active || !c.Launches) {
		return g, g.Client(), denied()
	}
	return g, g.Client(), err
}

func denied() *oauth.Error {
	return &oauth.Error{Code: "access_denied", Description: "You may not launch this app with this context.", Status: http.StatusForbidden}
}

// open mints the launch.
func (s *smart) open(r *http.Request, g access.Grant, asked launchRequest) (*launchAnswer, error) {
	l := oauth.Launch{Client: asked.Client, Account: asked.Account, Patient: asked.Patient, Encounter: asked.Encounter,
		Intent: asked.Intent, NoBanner: asked.Banner != nil && !*asked.Banner, Context: asked.Context}
	if named, ok := fhir.ParseReference(asked.User); ok && named.Base == "" {
		l.User = named.Key
	}
	if user := g.Terms().User; user != (fhir.Key{}) {
		if asked.Account != "" || asked.User != "" && l.User != user {
			return nil, denied()
		}
		l.User = user
	}
	if err := s.shows(r, g, l.Patient); err != nil {
		return nil, err
	}
	c, err := s.Server.Client(r.Context(), asked.Client)
	if errors.Is(err, oauth.ErrNoClient) {
		return nil, badRequest("There is no such app.")
	}
	if err != nil {
		return nil, err
	}
	address, err := opened(c, asked.LaunchURL)
	if err != nil {
		return nil, err
	}
	handle, err := s.Server.MintLaunch(r.Context(), l)
	if err != nil {
		return nil, err
	}
	answer := &launchAnswer{Launch: handle, Expires: int(oauth.LaunchLife.Seconds())}
	if address != "" {
		answer.URL = oauth.LaunchAddress(address, s.Server.FHIRBase(), handle)
	}
	return answer, nil
}

// opened returns the address that opens an app: the one that was asked for, or the
// first; "" when there is none.
func opened(c *oauth.Client, asked string) (string, error) {
	switch {
	case asked == "" && len(c.LaunchURLs) > 0:
		return c.LaunchURLs[0], nil
	case asked == "" || slices.Contains(c.LaunchURLs, asked):
		return asked, nil
	}
	return "", badRequest("launch_url is not one that the app has registered.")
}

// shows returns an error unless the caller sees a patient.
func (s *smart) shows(r *http.Request, g access.Grant, patient string) error {
	if patient == "" {
		return nil
	}
	if s.Sees == nil {
		return denied()
	}
	sees, err := s.Sees(r.Context(), g, patient)
	if err == nil && !sees {
		return denied()
	}
	return err
}
