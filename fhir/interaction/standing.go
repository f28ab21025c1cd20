package interaction

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// A Standing is what a person stands for by what the records say now. The zero
// Standing is nobody who may see anything.
type Standing struct {
	Roles, Organizations, Services []fhir.Key   // of a Practitioner: PractitionerRoles, Organizations, HealthcareServices
	Parties                        []access.Key // what may be among the keys of what the person sees
	Patients                       []string     // ids of the patients that a Patient or RelatedPerson may act for
}

// Standing returns what user, a Patient, Practitioner or RelatedPerson, stands
// for. Who is not there, was deleted or is not active stands for nothing, and so
// does a user of any other type.
//
// A Practitioner stands for their PractitionerRoles that are not inactive and in
// their period, the Organizations of these, and the HealthcareServices that these
// roles name or these organizations provide. A RelatedPerson stands for their
// patient as long as their period lasts and a Consent of that patient lets them:
// see [lets].
func (e *Engine) Standing(ctx context.Context, user fhir.Key) (Standing, error) {
	if !slices.Contains([]string{"Patient", "Practitioner", "RelatedPerson"}, user.Type) {
		return Standing{}, nil
	}
	r, err := e.active(ctx, user)
	if r == nil || err != nil {
		return Standing{}, err
	}
	switch user.Type {
	case "Patient":
		return Standing{Patients: []string{user.ID}, Parties: asPatient(user.String())}, nil
	case "Practitioner":
		return e.practitioner(ctx, user)
	}
	return e.relatedPerson(ctx, user, r.Root())
}

func asPatient(patient string) []access.Key {
	return []access.Key{{Kind: access.Open}, {Kind: access.Patient, Of: patient}, {Kind: access.Author, Of: patient}}
}

// active returns the resource k unless it is absent, deleted or says that it is
// not active, or not now.
func (e *Engine) active(ctx context.Context, k fhir.Key) (*fhir.Resource, error) {
	v, err := e.store.Read(ctx, k)
	if v == nil || err != nil || v.Deleted() {
		return nil, err
	}
	r, err := fhir.Decode(k.Type, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode version %d of a %s: %w", v.Number, k.Type, err)
	}
	if !e.holds(r.Root()) {
		return nil, nil
	}
	return r, nil
}

// holds reports whether n says neither that it is inactive, nor that its period is
// not now.
func (e *Engine) holds(n fhir.Node) bool {
	return n.Child("active").Text() != "false" && during(n.Child("period"), e.clock())
}

func (e *Engine) practitioner(ctx context.Context, user fhir.Key) (Standing, error) {
	s := Standing{}
	roles, err := e.every(ctx, "PractitionerRole", "practitioner", user.String())
	if err != nil {
		return s, err
	}
	for _, r := range roles {
		if !e.holds(r.Root()) {
			continue
		}
		s.Roles = add(s.Roles, fhir.Key{Type: "PractitionerRole", ID: r.ID()})
		s.Organizations = add(s.Organizations, e.referred(r.Root().Child("organization"), "Organization"))
		for h := range r.Root().Each("healthcareService") {
			s.Services = add(s.Services, e.referred(h, "HealthcareService"))
		}
	}
	if s.Services, err = e.provided(ctx, s.Organizations, s.Services); err != nil {
		return Standing{}, err
	}
	s.Parties = []access.Key{{Kind: access.Open}, {Kind: access.Party, Of: user.String()}}
	for _, k := range slices.Concat(s.Roles, s.Organizations, s.Services) {
		s.Parties = append(s.Parties, access.Key{Kind: access.Party, Of: k.String()})
	}
	for _, k := range s.Organizations {
		s.Parties = append(s.Parties, access.Key{Kind: access.Author, Of: k.String()})
	}
	return s, nil
}

// provided adds the services that some organizations provide. Of very many it adds
// a part, and nothing is lost by that: a service gives its provider whatever it
// takes part in.
func (e *Engine) provided(ctx context.Context, organizations, services []fhir.Key) ([]fhir.Key, error) {
	if len(organizations) == 0 {
		return services, nil
	}
	names := make([]string, len(organizations))
	for i, o := range organizations {
		names[i] = o.String()
	}
	found, _, err := e.some(ctx, "HealthcareService", "organization", strings.Join(names[:min(len(names), search.MaxAlternatives)], ","))
	for _, h := range found {
		if e.holds(h.Root()) {
			services = add(services, fhir.Key{Type: "HealthcareService", ID: h.ID()})
		}
	}
	return services, err
}

// add appends k unless it is the zero Key or there.
func add(list []fhir.Key, k fhir.Key) []fhir.Key {
	if k == (fhir.Key{}) || slices.Contains(list, k) {
		return list
	}
	return append(list, k)
}

// referred returns the resource of the given type on this server that a Reference
// names, or the zero Key.
func (e *Engine) referred(n fhir.Node, typ string) fhir.Key {
	r, ok := fhir.ParseReference(n.Child("reference").Text())
	if !ok || r.Key.Type != typ || r.Query != "" || r.Base != "" && r.Base != e.store.Registry().Base {
		return fhir.Key{}
	}
	return r.Key
}

func (e *Engine) relatedPerson(ctx context.Context, user fhir.Key, n fhir.Node) (Standing, error) {
	patient := e.referred(n.Child("patient"), "Patient")
	if patient == (fhir.Key{}) {
		return Standing{}, nil
	}
	if r, err := e.active(ctx, patient); r == nil || err != nil {
		return Standing{}, err
	}
	consents, err := e.every(ctx, "Consent", "patient", patient.String())
	if err != nil {
		return Standing{}, err
	}
	given := false
	for _, c := range consents {
		switch lets(c.Root(), func(actor fhir.Node) bool { return e.referred(actor, user.Type) == user }, e.clock()) {
		case permits:
			given = true
		case denies:
			return Standing{}, nil
		}
	}
	if !given {
		return Standing{}, nil
	}
	parties := append(asPatient(patient.String()), access.Key{Kind: access.Party, Of: user.String()}, access.Key{Kind: access.Author, Of: user.String()})
	return Standing{Patients: []string{patient.ID}, Parties: parties}, nil
}

// every returns the resources of a type whose parameter has a value. Of more than
// can be looked at nobody knows what they say together, and an error says so.
func (e *Engine) every(ctx context.Context, typ, param, value string) ([]*fhir.Resource, error) {
	all, more, err := e.some(ctx, typ, param, value)
	if err == nil && more {
		err = fmt.Errorf("more than %d resources of type %s have one %s", search.MaxCount, typ, param)
	}
	return all, err
}

// some returns the first of them, and whether there are more. It asks as the
// server itself.
func (e *Engine) some(ctx context.Context, typ, param, value string) (all []*fhir.Resource, more bool, err error) {
	page := Page{Request: search.Request{Types: []string{typ}, Now: e.clock(), Params: []search.Parameter{{Name: param, Value: value}, {Name: "_count", Value: strconv.Itoa(search.MaxCount)}}}}
	found, err := e.For(access.Trusted("openconsult"), Origin{}).find(ctx, page)
	if err != nil {
		return nil, false, err
	}
	all, err = decoded(found.Versions)
	return all, found.Next != "", err
}

func decoded(versions []store.Version) ([]*fhir.Resource, error) {
	var all []*fhir.Resource
	for _, v := range versions {
		r, err := fhir.Decode(v.Key.Type, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode version %d of a %s: %w", v.Number, v.Key.Type, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// during reports whether a moment is in a Period, of which an end that is a date
// lasts to the end of that day, month or year, in UTC. A Period that cannot be
// read has no moment in it; the zero Node has all.
func during(period fhir.Node, at time.Time) bool {
	from, to := period.Child("start"), period.Child("end")
	if from.HasValue() {
		if first, _, ok := spanOf(from.Text()); !ok || at.Before(first) {
			return false
		}
	}
	if to.HasValue() {
		if _, end, ok := spanOf(to.Text()); !ok || !at.Before(end) {
			return false
		}
	}
	return true
}

// spanOf returns the beginning of what a dateTime stands for, and its end, which
// is not part of it.
func spanOf(s string) (from, to time.Time, ok bool) {
	switch len(s) {
	case 4:
		from, err := time.Parse("2006", s)
		return from, from.AddDate(1, 0, 0), err == nil
	case 7:
		from, err := time.Parse("2006-01", s)
		return from, from.AddDate(0, 1, 0), err == nil
	case 10:
		from, err := time.Parse("2006-01-02", s)
		return from, from.AddDate(0, 0, 1), err == nil
	}
	from, err := time.Parse(time.RFC3339Nano, s)
	return from, from.Add(time.Second), err == nil
}
