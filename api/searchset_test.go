package api

import (
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	for compartment, want := range map[string]int{"Patient": 60, "Encounter": 15, "RelatedPerson": 20, "Practitioner": 40, "Device": 20} {
		inside := members(compartment)
		if len(inside) < want || strings.Contains(strings.Join(inside, " "), "Organization ") {
			t.Errorf("%s: %v", compartment, inside)
		}
	}
	for _, other := range []string{"Organization", "", "*"} {
		if inside := members(other); inside != nil {
			t.Errorf("%s: %v", other, inside)
		}
	}
	if !strings.Contains(strings.Join(members("Patient"), " "), "Task") {
		t.Error("there are no Tasks of a patient")
	}
}

func TestWithCount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		applied []search.Parameter
		count   int
		want    string
	}{
		{nil, 20, "_count=20"},
		{[]search.Parameter{{Name: "name", Value: "a b"}, {Name: "status:not", Value: "x|y,z"}}, 20, "name=a+b&status:not=x%7Cy,z&_count=20"},
		{[]search.Parameter{{Name: "_count", Value: "5"}}, 5, "_count=5"},
		{[]search.Parameter{{Name: "_summary", Value: "count"}}, 0, "_summary=count"},
		{[]search.Parameter{{Name: "_summary", Value: "true"}}, 20, "_summary=true&_count=20"},
	} {
		if got := query(withCount(&search.Query{Applied: tt.applied, Count: tt.count})); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// TestSearchset checks what stands in a searchset that has everything but links
// to other pages.
func TestSearchset(t *testing.T) {
	t.Parallel()
	stored := func(typ, id string) store.Version {
		return store.Version{Key: fhir.Key{Type: typ, ID: id}, Number: 2, Updated: time.Unix(0, 0), Stored: []byte(`{"resourceType":"` + typ + `","id":"` + id + `","language":"en"}`)}
	}
	a := &answered{Found: interaction.Found{
		Matches: &store.Matches{
			Versions: []store.Version{stored("Patient", "a")},
			Included: []store.Version{stored("Organization", "o")},
			Total:    7, Estimated: true,
			Warnings: []fhir.Issue{{Severity: fhir.Warning, Code: fhir.TooCostly, Text: "More were left out."}},
		},
		Query: &search.Query{Select: fhir.Selection{Elements: []string{"active"}}, Warnings: []fhir.Issue{{Severity: fhir.Warning, Code: fhir.NotSupported, Text: "Left out."}}},
	}, address: "https://x/fhir/Patient"}
	b := &fhir.Bundle{Type: "searchset", Total: a.Total, Estimated: a.Estimated, Base: "https://x/fhir"}
	if err := a.fill(b); err != nil {
		t.Fatal(err)
	}
	got := string(b.Append(nil))
	for _, want := range []string{
		`"total":7,"_total":{"extension":[{"url":"` + fhir.EstimateURL,
		`{"fullUrl":"https://x/fhir/Patient/a","resource":{"resourceType":"Patient","id":"a","meta":{"versionId":"2","lastUpdated":"1970-01-01T00:00:00.000Z","tag":[`,
		`"search":{"mode":"match"}},{"fullUrl":"https://x/fhir/Organization/o"`,
		`"language":"en"},"search":{"mode":"include"}},{"resource":{"resourceType":"OperationOutcome"`,
		`Left out.`, `More were left out.`, `"search":{"mode":"outcome"}}]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	if strings.Count(got, `"language"`) != 1 || strings.Count(got, "SUBSETTED") != 1 {
		t.Errorf("_elements is not about the match alone: %s", got)
	}
	if _, err := fhir.Decode("Bundle", []byte(got)); err != nil {
		t.Error(err)
	}
}

// BenchmarkSearchset writes a page of 100 matches with 20 included resources.
func BenchmarkSearchset(b *testing.B) {
	stored := []byte(`{"resourceType":"Task","id":"0197f7a1-0000-7000-8000-000000000000","status":"ready","intent":"order","description":"` + strings.Repeat("x", 1500) + `"}`)
	v := store.Version{Key: fhir.Key{Type: "Task", ID: "0197f7a1-0000-7000-8000-000000000000"}, Number: 2, Updated: time.Unix(0, 0), Stored: stored}
	m := &store.Matches{Total: -1}
	for range 100 {
		m.Versions = append(m.Versions, v)
	}
	m.Included = m.Versions[:20]
	a := &answered{Found: interaction.Found{Matches: m, Query: &search.Query{}}}
	b.ReportAllocs()
	for b.Loop() {
		bundle := &fhir.Bundle{Type: "searchset", Total: -1, Base: "https://fhir.example.org/fhir"}
		if err := a.fill(bundle); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(bundle.Append(make([]byte, 0, bundle.Size())))))
	}
}
