package interaction_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// The private life of a doctor, in two worlds, and what is not private.
const (
	oneLife     = `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">born secret-a</div>"},"birthDate":"1970-01-01","telecom":[{"system":"phone","value":"secret-a","use":"home"},{"system":"phone","value":"surgery","use":"work"}],"address":[{"use":"home","city":"secret-a"},{"use":"work","city":"Sampleford"}]`
	anotherLife = `"telecom":[{"system":"phone","value":"surgery","use":"work"}],"address":[{"use":"work","city":"Sampleford"}]`
)

// private returns a world in which the doctor a of the practice a has a private
// life.
func private(t *testing.T, life string) *world {
	t.Helper()
	w := newWorld(t)
	w.put(`{"resourceType":"Practitioner","id":"a",` + life + `}`)
	w.put(`{"resourceType":"Patient","id":"a","managingOrganization":{"reference":"Organization/a"},"generalPractitioner":[{"reference":"Practitioner/a"}]}`)
	w.put(`{"resourceType":"RelatedPerson","id":"r","patient":{"reference":"Patient/a"}}`)
	return w
}

// relative returns the terms of who acts for the patient a.
func (w *world) relative() access.Terms {
	t := w.patient("a")
	t.User, t.ID, t.Scopes = key("RelatedPerson/r"), "grant of relative", scopes(access.ForPatient, everything, "Practitioner", "PractitionerRole", "Patient", "Organization")
	return t
}

// questions are searches that could tell a private life.
func questions() []string {
	return []string{
		"Practitioner?telecom=secret-a", "Practitioner?phone=secret-a", "Practitioner?phone:not=secret-a", "Practitioner?phone:missing=true", "Practitioner?email=secret-a",
		"Practitioner?address=secret-a", "Practitioner?address-city:contains=ecret", "Practitioner?address-use=home", "Practitioner?address-postalcode=x",
		"Practitioner?_content=secret-a", "Practitioner?_text=secret-a", "?_content=secret-a", "?_type=Practitioner,Organization&_content=secret-a",
		"Practitioner?_filter=address-city+eq+secret-a", "Practitioner?_filter=active+eq+true+or+not+(phone+pr+true)",
		"Practitioner?_sort=address-city", "Practitioner?_sort=-phone", "?_type=Practitioner,Organization&_sort=address", "?_type=Patient,Practitioner&phone=secret-a",
		"PractitionerRole?practitioner.phone=secret-a", "Patient?general-practitioner:Practitioner.address-city=secret-a", "Patient?_filter=general-practitioner.phone+eq+secret-a",
		"Organization?_has:PractitionerRole:organization:practitioner.telecom=secret-a", "PractitionerRole?_filter=practitioner[phone+eq+secret-a].active+eq+true",
	}
}

// TestWithheldFromSearches: what patients are told is the same in both worlds, and
// what they cannot be told without telling is refused.
func TestWithheldFromSearches(t *testing.T) {
	t.Parallel()
	one, another := private(t, oneLife), private(t, anotherLife)
	both := func(terms func(*world) access.Terms, query string) (a, b string) {
		said := func(w *world) string {
			names, err := finds(t, w.as(terms(w)), query)
			return fmt.Sprint(names, " ", err)
		}
		return said(one), said(another)
	}
	patient := func(w *world) access.Terms { return w.patient("a") }
	for who, terms := range map[string]func(*world) access.Terms{"patient": patient, "relative": (*world).relative} {
		for _, query := range questions() {
			a, b := both(terms, query)
			if a != b || strings.Contains(a, "secret") {
				t.Errorf("%s: %s is told %s in one world and %s in the other", query, who, a, b)
			}
			_, err := finds(t, one.as(terms(one)), query)
			refused(t, who+" "+query, err, fhir.Denied)
		}
	}
	doctor := func(w *world) access.Terms { return w.doctor("b") }
	told := 0
	for _, query := range questions() {
		_, err := finds(t, one.as(doctor(one)), query)
		done(t, "doctor "+query, err)
		if a, b := both(doctor, query); a != b {
			told++
		}
	}
	if told < len(questions())/2 {
		t.Errorf("only %d of the questions would tell something", told)
	}
	for _, query := range []string{"Practitioner?_id=a", "Practitioner?_sort=family", "Patient/a?_content=secret", "PractitionerRole?practitioner.active:missing=true", "Organization?_content=a", "Patient?_sort=phone"} {
		typ, rest, _ := strings.Cut(query, "?")
		p := interaction.Page{}
		if typ == "Patient/a" {
			k := key(typ)
			p.Within = &k
		} else {
			p.Types = []string{typ}
		}
		var err error
		if p.Params, err = search.Parameters(rest); err != nil {
			t.Fatal(err)
		}
		_, err = one.as(patient(one)).Search(t.Context(), p)
		done(t, "patient "+query, err)
	}
}

// TestWithheldFromWrites: a write that is refused does not tell what it would have
// changed or found.
func TestWithheldFromWrites(t *testing.T) {
	t.Parallel()
	w := private(t, oneLife)
	k := key("Practitioner/a")
	s := w.as(w.patient("a"))
	body := decode(t, `{"resourceType":"Practitioner","id":"a",`+oneLife+`}`)
	found := interaction.Target{Type: "Practitioner", Criteria: "phone=secret-a"}
	for name, write := range map[string]func() error{
		"put": func() error { _, err := s.Update(t.Context(), "a", body, store.Anything); return err },
		"patch that tests": func() error {
			_, err := s.Patch(t.Context(), k, interaction.Change{JSON: []byte(`[{"op":"test","path":"/birthDate","value":"1970-01-02"}]`)}, store.Anything)
			return err
		},
		"create if": func() error { _, err := s.CreateIf(t.Context(), body, found.Criteria); return err },
		"update if": func() error { _, err := s.UpdateIf(t.Context(), body, found); return err },
		"patch if": func() error {
			_, err := s.PatchIf(t.Context(), found, interaction.Change{JSON: []byte(`[]`)})
			return err
		},
		"delete if":  func() error { _, err := s.DeleteIf(t.Context(), found); return err },
		"delete":     func() error { _, err := s.Delete(t.Context(), k, store.Anything); return err },
		"labels":     func() error { _, err := s.MetaAdd(t.Context(), k, fhir.Node{}, store.Anything); return err },
		"unlabelled": func() error { _, err := s.MetaDelete(t.Context(), k, fhir.Node{}, store.Anything); return err },
	} {
		refused(t, name, write(), fhir.Denied)
	}
}

// TestWithheldFromReads: a Practitioner leaves the server in part for a patient, on
// all ways, and whole for others.
func TestWithheldFromReads(t *testing.T) {
	t.Parallel()
	w := private(t, oneLife)
	k := key("Practitioner/a")
	w.put(`{"resourceType":"Practitioner","id":"a","active":true,` + oneLife + `}`)
	ways := func(s *interaction.Session) map[string]string {
		said := map[string]string{}
		one := func(v *store.Version, err error) string { return written(t, []store.Version{*v}, err) }
		said["read"] = one(s.Read(t.Context(), k))
		said["vread"] = one(s.VRead(t.Context(), k, 2))
		said["read at"] = one(s.ReadAt(t.Context(), k, time.Now().Add(time.Hour)))
		for name, h := range map[string]store.History{"instance": {Type: k.Type, ID: k.ID, Count: 9}, "type": {Type: k.Type, Count: 9}, "system": {Count: 90}} {
			p, err := s.History(t.Context(), h)
			said["history of "+name] = written(t, p.Versions, err)
		}
		for _, query := range []string{"Practitioner?", "PractitionerRole?_include=PractitionerRole:practitioner", "Organization?_revinclude=PractitionerRole:organization&_include:iterate=PractitionerRole:practitioner", "?_type=Practitioner"} {
			typ, rest, _ := strings.Cut(query, "?")
			params, err := search.Parameters(rest)
			if err != nil {
				t.Fatal(err)
			}
			p := interaction.Page{Request: search.Request{Params: params}}
			if typ != "" {
				p.Types = []string{typ}
			}
			f, err := s.Search(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			said[query] = written(t, append(f.Versions, f.Included...), nil)
		}
		return said
	}
	for way, said := range ways(w.as(w.patient("a"))) {
		if strings.Contains(said, "secret-a") || strings.Contains(said, "1970") || !strings.Contains(said, "SUBSETTED") || !strings.Contains(said, "Sampleford") || !strings.Contains(said, "surgery") {
			t.Errorf("a patient is told by %s: %s", way, said)
		}
	}
	for way, said := range ways(w.as(w.doctor("b"))) {
		if !strings.Contains(said, "secret-a") || strings.Contains(said, "SUBSETTED") {
			t.Errorf("a doctor is told by %s: %s", way, said)
		}
	}
}

func written(t *testing.T, versions []store.Version, err error) string {
	t.Helper()
	done(t, "look", err)
	var b strings.Builder
	for _, v := range versions {
		if !v.Deleted() {
			b.Write(v.Resource())
		}
	}
	return b.String()
}
