package conformance_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestParametersServed asks every search parameter and every include that the
// statement lists of the parser of searches.
func TestParametersServed(t *testing.T) {
	t.Parallel()
	r, err := search.NewRegistry(spec.R4(), "", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := conformance.New(conformance.Served{Type: []string{"search-type"}, Parameters: func() *search.Registry { return r }})
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := statements.For("", "https://fhir.example.org/fhir")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Rest []struct {
			Resource []struct {
				Type, Profile                   string
				SearchInclude, SearchRevInclude []string
				SearchParam                     []struct{ Name, Type, Definition string }
			}
		}
	}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	asked, followed := 0, 0
	try := func(typ, name, value string) {
		q, err := r.Parse(search.Request{Types: []string{typ}, Params: []search.Parameter{{Name: name, Value: value}}, Now: time.Now()})
		if err != nil || len(q.Warnings) > 0 {
			t.Errorf("%s?%s=%s: %v, %v", typ, name, value, err, q)
		}
	}
	for _, res := range s.Rest[0].Resource {
		for _, p := range res.SearchParam {
			asked++
			switch {
			case p.Name == "_filter":
				try(res.Type, p.Name, "_id eq a")
			case slices.Contains([]string{"_id", "_lastUpdated", "_content", "_text"}, p.Name):
				try(res.Type, p.Name, "2020")
			case p.Type == "composite":
				if param := r.Param(res.Type, p.Name); param == nil || len(param.Parts) < 2 {
					t.Errorf("%s has no composite %s", res.Type, p.Name)
				}
			default:
				try(res.Type, p.Name+":missing", "true")
			}
		}
		for _, name := range res.SearchInclude {
			followed++
			try(res.Type, "_include", name)
		}
		for _, name := range res.SearchRevInclude {
			followed++
			try(res.Type, "_revinclude", name)
		}
	}
	t.Logf("%d parameters, %d includes, %d bytes", asked, followed, len(body))
	if len(s.Rest[0].Resource) != len(spec.R4().Resources()) || asked < 2000 || followed < 2000 {
		t.Error("the statement does not list what there is")
	}
}
