package interaction_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestLinesTellNothingHidden has staff work on an Observation that is hidden from
// the patient by a label. The patient is told nothing of it, also after it was
// deleted, and sees their own attempt to read it as they see one to read what
// never was.
func TestLinesTellNothingHidden(t *testing.T) {
	t.Parallel()
	e, _, _ := auditing(t, interaction.Config{})
	system := e.For(access.Trusted("test"), interaction.Origin{Request: "staff"})
	for _, text := range []string{
		`{"resourceType":"Patient","id":"ada"}`,
		`{"resourceType":"Observation","id":"secret","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/ada"},
			"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}`,
	} {
		r := decode(t, text)
		if _, err := system.Update(t.Context(), r.ID(), r, store.Anything); err != nil {
			t.Fatal(err)
		}
	}
	standing := parties(access.Patient, "Patient/ada")
	standing.Denied = access.DeniedLabels(nil, true)
	patient := e.For(caller(ada, nil, 0, standing), interaction.Origin{Request: "patient"})
	lines := func(id string) int {
		return len(auditEvents(t, patient, "entity=Observation/"+id))
	}
	for _, id := range []string{"secret", "missing"} {
		if _, err := patient.Read(t.Context(), fhir.Key{Type: "Observation", ID: id}); err == nil {
			t.Errorf("%s was read", id)
		}
		if n := lines(id); n != 1 {
			t.Errorf("%d lines about %s, want the patient's own", n, id)
		}
	}
	if _, err := system.Delete(t.Context(), fhir.Key{Type: "Observation", ID: "secret"}, store.Anything); err != nil {
		t.Fatal(err)
	}
	if n := lines("secret"); n != 1 {
		t.Errorf("%d lines about what was deleted, want the patient's own", n)
	}
}
