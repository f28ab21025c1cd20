package fhirpath_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/fhirpath"
)

func decode(t testing.TB, src string) fhir.Node {
	t.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return r.Root()
}

// TestMendedInputs runs the official cases whose inputs are no valid R4 on inputs
// that are.
func TestMendedInputs(t *testing.T) {
	t.Parallel()
	const types = `{"resourceType":"Parameters","parameter":[{"name":"string","valueString":"string"},{"name":"integer","valueInteger":1},
		{"name":"uuid","valueUuid":"urn:uuid:79a14950-442c-11ed-b878-0242ac120002"},{"name":"decimal","valueDecimal":1}]}`
	const benefit = `{"resourceType":"ExplanationOfBenefit","status":"active","type":{"text":"a"},"use":"claim","patient":{"display":"a"},
		"created":"2020-01-01","insurer":{"display":"a"},"provider":{"display":"a"},"outcome":"complete",
		"insurance":[{"focal":true,"coverage":{"display":"a"}}],
		"supportingInfo":[{"sequence":1,"category":{"coding":[{"code":"additionalbodysite"}]}},{"sequence":2,"category":{"coding":[{"code":"additionalbodysite"}]}}],
		"item":[{"sequence":1,"productOrService":{"text":"a"},"informationSequence":[2]},{"sequence":2,"productOrService":{"text":"a"},"informationSequence":[1]}]}`
	for _, c := range []struct{ src, expr, want string }{
		{types, `Parameters.parameter[0].value.is(FHIR.string)`, "true"},
		{types, `Parameters.parameter[1].value.is(FHIR.integer)`, "true"},
		{types, `Parameters.parameter[2].value.is(FHIR.uuid)`, "true"},
		{types, `Parameters.parameter[2].value.is(FHIR.uri)`, "true"},
		{types, `Parameters.parameter[3].value.is(FHIR.decimal)`, "true"},
		{benefit, `supportingInfo.where(category.coding.code = 'additionalbodysite').sequence.subsetOf($this.item.informationSequence)`, "true"},
		{`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"1"}],"managingOrganization":{"reference":"#1"}}`, `contained.id`, "1"},
		{`{"resourceType":"Patient","name":[{"given":[null,"James"],"_given":[{"extension":[{"url":"http://a","valueString":"b"}]},null]}]}`,
			`Patient.name.given.select($this.hasValue())`, "false, true"},
	} {
		got, err := evaluate(c.expr, decode(t, c.src), nil)
		if err != nil || joined(got) != c.want {
			t.Errorf("%s gives %q, %v, want %q", c.expr, joined(got), err, c.want)
		}
	}
}

const observation = `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"a"}]},
	"contained":[{"resourceType":"Patient","id":"p","gender":"male","managingOrganization":{"reference":"Organization/7"}},
		{"resourceType":"Organization","id":"n","name":"a"}],
	"subject":{"reference":"#p"},"performer":[{"reference":"Practitioner/1"},{"reference":"http://example.org/Organization/2"},{"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},{"type":"PractitionerRole","display":"x"}],
	"effectiveDateTime":"2020-01-01T10:00:00.5+01:00","_status":{"extension":[{"url":"http://a","valueCode":"b"}]},
	"valueQuantity":{"value":1.50,"unit":"gram","system":"http://unitsofmeasure.org","code":"g"},
	"component":[{"code":{"text":"a"},"valueString":"x\"y"},{"code":{"text":"b"},"valueInteger":7},{"code":{"text":"c"},"valueBoolean":false}]}`

func TestFunctions(t *testing.T) {
	t.Parallel()
	n := decode(t, observation)
	for _, c := range []struct{ expr, want string }{
		{`resolve()`, ``},
		{`subject.resolve().gender`, `male`},
		{`performer.resolve().type().name`, `Practitioner, Organization, PractitionerRole`},
		{`performer.where(resolve() is Practitioner).reference`, `Practitioner/1`},
		{`performer.resolve().ofType(DomainResource).count()`, `3`},
		{`performer.resolve().id`, ``},
		{`contained.managingOrganization.resolve() is Organization`, `true`},
		{`contained.first().select(%resource.id)`, `o`},
		{`status.extension('http://a').value`, `b`},
		{`status.hasExtension('http://a')`, `true`},
		{`status.getValue() is System.String`, `true`},
		{`code.hasValue()`, `false`},
		{`status.memberOf('http://hl7.org/fhir/ValueSet/observation-status')`, `true`},
		{`code.coding.memberOf('http://hl7.org/fhir/ValueSet/observation-status')`, `false`},
		{`code.coding.first().subsumes(code.coding.first())`, `true`},
		{`value`, `1.50 'g'`},
		{`value = 1500 'mg'`, `true`},
		{`value > 1 'kg'`, `false`},
		{`value > 1 'm'`, ``},
		{`value = 1 'm'`, `false`},
		{`value ~ 1.5 'g'`, `true`},
		{`value.value.toString()`, `1.50`},
		{`(value as Quantity).value + 1`, `2.50`},
		{`value + 500 'mg'`, `2000 'mg'`},
		{`1 week + 1 day`, `8 days`},
		{`1 month + 1 year`, `13 months`},
		{`1 'g' + 1 'm'`, ``},
		{`1 month + 1 day`, ``},
		{`value.toQuantity('mg')`, `1500 'mg'`},
		{`effective`, `2020-01-01T10:00:00.5+01:00`},
		{`effective.toDate()`, `2020-01-01`},
		{`effective = @2020-01-01T09:00:00.500Z`, `true`},
		{`effective.as(DateTime)`, `2020-01-01T10:00:00.5+01:00`},
		{`component.value`, `x"y, 7, false`},
		{`component.value.ofType(string) = 'x"y'`, `true`},
		{`component.value.ofType(integer) + 1`, `8`},
		{`component.value.ofType(boolean).not()`, `true`},
		{`component.where(value is string).code.text`, `a`},
		{`component[1].value.type()`, `FHIR.integer`},
		{`component.type().name.distinct()`, `Observation.component`},
		{`component.first() is BackboneElement`, `true`},
		{`component.value.where($this is integer or $this is boolean).count()`, `2`},
		{`component.select($index)`, `0, 1, 2`},
		{`component.repeat(code | value).count()`, `6`},
		{`component.aggregate($total + 1, 0)`, `3`},
		{`component = component`, `true`},
		{`component.first() = component.last()`, `false`},
		{`component.first() ~ component.first()`, `true`},
		{`component.code.text contains 'b'`, `true`},
		{`component.code.text.join('+')`, `a+b+c`},
		{`descendants().where($this is Reference).count()`, `6`},
		{`DomainResource.id`, `o`},
		{`Resource.id`, `o`},
		{`Patient.id`, ``},
		{`conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')`, `true`},
		{`(1 | 2 | 3).sum()`, `6`},
		{`(1 | 2.5 | 3).max()`, `3`},
		{`('b' | 'a').min()`, `a`},
		{`(1 | 2).avg()`, `1.5`},
		{`(1.0 | 1 | 1.00 '1').count()`, `1`},
		{counted(20) + ` | 7.0 | 25`, `0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 25`},
		{`(` + counted(20) + `).combine(@2020-01-01T10:00:00Z | @2020-01-01T11:00:00+01:00).distinct().count()`, `21`},
		{`(` + counted(20) + `).combine(1 'g' | 1000 'mg').distinct().count()`, `21`},
		{`now() = now() and today() = now().toDate() and timeOfDay() = timeOfDay()`, `true`},
		{`now()`, `2026-01-02T03:04:05.006Z`},
		{`timeOfDay()`, `03:04:05.006`},
		{`@T23:30 + 1 hour`, `00:30`},
		{`@2020-01-31 + 1 month`, `2020-02-29`},
		{`@2020-02-29 - 1 year`, `2019-02-28`},
		{`@2020 + 24 months`, `2022`},
		{`@2020-01 + 59 days`, `2020-02`},
		{`@2020-01-01T10:00:00 + 1.5 seconds`, `2020-01-01T10:00:01.500`},
		{`@2020-01-01T10:00:00Z > @2020-01-03T10:00:00`, `false`},
		{`@2020-01-01T10:00:00Z > @2020-01-01T20:00:00`, ``},
		{`'a$b'.replaceMatches('(a)', '$1x')`, `ax$b`},
		{`'2020-03-04'.replaceMatches('(?<y>\\d+)-(?<m>\\d+)-(?<d>\\d+)', '${d}.${m}.${y}')`, `04.03.2020`},
		{`'\ud83d\ude00'.length()`, `1`},
		{`'ab'.lastIndexOf('b')`, `1`},
		{`'été'.indexOf('t')`, `1`},
		{`'été'.substring(1, 1)`, `t`},
		{`'a\\nb'.unescape('json').length()`, `3`},
		{`'x'.decode('base64')`, ``},
		{`2147483648 > 2147483647`, `true`},
		{`0.1 + 0.2 = 0.3`, `true`},
		{`1 / 3`, `0.3333333333333333333333333333`},
		{`2.power(0.5)`, `1.414213562373095048801688724`},
		{`1.005.round(2)`, `1.01`},
		{`(-2.5).round()`, `-3`},
		{`7 'g' / 2`, `3.5 'g'`},
		{`12 months = 1 year`, `true`},
		{`13 months > 1 year`, `true`},
		{`1 year > 1 'd'`, ``},
		{`1 year ~ 1 'a'`, `true`},
		{`98.6 '[degF]' ~ 37 'Cel'`, `true`},
		{`%own`, `x`},
		{`%'vs-a'`, `http://hl7.org/fhir/ValueSet/a`},
	} {
		env := &fhirpath.Env{Now: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Constants: map[string]fhirpath.Collection{"own": {fhirpath.String("x")}}}
		got, err := evaluate(c.expr, n, env)
		if err != nil || joined(got) != c.want {
			t.Errorf("%s gives %q, %v, want %q", c.expr, joined(got), err, c.want)
		}
	}
}

// TestEnv: what the Env offers is asked.
func TestEnv(t *testing.T) {
	t.Parallel()
	n := decode(t, observation)
	var traced []string
	env := &fhirpath.Env{
		Resource: n.Child("contained"),
		Resolve: func(reference string) (fhirpath.Item, bool) {
			return fhirpath.NodeItem(n), reference == "Practitioner/1"
		},
		MemberOf: func(set string, i fhirpath.Item) (bool, error) {
			return set == "http://set" && i.Text() == "final", nil
		},
		Subsumes:   func(a, b fhirpath.Item) (bool, error) { return a.Text() == "a" && b.Text() == "b", nil },
		ConformsTo: func(_ fhir.Node, profile string) (bool, error) { return profile == "http://profile", nil },
		Trace:      func(name string, items fhirpath.Collection) { traced = append(traced, name+" "+joined(items)) },
	}
	for expr, want := range map[string]string{
		`performer.resolve().id`:                  `o`,
		`subject.resolve().id`:                    `p`,
		`status.memberOf('http://set')`:           `true`,
		`'a'.subsumes('b')`:                       `true`,
		`'a'.subsumedBy('b')`:                     `false`,
		`conformsTo('http://profile')`:            `true`,
		`component.code.trace('t', text).count()`: `3`,
		`%resource.id | %rootResource.id`:         `p, o`,
		`%context.id`:                             `o`,
	} {
		got, err := evaluate(expr, n, env)
		if err != nil || joined(got) != want {
			t.Errorf("%s gives %q, %v, want %q", expr, joined(got), err, want)
		}
	}
	if want := []string{"t a, b, c"}; !slices.Equal(traced, want) {
		t.Errorf("traced are %q, want %q", traced, want)
	}
}

// TestBundle: references are resolved within a Bundle.
func TestBundle(t *testing.T) {
	t.Parallel()
	n := decode(t, `{"resourceType":"Bundle","type":"collection","entry":[
		{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient","id":"a"}},
		{"fullUrl":"http://example.org/Patient/b","resource":{"resourceType":"Patient","id":"b"}},
		{"resource":{"resourceType":"Basic","code":{"text":"c"},"subject":{"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}}},
		{"resource":{"resourceType":"Basic","code":{"text":"c"},"subject":{"reference":"Patient/b"}}},
		{"resource":{"resourceType":"Basic","code":{"text":"c"},"subject":{"reference":"Patient/c"}}}]}`)
	for expr, want := range map[string]string{
		`entry.resource.ofType(Basic).subject.resolve().id`:                   `a, b`,
		`entry.resource.ofType(Basic).subject.resolve().count()`:              `3`,
		`entry.resource.ofType(Basic).first().subject.select(%resource.type)`: `collection`,
	} {
		got, err := evaluate(expr, n, nil)
		if err != nil || joined(got) != want {
			t.Errorf("%s gives %q, %v, want %q", expr, joined(got), err, want)
		}
	}
}

// TestItem: what an Item tells of itself.
func TestItem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		item      fhirpath.Item
		typ, text string
	}{
		{fhirpath.String("a"), "System.String", "a"},
		{fhirpath.Bool(true), "System.Boolean", "true"},
		{fhirpath.Integer(-7), "System.Integer", "-7"},
		{fhirpath.Stub("Patient"), "Patient", ""},
		{fhirpath.NodeItem(decode(t, observation)), "Observation", ""},
		{fhirpath.Item{}, "", ""},
	} {
		if c.item.Type() != c.typ || c.item.Text() != c.text {
			t.Errorf("%v is %s %q, want %s %q", c.item, c.item.Type(), c.item.Text(), c.typ, c.text)
		}
	}
	got, err := evaluate("value | 3 days", decode(t, observation), nil)
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	if value, unit, calendar, ok := got[0].Quantity(); value != "1.50" || unit != "g" || calendar || !ok {
		t.Error(value, unit, calendar, ok)
	}
	if value, unit, calendar, ok := got[1].Quantity(); value != "3" || unit != "day" || !calendar || !ok {
		t.Error(value, unit, calendar, ok)
	}
}

func TestTruth(t *testing.T) {
	t.Parallel()
	n := decode(t, observation)
	for expr, want := range map[string][2]bool{
		`id = 'o'`: {true, true}, `id = 'a'`: {false, true}, `issued > now()`: {false, false}, `id`: {true, true},
		`component[2].value`: {false, true},
	} {
		e, err := fhirpath.Compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		value, known, err := e.Truth(n, nil)
		if err != nil || value != want[0] || known != want[1] {
			t.Errorf("%s is %v, %v, %v, want %v", expr, value, known, err, want)
		}
	}
}

// TestConcurrent: an expression may be evaluated by many at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	n := decode(t, observation)
	e, err := fhirpath.Compile(`component.where(value.ofType(integer) > 6.50 and code.text.matches('b+')).select(%resource.value * 2.0 'g').trace('a')`)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				got, err := e.EvaluateNode(n, nil)
				if err != nil || joined(got) != "3.000 'g.g'" {
					t.Errorf("gives %q, %v", joined(got), err)
				}
			}
		})
	}
	all.Wait()
}
