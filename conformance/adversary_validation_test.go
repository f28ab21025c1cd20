package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestXWho(t *testing.T) {
	a := newRaid(t)
	show := func(who, m, p, body string) {
		x := a.by(who, request{method: m, path: "/fhir" + p, body: body})
		s := strings.ReplaceAll(x.answer, "\n", "")
		if i := strings.Index(s, `"issue"`); i > 0 {
			s = s[i:]
		}
		fmt.Printf("%-45s %s %s -> %d %.200s\n", who, m, p, x.status, s)
	}
	for _, who := range []string{patient, doctor, surgeon, chart} {
		for _, b := range []string{
			`{"resourceType":"Questionnaire","url":"urn:qq","status":"active"}`,
			`{"resourceType":"ValueSet","url":"http://hl7.org/fhir/ValueSet/mimetypes","version":"4.0.1","status":"active","compose":{"include":[{"system":"urn:x","concept":[{"code":"x"}]}]}}`,
			`{"resourceType":"CodeSystem","url":"urn:x","status":"active","content":"complete"}`,
			`{"resourceType":"StructureDefinition","url":"urn:sd","name":"N","status":"active","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"}]}}`,
			`{"resourceType":"ConceptMap","url":"urn:cm","status":"active"}`,
			`{"resourceType":"SearchParameter","url":"urn:sp","name":"N","status":"active","description":"d","code":"zz","base":["Patient"],"type":"string","expression":"Patient.name"}`,
		} {
			typ := strings.Split(b, `"`)[3]
			show(who, "POST", "/"+typ, b)
		}
		show(who, "POST", "/$install-package", `x`)
		show(who, "POST", "/CodeSystem/$validate-code", `{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"urn:x"},{"name":"code","valueCode":"x"}]}`)
	}
}
