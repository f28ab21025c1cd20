package conformance_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// An onslaught is a server that is asked what nobody should ask.
type onslaught struct {
	*testing.T
	base string
}

func newOnslaught(t *testing.T) onslaught {
	t.Helper()
	return onslaught{t, serve(t).base}
}

// sends sends a resource, which must be answered with a status, and returns the answer.
func (o onslaught) sends(status int, method, path, body string) string {
	o.Helper()
	r := request{method: method, path: "/fhir" + path, body: body}
	if method == "PATCH" && !strings.HasPrefix(body, "[") {
		r.headers = [][2]string{{"Content-Type", "application/fhir+json"}}
	}
	x, err := r.send(http.DefaultClient, o.base)
	if err == nil {
		err = x.always()
	}
	if err != nil {
		o.Fatalf("%s %s: %v\n%s", method, path, err, x)
	}
	if x.status != status {
		o.Fatalf("%s %s: %d, want %d\n%.2000s", method, path, x.status, status, x)
	}
	return x.answer
}

// series returns format for 0 to n-1, which it has once, divided by commas.
func series(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A form that asks one thing, another one under its name, and the answers to that.
const (
	askedForm    = `{"resourceType":"Questionnaire","id":"asked","url":"urn:example:asked","version":"1","status":"active","item":[{"linkId":"a","text":"A","type":"string","required":true}]}`
	forgedForm   = `{"resourceType":"Questionnaire","url":"urn:example:asked","version":"1","status":"active","item":[{"linkId":"other","text":"Other","type":"string"}]}`
	forgedAnswer = `{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"urn:example:asked|1","item":[{"linkId":"other","answer":[{"valueString":"x"}]}]}`
)

// TestAdversaryForgedForm: answers are held against the form that is stored, not against
// one that comes with them and is not.
func TestAdversaryForgedForm(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	o.sends(201, "PUT", "/Questionnaire/asked", askedForm)
	o.sends(422, "POST", "/QuestionnaireResponse", forgedAnswer)
	const bundle = `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"POST","url":"Questionnaire","ifNoneExist":"url=urn:example:asked"},"resource":%s},
		{"request":{"method":"POST","url":"QuestionnaireResponse"},"resource":%s}]}`
	o.sends(422, "POST", "", fmt.Sprintf(bundle, forgedForm, forgedAnswer))
	fresh := strings.NewReplacer("example:asked", "example:fresh")
	o.sends(200, "POST", "", fresh.Replace(fmt.Sprintf(bundle, forgedForm, forgedAnswer)))
}

// TestAdversaryDraft: a draft becomes final only if it is complete, in whatever way that
// is tried.
func TestAdversaryDraft(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	o.sends(201, "PUT", "/Questionnaire/asked", askedForm)
	o.sends(201, "PUT", "/QuestionnaireResponse/draft", `{"resourceType":"QuestionnaireResponse","id":"draft","status":"in-progress","questionnaire":"urn:example:asked|1"}`)
	const final = `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"QuestionnaireResponse.status"},{"name":"value","valueCode":"%s"}]}]}`
	for _, status := range []string{"completed", "amended"} {
		o.sends(422, "PATCH", "/QuestionnaireResponse/draft", `[{"op":"replace","path":"/status","value":"`+status+`"}]`)
		o.sends(422, "PATCH", "/QuestionnaireResponse/draft", fmt.Sprintf(final, status))
		o.sends(422, "PUT", "/QuestionnaireResponse/draft", `{"resourceType":"QuestionnaireResponse","id":"draft","status":"`+status+`","questionnaire":"urn:example:asked|1"}`)
	}
}

// TestAdversaryManyWarnings: no number of warnings hides an error that comes after them.
func TestAdversaryManyWarnings(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	const modifiers = `"modifierExtension":[%s]`
	const misused = `"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueString":"x"}]`
	for _, n := range []int{0, 250, 600} {
		warned := ""
		if n > 0 {
			warned = fmt.Sprintf(modifiers, series(n, `{"url":"http://m.example/%d","valueBoolean":true}`)) + ","
		}
		if answer := o.sends(422, "POST", "/Patient", `{"resourceType":"Patient",`+warned+misused+`}`); !strings.Contains(answer, "type-not-allowed") {
			t.Errorf("after %d warnings the error is not told:\n%.2000s", n, answer)
		}
	}
}

// TestAdversaryManyNames: who names more definitions than there is sense in is refused
// before each of them is looked up, however they are named.
func TestAdversaryManyNames(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	for _, body := range []string{
		`{"resourceType":"Patient","extension":[` + series(20_000, `{"url":"http://e.example/%d","valueBoolean":true}`) + `]}`,
		`{"resourceType":"Patient","meta":{"profile":[` + series(20_000, `"http://p.example/%d"`) + `]}}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","name":[{"extension":[` + series(20_000, `{"url":"http://e.example/%d","valueBoolean":true}`) + `]}]}],"link":[{"other":{"reference":"#a"},"type":"seealso"}]}`,
	} {
		if answer := o.sends(422, "POST", "/Patient", body); !strings.Contains(answer, "too-many-definitions") {
			t.Errorf("%.2000s", answer)
		}
	}
	same := `{"resourceType":"Patient","extension":[` + strings.Repeat(`{"url":"http://e.example/same","valueBoolean":true},`, 5000) + `{"url":"http://e.example/other","valueBoolean":true}]}`
	o.sends(201, "POST", "/Patient", same)
}

// TestAdversaryOddParameters: an operation that is sent something else than what it is
// about says so.
func TestAdversaryOddParameters(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	for _, path := range []string{"/QuestionnaireResponse/$validate-form", "/QuestionnaireResponse/$extract", "/QuestionnaireResponse/$validate", "/Questionnaire/$populate", "/ValueSet/$expand", "/CodeSystem/$lookup", "/CodeSystem/$validate-code", "/ConceptMap/$translate", "/CodeSystem/$subsumes"} {
		for _, body := range []string{
			`{"resourceType":"Parameters"}`,
			`{"resourceType":"Parameters","parameter":[{"name":"resource"}]}`,
			`{"resourceType":"Parameters","parameter":[{"name":"questionnaire"}]}`,
			`{"resourceType":"Parameters","parameter":[{"name":"questionnaire","valueString":"x"}]}`,
			`{"resourceType":"Parameters","parameter":[{"name":"valueSet","valueString":"x"},{"name":"coding","valueInteger":1}]}`,
		} {
			o.sends(400, "POST", path, body)
		}
	}
}

// TestAdversaryQuoted: what is said about an expression that fails has nothing in it of
// what it was asked about.
func TestAdversaryQuoted(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	const secret = "JohnSecret"
	for _, expression := range []string{
		"%resource.item.answer.value + 1", "%resource.item.answer.value.single()", "iif(%resource.item.answer.value, 1, 2)",
		"'x'.matches(%resource.item.answer.value.first() & '[')", "'x'.replaceMatches(%resource.item.answer.value.first() & '(', '')",
		"%resource.item.answer.value.first().memberOf(%resource.item.answer.value.first())", "%resource.item.answer.value.first().conformsTo(%resource.item.answer.value.first())",
	} {
		source, _ := json.Marshal(expression)
		body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[
			{"name":"response","resource":{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"urn:example:q","item":[{"linkId":"a","answer":[{"valueString":"%s1"},{"valueString":"%[1]s2"}]}]}},
			{"name":"questionnaire","resource":{"resourceType":"Questionnaire","status":"active","url":"urn:example:q","item":[{"linkId":"a","text":"A","type":"string","repeats":true},
				{"linkId":"b","text":"B","type":"integer","extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression","valueExpression":{"language":"text/fhirpath","expression":%s}}]}]}}]}`, secret, source)
		if answer := o.sends(200, "POST", "/QuestionnaireResponse/$validate-form", body); strings.Contains(answer, secret) {
			t.Errorf("%s: the answer tells what was asked about:\n%s", expression, answer)
		}
	}
}

// TestAdversaryArguments: the same wrong question is answered with the same bytes.
func TestAdversaryArguments(t *testing.T) {
	t.Parallel()
	o := newOnslaught(t)
	const path = "/ConceptMap/$translate?codeableConcept=a&conceptMap=b&dependency=c&reverse=maybe"
	first := o.sends(400, "GET", path, "")
	for range 30 {
		if again := o.sends(400, "GET", path, ""); again != first {
			t.Fatalf("two answers:\n%s\n%s", first, again)
		}
	}
}

// TestAdversaryWriters: only who administers the server writes what others are held
// against.
func TestAdversaryWriters(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	for _, body := range []string{
		forgedForm, `{"resourceType":"ValueSet","url":"http://hl7.org/fhir/ValueSet/mimetypes","version":"4.0.1","status":"active"}`,
		`{"resourceType":"CodeSystem","url":"urn:example:c","status":"active","content":"complete"}`, `{"resourceType":"ConceptMap","url":"urn:example:m","status":"active"}`,
		`{"resourceType":"StructureDefinition","url":"urn:example:s","name":"S","status":"active","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"}]}}`,
	} {
		typ := strings.Split(body, `"`)[3]
		for _, who := range []string{patient, doctor, surgeon, chart} {
			a.wants(403, who, request{method: "POST", path: "/fhir/" + typ, body: body})
			a.wants(403, who, request{method: "POST", path: "/fhir", body: bundled("transaction", "POST "+typ+" "+body)})
		}
	}
	for _, who := range []string{patient, doctor, chart} {
		x := a.by(who, request{method: "POST", path: "/fhir/$install-package", headers: [][2]string{{"Content-Type", "application/gzip"}}, body: "x"})
		if x.status != http.StatusForbidden {
			t.Errorf("%s installs packages: %s", who, x)
		}
	}
}

// TestAdversaryPopulate: a form that a caller brings along finds nothing but what they may
// search for themselves, and reaches no other server. What it finds is in the audit.
func TestAdversaryPopulate(t *testing.T) {
	t.Parallel()
	a := newRaid(t)
	const form = `{"resourceType":"Parameters","parameter":[{"name":"questionnaire","resource":{"resourceType":"Questionnaire","status":"draft",
		"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/variable","valueExpression":{"name":"o","language":"application/x-fhir-query","expression":"%s"}}],
		"item":[{"linkId":"a","text":"A","type":"string","extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression",
			"valueExpression":{"language":"text/fhirpath","expression":"(%%o.entry.resource | %%o).id.join(',')"}}]}]}}]}`
	ask := func(who, query string) string {
		return a.wants(200, who, request{method: "POST", path: "/fhir/Questionnaire/$populate", body: fmt.Sprintf(form, query)}).answer
	}
	if answer := ask(doctor, "Observation?_count=100"); !strings.Contains(answer, "pulse") || strings.Contains(answer, "bens") {
		t.Errorf("the doctor gets %s", answer)
	}
	for _, query := range []string{"Observation?patient=Patient/ben", "Observation/bens", "Observation/nopat", "Patient/ben", "Patient?_has:Observation:patient:_id=bens", "Observation/restricted", "http://127.0.0.1:9/fhir/Patient?x=y", "../Patient/ben"} {
		if answer := ask(patient, query); strings.Contains(answer, `"answer"`) {
			t.Errorf("%s tells a patient %s", query, answer)
		}
	}
	audit := a.wants(200, everybody, request{method: "GET", path: "/fhir/AuditEvent?agent=Practitioner/grace&_count=100"}).answer
	if !strings.Contains(audit, `"search"`) && !strings.Contains(audit, "search-type") {
		t.Errorf("the audit has nothing of what was searched for to populate a form:\n%.3000s", audit)
	}
}
