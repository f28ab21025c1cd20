package fhir_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// A literal is JSON for primitives of a type, with the issue that each must
// lead to; an empty code is none.
type literal struct {
	typ    string
	code   fhir.Code
	values []string
}

const (
	ok        = fhir.Code("")
	wrong     = fhir.Value
	structure = fhir.Structure
)

func literals() []literal {
	digits := strings.Repeat("1234567890", 6)
	return []literal{
		{"boolean", ok, []string{`true`, `false`}},
		{"boolean", structure, []string{`"true"`, `1`, `0`, `null`, `{}`, `[true]`}},
		{"integer", ok, []string{`0`, `-0`, `2147483647`, `-2147483648`}},
		{"integer", wrong, []string{`2147483648`, `-2147483649`, `18446744073709551616`, `1.0`, `1e2`, digits}},
		{"integer", structure, []string{`"1"`, `true`, `null`}},
		{"unsignedInt", ok, []string{`0`, `-0`, `2147483647`}},
		{"unsignedInt", wrong, []string{`-1`, `2147483648`, `18446744073709551616`, `0.0`}},
		{"positiveInt", ok, []string{`1`, `2147483647`}},
		{"positiveInt", wrong, []string{`0`, `-0`, `-1`, `2147483648`, `18446744073709551617`}},
		{"decimal", ok, []string{`0`, `-0.0`, `1.00`, `1e3`, `1.5E-999`, digits + `1234`, `0.` + digits + `123`}},
		{"decimal", wrong, []string{digits + `12345`, `0.` + digits + `1234`, `1e1000`, `1e-99999`}},
		{"decimal", structure, []string{`"1.0"`, `true`}},
		{"string", ok, []string{`"a"`, `" "`, `"\t\r\n"`, `"\u00e9\ud83d\ude00"`, `"` + strings.Repeat("a", 1<<20) + `"`}},
		{"string", wrong, []string{`""`, `"a\u0000"`, `"a\u001f"`, `"a\b"`}},
		{"string", fhir.TooLong, []string{`"` + strings.Repeat("a", 1<<20+1) + `"`}},
		{"string", structure, []string{`1`, `true`, `{}`, `["a"]`}},
		{"markdown", ok, []string{`"# a\n\nb"`}},
		{"markdown", wrong, []string{`""`, `"\u0007"`}},
		{"code", ok, []string{`"a"`, `"a b"`, `"2.1"`}},
		{"code", wrong, []string{`""`, `" a"`, `"a "`, `"a  b"`, `" "`, `"a\u0000b"`}},
		{"id", ok, []string{`"a"`, `"A-1.b"`, `"` + strings.Repeat("a", 64) + `"`}},
		{"id", wrong, []string{`""`, `"a_b"`, `"a/b"`, `"a b"`, `"é"`, `"` + strings.Repeat("a", 65) + `"`}},
		{"uri", ok, []string{`"http://a.example/b?c#d"`, `"urn:oid:1.2.3"`, `"a"`}},
		{"uri", wrong, []string{`""`, `"http://a b"`, `" http://a"`, `"a\u0000"`, `"a\n"`}},
		{"url", ok, []string{`"https://a.example"`, `"mailto:a@a.example"`}},
		{"url", wrong, []string{`""`, `"https://a b"`}},
		{"canonical", ok, []string{`"http://a.example/b|1.0"`, `"#a"`}},
		{"canonical", wrong, []string{`""`, `"a b"`}},
		{"oid", ok, []string{`"urn:oid:1.2.3"`, `"urn:oid:2.16.840.1.113883.0"`}},
		{"oid", wrong, []string{`""`, `"1.2.3"`, `"urn:oid:"`, `"urn:oid:1"`, `"urn:oid:3.1"`, `"urn:oid:1.02"`, `"urn:oid:1..2"`, `"urn:oid:1.2."`, `"urn:oid:1.a"`}},
		{"uuid", ok, []string{`"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`}},
		{"uuid", wrong, []string{`""`, `"c757873d-ec9a-4326-a141-556f43239520"`, `"urn:uuid:C757873D-EC9A-4326-A141-556F43239520"`, `"urn:uuid:c757873d-ec9a-4326-a141-556f4323952"`, `"urn:uuid:c757873dxec9a-4326-a141-556f43239520"`}},
		{"base64Binary", ok, []string{`"YQ=="`, `"YWI="`, `"YWJj"`, `"YW Jj"`, `"YW\r\nJj"`, `"\/+A="`}},
		{"base64Binary", wrong, []string{`""`, `" "`, `"YQ"`, `"YQ="`, `"Y==="`, `"=YQ="`, `"YQ==YQ=="`, `"a-_b"`, `"YQ!="`}},
		{"date", ok, []string{`"2024"`, `"2024-02"`, `"2024-02-29"`, `"2000-02-29"`, `"0001-01-01"`, `"9999-12-31"`}},
		{"date", wrong, []string{`""`, `"0000"`, `"24"`, `"2024-13"`, `"2024-00"`, `"2024-2"`, `"2023-02-29"`, `"1900-02-29"`, `"2024-04-31"`, `"2024-01-00"`, `"2024-01-01T00:00:00Z"`, `"2024-01-01 "`, `"1.1.2024"`, `"2024-"`}},
		{"date", structure, []string{`2024`}},
		{"dateTime", ok, []string{`"2024"`, `"2024-02"`, `"2024-02-29"`, `"2024-02-29T23:59:59Z"`, `"2024-02-29T00:00:00.123456789+14:00"`, `"2016-12-31T23:59:60Z"`, `"2024-02-29T00:00:00-00:00"`}},
		{"dateTime", wrong, []string{`""`, `"2024-02-29T12:00:00"`, `"2024-02-29T12:00Z"`, `"2024-02-29T24:00:00Z"`, `"2024-02-29T12:60:00Z"`, `"2024-02-29T12:00:61Z"`, `"2024-02-29T12:00:00+14:01"`, `"2024-02-29T12:00:00+1:00"`, `"2024-02-29T12:00:00.Z"`, `"2024-02-29 12:00:00Z"`, `"2024-02-29t12:00:00z"`, `"2024-02T12:00:00Z"`, `"2023-02-29T12:00:00Z"`}},
		{"instant", ok, []string{`"2024-02-29T23:59:59Z"`, `"2024-02-29T23:59:59.1+01:00"`}},
		{"instant", wrong, []string{`""`, `"2024"`, `"2024-02-29"`, `"2024-02-29T23:59:59"`, `"2024-02-30T23:59:59Z"`}},
		{"time", ok, []string{`"00:00:00"`, `"23:59:60"`, `"12:30:00.5"`}},
		{"time", wrong, []string{`""`, `"24:00:00"`, `"12:30"`, `"12:30:00Z"`, `"12:30:00."`, `"1:00:00"`, `"T12:30:00"`}},
	}
}

func TestDecodePrimitive(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{"xhtml": true}
	for _, l := range literals() {
		covered[l.typ] = true
		for _, value := range l.values {
			body := `{"resourceType":"Parameters","parameter":[{"name":"a","value` + strings.ToUpper(l.typ[:1]) + l.typ[1:] + `":` + value + `}]}`
			_, err := fhir.Decode("Parameters", []byte(body))
			if got := refusal(err); got != l.code {
				t.Errorf("%s %.100s: code %q, want %q (%v)", l.typ, value, got, l.code, err)
			}
		}
	}
	for _, typ := range spec.R4().Types() {
		if typ.Kind == spec.KindPrimitive && !typ.Abstract && !covered[typ.Name] {
			t.Errorf("no test of %s", typ.Name)
		}
	}
}

// refusal returns the code of the only issue, which must be about the value.
func refusal(err error) fhir.Code {
	o := fhir.AsOutcome(err)
	switch {
	case err == nil:
		return ok
	case o == nil || len(o.Issues) != 1 || o.Issues[0].Expression != "Parameters.parameter[0].value":
		return "none or several"
	}
	return o.Issues[0].Code
}

func TestDecodeXHTML(t *testing.T) {
	t.Parallel()
	const open = `<div xmlns=\"http://www.w3.org/1999/xhtml\">`
	for _, p := range []problem{
		{"plain", open + `a</div>`, nil},
		{"script", open + `<script>a</script></div>`, []string{"value Basic.text.div"}},
		{"control character", open + `\u0000</div>`, []string{"value Basic.text.div"}},
		{"empty", ``, []string{"value Basic.text.div"}},
	} {
		p.body = `{"resourceType":"Basic","code":{"text":"a"},"text":{"status":"generated","div":"` + p.body + `"}}`
		p.check(t, "Basic")
	}
}
