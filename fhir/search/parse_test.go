package search

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

const testBase = "http://example.org/fhir"

var testNow = time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)

var sharedRegistry = sync.OnceValues(func() (*Registry, error) { return NewRegistry(spec.R4(), testBase, 0, nil) })

func testRegistry(t testing.TB) *Registry {
	t.Helper()
	r, err := sharedRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// parseTest parses "Type?query" or "query" of which spaces and such are not
// escaped. Several types are separated by commas.
func parseTest(r *Registry, typ, query string) (*Query, error) {
	req := Request{Now: testNow}
	if typ != "" {
		req.Types = strings.Split(typ, ",")
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		req.Params = append(req.Params, Parameter{name, value})
	}
	return r.Parse(req)
}

// parseURL parses "Type?query" and describes what it is.
func parseURL(r *Registry, address string) (string, error) {
	typ, query, _ := strings.Cut(address, "?")
	q, err := parseTest(r, typ, query)
	if err != nil {
		return "", err
	}
	parts := make([]string, len(q.Where))
	for i, c := range q.Where {
		parts[i] = meaning(c)
	}
	return strings.Join(parts, " & "), nil
}

// TestExamples holds Parse against every example that R4's search page has, by
// its sections: https://hl7.org/fhir/R4/search.html. Where the example names a
// parameter that R4 does not define, one of that type that it does stands there.
func TestExamples(t *testing.T) {
	t.Parallel()
	tests := []struct{ section, address, want string }{
		{"3.1.1.4.1 _id", "Patient?_id=23", "id 23"},
		{"3.1.1.4.2 _lastUpdated", "Observation?_lastUpdated=gt2010-10-01", "updated gt 2010-10-01 2010-10-02"},
		{"3.1.1.4.3 _tag", "Condition?_tag=http://acme.org/codes|needs-review", "_tag http://acme.org/codes|needs-review"},
		{"3.1.1.4.3 _profile", "DiagnosticReport?_profile=http://hl7.org/fhir/StructureDefinition/lipid", "_profile http://hl7.org/fhir/StructureDefinition/lipid"},
		{"modifiers", "Patient?gender:missing=true", "gender missing true"},
		{"modifiers", "Patient?gender:missing=false", "gender missing false"},
		{"modifiers", "Patient?name:exact=Bill", `name exact "Bill"`},
		{"number", "RiskAssessment?probability=100", "probability eq 99.5 100.5"},
		{"number", "RiskAssessment?probability=100.00", "probability eq 99.995 100.005"},
		{"number", "RiskAssessment?probability=1e2", "probability eq 95 105"},
		{"number", "RiskAssessment?probability=1.00e2", "probability eq 99.5 100.5"},
		{"number", "RiskAssessment?probability=lt100", "probability lt 100 100"},
		{"number", "RiskAssessment?probability=le100", "probability le 100 100"},
		{"number", "RiskAssessment?probability=gt100", "probability gt 100 100"},
		{"number", "RiskAssessment?probability=ge100", "probability ge 100 100"},
		{"number", "RiskAssessment?probability=ne100", "probability ne 99.5 100.5"},
		{"number", "RiskAssessment?probability=gt0.8", "probability gt 0.8 0.8"},
		{"number", "RiskAssessment?probability=gt8e-1", "probability gt 0.8 0.8"},
		{"number", "ImmunizationRecommendation?_id=2", "id 2"},
		{"date", "Procedure?date=ge2010-01-01&date=le2011-12-31", "date ge 2010-01-01 2010-01-02 & date le 2011-12-31 2012-01-01"},
		{"date", "Procedure?date=lt2013-01-14T10:00", "date lt 2013-01-14T10:00:00 2013-01-14T10:01:00"},
		{"string", "Patient?given=eve", `given "eve"`},
		{"string", "Patient?given:contains=eve", `given contains "eve"`},
		{"string", "Patient?given:exact=Eve", `given exact "Eve"`},
		{"uri", "ValueSet?url=http://acme.org/fhir/ValueSet/123", "url http://acme.org/fhir/ValueSet/123"},
		{"uri", "ValueSet?url:below=http://acme.org/fhir/", "url below http://acme.org/fhir/"},
		{"uri", "ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5", "url above http://acme.org/fhir/ValueSet/123/_history/5"},
		{"uri", "ValueSet?url=urn:oid:1.2.3.4.5", "url urn:oid:1.2.3.4.5"},
		{"token", "Patient?identifier=http://acme.org/patient|2345", "identifier http://acme.org/patient|2345"},
		{"token", "Patient?identifier=|1.2.3,1.2.3", "identifier |1.2.3, *|1.2.3"},
		{"token", "Patient?identifier=http://acme.org/patient|", "identifier http://acme.org/patient|*"},
		{"token", "Patient?gender=male", "gender *|male"},
		{"token", "Patient?gender:not=male", "not gender *|male"},
		{"token", "Composition?section=48765-2", "section *|48765-2"},
		{"token", "Composition?section:not=48765-2", "not section *|48765-2"},
		{"token", "Patient?active=true", "active *|true"},
		{"token", "Condition?code=http://acme.org/conditions/codes|ha125", "code http://acme.org/conditions/codes|ha125"},
		{"token", "Condition?code=ha125", "code *|ha125"},
		{"token", "Condition?code:text=headache", `code text "headache"`},
		{"token", "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053", "identifier of type http://terminology.hl7.org/CodeSystem/v2-0203|MR:446053"},
		{"mime types", "DocumentReference?contenttype=text/xml", "contenttype *|text/xml"},
		{"mime types", "DocumentReference?contenttype:below=text/xml", "contenttype below *|text/xml"},
		{"quantity", "Observation?value-quantity=5.4|http://unitsofmeasure.org|mg", "value-quantity eq 5.35 5.45 http://unitsofmeasure.org|mg = 0.00535 0.00545 g"},
		{"quantity", "Observation?value-quantity=5.40e-3|http://unitsofmeasure.org|g", "value-quantity eq 0.005395 0.005405 http://unitsofmeasure.org|g = 0.005395 0.005405 g"},
		{"quantity", "Observation?value-quantity=5.4||mg", "value-quantity eq 5.35 5.45 |mg"},
		{"quantity", "Observation?value-quantity=5.4", "value-quantity eq 5.35 5.45 |"},
		{"quantity", "Observation?value-quantity=le5.4|http://unitsofmeasure.org|mg", "value-quantity le 5.4 5.4 http://unitsofmeasure.org|mg = 0.0054 0.0054 g"},
		{"quantity", "Observation?value-quantity=ap5.4|http://unitsofmeasure.org|mg", "value-quantity ap 4.86 5.94 http://unitsofmeasure.org|mg = 0.00486 0.00594 g"},
		{"reference", "Observation?subject=Patient/23", "subject Patient/23"},
		{"reference", "Observation?subject:Patient=23", "subject Patient/23"},
		{"reference", "Observation?patient=23", "patient Patient/23"},
		{"reference", "Observation?subject=http://example.org/fhir/Patient/123", "subject Patient/123"},
		{"reference", "Observation?subject=http://other.org/fhir/Patient/123", "subject <http://other.org/fhir/Patient/123>"},
		{"reference", "Encounter?participant=1", "participant Practitioner/1/or/PractitionerRole/1/or/RelatedPerson/1"},
		{"reference", "Observation?subject:identifier=http://acme.org/fhir/identifier/mrn|123456", "subject identifier http://acme.org/fhir/identifier/mrn|123456"},
		{"references and versions", "CarePlan?instantiates-canonical=http://acme.com/some-profile|1.0", "instantiates-canonical <http://acme.com/some-profile>|1.0"},
		{"references and versions", "CarePlan?instantiates-canonical:below=http://acme.com/some-profile", "instantiates-canonical below <http://acme.com/some-profile>"},
		{"references and versions", "CarePlan?instantiates-canonical:below=http://acme.com/some-profile|1", "instantiates-canonical below <http://acme.com/some-profile>|1"},
		{"hierarchies", "Procedure?location:below=42", "refused"},
		{"hierarchies", "MedicationAdministration?context:above=21", "refused"},
		{"chaining", "DiagnosticReport?subject:Patient.name=peter", `subject:Patient.name "peter"`},
		{"chaining", "DiagnosticReport?subject.name=peter", `(subject:Location.name "peter" or subject:Patient.name "peter")`},
		{"chaining", "Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN",
			`(general-practitioner:Organization.name "Joe" or general-practitioner:Practitioner.name "Joe") & ` +
				`(general-practitioner:Organization.address-state "MN" or general-practitioner:Practitioner.address-state "MN")`},
		{"reverse chaining", "Patient?_has:Observation:patient:code=1234-5", "has Observation:patient:code *|1234-5"},
		{"reverse chaining", "Patient?_has:Observation:patient:code=123,456", "has Observation:patient:code *|123, *|456"},
		{"reverse chaining", "Patient?_has:Observation:patient:code=123&_has:Observation:patient:code=456", "has Observation:patient:code *|123 & has Observation:patient:code *|456"},
		{"reverse chaining", "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent-name=MyUserId", `has Observation:patient:has AuditEvent:entity:agent-name "MyUserId"`},
		{"composite", "Patient?language=FR&language=NL", "language *|FR & language *|NL"},
		{"composite", "Patient?language=FR,NL&language=EN", "language *|FR, *|NL & language *|EN"},
		{"composite", "Observation?code:text=this,that", `code text "this", "that"`},
		{"composite", "Group?characteristic-value=gender$mixed,owner$Eve", "characteristic-value *|gender$*|mixed, *|owner$*|Eve"},
		{"composite", "DiagnosticReport?result.code-value-quantity=http://loinc.org|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L",
			"result:Observation.code-value-quantity http://loinc.org|2823-3$gt 5.4 5.4 http://unitsofmeasure.org|mmol/L = 3.25195601e+24 3.25195601e+24 m-3"},
		{"composite", "Observation?component-code-value-quantity=http://loinc.org|8480-6$lt60", "component-code-value-quantity http://loinc.org|8480-6$lt 60 60 |"},
		{"composite", "Questionnaire?context-type-value=focus$http://snomed.info/sct|408934002", "context-type-value *|focus$http://snomed.info/sct|408934002"},
		{"missing", "AllergyIntolerance?clinical-status=http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active",
			"clinical-status http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active"},
		{"missing", "AllergyIntolerance?clinical-status:missing=true", "clinical-status missing true"},
		{"escaping", "Observation?code=a,b", "code *|a, *|b"},
		{"escaping", `Observation?code=a\,b`, "code *|a,b"},
		{"escaping", `Observation?code=xx\\xx`, `code *|xx\xx`},
		{"escaping", `Observation?code=xx\$xx`, `code *|xx$xx`},
		{"escaping", `Observation?code=xx\xx`, "refused"},
		{"escaping", `ValueSet?url=http://acme.org/fhir/ValueSet/123,http://acme.org/fhir/ValueSet/124\,125`,
			"url http://acme.org/fhir/ValueSet/123, http://acme.org/fhir/ValueSet/124,125"},
		{"text", "Condition?_text=(bone OR liver) and metastases", "words true [[bone metastases] [liver metastases]]"},
		{"list", "Patient?_list=42", "in List/42"},
		{"list", "Patient?_list=42&gender=female", "in List/42 & gender *|female"},
		{"list", "AllergyIntolerance?patient=42&_list=$current-allergies", "refused"},
		{"filter", "Observation?code=http://loinc.org|1234-5&subject.name=peter", `code http://loinc.org|1234-5 & (subject:Location.name "peter" or subject:Patient.name "peter")`},
		{"filter", `Observation?_filter=code eq http://loinc.org|1234-5 and subject:Patient.name co "peter"`, `(code http://loinc.org|1234-5 and subject:Patient.name contains "peter")`},
		{"type", "?_type=Observation,Condition&code=a", "(code *|a or code *|a)"},
		{"query", "Patient?_query=name", "refused"},
		{"errors", "Observation?subject=101", "subject Device/101/or/Group/101/or/Location/101/or/Patient/101"},
		{"errors", "Condition?onset-date=23.May.2009", "refused"},
		{"errors", "Condition?onset-date:text=23.May.2009", "refused"},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		got, err := parseURL(r, tt.address)
		switch {
		case err != nil && fhir.AsOutcome(err) == nil:
			t.Errorf("%s: %s: error %v is no Outcome", tt.section, tt.address, err)
		case err != nil && tt.want != "refused":
			t.Errorf("%s: %s: %v", tt.section, tt.address, err)
		case err == nil && got != tt.want:
			t.Errorf("%s: %s:\n got %s\nwant %s", tt.section, tt.address, got, tt.want)
		}
	}
}

func TestResultExamples(t *testing.T) {
	t.Parallel()
	r := testRegistry(t)
	q, err := parseTest(r, "Observation", "_sort=status,-date,category&_count=1&_total=accurate&_elements=identifier,status&_summary=false")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, o := range q.Sort {
		order = append(order, fmt.Sprint(o.Param.Code, o.Descending))
	}
	if got := strings.Join(order, " "); got != "statusfalse datetrue categoryfalse" {
		t.Errorf("order %s", got)
	}
	if q.Count != 1 || q.Total != TotalAccurate || strings.Join(q.Select.Elements, " ") != "identifier status" || len(q.Applied) != 5 {
		t.Errorf("query %+v", q)
	}
}

func TestCountOnly(t *testing.T) {
	t.Parallel()
	r := testRegistry(t)
	for _, query := range []string{"_count=0", "_summary=count", "_summary=count&_count=5&_total=none"} {
		q, err := parseTest(r, "Patient", query)
		if err != nil || q.Count != 0 || q.Total != TotalAccurate || q.Select.Summary != fhir.SummaryCount {
			t.Errorf("%s: %+v, %v", query, q, err)
		}
	}
	q, err := parseTest(r, "Patient", "name=x&_format=json&_pretty=true")
	if err != nil || q.Count != DefaultCount || len(q.Applied) != 1 || len(q.Where) != 1 {
		t.Errorf("query %+v, %v", q, err)
	}
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	tests := []struct{ typ, query, want string }{
		{"MedicationRequest", "_include=MedicationRequest:patient", "MedicationRequest[patient]"},
		{"MedicationRequest", "_revinclude=Provenance:target", "reverse Provenance[target]"},
		{"MedicationDispense", "_include=MedicationDispense:prescription&_include:iterate=MedicationRequest:requester", "MedicationDispense[prescription] iterate MedicationRequest[requester]"},
		{"Observation", "_include:recurse=Observation:has-member", "iterate Observation[has-member]"},
		{"Task", "_include=Task:owner:Organization", "Task[owner]>Organization"},
		{"Task", "_include=*&_revinclude=*", "*[] reverse *[]"},
		{"Appointment", "_include=Appointment:*", "Appointment[actor based-on location patient practitioner reason-reference slot supporting-info]"},
		{"Appointment", "_include=Appointment:*:Slot", "Appointment[slot supporting-info]>Slot"},
		{"Task", "_include=Patient:organization", "warned"},
		{"Task", "_revinclude=Observation:patient", "warned"},
		{"", "_include=Task:owner", "Task[owner]"},
		{"Task", "_include=Task:status", "refused"},
		{"Task", "_include=Task:owner:Observation", "refused"},
		{"Task", "_include=Tusk:owner", "refused"},
		{"Task", "_include=Task:owner:Nothing", "refused"},
		{"Task", "_include=Task", "refused"},
		{"Task", "_include=", "refused"},
		{"Task", "_include=*:owner", "refused"},
		{"Task", "_include=Task:owner:", "refused"},
		{"Task", "_include:often=Task:owner", "refused"},
		{"Task", "_include=Task:owner&_summary=text", "refused"},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		q, err := parseTest(r, tt.typ, tt.query)
		got := "refused"
		if err == nil {
			got = describeIncludes(q)
		}
		if got != tt.want {
			t.Errorf("%s?%s: %s, want %s (%v)", tt.typ, tt.query, got, tt.want, err)
		}
	}
}

func describeIncludes(q *Query) string {
	if len(q.Includes) == 0 && len(q.Warnings) == 1 && len(q.Applied) == 0 {
		return "warned"
	}
	var all []string
	for _, in := range q.Includes {
		s := ""
		if in.Reverse {
			s += "reverse "
		}
		if in.Iterate {
			s += "iterate "
		}
		var codes []string
		for _, p := range in.Params {
			codes = append(codes, p.Code)
		}
		s += fmt.Sprintf("%s%v", in.Source, codes)
		if in.Target != "" {
			s += ">" + in.Target
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		address string
		code    fhir.Code
		says    string
	}{
		{"Task?ownr=1", fhir.NotSupported, "Did you mean owner?"},
		{"Task?xyzzyplugh=1", fhir.NotSupported, "Valid are: _content"},
		{"Task?Owner=1", fhir.NotSupported, "Did you mean owner?"},
		{"Task?=1", fhir.NotSupported, "no search parameter"},
		{"Task?status:exact=x", fhir.NotSupported, "Valid are: above, below, in, missing, not"},
		{"Task?status:nott=x", fhir.NotSupported, "Did you mean not?"},
		{"Task?status:=x", fhir.NotSupported, "does not take"},
		{"Patient?name:text=x", fhir.NotSupported, "contains, exact, missing"},
		{"Patient?birthdate:exact=2000", fhir.NotSupported, "missing"},
		{"Observation?code-value-quantity:missing=true", fhir.NotSupported, "takes no modifier"},
		{"Patient?general-practitioner:Patient=1", fhir.Value, "It points to: Organization, Practitioner, PractitionerRole"},
		{"Patient?general-practitioner=Patient/1", fhir.Value, "It points to"},
		{"Patient?general-practitioner:Practitioner=Organization/1", fhir.Value, "not that of the modifier"},
		{"Patient?general-practitioner:Practitioner=http://a.org/Practitioner/1", fhir.Value, "on this server"},
		{"Patient?general-practitioner=Practitioner/1/_history/2", fhir.NotSupported, "_history"},
		{"Patient?general-practitioner=#a", fhir.Value, "absolute URL"},
		{"Patient?general-practitioner=Nonsense/1", fhir.Value, "Type/id"},
		{"Patient?general-practitioner=a b", fhir.Value, "Type/id"},
		{"Task?status=", fhir.Value, "value is missing"},
		{"Task?status", fhir.Value, "value is missing"},
		{"Task?status=a,", fhir.Value, "value is missing"},
		{"Task?status=,a", fhir.Value, "value is missing"},
		{"Task?status=,", fhir.Value, "value is missing"},
		{"Task?status=|", fhir.Value, "system or a code"},
		{"Task?code=a|b|c", fhir.Value, `\|`},
		{"Patient?identifier:of-type=a|b", fhir.Value, "system|code|value"},
		{"Patient?identifier:of-type=a||c", fhir.Value, "system|code|value"},
		{"Patient?active=yes", fhir.Value, "true or false"},
		{"Patient?active=|true", fhir.Value, "true or false"},
		{"Patient?gender:missing=yes", fhir.Value, "true or false"},
		{"Patient?name=%CC%81", fhir.Value, "no letters"},
		{"Patient?name= ", fhir.Value, "no letters"},
		{`Patient?name=a\b`, fhir.Value, "backslash"},
		{`Patient?name=a\`, fhir.Value, "backslash"},
		{"Patient?birthdate=GT2000", fhir.Value, "prefix"},
		{"Patient?birthdate=xx2000", fhir.Value, "prefix"},
		{"Patient?birthdate=gt", fhir.Value, "prefix"},
		{"Patient?birthdate=2000-02-30", fhir.Value, "calendar"},
		{"Patient?birthdate=2000-1", fhir.Value, "calendar"},
		{"Patient?birthdate=2000-01-01T10", fhir.Value, "calendar"},
		{"Patient?birthdate=0000", fhir.Value, "calendar"},
		{"Patient?birthdate=2000-01-01T10:00:00.0123456789", fhir.Value, "9 decimals"},
		{"RiskAssessment?probability=.5", fhir.Value, "A number is written"},
		{"RiskAssessment?probability=5.", fhir.Value, "A number is written"},
		{"RiskAssessment?probability=5e", fhir.Value, "A number is written"},
		{"RiskAssessment?probability=1e401", fhir.Value, "A number is written"},
		{"RiskAssessment?probability=NaN", fhir.Value, "prefix"},
		{"RiskAssessment?probability=--5", fhir.Value, "A number is written"},
		{"Observation?value-quantity=5|", fhir.Value, "A quantity is"},
		{"Observation?value-quantity=5||", fhir.Value, "A quantity is"},
		{"Observation?value-quantity=5|a|b|c", fhir.Value, "A quantity is"},
		{"Observation?code-value-quantity=a", fhir.Value, "2 values"},
		{"Observation?code-value-quantity=a$", fhir.Value, "beside a $"},
		{"Observation?code-value-quantity=a$5$6", fhir.Value, "2 values"},
		{"ValueSet?url:below=urn:oid:1.2", fhir.Value, "URN"},
		{"Condition?code:in=http://acme.org/fhir/ValueSet/cardiac-conditions", fhir.NotSupported, "terminology"},
		{"Condition?code:in=http://snomed.info/sct?fhir_vs=isa/126851005", fhir.NotSupported, "terminology"},
		{"Condition?code:below=126851005", fhir.Value, "system|code"},
		{"Condition?code:below=http://snomed.info/sct|126851005", fhir.NotSupported, "terminology"},
		{"Location?near=1|2", fhir.NotSupported, "near"},
		{"Patient?_contained=true", fhir.NotSupported, "_contained"},
		{"Patient?_containedType=container", fhir.NotSupported, "_containedType"},
		{"Patient?_language=de", fhir.NotSupported, "_language"},
		{"Patient?_id:exact=1", fhir.NotSupported, "Valid is: not"},
		{"Patient?_id=a/b", fhir.Value, "An id has"},
		{"Patient?_lastUpdated:missing=true", fhir.NotSupported, "modifier"},
		{"Patient?_count=-1", fhir.Value, "_count"},
		{"Patient?_count=a", fhir.Value, "_count"},
		{"Patient?_count=", fhir.Value, "_count"},
		{"Patient?_count=1&_count=2", fhir.Value, "once"},
		{"Patient?_count:not=1", fhir.NotSupported, "no modifier"},
		{"Patient?_total=exact", fhir.Value, "accurate, estimate, none"},
		{"Patient?_summary=yes", fhir.Value, "Valid are: count, data, false, text, true"},
		{"Patient?_summary=true&_elements=name", fhir.Value, "_elements"},
		{"Patient?_elements=nam", fhir.Value, "Did you mean name?"},
		{"Patient?_elements=", fhir.Value, "no element"},
		{"Patient?_sort=nam", fhir.NotSupported, "Did you mean name?"},
		{"Patient?_sort=", fhir.NotSupported, "no search parameter"},
		{"Patient?_sort=--name", fhir.NotSupported, "no search parameter"},
		{"Patient?_sort=general-practitioner", fhir.NotSupported, "cannot be sorted"},
		{"Patient?_sort=_score", fhir.NotSupported, "score"},
		{"Patient?_sort:desc=name", fhir.NotSupported, "no modifier"},
		{"Patient?_type=Observation", fhir.Value, "address"},
		{"?_type=Patiant", fhir.Value, "Did you mean Patient?"},
		{"?_type=Patient,Task&birthdate=2000", fhir.NotSupported, "for Task"},
		{"?name=x", fhir.NotSupported, "all resource types"},
		{"Patient?_has=x", fhir.Value, "_has:Type"},
		{"Patient?_has:Observation:patient=x", fhir.Value, "_has:Type"},
		{"Patient?_has:Observation::code=x", fhir.Value, "_has:Type"},
		{"Patient?_has:Obsrvation:patient:code=x", fhir.Value, "Did you mean Observation?"},
		{"Patient?_has:Observation:code:code=x", fhir.Value, "References of Observation"},
		{"Patient?_has:Observation:encounter:code=x", fhir.Value, "does not point to Patient"},
		{"Observation?code.name=x", fhir.Value, "does not lead"},
		{"Observation?subject:Patint.name=x", fhir.Value, "Did you mean Patient?"},
		{"Observation?subject.nothing=x", fhir.NotSupported, "none of which has"},
		{"Observation?patient.nme=x", fhir.NotSupported, "Did you mean name?"},
		{"Observation?patient.=x", fhir.NotSupported, "none of which has"},
		{"Patient?_text=", fhir.Value, "is words"},
		{"Patient?_text=(a", fhir.Value, "is words"},
		{"Patient?_text=a)", fhir.Value, "is words"},
		{"Patient?_text=a or", fhir.Value, "is words"},
		{"Patient?_text=a,,b", fhir.Value, "is words"},
		{"Patient?_text=- -", fhir.Value, "is words"},
		{`Patient?_content="a b"`, fhir.NotSupported, "quotation"},
		{"Patient?_content=a not b", fhir.NotSupported, "not"},
		{"Patient?_content:exact=a", fhir.NotSupported, "modifier"},
		{"Patient?_list=List/a b", fhir.Value, "id of a List"},
		{"Patient?_explain=1", fhir.Value, "_explain"},
		{"Patient?name=a\x00", fhir.Invalid, "UTF-8"},
		{"Patient?name=\xff", fhir.Invalid, "UTF-8"},
		{"Task?status=complete", fhir.CodeInvalid, "Did you mean completed?"},
		{"Task?status:not=complete", fhir.CodeInvalid, "Did you mean completed?"},
		{"Task?patient.gender=females", fhir.CodeInvalid, "Did you mean female?"},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		address := tt.address
		if strings.Contains(address, "%") {
			address, _ = url.QueryUnescape(address)
		}
		_, err := parseURL(r, address)
		o := fhir.AsOutcome(err)
		if o == nil {
			t.Errorf("%s was taken: %v", tt.address, err)
			continue
		}
		is := o.Issues[0]
		if o.Class != fhir.BadRequest || is.Code != tt.code || !strings.Contains(is.Text, tt.says) || !strings.HasPrefix(is.Expression, "http.") && is.Expression != "" {
			t.Errorf("%s: %v, want %s with %q", tt.address, err, tt.code, tt.says)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parseTest(testRegistry(t), "Task", "ownr=1&status:exact=a&modified=x&_count=1001&_sort=nothing&subject.nothing=1&code=a")
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) != 6 {
		t.Fatalf("issues: %v, want 6", err)
	}
	for i, want := range []string{"http.ownr", "http.status:exact", "http.modified", "http._count", "http._sort", "http.subject.nothing"} {
		if o.Issues[i].Expression != want {
			t.Errorf("issue %d is about %s, want %s", i, o.Issues[i].Expression, want)
		}
	}
}

func TestLenient(t *testing.T) {
	t.Parallel()
	r := testRegistry(t)
	params := []Parameter{{"ownr", "1"}, {"status:exact", "a"}, {"modified", "x"}, {"_sort", "nothing"}, {"code", "a"}, {"_include", "Task:ownr"}}
	q, err := r.Parse(Request{Types: []string{"Task"}, Params: params, Lenient: true, Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Where) != 1 || len(q.Applied) != 1 || q.Applied[0].Name != "code" || len(q.Sort) != 0 || len(q.Includes) != 0 {
		t.Errorf("query %+v", q)
	}
	if len(q.Warnings) != 5 {
		t.Errorf("warnings %+v", q.Warnings)
	}
	for _, is := range q.Warnings {
		if is.Severity != fhir.Warning || !strings.Contains(is.Text, "left out") {
			t.Errorf("warning %+v", is)
		}
	}
}

// TestNeverLenient has what must not be left out even for a lenient client.
func TestNeverLenient(t *testing.T) {
	t.Parallel()
	def := func(code string) *spec.SearchParameter {
		return &spec.SearchParameter{URL: "http://a.org/" + code, Code: code, Type: "token", Base: []string{"Task"}, Expression: "Task.description"}
	}
	r, err := NewRegistry(spec.R4(), testBase, 1, []Custom{
		{Definition: def("building"), Type: "Task", Position: 900, State: Building, Percent: 43},
		{Definition: def("failed"), Type: "Task", Position: 901, State: Failed},
		{Definition: def("active-one"), Type: "Task", Position: 902},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ typ, name, value, says string }{
		{"Task", "building", "a", "43 %"},
		{"Task", "building:missing", "true", "43 %"},
		{"Task", "_sort", "building", "43 %"},
		{"Task", "part-of.building", "a", "43 %"},
		{"Patient", "_has:Task:patient:building", "a", "43 %"},
		{"Task", "failed", "a", "could not be built"},
		{"Task", "_filter", "building eq a", "43 %"},
		{"Task", "_count", "1001", "1000"},
		{"", "_type", "Taks", "Task"},
	}
	for _, tt := range tests {
		req := Request{Params: []Parameter{{tt.name, tt.value}}, Lenient: true, Now: testNow}
		if tt.typ != "" {
			req.Types = []string{tt.typ}
		}
		if _, err := r.Parse(req); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s=%s: %v, want %q", tt.name, tt.value, err, tt.says)
		}
	}
	if _, err := parseTest(r, "Task", "active-one=a"); err != nil {
		t.Error(err)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	chain := func(n int) string { return strings.Repeat("part-of:Observation.", n) + "_id=1" }
	list := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	tests := []struct {
		name   string
		within string
		beyond string
	}{
		{"_count", "_count=1000", "_count=1001"},
		{"values", "status=" + list(MaxAlternatives, "final"), "status=" + list(MaxAlternatives+1, "final")},
		{"ids", "_id=" + list(MaxAlternatives, "a"), "_id=" + list(MaxAlternatives+1, "a")},
		{"value", "code=" + strings.Repeat("a", MaxValue), "code=" + strings.Repeat("a", MaxValue+1)},
		{"parameters", strings.Repeat("code=a&", MaxParameters-1) + "code=a", strings.Repeat("code=a&", MaxParameters) + "code=a"},
		{"chain", strings.ReplaceAll(chain(MaxChain), "part-of:Observation", "has-member:Observation"), strings.ReplaceAll(chain(MaxChain+1), "part-of:Observation", "has-member:Observation")},
		{"_has", strings.Repeat("_has:Observation:has-member:", MaxChain) + "code=a", strings.Repeat("_has:Observation:has-member:", MaxChain+1) + "code=a"},
		{"branches", "focus._id=1", "focus._id=1&focus._id=2"},
		{"includes", strings.Repeat("_include=Observation:patient&", MaxIncludes-1) + "_include=Observation:patient", strings.Repeat("_include=Observation:patient&", MaxIncludes) + "_include=Observation:patient"},
		{"sort", "_sort=" + list(MaxSort, "date"), "_sort=" + list(MaxSort+1, "date")},
		{"filter", "_filter=method eq " + strings.Repeat("a", MaxFilter-10), "_filter=method eq " + strings.Repeat("a", MaxFilter-9)},
		{"nesting", "_filter=" + strings.Repeat("(", MaxNesting) + "code eq a" + strings.Repeat(")", MaxNesting), "_filter=" + strings.Repeat("(", MaxNesting+1) + "code eq a" + strings.Repeat(")", MaxNesting+1)},
		{"brackets", "_filter=" + strings.Repeat("(has-member[", MaxNesting/2) + "code eq a" + strings.Repeat("].code eq a)", MaxNesting/2), "_filter=" + strings.Repeat("(", MaxNesting) + "subject[_id eq 1]._id eq 1" + strings.Repeat(")", MaxNesting)},
		{"words", "_text=" + strings.Repeat("(", MaxNesting) + "a" + strings.Repeat(")", MaxNesting), "_text=" + strings.Repeat("(", MaxNesting+1) + "a" + strings.Repeat(")", MaxNesting+1)},
		{"word alternatives", "_text=" + list(MaxAlternatives, "a"), "_text=" + list(MaxAlternatives+1, "a")},
		{"codes", "status:in=" + list(MaxCodes/8, "http://hl7.org/fhir/ValueSet/observation-status"), "status:in=" + list(MaxCodes/8+1, "http://hl7.org/fhir/ValueSet/observation-status")},
		{"exponent", "value-quantity=1e400", "value-quantity=1e401"},
		{"digits", "value-quantity=" + strings.Repeat("1", maxDigits), "value-quantity=" + strings.Repeat("1", maxDigits+1)},
	}
	r := testRegistry(t)
	for _, tt := range tests {
		if tt.name == "brackets" {
			// Each bracket is a link as well, which has a bound of its own.
			tt.within = "_filter=" + strings.Repeat("(", MaxNesting-1) + "subject[_id eq 1]._id eq 1" + strings.Repeat(")", MaxNesting-1)
		}
		if _, err := parseTest(r, "Observation", tt.within); err != nil {
			t.Errorf("%s at the bound: %.300v", tt.name, err)
		}
		o := fhir.AsOutcome(func() error { _, err := parseTest(r, "Observation", tt.beyond); return err }())
		if o == nil || o.Class != fhir.BadRequest {
			t.Errorf("%s beyond the bound: %v", tt.name, o)
		}
	}
}

// TestWays has chains of which each leads to any type, by many names.
func TestWays(t *testing.T) {
	t.Parallel()
	var params []string
	for i := range 20 {
		params = append(params, fmt.Sprintf("%sx%d=1", strings.Repeat("focus.", MaxChain-1), i))
	}
	_, err := parseTest(testRegistry(t), "Observation", strings.Join(params, "&"))
	o := fhir.AsOutcome(err)
	if o == nil || !slices.ContainsFunc(o.Issues, func(is fhir.Issue) bool { return is.Code == fhir.TooCostly }) {
		t.Errorf("%.300v", err)
	}
}
