package questionnaire_test

import "strings"

// A fault is what can be wrong with a response: items of a form, what answers them, what
// does not, and what is said about that.
type fault struct {
	name                string
	form, valid, broken []any
	want                string // "code detail linkId"
	lenient             bool   // drafts may have it
}

// one returns a fault in the answer to a question, called "name: code detail".
func one(called string, form object, valid, broken []any) fault {
	name, want, _ := strings.Cut(called, ": ")
	form["linkId"] = "site"
	return fault{name: name, form: []any{form}, valid: answered("site", valid), broken: answered("site", broken), want: want + " site"}
}

func answered(linkID string, answers []any) []any {
	if len(answers) == 0 {
		return nil
	}
	return []any{object{"linkId": linkID, "answer": answers}}
}

func values(property string, all ...any) []any {
	var answers []any
	for _, v := range all {
		answers = append(answers, object{property: v})
	}
	return answers
}

func coding(code string) object { return object{"system": "http://a.example", "code": code} }

func quantity(value float64, unit string) object {
	return object{"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
}

func faults() []fault {
	return append(append(answerFaults(), valueFaults()...), itemFaults()...)
}

// answerFaults are those of the number of answers, and of choices.
func answerFaults() []fault {
	options := func() []any {
		return []any{object{"valueCoding": coding("x")}, object{"valueCoding": coding("y")},
			object{"valueCoding": coding("none"), "extension": []any{extend(core+"questionnaire-optionExclusive", "valueBoolean", true)}}}
	}
	text := func(all ...any) []any { return values("valueString", all...) }
	required := one("required: required item-required", object{"type": "string", "required": true}, text("a"), nil)
	required.lenient = true
	few := one("few: required too-few-answers", object{"type": "string", "repeats": true,
		"extension": []any{extend(core+"questionnaire-minOccurs", "valueInteger", 2)}}, text("a", "b"), text("a"))
	few.lenient = true
	return []fault{
		required, few,
		one("many: structure too-many-answers", object{"type": "string"}, text("a"), text("a", "b")),
		one("more: structure too-many-answers", object{"type": "string", "repeats": true,
			"extension": []any{extend(core+"questionnaire-maxOccurs", "valueInteger", 2)}}, text("a", "b"), text("a", "b", "c")),
		one("type: value wrong-answer-type", object{"type": "integer"}, values("valueInteger", 1), text("1")),
		one("option: code-invalid not-an-answer-option", object{"type": "choice", "answerOption": options()},
			values("valueCoding", coding("x")), values("valueCoding", coding("z"))),
		one("open option: code-invalid not-an-answer-option", object{"type": "open-choice", "answerOption": options()},
			text("free"), values("valueCoding", coding("z"))),
		one("integer option: code-invalid not-an-answer-option", object{"type": "choice",
			"answerOption": []any{object{"valueInteger": 1}, object{"valueInteger": 2}}}, values("valueInteger", 2), values("valueInteger", 3)),
		one("exclusive: business-rule exclusive-option", object{"type": "choice", "repeats": true, "answerOption": options()},
			values("valueCoding", coding("x"), coding("y")), values("valueCoding", coding("x"), coding("none"))),
		one("value set: code-invalid not-in-value-set", object{"type": "choice", "answerValueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"},
			values("valueCoding", object{"system": "http://hl7.org/fhir/administrative-gender", "code": "other"}),
			values("valueCoding", object{"system": "http://hl7.org/fhir/administrative-gender", "code": "any"})),
	}
}

// valueFaults are those of single values.
func valueFaults() []fault {
	jpeg := func(size int, typ string) object { return object{"contentType": typ, "url": "Binary/1", "size": size} }
	return []fault{
		one("long: too-long answer-too-long", object{"type": "text", "maxLength": 3}, values("valueString", "äöü"), values("valueString", "aeou")),
		one("short: value answer-too-short", object{"type": "string", "extension": []any{extend(core+"minLength", "valueInteger", 3)}},
			values("valueString", "äöü"), values("valueString", "ä")),
		one("pattern: value pattern-mismatch", object{"type": "string", "extension": []any{extend(core+"regex", "valueString", `[0-9]{3}|\u0041+`)}},
			values("valueString", "AAAA"), values("valueString", "1234")),
		one("maximum: value out-of-range", object{"type": "integer", "extension": []any{extend(core+"maxValue", "valueInteger", 10)}},
			values("valueInteger", 10), values("valueInteger", 11)),
		one("minimum: value out-of-range", object{"type": "decimal", "extension": []any{extend(core+"minValue", "valueDecimal", 0.5)}},
			values("valueDecimal", 0.50), values("valueDecimal", 0.49)),
		one("date: value out-of-range", object{"type": "date", "extension": []any{extend(core+"maxValue", "valueDate", "2025-11-20")}},
			values("valueDate", "2025-11"), values("valueDate", "2025-12")),
		one("moment: value out-of-range", object{"type": "dateTime", "extension": []any{extend(core+"minValue", "valueDateTime", "2025-11-20T10:00:00Z")}},
			values("valueDateTime", "2025-11-20T11:00:00+01:00"), values("valueDateTime", "2025-11-20T10:59:59+01:00")),
		one("clock: value out-of-range", object{"type": "time", "extension": []any{extend(core+"maxValue", "valueTime", "18:30:00")}},
			values("valueTime", "18:30:00"), values("valueTime", "18:30:01")),
		one("quantity: value out-of-range", object{"type": "quantity", "extension": []any{extend(structured+"maxQuantity", "valueQuantity", quantity(2, "kg"))}},
			values("valueQuantity", quantity(2000, "g")), values("valueQuantity", quantity(2001, "g"))),
		one("dimension: code-invalid unit-not-allowed", object{"type": "quantity", "extension": []any{extend(structured+"minQuantity", "valueQuantity", quantity(2, "kg"))}},
			values("valueQuantity", quantity(2000, "g")), values("valueQuantity", quantity(3, "m"))),
		one("decimals: value too-many-decimal-places", object{"type": "decimal", "extension": []any{extend(core+"maxDecimalPlaces", "valueInteger", 1)}},
			values("valueDecimal", 1.5), values("valueDecimal", 1.55)),
		one("unit: code-invalid unit-not-allowed", object{"type": "quantity",
			"extension": []any{extend(core+"questionnaire-unitOption", "valueCoding", object{"system": "http://unitsofmeasure.org", "code": "mg"})}},
			values("valueQuantity", quantity(1, "mg")), values("valueQuantity", quantity(1, "g"))),
		one("reference: value reference-type", object{"type": "reference", "extension": []any{extend(core+"questionnaire-referenceResource", "valueCode", "Patient")}},
			values("valueReference", object{"reference": "Patient/1"}), values("valueReference", object{"reference": "Group/1"})),
		one("media type: not-supported attachment-type", object{"type": "attachment", "extension": []any{extend(core+"mimeType", "valueCode", "image/*")}},
			values("valueAttachment", jpeg(1, "image/png")), values("valueAttachment", jpeg(1, "text/html"))),
		one("size: too-long attachment-too-large", object{"type": "attachment", "extension": []any{extend(core+"maxSize", "valueDecimal", 0.5)}},
			values("valueAttachment", jpeg(500_000, "image/png")), values("valueAttachment", jpeg(500_001, "image/png"))),
		one("data: too-long attachment-too-large", object{"type": "attachment", "extension": []any{extend(core+"maxSize", "valueDecimal", 0.001)}},
			values("valueAttachment", object{"data": strings.Repeat("AAAA", 333) + "AA=="}), values("valueAttachment", object{"data": strings.Repeat("AAAA", 334)})),
		one("stated size: value attachment-size", object{"type": "attachment"},
			values("valueAttachment", object{"data": "QUI=", "size": 2}), values("valueAttachment", object{"data": "QUI=", "size": 3})),
	}
}

// itemFaults are those of items among each other.
func itemFaults() []fault {
	gate := object{"linkId": "gate", "type": "boolean"}
	open := answered("gate", values("valueBoolean", true))
	shut := answered("gate", values("valueBoolean", false))
	site := answered("site", values("valueString", "a"))
	when := []any{object{"question": "gate", "operator": "=", "answerBoolean": true}}
	text := object{"linkId": "site", "type": "string"}
	sum := object{"linkId": "site", "type": "integer", "extension": []any{extend(structured+"calculatedExpression", "valueExpression",
		object{"language": "text/fhirpath", "expression": "%resource.descendants().where(linkId='addend').answer.value.sum()"})}}
	addend := object{"linkId": "addend", "type": "integer", "repeats": true}
	addends := answered("addend", values("valueInteger", 2, 3))
	rule := object{"url": core + "questionnaire-constraint", "extension": []any{extend("key", "valueId", "site-rule"), extend("severity", "valueCode", "error"),
		extend("human", "valueString", "Say yes"), extend("expression", "valueString", "answer.value = 'yes'")}}
	return []fault{
		{name: "disabled", form: []any{gate, object{"linkId": "site", "type": "string", "enableWhen": when}},
			valid: join(open, site), broken: join(shut, site), want: "business-rule item-not-enabled site"},
		{name: "disabled group", form: []any{gate, object{"linkId": "site", "type": "group", "enableWhen": when, "item": []any{object{"linkId": "in", "type": "string", "required": true}}}},
			valid:  join(open, []any{asItem("site", answered("in", values("valueString", "a")))}),
			broken: join(shut, []any{asItem("site", answered("in", values("valueString", "a")))}), want: "business-rule item-not-enabled site"},
		{name: "disabled by the disabled", form: []any{gate, object{"linkId": "middle", "type": "boolean", "enableWhen": when},
			object{"linkId": "site", "type": "string", "required": true, "enableWhen": []any{object{"question": "middle", "operator": "exists", "answerBoolean": false}}}},
			valid: join(shut, site), broken: shut, want: "required item-required site", lenient: true},
		{name: "unknown", form: []any{text}, valid: site, broken: join(site, answered("stranger", values("valueString", "a"))), want: "structure unknown-link-id stranger"},
		{name: "parent", form: []any{object{"linkId": "group", "type": "group", "item": []any{text}}},
			valid: []any{asItem("group", site)}, broken: join([]any{asItem("group", nil)}, site), want: "structure wrong-parent site"},
		{name: "nesting", form: []any{object{"linkId": "gate", "type": "boolean", "item": []any{text}}},
			valid:  []any{object{"linkId": "gate", "answer": []any{object{"valueBoolean": true, "item": site}}}},
			broken: []any{asItem("gate", site)}, want: "structure wrong-parent site"},
		{name: "repeated", form: []any{text}, valid: site, broken: join(site, site), want: "structure item-repeated site"},
		{name: "repeated group", form: []any{object{"linkId": "site", "type": "group", "item": []any{gate}}},
			valid: []any{asItem("site", open)}, broken: []any{asItem("site", open), asItem("site", shut)}, want: "structure item-repeated site"},
		{name: "order", form: []any{gate, text}, valid: join(open, site), broken: join(site, open), want: "warning structure item-order gate"},
		{name: "display", form: []any{object{"linkId": "site", "type": "display"}}, valid: []any{asItem("site", nil)}, broken: site, want: "structure display-answered site"},
		{name: "group", form: []any{object{"linkId": "site", "type": "group"}}, valid: []any{asItem("site", nil)}, broken: site, want: "structure group-answered site"},
		{name: "constraint", form: []any{object{"linkId": "site", "type": "string", "extension": []any{rule}}},
			valid: answered("site", values("valueString", "yes")), broken: site, want: "invariant site-rule site", lenient: true},
		{name: "calculated", form: []any{addend, sum}, valid: join(addends, answered("site", values("valueInteger", 5))),
			broken: join(addends, answered("site", values("valueInteger", 6))), want: "invariant calculated-mismatch site"},
		{name: "calculated, left out", form: []any{sum, addend, object{"linkId": "high", "type": "string", "required": true,
			"enableWhen": []any{object{"question": "site", "operator": ">", "answerInteger": 4}}}},
			valid: join(addends, answered("high", values("valueString", "a"))), broken: addends, want: "required item-required high", lenient: true},
		{name: "required group", form: []any{object{"linkId": "site", "type": "group", "required": true, "item": []any{gate}}},
			valid: []any{asItem("site", open)}, broken: nil, want: "required item-required site", lenient: true},
		{name: "skipped group", form: []any{object{"linkId": "group", "type": "group", "item": []any{object{"linkId": "site", "type": "string", "required": true}}}},
			valid: []any{asItem("group", site)}, broken: nil, want: "required item-required site", lenient: true},
		{name: "modifier", form: []any{text}, valid: site, broken: []any{object{"linkId": "site", "answer": values("valueString", "a"),
			"modifierExtension": []any{extend("http://a.example/not", "valueBoolean", true)}}}, want: "extension modifier-extension site"},
	}
}

func join(all ...[]any) []any {
	var joined []any
	for _, one := range all {
		joined = append(joined, one...)
	}
	return joined
}
