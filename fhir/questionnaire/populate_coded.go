package questionnaire

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// choice returns a value as an answer to an item with options: one of them if the form
// lists them, anything coded if it does not, whatever value set it names. An open-choice
// takes any text, too, such as that of a concept which is none of the options.
func choice(item fhir.Node, v fhirpath.Item) (formValue, bool) {
	open := item.Child("type").Text() == "open-choice"
	listed := !item.Child("answerOption").IsZero()
	if option, ok := optionFor(item, v); ok {
		return formOf(option)
	}
	if c, ok := codingOf(v); ok && !listed {
		return c, true
	}
	text := wordsOf(v)
	return formString("valueString", text), open && strings.TrimSpace(text) != ""
}

// wordsOf returns a string, or what people call a coded value; else "".
func wordsOf(v fhirpath.Item) string {
	n, ok := v.Node()
	switch {
	case ok && n.Type().Name == "Coding":
		return n.Child("display").Text()
	case ok && n.Type().Name == "CodeableConcept" && n.Child("text").HasValue():
		return n.Child("text").Text()
	case ok && n.Type().Name == "CodeableConcept":
		return n.Child("coding").Child("display").Text()
	case isText(v):
		return v.Text()
	}
	return ""
}

// formOf returns the value of an option.
func formOf(option fhir.Node) (formValue, bool) {
	switch option.Type().Name {
	case "Coding", "Reference":
		return structure(option.Property(), fhirpath.NodeItem(option))
	}
	return formValue{option.Property(), option.Raw()}, option.HasValue()
}

// optionFor returns the value of the first option of an item that v is.
func optionFor(item fhir.Node, v fhirpath.Item) (fhir.Node, bool) {
	for o := range item.Each("answerOption") {
		if value := o.Child("value"); !value.IsZero() && isOption(value, v) {
			return value, true
		}
	}
	return fhir.Node{}, false
}

func isOption(option fhir.Node, v fhirpath.Item) bool {
	n, isNode := v.Node()
	coded := isNode && (n.Type().Name == "Coding" || n.Type().Name == "CodeableConcept")
	switch option.Type().Name {
	case "Coding":
		if coded {
			return hasCode(n, option)
		}
		return isText(v) && v.Text() != "" && (v.Text() == option.Child("code").Text() || v.Text() == option.Child("display").Text())
	case "Reference":
		r, ok := referenceTo(v)
		want, _ := referenceTo(fhirpath.NodeItem(option))
		return ok && string(r.json) == string(want.json)
	case "string", "integer", "date", "time":
		return !coded && option.HasValue() && v.Text() == option.Text()
	}
	return false
}

// hasCode reports whether n, a Coding or CodeableConcept, has the code of an option.
func hasCode(n, option fhir.Node) bool {
	if n.Type().Name == "CodeableConcept" {
		for c := range n.Each("coding") {
			if hasCode(c, option) {
				return true
			}
		}
		return false
	}
	return n.Child("code").HasValue() && n.Child("code").Text() == option.Child("code").Text() &&
		n.Child("system").Text() == option.Child("system").Text()
}

// codingOf returns a Coding, the first one of a CodeableConcept, or a code of a system
// that R4 fixes, as an answer.
func codingOf(v fhirpath.Item) (formValue, bool) {
	n, ok := v.Node()
	if !ok {
		return formValue{}, false
	}
	switch n.Type().Name {
	case "Coding":
		return structure("valueCoding", v)
	case "CodeableConcept":
		return structureOf("valueCoding", n.Child("coding"))
	case "code":
		system := systemOf(n)
		if system == "" {
			return formValue{}, false
		}
		dst := fhir.AppendString([]byte(`{"system":`), system)
		dst = append(append(dst, `,"code":`...), n.Raw()...)
		return formValue{"valueCoding", append(dst, '}')}, true
	}
	return formValue{}, false
}

// structureOf is structure of a node that may be zero.
func structureOf(property string, n fhir.Node) (formValue, bool) {
	if n.IsZero() {
		return formValue{}, false
	}
	return structure(property, fhirpath.NodeItem(n))
}

// systemOf returns the system of a code by the value set that its element is bound to,
// or "".
func systemOf(n fhir.Node) string {
	e := n.Element()
	if e == nil || e.Binding == nil || e.Binding.Strength != spec.Required || e.Binding.Set == nil {
		return ""
	}
	for _, c := range e.Binding.Set.Codes {
		if c.Code == n.Text() {
			return c.System
		}
	}
	return ""
}
