package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/openconsult/openconsult/fhir/ucum"
)

// canonicalUnit returns value, which is in the UCUM unit code, in base units, and
// their text; it is not ok for what UCUM does not know.
func canonicalUnit(value *apd.Decimal, code string) (v *apd.Decimal, unit string, ok bool) {
	v, unit, err := ucum.Canonical(value, code)
	if err != nil {
		return nil, "", false
	}
	return v, unit, true
}

func comparableCodes(a, b string) bool { return ucum.Comparable(a, b) }
