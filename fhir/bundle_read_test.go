package fhir_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

const submitted = `{ "resourceType":"Bundle", "id":"b", "type":"transaction", "entry":[
	{"fullUrl":"urn:uuid:0f3c2d6e-1b6a-4d0e-9a3b-1f1f6f6f0001","resource":{"resourceType":"Patient","id":"p","meta":{"versionId":"3","source":"http://a"},"name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=a|b"}},
	{"request":{"url":"Patient/1","method":"DELETE","ifMatch":"W/\"3\""}},
	{"request":{"url":"Patient","method":"GET","ifNoneMatch":"W/\"4\"","ifModifiedSince":"2026-01-01T00:00:00Z"}},
	{"request":{"method":"PUT","url":"Basic/a\u0062"},"resource":{ "contained" : [{"resourceType":"Patient","id":"p"}], "resourceType":"Basic", "id":"ab","code":{"text":"a"},"subject":{"reference":"#p"}}},
	{"resource":{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","meta":{"source":"http://b"}}}]},"request":{"method":"POST","url":"Bundle"}}
]}`

func TestDecodeSubmission(t *testing.T) {
	t.Parallel()
	s, err := fhir.DecodeSubmission([]byte(submitted))
	if err != nil {
		t.Fatal(err)
	}
	want := []fhir.Submitted{
		{FullURL: "urn:uuid:0f3c2d6e-1b6a-4d0e-9a3b-1f1f6f6f0001", Method: "POST", URL: "Patient", IfNoneExist: "identifier=a|b"},
		{Method: "DELETE", URL: "Patient/1", IfMatch: `W/"3"`},
		{Method: "GET", URL: "Patient", IfNoneMatch: `W/"4"`, IfModifiedSince: "2026-01-01T00:00:00Z"},
		{Method: "PUT", URL: "Basic/ab"},
		{Method: "POST", URL: "Bundle"},
	}
	stored := []string{
		`{"resourceType":"Patient","id":"p","meta":{"source":"http://a"},"name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]}`, "", "",
		`{"resourceType":"Basic","id":"ab","contained":[{"resourceType":"Patient","id":"p"}],"code":{"text":"a"},"subject":{"reference":"#p"}}`,
		`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","meta":{"source":"http://b"}}}]}`,
	}
	if s.Type != "transaction" || len(s.Problems) != 0 || len(s.Entries) != len(want) {
		t.Fatalf("%+v", s)
	}
	for i, e := range s.Entries {
		r := e.Resource
		if e.Resource = nil; fmt.Sprint(e) != fmt.Sprint(want[i]) {
			t.Errorf("entry %d is %+v", i, e)
		}
		if (r != nil) != (stored[i] != "") {
			t.Fatalf("entry %d: is there a resource: %v", i, r != nil)
		}
		if r == nil {
			continue
		}
		if got := string(r.Stored(r.ID())); got != stored[i] {
			t.Errorf("entry %d would be stored as\n%s\nwant\n%s", i, got, stored[i])
		}
		whole(t, r)
	}
}

// TestDecodeSubmissionXML holds a Bundle in XML against the same in JSON.
func TestDecodeSubmissionXML(t *testing.T) {
	t.Parallel()
	r, err := fhir.Decode("Bundle", []byte(submitted))
	if err != nil {
		t.Fatal(err)
	}
	s, err := fhir.DecodeSubmissionXML(r.AppendXML(nil))
	if err != nil {
		t.Fatal(err)
	}
	same, err := fhir.DecodeSubmission([]byte(submitted))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Entries) != len(same.Entries) {
		t.Fatalf("there are %d entries", len(s.Entries))
	}
	for i, e := range s.Entries {
		other := same.Entries[i]
		if e.Resource != nil && !bytes.Equal(e.Resource.Stored("a"), other.Resource.Stored("a")) {
			t.Errorf("entry %d: %s\nand not %s", i, e.Resource.Stored("a"), other.Resource.Stored("a"))
		}
		e.Resource, other.Resource = nil, nil
		if fmt.Sprint(e) != fmt.Sprint(other) {
			t.Errorf("entry %d: %+v\nand not %+v", i, e, other)
		}
	}
	if _, err = fhir.DecodeSubmissionXML([]byte(`<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry><request><method value="GET"/></request></entry><entry id="a"/></Bundle>`)); err != nil {
		t.Fatal(err)
	}
}

// TestDecodeSubmissionProblems finds what is wrong beside the entry that it is wrong
// in, and all of it.
func TestDecodeSubmissionProblems(t *testing.T) {
	t.Parallel()
	s, err := fhir.DecodeSubmission([]byte(`{"resourceType":"Bundle","total":"3","entry":[
		{"resource":{"resourceType":"Patient","birthDate":"tomorrow","active":"yes"},"request":{"method":"POST","url":"Patient"}},
		{"request":{"method":"GET","url":"Patient/1"}},
		{"resource":{"resourceType":"Patient"}},
		{"resource":{"resourceType":"Patint"},"request":{"method":"MAKE"}},
		{"resource":{},"fullUrl":"http://a/Patient/1/_history/2","request":{"method":"POST","url":"Patient"}},
		{"resource":{"resourceType":"Basic","code":{"text":"a"}},"request":{"method":"POST","url":"Basic"}}
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	got := expressionsOf(s.Problems)
	if want := []string{"Bundle.total", "Bundle.type"}; !slices.Equal(got, want) {
		t.Errorf("the Bundle has problems at %q, want %q", got, want)
	}
	for i, want := range [][]string{
		{"Bundle.entry[0].resource.active", "Bundle.entry[0].resource.birthDate"}, nil,
		{"Bundle.entry[2].request"},
		{"Bundle.entry[3].request.method", "Bundle.entry[3].request.url", "Bundle.entry[3].resource"},
		{"Bundle.entry[4].fullUrl", "Bundle.entry[4].resource"}, nil,
	} {
		got := expressionsOf(s.Entries[i].Problems)
		if !slices.Equal(got, want) {
			t.Errorf("entry %d has problems at %q, want %q", i, got, want)
		}
		if len(want) > 0 && s.Entries[i].Resource != nil {
			t.Errorf("entry %d has a resource that cannot be used", i)
		}
	}
	if r := s.Entries[5].Resource; r == nil || r.Type() != "Basic" {
		t.Error("the problems of others took the resource from entry 5")
	}
}

func expressionsOf(issues []fhir.Issue) []string {
	var at []string
	for _, is := range issues {
		at = append(at, is.Expression)
	}
	slices.Sort(at)
	return at
}

func TestDecodeSubmissionRefuses(t *testing.T) {
	t.Parallel()
	many := `{"resourceType":"Bundle","type":"batch","entry":[` + strings.Repeat(`{"resource":{"resourceType":"Patient","a":1}},`, 150) + `{"request":{"method":"GET","url":"Patient"}}]}`
	for _, in := range []string{``, `[]`, `{`, `{"resourceType":"Patient"}`, "{\"resourceType\":\"Bundle\",\"id\":\"\xff\"}", submitted + "x", submitted[:len(submitted)-1], many} {
		if s, err := fhir.DecodeSubmission([]byte(in)); fhir.AsOutcome(err) == nil {
			t.Errorf("%.80s: %+v, %v", in, s, err)
		}
	}
	for _, in := range []string{``, `<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>`, `<Bundle xmlns="http://hl7.org/fhir"><entry>`} {
		if s, err := fhir.DecodeSubmissionXML([]byte(in)); fhir.AsOutcome(err) == nil {
			t.Errorf("%s: %+v, %v", in, s, err)
		}
	}
}

// FuzzDecodeSubmission holds what is read of a Bundle against the Bundle as a
// resource, and each resource against itself alone.
func FuzzDecodeSubmission(f *testing.F) {
	f.Add([]byte(submitted))
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":null},{"resource":{"resourceType":"Patient","_active":{"id":"a"}}},{"link":[{"relation":"self","url":"a"}],"resource":{"resourceType":"Basic"}}],"entry":[]}`))
	f.Add([]byte(`{"entry":[{"resource":{"resourceType":"Patient","meta":{}},"resource":{"resourceType":"Basic"}},{"search":{},"resource":{"a":1}}],"resourceType":"Bundle"}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := fhir.DecodeSubmission(src)
		_, other := fhir.Decode("Bundle", src)
		if err != nil {
			if fhir.AsOutcome(err) == nil || other == nil {
				t.Fatalf("%v, but %v", err, other)
			}
			return
		}
		n := len(s.Problems)
		for _, e := range s.Entries {
			n += len(e.Problems)
			complete(t, &fhir.Outcome{Issues: e.Problems})
			if e.Resource != nil {
				inPlace(t, bytes.TrimPrefix(src, []byte("\xEF\xBB\xBF")), e.Resource)
				whole(t, e.Resource)
			}
		}
		if n == 0 && other != nil {
			t.Fatalf("nothing is wrong, but %v", other)
		}
	})
}

func BenchmarkDecodeSubmission(b *testing.B) {
	src := inputs(b)["bundle100"]
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := fhir.DecodeSubmission(src)
		if err != nil || len(s.Entries) != 100 {
			b.Fatal(err)
		}
	}
}
