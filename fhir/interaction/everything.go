package interaction

import (
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
)

// Everything is the operation that gives all of a patient's record.
// https://hl7.org/fhir/R4/patient-operation-everything.html
const Everything access.Interaction = "everything"

// largestRecord is how many resources a page of a record has when the client does not
// say: R4 wants all at once, but not at any price.
const largestRecord = 5000

// A Record is a page of what there is about a patient: first what is in the
// compartment, and behind all of that what it refers to. Of Prev and Explanation there
// are none.
type Record struct {
	*store.Matches
	Patient fhir.Key
	Applied []search.Parameter // what took part, with the _count of the page
	Notes   []fhir.Issue       // what was left out, as far as the scopes and the request say it
}

// Everything returns the page of p, which is within the compartment of a patient, or
// without one, in that of the patient in context. Its parameters are those of the
// operation: start, end, _since, _type and _count. Who may not both read and search
// patients is Denied; a patient whom the caller does not see is Unknown.
func (s *Session) Everything(ctx context.Context, p Page) (Record, error) {
	k, err := s.patientOf(Everything, p.Within)
	if err != nil {
		return Record{}, err
	}
	p.Within = &k
	r, err := s.everything(ctx, p)
	err = s.disclosed(ctx, s.trail(Everything, k), asked(p), r.Matches, err)
	if err != nil {
		return Record{}, err
	}
	s.shownAll(r.Versions)
	s.shownAll(r.Included)
	return r, nil
}

// patientOf returns the patient that an operation is about, if the caller may carry it
// out: the given one, or nil for the one in context.
func (s *Session) patientOf(i access.Interaction, given *fhir.Key) (fhir.Key, error) {
	if given != nil {
		return *given, s.Allow(i, *given)
	}
	if err := s.Allow(i, fhir.Key{Type: "Patient"}); err != nil {
		return fhir.Key{}, err
	}
	t := s.grant.Terms()
	for _, k := range []fhir.Key{t.Patient, t.User} {
		if k.Type == "Patient" && k.ID != "" {
			return k, nil
		}
	}
	return fhir.Key{}, fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Your token is not about one patient: name the patient, as in Patient/[id]/$%s.", i)
}

// everything finds the page of p.
func (s *Session) everything(ctx context.Context, p Page) (Record, error) {
	if _, err := present(s.now(ctx, *p.Within))("Patient"); err != nil {
		return Record{}, err
	}
	for range maxParameterRaces {
		known := s.store.Registry()
		w, err := readWish(known, p)
		if err != nil {
			return Record{}, err
		}
		r, err := s.fulfil(ctx, w, p)
		if s.store.Registry().Generation == known.Generation {
			return r, err
		}
	}
	return Record{}, parametersRace()
}

// behindMatches begins the positions of the pages of what is referred to.
const behindMatches = "+"

// fulfil finds the page of p, which asks for w.
func (s *Session) fulfil(ctx context.Context, w *wish, p Page) (Record, error) {
	r := Record{Matches: &store.Matches{Total: -1}, Patient: w.within, Applied: w.applied, Notes: slices.Clone(w.notes)}
	if p.After == "" {
		r.Notes = append(r.Notes, s.beyondScopes(w)...)
	}
	after, behind := strings.CutPrefix(p.After, behindMatches)
	if behind {
		return r, s.refer(ctx, w, &r, store.Referral{After: after, Query: w.all()})
	}
	if q := w.matches(s.searchable(w)); q != nil {
		m, err := s.store.Search(ctx, s.grant, q, p.After)
		if err != nil {
			return Record{}, err
		}
		r.Matches, m.Prev = m, ""
		if first(m.Versions, w.within); m.Next != "" {
			return r, nil
		}
	}
	if p.After == "" && w.types == nil {
		return r, s.refer(ctx, w, &r, store.Referral{From: r.Versions})
	}
	return r, s.refer(ctx, w, &r, store.Referral{Query: w.all()})
}

// refer adds to r what the compartment refers to, as far as there is room.
func (s *Session) refer(ctx context.Context, w *wish, r *Record, q store.Referral) error {
	q.Types, q.Over, q.Limit = w.referred(), leading(), w.count-len(r.Versions)
	if len(q.Types) == 0 {
		return nil
	}
	included, next, err := s.store.Referred(ctx, s.grant, q)
	if err != nil {
		return err
	}
	if r.Included = included; next != "" {
		r.Next = behindMatches + next
	}
	return nil
}

// first puts the version of k before the others.
func first(versions []store.Version, k fhir.Key) {
	for i := range versions {
		if versions[i].Key == k {
			v := versions[i]
			copy(versions[1:i+1], versions[:i])
			versions[0] = v
		}
	}
}

// searchable returns those types of w that the caller may search.
func (s *Session) searchable(w *wish) []string {
	return slices.DeleteFunc(slices.Clone(w.members()), func(typ string) bool { return s.keepsAudit(typ) || s.grant.Allow(access.SearchType, typ) != nil })
}

// beyondScopes says which types the scopes of the caller leave out of w.
func (s *Session) beyondScopes(w *wish) []fhir.Issue {
	if s.grant.IsTrusted() {
		return nil
	}
	var out []string
	for _, typ := range append(w.members(), w.referred()...) {
		if !s.keepsAudit(typ) && len(s.grant.View(access.MaySearch, typ)) == 0 {
			out = append(out, typ)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []fhir.Issue{{Severity: fhir.Information, Code: fhir.Informational, Detail: LacksScope,
		Text: "Your scopes do not let you search these types, so there is nothing of them here: " + strings.Join(out, ", ") + "."}}
}

// inPatient returns the types of which some may be in a patient's compartment.
func inPatient() []string {
	var types []string
	for _, t := range spec.R4().Resources() {
		if t.Name == "Patient" || search.CompartmentParams("Patient", t.Name) != nil {
			types = append(types, t.Name)
		}
	}
	return types
}

// supporting returns the types of which no record is made, but which are needed to
// read one. Not those that are about another patient.
func supporting() []string {
	return []string{"Device", "DeviceDefinition", "HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Slot", "Substance"}
}

// leading returns those of supporting that are to be read with what they refer to. Of
// Practitioner something is withheld from patients.
func leading() []string {
	return []string{"Device", "HealthcareService", "Location", "Medication", "Organization", "PractitionerRole", "Slot", "Substance"}
}
