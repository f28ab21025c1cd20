package interaction

import (
	"context"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// Summary is the operation that gives an International Patient Summary.
// https://hl7.org/fhir/uv/ips/STU1.1/OperationDefinition-summary.html
const Summary access.Interaction = "summary"

// The profiles that may be asked for, which are the same document.
const (
	ipsBundle      = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"
	ipsComposition = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"
)

// A SummaryRequest asks for the summary of a patient: Patient, or else whom Identifier
// names as a search does, or else the patient in context.
type SummaryRequest struct {
	Patient    *fhir.Key
	Identifier string // "system|value"; may be empty
	Profile    string // canonical URL that the document is to answer to; empty is that of IPS
	Base       string // URL of the API, without a last slash: what is here is named by it
}

// The bounds of a summary.
const (
	mostKept   = search.MaxCount // problems, allergies, medication, immunizations and procedures together
	newest     = 100             // results
	mostNeeded = 500             // what all of these refer to
)

// Summary returns the document: what the caller may search of the patient and what is
// of use to who has never seen them. Its errors are those of [Session.Everything].
func (s *Session) Summary(ctx context.Context, q SummaryRequest) (*fhir.Bundle, error) {
	text := "Patient/$summary"
	switch {
	case q.Profile != "" && !slices.Contains([]string{ipsBundle, ipsComposition}, q.Profile):
		return nil, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "http.profile", "The only profile of a summary here is %s.", ipsBundle)
	case q.Patient != nil && q.Identifier != "":
		return nil, fhir.Errorf(fhir.BadRequest, fhir.Invalid, "http.identifier", "The address names the patient: leave identifier out, or send it to Patient/$summary.")
	case q.Patient != nil:
		text = q.Patient.String() + "/$summary"
	case q.Identifier != "":
		text += "?identifier=" + q.Identifier
	}
	k, err := s.summarised(ctx, q)
	if err != nil && k.Type == "" {
		return nil, err
	}
	c := &chart{patient: k}
	if err == nil {
		err = s.chart(ctx, c)
	}
	if err = s.disclosed(ctx, s.trail(Summary, k), text, c.matches(), err); err != nil {
		return nil, err
	}
	return s.document(c, q.Base)
}

// summarised returns whom q is about. With an error it has a type if the caller may
// ask.
func (s *Session) summarised(ctx context.Context, q SummaryRequest) (fhir.Key, error) {
	if q.Identifier == "" {
		return s.patientOf(Summary, q.Patient)
	}
	nobody := fhir.Key{Type: "Patient"}
	if err := s.Allow(Summary, nobody); err != nil {
		return fhir.Key{}, err
	}
	page := Page{Request: search.Request{Types: []string{"Patient"}, Now: s.clock(), Params: []search.Parameter{{Name: "identifier", Value: q.Identifier}, {Name: "_count", Value: "2"}}}}
	found, err := s.find(ctx, page)
	switch {
	case err != nil:
		return nobody, err
	case len(found.Versions) == 0:
		return nobody, fhir.Errorf(fhir.Unknown, fhir.NotFound, "http.identifier", "There is no Patient with this identifier.")
	case len(found.Versions) > 1:
		return nobody, fhir.Errorf(fhir.Stale, fhir.MultipleMatches, "http.identifier", "There are several Patients with this identifier: name one, as in Patient/[id]/$summary.")
	}
	return found.Versions[0].Key, nil
}

// A chart is what a summary is made of.
type chart struct {
	patient fhir.Key
	self    *store.Version
	kept    store.Matches // what holds until further notice, and what was done
	results store.Matches // the newest first
	needed  []store.Version
	barred  []string // types that the scopes leave out
	partly  []string // types that the scopes show some of
}

// matches returns all of c as what was found.
func (c *chart) matches() *store.Matches {
	m := &store.Matches{Versions: slices.Concat(c.kept.Versions, c.results.Versions), Included: c.needed}
	if c.self != nil {
		m.Versions = append(m.Versions, *c.self)
	}
	return m
}

// chart finds what belongs to c.
func (s *Session) chart(ctx context.Context, c *chart) (err error) {
	if c.self, err = present(s.now(ctx, c.patient))("Patient"); err != nil {
		return err
	}
	for _, l := range []lot{
		{&c.kept, search.Request{Types: keptTypes()}, mostKept},
		{&c.results, search.Request{Types: resultTypes(), Params: []search.Parameter{{Name: "_sort", Value: "-date"}}}, newest},
	} {
		if err := s.gather(ctx, c, l); err != nil {
			return err
		}
	}
	c.needed, _, err = s.store.Referred(ctx, s.grant, store.Referral{From: c.matches().Versions, Types: neededTypes(), Over: append(leading(), resultTypes()...), Limit: mostNeeded})
	if err != nil {
		return err
	}
	c.self, _ = s.shown(c.self, nil)
	s.shownAll(c.kept.Versions)
	s.shownAll(c.results.Versions)
	s.shownAll(c.needed)
	return nil
}

// A lot is what of some types is of use now.
type lot struct {
	into    *store.Matches
	request search.Request
	most    int
}

// gather finds a lot.
func (s *Session) gather(ctx context.Context, c *chart, l lot) error {
	types := slices.DeleteFunc(slices.Clone(l.request.Types), func(typ string) bool { return s.isBarred(c, typ) })
	if len(types) == 0 {
		return nil
	}
	known := s.store.Registry()
	q, err := known.Parse(l.request)
	if err != nil {
		return err
	}
	q.Types, q.Within, q.Count = types, &c.patient, l.most
	for _, typ := range types {
		where, err := known.Parse(search.Request{Types: []string{typ}, Params: irrelevant(typ)})
		if err != nil {
			return err
		}
		q.Where = append(q.Where, where.Where...)
	}
	m, err := s.store.Search(ctx, s.grant, q, "")
	if err == nil {
		*l.into = *m
	}
	return err
}

// isBarred reports whether the scopes leave out a type, and notes that, or that they show
// only some of it.
func (s *Session) isBarred(c *chart, typ string) bool {
	view := s.grant.View(access.MaySearch, typ)
	if len(view) == 0 {
		c.barred = append(c.barred, typ)
		return true
	}
	if !slices.ContainsFunc(view, func(b access.Branch) bool { return len(b.Where) == 0 }) {
		c.partly = append(c.partly, typ)
	}
	return false
}

func keptTypes() []string {
	return []string{"AllergyIntolerance", "Condition", "Immunization", "MedicationRequest", "MedicationStatement", "Procedure"}
}

func resultTypes() []string { return []string{"DiagnosticReport", "Observation"} }

// neededTypes returns the types of what goes along to be read with the rest.
func neededTypes() []string {
	return []string{"Device", "Location", "Medication", "Observation", "Organization", "Practitioner", "PractitionerRole", "Specimen", "Substance"}
}

// irrelevant returns the criteria that leave out what is over, wrong or not known yet.
// What says nothing of its status stays: it may matter.
func irrelevant(typ string) []search.Parameter {
	not := func(pairs ...string) (all []search.Parameter) {
		for pair := range slices.Chunk(pairs, 2) {
			all = append(all, search.Parameter{Name: pair[0] + ":not", Value: strings.ReplaceAll(pair[1], " ", ",")})
		}
		return all
	}
	switch typ {
	case "AllergyIntolerance", "Condition":
		return not("clinical-status", "inactive remission resolved", "verification-status", "entered-in-error refuted")
	case "MedicationRequest":
		return not("status", "cancelled completed draft entered-in-error stopped unknown", "intent", "proposal")
	case "MedicationStatement":
		return not("status", "completed entered-in-error not-taken stopped unknown")
	case "Immunization":
		return not("status", "entered-in-error not-done")
	case "Procedure":
		return not("status", "entered-in-error not-done preparation unknown")
	case "Observation":
		return not("status", "cancelled entered-in-error preliminary registered unknown")
	}
	return not("status", "cancelled entered-in-error partial preliminary registered unknown")
}
