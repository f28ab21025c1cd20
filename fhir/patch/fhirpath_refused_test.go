package patch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

const pathRefusedDoc = `{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"Achterberg","given":["Ada","Bea"]},{"text":"B"}],"deceasedBoolean":false,"managingOrganization":{"reference":"Organization/o"},"extension":[{"url":"u:a","valueCode":"a"},{"url":"u:b","valueCode":"b"}]}`

// in returns a FHIRPath Patch with the given operation after one that does
// nothing, so that it stands at Parameters.parameter[1].
func in(parts string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"{}"}]},` +
		`{"name":"operation","part":[` + parts + `]}]}`
}

// op returns the first two parts of an operation.
func op(verb, path string) string {
	return fmt.Sprintf(`{"name":"type","valueCode":%q},{"name":"path","valueString":%q}`, verb, path)
}

const at = "Parameters.parameter[1]"

// pathRefused are FHIRPath Patches that fail on pathRefusedDoc, with the class
// and each issue as "code expression: part of the text".
var pathRefused = []struct {
	patch string
	class fhir.Class
	want  []string
}{
	{`{"resourceType":"Patient"}`, fhir.BadRequest, []string{"invalid Patient: Parameters"}},
	{`{"resourceType":"Parameters","parameter":[{"name":"op"}]}`, fhir.BadRequest, []string{"value Parameters.parameter[0].name: named operation"}},
	{`{"resourceType":"Parameters","parameter":[{"name":"operation"}]}`, fhir.BadRequest, []string{"required Parameters.parameter[0]: type", "required Parameters.parameter[0]: path"}},
	{in(op("shout", "Patient")), fhir.BadRequest, []string{"value " + at + ".part[0]: no such operation"}},
	{in(op("add", "Patient")), fhir.BadRequest, []string{"required " + at + ": name", "required " + at + ": value"}},
	{in(op("insert", "Patient.name")), fhir.BadRequest, []string{"required " + at + ": index", "required " + at + ": value"}},
	{in(op("replace", "Patient.active")), fhir.BadRequest, []string{"required " + at + ": value"}},
	{in(op("move", "Patient.name")), fhir.BadRequest, []string{"required " + at + ": source", "required " + at + ": destination"}},
	{in(op("delete", "Patient.active") + `,{"name":"spam","valueString":"x"}`), fhir.BadRequest, []string{"value " + at + ".part[2]: no such part"}},
	{in(op("delete", "Patient.active") + `,{"name":"path","valueString":"x"}`), fhir.BadRequest, []string{"structure " + at + ".part[2]: path is given twice"}},
	{in(`{"name":"type","valueCode":"delete"},{"name":"path","valueInteger":1}`), fhir.BadRequest, []string{"structure " + at + ".part[1]: valueString"}},
	{in(op("delete", "Patient.")), fhir.BadRequest, []string{"invalid " + at + ".part[1]: line 1"}},
	{in(op("delete", "nonsense(1)")), fhir.BadRequest, []string{"invalid " + at + ".part[1]: line 1"}},
	{in(op("move", "Patient.name") + `,{"name":"source","valueInteger":-1},{"name":"destination","valueString":"1"}`), fhir.BadRequest, []string{"value " + at + ".part[2]: counts from 0", "structure " + at + ".part[3]: valueInteger"}},

	{in(op("delete", "Patient.name")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: several"}},
	{in(op("delete", "Patient")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: cannot delete the resource"}},
	{in(op("delete", "Patient.name.count()")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no element of the resource"}},
	{in(op("delete", "Patient.managingOrganization.resolve()")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no element of the resource"}},
	{in(op("delete", "Patient.name.single()")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: line 1"}},

	{in(op("add", "Patient.contact") + valuePart(`"valueCode":"male"`) + namePart("gender")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: nothing at this path"}},
	{in(op("add", "Patient.name") + valuePart(`"valueString":"x"`) + namePart("given")), fhir.Unprocessable, []string{"processing " + at + ".part[1]: several"}},
	{in(op("add", "Patient") + valuePart(`"valueBoolean":true`) + namePart("active")), fhir.Unprocessable, []string{"processing " + at + ".part[2]: already"}},
	{in(op("add", "Patient") + valuePart(`"valueDateTime":"2020"`) + namePart("deceased")), fhir.Unprocessable, []string{"processing " + at + ".part[2]: already"}},
	{in(op("add", "Patient") + valuePart(`"valueString":"x"`) + namePart("multipleBirth")), fhir.Unprocessable, []string{"processing " + at + ".part[2]: cannot be a string"}},
	{in(op("add", "Patient") + valuePart(`"valueString":"x"`) + namePart("shoeSize")), fhir.Unprocessable, []string{`processing ` + at + `.part[2]: no element "shoeSize"`}},
	{in(op("add", "Patient") + valuePart(`"valueString":"x"`) + namePart("_birthDate")), fhir.Unprocessable, []string{`processing ` + at + `.part[2]: no element "_birthDate"`}},
	{in(op("add", "Patient") + valuePart(`"valueString":"x"`) + namePart("maritalStatus")), fhir.Unprocessable, []string{"processing " + at + ".part[2].value: takes a CodeableConcept"}},
	{in(op("add", "Patient") + valuePart(`"valueCodeableConcept":{"text":"x"}`) + namePart("name")), fhir.Unprocessable, []string{"processing " + at + ".part[2].value: takes a HumanName"}},
	{in(op("add", "Patient") + `,{"name":"value"}` + namePart("name")), fhir.BadRequest, []string{"structure " + at + ".part[2]: one thing"}},
	{in(op("add", "Patient") + valuePart(`"valueString":"x","part":[{"name":"x"}]`) + namePart("name")), fhir.BadRequest, []string{"structure " + at + ".part[2]: one thing"}},
	{in(op("add", "Patient") + valuePart(`"resource":{"resourceType":"Patient"}`) + namePart("name")), fhir.Unprocessable, []string{"processing " + at + ".part[2].resource: takes a HumanName, not a Patient"}},
	{in(op("add", "Patient") + valuePart(`"part":[{"name":"x","valueString":"x"}]`) + namePart("birthDate")), fhir.Unprocessable, []string{"processing " + at + ".part[2]: as a value"}},
	{in(op("add", "Patient") + valuePart(`"part":[{"name":"x","valueString":"x"}]`) + namePart("contact")), fhir.Unprocessable, []string{`processing ` + at + `.part[2].part[0]: A Patient.contact has no element "x"`}},
	{in(op("add", "Patient") + valuePart(`"part":[{"name":"gender","valueCode":"male"},{"name":"gender","valueCode":"male"}]`) + namePart("contact")), fhir.Unprocessable, []string{`processing ` + at + `.part[2].part[1]: already`}},
	{in(op("add", "Patient") + valuePart(`"part":[{"name":"x","valueString":"x"}]`) + namePart("multipleBirth")), fhir.Unprocessable, []string{"processing " + at + ".part[2]: name the property"}},

	{in(op("insert", "Patient.name") + valuePart(`"valueHumanName":{"text":"x"}`) + number("index", 3)), fhir.Unprocessable, []string{"processing " + at + ".part[3]: fewer"}},
	{in(op("insert", "Patient.contact") + valuePart(`"part":[{"name":"gender","valueCode":"male"}]`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no list"}},
	{in(op("insert", "Patient.active") + valuePart(`"valueBoolean":true`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: does not repeat"}},
	{in(op("insert", "Patient") + valuePart(`"valueBoolean":true`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: does not repeat"}},
	{in(op("insert", "Patient.name.where(text='B')") + valuePart(`"valueHumanName":{"text":"x"}`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no list"}},
	{in(op("insert", "Patient.name[0]") + valuePart(`"valueHumanName":{"text":"x"}`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: some elements"}},
	{in(op("insert", "Patient.name[0] | Patient.extension[1]") + valuePart(`"valueHumanName":{"text":"x"}`) + number("index", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no list"}},

	{in(op("replace", "Patient.birthDate") + valuePart(`"valueDate":"1970"`)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: nothing at this path"}},
	{in(op("replace", "Patient.extension") + valuePart(`"part":[{"name":"url","valueUri":"u:c"},{"name":"value","valueCode":"c"}]`)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: several"}},
	{in(op("replace", "Patient") + valuePart(`"resource":{"resourceType":"Patient"}`)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: cannot replace the resource"}},
	{in(op("replace", "Patient.deceased") + valuePart(`"valueString":"x"`)), fhir.Unprocessable, []string{"processing " + at + ".part[2]: cannot be a string"}},

	{in(op("move", "Patient.name") + number("source", 2) + number("destination", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[2]: no such place"}},
	{in(op("move", "Patient.name") + number("source", 0) + number("destination", 2)), fhir.Unprocessable, []string{"processing " + at + ".part[3]: no such place"}},
	{in(op("move", "Patient.contact") + number("source", 0) + number("destination", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no list"}},
	{in(op("move", "Patient.name.given | Patient.name.family") + number("source", 0) + number("destination", 0)), fhir.Unprocessable, []string{"processing " + at + ".part[1]: no list"}},
}

func namePart(name string) string { return fmt.Sprintf(`,{"name":"name","valueString":%q}`, name) }

func valuePart(content string) string { return `,{"name":"value",` + content + `}` }

func number(name string, i int) string {
	return fmt.Sprintf(`,{"name":%q,"valueInteger":%d}`, name, i)
}

func TestFHIRPathRefused(t *testing.T) {
	t.Parallel()
	for _, c := range pathRefused {
		t.Run(c.patch, func(t *testing.T) {
			t.Parallel()
			out, err := patch.FHIRPath(decode(t, pathRefusedDoc), decode(t, c.patch))
			if out != nil {
				t.Errorf("made %s", out)
			}
			checkPathOutcome(t, err, c.class, c.want...)
		})
	}
}

// checkPathOutcome wants err to be an Outcome of the class with these issues,
// each "code expression: part of the text", and with nothing of the resource.
func checkPathOutcome(t *testing.T, err error, class fhir.Class, want ...string) {
	t.Helper()
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != class || len(o.Issues) != len(want) {
		t.Fatalf("got %v, want class %d with %q", err, class, want)
	}
	for i, is := range o.Issues {
		where, part, _ := strings.Cut(want[i], ": ")
		if string(is.Code)+" "+is.Expression != where || !strings.Contains(is.Text, part) || strings.Contains(is.Text, "Achterberg") {
			t.Errorf("issue %d is %+v, want %s", i, is, want[i])
		}
	}
}

// What one operation leaves malformed stops the next one, and an operation that
// fails undoes those before it.
func TestFHIRPathMalformedBetween(t *testing.T) {
	t.Parallel()
	res := decode(t, `{"resourceType":"Communication","status":"completed"}`)
	_, err := patch.FHIRPath(res, decode(t, parameters(t, `[{"type":"delete","path":"Communication.status"},{"type":"add","path":"Communication","name":"status","value":{"valueCode":"stopped"}}]`)))
	checkPathOutcome(t, err, fhir.Unprocessable, "processing Parameters.parameter[0]: malformed", "required Communication.status: missing")
	out, err := patch.FHIRPath(res, decode(t, parameters(t, `[{"type":"replace","path":"Communication.status","value":{"valueCode":"stopped"}},{"type":"replace","path":"Communication.sent","value":{"valueDateTime":"2020"}}]`)))
	if out != nil {
		t.Errorf("made %s", out)
	}
	checkPathOutcome(t, err, fhir.Unprocessable, "processing Parameters.parameter[1].part[1]: nothing at this path")
}

func TestFHIRPathLimits(t *testing.T) {
	t.Parallel()
	many := func(n int, operation string) string {
		return parameters(t, "["+strings.TrimSuffix(strings.Repeat(operation+",", n), ",")+"]")
	}
	const add = `{"type":"add","path":"Patient","name":"language","value":{"valueCode":"nl"}}`
	const toggle = `{"type":"replace","path":"Patient.active","value":{"valueBoolean":true}}`
	long := `{"type":"add","path":"Patient","name":"name","value":{"valueHumanName":{"text":"` + strings.Repeat("x", 1<<20) + `"}}}`
	nested := func(n int) string {
		return strings.Repeat(`{"url":"u:u","extension":[`, n) + `{"url":"u:u","valueCode":"c"}` + strings.Repeat(`]}`, n)
	}
	cases := []struct {
		name, doc, patch string
		class            fhir.Class
		want             string // empty when the patch is applied
	}{
		{"operations", `{"resourceType":"Patient","active":true}`, many(1000, toggle), 0, ""},
		{"too many operations", `{"resourceType":"Patient","active":true}`, many(1001, toggle), fhir.BadRequest, "too-costly Parameters.parameter: more than 1000"},
		{"large", `{"resourceType":"Patient"}`, many(9, long), 0, ""},
		{"too large", `{"resourceType":"Patient"}`, many(10, long), fhir.TooLarge, "too-long : larger than"},
		{"too large on the way", `{"resourceType":"Patient"}`, many(11, long), fhir.TooLarge, "too-long : larger than"},
		{"much read again", `{"resourceType":"Patient","active":true,"name":[{"text":"` + strings.Repeat("x", 1<<20) + `"}]}`, many(500, toggle), fhir.BadRequest, "too-costly Parameters.parameter[200]: too much work"},
		{"costly path", `{"resourceType":"Patient","name":[` + strings.Repeat(`{"text":"x"},`, 5000) + `{"text":"x"}]}`, many(1, `{"type":"delete","path":"Patient.name.where(%resource.name.where(text='y').exists())"}`), fhir.BadRequest, "too-costly Parameters.parameter[0].part[1]: does not work"},
		{"nested too deep", `{"resourceType":"Patient","extension":[` + nested(25) + `]}`, many(1, `{"type":"add","path":"Patient`+strings.Repeat(".extension", 25)+`","name":"extension","value":{"part":[{"name":"url","valueUri":"u:u"},{"name":"value","valueHumanName":{"extension":[`+nested(20)+`]}}]}}`), fhir.Unprocessable, "too-costly : nested deeper"},
		{"valid once", `{"resourceType":"Patient"}`, many(1, add), 0, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := patch.FHIRPath(decode(t, c.doc), decode(t, c.patch))
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "":
				checkPathOutcome(t, err, c.class, c.want)
			}
		})
	}
}
