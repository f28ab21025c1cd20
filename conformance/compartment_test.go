package conformance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

type published struct {
	ID, URL, Code string
	Resource      []struct {
		Code, Documentation string
		Param               []string
	}
}

func publishedCompartment(t *testing.T) published {
	t.Helper()
	s, err := conformance.New(conformance.Served{Version: "1", Type: []string{"read"}, System: []string{"search-system"}})
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := s.Compartment()
	if err != nil {
		t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompartmentIsAccess holds what is published of every type and every reference
// parameter of R4 against the keys that access is decided by.
func TestCompartmentIsAccess(t *testing.T) {
	t.Parallel()
	p := publishedCompartment(t)
	if p.URL != "https://fhir.openconsult.example/CompartmentDefinition/patient" || p.Code != "Patient" || p.ID != access.Published().ID {
		t.Errorf("%s %s %s", p.ID, p.URL, p.Code)
	}
	r, err := search.NewRegistry(spec.R4(), "https://fhir.example.org/fhir", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Resource) != len(spec.R4().Resources()) {
		t.Errorf("%d types", len(p.Resource))
	}
	all := 0
	for i, typ := range spec.R4().Resources() {
		says := p.Resource[i]
		if says.Code != typ.Name {
			t.Fatalf("%s in place of %s", says.Code, typ.Name)
		}
		want := seenBy(r, typ.Name)
		if !slices.Equal(says.Param, want) {
			t.Errorf("%s: published %v, decided by %v", typ.Name, says.Param, want)
		}
		all += len(want)
		inR4 := slices.Sorted(slices.Values(spec.R4().Compartment("Patient", typ.Name)))
		if explained := says.Documentation != "" && !strings.HasPrefix(says.Documentation, "Open: "); !explained && !slices.Equal(want, inR4) {
			t.Errorf("%s: %v and not %v as in R4, and nothing says why", typ.Name, want, inR4)
		}
		if open := slices.Contains(access.Keys(&search.Index{Key: fhir.Key{Type: typ.Name, ID: "x"}}, fhir.Node{}), access.Key{Kind: access.Open}); open != strings.Contains(strings.ToLower(says.Documentation), "open") {
			t.Errorf("%s: open: %v, documentation %q", typ.Name, open, says.Documentation)
		}
	}
	if all < 90 {
		t.Errorf("only %d parameters", all)
	}
}

// seenBy returns the parameters by which a patient who is named in one sees a
// resource of a type.
func seenBy(r *search.Registry, typ string) []string {
	patient := fhir.Key{Type: "Patient", ID: "p"}
	sees := func(ix *search.Index) bool {
		return slices.Contains(access.Keys(ix, fhir.Node{}), access.Key{Kind: access.Patient, Of: "Patient/p"})
	}
	var codes []string
	if sees(&search.Index{Key: fhir.Key{Type: typ, ID: "p"}}) {
		codes = append(codes, "{def}")
	}
	for _, p := range r.Params(typ) {
		ix := &search.Index{Key: fhir.Key{Type: typ, ID: "x"}, Entries: []search.Entry{{Param: p, Value: search.Reference{Key: patient}}}}
		if sees(ix) {
			codes = append(codes, p.Code)
		}
	}
	slices.Sort(codes)
	return codes
}
