package questionnaire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// object is JSON in the making.
type object = map[string]any

const (
	core       = "http://hl7.org/fhir/StructureDefinition/"
	structured = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
)

func extend(url, property string, value any) object { return object{"url": url, property: value} }

// A world is a random form and a random response that answers it.
type world struct {
	t       *rapid.T
	next    int
	answers map[string]any // of questions that conditions may ask: boolean and integer
	asked   []string
}

// pair makes items and what answers them.
func (w *world) pair(depth int) (form, response []any) {
	for range rapid.IntRange(1, 4).Draw(w.t, "items") {
		it := object{"linkId": fmt.Sprintf("i%d", w.next), "required": rapid.Bool().Draw(w.t, "required")}
		w.next++
		enabled := w.condition(it)
		if depth > 0 && rapid.IntRange(0, 3).Draw(w.t, "kind") == 0 {
			response = append(response, w.group(it, depth, enabled)...)
		} else if answer := w.question(it, enabled); answer != nil {
			response = append(response, answer)
		}
		form = append(form, it)
	}
	return form, response
}

// condition gives an item a condition on an earlier question, perhaps, and returns
// whether it holds.
func (w *world) condition(it object) bool {
	if len(w.asked) == 0 || rapid.IntRange(0, 2).Draw(w.t, "condition") > 0 {
		return true
	}
	question := rapid.SampledFrom(w.asked).Draw(w.t, "question")
	answer := w.answers[question]
	number, isNumber := answer.(int)
	truth, isTruth := answer.(bool)
	when := object{"question": question}
	it["enableWhen"] = []any{when}
	if strings.HasSuffix(question, "b") {
		want := rapid.Bool().Draw(w.t, "want")
		when["operator"], when["answerBoolean"] = "=", want
		return isTruth && truth == want
	}
	limit := rapid.IntRange(-5, 5).Draw(w.t, "limit")
	operator := rapid.SampledFrom([]string{"=", "!=", ">", "<", ">=", "<=", "exists"}).Draw(w.t, "operator")
	when["operator"] = operator
	if operator == "exists" {
		when["answerBoolean"] = limit > 0
		return isNumber == (limit > 0)
	}
	when["answerInteger"] = limit
	return map[string]bool{"=": isNumber && number == limit, "!=": !isNumber || number != limit, ">": isNumber && number > limit,
		"<": isNumber && number < limit, ">=": isNumber && number >= limit, "<=": isNumber && number <= limit}[operator]
}

// group makes a group and its repetitions.
func (w *world) group(it object, depth int, enabled bool) []any {
	it["type"] = "group"
	it["repeats"] = rapid.Bool().Draw(w.t, "repeats")
	asked := len(w.asked)
	form, response := w.pair(depth - 1)
	if !enabled {
		for _, question := range w.asked[asked:] {
			delete(w.answers, question)
		}
	}
	if it["repeats"] == true {
		w.asked = w.asked[:asked] // whose answers are those of each repetition
	}
	if len(form) == 0 {
		return nil
	}
	it["item"] = form
	if !enabled || len(response) == 0 && it["required"] == true {
		it["required"] = false
	}
	if !enabled {
		return nil
	}
	answered := object{"linkId": it["linkId"], "item": response}
	if len(response) == 0 {
		delete(answered, "item")
		return []any{answered}
	}
	if it["repeats"] == true && rapid.Bool().Draw(w.t, "again") {
		return []any{answered, object{"linkId": it["linkId"], "item": append([]any(nil), response...)}}
	}
	return []any{answered}
}

// question makes a question and what answers it, or nil.
func (w *world) question(it object, enabled bool) any {
	kind := rapid.SampledFrom([]string{"boolean", "integer", "decimal", "string", "text", "date", "time", "choice", "open-choice", "quantity", "display", "url"}).Draw(w.t, "type")
	it["type"] = kind
	if kind == "display" {
		delete(it, "required")
		return nil
	}
	answer := object{}
	linkID := it["linkId"].(string)
	switch kind {
	case "boolean":
		linkID += "b"
		answer["valueBoolean"] = rapid.Bool().Draw(w.t, "boolean")
	case "integer":
		it["extension"] = []any{extend(core+"minValue", "valueInteger", -9), extend(core+"maxValue", "valueInteger", 9)}
		answer["valueInteger"] = rapid.IntRange(-9, 9).Draw(w.t, "integer")
	case "decimal":
		it["extension"] = []any{extend(core+"maxDecimalPlaces", "valueInteger", 2)}
		answer["valueDecimal"] = json.Number(fmt.Sprintf("%d.%02d", rapid.IntRange(0, 99).Draw(w.t, "units"), rapid.IntRange(0, 99).Draw(w.t, "cents")))
	case "string", "text":
		it["maxLength"] = 20
		answer["valueString"] = rapid.StringMatching(`[a-z'éß\\]{1,20}`).Draw(w.t, "string")
	case "date":
		it["extension"] = []any{extend(core+"minValue", "valueDate", "2000-06")}
		answer["valueDate"] = rapid.SampledFrom([]string{"2000", "2000-06", "2000-06-01", "2031-12-31"}).Draw(w.t, "date")
	case "time":
		answer["valueTime"] = "10:20:30"
	case "url":
		answer["valueUri"] = "https://example.org"
	case "quantity":
		answer["valueQuantity"] = object{"value": 5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
	default:
		it["answerOption"] = []any{object{"valueCoding": object{"system": "http://a.example", "code": "x"}}, object{"valueCoding": object{"system": "http://a.example", "code": "y"}}}
		answer["valueCoding"] = object{"system": "http://a.example", "code": rapid.SampledFrom([]string{"x", "y"}).Draw(w.t, "code")}
		if kind == "open-choice" && rapid.Bool().Draw(w.t, "free") {
			delete(answer, "valueCoding")
			answer["valueString"] = "something else"
		}
	}
	it["linkId"] = linkID
	answered := enabled && (it["required"] == true || rapid.Bool().Draw(w.t, "answered"))
	if kind == "boolean" || kind == "integer" {
		w.asked = append(w.asked, linkID)
		if answered {
			w.answers[linkID] = answer["value"+strings.ToUpper(kind[:1])+kind[1:]]
		}
	}
	if !answered {
		return nil
	}
	return object{"linkId": linkID, "answer": []any{answer}}
}

func asItem(linkID string, items []any) object {
	if len(items) == 0 {
		return object{"linkId": linkID}
	}
	return object{"linkId": linkID, "item": items}
}

func asForm(items []any) string {
	return asJSON(object{"resourceType": "Questionnaire", "status": "active", "url": "http://form.example", "version": "1", "item": items})
}

func asResponse(status string, items []any) string {
	r := object{"resourceType": "QuestionnaireResponse", "status": status, "questionnaire": "http://form.example|1"}
	if len(items) > 0 {
		r["item"] = items
	}
	return asJSON(r)
}

func asJSON(v any) string {
	src, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(src)
}

// draw makes a world in which planted stands, in the form and as answered, in one place.
func draw(t *rapid.T, f fault, broken bool) (form, response string) {
	w := &world{t: t, answers: map[string]any{}}
	items, answers := w.pair(3)
	planted := f.valid
	if broken {
		planted = f.broken
	}
	inside, outer := planted, f.form
	for i := range rapid.IntRange(0, 2).Draw(t, "depth") {
		linkID := fmt.Sprintf("wrapper '%d'", i)
		outer = []any{object{"linkId": linkID, "type": "group", "repeats": i == 1, "item": outer}}
		if len(inside) > 0 || i == 0 {
			inside = []any{asItem(linkID, inside)}
		}
	}
	items, answers = append(items, outer...), append(answers, inside...)
	return asForm(items), asResponse("completed", answers)
}

// TestProperty makes random forms with random answers, which are accepted, and plants
// one fault, which is reported, and nothing else.
func TestProperty(t *testing.T) {
	t.Parallel()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { f.run(t, rt) })
		})
	}
}

func (f fault) run(t *testing.T, rt *rapid.T) {
	seed := rapid.Bool().Draw(rt, "broken")
	src, response := draw(rt, f, seed)
	form := compile(t, src)
	got := check(t, form, response)
	want := ""
	if seed {
		want = f.want
	}
	if brief(got.Issues) != want {
		rt.Fatalf("got %v\nwant %q\n%s\n%s", got.Issues, want, src, response)
	}
	draft := check(t, form, strings.Replace(response, `"completed"`, `"in-progress"`, 1))
	if f.lenient {
		want = ""
	}
	if brief(draft.Issues) != want {
		rt.Fatalf("got %v of a draft\nwant %q\n%s\n%s", draft.Issues, want, src, response)
	}
	if got.Resource == nil {
		return
	}
	again, err := form.Check(t.Context(), got.Resource, environment())
	if err != nil || again.Resource != nil || brief(again.Issues) != brief(got.Issues) {
		rt.Fatalf("filled in, it gives %v %v\n%s\n%s", again.Issues, err, src, got.Resource.Source())
	}
}
