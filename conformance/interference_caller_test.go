package conformance_test

import (
	"testing"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A listener is somebody from whom is hidden what they are not to see.
type listener struct {
	name    string
	scopes  string
	user    fhir.Key
	patient string   // in context
	asks    []string // organisations that the token of a client names
	profile auth.Profile
}

// listeners are those for whom twins are asked.
func listeners() []listener {
	patient, relative := fhir.Key{Type: "Patient", ID: "patient-1"}, fhir.Key{Type: "RelatedPerson", ID: "relatedperson-1"}
	gp, specialist := fhir.Key{Type: "Practitioner", ID: "practitioner-1"}, fhir.Key{Type: "Practitioner", ID: "practitioner-3"}
	return []listener{
		{name: "patient", user: patient, patient: patient.ID, scopes: "patient/*.cruds"},
		{name: "patient, granular", user: patient, patient: patient.ID, scopes: "patient/Patient.rs patient/Observation.rs?category=http://c|laboratory patient/Communication.cruds patient/Task.rs?status=requested " +
			"patient/Binary.r patient/DocumentReference.s patient/Organization.rs patient/ServiceRequest.rs"},
		{name: "proxy", user: relative, scopes: "user/*.cruds"},
		{name: "general practitioner", user: gp, scopes: "user/*.cruds", profile: auth.Profile{Clearance: []string{"R"}}},
		{name: "specialist", user: specialist, scopes: "user/*.cruds"},
		{name: "specialist, granular", user: specialist, patient: patient.ID, scopes: "user/ServiceRequest.cruds user/Task.cruds?status=requested,accepted user/Patient.rs user/Observation.s user/DocumentReference.r " +
			"patient/Condition.rs user/Observation.rs?code=http://codes|glucose patient/List.rs user/AuditEvent.rs user/Practitioner.rs"},
		{name: "client of one of two organisations", asks: []string{"organization-3"}, scopes: "system/*.cruds", profile: auth.Profile{Organizations: []string{"organization-1", "organization-3"}}},
		{name: "client that sees all but labels", scopes: "system/*.cruds", profile: auth.Profile{All: true, Roles: access.Administer | access.AssertAuthor | access.AssertPatient}},
		{name: "client that searches only", scopes: "system/*.s", profile: auth.Profile{Organizations: []string{"organization-1"}}},
		{name: "client that reads only", scopes: "system/*.r", profile: auth.Profile{Organizations: []string{"organization-2", "organization-4"}}},
	}
}

// admit works out what a listener may do by what is in a twin.
func (w *twin) admit(t *testing.T, who listener) access.Grant {
	t.Helper()
	p := who.profile
	p.Active, p.User = true, who.user
	if who.user.ID != "" {
		at, err := w.engine.Standing(t.Context(), who.user)
		if err != nil {
			t.Fatal(err)
		}
		p.Parties, p.Patients = at.Parties, at.Patients
		for _, o := range at.Organizations {
			p.Organizations = append(p.Organizations, o.ID)
		}
		if len(at.Parties) == 0 {
			t.Fatalf("%s stands for nothing", who.name)
		}
	}
	scopes, refused := auth.ParseScopes(who.scopes, w.engine.ScopeParameter)
	if len(refused) > 0 {
		t.Fatalf("scopes are refused: %q", refused)
	}
	terms, err := auth.TermsOf(auth.Claims{OwnIssuer: true, Client: "app", Subject: "someone", Grant: "grant", Patient: who.patient, Organizations: who.asks}, p, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return access.NewGrant(terms)
}

// self is how a listener is named as who has written something.
func (who listener) self() string {
	switch {
	case who.user.ID != "":
		return who.user.String()
	case len(who.asks) > 0:
		return "Organization/" + who.asks[0]
	case len(who.profile.Organizations) > 0:
		return "Organization/" + who.profile.Organizations[0]
	}
	return some("Organization", 1)
}
