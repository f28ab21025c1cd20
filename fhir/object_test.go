package fhir

import (
	"testing"

	"github.com/openconsult/openconsult/fhir/spec"
)

// TestObjectHasRoom makes sure that the bit sets of an object are large enough
// for every type.
func TestObjectHasRoom(t *testing.T) {
	t.Parallel()
	var o object
	for _, typ := range spec.R4().Types() {
		if typ.PropertyNames() > 64*len(o.seen) || len(typ.Elements) > 64*len(o.filled) {
			t.Errorf("%s has %d properties and %d elements", typ.Name, typ.PropertyNames(), len(typ.Elements))
		}
	}
}
