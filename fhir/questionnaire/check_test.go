package questionnaire_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/questionnaire"
)

func response(status string, items ...string) string {
	src := `{"resourceType":"QuestionnaireResponse","status":"` + status + `"`
	if len(items) > 0 {
		src += `,"item":[` + strings.Join(items, ",") + `]`
	}
	return src + "}"
}

// answer writes an item with answers, each like `"valueInteger":1`.
func answer(linkID string, answers ...string) string {
	if len(answers) == 0 {
		return fmt.Sprintf(`{"linkId":%q}`, linkID)
	}
	return fmt.Sprintf(`{"linkId":%q,"answer":[{%s}]}`, linkID, strings.Join(answers, "},{"))
}

func group(linkID string, items ...string) string {
	return fmt.Sprintf(`{"linkId":%q,"item":[%s]}`, linkID, strings.Join(items, ","))
}

func items(all ...string) string { return `"item":[` + strings.Join(all, ",") + `]` }

// TestOperators holds enableWhen to its operators and types. The item is required, so
// that it is missed when it is enabled.
func TestOperators(t *testing.T) {
	t.Parallel()
	integers := []string{`"valueInteger":1`, `"valueInteger":5`}
	for _, c := range []struct {
		kind, operator, answer string
		given                  []string
		enabled                bool
	}{
		{"integer", "exists", `"answerBoolean":true`, nil, false},
		{"integer", "exists", `"answerBoolean":false`, nil, true},
		{"integer", "exists", `"answerBoolean":true`, integers, true},
		{"integer", "exists", `"answerBoolean":false`, integers, false},
		{"integer", "=", `"answerInteger":5`, integers, true},
		{"integer", "=", `"answerDecimal":5.0`, integers, true},
		{"integer", "=", `"answerInteger":2`, integers, false},
		{"integer", "!=", `"answerInteger":5`, integers, false},
		{"integer", "!=", `"answerInteger":2`, integers, true},
		{"integer", "!=", `"answerInteger":2`, nil, true},
		{"integer", ">", `"answerInteger":4`, integers, true},
		{"integer", ">", `"answerInteger":5`, integers, false},
		{"integer", ">=", `"answerInteger":5`, integers, true},
		{"integer", "<", `"answerInteger":1`, integers, false},
		{"integer", "<=", `"answerInteger":1`, integers, true},
		{"integer", "<=", `"answerInteger":1`, nil, false},
		{"boolean", "=", `"answerBoolean":false`, []string{`"valueBoolean":false`}, true},
		{"boolean", "!=", `"answerBoolean":false`, []string{`"valueBoolean":false`}, false},
		{"text", "=", `"answerString":"a"`, []string{`"valueString":"a"`}, true},
		{"url", "=", `"answerString":"http://a"`, []string{`"valueUri":"http://a"`}, true},
		{"date", "=", `"answerDate":"2025-02"`, []string{`"valueDate":"2025-02"`}, true},
		{"date", ">", `"answerDate":"2025-02"`, []string{`"valueDate":"2025-02-28"`}, false},
		{"date", ">", `"answerDate":"2025-02"`, []string{`"valueDate":"2025-03"`}, true},
		{"dateTime", "=", `"answerDateTime":"2025-02-01T10:00:00Z"`, []string{`"valueDateTime":"2025-02-01T11:00:00+01:00"`}, true},
		{"dateTime", "<", `"answerDate":"2025-02-02"`, []string{`"valueDateTime":"2025-02-01T23:59:60Z"`}, true},
		{"time", "<", `"answerTime":"10:00:00"`, []string{`"valueTime":"09:59:59.9"`}, true},
		{"time", "=", `"answerTime":"10:00:00"`, []string{`"valueTime":"10:00:00.0"`}, true},
		{"quantity", "=", `"answerQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}`,
			[]string{`"valueQuantity":{"value":1000,"system":"http://unitsofmeasure.org","code":"g"}`}, true},
		{"quantity", ">", `"answerQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}`,
			[]string{`"valueQuantity":{"value":1000,"system":"http://unitsofmeasure.org","code":"m"}`}, false},
		{"reference", "=", `"answerReference":{"reference":"Patient/1"}`, []string{`"valueReference":{"reference":"Patient/1","display":"x"}`}, true},
		{"choice", "=", `"answerCoding":{"system":"http://a","code":"x"}`, []string{`"valueCoding":{"system":"http://a","code":"x","display":"X"}`}, true},
		{"choice", "=", `"answerCoding":{"system":"http://a","code":"x"}`, []string{`"valueCoding":{"system":"http://b","code":"x"}`}, false},
		{"open-choice", "=", `"answerString":"x"`, []string{`"valueString":"x"`}, true},
		{"attachment", "exists", `"answerBoolean":true`, []string{`"valueAttachment":{"url":"http://a"}`}, true},
	} {
		t.Run(fmt.Sprint(c.kind, c.operator, c.answer, c.given), func(t *testing.T) {
			t.Parallel()
			form := compile(t, formOf(item("q", c.kind, `"repeats":true`), item("site", "string", `"required":true,`+when("q", c.operator, c.answer))))
			var given []string
			if c.given != nil {
				given = []string{answer("q", c.given...)}
			}
			want := ""
			if c.enabled {
				want = "required item-required site"
			}
			if got := brief(check(t, form, response("completed", given...)).Issues); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestCheck holds the rules to single cases.
func TestCheck(t *testing.T) {
	t.Parallel()
	yes := `"answerBoolean":true`
	scoped := formOf(item("g", "group", `"repeats":true,`+items(item("q", "boolean", ""), item("d", "string", when("q", "=", yes)))),
		item("after", "string", when("q", "=", yes)))
	nested := formOf(item("q", "choice", `"repeats":true,`+items(item("d", "string", `"required":true,`+when("q", "=", `"answerCoding":{"code":"other"}`)))))
	either := formOf(item("a", "string", when("b", "exists", `"answerBoolean":false`)), item("b", "string", when("a", "exists", `"answerBoolean":false`)))
	expressed := formOf(item("q", "integer", ""), item("d", "string", `"required":true,`+path(structured+"enableWhenExpression", "%resource.item.where(linkId='q').answer.value > 3")))
	unknowable := formOf(item("d", "string", `"required":true,`+path(structured+"enableWhenExpression", "%patient.active")))
	ruled := strings.Replace(formOf(item("a", "integer", ""), item("b", "integer", "")), `"item"`, `"extension":[{"url":"`+core+`targetConstraint","extension":[
		{"url":"key","valueId":"ordered"},{"url":"severity","valueCode":"warning"},{"url":"human","valueString":"a comes before b"},
		{"url":"expression","valueExpression":{"language":"text/fhirpath","expression":"item.where(linkId='a').answer.value <= item.where(linkId='b').answer.value"}}]}],"item"`, 1)
	contained := strings.Replace(formOf(item("a", "choice", `"answerValueSet":"#set"`)), `"item"`,
		`"contained":[{"resourceType":"ValueSet","id":"set","status":"active","compose":{"include":[{"system":"http://a","concept":[{"code":"x"}]}]}}],"item"`, 1)
	yesAnd := func(items string) string { return `"valueBoolean":true,"item":[` + items + `]` }
	for _, c := range []struct{ name, form, response, want string }{
		{"in each group", scoped, response("completed", group("g", answer("q", `"valueBoolean":true`), answer("d", `"valueString":"x"`)),
			group("g", answer("q", `"valueBoolean":false`), answer("d", `"valueString":"x"`))), "business-rule item-not-enabled d"},
		{"in this group only", scoped, response("completed", group("g", answer("q", `"valueBoolean":true`)), group("g", answer("d", `"valueString":"x"`))), "business-rule item-not-enabled d"},
		{"the last before", scoped, response("completed", group("g", answer("q", `"valueBoolean":false`)), group("g", answer("q", `"valueBoolean":true`)), answer("after", `"valueString":"x"`)), ""},
		{"not the first", scoped, response("completed", group("g", answer("q", `"valueBoolean":true`)), group("g", answer("q", `"valueBoolean":false`)), answer("after", `"valueString":"x"`)), "business-rule item-not-enabled after"},
		{"below its answer", nested, response("completed", answer("q", `"valueCoding":{"code":"a"}`, `"valueCoding":{"code":"other"},"item":[`+answer("d", `"valueString":"x"`)+`]`)), ""},
		{"required below its answer", nested, response("completed", answer("q", `"valueCoding":{"code":"a"}`, `"valueCoding":{"code":"other"}`)), "required item-required d"},
		{"one of two", either, response("completed", answer("a", `"valueString":"x"`)), ""},
		{"both of two", either, response("completed", answer("a", `"valueString":"x"`), answer("b", `"valueString":"x"`)), "business-rule item-not-enabled a\nbusiness-rule item-not-enabled b"},
		{"expression holds", expressed, response("completed", answer("q", `"valueInteger":4`)), "required item-required d"},
		{"expression fails", expressed, response("completed", answer("q", `"valueInteger":3`), answer("d", `"valueString":"x"`)), "business-rule item-not-enabled d"},
		{"expression is empty", expressed, response("completed", answer("d", `"valueString":"x"`)), "business-rule item-not-enabled d"},
		{"perhaps enabled", unknowable, response("completed"), ""},
		{"perhaps enabled and answered", unknowable, response("completed", answer("d", `"valueString":"x"`)), ""},
		{"rule of the form", ruled, response("amended", answer("a", `"valueInteger":2`), answer("b", `"valueInteger":1`)), "warning invariant ordered a comes before b"},
		{"rule without answers", ruled, response("completed", answer("a", `"valueInteger":2`)), ""},
		{"rule of a draft", ruled, response("stopped", answer("a", `"valueInteger":2`), answer("b", `"valueInteger":1`)), ""},
		{"contained value set", contained, response("completed", answer("a", `"valueCoding":{"system":"http://a","code":"x"}`)), ""},
		{"not in it", contained, response("completed", answer("a", `"valueCoding":{"system":"http://a","code":"y"}`)), "code-invalid not-in-value-set a"},
		{"unknown value set", formOf(item("a", "choice", `"answerValueSet":"http://nowhere.example/set"`)),
			response("completed", answer("a", `"valueCoding":{"system":"http://a","code":"y"}`)), "warning not-supported answer-not-checked a"},
		{"empty item", formOf(item("a", "string", `"required":true`)), response("completed", answer("a")), "required item-required a"},
		{"disabled and empty", formOf(item("q", "boolean", ""), item("a", "group", when("q", "=", yes)+","+items(item("b", "string", `"required":true`)))), response("completed", group("a", answer("b"))), ""},
		{"answer without value", formOf(item("a", "string", `"required":true`)),
			response("completed", `{"linkId":"a","answer":[{"_valueString":{"extension":[{"url":"http://a","valueCode":"b"}]}}]}`), "required item-required a"},
		{"abstract type", formOf(item("a", "question", "")), response("completed", answer("a", `"valueString":"x"`)), "value wrong-answer-type a"},
		{"number for a decimal", formOf(item("a", "decimal", "")), response("completed", answer("a", `"valueInteger":1`)), "value wrong-answer-type a"},
		{"stray below a question", formOf(item("a", "string", "")), response("completed", `{"linkId":"a","item":[{"linkId":"b"}]}`), "structure unknown-link-id b"},
		{"three levels", formOf(item("a", "boolean", items(item("b", "boolean", items(item("c", "boolean", "")))))),
			response("completed", answer("a", yesAnd(answer("b", yesAnd(answer("c", `"valueInteger":1`)))))), "value wrong-answer-type c"},
		{"too few groups", formOf(item("g", "group", `"repeats":true,`+extension(core+"questionnaire-minOccurs", `"valueInteger":2`))), response("completed", answer("g")), "required too-few-answers g"},
		{"no group", formOf(item("g", "group", `"repeats":true,`+extension(core+"questionnaire-minOccurs", `"valueInteger":2`))), response("completed"), "required too-few-answers g"},
		{"too many groups", formOf(item("g", "group", `"repeats":true,`+extension(core+"questionnaire-maxOccurs", `"valueInteger":2`))), response("in-progress", answer("g"), answer("g"), answer("g")), "structure too-many-answers g"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := check(t, compile(t, c.form), c.response).Issues; brief(got) != c.want {
				t.Errorf("got %v\nwant %s", got, c.want)
			}
		})
	}
}

// TestCalculated finds values out, fills them in, and says so when others were sent.
func TestCalculated(t *testing.T) {
	t.Parallel()
	value := func(linkID string) string {
		return "%resource.descendants().where(linkId='" + linkID + "').answer.value"
	}
	chain := formOf(item("c", "integer", path(calculatedURL, value("b")+"+1")), item("b", "integer", path(calculatedURL, value("a")+"+1")), item("a", "integer", ""))
	bmi := formOf(item("w", "decimal", ""), item("bmi", "decimal", `"extension":[`+variable("w", value("w"))+`,
		{"url":"`+core+`maxDecimalPlaces","valueInteger":1},{"url":"`+calculatedURL+`","valueExpression":{"language":"text/fhirpath","expression":"%w / 3"}}]`))
	scores := formOf(item("a", "integer", ""), item("scores", "group", items(item("note", "display", ""), item("s", "integer", path(calculatedURL, value("a"))),
		item("t", "choice", `"answerOption":[{"valueCoding":{"system":"http://a","code":"x"}}],`+path(calculatedURL, "%qitem.answerOption.value")))))
	below := formOf(item("g", "group", `"repeats":true,`+items(item("a", "integer", ""), item("s", "integer", path(calculatedURL, "1")), item("z", "integer", ""))))
	for _, c := range []struct{ name, form, response, want, filled string }{
		{"in a row", chain, response("completed", answer("a", `"valueInteger":1`)), "",
			response("completed", answer("c", `"valueInteger":3`), answer("b", `"valueInteger":2`), answer("a", `"valueInteger":1`))},
		{"in a draft", chain, response("in-progress", answer("b", `"valueInteger":2`), answer("a", `"valueInteger":1`)), "",
			response("in-progress", answer("c", `"valueInteger":3`), answer("b", `"valueInteger":2`), answer("a", `"valueInteger":1`))},
		{"wrong", chain, response("completed", answer("c", `"valueInteger":3`), answer("b", `"valueInteger":3`), answer("a", `"valueInteger":1`)),
			"invariant calculated-mismatch c\ninvariant calculated-mismatch b", ""},
		{"withheld", chain, response("completed", answer("b", `"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]`), answer("a", `"valueInteger":1`)),
			"invariant calculated-mismatch b", ""},
		{"not to be known", chain, response("completed"), "", ""},
		{"made up", chain, response("completed", answer("b", `"valueInteger":2`)), "invariant calculated-mismatch b",
			response("completed", answer("c", `"valueInteger":3`), answer("b", `"valueInteger":2`))},
		{"rounded", bmi, response("completed", answer("w", `"valueDecimal":20`)), "", response("completed", answer("w", `"valueDecimal":20`), answer("bmi", `"valueDecimal":6.7`))},
		{"rounded by the client", bmi, response("completed", answer("w", `"valueDecimal":20`), answer("bmi", `"valueDecimal":6.70`)), "value too-many-decimal-places bmi", ""},
		{"as it is", bmi, response("completed", answer("w", `"valueDecimal":6.0`), answer("bmi", `"valueDecimal":2`)), "", ""},
		{"a group of its own", scores, response("completed", answer("a", `"valueInteger":1`)), "",
			response("completed", answer("a", `"valueInteger":1`), group("scores", answer("s", `"valueInteger":1`), answer("t", `"valueCoding":{"system":"http://a","code":"x"}`)))},
		{"an empty item", scores, response("completed", answer("a", `"valueInteger":1`), group("scores", answer("s"), answer("t", `"valueCoding":{"system":"http://a","code":"x"}`))), "",
			response("completed", answer("a", `"valueInteger":1`), group("scores", answer("s", `"valueInteger":1`), answer("t", `"valueCoding":{"system":"http://a","code":"x"}`)))},
		{"in each group", below, response("completed", group("g", answer("z", `"valueInteger":2`)), group("g", answer("a", `"valueInteger":2`)), answer("g")), "",
			response("completed", group("g", answer("s", `"valueInteger":1`), answer("z", `"valueInteger":2`)), group("g", answer("a", `"valueInteger":2`), answer("s", `"valueInteger":1`)),
				group("g", answer("s", `"valueInteger":1`)))},
		{"in no group", below, response("completed"), "", ""},
		{"not an integer", formOf(item("a", "integer", path(calculatedURL, "'x'"))), response("completed"), "warning processing expression-failed a", ""},
		{"an error", formOf(item("a", "integer", path(calculatedURL, "1 + 'x'"))), response("completed"), "warning processing expression-failed a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := check(t, compile(t, c.form), c.response)
			if brief(got.Issues) != c.want {
				t.Errorf("got %v\nwant %s", got.Issues, c.want)
			}
			filled := ""
			if got.Resource != nil {
				filled = string(got.Resource.Source())
			}
			if filled != c.filled {
				t.Errorf("filled in:\n%s\nwant:\n%s", filled, c.filled)
			}
		})
	}
}

// TestMany stops at some number of issues, but not before an error.
func TestMany(t *testing.T) {
	t.Parallel()
	form := compile(t, formOf(item("a", "choice", `"repeats":true,"answerValueSet":"http://nowhere.example/set"`), item("z", "string", "")))
	var codes []string
	for i := range 500 {
		codes = append(codes, fmt.Sprintf(`"valueCoding":{"code":"c%d"}`, i))
	}
	got := check(t, form, response("completed", answer("a", codes...), answer("z", `"valueInteger":1`))).Issues
	if len(got) != 201 || brief(got[200:]) != "too-costly more-issues There are more problems; correct these first" {
		t.Errorf("%d issues, %s at the end", len(got), brief(got[len(got)-1:]))
	}
}

// TestBounded gives up on what would take for ever.
func TestBounded(t *testing.T) {
	t.Parallel()
	var many, groups, asking, given, patterns []string
	for i := range 20_000 {
		given = append(given, fmt.Sprint(`"valueInteger":`, i))
	}
	for i := range 2_000 {
		asking = append(asking, item(fmt.Sprint("i", i), "string", `"enableBehavior":"any","enableWhen":[`+
			strings.Repeat(`{"question":"q","operator":"=","answerInteger":-1},`, 99)+`{"question":"q","operator":"=","answerInteger":-2}]`))
		patterns = append(patterns, item(fmt.Sprint("i", i), "string", extension(core+"regex", `"valueString":"(a{1000}){4}"`)))
	}
	for i := range 5_000 {
		many = append(many, item(fmt.Sprint("i", i), "string", ""))
		groups = append(groups, answer("g"))
	}
	for _, c := range []struct{ name, form, response, want string }{
		{"forms in groups", formOf(item("g", "group", `"repeats":true,`+items(many...))), response("completed", groups...), "too-costly too-costly"},
		{"expressions", formOf(item("g", "group", `"repeats":true,`+items(item("a", "integer", path(calculatedURL, "1"))))), response("completed", groups...), "too-costly too-costly"},
		{"conditions", formOf(append(asking, item("q", "integer", `"repeats":true`))...), response("completed", answer("q", given...)), "too-costly too-costly"},
		{"patterns", formOf(patterns...), response("completed"), ""},
		{"pattern", formOf(item("a", "string", extension(core+"regex", `"valueString":"(a{900}|b)*"`))),
			response("completed", answer("a", `"valueString":"`+strings.Repeat("a", 100_000)+`"`)), "too-costly too-costly"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := brief(check(t, compile(t, c.form), c.response).Issues); !strings.HasPrefix(got, c.want) {
				t.Errorf("%.300s", got)
			}
		})
	}
}

// TestNoResponse refuses what is no response.
func TestNoResponse(t *testing.T) {
	t.Parallel()
	form := compile(t, formOf(item("a", "string", "")))
	got, err := form.Check(context.Background(), decode(t, "Patient", []byte(`{"resourceType":"Patient"}`)), questionnaire.Env{})
	if err != nil || brief(got.Issues) != "invalid response-required Only a QuestionnaireResponse can answer a form: send one" {
		t.Error(got, err)
	}
}
