package questionnaire_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// FuzzCheck holds any response to any form: it takes no longer than its bounds allow, and
// every issue is about an element that is there.
func FuzzCheck(f *testing.F) {
	for _, seed := range []struct{ form, response string }{
		{formOf(item("a", "integer", `"repeats":true,`+extension(core+"maxValue", `"valueInteger":3`))), response("completed", answer("a", `"valueInteger":1`, `"valueInteger":9`))},
		{formOf(item("a", "integer", ""), item("b", "integer", path(calculatedURL, "%resource.item.where(linkId='a').answer.value + 1"))), response("completed", answer("a", `"valueInteger":1`))},
		{formOf(item("g", "group", items(item("a", "string", extension(core+"regex", `"valueString":"a+"`)))), item("b", "string", when("a", "=", `"answerString":"x"`))),
			response("amended", group("g", answer("a", `"valueString":"x"`)), answer("b", `"valueString":"x"`))},
		{formOf(item("a", "quantity", extension(structured+"minQuantity", `"valueQuantity":{"value":1e9,"system":"http://unitsofmeasure.org","code":"kg"}`))),
			response("completed", answer("a", `"valueQuantity":{"value":1e-9,"system":"http://unitsofmeasure.org","code":"g"}`))},
	} {
		f.Add([]byte(seed.form), []byte(seed.response))
	}
	if form, err := os.ReadFile(filepath.Join("../../../shared", consultation, "questionnaire.json")); err == nil {
		f.Add(form, shared(f, consultation+"qr-invalid-17-two-problems-reported-together.json"))
	}
	f.Fuzz(func(t *testing.T, formSource, source []byte) {
		formResource, err := fhir.Decode("Questionnaire", formSource)
		if err != nil {
			return
		}
		r, err := fhir.Decode("QuestionnaireResponse", source)
		if err != nil {
			return
		}
		began := time.Now()
		form, _ := questionnaire.Compile(formResource.Root())
		if form == nil {
			return
		}
		got, err := form.Check(context.Background(), r, environment())
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("it took %v", took)
		}
		for _, is := range got.Issues {
			if is.Expression == "" {
				continue
			}
			x, err := fhirpath.Compile(is.Expression)
			if err != nil {
				t.Fatalf("%q: %v", is.Expression, err)
			}
			if found, err := x.EvaluateNode(r.Root(), nil); err != nil || len(found) != 1 {
				t.Fatalf("%q: %v %v", is.Expression, found, err)
			}
		}
	})
}

// FuzzPattern finds no pattern that is dear to hold against a text.
func FuzzPattern(f *testing.F) {
	f.Add(`(a+)+b`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaac")
	f.Add(`(a|aa){1000}`, "aaaa")
	f.Add(`[\u0041-\u005A]+(?<x>y)`, "ABC")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		src := fhir.AppendString(nil, pattern)
		formResource, err := fhir.Decode("Questionnaire", []byte(formOf(item("a", "string", extension(core+"regex", `"valueString":`+string(src))))))
		if err != nil {
			return
		}
		form, _ := questionnaire.Compile(formResource.Root())
		r, err := fhir.Decode("QuestionnaireResponse", []byte(response("completed", answer("a", `"valueString":`+string(fhir.AppendString(nil, text))))))
		if err != nil || form == nil {
			return
		}
		if _, err := form.Check(context.Background(), r, questionnaire.Env{}); err != nil {
			t.Fatal(err)
		}
	})
}
