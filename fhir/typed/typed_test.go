package typed

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	r4dt "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
	r4bin "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/binary_go_proto"
	r4pb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	r4pat "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/patient_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/openconsult/openconsult/fhir"
)

// examples returns the official R4 examples of up to size bytes.
func examples(t testing.TB, size int) []string {
	t.Helper()
	dir := os.Getenv("OPENCONSULT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "r4", "examples.ndjson.gz"))
	if err != nil {
		t.Skipf("needs the official R4 examples: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 64<<20)
	var lines []string
	for s.Scan() {
		if len(s.Bytes()) <= size {
			lines = append(lines, s.Text())
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// resourceOf decodes src, which must be in order.
func resourceOf(t testing.TB, src string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(src))
	if err != nil {
		t.Fatalf("%.100s: %v", src, err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, src := range []string{
		`{"resourceType":"Patient","id":"a","active":true,"birthDate":"1970-05","name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"http://a","valueCode":"b"}]}]}]}`,
		`{"resourceType":"Task","status":"in-progress","intent":"order","for":{"reference":"Patient/1"},"authoredOn":"2024-03-04T09:00:00+01:00","restriction":{"repetitions":1}}`,
		`{"resourceType":"Observation","status":"final","code":{"text":"a"},"valueQuantity":{"value":1.50,"unit":"mm"}}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"b","code":{"text":"c"}}],"managingOrganization":{"reference":"#b"}}`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Basic","code":{"text":"c"}}}]}`,
		`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://a","valueCode":"b"}]}}`,
	} {
		r := resourceOf(t, src)
		m, err := Decode(r)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		before := proto.Clone(m)
		back, err := Encode(m)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if !reflect.DeepEqual(value(t, r.Source()), value(t, back.Source())) {
			t.Errorf("%s\ncame back as\n%s", src, back.Source())
		}
		if !proto.Equal(before, m) {
			t.Errorf("%s: Encode has changed the message", src)
		}
	}
}

func value(t testing.TB, src []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(string(src)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRoundTripExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, src := range examples(t, 20_000) {
		r, err := fhir.Decode("", []byte(src))
		if err != nil {
			continue
		}
		m, err := Decode(r)
		if o := fhir.AsOutcome(err); o != nil && o.Issues[0].Code == fhir.NotSupported {
			continue
		}
		if err != nil {
			t.Errorf("%.80s: %v", src, err)
			continue
		}
		if _, err := Encode(m); err != nil && fhir.AsOutcome(err) == nil {
			t.Errorf("%.80s: %v", src, err)
			continue
		}
		n++
	}
	if n < 600 {
		t.Errorf("only %d examples were decoded", n)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, code, expression string }{
		{"reserved extension", `{"resourceType":"Binary","contentType":"a/b","data":"YQ==","_data":{"extension":[{"url":"https://g.co/fhir/StructureDefinition/base64Binary-separatorStride","extension":[{"url":"stride","valuePositiveInt":1}]}]}}`,
			"not-supported", "Binary.data.extension[0].url"},
		{"reserved extension, escaped", `{"resourceType":"Patient","extension":[{"url":"https:\/\/g.co\/fhir\/StructureDefinition\/x","valueCode":"a"}]}`,
			"not-supported", "Patient.extension[0].url"},
		{"reserved extension in contained", `{"resourceType":"Patient","contained":[{"resourceType":"Basic","code":{"extension":[{"url":"https://g.co/fhir/StructureDefinition/x","valueCode":"a"}]}}]}`,
			"not-supported", "Patient.contained[0].code.extension[0].url"},
		{"Parameters with a resource", `{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Patient"}}]}]}`,
			"not-supported", "Parameters.parameter[0].part[0].resource"},
		{"leap second", `{"resourceType":"Patient","deceasedDateTime":"2016-12-31T23:59:60Z"}`,
			"value", "Patient.deceased"},
		{"leap second in an entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","deceasedDateTime":"2016-12-31T23:59:60Z"}}]}`,
			"value", "Bundle.entry[0].resource.deceased"},
		{"uri", `{"resourceType":"Patient","implicitRules":"http://a/%zz"}`,
			"value", "Patient.implicitRules"},
		{"uri of a choice in an entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","extension":[{"url":"http://a","valueUri":"http://a/%zz"}]}}]}`,
			"value", "Bundle.entry[0].resource.extension[0].value"},
		{"uri in contained", `{"resourceType":"Patient","contained":[{"resourceType":"Basic","implicitRules":"http://a/%zz","code":{"text":"c"}}]}`,
			"value", "Patient.contained[0].implicitRules"},
	} {
		r := resourceOf(t, c.src)
		_, err := Decode(r)
		o := fhir.AsOutcome(err)
		if o == nil || len(o.Issues) != 1 || string(o.Issues[0].Code) != c.code || o.Issues[0].Expression != c.expression {
			t.Errorf("%s: %v; want %s at %s", c.name, err, c.code, c.expression)
			continue
		}
		severity := fhir.Warning
		if c.code == "not-supported" {
			severity = fhir.Information
		}
		if issues := Check(r); len(issues) != 1 || issues[0].Severity != severity {
			t.Errorf("%s: Check says %v", c.name, issues)
		}
	}
	if issues := Check(resourceOf(t, `{"resourceType":"Patient"}`)); issues != nil {
		t.Errorf("Check of a Patient says %v", issues)
	}
}

func TestFindingsHideValues(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]fhir.Issue{
		`error at "Patient.name[0]": unknown field`: {Code: fhir.Structure, Expression: "Patient.name[0]",
			Text: "The second decoder does not take this element: unknown field."},
		`error at "Questionnaire.item[2]": missing required field "linkId"`: {Code: fhir.Required, Expression: "Questionnaire.item[2].linkId",
			Text: "linkId is required here and missing."},
		`error at "Observation.value.quantity.value": invalid reference: smallpox`: {Code: fhir.Value, Expression: "Observation.value.value",
			Text: "The second decoder does not take this element."},
		`nil message for json input: smallpox`: {Code: fhir.Value, Text: "The second decoder does not take this element."},
		`error at "smallpox": unknown field`:   {Code: fhir.Structure, Text: "The second decoder does not take this element: unknown field."},
	} {
		var f findings
		f.add(errors.New(line + "\n" + line))
		if got := f.issues(); !slices.Equal(got, []fhir.Issue{want}) {
			t.Errorf("%s: %+v, want %+v once", line, got, want)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	var none map[string]int
	for name, f := range map[string]func() error{
		"a text":  func() error { panic("smallpox") },
		"runtime": func() error { none["smallpox"] = 1; return nil },
	} {
		if err := guard(f); err == nil || strings.Contains(err.Error(), "smallpox") {
			t.Errorf("guard of %s: %v", name, err)
		}
	}
	if err := guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestEncodeAuthored(t *testing.T) {
	t.Parallel()
	r, err := Encode(&r4pat.Patient{Id: &r4dt.Id{Value: "a"}, Active: &r4dt.Boolean{Value: true}})
	if err != nil || string(r.Stored("a")) != `{"resourceType":"Patient","id":"a","active":true}` {
		t.Errorf("%v, %v", r, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	binary := &r4bin.Binary{ContentType: &r4bin.Binary_ContentTypeCode{Value: "a/b"}, Data: &r4dt.Base64Binary{Value: []byte("a")}}
	bundle := &r4pb.Bundle{Entry: []*r4pb.Bundle_Entry{{Resource: &r4pb.ContainedResource{OneofResource: &r4pb.ContainedResource_Binary{Binary: binary}}}}}
	lines, err := Decode(resourceOf(t, `{"resourceType":"Patient","photo":[{"data":"YW Jj"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]proto.Message{
		"Binary":           binary,
		"Bundle of Binary": bundle,
		"base64 in lines":  lines,
	} {
		_, err := Encode(m)
		if o := fhir.AsOutcome(err); o == nil || o.Issues[0].Code != fhir.NotSupported {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]proto.Message{
		"nil":            nil,
		"nil Patient":    (*r4pat.Patient)(nil),
		"no FHIR":        &structpb.Struct{},
		"no resource":    &r4pb.ContainedResource{},
		"data type":      &r4dt.HumanName{Text: &r4dt.String{Value: "a"}},
		"not valid":      &r4pat.Patient{Id: &r4dt.Id{Value: "a_b"}},
		"no time at all": &r4pat.Patient{BirthDate: &r4dt.Date{Timezone: "smallpox"}},
	} {
		if r, err := Encode(m); err == nil {
			t.Errorf("%s was encoded as %s", name, r.Source())
		}
	}
}

func TestEncodeConcurrently(t *testing.T) {
	t.Parallel()
	m, err := Decode(resourceOf(t, `{"resourceType":"Task","status":"draft","intent":"order","for":{"reference":"Patient/1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := Encode(m)
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
