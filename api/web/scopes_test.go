package web

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openconsult/openconsult/auth"
	"github.com/openconsult/openconsult/fhir/access"
)

func resourceScope(text string, c access.Context, typ string, p access.Permission) auth.Scope {
	return auth.Scope{Scope: access.Scope{Context: c, Type: typ, Allows: p}, Text: text}
}

const readSearch = access.MayRead | access.MaySearch

func askedScopes() auth.Scopes {
	return auth.Scopes{
		OpenID: true, FHIRUser: true, LaunchPatient: true, Offline: true,
		Resource: []auth.Scope{
			resourceScope("patient/Patient.read", access.ForPatient, "Patient", readSearch),
			resourceScope("patient/Condition.read", access.ForPatient, "Condition", readSearch),
			resourceScope("patient/Observation.crs", access.ForPatient, "Observation", readSearch|access.MayCreate),
			resourceScope("patient/Observation.c", access.ForPatient, "Observation", access.MayCreate),
		},
	}
}

func texts(s auth.Scopes) string {
	var all []string
	for _, r := range s.Resource {
		all = append(all, r.Text)
	}
	for name, has := range map[string]bool{"openid": s.OpenID, "fhirUser": s.FHIRUser, "launch/patient": s.LaunchPatient, "offline_access": s.Offline} {
		if has {
			all = append(all, name)
		}
	}
	if len(all) > len(s.Resource) {
		rest := all[len(s.Resource):]
		for i := range rest { // a map has no order
			for j := range rest {
				if rest[i] < rest[j] {
					rest[i], rest[j] = rest[j], rest[i]
				}
			}
		}
	}
	return strings.Join(all, " ")
}

func TestChoose(t *testing.T) {
	t.Parallel()
	const vital = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
	for _, tt := range []struct {
		name, form, want, problem string
	}{
		{"everything", "scope=patient/Patient.read&scope-2=all&scope-3=all&scope=patient/Observation.c&scope=identity&scope=offline_access",
			"patient/Patient.read patient/Condition.read patient/Observation.crs patient/Observation.c fhirUser launch/patient offline_access openid", ""},
		{"nothing", "", "launch/patient", "scopes"},
		{"identity is not enough", "scope=identity", "fhirUser launch/patient openid", "scopes"},
		{"not asked", "scope=patient/Patient.read&scope=patient/*.cruds&scope=online_access&scope-9=all", "patient/Patient.read launch/patient", ""},
		{"kinds", "scope-2=some&scope-2-kind=health-concern&scope-2-kind=problem-list-item&scope-3=some&scope-3-kind=vital-signs",
			"patient/Condition.rs?category=http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item " +
				"patient/Condition.rs?category=http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern " +
				"patient/Observation.crs?category=" + vital + " launch/patient", ""},
		{"a tick does not stand for a choice of kinds", "scope=patient/Condition.read&scope=patient/Patient.read", "patient/Patient.read launch/patient", ""},
		{"kinds without the choice", "scope=patient/Patient.read&scope-2-kind=health-concern&scope-2=none", "patient/Patient.read launch/patient", ""},
		{"all and some", "scope-2=all&scope-2-kind=health-concern", "launch/patient", "scope-2-all"},
		{"some and none of them", "scope-2=some", "launch/patient", "scope-2-some"},
		{"some that are unknown", "scope-3=some&scope-3-kind=imagined", "launch/patient", "scope-3-some"},
	} {
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		chosen, problems := choose(askedScopes(), form)
		got := ""
		if len(problems) > 0 {
			got = problems[0].Field
		}
		if diff := cmp.Diff(tt.want, texts(chosen)); diff != "" || got != tt.problem {
			t.Errorf("%s: problem %q\n%s", tt.name, got, diff)
		}
	}
	kept, _ := choose(askedScopes(), url.Values{"scope-3": {"some"}, "scope-3-kind": {"vital-signs"}})
	if diff := cmp.Diff([]access.Argument{{Param: "category", Value: vital}}, kept.Resource[0].Where); diff != "" {
		t.Error(diff)
	}
	if identityOnly, problems := choose(auth.Scopes{OpenID: true}, url.Values{"scope": {"identity"}}); problems != nil || !identityOnly.OpenID {
		t.Errorf("sign-in only: %v", problems)
	}
}

// What a person takes out does not come back through something wider.
func TestTakenOutButIncluded(t *testing.T) {
	t.Parallel()
	asked := askedScopes()
	asked.Resource = append(asked.Resource, resourceScope("patient/*.rs", access.ForPatient, "*", readSearch), resourceScope("user/*.rs", access.ForUser, "*", readSearch))
	for form, want := range map[string]string{
		"scope=patient/Patient.read&scope-2=all&scope-3=all&scope=patient/Observation.c&scope=patient/*.rs": "",
		"scope-2=all&scope-3=all&scope=patient/Observation.c&scope=patient/*.rs":                            "scope-5",
		"scope=patient/Patient.read&scope-2=all&scope-3=some&scope-3-kind=laboratory&scope=patient/*.rs":    "scope-5",
		"scope=patient/Patient.read&scope-2=all&scope-3=some&scope-3-kind=laboratory&scope=user/*.rs":       "",
		"scope=patient/Patient.read&scope-2=all&scope-3=all":                                                "scope-3",
		"scope=patient/Patient.read&scope-2=none&scope-3=none&scope=patient/Observation.c":                  "",
	} {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, problems := choose(asked, values); len(problems) > 0 {
			got = problems[0].Field
		}
		if got != want {
			t.Errorf("%s: %q, want %q", form, got, want)
		}
	}
}

func TestClause(t *testing.T) {
	t.Parallel()
	const all = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch
	vital := resourceScope("", access.ForPatient, "Observation", access.MayRead)
	vital.Where = []access.Argument{{Param: "category", Value: "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"}, {Param: "status", Value: "final"}}
	for _, tt := range []struct {
		scope auth.Scope
		want  string
	}{
		{resourceScope("", access.ForPatient, "Observation", readSearch), "See test results, measurements and observations of this patient"},
		{resourceScope("", access.ForUser, "MedicationDispense", all), "See, add, change and delete medication dispenses of everybody whose records you have access to"},
		{resourceScope("", access.ForPatient, "FamilyMemberHistory", access.MayCreate), "Add family history of this patient"},
		{resourceScope("", access.ForPatient, "*", access.MayUpdate|access.MaySearch), "See and change everything in the record of this patient"},
		{resourceScope("", access.ForUser, "Practitioner", readSearch), "See names and details of professionals"},
		{resourceScope("", access.ForPatient, "Organization", readSearch), "See practices, hospitals and other organisations"},
		{vital, "See test results, measurements and observations of this patient, only vital signs, such as weight and blood pressure, only where status is final"},
	} {
		if got, _ := clause(tt.scope, true); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	// C15: a wildcard is explained.
	if _, detail := clause(resourceScope("", access.ForPatient, "*", readSearch), true); !strings.Contains(detail, "now and in future") {
		t.Errorf("a wildcard: %q", detail)
	}
}

func TestParseDay(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"": "", "1980-03-31": "1980-03-31", "1980": "1980", "1980-03": "1980-03", "31 3 1980": "1980-03-31", "31/03/1980": "1980-03-31",
		"1.2.1980": "1980-02-01", " 01-02-1980 ": "1980-02-01", "1 feb 1980": "1980-02-01", "1 February 1980": "1980-02-01",
		"31 2 1980": "!", "3 31 1980": "!", "1 2 80": "!", "yesterday": "!", "1/2": "!", "00/01/1980": "!",
	} {
		got, ok := parseDay(typed)
		if !ok {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

func FuzzParseDay(f *testing.F) {
	f.Add("31 3 1980")
	f.Add("1980-03-31")
	f.Fuzz(func(t *testing.T, typed string) {
		date, ok := parseDay(typed)
		if ok && date != "" && day(date) == date && len(date) != 4 {
			t.Errorf("%q was taken for %q", typed, date)
		}
	})
}
