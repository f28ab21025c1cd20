package search_test

import (
	"testing"

	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestInScope: what the database cannot decide by itself may not be in a scope.
func TestInScope(t *testing.T) {
	t.Parallel()
	r, err := search.NewRegistry(spec.R4(), "", 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]bool{
		"category": true, "subject": true, "date": true, "_tag": true, "_security": true,
		"_id": false, "_profile": false, "value-quantity": false, "code-value-string": false, "no-such": false, "": false,
	} {
		if r.InScope("Observation", code) != want {
			t.Errorf("Observation?%s: %t", code, !want)
		}
	}
	if r.InScope("Patient", "name") {
		t.Error("Patient?name")
	}
}
