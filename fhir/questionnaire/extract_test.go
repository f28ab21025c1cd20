package questionnaire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

func (c *fillCase) extraction(t testing.TB) questionnaire.Extraction {
	t.Helper()
	return questionnaire.Extraction{Contexts: c.contexts(t), Now: fillNow, Search: c.search}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	for _, path := range fillCases(t, "extract") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			c := readFillCase(t, path)
			form, response := decodeFilled(t, "Questionnaire", c.files["form.json"]), decodeFilled(t, "QuestionnaireResponse", c.files["response.json"])
			bundle, issues, err := questionnaire.Extract(t.Context(), form, response, c.extraction(t))
			if err != nil {
				t.Fatal(err)
			}
			checkExtracted(t, bundle)
			again, _, err := questionnaire.Extract(t.Context(), form, response, c.extraction(t))
			if err != nil || !bytes.Equal(bundle, again) {
				t.Errorf("the second time it is another Bundle: %v", err)
			}
			c.golden(t, path, "bundle.json", indented(t, bundle))
			c.golden(t, path, "issues.txt", listed(issues))
		})
	}
}

// checkExtracted reads the Bundle as the server does when it is sent to it.
func checkExtracted(t testing.TB, bundle []byte) {
	t.Helper()
	s, err := fhir.DecodeSubmission(bundle)
	if err != nil || s.Type != "transaction" || len(s.Problems) > 0 {
		t.Fatalf("%v %+v", err, s)
	}
	seen, named := map[string]bool{}, map[string]bool{}
	for _, e := range s.Entries {
		if len(e.Problems) > 0 || e.Resource == nil {
			t.Errorf("%s %s: %v", e.Method, e.URL, e.Problems)
			continue
		}
		if _, err := fhir.Decode(e.Resource.Type(), e.Resource.Source()); err != nil {
			t.Error(err)
		}
		which := e.URL + " " + e.IfNoneExist
		if seen[e.FullURL] || !strings.HasPrefix(e.FullURL, "urn:uuid:") || e.IfNoneExist != "" && named[which] {
			t.Errorf("%s is not the only one: %s", which, e.FullURL)
		}
		seen[e.FullURL], named[which] = true, true
	}
}

func TestExtractRefused(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","url":"https://forms.example.org/q","status":"active"}`))
	for _, c := range []struct{ response, code string }{
		{`{"resourceType":"QuestionnaireResponse","questionnaire":"https://forms.example.org/q|2","status":"in-progress"}`, "business-rule"},
		{`{"resourceType":"QuestionnaireResponse","questionnaire":"https://forms.example.org/other","status":"completed"}`, "business-rule"},
		{`{"resourceType":"Patient"}`, "invalid"},
	} {
		_, _, err := questionnaire.Extract(t.Context(), form, decodeFilled(t, "", []byte(c.response)), questionnaire.Extraction{})
		if o := fhir.AsOutcome(err); o == nil || string(o.Issues[0].Code) != c.code {
			t.Errorf("%s gives %v", c.response, err)
		}
	}
}

// TestExtractFoundSeveral does not guess which resource is meant, nor make one when it
// cannot be found out.
func TestExtractFoundSeveral(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","url":"https://forms.example.org/q","status":"active",
		"extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-itemExtractionContext","valueExpression":{"language":"application/x-fhir-query","expression":"Patient?family=X"}}],
		"item":[{"linkId":"born","type":"date","definition":"http://hl7.org/fhir/StructureDefinition/Patient#Patient.birthDate"}]}`))
	response := decodeFilled(t, "", []byte(`{"resourceType":"QuestionnaireResponse","id":"r","questionnaire":"https://forms.example.org/q","status":"completed","item":[{"linkId":"born","answer":[{"valueDate":"1984"}]}]}`))
	subset := decodeFilled(t, "", []byte(`{"resourceType":"Patient","id":"1","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}}`))
	told := decodeFilled(t, "", []byte(`{"resourceType":"Patient","id":"1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">born 1980</div>"},"birthDate":"1980"}`))
	one, two := decodeFilled(t, "", []byte(`{"resourceType":"Patient","id":"1"}`)), decodeFilled(t, "", []byte(`{"resourceType":"Patient","id":"2"}`))
	down := errors.New("the database is down")
	for _, c := range []struct {
		name   string
		found  []fhir.Node
		err    error
		issues string
		want   string
	}{
		{name: "none", want: `"method":"POST","url":"Patient","ifNoneExist":"identifier=https%3A%2F%2Ffhir.openconsult.example%2FId%2Fextracted%7CQuestionnaireResponse%2Fr%23%3APatient.1"`},
		{name: "one", found: []fhir.Node{one}, want: `"resource":{"resourceType":"Patient","id":"1","birthDate":"1984"},"request":{"method":"PUT","url":"Patient/1"}`},
		{name: "narrated", found: []fhir.Node{told}, want: `"resource":{"resourceType":"Patient","id":"1","birthDate":"1984"}`},
		{name: "a part", found: []fhir.Node{subset}, issues: "context-incomplete", want: `{"resourceType":"Bundle","type":"transaction"}`},
		{name: "two", found: []fhir.Node{one, two}, issues: "context-unusable", want: `{"resourceType":"Bundle","type":"transaction"}`},
		{name: "refused", err: fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "no"), issues: "search-refused", want: `{"resourceType":"Bundle","type":"transaction"}`},
		{name: "down", err: down},
	} {
		bundle, issues, err := questionnaire.Extract(t.Context(), form, response, questionnaire.Extraction{Search: func(context.Context, string) ([]fhir.Node, error) { return c.found, c.err }})
		if c.want == "" {
			if !errors.Is(err, down) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(bundle), c.want) || !strings.Contains(string(listed(issues)), c.issues) || c.issues == "" && len(issues) > 0 {
			t.Errorf("%s: %v %s %s", c.name, err, bundle, listed(issues))
		}
	}
}

// TestExtractBounds answers more than is extracted at once.
func TestExtractBounds(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "", []byte(`{"resourceType":"Questionnaire","url":"https://forms.example.org/q","status":"active","item":[{"linkId":"a","type":"integer","repeats":true,"code":[{"code":"a"}],
		"extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observationExtract","valueBoolean":true}]}]}`))
	answers := strings.TrimSuffix(strings.Repeat(`{"valueInteger":1},`, 1_200), ",")
	response := decodeFilled(t, "", fmt.Appendf(nil, `{"resourceType":"QuestionnaireResponse","id":"r","questionnaire":"https://forms.example.org/q","status":"completed","item":[{"linkId":"a","answer":[%s]}]}`, answers))
	bundle, issues, err := questionnaire.Extract(t.Context(), form, response, questionnaire.Extraction{Now: fillNow})
	if err != nil || len(issues) != 1 || issues[0].Detail != "too-many-resources" {
		t.Fatalf("%v %s", err, listed(issues))
	}
	checkExtracted(t, bundle)
	if n := bytes.Count(bundle, []byte(`"request"`)); n != 1_000 {
		t.Errorf("%d resources", n)
	}
}

// TestExtractConsultation extracts from the answers of the sample conversation, whose
// form asks for nothing.
func TestExtractConsultation(t *testing.T) {
	t.Parallel()
	form := decodeFilled(t, "Questionnaire", sampleFile(t, "questionnaire.json"))
	response := decodeFilled(t, "QuestionnaireResponse", sampleFile(t, "qr-valid-06-low-mood-score.json"))
	bundle, issues, err := questionnaire.Extract(t.Context(), form, response, questionnaire.Extraction{Now: fillNow})
	if err != nil || len(issues) > 0 || string(bundle) != `{"resourceType":"Bundle","type":"transaction"}` {
		t.Errorf("%v %v %s", err, issues, bundle)
	}
}

func BenchmarkExtract(b *testing.B) {
	for _, path := range fillCases(b, "extract") {
		b.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(b *testing.B) {
			c := readFillCase(b, path)
			form, response := decodeFilled(b, "Questionnaire", c.files["form.json"]), decodeFilled(b, "QuestionnaireResponse", c.files["response.json"])
			x := c.extraction(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := questionnaire.Extract(b.Context(), form, response, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
