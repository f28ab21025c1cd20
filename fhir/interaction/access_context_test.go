package interaction_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// inContext returns the session of an app that a doctor has opened for a patient,
// with scopes of the patient for everything, and of the user for types.
func (w *world) inContext(doctor, patient string, types ...string) *interaction.Session {
	w.t.Helper()
	t := w.doctor(doctor)
	parties := t.Standings[access.ForUser].Parties
	t.Patient = fhir.Key{Type: "Patient", ID: patient}
	t.Scopes = append(scopes(access.ForPatient, everything, "*"), scopes(access.ForUser, everything, types...)...)
	t.Standings[access.ForPatient] = access.Standing{
		Parties: []access.Key{{Kind: access.Open}, {Kind: access.Patient, Of: "Patient/" + patient}}, Within: parties,
		Denied: access.DeniedLabels([]string{access.AnyLabel}, true),
	}
	return w.as(t)
}

// TestPatientInContext: an app that somebody opens for a patient sees of that
// patient what the person sees, and nothing of others. A referral is no key to the
// record.
func TestPatientInContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(observation("package", "a"))
	w.put(`{"resourceType":"ServiceRequest","id":"r","status":"active","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"performer":[{"reference":"Organization/c"}],"supportingInfo":[{"reference":"Observation/package"}]}`)
	w.put(`{"resourceType":"ServiceRequest","id":"elsewhere","status":"active","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"Organization/b"},"performer":[{"reference":"Organization/b"}]}`)
	w.put(`{"resourceType":"Communication","id":"elsewhere","status":"completed","subject":{"reference":"Patient/a"},"sender":{"reference":"Organization/b"},"recipient":[{"reference":"Patient/a"}]}`)
	w.put(`{"resourceType":"Observation","id":"nopat","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"NOPAT"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}`)
	for name, tt := range map[string]struct {
		session *interaction.Session
		sees    map[string]bool
	}{
		"the specialist": {w.inContext("c", "a"), map[string]bool{
			"Patient/a": true, "ServiceRequest/r": true, "Observation/package": true, "Practitioner/a": true,
			"Observation/a": false, "Observation/b": false, "ServiceRequest/elsewhere": false, "Communication/elsewhere": false, "Observation/nopat": false}},
		"the practice": {w.inContext("a", "a"), map[string]bool{
			"Patient/a": true, "ServiceRequest/r": true, "Observation/package": true, "Observation/a": true,
			"Observation/b": false, "ServiceRequest/elsewhere": false, "Communication/elsewhere": false, "Observation/nopat": false}},
		"the practice with scopes of a user as well": {w.inContext("a", "a", "Observation"), map[string]bool{
			"Observation/nopat": true, "Observation/b": false, "Communication/elsewhere": false}},
		"a stranger": {w.inContext("b", "a"), map[string]bool{
			"Observation/a": false, "Observation/b": false, "Observation/package": false, "ServiceRequest/r": false, "ServiceRequest/elsewhere": true, "Communication/elsewhere": true}},
	} {
		for of, want := range tt.sees {
			k := key(of)
			_, read := tt.session.Read(t.Context(), k)
			_, history := tt.session.VRead(t.Context(), k, 1)
			find, err := finds(t, tt.session, k.Type+"?_id="+k.ID)
			page, failed := tt.session.History(t.Context(), store.History{Type: k.Type, Count: 100})
			if err != nil || failed != nil {
				t.Fatal(name, of, err, failed)
			}
			inHistory := false
			for _, v := range page.Versions {
				inHistory = inHistory || v.Key == k
			}
			if read == nil != want || history == nil != want || find == of != want || inHistory != want {
				t.Errorf("%s, %s: read %v, version %v, found %q, in the history %t; want %t", name, of, read, history, find, inHistory, want)
			}
		}
	}
}
