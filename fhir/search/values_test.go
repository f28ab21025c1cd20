package search

import (
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir/spec"
)

// TestValues says what each data type gives for each type of parameter.
// https://hl7.org/fhir/R4/search.html#table
func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ   Type
		value string // the property of an extension
		want  []string
	}{
		{StringType, `"valueString":"A  b"`, []string{`string "A  b" "a b"`}},
		{StringType, `"valueMarkdown":"*B*"`, []string{`string "*B*" "*b*"`}},
		{StringType, `"valueHumanName":{"use":"old","text":"T","family":"F","given":["G","H"],"prefix":["P"],"suffix":["S"],"period":{"start":"2020"}}`,
			[]string{`string "T" "t"`, `string "F" "f"`, `string "G" "g"`, `string "H" "h"`, `string "P" "p"`, `string "S" "s"`}},
		{StringType, `"valueAddress":{"use":"home","type":"both","text":"T","line":["L","M"],"city":"C","district":"D","state":"S","postalCode":"P","country":"N"}`,
			[]string{`string "T" "t"`, `string "L" "l"`, `string "M" "m"`, `string "C" "c"`, `string "D" "d"`, `string "S" "s"`, `string "P" "p"`, `string "N" "n"`}},
		{StringType, `"valueCodeableConcept":{"coding":[{"code":"c","display":"D"}],"text":"T"}`, []string{`string "D" "d"`, `string "T" "t"`}},
		{StringType, `"valueString":"\u00a0"`, nil},
		{StringType, `"valueQuantity":{"value":1}`, nil},

		{TokenType, `"valueCoding":{"system":"http://s","code":"A","display":"D"}`, []string{`token http://s|a folded ["d"]`}},
		{TokenType, `"valueCoding":{"system":"http://hl7.org/fhir/task-status","code":"A"}`, []string{`token http://hl7.org/fhir/task-status|A`}},
		{TokenType, `"valueCoding":{"system":"http://s"}`, nil},
		{TokenType, `"valueCoding":{"display":"D"}`, []string{`token | ["d"]`}},
		{TokenType, `"valueCodeableConcept":{"coding":[{"code":"a"},{"code":"b","display":"D"}],"text":"T"}`, []string{`token |a folded ["t"]`, `token |b folded ["d"]`}},
		{TokenType, `"valueCodeableConcept":{"coding":[{"code":"a","display":"t"}],"text":"T"}`, []string{`token |a folded ["t"]`}},
		{TokenType, `"valueCodeableConcept":{"coding":[{"system":"http://s"}],"text":"T"}`, []string{`token http://s| ["t"]`}},
		{TokenType, `"valueCodeableConcept":{"text":"T"}`, []string{`token | ["t"]`}},
		{TokenType, `"valueIdentifier":{"system":"http://s","value":"A","type":{"coding":[{"system":"http://k","code":"MR"},{"display":"x"}],"text":"T"}}`,
			[]string{`token http://s|a folded ["t"] kind http://k|mr folded`}},
		{TokenType, `"valueIdentifier":{"system":"http://s"}`, nil},
		{TokenType, `"valueContactPoint":{"system":"phone","use":"home","value":"(555) 12-34"}`, []string{`token home|(555) 12-34 folded`}},
		{TokenType, `"valueContactPoint":{"system":"email","value":"A@b"}`, []string{`token |a@b folded`}},
		{TokenType, `"valueContactPoint":{"system":"email"}`, nil},
		{TokenType, `"valueBoolean":true`, []string{"token " + booleanSystem + "|true"}},
		{TokenType, `"valueCode":"A"`, []string{`token |a folded`}},
		{TokenType, `"valueId":"A-1"`, []string{`token |a-1 folded`}},
		{TokenType, `"valueUri":"urn:X"`, []string{`token |urn:x folded`}},
		{TokenType, `"valueString":"Ä"`, []string{`token |ä folded`}},
		{TokenType, `"valueDate":"2024"`, nil},

		{ReferenceType, `"valueReference":{"reference":"Patient/1"}`, []string{`reference Patient/1`}},
		{ReferenceType, `"valueReference":{"reference":"Patient/1/_history/2"}`, []string{`reference Patient/1`}},
		{ReferenceType, `"valueReference":{"reference":"` + base + `/Patient/1"}`, []string{`reference Patient/1`}},
		{ReferenceType, `"valueReference":{"reference":"https://other.example.org/r4/Patient/1/_history/3"}`, []string{`reference https://other.example.org/r4/Patient/1 type Patient`}},
		{ReferenceType, `"valueReference":{"reference":"urn:uuid:5d1b0f6e-22b1-4f6f-9a3b-6f7a7a1f0a11","type":"Patient"}`,
			[]string{`reference urn:uuid:5d1b0f6e-22b1-4f6f-9a3b-6f7a7a1f0a11 type Patient`}},
		{ReferenceType, `"valueReference":{"reference":"#c"}`, nil},
		{ReferenceType, `"valueReference":{"reference":"#"}`, nil},
		{ReferenceType, `"valueReference":{"reference":"Patient?identifier=1"}`, nil},
		{ReferenceType, `"valueReference":{"display":"D"}`, nil},
		{ReferenceType, `"valueReference":{"identifier":{"system":"http://s","value":"A"}}`, []string{`reference identifier http://s|a folded`}},
		{ReferenceType, `"valueReference":{"reference":"#c","identifier":{"value":"A"},"type":"Patient"}`, []string{`reference type Patient identifier |a folded`}},
		{ReferenceType, `"valueReference":{"type":"Group","reference":"Patient/1","identifier":{"value":"A"}}`, []string{`reference Patient/1 identifier |a folded`}},
		{ReferenceType, `"valueCanonical":"http://c/v|1.0"`, []string{`reference http://c/v version 1.0`}},
		{ReferenceType, `"valueCanonical":"#c"`, nil},
		{ReferenceType, `"valueUri":"Patient/1"`, []string{`reference Patient/1`}},
		{ReferenceType, `"valueString":"Patient/1"`, nil},

		{DateType, `"valueDate":"2024-03"`, []string{`date 2024-03-01T00:00:00 2024-04-01T00:00:00`}},
		{DateType, `"valueDateTime":"2024-03-04T10:00:00+01:00"`, []string{`date 2024-03-04T09:00:00 2024-03-04T09:00:01`}},
		{DateType, `"valueInstant":"2024-03-04T10:00:00.5Z"`, []string{`date 2024-03-04T10:00:00.5 2024-03-04T10:00:00.6`}},
		{DateType, `"valuePeriod":{"start":"2024","end":"2025-02"}`, []string{`date 2024-01-01T00:00:00 2025-03-01T00:00:00`}},
		{DateType, `"valuePeriod":{"start":"2024"}`, []string{`date 2024-01-01T00:00:00 open`}},
		{DateType, `"valuePeriod":{"end":"2024"}`, []string{`date open 2025-01-01T00:00:00`}},
		{DateType, `"valuePeriod":{"extension":[{"url":"http://x","valueCode":"y"}]}`, nil},
		{DateType, `"valueTiming":{"event":["2024-02","2023-05-06"],"repeat":{"boundsPeriod":{"end":"2024-01"}}}`, []string{`date open 2024-03-01T00:00:00`}},
		{DateType, `"valueTiming":{"event":["2024-02","2023-05-06"]}`, []string{`date 2023-05-06T00:00:00 2024-03-01T00:00:00`}},
		{DateType, `"valueTiming":{"repeat":{"boundsDuration":{"value":1,"system":"http://unitsofmeasure.org","code":"d"}}}`, nil},
		{DateType, `"valueString":"2024"`, nil},

		{NumberType, `"valueInteger":-3`, []string{`number -3 -3`}},
		{NumberType, `"valueDecimal":0.10`, []string{`number 0.1 0.1`}},
		{NumberType, `"valueDecimal":1e999`, []string{`number 1.7976931348623157e+308 1.7976931348623157e+308`}},
		{NumberType, `"valueDecimal":1e-999`, []string{`number 0 0`}},
		{NumberType, `"valuePositiveInt":7`, []string{`number 7 7`}},
		{NumberType, `"valueRange":{"low":{"value":1.5}}`, []string{`number 1.5 +Inf`}},
		{NumberType, `"valueRange":{"low":{"value":1.5},"high":{"value":3}}`, []string{`number 1.5 3`}},
		{NumberType, `"valueRange":{"low":{"unit":"x"}}`, nil},
		{NumberType, `"valueQuantity":{"value":1}`, nil},

		{QuantityType, `"valueQuantity":{"value":5.40,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}`,
			[]string{`quantity 5.4 5.4 http://unitsofmeasure.org|mg "mg" = 0.0054 0.0054 g`}},
		{QuantityType, `"valueQuantity":{"value":37,"unit":"C","system":"http://unitsofmeasure.org","code":"Cel","comparator":">="}`,
			[]string{`quantity 37 +Inf http://unitsofmeasure.org|Cel "C" = 310.15 +Inf K`}},
		{QuantityType, `"valueQuantity":{"value":5,"unit":"x","system":"http://unitsofmeasure.org","code":"nonsense","comparator":"<"}`,
			[]string{`quantity -Inf 5 http://unitsofmeasure.org|nonsense "x"`}},
		{QuantityType, `"valueQuantity":{"value":5,"system":"http://s","code":"mg"}`, []string{`quantity 5 5 http://s|mg ""`}},
		{QuantityType, `"valueQuantity":{"value":5}`, []string{`quantity 5 5 | ""`}},
		{QuantityType, `"valueQuantity":{"unit":"mg"}`, nil},
		{QuantityType, `"valueMoney":{"value":9.99,"currency":"EUR"}`, []string{`quantity 9.99 9.99 urn:iso:std:iso:4217|EUR ""`}},
		{QuantityType, `"valueAge":{"value":2,"system":"http://unitsofmeasure.org","code":"wk","unit":"weeks"}`,
			[]string{`quantity 2 2 http://unitsofmeasure.org|wk "weeks" = 1.2096e+06 1.2096e+06 s`}},
		{QuantityType, `"valueDuration":{"value":2,"system":"http://unitsofmeasure.org","code":"min"}`, []string{`quantity 2 2 http://unitsofmeasure.org|min "" = 120 120 s`}},
		{QuantityType, `"valueRange":{"low":{"value":1,"system":"http://unitsofmeasure.org","code":"m"},"high":{"value":2,"system":"http://unitsofmeasure.org","code":"m"}}`,
			[]string{`quantity 1 2 http://unitsofmeasure.org|m "" = 1 2 m`}},
		{QuantityType, `"valueRange":{"high":{"value":2,"system":"http://unitsofmeasure.org","code":"cm"}}`, []string{`quantity -Inf 2 http://unitsofmeasure.org|cm "" = -Inf 0.02 m`}},
		{QuantityType, `"valueRange":{"low":{"value":1,"unit":"a"},"high":{"value":2,"system":"http://unitsofmeasure.org","code":"m"}}`, []string{`quantity 1 2 | "a"`}},
		{QuantityType, `"valueSampledData":{"origin":{"value":1},"period":1,"dimensions":1,"data":"1 2"}`, nil},

		{URIType, `"valueUri":"HTTP://a/B"`, []string{`uri HTTP://a/B`}},
		{URIType, `"valueUrl":"http://a/b|c"`, []string{`uri http://a/b|c`}},
		{URIType, `"valueOid":"urn:oid:1.2"`, []string{`uri urn:oid:1.2`}},
		{URIType, `"valueCanonical":"http://a/b|c"`, []string{`uri http://a/b c`}},
		{URIType, `"valueCanonical":"|c"`, nil},
		{URIType, `"valueBoolean":true`, nil},
	} {
		def := &spec.SearchParameter{URL: "http://a/x", Code: "x", Type: string(c.typ), Base: []string{"Basic"}, Expression: "Basic.extension('http://x')"}
		r, err := NewRegistry(spec.R4(), base, 1, []Custom{{Type: "Basic", Position: 99, Definition: def}})
		if err != nil {
			t.Fatal(err)
		}
		res := decoded(t, fmt.Sprintf(`{"resourceType":"Basic","code":{"text":"b"},"extension":[{"url":"http://other","valueString":"no"},{"url":"http://x",%s}]}`, c.value))
		same(t, string(c.typ)+" "+c.value, values(indexed(t, r, res), "x"), c.want)

		// FHIRPath finds the same.
		def.Expression = "Basic.extension.where(url = 'http://x' and true).value"
		r, err = NewRegistry(spec.R4(), base, 1, []Custom{{Type: "Basic", Position: 99, Definition: def}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Param("Basic", "x").compiled == nil {
			t.Fatal("a walk takes what is for FHIRPath")
		}
		same(t, string(c.typ)+" by FHIRPath "+c.value, values(indexed(t, r, res), "x"), c.want)
	}
}

// TestValuesImplied: the system of a code is what its binding says.
func TestValuesImplied(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, c := range []struct{ src, code, want string }{
		{`{"resourceType":"Task","status":"draft","intent":"order"}`, "intent", "token http://hl7.org/fhir/request-intent|order"},
		{`{"resourceType":"Task","status":"draft","intent":"unknown"}`, "intent", "token http://hl7.org/fhir/task-intent|unknown"},
		{`{"resourceType":"Task","status":"draft","intent":"order"}`, "status", "token http://hl7.org/fhir/task-status|draft"},
		{`{"resourceType":"Patient"}`, "deceased", "token " + booleanSystem + "|false"},
		{`{"resourceType":"Patient","deceasedBoolean":false}`, "deceased", "token " + booleanSystem + "|false"},
		{`{"resourceType":"Patient","deceasedBoolean":true}`, "deceased", "token " + booleanSystem + "|true"},
		{`{"resourceType":"Patient","deceasedDateTime":"2020"}`, "deceased", "token " + booleanSystem + "|true"},
	} {
		same(t, c.src, values(indexed(t, r, decoded(t, c.src)), c.code), []string{c.want})
	}
	unknown := decoded(t, `{"resourceType":"Patient","_deceasedBoolean":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}}`)
	same(t, "deceased unknown", values(indexed(t, r, unknown), "deceased"), nil)
}
