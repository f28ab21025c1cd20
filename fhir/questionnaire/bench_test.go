package questionnaire_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// thirty returns a form of 30 items, with conditions, options and a calculated value, and
// a response that answers all.
func thirty() (form, answers string) {
	var asked, given []string
	for i := range 9 {
		choice, number, text := fmt.Sprint("c", i), fmt.Sprint("n", i), fmt.Sprint("t", i)
		asked = append(asked,
			item(choice, "choice", `"required":true,"answerOption":[{"valueCoding":{"system":"http://a","code":"x"}},{"valueCoding":{"system":"http://a","code":"y"}},{"valueCoding":{"system":"http://a","code":"z"}}]`),
			item(number, "integer", extension(core+"maxValue", `"valueInteger":10`)+`,`+when(choice, "=", `"answerCoding":{"system":"http://a","code":"y"}`)),
			item(text, "text", `"maxLength":200,`+when(number, ">", `"answerInteger":3`)))
		given = append(given, answer(choice, `"valueCoding":{"system":"http://a","code":"y","display":"Yes"}`),
			answer(number, `"valueInteger":7`), answer(text, `"valueString":"It has been getting worse since Monday."`))
	}
	sum := item("sum", "integer", path(calculatedURL, "%resource.item.item.where(linkId='n0' or linkId='n1').answer.value.sum()"))
	form = formOf(item("g", "group", items(asked...)), item("d", "display", ""), sum)
	return form, response("completed", group("g", given...), answer("sum", `"valueInteger":14`))
}

// BenchmarkCheck reads and checks a response of 30 items.
func BenchmarkCheck(b *testing.B) {
	formSource, source := thirty()
	form := compile(b, formSource)
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := fhir.Decode("QuestionnaireResponse", []byte(source))
		if err != nil {
			b.Fatal(err)
		}
		got, err := form.Check(context.Background(), r, questionnaire.Env{Now: now})
		if err != nil || len(got.Issues) > 0 || got.Resource != nil {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkFill checks it without its calculated value, which is filled in.
func BenchmarkFill(b *testing.B) {
	formSource, source := thirty()
	form := compile(b, formSource)
	source = source[:len(source)-len(`,`+answer("sum", `"valueInteger":14`)+`]}`)] + `]}`
	b.ReportAllocs()
	for b.Loop() {
		got, err := form.Check(context.Background(), decode(b, "QuestionnaireResponse", []byte(source)), questionnaire.Env{Now: now})
		if err != nil || len(got.Issues) > 0 || got.Resource == nil {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkCompile makes the form of the example consultation ready.
func BenchmarkCompile(b *testing.B) {
	root := decode(b, "Questionnaire", shared(b, consultation+"questionnaire.json")).Root()
	b.ReportAllocs()
	for b.Loop() {
		if form, _ := questionnaire.Compile(root); form == nil {
			b.Fatal("the form does not compile")
		}
	}
}
