package api

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/search"
)

func TestWithoutAsync(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		headers []string
		rest    string
		asks    bool
	}{
		{nil, "", false},
		{[]string{"respond-async"}, "", true},
		{[]string{"return=minimal, Respond-Async; wait=10", "handling=lenient"}, "return=minimal, handling=lenient", true},
		{[]string{"return=representation"}, "return=representation", false},
		{[]string{"respond-asynchronously,"}, "respond-asynchronously", false},
	} {
		if rest, asks := withoutAsync(tt.headers); rest != tt.rest || asks != tt.asks {
			t.Errorf("%q: %q, %t", tt.headers, rest, asks)
		}
	}
}

func TestWithoutFormat(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "_format=xml": "", "name=a%26b&_format=json&_pretty=true&x=1": "name=a%26b&x=1", "%5Fformat=xml&y": "y",
	} {
		if got := withoutFormat(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}

func TestReadExport(t *testing.T) {
	t.Parallel()
	param := func(name, value string) search.Parameter { return search.Parameter{Name: name, Value: value} }
	x := bulk.Export{Level: "Patient"}
	err := readExport(&x, []search.Parameter{
		param("_outputFormat", "application/fhir ndjson"), param("_since", "2026-05-01T12:00:00+02:00"), param("_type", "Patient, Observation"), param("_type", "Task"),
		param("_elements", "id,Patient.name"), param("_typeFilter", "Observation?code=a,b,Observation?status=final"), param("_typeFilter", "Task?owner=c"), param("patient", "Patient/1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "[Patient Observation Task] [Observation?code=a,b Observation?status=final Task?owner=c] [id Patient.name] [1] 2026-05-01 10:00:00 +0000 UTC"
	if got := fmt.Sprint(x.Types, x.Filters, x.Elements, x.Patients, x.Since.UTC()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, wrong := range []search.Parameter{param("_outputFormat", "csv"), param("_since", "2026"), param("patient", "Observation/1"), param("colour", "red")} {
		x := bulk.Export{Level: "Patient"}
		o := fhir.AsOutcome(readExport(&x, []search.Parameter{wrong}))
		if o == nil || o.Issues[0].Expression != "http."+wrong.Name {
			t.Errorf("%v: %v", wrong, o)
		}
		x.Lenient = true
		if err := readExport(&x, []search.Parameter{wrong}); (err == nil) != slices.Contains([]string{"_outputFormat", "patient", "colour"}, wrong.Name) {
			t.Errorf("%v, leniently: %v", wrong, err)
		}
	}
	twice := []search.Parameter{param("_since", "2026-05-01T12:00:00Z"), param("_since", "2026-05-01T12:00:00Z")}
	if err := readExport(&bulk.Export{}, twice); err == nil {
		t.Error("_since may be given twice")
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	const good = `{"resourceType":"Parameters","parameter":[{"name":"inputFormat","valueCode":"application/fhir+ndjson"},{"name":"inputSource","valueUri":"https://example.org"},{"name":"input","part":[{"name":"type","valueCode":"Patient"},{"name":"url","valueUrl":"https://example.org/1"}]},{"name":"input","part":[{"name":"url","valueUrl":"https://example.org/2"}]}]}`
	for body, want := range map[string]string{
		good: "[{https://example.org/1 Patient} {https://example.org/2 }]",
		`{"resourceType":"Parameters","parameter":[{"name":"inputFormat","valueCode":"text/csv"}]}`:                                                          "",
		`{"resourceType":"Parameters","parameter":[{"name":"input","part":[{"name":"type","valueCode":"Colour"},{"name":"url","valueUrl":"https://a/b"}]}]}`: "",
		`{"resourceType":"Parameters","parameter":[{"name":"input","part":[{"name":"token","valueString":"x"}]}]}`:                                           "",
		`{"resourceType":"Parameters"}`: "",
	} {
		r, err := fhir.Decode("Parameters", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		all, err := sources(r)
		if got := fmt.Sprint(all); err == nil && got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %s, %v, want %s", body, got, err, want)
		}
	}
}
