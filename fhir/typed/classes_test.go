package typed

import (
	"encoding/json"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A class is a reason for which the two decoders disagree. It applies to an issue
// that only one of them has, by its text and by the value it is about.
type class struct {
	name   string
	text   string // what the text of the issue holds
	except string // what it does not hold
	is     func(v verdict, is fhir.Issue) bool
}

// laxClasses are for what only our decoder refuses.
var laxClasses = []class{
	{name: "repeated-property", text: "given twice"},
	{name: "repeated-property", text: "not an R4 resource type", is: verdict.hasTwoTypes},
	{name: "repeated-property", text: "resourceType is missing", is: verdict.hasTwoTypes},
	{name: "escaped-name", text: "name is no element name", is: verdict.hasEscapedName},
	{name: "escaped-name", text: "resourceType is missing", is: verdict.hasEscapedName},
	{name: "escaped-name", text: "is required here and missing", is: verdict.hasEscapedName},
	{name: "upper-camel", text: "did you mean", is: func(_ verdict, is fhir.Issue) bool { return upperCamel(last(is.Expression)) }},
	{name: "upper-camel", text: "is no variant of", is: func(_ verdict, is fhir.Issue) bool { return upperCamel(is.Text) }},
	{name: "upper-camel", text: "is required here and missing", is: verdict.givenUpperCamel},
	{name: "empty", text: "is empty; give it content"},
	{name: "empty", text: "The array is empty"},
	{name: "empty", text: "never empty"},
	{name: "empty", text: "resourceType is missing", is: func(v verdict, is fhir.Issue) bool {
		return kindOf(v.value(is)) == '{' && len(v.value(is).members) == 0
	}},
	{name: "empty", text: "not base64", is: func(v verdict, is fhir.Issue) bool { return strings.TrimSpace(textOf(v.value(is))) == "" }},
	{name: "null", text: "A null stands only"},
	{name: "null", text: " must be ", is: func(v verdict, is fhir.Issue) bool { return kindOf(v.value(is)) == 'n' }},
	{name: "null", text: "may repeat;", is: func(v verdict, is fhir.Issue) bool {
		return kindOf(v.value(is)) == 'n' || kindOf(v.companion(is)) == 'n'
	}},
	{name: "object-as-value", text: " must be ", except: "a JSON object", is: func(v verdict, is fhir.Issue) bool { return kindOf(v.value(is)) == '{' }},
	{name: "companion-as-value", text: "with the id and extensions of the value", is: func(v verdict, is fhir.Issue) bool { return kindOf(v.companion(is)) != '{' }},
	{name: "companion-of-none", text: "has no id and extensions beside it"},
	{name: "companion-of-none", text: "is required here and missing", is: func(v verdict, is fhir.Issue) bool { return v.companion(is) != nil }},
	{name: "code-spelling", text: "This code is not in", is: verdict.spelledOtherwise},
	{name: "code-whitespace", text: "A code has no"},
	{name: "reference-form", text: "This is no reference"},
	{name: "reference-target", text: "A reference to", is: func(v verdict, is fhir.Issue) bool { return strings.ContainsAny(textOf(v.value(is)), ":?") }},
	{name: "reference-alias", text: "A reference to", is: verdict.besideAlias},
	{name: "reference-alias", text: "There is no such element in Reference", is: referenceAlias},
	{name: "narrative", is: func(_ verdict, is fhir.Issue) bool { return last(is.Expression) == "div" && is.Code == fhir.Value }},
	{name: "uri-whitespace", text: "A URI has no whitespace"},
	{name: "markdown-control", text: "no control characters"},
	{name: "number-size", text: "at most 64 digits"},
	{name: "number-size", text: "at most 3 digits"},
	{name: "year-zero", text: "YYYY", is: func(v verdict, is fhir.Issue) bool { return strings.HasPrefix(textOf(v.value(is)), "0000") }},
	{name: "lone-surrogate", text: "lone surrogate"},
}

// strictClasses are for what only google/fhir refuses.
var strictClasses = []class{
	{name: "uri-syntax", text: "invalid ur"},
	{name: "uri-syntax", text: "invalid canonical"},
	{name: "parameters-resource", text: "unknown field", is: func(_ verdict, is fhir.Issue) bool { return strings.HasPrefix(is.Expression, "Parameters.parameter") }},
	{name: "leap-second", text: "expected ", is: func(v verdict, is fhir.Issue) bool { return strings.Contains(textOf(v.value(is)), ":60") }},
	{name: "exponent-size", text: "invalid JSON", is: verdict.hasHugeNumber},
	{name: "base64-escapes", text: "expected binary data", is: func(v verdict, is fhir.Issue) bool {
		return v.value(is) != nil && strings.Contains(v.value(is).text, `\`)
	}},
	{name: "minus-zero", text: "invalid non-negative integer", is: func(v verdict, is fhir.Issue) bool { return textOf(v.value(is)) == "-0" }},
}

// find returns the name of the first class that applies to is, or "".
func (v verdict) find(classes []class, is fhir.Issue) string {
	for _, c := range classes {
		if strings.Contains(is.Text, c.text) && (c.except == "" || !strings.Contains(is.Text, c.except)) && (c.is == nil || c.is(v, is)) {
			return c.name
		}
	}
	return ""
}

// lax returns the class of an issue that only our decoder sees.
func (v verdict) lax(is fhir.Issue) string {
	if name := v.find(laxClasses, is); name != "" {
		return name
	}
	// We look at the first of two properties with one name, google/fhir at the last.
	for _, other := range v.ours.Issues {
		within := strings.TrimSuffix(other.Expression, ".resourceType")
		if strings.Contains(other.Text, "given twice") && strings.HasPrefix(is.Expression, within) {
			return "repeated-property"
		}
	}
	return ""
}

// strict returns the class of an issue that only google/fhir sees.
func (v verdict) strict(is fhir.Issue) string { return v.find(strictClasses, is) }

func (v verdict) value(is fhir.Issue) *tree { return v.root.at(is.Expression) }

func (v verdict) companion(is fhir.Issue) *tree {
	i := strings.LastIndexByte(is.Expression, '.')
	return v.root.at(is.Expression[:i+1] + "_" + is.Expression[i+1:])
}

// kindOf returns what a value begins with, 0 for none.
func kindOf(v *tree) byte {
	switch {
	case v == nil:
		return 0
	case v.open != 0:
		return v.open
	}
	return v.text[0]
}

// textOf returns the characters of a string, and the JSON of what is none.
func textOf(v *tree) string {
	if v == nil {
		return ""
	}
	s := ""
	if err := json.Unmarshal([]byte(v.text), &s); err != nil {
		return v.text
	}
	return s
}

func last(expression string) string { return expression[strings.LastIndexByte(expression, '.')+1:] }

func upperCamel(name string) bool {
	name = strings.TrimPrefix(name, "_")
	return name != "" && name[0] >= 'A' && name[0] <= 'Z'
}

func (v verdict) hasEscapedName(fhir.Issue) bool {
	return len(v.root.places(func(_ *tree, e entry) bool { return strings.Contains(e.name, `\`) })) > 0
}

func (v verdict) hasTwoTypes(fhir.Issue) bool {
	n := 0
	for _, e := range v.root.members {
		if e.name == "resourceType" {
			n++
		}
	}
	return n > 1
}

func (v verdict) hasHugeNumber(fhir.Issue) bool {
	return len(v.root.places(func(_ *tree, e entry) bool { return e.value.text == "1e999" })) > 0
}

func (v verdict) givenUpperCamel(is fhir.Issue) bool {
	i := strings.LastIndexByte(is.Expression, '.') + 1
	return v.root.at(is.Expression[:i]+upperFirst(is.Expression[i:])) != nil
}

func referenceAlias(_ verdict, is fhir.Issue) bool {
	name := last(is.Expression)
	return name == "uri" || name == "fragment" || strings.HasSuffix(name, "Id")
}

// besideAlias reports whether the reference of is stands beside an alias, which
// google/fhir may take instead.
func (v verdict) besideAlias(is fhir.Issue) bool {
	around := strings.TrimSuffix(is.Expression, "reference")
	for _, other := range v.ours.Issues {
		if strings.HasPrefix(other.Expression, around) && referenceAlias(v, other) {
			return true
		}
	}
	return false
}

// spelledOtherwise reports whether the code of is would be right in lower case
// and with hyphens.
func (v verdict) spelledOtherwise(is fhir.Issue) bool {
	_, url, _ := strings.Cut(is.Text, "This code is not in ")
	url, _, _ = strings.Cut(url, ", which")
	code := textOf(v.value(is))
	for _, set := range spec.R4().ValueSets {
		if set.URL != url && set.URL+"|"+set.Version != url {
			continue
		}
		for _, c := range set.Codes {
			if c.Code != code && alike(c.Code) == alike(code) {
				return true
			}
		}
	}
	return false
}

func alike(code string) string { return strings.ReplaceAll(strings.ToUpper(code), "-", "_") }
