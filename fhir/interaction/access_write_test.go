package interaction_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// message returns a Communication from a patient to a practice.
func message(from, about, to string) string {
	return `{"resourceType":"Communication","id":"m","status":"in-progress","sender":{"reference":"` + from + `"},"subject":{"reference":"` + about + `"},"recipient":[{"reference":"` + to + `"}]}`
}

// TestCreate creates what one may, and what one may not.
func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	patient, doctor, other := w.as(w.patient("a")), w.as(w.doctor("a")), w.as(w.doctor("b"))
	for _, tt := range []struct {
		what string
		by   *interaction.Session
		body string
		want fhir.Class // 0: it is done
	}{
		{"a message of one's own", patient, message("Patient/a", "Patient/a", "Organization/a"), 0},
		{"a message in another's name", patient, message("Patient/b", "Patient/a", "Organization/a"), fhir.Denied},
		{"a message in the practice's name", patient, message("Organization/a", "Patient/a", "Patient/a"), fhir.Denied},
		{"a Binary of one's own", patient, `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=="}`, 0},
		{"an Observation of a patient", doctor, observation("x", "a"), 0},
		{"an Observation of another's patient", doctor, observation("x", "b"), fhir.Denied},
		{"an Observation of nobody", doctor, observation("x", "missing"), fhir.Denied},
		{"an Observation of a patient by another practice", other, observation("x", "a"), fhir.Denied},
		{"a message to a patient", doctor, message("PractitionerRole/a", "Patient/a", "Patient/a"), 0},
		{"a message in a colleague's name elsewhere", doctor, message("Practitioner/b", "Patient/a", "Patient/a"), fhir.Denied},
		{"a Patient of one's practice", doctor, `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/a"}}`, 0},
		{"a Patient of another practice", doctor, `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/b"}}`, fhir.Denied},
		{"an Organization", doctor, `{"resourceType":"Organization","name":"x"}`, fhir.Denied},
		{"an Organization by an administrator", w.as(w.system(access.Administer)), `{"resourceType":"Organization","name":"x"}`, 0},
	} {
		made, err := tt.by.Create(t.Context(), decode(t, tt.body))
		if tt.want != 0 {
			refused(t, tt.what, err, tt.want)
			continue
		}
		done(t, tt.what, err)
		if err != nil {
			continue
		}
		if made.Hidden {
			t.Errorf("%s: its writer may not read it", tt.what)
		}
		_, err = tt.by.Read(t.Context(), made.Key)
		done(t, tt.what+", read by its writer", err)
	}
	found(t, other, "Communication", "")
}

// TestB5References names what one does not see: nothing tells it from what is not
// there.
func TestB5References(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	_, hidden := doctor.Create(t.Context(), decode(t, observation("x", "b")))
	_, missing := doctor.Create(t.Context(), decode(t, observation("x", "missing")))
	same(t, "a subject", hidden, missing)
	for _, id := range []string{"b", "missing"} {
		made, err := doctor.Create(t.Context(), decode(t, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"},"focus":[{"reference":"Observation/`+id+`"}],"hasMember":[{"reference":"Observation/`+id+`"}]}`))
		done(t, "a focus on "+id, err)
		found(t, doctor, "Observation?_id="+made.Key.ID+"&_include=Observation:focus&_include=Observation:has-member", made.Key.String())
		found(t, doctor, "Observation?_id="+made.Key.ID+"&focus:Observation.code:text=secret", "")
	}
	_, err := doctor.Create(t.Context(), decode(t, observation("x", "a")))
	done(t, "a subject that one sees", err)
}

// TestB7Conditional lets criteria find what one sees only.
func TestB7Conditional(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"a", "b"} {
		w.put(strings.Replace(observation("i"+name, name), `"status"`, `"identifier":[{"system":"urn:x","value":"`+name+`"}],"status"`, 1))
	}
	doctor := w.as(w.doctor("a"))
	body := func(value string) *fhir.Resource {
		return decode(t, strings.Replace(strings.Replace(observation("x", "a"), `"id":"x",`, "", 1), `"status"`, `"identifier":[{"system":"urn:x","value":"`+value+`"}],"status"`, 1))
	}
	for _, tt := range []struct {
		value string
		want  store.Outcome
	}{{"a", store.Unchanged}, {"b", store.Created}, {"c", store.Created}, {"b", store.Unchanged}} {
		made, err := doctor.CreateIf(t.Context(), body(tt.value), "identifier=urn:x|"+tt.value)
		if err != nil || made.Outcome != tt.want || made.Hidden || made.Key.ID == "ib" {
			t.Errorf("conditional create of %s: %+v, %v; want outcome %d", tt.value, made, err, tt.want)
		}
	}
	found(t, doctor, "Observation?identifier=urn:x|a", "Observation/ia")
	target := func(value string) interaction.Target {
		return interaction.Target{Type: "Observation", Criteria: "identifier=urn:x|" + value}
	}
	other := w.as(w.doctor("b"))
	ops := interaction.Change{JSON: []byte(`[{"op":"replace","path":"/status","value":"amended"}]`)}
	for _, value := range []string{"a", "missing"} {
		gone, err := other.DeleteIf(t.Context(), target(value))
		if err != nil || gone.Outcome != store.Nothing || gone.Number != 0 || gone.Key.ID != "" {
			t.Errorf("conditional delete of %s: %+v, %v", value, gone, err)
		}
		_, err = other.PatchIf(t.Context(), target(value), ops)
		refused(t, "conditional patch of "+value, err, fhir.Unknown)
		made, err := other.UpdateIf(t.Context(), decode(t, strings.Replace(observation("x", "b"), `"id":"x",`, "", 1)), target(value))
		if err != nil || made.Outcome != store.Created {
			t.Errorf("conditional update of %s: %+v, %v", value, made, err)
		}
		_, err = other.UpdateIf(t.Context(), decode(t, observation("ia", "b")), target(value))
		refused(t, "conditional update of "+value+" with an id", err, fhir.Denied)
	}
	patched, err := doctor.PatchIf(t.Context(), target("a"), ops)
	if err != nil || patched.Number != 2 {
		t.Errorf("conditional patch of one's own: %+v, %v", patched, err)
	}
	updated, err := doctor.UpdateIf(t.Context(), body("a"), target("a"))
	if err != nil || updated.Number != 3 || updated.Key.ID != "ia" {
		t.Errorf("conditional update of one's own: %+v, %v", updated, err)
	}
	gone, err := doctor.DeleteIf(t.Context(), target("a"))
	if err != nil || gone.Outcome != store.Removed {
		t.Errorf("conditional delete of one's own: %+v, %v", gone, err)
	}
	terms := w.doctor("a")
	terms.Scopes = scopes(access.ForUser, everything&^access.MaySearch, "*")
	_, err = w.as(terms).CreateIf(t.Context(), body("z"), "identifier=urn:x|z")
	refused(t, "criteria without a scope for searches", err, fhir.Denied)
	terms.Scopes = scopes(access.ForUser, everything, "Observation")
	_, err = w.as(terms).CreateIf(t.Context(), body("z"), "subject:Patient.family=b")
	refused(t, "criteria that lead to a type outside of the scopes", err, fhir.Denied)
}

// TestB8Escape tries to move things to where others see them, by each way to
// change something. Nothing is changed.
func TestB8Escape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(message("Patient/a", "Patient/a", "Organization/a"))
	w.put(`{"resourceType":"Task","id":"t","status":"requested","intent":"order","for":{"reference":"Patient/a"},"requester":{"reference":"Organization/a"},"owner":{"reference":"Organization/a"}}`)
	both := w.doctor("a")
	both.Standings[access.ForUser] = access.Standing{Parties: append(w.doctor("b").Standings[access.ForUser].Parties, both.Standings[access.ForUser].Parties...)}
	both.Organizations = []string{"a", "b"}
	for _, tt := range []struct {
		what, of string
		terms    access.Terms
		path     string
		to       string
	}{
		{"the subject of an Observation", "Observation/a", both, "/subject/reference", "Patient/b"},
		{"the subject of an Observation to nobody", "Observation/a", w.doctor("a"), "/subject/reference", "Patient/missing"},
		{"the sender of a message", "Communication/m", w.patient("a"), "/sender/reference", "Patient/b"},
		{"the recipient of a message", "Communication/m", w.patient("a"), "/recipient/0/reference", "Organization/b"},
		{"the subject of a message", "Communication/m", w.patient("a"), "/subject/reference", "Patient/b"},
		{"the sender of a message by staff", "Communication/m", w.doctor("a"), "/sender/reference", "Organization/a"},
		{"the patient of a Task", "Task/t", w.patient("a"), "/for/reference", "Patient/b"},
		{"the owner of a Task", "Task/t", w.patient("a"), "/owner/reference", "Patient/a"},
		{"the practice of a Patient", "Patient/a", w.doctor("a"), "/managingOrganization/reference", "Organization/b"},
		{"the practice of a Patient by the patient", "Patient/a", w.patient("a"), "/managingOrganization/reference", "Organization/b"},
	} {
		s, k := w.as(tt.terms), key(tt.of)
		before, err := s.Read(t.Context(), k)
		if err != nil {
			t.Fatal(tt.what, err)
		}
		ops := interaction.Change{JSON: []byte(`[{"op":"replace","path":"` + tt.path + `","value":"` + tt.to + `"}]`)}
		_, err = s.Patch(t.Context(), k, ops, store.Anything)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied && o.Class != fhir.Unprocessable {
			t.Errorf("%s by patch: %v", tt.what, err)
		}
		last := tt.path[:strings.LastIndex(tt.path, "/")]
		name := strings.Split(last, "/")[1]
		body := string(before.Stored)
		at := strings.Index(body, `"`+name+`":`)
		from := strings.Index(body[at:], `"reference":"`) + at + len(`"reference":"`)
		body = body[:from] + tt.to + body[from+strings.Index(body[from:], `"`):]
		_, err = s.Update(t.Context(), k.ID, decode(t, body), store.Anything)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied && o.Class != fhir.Unprocessable {
			t.Errorf("%s by update with %s: %v", tt.what, body, err)
		}
		if after, err := w.trusted.Read(t.Context(), k); err != nil || after.Number != before.Number {
			t.Errorf("%s: now version %d, %v", tt.what, after.Number, err)
		}
	}
	ops := interaction.Change{JSON: []byte(`[{"op":"replace","path":"/status","value":"amended"}]`)}
	_, err := w.as(w.doctor("a")).Patch(t.Context(), key("Observation/a"), ops, store.Anything)
	done(t, "what moves nothing", err)
	ops = interaction.Change{JSON: []byte(`[{"op":"add","path":"/payload","value":[{"contentString":"x"}]}]`)}
	_, err = w.as(w.patient("a")).Patch(t.Context(), key("Communication/m"), ops, store.Anything)
	done(t, "what moves nothing, of a patient", err)
	_, err = w.as(w.system(access.Administer)).Patch(t.Context(), key("Observation/a"), interaction.Change{JSON: []byte(`[{"op":"replace","path":"/subject/reference","value":"Patient/b"}]`)}, store.Anything)
	done(t, "the subject of an Observation by an administrator", err)
}

// TestB7Upsert writes to ids that are absent, hidden and deleted: all are refused
// alike, unless one sees everything there is.
func TestB7Upsert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doctor := w.as(w.doctor("a"))
	ops := interaction.Change{JSON: []byte(`[]`)}
	for _, expect := range []store.Expect{store.Anything, store.Absent, 1, 7} {
		try := map[string]func(fhir.Key) error{
			"update": func(k fhir.Key) error {
				return second(doctor.Update(t.Context(), k.ID, decode(t, observation(k.ID, "a")), expect))
			},
		}
		if expect != store.Absent {
			try["patch"] = func(k fhir.Key) error { return second(doctor.Patch(t.Context(), k, ops, expect)) }
			try["delete"] = func(k fhir.Key) error { return second(doctor.Delete(t.Context(), k, expect)) }
			try["add label"] = func(k fhir.Key) error {
				return second(doctor.MetaAdd(t.Context(), k, fhir.Node{}, expect))
			}
		}
		for how, do := range try {
			hidden, missing := do(key("Observation/b")), do(key("Observation/missing"))
			same(t, how, hidden, missing)
			refused(t, how, hidden, fhir.Unknown)
		}
	}
	system := w.as(w.system(0))
	made, err := system.Update(t.Context(), "new", decode(t, observation("new", "a")), store.Anything)
	if err != nil || made.Outcome != store.Created {
		t.Errorf("a system creates by update: %+v, %v", made, err)
	}
	gone, err := doctor.Delete(t.Context(), key("Observation/new"), store.Anything)
	if err != nil || gone.Outcome != store.Removed {
		t.Errorf("delete: %+v, %v", gone, err)
	}
	_, err = doctor.Update(t.Context(), "new", decode(t, observation("new", "a")), store.Anything)
	refused(t, "an update of what one knows to be deleted", err, fhir.Gone)
	made, err = system.Update(t.Context(), "new", decode(t, observation("new", "a")), store.Anything)
	if err != nil || made.Outcome != store.Created {
		t.Errorf("a system makes it anew: %+v, %v", made, err)
	}
	gone, err = system.Delete(t.Context(), key("Observation/missing"), store.Anything)
	if err != nil || gone.Outcome != store.Nothing {
		t.Errorf("a system deletes nothing: %+v, %v", gone, err)
	}
	_, err = doctor.Update(t.Context(), "a", decode(t, strings.Replace(observation("a", "a"), "final", "amended", 1)), 7)
	refused(t, "a version that is not the current one", err, fhir.Stale)
}

// TestGranularWrites holds conditions of scopes against what there is and what
// there is to be.
func TestGranularWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	terms := w.doctor("a")
	draft := []access.Argument{{Param: "status", Value: "registered,preliminary"}}
	terms.Scopes = append(scopes(access.ForUser, access.MayRead, "Observation"), access.Scope{Context: access.ForUser, Type: "Observation", Allows: access.MayCreate | access.MayUpdate | access.MayDelete, Where: draft})
	s := w.as(terms)
	status := func(id, status string) *fhir.Resource {
		return decode(t, strings.Replace(observation(id, "a"), "final", status, 1))
	}
	_, err := s.Create(t.Context(), status("x", "final"))
	refused(t, "a create beyond the condition", err, fhir.Denied)
	made, err := s.Create(t.Context(), status("x", "preliminary"))
	done(t, "a create within it", err)
	_, err = s.Update(t.Context(), made.Key.ID, status(made.Key.ID, "registered"), store.Anything)
	done(t, "an update within it", err)
	_, err = s.Update(t.Context(), made.Key.ID, status(made.Key.ID, "final"), store.Anything)
	refused(t, "an update that leaves it", err, fhir.Denied)
	_, err = s.Update(t.Context(), "a", status("a", "registered"), store.Anything)
	refused(t, "an update of what is beyond it, but seen", err, fhir.Denied)
	_, err = s.Delete(t.Context(), key("Observation/a"), store.Anything)
	refused(t, "a delete of what is beyond it, but seen", err, fhir.Denied)
	_, err = s.Delete(t.Context(), key("Observation/b"), store.Anything)
	refused(t, "a delete of what is not seen", err, fhir.Unknown)
	_, err = s.Delete(t.Context(), made.Key, store.Anything)
	done(t, "a delete within it", err)
}

// TestB13SelfGrant tries to see more by writing what decides who sees what.
func TestB13SelfGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"resourceType":"Consent","id":"x","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"x"}],"patient":{"reference":"Patient/a"}}`)
	w.put(`{"resourceType":"RelatedPerson","id":"x","patient":{"reference":"Patient/a"}}`)
	for who, terms := range map[string]access.Terms{"patient a": w.patient("a"), "doctor b": w.doctor("b")} {
		s := w.as(terms)
		for what, body := range map[string]string{
			"a Consent":            `{"resourceType":"Consent","status":"active","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],"patient":{"reference":"Patient/a"}}`,
			"a link of a Person":   `{"resourceType":"Person","link":[{"target":{"reference":"Patient/a"}}]}`,
			"a RelatedPerson":      `{"resourceType":"RelatedPerson","patient":{"reference":"Patient/a"}}`,
			"a CareTeam":           `{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/a"},"participant":[{"member":{"reference":"Practitioner/b"}}]}`,
			"an EpisodeOfCare":     `{"resourceType":"EpisodeOfCare","status":"active","patient":{"reference":"Patient/a"},"managingOrganization":{"reference":"Organization/b"}}`,
			"a Group":              `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}}]}`,
			"a PractitionerRole":   `{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/b"},"organization":{"reference":"Organization/a"}}`,
			"a HealthcareService":  `{"resourceType":"HealthcareService","providedBy":{"reference":"Organization/b"}}`,
			"a part of a practice": `{"resourceType":"Organization","name":"x","partOf":{"reference":"Organization/a"}}`,
			"an AuditEvent":        `{"resourceType":"AuditEvent","type":{"code":"rest"},"recorded":"2026-01-01T00:00:00Z","agent":[{"requestor":true}],"source":{"observer":{"reference":"Organization/a"}}}`,
		} {
			_, err := s.Create(t.Context(), decode(t, body))
			refused(t, who+" creates "+what, err, fhir.Denied)
		}
		for of, ops := range map[string]string{
			"Patient/a":          `[{"op":"add","path":"/link","value":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}]`,
			"Consent/x":          `[{"op":"replace","path":"/status","value":"inactive"}]`,
			"RelatedPerson/x":    `[{"op":"add","path":"/active","value":true}]`,
			"PractitionerRole/b": `[{"op":"replace","path":"/organization/reference","value":"Organization/a"}]`,
			"Organization/b":     `[{"op":"add","path":"/partOf","value":{"reference":"Organization/a"}}]`,
		} {
			_, err := s.Patch(t.Context(), key(of), interaction.Change{JSON: []byte(ops)}, store.Anything)
			if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied && o.Class != fhir.Unknown {
				t.Errorf("%s changes %s: %v", who, of, err)
			}
		}
	}
	found(t, w.as(w.doctor("b")), "Observation", "Observation/b")
	// Whoever has the record gives it on.
	_, err := w.as(w.doctor("a")).Create(t.Context(), decode(t, `{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/a"},"participant":[{"member":{"reference":"Organization/b"}}]}`))
	done(t, "a CareTeam by who has the record", err)
	found(t, w.as(w.doctor("b")), "Observation?_sort=_id", "Observation/a Observation/b")
}

// TestB15Directory changes the directory as those whom it would serve.
func TestB15Directory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ops := interaction.Change{JSON: []byte(`[{"op":"add","path":"/partOf","value":{"reference":"Organization/b"}}]`)}
	_, err := w.as(w.doctor("a")).Patch(t.Context(), key("Organization/a"), ops, store.Anything)
	refused(t, "partOf by staff", err, fhir.Denied)
	_, err = w.as(w.system(0)).Patch(t.Context(), key("Organization/a"), ops, store.Anything)
	refused(t, "partOf by a system", err, fhir.Denied)
	_, err = w.as(w.system(access.Administer)).Patch(t.Context(), key("Organization/a"), ops, store.Anything)
	done(t, "partOf by an administrator", err)
	found(t, w.as(w.doctor("a")), "Observation", "Observation/a")
}

// TestReferral has a hospital see what a referral carries, and no more.
func TestReferral(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(observation("in", "a"))
	doctor, c := w.as(w.doctor("a")), w.as(w.doctor("c"))
	refer := func(status, info string) string {
		return `{"resourceType":"ServiceRequest","id":"x","status":"` + status + `","intent":"order","subject":{"reference":"Patient/a"},"requester":{"reference":"PractitionerRole/a"},"performer":[{"reference":"Organization/c"}],"supportingInfo":[{"reference":"Observation/` + info + `"}]}`
	}
	made, err := doctor.Create(t.Context(), decode(t, refer("active", "in")))
	if err != nil {
		t.Fatal(err)
	}
	found(t, c, "Observation", "Observation/in")
	found(t, c, "Patient", "Patient/a")
	// What the referring doctor does not see cannot be given on.
	_, err = doctor.Create(t.Context(), decode(t, refer("active", "b")))
	_, missing := doctor.Create(t.Context(), decode(t, refer("active", "missing")))
	refused(t, "a referral that names what its author does not see", err, fhir.Unprocessable)
	same(t, "a referral that names what its author does not see", err, missing)
	found(t, c, "Observation", "Observation/in")
	_, err = doctor.Patch(t.Context(), made.Key, interaction.Change{JSON: []byte(`[{"op":"replace","path":"/status","value":"revoked"}]`)}, store.Anything)
	done(t, "the end of a referral", err)
	found(t, c, "Observation", "")
}

// TestLimitedPatchesAddUp lets staff patch one resource at once, half of them by
// criteria: every patch that is answered with success is in the result.
func TestLimitedPatchesAddUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	var carriedOut atomic.Int32
	for c := range 4 {
		s := w.as(w.doctor("a"))
		wg.Go(func() {
			for i := range 5 {
				mark := fmt.Sprintf("<%d-%d>", c, i)
				ops := interaction.Change{JSON: fmt.Appendf(nil, `[{"op":"add","path":"/note","value":[{"text":"x"}]},{"op":"add","path":"/code/text","value":"%s"}]`, mark)}
				var err error
				if c%2 == 0 {
					_, err = s.PatchIf(t.Context(), interaction.Target{Type: "Observation", Criteria: "_id=a"}, ops)
				} else {
					_, err = s.Patch(t.Context(), key("Observation/a"), ops, store.Anything)
				}
				if o := fhir.AsOutcome(err); err == nil {
					carriedOut.Add(1)
				} else if o == nil || o.Class != fhir.Clash {
					t.Errorf("%s: %v", mark, err)
				}
			}
		})
	}
	wg.Wait()
	v, err := w.trusted.Read(t.Context(), key("Observation/a"))
	if n := int(carriedOut.Load()); err != nil || n == 0 || v.Number != 1+n {
		t.Errorf("%d patches made version %d, %v", n, v.Number, err)
	}
}
