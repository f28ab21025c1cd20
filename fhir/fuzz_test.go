package fhir_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// FuzzDecode: no input may crash or hang the decoder; what it accepts is JSON
// without duplicate names, and comes back from the stored form with its values.
func FuzzDecode(f *testing.F) {
	for name, src := range inputs(f) {
		if name != "qr300" && name != "bundle100" {
			f.Add(src)
		}
	}
	for _, body := range []string{
		``, `{`, `null`, `{"resourceType":"Patient"}`, "\xEF\xBB\xBF" + `{ "resourceType" : "Patient" }`,
		`{"active":true,"id":"a","meta":{"versionId":"1","tag":[{"code":"\u00e9"}]},"resourceType":"Patient"}`,
		`{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://a","valueDecimal":1.50e-3}]}}`,
		`{"resourceType":"Patient","name":[{"given":["\ud83d\ude00",null],"_given":[null,{"id":"a"}]}]}`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"id":"a","resourceType":"Binary","contentType":"text/plain","data":"YQ=="}}]}`,
		`{"resourceType":"Parameters","parameter":[{"name":"a","resource":{"resourceType":"Basic","code":{"text":"b"}}}]}`,
		`{"resourceType":"Patient","contained":[{"resourceType":"Basic"}],"meta":{"_versionId":{"id":"a"}},"extension":[]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		r, err := fhir.Decode("", src)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !json.Valid(r.Source()) {
			t.Fatal("what was accepted is no JSON")
		}
		if name := duplicate(r.Source()); name != "" {
			t.Fatalf("%q is there twice", name)
		}
		if len(src) < 10_000 {
			inPlace(t, bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), r)
		}
		if problem := roundTrip(r); problem != "" {
			t.Fatal(problem)
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	o := fhir.AsOutcome(err)
	if o == nil || len(o.Issues) == 0 || len(o.Issues) > 101 {
		t.Fatalf("%v is no outcome with 1 to 101 issues", err)
	}
	complete(t, o)
	if _, err := fhir.Decode("OperationOutcome", o.JSON()); err != nil {
		t.Fatalf("the outcome is refused itself: %v", err)
	}
}

// duplicate returns the first property name that is twice in an object of src,
// which is valid JSON.
func duplicate(src []byte) string {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var open []map[string]bool // nil for an array
	key := false               // the next token is a name, if it is in an object
	for {
		token, err := d.Token()
		if err == io.EOF || err != nil {
			return ""
		}
		inside := len(open) > 0 && open[len(open)-1] != nil
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			key = true
			continue
		case string:
			if inside && key {
				if open[len(open)-1][v] {
					return v
				}
				open[len(open)-1][v] = true
				key = false
				continue
			}
		}
		key = true
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`{"a":1,"b":{"a":1},"c":["c","c"]}`: "",
		`{"a":1,"b":2,"\u0061":3}`:          "a",
		`{"x":[{"b":"b","c":[],"b":1}]}`:    "b",
	} {
		if got := duplicate([]byte(src)); got != want {
			t.Errorf("duplicate(%s) = %q, want %q", src, got, want)
		}
	}
}
