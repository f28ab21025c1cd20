package patch_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/patch"
)

// applied are patches with the exact text of what they make.
var applied = []struct{ name, doc, patch, want string }{
	{
		"untouched numbers keep their text",
		`{"b":1.10,"a":1e3,"z":{"y":-0,"c":2.00},"n":12345678901234567890.123456789012345678901}`,
		`[{"op":"add","path":"/z/q","value":3.00}]`,
		`{"b":1.10,"a":1e3,"z":{"y":-0,"c":2.00,"q":3.00},"n":12345678901234567890.123456789012345678901}`,
	},
	{
		"untouched strings keep their text",
		`{"a":"\u0041<&>\/","\u0062":"é"}`,
		`[{"op":"add","path":"/c","value":"\u0041<&>\/"}]`,
		`{"a":"\u0041<&>\/","\u0062":"é","c":"\u0041<&>\/"}`,
	},
	{"no operations", `{"b":1.0,"a":[]}`, `[]`, `{"b":1.0,"a":[]}`},
	{"values are compacted", `{}`, "[{\"op\":\"add\",\"path\":\"/a\",\"value\": {\n\"b\" : [ 1.50 , \" \" ] } } ]", `{"a":{"b":[1.50," "]}}`},
	{"replace keeps the place", `{"a":1,"b":2,"c":3}`, `[{"op":"replace","path":"/b","value":2.0}]`, `{"a":1,"b":2.0,"c":3}`},
	{"add over a member keeps the place", `{"a":1,"b":2,"c":3}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null,"b":2,"c":3}`},
	{"escaped name is found", `{"\u0061\"":1}`, `[{"op":"replace","path":"/a\"","value":2}]`, `{"\u0061\"":2}`},
	{"new name is quoted", `{}`, `[{"op":"add","path":"/a\"\n~1~0","value":1}]`, `{"a\"\n/~":1}`},
	{"members of the patch may be written with escapes", `{}`, `[{"\u006fp":"\u0061dd","path":"\/a","value":1}]`, `{"a":1}`},
	{"move within an array", `[0,1,2,3]`, `[{"op":"move","from":"/0","path":"/2"}]`, `[1,2,0,3]`},
	{"move to the end", `[0,1,2]`, `[{"op":"move","from":"/0","path":"/-"}]`, `[1,2,0]`},
	{"move from nothing but the same place", `{"a":{"b":1},"c":2}`, `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":{"b":1},"c":2}`},
	{"move out of itself", `{"a":{"b":{"c":1}}}`, `[{"op":"move","from":"/a/b","path":"/a"}]`, `{"a":{"c":1}}`},
	{"move the root onto itself", `{"a":1}`, `[{"op":"move","from":"","path":""}]`, `{"a":1}`},
	{"move to the root", `{"a":{"b":1}}`, `[{"op":"move","from":"/a","path":""}]`, `{"b":1}`},
	{"pointers with a common beginning are no prefix", `{"a":1}`, `[{"op":"move","from":"/a","path":"/ab"}]`, `{"ab":1}`},
	{"copy of what was changed before", `{"a":{"b":1}}`, `[{"op":"add","path":"/a/c","value":[2.0]},{"op":"copy","from":"/a","path":"/d"},{"op":"remove","path":"/a/c/0"}]`, `{"a":{"b":1,"c":[]},"d":{"b":1,"c":[2.0]}}`},
	{"copy of the root into itself", `{"a":1}`, `[{"op":"copy","from":"","path":"/b"},{"op":"replace","path":"/b/a","value":2}]`, `{"a":1,"b":{"a":2}}`},
	{"one value used twice stays two", `{}`, `[{"op":"add","path":"/a","value":{}},{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/a/x","value":1},{"op":"add","path":"/b/y","value":2}]`, `{"a":{"x":1},"b":{"y":2}}`},
	{"scalar document", `1.0`, `[{"op":"test","path":"","value":1}]`, `1.0`},
	{"document that is not compact", ` { "a" : [ 1 , 2 ] } `, `[]`, `{"a":[1,2]}`},
	{"unknown members are ignored", `{}`, `[{"op":"add","path":"/a","value":1,"from":7,"x":[]}]`, `{"a":1}`},
}

func TestApplied(t *testing.T) {
	t.Parallel()
	for _, c := range applied {
		doc := []byte(c.doc)
		out, err := patch.JSON(doc, []byte(c.patch))
		if err != nil || string(out) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, out, err, c.want)
		}
		if string(doc) != c.doc {
			t.Errorf("%s: the document became %s", c.name, doc)
		}
	}
}

func TestTestOperation(t *testing.T) {
	t.Parallel()
	cases := []struct {
		doc, value string
		want       bool
	}{
		{`1`, `1.0`, true},
		{`1`, `10e-1`, true},
		{`100`, `1E+2`, true},
		{`0.0012`, `12e-4`, true},
		{`-0`, `0e99`, true},
		{`-0.0`, `0e99999999999999999999`, true},
		{`1`, `-1`, false},
		{`1`, `"1"`, false},
		{`1`, `10`, false},
		{`12345678901234567890.1`, `12345678901234567890.2`, false},
		{`0.1`, `0.1000000000000000055511151231257827`, false},
		{`1e99999999999999999999`, `1e99999999999999999999`, true},
		{`1e99999999999999999999`, `1e99999999999999999998`, false},
		{`1e99999999999999999999`, `1`, false},
		{`"a"`, `"\u0061"`, true},
		{`"a"`, `"A"`, false},
		{`null`, `null`, true},
		{`null`, `false`, false},
		{`true`, `true`, true},
		{`true`, `false`, false},
		{`{"a":1,"b":[2]}`, `{"b":[2.0],"\u0061":1.0}`, true},
		{`{"a":1}`, `{"b":1}`, false},
		{`{"a":1}`, `{"a":1,"b":1}`, false},
		{`{"a":1,"b":1}`, `{"a":1}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1,2]`, `[1]`, false},
		{`[]`, `{}`, false},
		{`{}`, `[]`, false},
		{`[]`, `null`, false},
		{`"t"`, `true`, false},
	}
	for _, c := range cases {
		doc := `{"x":` + c.doc + `}`
		out, err := patch.JSON([]byte(doc), fmt.Appendf(nil, `[{"op":"test","path":"/x","value":%s}]`, c.value))
		if (err == nil) != c.want {
			t.Errorf("test of %s against %s: %v", c.doc, c.value, err)
		}
		if err == nil && string(out) != doc {
			t.Errorf("test of %s left %s", doc, out)
		}
	}
}

// A test that fails says nothing of the value, and leaves the document alone.
func TestNoValuesInErrors(t *testing.T) {
	t.Parallel()
	doc := []byte(`{"name":[{"family":"Achterberg"}],"gender":"female"}`)
	for _, p := range []string{
		`[{"op":"add","path":"/x","value":1},{"op":"test","path":"/name/0/family","value":"Bloemendaal"}]`,
		`[{"op":"add","path":"/name/0/family/x","value":1}]`,
		`[{"op":"replace","path":"/name/7","value":"Bloemendaal"}]`,
	} {
		_, err := patch.JSON(doc, []byte(p))
		if err == nil || strings.Contains(err.Error(), "Achterberg") || strings.Contains(err.Error(), "Bloemendaal") {
			t.Errorf("%s: %v", p, err)
		}
		if !bytes.Equal(doc, []byte(`{"name":[{"family":"Achterberg"}],"gender":"female"}`)) {
			t.Errorf("%s: the document became %s", p, doc)
		}
	}
}

func TestBrokenDocument(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{``, `{`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{} {}`, "\"\xff\""} {
		out, err := patch.JSON([]byte(doc), []byte(`[]`))
		if err == nil || fhir.AsOutcome(err) != nil || out != nil {
			t.Errorf("%q: %s, %v; want an error that is not for the caller", doc, out, err)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, c := range applied {
		f.Add([]byte(c.doc), []byte(c.patch))
	}
	for _, c := range refused {
		f.Add([]byte(refusedDoc), []byte(c.patch))
	}
	f.Fuzz(func(t *testing.T, doc, text []byte) {
		out, err := patch.JSON(doc, text)
		if err != nil {
			if out != nil {
				t.Fatalf("error %v, but also %s", err, out)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, out); err != nil || !bytes.Equal(compact.Bytes(), out) {
			t.Fatalf("not compact JSON: %s, %v", out, err)
		}
		again, err := patch.JSON(out, fmt.Appendf(nil, `[{"op":"test","path":"","value":%s}]`, out))
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("test of the whole result %s: %s, %v", out, again, err)
		}
	})
}

const communication = `{"resourceType":"Communication","id":"0190c7a2-6d1e-7b1c-9c55-2f60d1f4a9b3","meta":{"profile":["https://example.org/fhir/StructureDefinition/consultation-message"],"tag":[{"system":"https://example.org/fhir/CodeSystem/channel","code":"app"}]},"extension":[{"url":"https://example.org/fhir/StructureDefinition/receipt","extension":[{"url":"delivered","valueInstant":"2025-03-01T09:14:22.120Z"},{"url":"read","valueInstant":"2025-03-01T09:20:01.005Z"}]}],"identifier":[{"system":"urn:ietf:rfc:3986","value":"urn:uuid:7d1c2f7a-1111-4a5b-9d0e-2b1e7cb0a001"}],"basedOn":[{"reference":"ServiceRequest/0190c7a2-0000-7b1c-9c55-2f60d1f4a9b3"}],"partOf":[{"reference":"Communication/0190c7a1-ffff-7b1c-9c55-2f60d1f4a9b3"}],"status":"in-progress","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/communication-category","code":"instruction","display":"Instruction"}],"text":"Advice after a consultation"}],"priority":"routine","medium":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationMode","code":"WRITTEN"}]}],"subject":{"reference":"Patient/0190c7a0-1234-7b1c-9c55-2f60d1f4a9b3","display":"A. Patient"},"encounter":{"reference":"Encounter/0190c7a0-5678-7b1c-9c55-2f60d1f4a9b3"},"sent":"2025-03-01T09:14:20Z","received":"2025-03-01T09:14:22Z","recipient":[{"reference":"Patient/0190c7a0-1234-7b1c-9c55-2f60d1f4a9b3"},{"reference":"RelatedPerson/0190c7a0-9abc-7b1c-9c55-2f60d1f4a9b3"}],"sender":{"reference":"PractitionerRole/0190c7a0-def0-7b1c-9c55-2f60d1f4a9b3","display":"Dr. B. Physician"},"payload":[{"contentString":"Please take the tablets twice a day, after a meal, and measure your temperature in the morning. If it is above 38.5 °C for more than two days, or if you get short of breath, write to us here or call the practice at once."},{"contentAttachment":{"contentType":"application/pdf","url":"Binary/0190c7a2-aaaa-7b1c-9c55-2f60d1f4a9b3","size":48211,"title":"Leaflet"}}],"note":[{"time":"2025-03-01T09:30:00Z","text":"The \"second\" leaflet follows."}]}`

func BenchmarkJSON(b *testing.B) {
	doc := []byte(communication)
	text := []byte(`[
  {"op": "test", "path": "/status", "value": "in-progress"},
  {"op": "replace", "path": "/status", "value": "completed"},
  {"op": "add", "path": "/extension/0/extension/-", "value": {"url": "closed", "valueInstant": "2025-03-01T10:00:00.000Z"}}
]`)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := patch.JSON(doc, text); err != nil {
			b.Fatal(err)
		}
	}
}
