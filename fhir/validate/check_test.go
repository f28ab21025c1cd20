package validate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A finding is a resource and what must be found: severity, if it is no error, rule or
// detail, and place.
type finding struct {
	name string
	body string
	want []string
}

func (f finding) check(t *testing.T, v *Validator, o Options) {
	t.Helper()
	r, err := fhir.Decode("", []byte(f.body))
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	issues, err := v.Check(context.Background(), r.Root(), o)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	var got []string
	for _, is := range issues {
		what := is.Detail + " " + is.Expression
		if is.Severity != fhir.Error {
			what = is.Severity.String() + " " + what
		}
		got = append(got, what)
		if !strings.HasSuffix(is.Text, ".") || strings.HasSuffix(is.Text, "..") || is.Code == "" {
			t.Errorf("%s: %+v is no complete issue", f.name, is)
		}
	}
	if !slices.Equal(got, f.want) {
		t.Errorf("%s: issues are %q, want %q", f.name, got, f.want)
	}
}

const div = `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}`

func TestInvariants(t *testing.T) {
	t.Parallel()
	v := validator()
	for _, f := range []finding{
		{"nothing wrong", `{"resourceType":"Patient","active":true}`, nil},
		{"ele-1", `{"resourceType":"Patient","name":[{"id":"a"}]}`, []string{"ele-1 Patient.name[0]"}},
		{"ele-1 of a primitive", `{"resourceType":"Patient","_birthDate":{"id":"a"}}`, []string{"ele-1 Patient.birthDate"}},
		{"ext-1 neither", `{"resourceType":"Patient","extension":[{"url":"http://a","id":"a"}]}`, []string{"ext-1 Patient.extension[0]"}},
		{"pat-1", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, []string{"pat-1 Patient.contact[0]"}},
		{"per-1", `{"resourceType":"Patient","name":[{"text":"x","period":{"start":"2024-01-02","end":"2024-01-01"}}]}`, []string{"per-1 Patient.name[0].period"}},
		{"per-1 of zones", `{"resourceType":"Patient","name":[{"text":"x","period":{"start":"2024-01-02T10:00:00+01:00","end":"2024-01-02T09:30:00Z"}}]}`, nil},
		{"per-1 of zones, the other way", `{"resourceType":"Patient","name":[{"text":"x","period":{"start":"2024-01-02T10:00:00Z","end":"2024-01-02T10:30:00+01:00"}}]}`, []string{"per-1 Patient.name[0].period"}},
		{"per-1 of precisions", `{"resourceType":"Patient","name":[{"text":"x","period":{"start":"2024-01-02","end":"2024"}}]}`, nil},
		{"qrs-1", `{"resourceType":"QuestionnaireResponse","status":"completed","item":[{"linkId":"a","answer":[{"valueBoolean":true}],"item":[{"linkId":"b"}]}]}`, []string{"qrs-1 QuestionnaireResponse.item[0]"}},
		{"inv-1 of Task", `{"resourceType":"Task","status":"requested","intent":"order","authoredOn":"2024-02-01T10:00:00Z","lastModified":"2024-01-01T10:00:00Z"}`, []string{"inv-1 Task"}},
		{"ref-1", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}`, []string{"ref-1 Observation.subject"}},
		{"ref-1 with an escape", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"\u0023p"}}`, []string{"ref-1 Observation.subject"}},
		{"ref-1 to itself", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"derivedFrom":[{"reference":"#"}]}`, nil},
		{"ref-1 beside", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","generalPractitioner":[{"reference":"#o"}]},{"resourceType":"Organization","id":"o","name":"x"}],"status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}`, nil},
		{"dom-2 to 5", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p","meta":{"versionId":"1","lastUpdated":"2024-01-01T10:00:00Z","security":[{"system":"http://a","code":"b"}]},"contained":[{"resourceType":"Patient","id":"q"}],"generalPractitioner":[{"reference":"#p"}]},{"resourceType":"Patient","id":"r"}],"status":"final","code":{"text":"x"}}`,
			[]string{"dom-4 Observation.contained[0].meta.versionId", "dom-4 Observation.contained[0].meta.lastUpdated", "dom-5 Observation.contained[0].meta.security[0]", "dom-2 Observation.contained[0].contained[0]", "dom-3 Observation.contained[0].contained[0]", "reference-target Observation.contained[0].generalPractitioner[0]", "dom-3 Observation.contained[1]"}},
		{"que-2", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"group","item":[{"linkId":"b","type":"string"}]},{"linkId":"b","type":"string"}]}`, []string{"que-2 Questionnaire.item[1].linkId"}},
		{"que-7 mended", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"string"},{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"exists","answerBoolean":true}]}]}`, nil},
		{"que-7", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"string"},{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"exists","answerString":"x"}]}]}`, []string{"que-7 Questionnaire.item[1].enableWhen[0]"}},
		{"que-12 mended", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"string"},{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"=","answerString":"x"},{"question":"a","operator":"=","answerString":"y"}]}]}`, []string{"que-12 Questionnaire.item[1]"}},
		{"tim-9 mended", `{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/a"},"medicationCodeableConcept":{"text":"x"},"dosageInstruction":[{"timing":{"repeat":{"when":["MORN","AFT"],"offset":10}}},{"timing":{"repeat":{"when":["MORN","C"],"offset":10}}}]}`, []string{"tim-9 MedicationRequest.dosageInstruction[1].timing.repeat"}},
		{"ppc-2 mended", `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"text":"x"}}`, []string{"ppc-2 Consent"}},
		{"obs-7", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://a","code":"b"}]},"valueString":"x","component":[{"code":{"coding":[{"system":"http://a","code":"b"}]}}]}`, []string{"obs-7 Observation"}},
		{"sqty-1", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"referenceRange":[{"low":{"value":1,"comparator":"<"}}]}`, []string{"sqty-1 Observation.referenceRange[0].low"}},
		{"bdl-7 and bdl-8", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","id":"1"}},{"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","id":"1"}},{"fullUrl":"http://a/Patient/2/_history/1","resource":{"resourceType":"Patient","id":"2"}}]}`,
			[]string{"bdl-7 Bundle.entry[1].fullUrl", "bdl-8 Bundle.entry[2]"}},
		{"within a Bundle and Parameters", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]}}]}`, []string{"pat-1 Bundle.entry[0].resource.parameter[0].resource.contact[0]"}},
		{"no local reference across entries", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}},{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}}]}`, []string{"ref-1 Bundle.entry[1].resource.subject"}},
		{"csd-1", `{"resourceType":"CodeSystem","status":"active","content":"complete","concept":[{"code":"a","concept":[{"code":"b"}]},{"code":"b"}]}`, []string{"csd-1 CodeSystem.concept[1].code"}},
	} {
		f.check(t, v, Options{})
	}
}

// TestRare breaks the rules that random resources break seldom.
func TestRare(t *testing.T) {
	t.Parallel()
	v := validator()
	observation := func(low, high string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueRange":{"low":{` + low + `},"high":{` + high + `}}}`
	}
	consent := func(scope string) string {
		return `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"` + scope + `"}]},"category":[{"text":"x"}],"policyRule":{"text":"x"}}`
	}
	allergy := `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/a"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-verification","code":"entered-in-error"}]}}`
	definition := func(s string) string {
		return `{"resourceType":"StructureDefinition","url":"http://hl7.org/fhir/StructureDefinition/x","name":"X","status":"draft","kind":"complex-type","abstract":false,"type":"Extension","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension",` + s + `}`
	}
	for _, f := range []finding{
		{"ait-2", allergy, []string{"ait-2 AllergyIntolerance"}},
		{"con-5", `{"resourceType":"Condition","subject":{"reference":"Patient/a"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"entered-in-error"}]}}`, []string{"con-5 Condition"}},
		{"rng-2", observation(`"value":5`, `"value":3`), []string{"rng-2 Observation.value"}},
		{"rng-2 with a unit", observation(`"value":5,"system":"http://unitsofmeasure.org","code":"mg"`, `"value":3,"system":"http://unitsofmeasure.org","code":"mg"`), []string{"rng-2 Observation.value"}},
		{"rng-2 with two units", observation(`"value":5,"system":"http://unitsofmeasure.org","code":"mg"`, `"value":3,"system":"http://unitsofmeasure.org","code":"g"`), nil},
		{"rng-2 with units that do not compare", observation(`"value":5,"system":"http://unitsofmeasure.org","code":"mg"`, `"value":3,"system":"http://unitsofmeasure.org","code":"m"`), nil},
		{"ppc-3", consent("research"), []string{"ppc-3 Consent"}},
		{"ppc-4", consent("adr"), []string{"ppc-4 Consent"}},
		{"ppc-5", consent("treatment"), []string{"ppc-5 Consent"}},
		{"bdl-11", `{"resourceType":"Bundle","type":"document","identifier":{"system":"http://a","value":"b"},"timestamp":"2024-01-01T10:00:00Z","entry":[{"resource":{"resourceType":"Patient","active":true}}]}`, []string{"bdl-11 Bundle"}},
		{"bdl-12", `{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"Patient","active":true}}]}`, []string{"bdl-12 Bundle"}},
		{"md-1", `{"resourceType":"MessageDefinition","status":"draft","date":"2024","eventCoding":{"code":"x"},"focus":[{"code":"Patient","min":0,"max":"0"}]}`, []string{"md-1 MessageDefinition.focus[0]"}},
		{"sdf-5", definition(`"derivation":"constraint","differential":{"element":[{"id":"Extension","path":"Extension"}]}`), []string{"sdf-5 StructureDefinition"}},
		{"sdf-19 and sdf-22", definition(`"context":[{"type":"element","expression":"Patient"}],"derivation":"specialization","differential":{"element":[{"id":"Extension","path":"Extension"},{"id":"Extension.a","path":"Extension.a","type":[{"code":"a:b"}],"defaultValueString":"x"}]}`), []string{"sdf-19 StructureDefinition", "sdf-22 StructureDefinition"}},
		{"eld-11 mended", definition(`"context":[{"type":"element","expression":"Patient"}],"derivation":"constraint","differential":{"element":[{"id":"Extension","path":"Extension"},{"id":"Extension.a","path":"Extension.a","type":[{"code":"date"}],"binding":{"strength":"required"}}]}`), []string{"eld-11 StructureDefinition.differential.element[1]"}},
		{"que-13 mended", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"string","initial":[{"valueString":"a"},{"valueString":"b"}]}]}`, []string{"que-13 Questionnaire.item[0]"}},
		{"bdl-11 mended", `{"resourceType":"Bundle","type":"document","identifier":{"system":"http://a","value":"b"},"timestamp":"2024-01-01T10:00:00Z"}`, []string{"bdl-11 Bundle"}},
		{"bdl-12 mended", `{"resourceType":"Bundle","type":"message"}`, []string{"bdl-12 Bundle"}},
		{"ras-1 mended", `{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"Patient/a"},"prediction":[{"probabilityRange":{"low":{"value":1}}}]}`, []string{"ras-1 RiskAssessment.prediction[0].probability"}},
		{"vsd-9 mended", `{"resourceType":"ValueSet","status":"active","expansion":{"timestamp":"2024","contains":[{"display":"x"}]}}`, []string{"vsd-9 ValueSet.expansion.contains[0]"}},
		{"md-1 mended", `{"resourceType":"MessageDefinition","status":"draft","date":"2024","eventCoding":{"code":"x"},"focus":[{"code":"Patient","min":0,"max":"x"}]}`, []string{"md-1 MessageDefinition.focus[0]"}},
		{"eld-3 mended", definition(`"context":[{"type":"element","expression":"Patient"}],"derivation":"constraint","differential":{"element":[{"id":"Extension","path":"Extension","max":"x"}]}`), []string{"eld-3 StructureDefinition.differential.element[0].max"}},
		{"opd-2 and opd-3 mended", `{"resourceType":"OperationDefinition","name":"A","status":"draft","kind":"operation","code":"a","system":true,"type":false,"instance":false,"parameter":[{"name":"a","use":"in","min":0,"max":"1","searchType":"string","targetProfile":["http://a"],"part":[{"name":"b","use":"in","min":0,"max":"1","type":"string"}]}]}`, []string{"opd-2 OperationDefinition.parameter[0]", "opd-3 OperationDefinition.parameter[0]"}},
		{"tst-7 mended", `{"resourceType":"TestScript","url":"http://a","name":"A","status":"draft","metadata":{"capability":[{"required":false,"validated":false,"capabilities":"http://a"}]},"setup":{"action":[{"operation":{"encodeRequestUrl":true}}]}}`, []string{"tst-7 TestScript.setup.action[0].operation"}},
	} {
		f.check(t, v, Options{})
	}
}

func TestDemands(t *testing.T) {
	t.Parallel()
	v := validator()
	for _, f := range []finding{
		{"size", `{"resourceType":"Communication","status":"completed","payload":[{"contentAttachment":{"contentType":"text/plain","data":"aGVs bG8=","size":6}}]}`, []string{"attachment-size Communication.payload[0].content.size"}},
		{"size and hash", `{"resourceType":"Communication","status":"completed","payload":[{"contentAttachment":{"contentType":"text/plain","data":"aGVsbG8=","size":5,"hash":"qvTGHdzF6KLavt4PO0gs2a6pQ00="}}]}`, nil},
		{"hash", `{"resourceType":"Communication","status":"completed","payload":[{"contentAttachment":{"contentType":"text/plain","data":"aGVsbG8=","hash":"AAAA"}}]}`, []string{"attachment-hash Communication.payload[0].content.hash"}},
		{"size alone", `{"resourceType":"Communication","status":"completed","payload":[{"contentAttachment":{"contentType":"text/plain","url":"http://a/b","size":6}}]}`, nil},
		{"contained ids", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"},{"resourceType":"Patient","id":"p"},{"resourceType":"Patient"}],"status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}`, []string{"contained-id Observation.contained[1].id", "contained-id Observation.contained[2]"}},
		{"ids of elements", `{"resourceType":"Patient","id":"a","name":[{"id":"a","text":"x"},{"id":"b","text":"x"},{"id":"a","text":"x"}],"_birthDate":{"id":"b","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`, []string{"element-id Patient.name[2].id", "element-id Patient.birthDate.id"}},
		{"relative fullUrl", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"Patient/1","resource":{"resourceType":"Patient","id":"1"}}]}`, []string{"full-url Bundle.entry[0].fullUrl"}},
		{"another fullUrl", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Patient/2","resource":{"resourceType":"Patient","id":"1"}}]}`, []string{"full-url Bundle.entry[0].fullUrl"}},
		{"urn of a fullUrl", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Patient","id":"1"}}]}`, nil},
		{"target in the Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Organization","name":"x"}},{"resource":{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}}]}`, []string{"reference-target Bundle.entry[1].resource.subject"}},
		{"type of a reference", `{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"subject":{"reference":"Patient/1","type":"Group"}}`, []string{"reference-type Encounter.subject.type"}},
		{"contained code system", `{"resourceType":"ValueSet","status":"active","compose":{"include":[{"system":"#a"}]}}`, []string{"relative-system ValueSet.compose.include[0].system"}},
	} {
		f.check(t, v, Options{})
	}
}

func TestBindings(t *testing.T) {
	t.Parallel()
	patient := func(s string) string { return `{"resourceType":"Patient",` + div + `,` + s + `}` }
	condition := func(s string) string {
		return `{"resourceType":"Condition",` + div + `,"subject":{"reference":"Patient/a"},` + s + `}`
	}
	v := validator()
	for _, f := range []finding{
		{"listed", condition(`"clinicalStatus":{"coding":[{"system":"http://a","code":"b"},{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]}`), nil},
		{"not listed", condition(`"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"x"}]}`), []string{"not-in-value-set Condition.clinicalStatus"}},
		{"another system", condition(`"clinicalStatus":{"coding":[{"system":"http://a","code":"active"}]}`), []string{"not-in-value-set Condition.clinicalStatus"}},
		{"text alone", condition(`"clinicalStatus":{"text":"active"}`), []string{"code-required Condition.clinicalStatus"}},
		{"extension instead", condition(`"clinicalStatus":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}`), nil},
		{"language", patient(`"language":"en-GB"`), nil},
		{"no language", patient(`"language":"!!"`), []string{"not-in-value-set Patient.language"}},
		{"extensible", patient(`"maritalStatus":{"coding":[{"system":"http://a","code":"b"}]}`), nil},
		{"media type", patient(`"photo":[{"contentType":"image/png; a b=c","url":"http://a"}]`), nil},
		{"no media type", patient(`"photo":[{"contentType":"png","url":"http://a"}]`), []string{"not-in-value-set Patient.photo[0].contentType"}},
		{"currency", `{"resourceType":"Invoice","status":"draft","totalNet":{"value":1,"currency":"EUR"}}`, nil},
		{"no currency", `{"resourceType":"Invoice","status":"draft","totalNet":{"value":1,"currency":"EURO"}}`, []string{"not-in-value-set Invoice.totalNet.currency"}},
		{"age", condition(`"onsetAge":{"value":1,"system":"http://unitsofmeasure.org","code":"a"}`), nil},
		{"age in metres", condition(`"onsetAge":{"value":1,"system":"http://unitsofmeasure.org","code":"m"}`), []string{"not-in-value-set Condition.onset"}},
	} {
		f.check(t, v, Options{})
	}
	finding{"undecided", patient(`"language":"en"`), []string{"warning value-set-undecided Patient.language"}}.check(t, New(Config{Definitions: v.config.Definitions}), Options{Warnings: true})
	for _, f := range []finding{
		{"extensible", patient(`"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},"communication":[{"language":{"text":"x"}}]`), nil},
		{"extensible, outside", patient(`"maritalStatus":{"coding":[{"system":"http://a","code":"b"}]}`), []string{"warning not-in-value-set Patient.maritalStatus"}},
		{"unknown code", patient(`"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"},{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"xyz"}]}`), []string{"warning unknown-code Patient.maritalStatus.coding[1].code"}},
		{"display", patient(`"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Single"}]}`), []string{"warning display-mismatch Patient.maritalStatus.coding[0].display"}},
		{"no narrative", `{"resourceType":"Patient","active":true}`, []string{"warning dom-6 Patient"}},
		{"con-3 mended", condition(`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"problem-list-item"}]}]`), []string{"warning con-3 Condition"}},
		{"con-3 of an encounter", condition(`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"encounter-diagnosis"}]}]`), nil},
	} {
		f.check(t, v, Options{Warnings: true})
	}
}

// TestIssue holds one issue to all that an issue says.
func TestIssue(t *testing.T) {
	t.Parallel()
	r, err := fhir.Decode("", []byte("{\"resourceType\":\"Patient\",\n  \"contact\":[{\"gender\":\"male\"}]}"))
	if err != nil {
		t.Fatal(err)
	}
	issues, err := New(Config{}).Check(context.Background(), r.Root(), Options{})
	want := fhir.Issue{Code: fhir.Invariant, Detail: "pat-1", Expression: "Patient.contact[0]", Rule: "http://hl7.org/fhir/StructureDefinition/Patient#pat-1",
		Text: "Give the contact a name, a telecom, an address or an organization.", Line: 2, Column: 14}
	if err != nil || len(issues) != 1 || issues[0] != want {
		t.Errorf("%+v, %v, want %+v", issues, err, want)
	}
}

// TestSentences sees to it that every invariant has a sentence that tells what to do.
func TestSentences(t *testing.T) {
	t.Parallel()
	own := 0
	for _, p := range r4().types {
		for _, r := range slices.Concat(p.rules, p.advice) {
			if !strings.HasSuffix(r.text, ".") || strings.Contains(r.text, "SHALL at least") || strings.Contains(r.text, "..") {
				t.Errorf("%s: %s", r.id(), r.text)
			}
			if !strings.HasPrefix(r.text, "Change this element") {
				own++
			}
		}
	}
	if own < 60 {
		t.Errorf("only %d rules have a sentence of their own", own)
	}
}

// TestArrange puts issues of several sources in order.
func TestArrange(t *testing.T) {
	t.Parallel()
	r, err := fhir.Decode("", []byte(`{"resourceType":"Patient","name":[{"text":"a"},{"text":"b"}],"gender":"male"}`))
	if err != nil {
		t.Fatal(err)
	}
	var issues []fhir.Issue
	for _, e := range []string{"Patient.gender b", "Patient.name[1].text a", "Patient.birthDate a", "Patient.name[1] c", "Patient.gender a", "Patient.name[0].text a", "Patient.gender b", "Patient.name a", " z"} {
		expression, rule, _ := strings.Cut(e, " ")
		issues = append(issues, fhir.Issue{Expression: expression, Rule: rule})
	}
	var got []string
	for _, is := range arrange(r.Root(), issues) {
		got = append(got, is.Expression+" "+is.Rule)
	}
	want := []string{" z", "Patient.birthDate a", "Patient.name a", "Patient.name[0].text a", "Patient.name[1] c", "Patient.name[1].text a", "Patient.gender a", "Patient.gender b"}
	if !slices.Equal(got, want) {
		t.Errorf("order is %q, want %q", got, want)
	}
}

// TestMany bounds the issues of one resource.
func TestMany(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Patient","contact":[`)
	for i := range 20_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"gender":"male","id":"c%d"}`, i)
	}
	b.WriteString(`]}`)
	issues := verdicts(t, validator(), []byte(b.String()), Options{Now: time.Unix(0, 0)})
	if len(issues) != maxIssues+1 || issues[maxIssues].Detail != "more-problems" || issues[maxIssues].Severity != fhir.Error {
		t.Errorf("there are %d issues, the last is %+v", len(issues), issues[len(issues)-1])
	}
	if issues[99].Expression != "Patient.contact[99]" {
		t.Errorf("the hundredth is %s", issues[99].Expression)
	}
}

// TestManyWarnings sees to it that no warning displaces what refuses.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for range 2000 {
		b.WriteString(`{"resource":{"resourceType":"Patient","active":true}},`)
	}
	b.WriteString(`{"resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]}`)
	issues := verdicts(t, validator(), []byte(b.String()), Options{Warnings: true})
	if got := refusals(issues); len(issues) != maxIssues+1 || !slices.Equal(got, []string{"pat-1 Bundle.entry[2000].resource.contact[0]", "more-problems "}) {
		t.Errorf("there are %d issues, and of them %q refuse", len(issues), got)
	}
}

// FuzzCheck checks whatever is decoded.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient","contact":[{"gender":"male"}]}`))
	f.Add([]byte(`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"Patient/1","resource":{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b"}]}]}}]}`))
	f.Add([]byte(`{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"group"},{"_linkId":{"id":"x"},"type":"choice"}]}`))
	f.Add([]byte(`{"resourceType":"Observation","contained":[{"resourceType":"Patient"}],"status":"final","code":{"coding":[{"code":"a"}]},"subject":{"reference":"#"},"effectivePeriod":{"start":"2024","_end":{"id":"a"}}}`))
	v := New(Config{})
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.Decode("", src)
		if err != nil {
			return
		}
		issues, err := v.Check(context.Background(), r.Root(), Options{Warnings: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range issues {
			if is.Text == "" || is.Code == "" || is.Detail == "" {
				t.Errorf("%+v is no complete issue", is)
			}
		}
	})
}
