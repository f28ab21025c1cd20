package questionnaire_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// item writes an item of a form.
func item(linkID, kind, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"linkId":%q,"type":%q%s}`, linkID, kind, more)
}

func formOf(items ...string) string {
	return `{"resourceType":"Questionnaire","status":"active","url":"http://form.example","item":[` + strings.Join(items, ",") + `]}`
}

func when(question, operator, answer string) string {
	return fmt.Sprintf(`"enableWhen":[{"question":%q,"operator":%q,%s}]`, question, operator, answer)
}

func extension(url, value string) string {
	return fmt.Sprintf(`"extension":[{"url":%q,%s}]`, url, value)
}

func path(url, source string) string {
	return extension(url, fmt.Sprintf(`"valueExpression":{"language":"text/fhirpath","expression":%q}`, source))
}

const calculatedURL = structured + "calculatedExpression"

// TestCompile says what is wrong with forms.
func TestCompile(t *testing.T) {
	t.Parallel()
	asks := func(linkID string) string { return "%resource.item.where(linkId='" + linkID + "').answer.value" }
	for _, c := range []struct{ name, form, want string }{
		{"fine", formOf(item("a", "string", "")), ""},
		{"same linkId", formOf(item("a", "string", ""), item("a", "string", "")), "error duplicate link-id-repeated a"},
		{"no linkId", formOf(`{"_linkId":{"extension":[{"url":"http://a","valueCode":"b"}]},"type":"string"}`), "error required link-id-required "},
		{"unknown question", formOf(item("a", "string", when("b", "exists", `"answerBoolean":true`))), "error not-found question-unknown a"},
		{"itself", formOf(item("a", "string", when("a", "exists", `"answerBoolean":true`))), "error invalid condition-on-itself a"},
		{"on a group", formOf(item("a", "string", when("b", "exists", `"answerBoolean":true`)), item("b", "group", "")), "error invalid condition-not-on-question a"},
		{"type", formOf(item("a", "string", when("b", "=", `"answerString":"x"`)), item("b", "boolean", "")), "error invalid condition-type a"},
		{"type of option", formOf(item("a", "string", when("b", "=", `"answerString":"x"`)), item("b", "choice", "")), "error invalid condition-type a"},
		{"exists", formOf(item("a", "string", when("b", "exists", `"answerInteger":1`)), item("b", "integer", "")), "error invalid condition-type a"},
		{"order", formOf(item("a", "string", when("b", ">", `"answerBoolean":true`)), item("b", "boolean", "")), "error invalid condition-operator a"},
		{"behavior", formOf(item("a", "string", `"enableWhen":[{"question":"b","operator":"exists","answerBoolean":true},{"question":"b","operator":"=","answerString":"x"}]`),
			item("b", "string", "")), "error required enable-behavior-missing a"},
		{"circle", formOf(item("a", "string", when("b", "exists", `"answerBoolean":false`)), item("b", "string", when("a", "exists", `"answerBoolean":false`))),
			"warning invalid condition-circle a\nwarning invalid condition-circle b"},
		{"circle by nesting", formOf(item("a", "group", when("b", "exists", `"answerBoolean":true`)+`,"item":[`+item("b", "string", "")+`]`)), "warning invalid condition-circle a"},
		{"option type", formOf(item("a", "integer", `"answerOption":[{"valueString":"x"}]`)), "error invalid option-type a"},
		{"value set", formOf(item("a", "choice", `"answerValueSet":"#x"`)), "error not-found value-set-missing a"},
		{"bound", formOf(item("a", "string", extension(core+"minValue", `"valueInteger":1`))), "warning invalid bound-type a"},
		{"pattern", formOf(item("a", "string", extension(core+"regex", `"valueString":"(?=a)b"`))), "warning not-supported pattern-unsupported a"},
		{"costly pattern", formOf(item("a", "string", extension(core+"regex", `"valueString":"((a{100}){10}b{1000}){9}"`))), "warning not-supported pattern-unsupported a"},
		{"expression", formOf(item("a", "string", path(calculatedURL, "1 +"))), "error invalid expression-invalid a"},
		{"language", formOf(item("a", "string", extension(calculatedURL, `"valueExpression":{"language":"application/x-fhir-query","expression":"Patient"}`))), "information not-supported not-enforced a"},
		{"launch context", formOf(item("a", "string", path(calculatedURL, "%patient.id"))), "information not-supported not-enforced a"},
		{"calculated circle", formOf(item("a", "integer", path(calculatedURL, asks("b"))), item("b", "integer", path(calculatedURL, asks("a")))), "error invalid calculated-circle a"},
		{"calculated by itself", formOf(item("a", "integer", path(calculatedURL, asks("a")))), "error invalid calculated-circle a"},
		{"calculated group", formOf(item("a", "group", path(calculatedURL, "1"))), "warning invalid expression-place a"},
		{"variable circle", formOf(item("a", "integer", `"extension":[`+variable("x", "%y")+`,`+variable("y", "%x")+`]`)), "error invalid variable-circle a"},
		{"not enforced", formOf(item("a", "choice", path(structured+"answerExpression", "1"))), "information not-supported not-enforced a"},
		{"modifier", formOf(item("a", "string", `"modifierExtension":[{"url":"http://a","valueCode":"b"}]`)), "error extension modifier-extension a"},
		{"abstract type", formOf(item("a", "question", "")), "warning invalid item-type a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			form, issues := questionnaire.Compile(decode(t, "Questionnaire", []byte(c.form)).Root())
			var lines []string
			for _, is := range issues {
				linkID, _, _ := strings.Cut(strings.TrimPrefix(is.Text, `Item "`), `"`)
				lines = append(lines, fmt.Sprintf("%v %s %s %s", is.Severity, is.Code, is.Detail, linkID))
				if is.Expression == "" || is.Line != 1 || is.Rule != "http://form.example" {
					t.Errorf("the issue has no place: %+v", is)
				}
			}
			if got := strings.Join(lines, "\n"); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
			if wrong := strings.Contains(c.want, "error "); (form == nil) != wrong {
				t.Errorf("form: %v", form != nil)
			}
		})
	}
	if form, issues := questionnaire.Compile(decode(t, "Patient", []byte(`{"resourceType":"Patient"}`)).Root()); form != nil || len(issues) != 1 {
		t.Error("a Patient is no form")
	}
}

func variable(name, source string) string {
	return fmt.Sprintf(`{"url":%q,"valueExpression":{"name":%q,"language":"text/fhirpath","expression":%q}}`, core+"variable", name, source)
}

// TestLongChain compiles forms whose parts depend on each other in long rows.
func TestLongChain(t *testing.T) {
	t.Parallel()
	var conditions, calculated, variables []string
	for i := range 3_000 {
		conditions = append(conditions, item(fmt.Sprint(i), "boolean", when(fmt.Sprint((i+1)%3_000), "exists", `"answerBoolean":true`)))
		calculated = append(calculated, item(fmt.Sprint(i), "integer", path(calculatedURL, fmt.Sprintf("%%resource.item.where(linkId='%d').answer.value+1", i+1))))
		variables = append(variables, variable(fmt.Sprint("v", i), fmt.Sprintf("%%v%d + %%v%d", i+1, i+1)))
	}
	for _, c := range []struct{ name, form, want string }{
		{"conditions", formOf(conditions...), "warning invalid condition-circle"},
		{"calculated", formOf(calculated...), "warning invalid calculated-too-deep"},
		{"variables", formOf(item("a", "integer", `"extension":[`+strings.Join(variables, ",")+`]`)), "information not-supported not-enforced"},
	} {
		_, issues := questionnaire.Compile(decode(t, "Questionnaire", []byte(c.form)).Root())
		if got := brief(issues); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %.200s", c.name, got)
		}
	}
}
