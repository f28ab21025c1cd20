package api

import (
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A parameterList is the Parameters that an operation answers with, as JSON without its end.
type parameterList []byte

func newParameters() parameterList {
	return parameterList(`{"resourceType":"Parameters","parameter":[`)
}

// begin begins a parameter with its name.
func (a parameterList) begin(name string) parameterList {
	if a[len(a)-1] != '[' {
		a = append(a, ',')
	}
	return fhir.AppendString(append(a, `{"name":`...), name)
}

// value adds a parameter with a value that is written as a JSON string, unless it is
// empty.
func (a parameterList) value(name, property, value string) parameterList {
	if value == "" {
		return a
	}
	a = append(append(append(a.begin(name), `,"`...), property...), `":`...)
	return append(fhir.AppendString(a, value), '}')
}

func (a parameterList) code(name, value string) parameterList {
	return a.value(name, "valueCode", value)
}
func (a parameterList) text(name, value string) parameterList {
	return a.value(name, "valueString", value)
}
func (a parameterList) uri(name, value string) parameterList { return a.value(name, "valueUri", value) }

// truth adds a parameter that is true or false.
func (a parameterList) truth(name string, value bool) parameterList {
	return append(strconv.AppendBool(append(a.begin(name), `,"valueBoolean":`...), value), '}')
}

// coding adds a parameter that is a Coding, unless it is empty.
func (a parameterList) coding(name string, c terminology.Coding) parameterList {
	if c == (terminology.Coding{}) {
		return a
	}
	a = append(a.begin(name), `,"valueCoding":{`...)
	for _, f := range [][2]string{{"system", c.System}, {"version", c.Version}, {"code", c.Code}, {"display", c.Display}} {
		if f[1] == "" {
			continue
		}
		if a[len(a)-1] != '{' {
			a = append(a, ',')
		}
		a = fhir.AppendString(append(append(append(a, '"'), f[0]...), `":`...), f[1])
	}
	return append(a, `}}`...)
}

// parts adds a parameter that is made of others.
func (a parameterList) parts(name string, add func(parameterList) parameterList) parameterList {
	return append(add(append(a.begin(name), `,"part":[`...)), `]}`...)
}

// json returns the whole of a. Parameters without any have no empty list.
func (a parameterList) json() []byte {
	if a[len(a)-1] == '[' {
		return []byte(`{"resourceType":"Parameters"}`)
	}
	return append(a, `]}`...)
}

// conceptParameters are the answer of $lookup.
func conceptParameters(c *terminology.Concept) []byte {
	a := newParameters().text("name", c.Name).text("version", c.Version).text("display", c.Display).text("definition", c.Definition).uri("system", c.System).code("code", c.Code)
	for _, d := range c.Designations {
		a = a.parts("designation", func(a parameterList) parameterList {
			return a.code("language", d.Language).coding("use", d.Use).text("value", d.Value)
		})
	}
	for _, p := range c.Properties {
		a = a.parts("property", func(a parameterList) parameterList { return a.code("code", p.Code).property(p) })
	}
	return a.json()
}

// property adds what a property says.
func (a parameterList) property(p terminology.Property) parameterList {
	switch p.Kind {
	case "Coding":
		return a.coding("value", p.Coding)
	case "boolean":
		return a.truth("value", p.Value == "true")
	case "integer", "decimal":
		name := map[string]string{"integer": "valueInteger", "decimal": "valueDecimal"}[p.Kind]
		return append(append(append(append(append(a.begin("value"), `,"`...), name...), `":`...), p.Value...), '}')
	case "dateTime":
		return a.value("value", "valueDateTime", p.Value)
	case "code":
		return a.code("value", p.Value)
	}
	return a.text("value", p.Value)
}

// validationParameters are the answer of $validate-code.
func validationParameters(v *terminology.Validation) []byte {
	a := newParameters().truth("result", v.Result).text("message", v.Message).text("display", v.Display)
	return a.code("code", v.Coding.Code).uri("system", v.Coding.System).text("version", v.Coding.Version).json()
}
