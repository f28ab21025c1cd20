package questionnaire_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

const sdc = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

// A formDrawer draws forms with all that Populate and Extract look at, sense or not.
type formDrawer struct {
	t       *rapid.T
	linkIDs int
	sound   bool // draw nothing that Compile refuses
}

func (d *formDrawer) one(label string, of ...string) string {
	return rapid.SampledFrom(of).Draw(d.t, label)
}

func (d *formDrawer) form() []byte {
	return fmt.Appendf(nil, `{"resourceType":"Questionnaire","url":"https://forms.example.org/drawn","status":"active","extension":[%s],"item":[%s]}`,
		d.variable()+","+d.context()+`,{"url":"`+sdc+`observationExtract","valueBoolean":true}`, d.items(3))
}

func (d *formDrawer) expression(kind string) string {
	language, source := "text/fhirpath", d.one("source", "1", "1.50", "'text'", "%patient", "%patient.name", "%x.given", "%x", "%patient.birthDate", "now()", "@T10:00", "4 'mg'", "2 days",
		"true", "%patient.gender", "%patient.maritalStatus", "%missing", "1/0", "%patient.name.given", "%patient.generalPractitioner", "' '", "%questionnaire.item.linkId", "%resource", "'Patient/1'", "((", "@2014-01-01T10", "%y.entry.resource", "@2014")
	if rapid.Bool().Draw(d.t, "query") {
		language, source = "application/x-fhir-query", d.one("query source", "Patient?_id={{%patient.id}}", "Patient/1", "Patient?name={{%patient.name.given}}", "Patient", "x?", "{{", "Observation?{{%x}}", "Patient?a=%zz")
	}
	return fmt.Sprintf(`{"url":%q,"valueExpression":{"name":%q,"language":%q,"expression":%q}}`, kind, d.one("name", "x", "y"), language, source)
}

func (d *formDrawer) variable() string {
	return d.expression("http://hl7.org/fhir/StructureDefinition/variable")
}

func (d *formDrawer) context() string {
	if rapid.Bool().Draw(d.t, "typed") {
		return fmt.Sprintf(`{"url":"%sitemExtractionContext","valueCode":%q}`, sdc, d.one("context", "Patient", "Observation", "Condition", "Bundle", "Nonsense", "RelatedPerson"))
	}
	return d.expression(sdc + "itemExtractionContext")
}

func (d *formDrawer) items(depth int) string {
	var b bytes.Buffer
	for i := range rapid.IntRange(1, 4).Draw(d.t, "items") {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(d.item(depth))
	}
	return b.String()
}

func (d *formDrawer) item(depth int) string {
	d.linkIDs++
	typ := d.one("type", "group", "group", "display", "boolean", "decimal", "integer", "date", "dateTime", "time", "string", "text", "url", "choice", "open-choice", "attachment", "reference", "quantity")
	extensions := d.expression(sdc + d.one("kind", "initialExpression", "initialExpression", "itemPopulationContext", "candidateExpression"))
	for _, more := range []func() string{d.variable, d.context, func() string { return d.expression(sdc + "itemPopulationContext") }, func() string {
		return `{"url":"http://hl7.org/fhir/StructureDefinition/questionnaire-hidden","valueBoolean":true}`
	}, func() string {
		return `{"url":"` + sdc + `observationLinkPeriod","valueDuration":{"value":1,"system":"http://unitsofmeasure.org","code":"a"}}`
	}} {
		if rapid.Bool().Draw(d.t, "more") {
			extensions += "," + more()
		}
	}
	item := fmt.Sprintf(`{"linkId":"%d","type":%q,"repeats":%v,"definition":%q,"code":[{"system":"http://loinc.org","code":"1"}],"extension":[%s]`,
		d.linkIDs, typ, rapid.Bool().Draw(d.t, "repeats"), "http://hl7.org/fhir/StructureDefinition/X#"+d.path(), extensions)
	coded := typ == "choice" || typ == "open-choice"
	switch given := d.one("given", "none", "initial", "options"); {
	case d.sound && (typ == "group" || typ == "display"):
	case given == "initial" && !d.sound:
		item += `,"initial":[` + d.value() + `,` + d.value() + `]`
	case given == "options" && (coded || !d.sound):
		item += `,"answerOption":[{"valueCoding":{"code":"a"},"initialSelected":true},{"valueInteger":1},{"valueString":"text","initialSelected":true},{"valueReference":{"reference":"Patient/1"}}]`
	}
	if depth > 0 && (typ != "display" || !d.sound) && rapid.Bool().Draw(d.t, "nested") {
		item += `,"item":[` + d.items(depth-1) + `]`
	}
	return item + "}"
}

func (d *formDrawer) value() string {
	return d.one("value", `{"valueString":"text"}`, `{"valueInteger":1}`, `{"valueBoolean":true}`, `{"valueDate":"2014"}`, `{"valueQuantity":{"value":1,"unit":"x"}}`, `{"valueCoding":{"code":"a"}}`, `{"valueReference":{"reference":"#a"}}`, `{"valueUri":"urn:x"}`, `{"_valueString":{"extension":[{"url":"urn:x","valueCode":"y"}]}}`)
}

func (d *formDrawer) path() string {
	return d.one("path", "Patient.name", "Patient.name.family", "Patient.name.given", "Patient.telecom:phone", "Patient.telecom:phone.value", "Patient.birthDate", "Patient.deceased[x]", "Patient.contact.name", "Patient.contact.name.family", "Patient.multipleBirth[x]:multipleBirthInteger",
		"Observation.value[x]", "Observation.valueQuantity", "Observation.valueQuantity.value", "Observation.code", "Observation.status", "Condition.code.coding.code", "Condition.code", "Patient", "Patient.extension:x.value[x]", "Patient.contained", "Bundle.entry.resource.id", "Patient.meta.versionId", "Patient._birthDate", "Patient.", "RelatedPerson.patient", "RelatedPerson.name", "RelatedPerson.name.family", "")
}

var drawnPatient = []byte(`{"resourceType":"Patient","id":"1","name":[{"family":"A","given":["B","C"]},{"given":["D"]}],"gender":"other","birthDate":"1984-02","maritalStatus":{"text":"x"},"telecom":[{"value":"1"}],"generalPractitioner":[{"reference":"#x"},{"display":"Dr"}]}`)

// fillAndExtract fills a form in, holds the response against the form, completes it, and
// extracts from it. It returns what was filled in.
func fillAndExtract(t testing.TB, form, patient fhir.Node) []byte {
	t.Helper()
	search := func(context.Context, string) ([]fhir.Node, error) { return []fhir.Node{patient}, nil }
	contexts := map[string]fhir.Node{"patient": patient}
	got, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Subject: "Patient/1", Contexts: contexts, Now: fillNow, Search: search})
	if err != nil {
		t.Fatal(err)
	}
	checkFilled(t, form, got)
	var response map[string]any
	if err := json.Unmarshal(got.Response, &response); err != nil {
		t.Fatal(err)
	}
	response["status"], response["id"] = "completed", "r"
	src, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	answered := decodeFilled(t, "QuestionnaireResponse", src)
	bundle, _, err := questionnaire.Extract(t.Context(), form, answered, questionnaire.Extraction{Contexts: contexts, Now: fillNow, Search: search})
	if err != nil {
		t.Fatal(err)
	}
	checkExtracted(t, bundle)
	return got.Response
}

// TestFillDrawnForms fills in and extracts from forms of every shape.
func TestFillDrawnForms(t *testing.T) {
	t.Parallel()
	patient := decodeFilled(t, "", drawnPatient)
	rapid.Check(t, func(r *rapid.T) {
		src := (&formDrawer{t: r, sound: rapid.Bool().Draw(r, "sound")}).form()
		form, err := fhir.Decode("Questionnaire", src)
		if err != nil {
			r.Fatalf("%v\n%s", err, src)
		}
		checkAnswers(t, form.Root(), fillAndExtract(t, form.Root(), patient))
	})
}

func FuzzPopulate(f *testing.F) {
	for _, path := range append(fillCases(f, "populate"), fillCases(f, "extract")...) {
		f.Add(readFillCase(f, path).files["form.json"])
	}
	patient := decodeFilled(f, "", drawnPatient)
	f.Fuzz(func(t *testing.T, src []byte) {
		form, err := fhir.Decode("Questionnaire", src)
		if err != nil || hasTwins(form.Root()) {
			t.Skip()
		}
		fillAndExtract(t, form.Root(), patient)
	})
}

// hasTwins reports whether two items of a form have the same place and linkId, which
// Compile refuses.
func hasTwins(n fhir.Node) bool {
	seen := map[string]bool{}
	for item := range n.Each("item") {
		id := item.Child("linkId").Text()
		if seen[id] || hasTwins(item) {
			return true
		}
		seen[id] = true
	}
	return false
}

func FuzzExtract(f *testing.F) {
	for _, path := range fillCases(f, "extract") {
		c := readFillCase(f, path)
		f.Add(c.files["form.json"], c.files["response.json"])
	}
	patient := decodeFilled(f, "", drawnPatient)
	search := func(context.Context, string) ([]fhir.Node, error) { return []fhir.Node{patient}, nil }
	f.Fuzz(func(t *testing.T, formSrc, responseSrc []byte) {
		form, err := fhir.Decode("Questionnaire", formSrc)
		if err != nil {
			t.Skip()
		}
		response, err := fhir.Decode("QuestionnaireResponse", responseSrc)
		if err != nil {
			t.Skip()
		}
		bundle, _, err := questionnaire.Extract(t.Context(), form.Root(), response.Root(), questionnaire.Extraction{Now: fillNow, Search: search})
		if err != nil {
			if fhir.AsOutcome(err) == nil {
				t.Error(err)
			}
			return
		}
		checkExtracted(t, bundle)
	})
}
