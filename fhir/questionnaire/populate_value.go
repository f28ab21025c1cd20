package questionnaire

import (
	"strconv"
	"strings"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

const ucumURL = "http://unitsofmeasure.org"

// A formValue is the value of an answer: the JSON property that holds it, "valueCoding",
// and its JSON. The zero formValue is no value.
type formValue struct {
	property string
	json     []byte
}

// answerFor returns a value as an answer to an item of the form. It is not ok when the
// item cannot have that value.
// https://hl7.org/fhir/R4/questionnaireresponse-definitions.html#QuestionnaireResponse.item.answer.value_x_
func answerFor(item fhir.Node, v fhirpath.Item, now time.Time) (formValue, bool) {
	if n, ok := v.Node(); v.IsStub() || ok && n.Type().Kind == spec.KindPrimitive && !n.HasValue() {
		return formValue{}, false
	}
	answer, ok := convert(item, v, now)
	return answer, ok && isAnswer(answer)
}

// isAnswer reports whether a response may have a as an answer: expressions give strings,
// numbers and moments that FHIR has no room for.
func isAnswer(a formValue) bool {
	src := []byte(`{"resourceType":"QuestionnaireResponse","status":"in-progress","item":[{"linkId":"1","answer":[{"` + a.property + `":`)
	_, err := fhir.Decode("QuestionnaireResponse", append(append(src, a.json...), `}]}]}`...))
	return err == nil
}

func convert(item fhir.Node, v fhirpath.Item, now time.Time) (formValue, bool) {
	switch item.Child("type").Text() {
	case "boolean":
		b, ok := v.Bool()
		return formValue{"valueBoolean", strconv.AppendBool(nil, b)}, ok
	case "decimal":
		text, ok := numberOf(item, v)
		return formValue{"valueDecimal", []byte(text)}, ok
	case "integer":
		text, ok := numberOf(item, v)
		whole, fraction, _ := strings.Cut(text, ".")
		return formValue{"valueInteger", []byte(whole)}, ok && strings.Trim(fraction, "0") == ""
	case "date":
		date, _, _ := strings.Cut(v.Text(), "T")
		return formString("valueDate", date), isOneOf(v, "date", "dateTime", "instant", "System.Date", "System.DateTime")
	case "dateTime":
		return formString("valueDateTime", dateTimeOf(v.Text(), now)), isOneOf(v, "date", "dateTime", "instant", "System.Date", "System.DateTime")
	case "time":
		return formString("valueTime", v.Text()), isOneOf(v, "time", "System.Time")
	case "string", "text":
		_, _, _, measured := v.Quantity()
		return formString("valueString", v.Text()), strings.TrimSpace(v.Text()) != "" && !measured
	case "url":
		return formString("valueUri", v.Text()), isText(v)
	case "choice", "open-choice":
		return choice(item, v)
	case "attachment":
		return structure("valueAttachment", v)
	case "reference":
		return referenceTo(v)
	case "quantity":
		return quantityOf(item, v)
	}
	return formValue{}, false
}

func formString(property, text string) formValue {
	return formValue{property, fhir.AppendString(nil, text)}
}

func isOneOf(v fhirpath.Item, types ...string) bool {
	got := v.Type()
	for _, t := range types {
		if got == t {
			return true
		}
	}
	return false
}

// isText reports whether v is a string to FHIRPath.
func isText(v fhirpath.Item) bool {
	if n, ok := v.Node(); ok {
		switch n.Type().Primitive {
		case spec.String, spec.Markdown, spec.Code, spec.ID, spec.URI, spec.URL, spec.Canonical, spec.OID, spec.UUID:
			return true
		}
		return false
	}
	return v.Type() == "System.String"
}

// numberOf returns the digits of a number, or of a quantity in the unit of the item.
func numberOf(item fhir.Node, v fhirpath.Item) (string, bool) {
	if isOneOf(v, "decimal", "integer", "positiveInt", "unsignedInt", "System.Integer", "System.Decimal") {
		return v.Text(), v.Text() != ""
	}
	value, unit, calendar, ok := v.Quantity()
	want := item.Extension(unitURL).Child("value").Child("code").Text()
	return value, ok && !calendar && unit == want
}

// dateTimeOf completes what FHIRPath takes for a dateTime: one with a time has a zone
// and seconds in FHIR.
func dateTimeOf(text string, now time.Time) string {
	date, clock, timed := strings.Cut(text, "T")
	if !timed || len(clock) < len("15:04") {
		return date
	}
	i := strings.IndexAny(clock, "Z+-")
	zone := now.Format("Z07:00")
	if i >= 0 {
		clock, zone = clock[:i], clock[i:]
	}
	if len(clock) == len("15:04") {
		clock += ":00"
	}
	return date + "T" + clock + zone
}

// structure returns a Coding, Quantity or Attachment as an answer.
func structure(property string, v fhirpath.Item) (formValue, bool) {
	n, ok := v.Node()
	if !ok || !n.Type().Is(strings.TrimPrefix(property, "value")) {
		return formValue{}, false
	}
	src := appendPlain(nil, n)
	return formValue{property, src}, len(src) > len(`{}`)
}

// appendPlain appends the JSON of n without ids and extensions.
func appendPlain(dst []byte, n fhir.Node) []byte {
	if n.Type().Kind == spec.KindPrimitive {
		return append(dst, n.Raw()...)
	}
	dst = append(dst, '{')
	open, first := "", true
	for c := range n.Children() {
		if c.Name() == "id" || c.Name() == "extension" || c.Type().Kind == spec.KindPrimitive && !c.HasValue() {
			continue
		}
		if open != "" && open != c.Property() {
			dst, open = append(dst, ']'), ""
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if c.Index() < 0 || open == "" {
			dst = append(fhir.AppendString(dst, c.Property()), ':')
		}
		if c.Index() >= 0 && open == "" {
			dst, open = append(dst, '['), c.Property()
		}
		dst = appendPlain(dst, c)
	}
	if open != "" {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// referenceTo returns a reference, a resource, or the address of one as an answer.
func referenceTo(v fhirpath.Item) (formValue, bool) {
	text := v.Text()
	if n, ok := v.Node(); ok {
		switch {
		case n.Type().Kind == spec.KindResource && n.Child("id").Text() != "" && n.Parent().IsZero():
			text = fhir.Key{Type: n.Type().Name, ID: n.Child("id").Text()}.String()
		case n.Type().Kind == spec.KindResource && n.Child("id").Text() != "" && n.Name() == "resource":
			text = fhir.Key{Type: n.Type().Name, ID: n.Child("id").Text()}.String()
		case n.Type().Name == "Reference":
			// A reference into the resource it comes from means nothing in the response.
			answer, ok := structure("valueReference", v)
			return answer, ok && !strings.HasPrefix(n.Child("reference").Text(), "#")
		}
	}
	r, ok := fhir.ParseReference(text)
	if !ok || r.Key.ID == "" {
		return formValue{}, false
	}
	return formValue{"valueReference", append(fhir.AppendString([]byte(`{"reference":`), text), '}')}, true
}

// quantityOf returns a quantity, or a number in the unit of the item, as an answer.
func quantityOf(item fhir.Node, v fhirpath.Item) (formValue, bool) {
	if answer, ok := structure("valueQuantity", v); ok {
		return answer, true
	}
	if isOneOf(v, "decimal", "integer", "positiveInt", "unsignedInt", "System.Integer", "System.Decimal") {
		return formValue{"valueQuantity", measured(v.Text(), item.Extension(unitURL).Child("value"))}, true
	}
	value, unit, calendar, ok := v.Quantity()
	if _, isNode := v.Node(); !ok || isNode {
		return formValue{}, false
	}
	dst := append([]byte(`{"value":`+value+`,"unit":`), fhir.AppendString(nil, unit)...)
	if !calendar {
		dst = append(dst, `,"system":"`+ucumURL+`","code":`...)
		dst = fhir.AppendString(dst, unit)
	}
	return formValue{"valueQuantity", append(dst, '}')}, true
}

// measured returns a Quantity as JSON; unit is the Coding of its unit, which may be zero.
func measured(value string, unit fhir.Node) []byte {
	dst := append([]byte(`{"value":`), value...)
	name := unit.Child("display")
	if !name.HasValue() {
		name = unit.Child("code")
	}
	for _, part := range []struct {
		property string
		text     fhir.Node
	}{{"unit", name}, {"system", unit.Child("system")}, {"code", unit.Child("code")}} {
		if part.text.HasValue() {
			dst = append(dst, `,"`+part.property+`":`...)
			dst = append(dst, part.text.Raw()...)
		}
	}
	return append(dst, '}')
}
