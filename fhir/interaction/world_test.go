package interaction_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// A world is two practices, a and b, each with a doctor and a patient of that name,
// and a hospital, c, with a doctor. In the record of each patient is an
// Observation.
type world struct {
	t       testing.TB
	engine  *interaction.Engine
	trusted *interaction.Session
}

const everything = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOf(t, engine(t))
}

// worldOf does so with an engine.
func worldOf(t testing.TB, e *interaction.Engine) *world {
	t.Helper()
	w := &world{t, e, e.For(access.Trusted("test"), interaction.Origin{})}
	for _, name := range []string{"a", "b", "c"} {
		w.put(`{"resourceType":"Organization","id":"` + name + `","name":"` + name + `"}`)
		w.put(`{"resourceType":"Practitioner","id":"` + name + `"}`)
		w.put(`{"resourceType":"PractitionerRole","id":"` + name + `","practitioner":{"reference":"Practitioner/` + name + `"},"organization":{"reference":"Organization/` + name + `"}}`)
	}
	for _, name := range []string{"a", "b"} {
		w.put(`{"resourceType":"Patient","id":"` + name + `","managingOrganization":{"reference":"Organization/` + name + `"},"name":[{"family":"` + name + `"}]}`)
		w.put(observation(name, name))
	}
	return w
}

// observation returns an Observation of a patient.
func observation(id, patient string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"secret of ` + patient + `"},"subject":{"reference":"Patient/` + patient + `"}}`
}

// put stores a resource as the operator.
func (w *world) put(body string) {
	w.t.Helper()
	r := decode(w.t, body)
	if _, err := w.trusted.Update(w.t.Context(), r.ID(), r, store.Anything); err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
}

// scopes returns scopes for types, * for all, that allow something.
func scopes(in access.Context, allows access.Permission, types ...string) []access.Scope {
	var all []access.Scope
	for _, typ := range types {
		all = append(all, access.Scope{Context: in, Type: typ, Allows: allows})
	}
	return all
}

// patient returns the terms of a patient with scopes for everything.
func (w *world) patient(id string) access.Terms {
	k := fhir.Key{Type: "Patient", ID: id}
	return access.Terms{
		Client: "app", ID: "grant of patient " + id, User: k, Patient: k, Scopes: scopes(access.ForPatient, everything, "*"),
		Standings: map[access.Context]access.Standing{access.ForPatient: {
			Parties: w.standing(k).Parties,
			Denied:  access.DeniedLabels(nil, true),
		}},
	}
}

// doctor returns the terms of a Practitioner with scopes for everything.
func (w *world) doctor(id string) access.Terms {
	k := fhir.Key{Type: "Practitioner", ID: id}
	s := w.standing(k)
	t := access.Terms{
		Client: "ehr", ID: "grant of doctor " + id, User: k, Scopes: scopes(access.ForUser, everything, "*"),
		Standings: map[access.Context]access.Standing{access.ForUser: {Parties: s.Parties, Denied: access.DeniedLabels(nil, false)}},
	}
	for _, o := range s.Organizations {
		t.Organizations = append(t.Organizations, o.ID)
	}
	return t
}

// system returns the terms of a client that sees everything, but for labels.
func (w *world) system(roles access.Role) access.Terms {
	return access.Terms{
		Client: "backend", ID: "grant of backend", Roles: roles, Scopes: scopes(access.ForSystem, everything, "*"),
		Standings: map[access.Context]access.Standing{access.ForSystem: {All: true}},
	}
}

func (w *world) standing(k fhir.Key) interaction.Standing {
	w.t.Helper()
	s, err := w.engine.Standing(w.t.Context(), k)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// as returns the session of who has terms.
func (w *world) as(t access.Terms) *interaction.Session {
	return w.engine.For(access.NewGrant(t), interaction.Origin{Request: "r", Address: "192.0.2.1"})
}

// key reads "Patient/a".
func key(s string) fhir.Key {
	typ, id, _ := strings.Cut(s, "/")
	return fhir.Key{Type: typ, ID: id}
}

// refused wants err to be an Outcome of a class.
func refused(t *testing.T, what string, err error, want fhir.Class) {
	t.Helper()
	if o := fhir.AsOutcome(err); o == nil || o.Class != want {
		t.Errorf("%s: %v, want class %d", what, err, want)
	}
}

// done wants err to be none.
func done(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// same wants two refusals to be the same to the letter.
func same(t *testing.T, what string, hidden, missing error) {
	t.Helper()
	h, m := fhir.AsOutcome(hidden), fhir.AsOutcome(missing)
	if h == nil || m == nil || h.Class != m.Class || string(h.JSON()) != string(m.JSON()) {
		t.Errorf("%s: hidden %v, missing %v", what, hidden, missing)
	}
}

// finds searches and returns what it finds, "Type/id type/id", sorted by the
// server.
func finds(t *testing.T, s *interaction.Session, query string) (string, error) {
	t.Helper()
	typ, rest, _ := strings.Cut(query, "?")
	params, err := search.Parameters(rest)
	if err != nil {
		t.Fatal(err)
	}
	p := interaction.Page{Request: search.Request{Params: params}}
	if typ != "" {
		p.Types = []string{typ}
	}
	found, err := s.Search(t.Context(), p)
	if err != nil {
		return "", err
	}
	var names []string
	for _, v := range append(append([]store.Version{}, found.Versions...), found.Included...) {
		names = append(names, v.Key.String())
	}
	return strings.Join(names, " "), nil
}

// found wants a search to find exactly that.
func found(t *testing.T, s *interaction.Session, query, want string) {
	t.Helper()
	if got, err := finds(t, s, query); err != nil || got != want {
		t.Errorf("%s finds %q, %v; want %q", query, got, err, want)
	}
}
