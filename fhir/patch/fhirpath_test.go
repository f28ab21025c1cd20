package patch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

// parameters returns a FHIRPath Patch from a short form, an array of operations
// {"type":"add","path":"Patient","name":"active","value":{"valueBoolean":true}}
// in which value is what the part of that name has besides its name.
func parameters(t testing.TB, short string) string {
	t.Helper()
	var operations []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(short), &operations); err != nil {
		t.Fatalf("%s: %v", short, err)
	}
	var all []string
	for _, o := range operations {
		var parts []string
		for _, name := range []string{"type", "path", "name", "index", "source", "destination"} {
			if v, ok := o[name]; ok {
				kind := map[bool]string{true: "valueString", false: "valueInteger"}[v[0] == '"']
				parts = append(parts, fmt.Sprintf(`{"name":%q,%q:%s}`, name, kind, v))
			}
		}
		if v, ok := o["value"]; ok {
			parts = append(parts, `{"name":"value",`+string(v[1:]))
		}
		all = append(all, `{"name":"operation","part":[`+strings.Join(parts, ",")+`]}`)
	}
	if all == nil {
		return `{"resourceType":"Parameters"}`
	}
	return `{"resourceType":"Parameters","parameter":[` + strings.Join(all, ",") + `]}`
}

// pathApplied are FHIRPath Patches with the exact text of what they make.
var pathApplied = []struct{ name, doc, patch, want string }{
	{
		"untouched text stays, in its order",
		`{"status":"final","resourceType":"Observation","code":{"text":"\u0041<&>\/é"},"valueQuantity":{"value":1.10,"unit":"a"},"component":[{"valueQuantity":{"value":2.00e0},"code":{"text":"c"}}]}`,
		`[{"type":"replace","path":"Observation.status","value":{"valueCode":"amended"}}]`,
		"",
	},
	{
		"values keep their digits and escapes",
		`{"resourceType":"Observation","status":"final","code":{"text":"x"}}`,
		`[{"type":"add","path":"Observation","name":"value","value":{"valueQuantity": { "value" : 1.500, "unit":"\u0061\/" }}}]`,
		`{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.500,"unit":"\u0061\/"}}`,
	},
	{"no operations", `{"resourceType":"Patient","active":true}`, `[]`, `{"resourceType":"Patient","active":true}`},

	{"add makes a list", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"name","value":{"valueHumanName":{"text":"A"}}}]`, `{"resourceType":"Patient","name":[{"text":"A"}]}`},
	{"add appends", `{"resourceType":"Patient","name":[{"given":["A"]}]}`, `[{"type":"add","path":"Patient.name","name":"given","value":{"valueString":"B"}}]`, `{"resourceType":"Patient","name":[{"given":["A","B"]}]}`},
	{"add appends beside extensions", `{"resourceType":"Patient","name":[{"given":["A"],"_given":[{"id":"x"}]}]}`, `[{"type":"add","path":"Patient.name","name":"given","value":{"valueString":"B"}}]`, `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"x"},null]}]}`},
	{"add appends with an id", `{"resourceType":"Patient","name":[{"given":["A"]}]}`, `[{"type":"add","path":"Patient.name","name":"given","value":{"valueString":"B","_valueString":{"id":"y"}}}]`, `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"y"}]}]}`},
	{"add appends an id only", `{"resourceType":"Patient","name":[{"given":["A"]}]}`, `[{"type":"add","path":"Patient.name","name":"given","value":{"_valueString":{"id":"y"}}}]`, `{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"y"}]}]}`},
	{"add to a primitive without extensions", `{"resourceType":"Patient","birthDate":"1970"}`, `[{"type":"add","path":"Patient.birthDate","name":"extension","value":{"part":[{"name":"url","valueUri":"u:u"},{"name":"value","valueString":"x"}]}}]`, ``},
	{
		"add to a primitive", `{"resourceType":"Patient","birthDate":"1970"}`,
		`[{"type":"add","path":"Patient.birthDate","name":"id","value":{"valueString":"x"}},{"type":"add","path":"Patient.birthDate","name":"extension","value":{"part":[{"name":"url","valueUri":"u:u"},{"name":"value","valueCode":"c"}]}}]`,
		`{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"x","extension":[{"url":"u:u","valueCode":"c"}]}}`,
	},
	{"add a choice by its name", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"deceased","value":{"valueDateTime":"2020"}}]`, `{"resourceType":"Patient","deceasedDateTime":"2020"}`},
	{"add a choice as in the definition", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"deceased[x]","value":{"valueBoolean":true}}]`, `{"resourceType":"Patient","deceasedBoolean":true}`},
	{"add a choice by its property", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"deceasedBoolean","value":{"valueBoolean":true}}]`, `{"resourceType":"Patient","deceasedBoolean":true}`},
	{"add a contained resource", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"contained","value":{"resource":{"resourceType":"Organization","id":"o","name":"O"}}}]`, `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"O"}]}`},
	{
		"add parts within parts", `{"resourceType":"Patient"}`,
		`[{"type":"add","path":"Patient","name":"contact","value":{"part":[{"name":"name","part":[{"name":"family","valueString":"F"},{"name":"given","valueString":"A"},{"name":"given","valueString":"B","_valueString":{"id":"b"}}]},{"name":"gender","valueCode":"male"}]}}]`,
		`{"resourceType":"Patient","contact":[{"name":{"family":"F","given":["A","B"],"_given":[null,{"id":"b"}]},"gender":"male"}]}`,
	},
	{
		"add a choice in parts", `{"resourceType":"Observation","status":"final","code":{"text":"x"}}`,
		`[{"type":"add","path":"Observation","name":"component","value":{"part":[{"name":"code","valueCodeableConcept":{"text":"c"}},{"name":"value","valueInteger":7}]}}]`,
		`{"resourceType":"Observation","status":"final","code":{"text":"x"},"component":[{"code":{"text":"c"},"valueInteger":7}]}`,
	},
	{"add within what was added", `{"resourceType":"Patient"}`, `[{"type":"add","path":"Patient","name":"name","value":{"valueHumanName":{"text":"A"}}},{"type":"add","path":"Patient.name[0]","name":"given","value":{"valueString":"B"}}]`, `{"resourceType":"Patient","name":[{"text":"A","given":["B"]}]}`},
	{"add within a contained resource", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}],"managingOrganization":{"reference":"#o"}}`, `[{"type":"add","path":"Patient.managingOrganization.resolve()","name":"name","value":{"valueString":"N"}}]`, `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"N"}],"managingOrganization":{"reference":"#o"}}`},

	{"insert first", `{"resourceType":"Patient","name":[{"given":["A","B"]}]}`, `[{"type":"insert","path":"Patient.name.given","index":0,"value":{"valueString":"C"}}]`, `{"resourceType":"Patient","name":[{"given":["C","A","B"]}]}`},
	{"insert last", `{"resourceType":"Patient","name":[{"given":["A","B"]}]}`, `[{"type":"insert","path":"Patient.name.given","index":2,"value":{"valueString":"C"}}]`, `{"resourceType":"Patient","name":[{"given":["A","B","C"]}]}`},
	{"insert beside extensions", `{"resourceType":"Patient","name":[{"_given":[null,{"id":"b"}],"given":["A",null]}]}`, `[{"type":"insert","path":"Patient.name.given","index":1,"value":{"valueString":"C"}}]`, `{"resourceType":"Patient","name":[{"_given":[null,null,{"id":"b"}],"given":["A","C",null]}]}`},
	{"insert parts", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, `[{"type":"insert","path":"Patient.contact","index":0,"value":{"part":[{"name":"gender","valueCode":"female"}]}}]`, `{"resourceType":"Patient","contact":[{"gender":"female"},{"gender":"male"}]}`},

	{"delete nothing", `{"resourceType":"Patient","active":true}`, `[{"type":"delete","path":"Patient.birthDate"}]`, `{"resourceType":"Patient","active":true}`},
	{"delete takes the extensions too", `{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"x"},"active":true}`, `[{"type":"delete","path":"Patient.birthDate"}]`, `{"resourceType":"Patient","active":true}`},
	{"delete in a list beside extensions", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`, `[{"type":"delete","path":"Patient.name.given[1]"}]`, `{"resourceType":"Patient","name":[{"given":["A"]}]}`},
	{"delete the last value beside extensions", `{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"b"}]}]}`, `[{"type":"delete","path":"Patient.name.given[0]"}]`, `{"resourceType":"Patient","name":[{"_given":[{"id":"b"}]}]}`},
	{"delete by a criterion", `{"resourceType":"Patient","identifier":[{"value":"a"},{"value":"b"}]}`, `[{"type":"delete","path":"Patient.identifier.where(value='a')"}]`, `{"resourceType":"Patient","identifier":[{"value":"b"}]}`},
	{"delete what that leaves empty", `{"resourceType":"Patient","active":true,"name":[{"period":{"start":"2020"}}]}`, `[{"type":"delete","path":"Patient.name.period.start"}]`, `{"resourceType":"Patient","active":true}`},
	{"delete the extension of a value", `{"resourceType":"Patient","birthDate":"1970","_birthDate":{"extension":[{"url":"u:u","valueCode":"c"}]}}`, `[{"type":"delete","path":"Patient.birthDate.extension"}]`, `{"resourceType":"Patient","birthDate":"1970"}`},
	{"delete the extension of a value in a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`, `[{"type":"delete","path":"Patient.name.given[1].id"}]`, `{"resourceType":"Patient","name":[{"given":["A","B"]}]}`},
	{"delete the extension of nothing", `{"resourceType":"Patient","active":true,"name":[{"_family":{"id":"x"}}]}`, `[{"type":"delete","path":"Patient.name.family.id"}]`, `{"resourceType":"Patient","active":true}`},

	{"replace in place", `{"resourceType":"Patient","active":true,"gender":"male"}`, `[{"type":"replace","path":"Patient.active","value":{"valueBoolean":false}}]`, `{"resourceType":"Patient","active":false,"gender":"male"}`},
	{"replace takes the extensions too", `{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"x"},"gender":"male"}`, `[{"type":"replace","path":"Patient.birthDate","value":{"valueDate":"1971"}}]`, `{"resourceType":"Patient","birthDate":"1971","gender":"male"}`},
	{"replace brings extensions", `{"resourceType":"Patient","birthDate":"1970","gender":"male"}`, `[{"type":"replace","path":"Patient.birthDate","value":{"_valueDate":{"id":"x"}}}]`, `{"resourceType":"Patient","gender":"male","_birthDate":{"id":"x"}}`},
	{"replace in a list", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"a"},{"id":"b"}]}]}`, `[{"type":"replace","path":"Patient.name.given[1]","value":{"valueString":"C"}}]`, `{"resourceType":"Patient","name":[{"given":["A","C"],"_given":[{"id":"a"},null]}]}`},
	{"replace a choice by one of another type", `{"resourceType":"Patient","deceasedBoolean":true,"_deceasedBoolean":{"id":"x"},"gender":"male"}`, `[{"type":"replace","path":"Patient.deceased","value":{"valueDateTime":"2020"}}]`, `{"resourceType":"Patient","deceasedDateTime":"2020","gender":"male"}`},
	{"replace by parts", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, `[{"type":"replace","path":"Patient.contact[0]","value":{"part":[{"name":"gender","valueCode":"female"}]}}]`, `{"resourceType":"Patient","contact":[{"gender":"female"}]}`},
	{"replace a choice by parts", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1}}`, `[{"type":"replace","path":"Observation.value","value":{"part":[{"name":"value","valueDecimal":2.0}]}}]`, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":2.0}}`},

	{"move to the end", `{"resourceType":"Patient","name":[{"given":["A","B","C"]}]}`, `[{"type":"move","path":"Patient.name.given","source":0,"destination":2}]`, `{"resourceType":"Patient","name":[{"given":["B","C","A"]}]}`},
	{"move beside extensions", `{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[{"id":"a"},null]}]}`, `[{"type":"move","path":"Patient.name.given","source":1,"destination":0}]`, `{"resourceType":"Patient","name":[{"given":["B","A"],"_given":[null,{"id":"a"}]}]}`},
	{"move to where it is", `{"resourceType":"Patient","name":[{"given":["A"]}]}`, `[{"type":"move","path":"Patient.name.given","source":0,"destination":0}]`, `{"resourceType":"Patient","name":[{"given":["A"]}]}`},
}

func TestFHIRPathApplied(t *testing.T) {
	t.Parallel()
	for _, c := range pathApplied {
		want := c.want
		switch c.name {
		case "untouched text stays, in its order":
			want = strings.Replace(c.doc, "final", "amended", 1)
		case "add to a primitive without extensions":
			want = strings.Replace(c.doc, `}`, `,"_birthDate":{"extension":[{"url":"u:u","valueString":"x"}]}}`, 1)
		}
		res := decode(t, c.doc)
		out, err := patch.FHIRPath(res, decode(t, parameters(t, c.patch)))
		if err != nil || string(out) != want {
			t.Errorf("%s: got %s, %v, want %s", c.name, out, err, want)
		}
		if string(res.Source()) != c.doc {
			t.Errorf("%s: the resource became %s", c.name, res.Source())
		}
		if _, err := fhir.Decode("", out); err != nil && out != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A patch in XML does what it does in JSON.
func TestFHIRPathFromXML(t *testing.T) {
	t.Parallel()
	p, err := fhir.DecodeXML("Parameters", []byte(`<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="add"/></part>
		<part><name value="path"/><valueString value="Patient"/></part><part><name value="name"/><valueString value="extension"/></part>
		<part><name value="value"/><part><name value="url"/><valueUri value="u:u"/></part><part><name value="value"/><valueDecimal value="1.50"/></part></part></parameter></Parameters>`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.FHIRPath(decode(t, `{"resourceType":"Patient"}`), p)
	if want := `{"resourceType":"Patient","extension":[{"url":"u:u","valueDecimal":1.50}]}`; err != nil || string(out) != want {
		t.Errorf("got %s, %v, want %s", out, err, want)
	}
}

// Whatever is added and deleted again, everything else keeps its text: the
// document comes back as it was.
func TestFHIRPathKeepsText(t *testing.T) {
	t.Parallel()
	doc := `{"resourceType":"Observation","id":"o","extension":[{"url":"u:u","valueDecimal":1.0e1}],"status":"final","code":{"text":"\u00e9\/"},"valueQuantity":{"value":0.0010},"note":[{"text":"n"},{"text":"m"}],"component":[{"code":{"text":"c"},"valueQuantity":{"value":3.140}}]}`
	for _, c := range []struct{ path, name, value, there string }{
		{"Observation", "language", `"valueCode":"nl"`, "Observation.language"},
		{"Observation", "note", `"valueAnnotation":{"text":"x"}`, "Observation.note[2]"},
		{"Observation.note[0]", "id", `"valueString":"x"`, "Observation.note[0].id"},
		{"Observation.note[1].text", "id", `"valueString":"x"`, "Observation.note[1].text.id"},
		{"Observation.status", "extension", `"part":[{"name":"url","valueUri":"u:v"},{"name":"value","valueCode":"x"}]`, "Observation.status.extension"},
		{"Observation.value", "unit", `"valueString":"mg"`, "Observation.value.unit"},
		{"Observation.component", "interpretation", `"valueCodeableConcept":{"text":"x"}`, "Observation.component.interpretation.text"},
		{"Observation.extension.value", "id", `"valueString":"x"`, "Observation.extension.value.id"},
	} {
		add := fmt.Sprintf(`{"type":"add","path":%q,"name":%q,"value":{%s}}`, c.path, c.name, c.value)
		remove := fmt.Sprintf(`{"type":"delete","path":%q}`, c.there)
		out, err := patch.FHIRPath(decode(t, doc), decode(t, parameters(t, "["+add+"]")))
		if err != nil || string(out) == doc {
			t.Errorf("%s: %s, %v", add, out, err)
		}
		out, err = patch.FHIRPath(decode(t, doc), decode(t, parameters(t, "["+add+","+remove+"]")))
		if err != nil || string(out) != doc {
			t.Errorf("%s and back: %s, %v, want %s", add, out, err, doc)
		}
	}
}

func FuzzFHIRPath(f *testing.F) {
	for _, c := range pathApplied {
		f.Add([]byte(c.doc), []byte(parameters(f, c.patch)))
	}
	for _, c := range pathRefused {
		f.Add([]byte(pathRefusedDoc), []byte(c.patch))
	}
	f.Fuzz(func(t *testing.T, doc, text []byte) {
		res, err := fhir.Decode("", doc)
		if err != nil {
			return
		}
		p, err := fhir.Decode("", text)
		if err != nil {
			return
		}
		before := slices.Clone(res.Source())
		out, err := patch.FHIRPath(res, p)
		if !bytes.Equal(before, res.Source()) {
			t.Fatalf("the resource became %s", res.Source())
		}
		if err != nil {
			if o := fhir.AsOutcome(err); o == nil || out != nil {
				t.Fatalf("error %v for no caller, or with a result", err)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, out); err != nil || !bytes.Equal(compact.Bytes(), out) {
			t.Fatalf("not compact JSON: %s, %v", out, err)
		}
	})
}

func BenchmarkFHIRPath(b *testing.B) {
	res, err := fhir.Decode("", []byte(communication))
	if err != nil {
		b.Fatal(err)
	}
	p := decode(b, parameters(b, `[{"type":"replace","path":"Communication.status","value":{"valueCode":"completed"}},
		{"type":"add","path":"Communication.extension[0]","name":"extension","value":{"part":[{"name":"url","valueUri":"closed"},{"name":"value","valueInstant":"2025-03-01T10:00:00.000Z"}]}}]`))
	b.SetBytes(int64(len(communication)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.FHIRPath(res, p); err != nil {
			b.Fatal(err)
		}
	}
}
