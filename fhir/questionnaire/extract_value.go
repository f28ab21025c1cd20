package questionnaire

import (
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A given is a value that is put into a resource: its type in FHIR, its JSON, and the
// node that it is if it was not computed.
type given struct {
	typ  string
	raw  []byte
	node fhir.Node
}

func givenNode(n fhir.Node) given { return given{n.Type().Name, appendPlain(nil, n), n} }

// givenItem returns what an expression gave; a type of its own if FHIR has no JSON for it.
func givenItem(i fhirpath.Item) given {
	if n, ok := i.Node(); ok {
		return givenNode(n)
	}
	switch i.Type() {
	case "System.Boolean", "System.Integer", "System.Decimal":
		return given{typ: strings.ToLower(strings.TrimPrefix(i.Type(), "System.")), raw: []byte(i.Text())}
	case "System.String", "System.Date", "System.Time":
		return given{typ: strings.ToLower(strings.TrimPrefix(i.Type(), "System.")), raw: fhir.AppendString(nil, i.Text())}
	case "System.DateTime":
		return given{typ: "dateTime", raw: fhir.AppendString(nil, i.Text())}
	}
	return given{typ: i.Type()}
}

// leafTypes returns the element that a path ends at and the types that a value may have
// there; nil when there is none.
func leafTypes(t *spec.Type, s step) (*spec.Element, []spec.TypeRef) {
	name, choice := strings.CutSuffix(s.name, "[x]")
	if p := t.Property([]byte(s.slice)); choice && p != nil && p.Element.Name == name {
		return p.Element, []spec.TypeRef{{Type: p.Type}}
	}
	if el := t.Element(name); el != nil {
		return el, el.Types
	}
	p := t.Property([]byte(name))
	if p == nil || p.Companion {
		return nil, nil
	}
	return p.Element, []spec.TypeRef{{Type: p.Type}}
}

// suitable returns the types that a value of a type can be put into, the best first.
func suitable(typ string) []string {
	switch typ {
	case "integer", "positiveInt", "unsignedInt":
		return []string{"integer", "positiveInt", "unsignedInt", "decimal", "Quantity"}
	case "decimal":
		return []string{"decimal", "Quantity"}
	case "date":
		return []string{"date", "dateTime"}
	case "dateTime", "instant":
		return []string{"dateTime", "instant", "date"}
	case "string", "markdown":
		return []string{"string", "markdown", "code", "id", "uri", "url", "canonical", "CodeableConcept", "Annotation"}
	case "uri", "url", "canonical", "oid", "uuid":
		return []string{"uri", "url", "canonical", "oid", "uuid", "string"}
	case "code":
		return []string{"code", "string"}
	case "Coding":
		return []string{"Coding", "CodeableConcept", "code", "string"}
	case "Quantity", "Age", "Duration", "Count", "Distance":
		return []string{typ, "Quantity", "Age", "Duration", "Count", "Distance", "decimal"}
	}
	return []string{typ}
}

// convertTo returns a value as the best one of the types that an element may have.
func convertTo(types []spec.TypeRef, v given, item fhir.Node) (typ string, raw []byte, ok bool) {
	for _, typ := range suitable(v.typ) {
		if !slices.ContainsFunc(types, func(t spec.TypeRef) bool { return t.Type.Name == typ }) {
			continue
		}
		if raw := v.as(typ, item); len(raw) > 0 {
			return typ, raw, true
		}
	}
	return "", nil, false
}

// as returns v as JSON of one of the types that suit it; nil when it has no such value.
func (v given) as(typ string, item fhir.Node) []byte {
	switch {
	case v.typ == typ:
		return v.raw
	case v.typ == "Coding" && typ == "CodeableConcept":
		return append(append([]byte(`{"coding":[`), v.raw...), `]}`...)
	case v.typ == "Coding" && typ == "code":
		return v.node.Child("code").Raw()
	case v.typ == "Coding" && typ == "string":
		if d := v.node.Child("display"); d.HasValue() {
			return d.Raw()
		}
		return v.node.Child("code").Raw()
	case typ == "CodeableConcept" || typ == "Annotation":
		return append(append([]byte(`{"text":`), v.raw...), '}')
	case typ == "Quantity" && v.raw[0] != '{':
		return measured(string(v.raw), item.Extension(unitURL).Child("value"))
	case typ == "decimal" && v.raw[0] == '{':
		return v.node.Child("value").Raw()
	case typ == "date":
		date, _, _ := strings.Cut(strings.Trim(string(v.raw), `"`), "T")
		return fhir.AppendString(nil, date)
	}
	return v.raw
}
