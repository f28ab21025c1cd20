package fhir_test

import (
	"bytes"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

func TestSubset(t *testing.T) {
	t.Parallel()
	const tag = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	const observation = `{"resourceType":"Observation","id":"o","meta":{"versionId":"1"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},"extension":[{"url":"http://a","valueCode":"b"}],"status":"final","_status":{"id":"s"},"code":{"text":"c"},"valueQuantity":{"value":1.50},"note":[{"text":"n"}],"component":[{"code":{"text":"d"},"interpretation":[{"text":"e"}]}]}`
	for _, c := range []struct {
		name  string
		s     fhir.Selection
		in    string
		want  string
		whole bool
	}{
		{name: "all", in: observation, want: observation, whole: true},
		{name: "false", s: fhir.Selection{Summary: fhir.SummaryFalse}, in: observation, want: observation, whole: true},
		{name: "true", s: fhir.Selection{Summary: fhir.SummaryTrue}, in: observation,
			want: `{"resourceType":"Observation","id":"o","meta":{"versionId":"1","tag":[` + tag + `]},"status":"final","_status":{"id":"s"},"code":{"text":"c"},"valueQuantity":{"value":1.50},"component":[{"code":{"text":"d"}}]}`},
		{name: "text", s: fhir.Selection{Summary: fhir.SummaryText}, in: observation,
			want: `{"resourceType":"Observation","id":"o","meta":{"versionId":"1","tag":[` + tag + `]},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},"status":"final","_status":{"id":"s"},"code":{"text":"c"}}`},
		{name: "data", s: fhir.Selection{Summary: fhir.SummaryData}, in: `{"resourceType":"Basic","id":"b","meta":{"tag":[{"code":"t"}]},"text":{"status":"empty","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},"code":{"text":"c"},"author":{"display":"d"}}`,
			want: `{"resourceType":"Basic","id":"b","meta":{"tag":[` + tag + `,{"code":"t"}]},"code":{"text":"c"},"author":{"display":"d"}}`},
		{name: "elements", s: fhir.Selection{Elements: []string{"value", "note"}}, in: observation,
			want: `{"resourceType":"Observation","id":"o","meta":{"versionId":"1","tag":[` + tag + `]},"status":"final","_status":{"id":"s"},"code":{"text":"c"},"valueQuantity":{"value":1.50},"note":[{"text":"n"}]}`},
		{name: "elements with whitespace", s: fhir.Selection{Elements: []string{"active"}}, in: `{ "resourceType" : "Patient" , "meta" : { "tag" : [ { "code" : "t" } ] } , "active" : true , "gender" : "male" }`,
			want: `{"resourceType":"Patient","meta":{"tag":[` + tag + `,{ "code" : "t" } ]},"active":true}`},
		{name: "no meta", s: fhir.Selection{Elements: []string{"active"}}, in: `{"resourceType":"Patient","id":"p","active":true,"gender":"male"}`,
			want: `{"resourceType":"Patient","id":"p","active":true,"meta":{"tag":[` + tag + `]}}`},
	} {
		r, err := fhir.Decode("", []byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := fhir.Subset(r.Type(), r.Source(), c.s)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v; want\n%s", c.name, got, err, c.want)
		}
		if c.s.All() != c.whole {
			t.Errorf("%s: All is %v", c.name, c.s.All())
		}
	}
	if _, err := fhir.Subset("Foo", []byte(`{}`), fhir.Selection{Summary: fhir.SummaryTrue}); err == nil {
		t.Error("a subset of an unknown type gave no error")
	}
}

// TestSubsetExamples makes sure that a subset is still a resource, tagged once.
func TestSubsetExamples(t *testing.T) {
	t.Parallel()
	selections := []fhir.Selection{{Summary: fhir.SummaryTrue}, {Summary: fhir.SummaryText}, {Summary: fhir.SummaryData}, {Elements: []string{"status", "subject"}}}
	n := 0
	for _, example := range examples(t) {
		r, err := fhir.Decode("", []byte(example))
		if err != nil || len(example) > 50_000 {
			continue
		}
		stored := fhir.Stamp(nil, r.Stored("a"), fhir.Key{Type: r.Type(), ID: "a"}, fhir.Meta{Version: 1, Updated: stamped})
		for _, s := range selections {
			n++
			subset, err := fhir.Subset(r.Type(), stored, s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fhir.Decode(r.Type(), subset); err != nil {
				t.Errorf("%s with %+v: %v", name(t, example), s, err)
			}
			if bytes.Count(subset, []byte(`"SUBSETTED"`)) != 1+bytes.Count(stored, []byte(`"SUBSETTED"`)) {
				t.Errorf("%s with %+v is not tagged once", name(t, example), s)
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d subsets were made", n)
	}
}
