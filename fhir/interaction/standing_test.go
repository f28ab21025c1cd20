package interaction_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestStanding asks what practitioners stand for.
func TestStanding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role := func(id, more string) {
		w.put(`{"resourceType":"PractitionerRole","id":"` + id + `","practitioner":{"reference":"Practitioner/a"}` + more + `}`)
	}
	for id, more := range map[string]string{
		"stopped": `,"active":false,"organization":{"reference":"Organization/b"}`,
		"past":    `,"period":{"end":"2020"},"organization":{"reference":"Organization/b"}`,
		"future":  `,"period":{"start":"2999-01-01"},"organization":{"reference":"Organization/b"}`,
		"foreign": `,"organization":{"reference":"https://other.example/fhir/Organization/b"}`,
		"now":     `,"active":true,"period":{"start":"2020-01-01","end":"2999"},"organization":{"reference":"Organization/c"},"healthcareService":[{"reference":"HealthcareService/named"}]`,
	} {
		role(id, more)
	}
	w.put(`{"resourceType":"HealthcareService","id":"c","providedBy":{"reference":"Organization/c"}}`)
	w.put(`{"resourceType":"HealthcareService","id":"closed","active":false,"providedBy":{"reference":"Organization/c"}}`)
	w.put(`{"resourceType":"HealthcareService","id":"b","providedBy":{"reference":"Organization/b"}}`)
	s := w.standing(key("Practitioner/a"))
	for _, tt := range []struct {
		what string
		got  []fhir.Key
		want string
	}{
		{"roles", s.Roles, "PractitionerRole/a PractitionerRole/foreign PractitionerRole/now"},
		{"organizations", s.Organizations, "Organization/a Organization/c"},
		{"services", s.Services, "HealthcareService/c HealthcareService/named"},
	} {
		var names []string
		for _, k := range tt.got {
			names = append(names, k.String())
			if !slices.Contains(s.Parties, access.Key{Kind: access.Party, Of: k.String()}) {
				t.Errorf("%s is no party", k)
			}
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	w.put(`{"resourceType":"Practitioner","id":"a","active":false}`)
	w.put(`{"resourceType":"Patient","id":"gone","active":false}`)
	for _, name := range []string{"Practitioner/a", "Practitioner/missing", "Patient/gone", "Patient/missing", "RelatedPerson/missing", "Organization/a", "/"} {
		if s := w.standing(key(name)); len(s.Parties)+len(s.Patients)+len(s.Organizations) > 0 {
			t.Errorf("%s stands for %+v", name, s)
		}
	}
	if s := w.standing(key("Patient/a")); fmt.Sprint(s.Patients) != "[a]" {
		t.Errorf("a patient stands for %+v", s)
	}
}

// TestProxy asks when a RelatedPerson may act for the patient.
func TestProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const (
		privacy = `{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}`
		actor   = `"actor":[{"role":{"text":"x"},"reference":{"reference":"RelatedPerson/x"}}]`
		permit  = `{"type":"permit",` + actor + `}`
	)
	consent := func(id, status, scope, provision string) string {
		return `{"resourceType":"Consent","id":"` + id + `","status":"` + status + `","scope":` + scope + `,"category":[{"text":"x"}],"patient":{"reference":"Patient/a"},"performer":[{"reference":"RelatedPerson/x"}],"provision":` + provision + `}`
	}
	person := func(more string) string {
		return `{"resourceType":"RelatedPerson","id":"x","patient":{"reference":"Patient/a"}` + more + `}`
	}
	good := consent("1", "active", privacy, permit)
	for _, tt := range []struct {
		what   string
		person string
		given  []string
		may    bool
	}{
		{"a consent", person(""), []string{good}, true},
		{"no consent", person(""), nil, false},
		{"an inactive consent", person(""), []string{consent("1", "inactive", privacy, permit)}, false},
		{"a proposed consent", person(""), []string{consent("1", "proposed", privacy, permit)}, false},
		{"a consent to research", person(""), []string{consent("1", "active", `{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"research"}]}`, permit)}, false},
		{"a consent that is over", person(""), []string{consent("1", "active", privacy, `{"type":"permit","period":{"end":"2020-01-01"},`+actor+`}`)}, false},
		{"a consent in its period", person(""), []string{consent("1", "active", privacy, `{"type":"permit","period":{"start":"2020","end":"2999-12-31T00:00:00Z"},`+actor+`}`)}, true},
		{"a consent for another", person(""), []string{consent("1", "active", privacy, `{"type":"permit","actor":[{"role":{"text":"x"},"reference":{"reference":"RelatedPerson/y"}}]}`)}, false},
		{"a consent for nobody", person(""), []string{consent("1", "active", privacy, `{"type":"permit"}`)}, false},
		{"a denial", person(""), []string{consent("1", "active", privacy, `{"type":"deny",`+actor+`}`)}, false},
		{"a consent and a denial", person(""), []string{good, consent("2", "active", privacy, `{"type":"deny",`+actor+`}`)}, false},
		{"a consent and a denial that is over", person(""), []string{good, consent("2", "active", privacy, `{"type":"deny","period":{"end":"2020"},`+actor+`}`)}, true},
		{"an exception from a denial", person(""), []string{consent("1", "active", privacy, `{"type":"deny","provision":[`+permit+`]}`)}, true},
		{"an exception from a consent", person(""), []string{consent("1", "active", privacy, `{"type":"permit",`+actor+`,"provision":[{"type":"deny",`+actor+`}]}`)}, false},
		{"a consent with other exceptions", person(""), []string{consent("1", "active", privacy, `{"type":"permit",`+actor+`,"provision":[{"type":"deny","class":[{"code":"x"}]}]}`)}, false},
		{"a consent to some data", person(""), []string{consent("1", "active", privacy, `{"type":"permit","securityLabel":[{"code":"N"}],`+actor+`}`)}, false},
		{"a consent to access", person(""), []string{consent("1", "active", privacy, `{"type":"permit","action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"access"}]}],`+actor+`}`)}, true},
		{"a consent to correct", person(""), []string{consent("1", "active", privacy, `{"type":"permit","action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"correct"}]}],`+actor+`}`)}, false},
		{"a person who is not active", person(`,"active":false`), []string{good}, false},
		{"a person whose time is over", person(`,"period":{"end":"2020"}`), []string{good}, false},
		{"a person of another patient", strings.Replace(person(""), "Patient/a", "Patient/b", 1), []string{good}, false},
	} {
		w.put(tt.person)
		for i := range 2 {
			body := consent(fmt.Sprint(i+1), "entered-in-error", privacy, permit)
			if i < len(tt.given) {
				body = tt.given[i]
			}
			w.put(body)
		}
		s := w.standing(key("RelatedPerson/x"))
		if may := len(s.Patients) > 0; may != tt.may || may != (len(s.Parties) > 0) {
			t.Errorf("%s: stands for %+v", tt.what, s)
		}
	}
}
