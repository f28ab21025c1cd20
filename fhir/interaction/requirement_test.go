package interaction_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestRequirementUpsert: who may update may also make what is not there yet at an
// id of their choice, without the permission to create; and not the other way
// round.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources
func TestRequirementUpsert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	terms := w.system(0)
	terms.Scopes = scopes(access.ForSystem, access.MayUpdate, "Observation")
	made, err := w.as(terms).Update(t.Context(), "chosen", decode(t, observation("chosen", "a")), store.Anything)
	if err != nil || made.Outcome != store.Created {
		t.Errorf("with u: %+v, %v", made, err)
	}
	_, err = w.as(terms).Create(t.Context(), decode(t, observation("x", "a")))
	refused(t, "create with u", err, fhir.Denied)
	terms.Scopes = scopes(access.ForSystem, access.MayCreate, "Observation")
	_, err = w.as(terms).Update(t.Context(), "another", decode(t, observation("another", "a")), store.Anything)
	refused(t, "with c", err, fhir.Denied)
}

// TestRequirementPolicyBeatsScopes: scopes for everything show nobody more than
// what they may see.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#smarts-scopes-are-used-to-delegate-access
func TestRequirementPolicyBeatsScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for who, terms := range map[string]access.Terms{"patient": w.patient("a"), "doctor": w.doctor("a")} {
		s := w.as(terms)
		if len(terms.Scopes) == 0 || terms.Scopes[0].Type != "*" {
			t.Fatalf("%s has not all scopes", who)
		}
		found(t, s, "Observation", "Observation/a")
		_, err := s.Read(t.Context(), key("Observation/b"))
		refused(t, who, err, fhir.Unknown)
		_, err = s.Create(t.Context(), decode(t, observation("x", "b")))
		refused(t, who, err, fhir.Denied)
	}
}

// TestRequirementPatientLink: who is linked to a Patient sees no more by that.
// https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#patient-specific-scopes
func TestRequirementPatientLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Patient","id":"a","name":[{"family":"a"}],"managingOrganization":{"reference":"Organization/a"},"link":[{"other":{"reference":"Patient/b"},"type":"replaces"}]}`)
	w.put(`{"resourceType":"Patient","id":"b","name":[{"family":"b"}],"managingOrganization":{"reference":"Organization/b"},"link":[{"other":{"reference":"Patient/a"},"type":"replaced-by"}]}`)
	for who, terms := range map[string]access.Terms{"patient a": w.patient("a"), "doctor a": w.doctor("a")} {
		s := w.as(terms)
		found(t, s, "Patient?_include=Patient:link", "Patient/a")
		found(t, s, "Observation?subject=Patient/b", "")
		_, err := s.Read(t.Context(), key("Patient/b"))
		refused(t, who, err, fhir.Unknown)
	}
}
