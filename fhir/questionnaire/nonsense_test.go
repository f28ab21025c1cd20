package questionnaire_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/questionnaire"
)

// A babbler makes forms and responses that FHIR allows and that make no sense.
type babbler struct {
	t     *rapid.T
	fresh int // linkIds that were not used yet; less than 0 uses any
}

func (b *babbler) pick(all ...string) string { return rapid.SampledFrom(all).Draw(b.t, "pick") }

func (b *babbler) linkID() string {
	if b.fresh >= 0 && rapid.IntRange(0, 30).Draw(b.t, "again") < 30 {
		b.fresh++
		return fmt.Sprint("l", b.fresh)
	}
	return fmt.Sprint("l", rapid.IntRange(1, 8).Draw(b.t, "linkId"))
}

// value returns a value of any type, as the end of the name of its property and itself.
func (b *babbler) value() (string, any) {
	switch kind := b.pick("Boolean", "Integer", "Decimal", "Date", "DateTime", "Time", "String", "Coding", "Quantity", "Reference"); kind {
	case "Boolean":
		return kind, rapid.Bool().Draw(b.t, "boolean")
	case "Integer":
		return kind, rapid.IntRange(-2, 3).Draw(b.t, "integer")
	case "Decimal":
		return kind, rapid.SampledFrom([]float64{-1.5, 0, 1, 2.25, 1e21}).Draw(b.t, "decimal")
	case "Date":
		return kind, b.pick("2025", "2025-02", "2025-02-28")
	case "DateTime":
		return kind, b.pick("2025", "2025-02-28T10:00:60Z", "2025-02-28T10:00:00.5+14:00")
	case "Time":
		return kind, b.pick("10:00:00", "23:59:60")
	case "String":
		return kind, b.pick("a", "", "l1", "ab\n'") + "x"
	case "Coding":
		return kind, object{"system": "http://a.example", "code": b.pick("a", "b")}
	case "Quantity":
		return kind, object{"value": 1, "system": "http://unitsofmeasure.org", "code": b.pick("mg", "g", "m", "nonsense")}
	default:
		return kind, object{"reference": b.pick("Patient/1", "#c", "Group/2", "http://a.example/b")}
	}
}

func (b *babbler) expression() object {
	return object{"language": "text/fhirpath", "name": b.pick("v", "w"), "expression": b.pick("1", "%v", "%w + 1", "answer.value", "%resource.item.answer.value",
		"%resource.descendants().where(linkId='l1').answer.value", "%context.item", "%questionnaire.item.linkId", "QuestionnaireResponse.item.count()",
		"%patient", "1 / 0", "'a' + 1", "item.where(linkId in ('l2'|'l3')).answer.value.sum()", "true", "{}", "answer.value.code.memberOf('http://nowhere.example')")}
}

func (b *babbler) extension() object {
	switch b.pick("bound", "expression", "number", "constraint") {
	case "bound":
		kind, value := b.value()
		return extend(core+b.pick("minValue", "maxValue", "regex", "questionnaire-unitOption", "minLength"), "value"+kind, value)
	case "number":
		return extend(core+b.pick("minLength", "maxDecimalPlaces", "questionnaire-minOccurs", "questionnaire-maxOccurs", "maxSize"),
			"valueInteger", rapid.IntRange(-1, 3).Draw(b.t, "number"))
	case "expression":
		return extend(b.pick(structured+"calculatedExpression", structured+"enableWhenExpression", core+"variable"), "valueExpression", b.expression())
	}
	return object{"url": core + "targetConstraint", "extension": []any{extend("key", "valueId", "k"), extend("expression", "valueExpression", b.expression())}}
}

func (b *babbler) many(what string, most int, one func() any) []any {
	var all []any
	for range rapid.IntRange(0, most).Draw(b.t, what) {
		all = append(all, one())
	}
	return all
}

func (b *babbler) formItem(depth int) any {
	it := object{"linkId": b.linkID(), "required": rapid.Bool().Draw(b.t, "required"), "repeats": rapid.Bool().Draw(b.t, "repeats"),
		"enableBehavior": b.pick("all", "any"),
		"type":           b.pick("group", "boolean", "integer", "group", "display", "question", "boolean", "integer", "decimal", "date", "dateTime", "time", "string", "choice", "open-choice", "quantity", "reference")}
	put(it, "extension", b.many("extensions", 2, func() any { return b.extension() }))
	put(it, "enableWhen", b.many("conditions", rapid.SampledFrom([]int{0, 0, 2}).Draw(b.t, "most"), func() any {
		kind, value := b.value()
		if rapid.IntRange(0, 3).Draw(b.t, "exists") > 0 {
			return object{"question": fmt.Sprint("l", rapid.IntRange(1, 4).Draw(b.t, "question")), "operator": "exists", "answerBoolean": true}
		}
		return object{"question": fmt.Sprint("l", rapid.IntRange(1, 8).Draw(b.t, "question")), "operator": b.pick("=", "!=", ">", "<", ">=", "<=", "exists"), "answer" + kind: value}
	}))
	if depth > 0 {
		put(it, "item", b.many("items", 3, func() any { return b.formItem(depth - 1) }))
	}
	return it
}

func (b *babbler) responseItem(depth int) any {
	it := object{"linkId": b.linkID()}
	below := func() []any {
		if depth == 0 {
			return nil
		}
		return b.many("items", 3, func() any { return b.responseItem(depth - 1) })
	}
	put(it, "item", below())
	put(it, "answer", b.many("answers", 2, func() any {
		kind, value := b.value()
		a := object{"value" + kind: value}
		put(a, "item", below())
		return a
	}))
	return it
}

// put sets a member that is not empty.
func put(o object, name string, all []any) {
	if len(all) > 0 {
		o[name] = all
	}
}

// TestNonsense holds random responses to random forms: nothing panics, every issue is about
// an element that is there, and what was filled in can be checked again.
func TestNonsense(t *testing.T) {
	t.Parallel()
	compiled := 0
	rapid.Check(t, func(rt *rapid.T) {
		b := &babbler{t: rt}
		src := asForm(b.many("top", 4, func() any { return b.formItem(3) }))
		formResource, err := fhir.Decode("Questionnaire", []byte(src))
		if err != nil {
			return // a value that the type of an element does not allow
		}
		form, _ := questionnaire.Compile(formResource.Root())
		if form == nil {
			return
		}
		compiled++
		b.fresh = -1
		response := asResponse(b.pick("completed", "in-progress"), b.many("top", 5, func() any { return b.responseItem(3) }))
		if got := check(t, form, response); got.Resource != nil {
			check(t, form, string(got.Resource.Source()))
		}
	})
	t.Logf("%d forms could be compiled", compiled)
}
