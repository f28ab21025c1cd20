package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/api/web"
	"github.com/openconsult/openconsult/auth/login"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
)

// asPerson returns the interactions of somebody who is signed in at a page: what
// they may see of patients, and nothing else.
func (s *SignIn) asPerson(ctx context.Context, l *login.Session) (*interaction.Session, error) {
	standing, err := s.config.Engine.Standing(ctx, l.User)
	if err != nil {
		return nil, err
	}
	sees := access.Standing{Parties: standing.Parties, Denied: access.DeniedLabels(l.Account.Clearance, l.User.Type != "Practitioner")}
	grant := access.NewGrant(access.Terms{
		Client:       "openconsult",
		ID:           l.ID,
		User:         l.User,
		RequestAgent: l.User.String(),
		Scopes:       []access.Scope{{Context: access.ForUser, Type: "Patient", Allows: access.MayRead | access.MaySearch}},
		Standings:    map[access.Context]access.Standing{access.ForUser: sees},
	})
	return s.config.Engine.For(grant, interaction.Origin{}), nil
}

// patient returns the patient with an id as the person of a session sees it.
func (s *SignIn) patient(ctx context.Context, l *login.Session, id string) (web.Patient, error) {
	if !fhir.ValidID(id) {
		return web.Patient{}, fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such patient.")
	}
	session, err := s.asPerson(ctx, l)
	if err != nil {
		return web.Patient{}, err
	}
	v, err := session.Read(ctx, fhir.Key{Type: "Patient", ID: id})
	if err != nil {
		return web.Patient{}, err
	}
	return told(id, v.Stored)
}

// patients returns whom a Patient or RelatedPerson may act for.
func (s *SignIn) patients(ctx context.Context, l *login.Session) ([]web.Patient, error) {
	standing, err := s.config.Engine.Standing(ctx, l.User)
	if err != nil {
		return nil, err
	}
	var all []web.Patient
	for _, id := range standing.Patients {
		p, err := s.patient(ctx, l, id)
		if fhir.AsOutcome(err) != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// nhsNumber is the identifier that people in England know.
const nhsNumber = "https://fhir.nhs.uk/Id/nhs-number"

// search finds patients as a clinician sees them.
func (s *SignIn) search(ctx context.Context, l *login.Session, q web.Query) ([]web.Patient, error) {
	session, err := s.asPerson(ctx, l)
	if err != nil {
		return nil, err
	}
	r := search.Request{Types: []string{"Patient"}, Now: time.Now(), Params: []search.Parameter{
		{Name: "_count", Value: strconv.Itoa(q.Limit)}, {Name: "_sort", Value: "family,given"},
	}}
	for _, word := range strings.Fields(q.Name) {
		r.Params = append(r.Params, search.Parameter{Name: "name:contains", Value: search.Escape(word)})
	}
	if q.BirthDate != "" {
		r.Params = append(r.Params, search.Parameter{Name: "birthdate", Value: search.Escape(q.BirthDate)})
	}
	if q.Number != "" {
		r.Params = append(r.Params, search.Parameter{Name: "identifier", Value: nhsNumber + "|" + search.Escape(q.Number)})
	}
	found, err := session.Search(ctx, interaction.Page{Request: r})
	if err != nil {
		return nil, err
	}
	var all []web.Patient
	for _, v := range found.Versions {
		p, err := told(v.Key.ID, v.Stored)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// told returns what tells a patient from others.
func told(id string, stored []byte) (web.Patient, error) {
	r, err := fhir.Decode("Patient", stored)
	if err != nil {
		return web.Patient{}, err
	}
	p := web.Patient{ID: id, BirthDate: r.Root().Child("birthDate").Text(), Name: nameOf(r.Root())}
	for i := range r.Root().Each("identifier") {
		if i.Child("system").Text() == nhsNumber {
			p.Number = i.Child("value").Text()
		}
	}
	return p, nil
}

// nameOf returns the name of a patient as people write it.
func nameOf(patient fhir.Node) string {
	for n := range patient.Each("name") {
		if text := n.Child("text").Text(); text != "" {
			return text
		}
		var parts []string
		for given := range n.Each("given") {
			parts = append(parts, given.Text())
		}
		if family := n.Child("family").Text(); family != "" {
			parts = append(parts, family)
		}
		if len(parts) > 0 {
			return strings.Join(parts, " ")
		}
	}
	return ""
}
