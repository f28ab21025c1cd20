package search

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestFilters has the examples of https://hl7.org/fhir/R4/search_filter.html and
// every operator.
func TestFilters(t *testing.T) {
	t.Parallel()
	tests := []struct{ address, want string }{
		{`Patient?name co "pet"`, `name contains "pet"`},
		{`Patient?given eq "peter" and birthdate ge 2014-10-10`, `(given whole "peter" and birthdate ge 2014-10-10 2014-10-11)`},
		{`Observation?code eq http://loinc.org|1234-5`, "code http://loinc.org|1234-5"},
		{`Observation?patient.name co "pet"`, `patient:Patient.name contains "pet"`},
		{`Observation?subject:Patient.name co "pet"`, `subject:Patient.name contains "pet"`},
		{`Observation?subject.name co "pet"`, `(subject:Location.name contains "pet" or subject:Patient.name contains "pet")`},
		{`Observation?has-member[status eq "final"]._id pr true`, "refused"},
		{`Observation?has-member[status eq final].code pr true`, "has-member:Observation.(status *|final and code missing false)"},
		{`Observation?has-member:Observation[status eq final].code pr true`, "has-member:Observation.(status *|final and code missing false)"},
		{`Observation?derived-from re Observation/4`, "derived-from Observation/4"},
		{`Observation?patient.id eq 3425`, "patient:Patient.id 3425"},
		{`Patient?given eq peter`, `given whole "peter"`},
		{`Patient?given eq "pe\"t\u0065r"`, `given whole "pe\"ter"`},
		{`Patient?given eq "a|b,c\\d$"`, `given whole "a|b,c\\d$"`},
		{`Patient?given ne peter`, `given differs "peter"`},
		{`Patient?given sw "pe"`, `given "pe"`},
		{`Patient?given ew ter`, `given ends "ter"`},
		{`Patient?given pr true`, "given missing false"},
		{`Patient?given pr false`, "given missing true"},
		{`Patient?birthdate eq 2000`, "birthdate eq 2000-01-01 2001-01-01"},
		{`Patient?birthdate ne 2000`, "birthdate ne 2000-01-01 2001-01-01"},
		{`Patient?birthdate sa 2000`, "birthdate sa 2000-01-01 2001-01-01"},
		{`Patient?birthdate eb 2000`, "birthdate eb 2000-01-01 2001-01-01"},
		{`Patient?birthdate po 2000-02`, "birthdate ap 2000-02-01 2000-03-01"},
		{`Patient?gender eq male`, "gender *|male"},
		{`Patient?gender ne male`, "gender differs *|male"},
		{`Patient?gender in http://hl7.org/fhir/ValueSet/administrative-gender`, "gender http://hl7.org/fhir/administrative-gender|male, http://hl7.org/fhir/administrative-gender|female, http://hl7.org/fhir/administrative-gender|other, http://hl7.org/fhir/administrative-gender|unknown"},
		{`Patient?gender ni "http://hl7.org/fhir/ValueSet/administrative-gender"`, "not gender http://hl7.org/fhir/administrative-gender|male, http://hl7.org/fhir/administrative-gender|female, http://hl7.org/fhir/administrative-gender|other, http://hl7.org/fhir/administrative-gender|unknown"},
		{`Observation?status ss http://hl7.org/fhir/observation-status|amended`, "status http://hl7.org/fhir/observation-status|amended, http://hl7.org/fhir/observation-status|corrected"},
		{`Observation?status sb http://hl7.org/fhir/observation-status|corrected`, "status http://hl7.org/fhir/observation-status|corrected, http://hl7.org/fhir/observation-status|amended"},
		{`Observation?code eq loinc|1234-5`, "code http://loinc.org|1234-5"},
		{`Observation?value-quantity gt 5.4|ucum|mg`, "value-quantity gt 5.4 5.4 http://unitsofmeasure.org|mg = 0.0054 0.0054 g"},
		{`Observation?value-quantity ap 100`, "value-quantity ap 90 110 |"},
		{`Observation?code-value-quantity eq loinc|12907-2$ge150|ucum|mmol/L`, "code-value-quantity http://loinc.org|12907-2$ge 150 150 http://unitsofmeasure.org|mmol/L = 9.03321114e+25 9.03321114e+25 m-3"},
		{`Observation?code-value-quantity ne a$5`, "code-value-quantity differs *|a$eq 4.5 5.5 |"},
		{`Observation?subject re Patient/1`, "subject Patient/1"},
		{`Observation?subject eq http://example.org/fhir/Patient/1`, "subject Patient/1"},
		{`Observation?subject ne Patient/1`, "subject differs Patient/1"},
		{`ValueSet?url eq "http://a.org/x|y"`, "url http://a.org/x|y"},
		{`ValueSet?url ne http://a.org`, "url differs http://a.org"},
		{`Patient?_id eq a`, "id a"},
		{`Patient?id ne a`, "not id a"},
		{`Patient?_lastUpdated gt 2020`, "updated gt 2020-01-01 2021-01-01"},
		{`Patient?given eq a or given eq b and given eq c`, `((given whole "a" or given whole "b") and given whole "c")`},
		{`Patient?given eq a and given eq b or given eq c`, `((given whole "a" and given whole "b") or given whole "c")`},
		{`Patient?given eq a or (given eq b and given eq c)`, `(given whole "a" or (given whole "b" and given whole "c"))`},
		{`Patient?(given eq a or given eq b) or given eq c`, `((given whole "a" or given whole "b") or given whole "c")`},
		{`Patient?given eq a and given eq b and given eq c`, `(given whole "a" and given whole "b" and given whole "c")`},
		{`Patient?not(given eq a)`, `not given whole "a"`},
		{`Patient?NOT (given eq a) AND given EQ b`, `(not given whole "a" and given whole "b")`},
		{`Patient?((given eq a))`, `given whole "a"`},
		{`Patient?  given  eq  a  `, `given whole "a"`},
		{`Patient?organization[name eq "x"].partof.name eq "y"`, `organization:Organization.(name whole "x" and partof:Organization.name whole "y")`},
		{`?_tag eq a`, "_tag *|a"},
		{`?name eq a`, "refused"},
		{`Patient?`, "refused"},
		{`Patient?given`, "refused"},
		{`Patient?given eq`, "refused"},
		{`Patient?given eq ""`, "refused"},
		{`Patient?given eq "a`, "refused"},
		{`Patient?given eq "a\x"`, "refused"},
		{`Patient?given is a`, "refused"},
		{`Patient?given eqa`, "refused"},
		{`Patient?given eq a b`, "refused"},
		{`Patient?given eq a and`, "refused"},
		{`Patient?and given eq a`, "refused"},
		{`Patient?(given eq a`, "refused"},
		{`Patient?given eq a)`, "refused"},
		{`Patient?not given eq a`, "refused"},
		{`Patient?not`, "refused"},
		{`Patient?gven eq a`, "refused"},
		{`Patient?organization[name eq x]`, "refused"},
		{`Patient?organization[name eq x].`, "refused"},
		{`Patient?organization[name eq x.name eq y`, "refused"},
		{`Patient?given.name eq x`, "refused"},
		{`Patient?given gt a`, "refused"},
		{`Patient?birthdate co 2000`, "refused"},
		{`Patient?birthdate ge gt2000`, "refused"},
		{`Patient?birthdate eq x`, "refused"},
		{`Patient?gender co ma`, "refused"},
		{`Patient?gender ss http://snomed.info/sct|1`, "refused"},
		{`Patient?gender in http://a.org`, "refused"},
		{`Patient?given pr maybe`, "refused"},
		{`Patient?_id gt a`, "refused"},
		{`Patient?_lastUpdated co 2000`, "refused"},
		{`Patient?_list eq 1`, "refused"},
		{`Patient?given:exact eq x`, "refused"},
		{`Patient?organization:Patient.name eq x`, "refused"},
		{`Observation?code-value-quantity gt a$5`, "refused"},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		got, err := parseURL(r, strings.Replace(tt.address, "?", "?_filter=", 1))
		switch {
		case err != nil && tt.want != "refused":
			t.Errorf("%s: %v", tt.address, err)
		case err != nil && fhir.AsOutcome(err) == nil:
			t.Errorf("%s: error %v is no Outcome", tt.address, err)
		case err == nil && got != tt.want:
			t.Errorf("%s:\n got %s\nwant %s", tt.address, got, tt.want)
		}
	}
}

func TestFilterSaysWhere(t *testing.T) {
	t.Parallel()
	tests := []struct{ filter, says string }{
		{"given eq é xx", "from character 12 on"},
		{"given is a", "from character 7 on"},
		{"(given eq a", "from character 12 on"},
		{"given gt a", "Valid are: eq, ne, co, sw, ew, pr"},
	}
	for _, tt := range tests {
		_, err := parseTest(testRegistry(t), "Patient", "_filter="+tt.filter)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.filter, err, tt.says)
		}
	}
}

func TestMatchFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t,
		`{"resourceType":"Patient","id":"a","gender":"male","name":[{"given":["Peter"]}],"birthDate":"2000-02-03","managingOrganization":{"reference":"Organization/o"},"identifier":[{"system":"s","value":"1"},{"system":"s","value":"2"}]}`,
		`{"resourceType":"Patient","id":"b","gender":"female","name":[{"given":["Petra","Ann"]}],"birthDate":"2001"}`,
		`{"resourceType":"Patient","id":"c"}`,
		`{"resourceType":"Organization","id":"o","name":"One","active":true}`,
	)
	tests := []struct{ filter, want string }{
		{`given eq "PETER"`, "a"},
		{`given eq "pet"`, ""},
		{`given sw pet`, "a b"},
		{`given ew TRA`, "b"},
		{`given co et`, "a b"},
		{`given ne "peter"`, "b"},
		{`given ne "petra"`, "a b"},
		{`not (given eq "peter")`, "b c"},
		{`given pr false`, "c"},
		{`identifier ne s|1`, "a"},
		{`identifier ne s|3`, "a"},
		{`gender ne male`, "b"},
		{`gender ni http://hl7.org/fhir/ValueSet/administrative-gender`, "c"},
		{`birthdate po 2000-02`, "a"},
		{`birthdate po 2001-05-05`, "b"},
		{`birthdate po 2000-02-04`, ""},
		{`organization.name eq one`, "a"},
		{`organization[active eq true].name eq one`, "a"},
		{`organization[active eq false].name eq one`, ""},
		{`organization ne Organization/o`, ""},
		{`gender eq male or (gender eq female and given eq ann)`, "a b"},
		{`_id eq a or _id eq c`, "a c"},
	}
	for _, tt := range tests {
		if got := w.search(t, "Patient?_filter="+tt.filter); got != tt.want {
			t.Errorf("%s found %q, want %q", tt.filter, got, tt.want)
		}
	}
	if got := w.search(t, "?_type=Organization,Patient&_filter=not (active eq true)"); got != "a b c" {
		t.Errorf("of two types: %q", got)
	}
}
