package fhir_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestManyElements takes a resource of very many elements if it is as large as it would
// be for what it says, however it is spaced out, and refuses one that only costs memory.
func TestManyElements(t *testing.T) {
	t.Parallel()
	list := func(element string) []byte {
		return []byte(`{"resourceType":"CodeSystem","status":"active","content":"complete","concept":[` + strings.Repeat(element+",", 420_000) + element + `]}`)
	}
	for _, test := range []struct {
		name, element string
		taken         bool
	}{
		{"large", `{"code":"100000000","display":"A disorder"}`, true},
		{"dense", `{"code":"1","display":"A"}`, false},
		{"spaced out", `{"code":"1",                                  "display":"A"}`, false},
	} {
		r, err := fhir.Decode("CodeSystem", list(test.element))
		if o := fhir.AsOutcome(err); (err == nil) != test.taken || err != nil && o.Issues[len(o.Issues)-1].Detail != "too-many-elements" {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if err == nil {
			if _, err := fhir.Decode("CodeSystem", r.Stored("a")); err != nil {
				t.Errorf("%s cannot be read again: %v", test.name, err)
			}
		}
	}
}
