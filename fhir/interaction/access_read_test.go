package interaction_test

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestB1Reads reads by id, version and moment, and the history: own things are
// there, those of others are as if they never were.
func TestB1Reads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"YQ=="}`)
	w.put(`{"resourceType":"DocumentReference","id":"b","status":"current","subject":{"reference":"Patient/b"},"content":[{"attachment":{"url":"Binary/b"}}]}`)
	for who, tt := range map[string]struct {
		terms       access.Terms
		own, others []string
	}{
		"patient a": {w.patient("a"), []string{"Patient/a", "Observation/a", "Organization/b"}, []string{"Patient/b", "Observation/b", "DocumentReference/b", "Binary/b"}},
		"patient b": {w.patient("b"), []string{"Patient/b", "Observation/b", "DocumentReference/b", "Binary/b"}, []string{"Patient/a", "Observation/a"}},
		"doctor a":  {w.doctor("a"), []string{"Patient/a", "Observation/a", "Practitioner/b"}, []string{"Patient/b", "Observation/b", "DocumentReference/b", "Binary/b"}},
		"doctor b":  {w.doctor("b"), []string{"Patient/b", "Observation/b", "DocumentReference/b", "Binary/b"}, []string{"Patient/a", "Observation/a"}},
		"doctor c":  {w.doctor("c"), nil, []string{"Patient/a", "Observation/a", "Patient/b", "Binary/b"}},
		"nobody":    {access.Terms{Client: "x", Scopes: scopes(access.ForUser, everything, "*")}, nil, []string{"Patient/a", "Organization/a", "Observation/a"}},
	} {
		s := w.as(tt.terms)
		for how, read := range reads(t, s) {
			for _, name := range tt.own {
				done(t, who+" "+how+" "+name, read(key(name)))
			}
			for _, name := range tt.others {
				same(t, who+" "+how+" "+name, read(key(name)), read(fhir.Key{Type: key(name).Type, ID: "missing"}))
				refused(t, who+" "+how+" "+name, read(key(name)), fhir.Unknown)
			}
		}
	}
}

// reads are the ways to read something by its id.
func reads(t *testing.T, s *interaction.Session) map[string]func(fhir.Key) error {
	return map[string]func(fhir.Key) error{
		"read":    func(k fhir.Key) error { _, err := s.Read(t.Context(), k); return err },
		"vread":   func(k fhir.Key) error { _, err := s.VRead(t.Context(), k, 1); return err },
		"read at": func(k fhir.Key) error { _, err := s.ReadAt(t.Context(), k, time.Now().Add(time.Hour)); return err },
		"history": func(k fhir.Key) error {
			_, err := s.History(t.Context(), store.History{Type: k.Type, ID: k.ID, Count: 10})
			return err
		},
		"meta": func(k fhir.Key) error { _, err := s.Meta(t.Context(), k); return err },
	}
}

// TestB1History corrects an Observation that was filed with the wrong patient:
// the right one does not see what it was, the wrong one nothing any more.
func TestB1History(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(observation("o", "a"))
	w.put(observation("o", "b"))
	k := key("Observation/o")
	right, wrong := w.as(w.patient("b")), w.as(w.patient("a"))
	if p, err := right.History(t.Context(), store.History{Type: "Observation", ID: "o", Count: 10}); err != nil || len(p.Versions) != 1 || p.Versions[0].Number != 2 || p.Total != 1 {
		t.Errorf("the right patient sees the history %+v, %v", p, err)
	}
	_, err := right.VRead(t.Context(), k, 1)
	_, missing := right.VRead(t.Context(), k, 7)
	same(t, "version 1", err, missing)
	_, err = right.VRead(t.Context(), k, 2)
	done(t, "version 2", err)
	for how, read := range reads(t, wrong) {
		refused(t, "the wrong patient: "+how, read(k), fhir.Unknown)
	}
}

// TestB1Deleted tells of a deletion only who saw what was deleted.
func TestB1Deleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := key("Observation/a")
	if _, err := w.trusted.Delete(t.Context(), k, store.Anything); err != nil {
		t.Fatal(err)
	}
	_, err := w.as(w.patient("a")).Read(t.Context(), k)
	refused(t, "who saw it", err, fhir.Gone)
	v, err := w.as(w.patient("b")).Read(t.Context(), k)
	refused(t, "who did not", err, fhir.Unknown)
	if v != nil {
		t.Error("who did not see it is told of the deletion")
	}
}

// TestB1Self reads with the scope fhirUser alone.
func TestB1Self(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	terms := w.doctor("a")
	terms.Scopes, terms.Self = nil, true
	s := w.as(terms)
	_, err := s.Read(t.Context(), key("Practitioner/a"))
	done(t, "oneself", err)
	_, err = s.Read(t.Context(), key("Practitioner/b"))
	refused(t, "another one", err, fhir.Denied)
	_, err = s.VRead(t.Context(), key("Practitioner/a"), 1)
	refused(t, "an earlier version", err, fhir.Denied)
	w.put(`{"resourceType":"Patient","id":"v","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]}}`)
	terms = w.patient("v")
	terms.Scopes, terms.Self = nil, true
	_, err = w.as(terms).Read(t.Context(), key("Patient/v"))
	refused(t, "oneself under a label", err, fhir.Unknown)
}

// TestB1Scope refuses types outside of the scopes whatever there is.
func TestB1Scope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	terms := w.patient("a")
	terms.Scopes = scopes(access.ForPatient, access.MayRead|access.MaySearch, "Observation")
	s := w.as(terms)
	for how, read := range reads(t, s) {
		done(t, how, read(key("Observation/a")))
		same(t, how, read(key("Patient/a")), read(key("Patient/missing")))
		if o := fhir.AsOutcome(read(key("Patient/a"))); o == nil || o.Class != fhir.Denied || o.Issues[0].Detail != interaction.LacksScope {
			t.Errorf("%s of a type outside of the scopes: %v", how, o)
		}
	}
	_, err := s.Create(t.Context(), decode(t, observation("x", "a")))
	refused(t, "create without c", err, fhir.Denied)
	_, err = s.Delete(t.Context(), key("Observation/a"), store.Anything)
	refused(t, "delete without d", err, fhir.Denied)
}

// TestB2Includes has includes leave out what is not seen, and page links be of no
// use to others.
func TestB2Includes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"ServiceRequest","id":"r","status":"active","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"performer":[{"reference":"Organization/c"}],"supportingInfo":[{"reference":"Observation/b"}]}`)
	c := w.as(w.doctor("c"))
	found(t, c, "ServiceRequest?_include=ServiceRequest:subject", "ServiceRequest/r Patient/a")
	found(t, w.as(w.doctor("b")), "ServiceRequest?_include=ServiceRequest:subject", "")
	found(t, c, "Patient?_revinclude=Observation:subject", "Patient/a")
	found(t, w.as(w.doctor("a")), "Patient?_revinclude=Observation:subject", "Patient/a Observation/a")
	p := interaction.Page{Request: search.Request{Types: []string{"Observation"}}}
	word, err := w.as(w.doctor("a")).SealPage(p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.as(w.doctor("a")).OpenPage(p, word)
	done(t, "a page link of one's own", err)
	other := w.doctor("a")
	other.ID = "another grant of doctor a"
	for name, terms := range map[string]access.Terms{"of another person": w.doctor("b"), "of another grant": other} {
		_, err := w.as(terms).OpenPage(p, word)
		refused(t, "a page link "+name, err, fhir.BadRequest)
	}
}

// TestB3Chains searches by what is not seen: nothing is found by it, and a type
// outside of the scopes cannot be asked about at all.
func TestB3Chains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"ServiceRequest","id":"r","status":"active","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"performer":[{"reference":"Organization/c"}]}`)
	a, c := w.as(w.doctor("a")), w.as(w.doctor("c"))
	for query, want := range map[string]string{
		"Patient?_has:Observation:subject:code:text=secret":                  "Patient/a",
		"Patient?_has:Observation:subject:_id=a":                             "Patient/a",
		"Patient?_has:Observation:subject:_id=b":                             "",
		"ServiceRequest?subject:Patient.family=a":                            "ServiceRequest/r",
		"ServiceRequest?subject:Patient._has:Observation:subject:_id=a":      "ServiceRequest/r",
		"Observation?subject:Patient.family=b":                               "",
		"Observation?subject:Patient.family=a":                               "Observation/a",
		"Observation?_id=a,b":                                                "Observation/a",
		"Observation?_filter=subject.family%20eq%20%22a%22":                  "Observation/a",
		"?_type=Observation,Patient&_id=a,b&_sort=-_lastUpdated":             "Observation/a Patient/a",
		"Observation?subject:Patient.organization:Organization.name:exact=b": "",
	} {
		found(t, a, query, want)
	}
	// The hospital sees the patient of its referral, not the record.
	found(t, c, "ServiceRequest?subject:Patient.family=a", "ServiceRequest/r")
	found(t, c, "ServiceRequest?subject:Patient._has:Observation:subject:_id=a", "")

	terms := w.doctor("a")
	terms.Scopes = scopes(access.ForUser, everything, "Patient", "ServiceRequest")
	s := w.as(terms)
	found(t, s, "ServiceRequest?subject:Patient.family=a", "ServiceRequest/r")
	for _, query := range []string{
		"Patient?_has:Observation:subject:_id=a",
		"ServiceRequest?subject:Patient._has:Observation:subject:_id=nothing",
		"Patient?organization:Organization.name=a",
		"Patient?_list=1",
		"Patient?_filter=organization.name%20eq%20%22a%22",
		"Patient?_filter=not%20(organization.name%20eq%20%22a%22)",
		"?_type=Patient,Observation",
		"Observation?_id=a",
	} {
		_, err := finds(t, s, query)
		refused(t, query, err, fhir.Denied)
	}
	found(t, s, "?_id=a", "Patient/a")
}

// TestB16Operator keeps what is the operator's from everybody else.
func TestB16Operator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for who, tt := range map[string]struct {
		terms access.Terms
		may   bool
	}{
		"patient": {w.patient("a"), false}, "doctor": {w.doctor("a"), false}, "system": {w.system(0), false},
		"administrator": {w.system(access.Administer), false}, "operator": {w.system(access.Operate), true},
	} {
		s := w.as(tt.terms)
		for what, err := range map[string]error{
			"purge":    second(s.Purge(t.Context(), key("Patient/a"))),
			"state":    second(s.Reindexing(t.Context())),
			"explain":  second(finds(t, s, "Patient?_explain=true")),
			"access":   second(s.ExplainAccess(t.Context(), key("Patient/a"), access.NewGrant(tt.terms), access.MayRead)),
			"nowhere":  second(s.ExplainAccess(t.Context(), key("Patient/missing"), access.NewGrant(tt.terms), access.MayRead)),
			"no purge": second(s.Purge(t.Context(), key("Patient/missing"))),
		} {
			want := fhir.Denied
			if tt.may && (what == "nowhere" || what == "no purge") {
				want = fhir.Unknown
			} else if tt.may {
				done(t, who+" "+what, err)
				continue
			}
			refused(t, who+" "+what, err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
