package questionnaire_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// TestPopulateTakesNoMore: a form whose searches find too much does not search on.
func TestPopulateTakesNoMore(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"many": 10, "large": 20_000} {
		patient := decodeFilled(t, "Patient", []byte(`{"resourceType":"Patient","name":[{"text":"`+strings.Repeat("x", size)+`"}]}`))
		page := make([]fhir.Node, 1000)
		for i := range page {
			page[i] = patient
		}
		searches := 0
		search := func(context.Context, string) ([]fhir.Node, error) {
			searches++
			return page, nil
		}
		var variables []string
		for i := range 40 {
			variables = append(variables, fmt.Sprintf(`{"url":"http://hl7.org/fhir/StructureDefinition/variable","valueExpression":{"name":"v%d","language":"application/x-fhir-query","expression":"Patient?name=%[1]d"}}`, i))
		}
		form := decodeFilled(t, "Questionnaire", []byte(`{"resourceType":"Questionnaire","status":"active","extension":[`+strings.Join(variables, ",")+`],"item":[{"linkId":"a","text":"A","type":"string",
			"extension":[{"url":"http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression","valueExpression":{"language":"text/fhirpath","expression":"(`+union(40)+`).exists().toString()"}}]}]}`))
		p, err := questionnaire.Populate(t.Context(), form, questionnaire.Population{Now: fillNow, Search: search})
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, is := range p.Issues {
			told = told || is.Detail == "too-much-found"
		}
		if !told || searches > 4 {
			t.Errorf("%s: %d searches, told %v: %v", name, searches, told, p.Issues)
		}
	}
}

// union returns an expression that needs n variables.
func union(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%%v%d", i)
	}
	return strings.Join(all, " | ")
}
