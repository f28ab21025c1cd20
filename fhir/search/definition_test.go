package search

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

const goodDefinition = `{"resourceType":"SearchParameter","url":"http://a/nick","name":"nick","status":"active","description":"d","code":"nick",
	"base":["Patient","Practitioner"],"type":"string","expression":"Patient.name.where(use='nickname').given | Practitioner.name.where(use='nickname').given"}`

func TestDefinition(t *testing.T) {
	t.Parallel()
	def := Definition(decoded(t, goodDefinition).Root())
	if def.URL != "http://a/nick" || def.Code != "nick" || def.Type != "string" || !slices.Equal(def.Base, []string{"Patient", "Practitioner"}) || def.Expression == "" {
		t.Errorf("got %+v", def)
	}
	if err := testRegistry(t).CompileDefinition(def); err != nil {
		t.Error(err)
	}
	def = Definition(decoded(t, `{"resourceType":"SearchParameter","url":"http://a/c","name":"c","status":"active","description":"d","code":"c","base":["Observation"],
		"type":"composite","expression":"Observation.component","target":["Patient"],"component":[{"definition":"http://hl7.org/fhir/SearchParameter/clinical-code","expression":"code"},
		{"definition":"http://hl7.org/fhir/SearchParameter/Observation-value-quantity","expression":"value.as(Quantity)"}]}`).Root())
	if len(def.Components) != 2 || def.Components[1].Expression != "value.as(Quantity)" || !slices.Equal(def.Targets, []string{"Patient"}) {
		t.Errorf("got %+v", def)
	}
	if err := testRegistry(t).CompileDefinition(def); err != nil {
		t.Error(err)
	}
}

// TestCompileDefinition changes a good definition in one way each.
func TestCompileDefinition(t *testing.T) {
	t.Parallel()
	composite := func(d *spec.SearchParameter, expression string, c ...spec.Component) {
		d.Type, d.Base, d.Expression, d.Components = "composite", []string{"Observation"}, expression, c
	}
	code := spec.Component{Definition: "http://hl7.org/fhir/SearchParameter/clinical-code", Expression: "code"}
	for name, c := range map[string]struct {
		change func(*spec.SearchParameter)
		want   []string
	}{
		"good":     {func(*spec.SearchParameter) {}, nil},
		"FHIRPath": {func(d *spec.SearchParameter) { d.Expression = "name.given.where($this.length() > 3)" }, nil},
		"every type": {func(d *spec.SearchParameter) {
			d.Base, d.Expression, d.Type = []string{"Resource"}, "Resource.language", "token"
		}, nil},
		"no URL":          {func(d *spec.SearchParameter) { d.URL = "" }, []string{"SearchParameter.url"}},
		"URL of R4":       {func(d *spec.SearchParameter) { d.URL = "http://hl7.org/fhir/SearchParameter/individual-family" }, []string{"SearchParameter.url"}},
		"no code":         {func(d *spec.SearchParameter) { d.Code = "" }, []string{"SearchParameter.code"}},
		"reserved code":   {func(d *spec.SearchParameter) { d.Code = "_nick" }, []string{"SearchParameter.code"}},
		"chained code":    {func(d *spec.SearchParameter) { d.Code = "a.b" }, []string{"SearchParameter.code"}},
		"taken code":      {func(d *spec.SearchParameter) { d.Code = "family" }, []string{"SearchParameter.code", "SearchParameter.code"}},
		"code of all":     {func(d *spec.SearchParameter) { d.Code, d.Base = "url", []string{"DomainResource"} }, []string{"SearchParameter.code"}},
		"no base":         {func(d *spec.SearchParameter) { d.Base = nil }, []string{"SearchParameter.base"}},
		"unknown base":    {func(d *spec.SearchParameter) { d.Base[1] = "HumanName" }, []string{"SearchParameter.base[1]"}},
		"no type":         {func(d *spec.SearchParameter) { d.Type = "" }, []string{"SearchParameter.type"}},
		"special":         {func(d *spec.SearchParameter) { d.Type = "special" }, []string{"SearchParameter.type"}},
		"no expression":   {func(d *spec.SearchParameter) { d.Expression = "" }, []string{"SearchParameter.expression"}},
		"long expression": {func(d *spec.SearchParameter) { d.Expression = string(make([]byte, maxExpression+1)) }, []string{"SearchParameter.expression"}},
		"broken":          {func(d *spec.SearchParameter) { d.Expression = "Patient.name.where(" }, []string{"SearchParameter.expression", "SearchParameter.expression"}},
		"other type":      {func(d *spec.SearchParameter) { d.Expression = "Patient.name" }, []string{"SearchParameter.expression"}},
		"no element":      {func(d *spec.SearchParameter) { d.Expression = "name.nick" }, []string{"SearchParameter.expression", "SearchParameter.expression"}},
		"wrong type":      {func(d *spec.SearchParameter) { d.Type = "quantity" }, []string{"SearchParameter.expression", "SearchParameter.expression"}},
		"target":          {func(d *spec.SearchParameter) { d.Targets = []string{"Patient", "Nobody"} }, []string{"SearchParameter.target[1]"}},
		"several": {func(d *spec.SearchParameter) { d.URL, d.Type, d.Base = "", "x", nil },
			[]string{"SearchParameter.url", "SearchParameter.type", "SearchParameter.base"}},
		"one component": {func(d *spec.SearchParameter) { composite(d, "Observation", code) }, []string{"SearchParameter.component"}},
		"unknown component": {func(d *spec.SearchParameter) {
			composite(d, "Observation", code, spec.Component{Definition: "http://x", Expression: "value"})
		},
			[]string{"SearchParameter.component[1].definition"}},
		"nested component": {func(d *spec.SearchParameter) {
			composite(d, "Observation", spec.Component{Definition: "http://hl7.org/fhir/SearchParameter/Observation-code-value-date", Expression: ""}, code)
		}, []string{"SearchParameter.component[0].definition", "SearchParameter.component[0].expression"}},
		"component without element": {func(d *spec.SearchParameter) {
			composite(d, "Observation", code, spec.Component{Definition: code.Definition, Expression: "cod"})
		}, []string{"SearchParameter.expression"}},
		"component of another type": {func(d *spec.SearchParameter) {
			composite(d, "Observation", code, spec.Component{Definition: code.Definition, Expression: "effective"})
		}, []string{"SearchParameter.expression"}},
	} {
		def := Definition(decoded(t, goodDefinition).Root())
		c.change(def)
		err := testRegistry(t).CompileDefinition(def)
		o := fhir.AsOutcome(err)
		if (err == nil) != (c.want == nil) || err != nil && (o == nil || o.Class != fhir.Unprocessable) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		var got []string
		if o != nil {
			for _, is := range o.Issues {
				got = append(got, is.Expression)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestCompileDefinitionBeside: a custom parameter may take its own place, not
// that of another.
func TestCompileDefinitionBeside(t *testing.T) {
	t.Parallel()
	def := Definition(decoded(t, goodDefinition).Root())
	r, err := NewRegistry(spec.R4(), base, 1, []Custom{{Definition: def, Type: "Patient", Position: 50}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CompileDefinition(def); err != nil {
		t.Error(err)
	}
	other := *def
	other.URL = "http://a/other"
	if o := fhir.AsOutcome(r.CompileDefinition(&other)); o == nil || o.Issues[0].Code != fhir.Duplicate {
		t.Errorf("got %v", o)
	}
}

// TestCompileDefinitionMany: there is an end to what each write has to look at.
func TestCompileDefinitionMany(t *testing.T) {
	t.Parallel()
	def := func(n int) *spec.SearchParameter {
		name := fmt.Sprintf("extra-%d", n)
		return &spec.SearchParameter{URL: "http://a/" + name, Code: name, Type: "string", Base: []string{"Patient"}, Expression: "Patient.name.given"}
	}
	var custom []Custom
	for n := range maxCustom {
		custom = append(custom, Custom{Definition: def(n), Type: "Patient", Position: 40 + n})
	}
	r, err := NewRegistry(spec.R4(), base, 2, custom)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CompileDefinition(def(3)); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	o := fhir.AsOutcome(r.CompileDefinition(def(maxCustom)))
	if o == nil || o.Issues[0].Code != fhir.TooCostly || o.Issues[0].Expression != "SearchParameter.base" {
		t.Errorf("one more: %v", o)
	}
}
