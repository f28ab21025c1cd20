package ucum_test

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/ucum"
)

func FuzzCanonical(f *testing.F) {
	for _, code := range append(units(), "10*-3/ul", "{a}.rad2{b}", "g/(8.h){shift}", "[m/s2/Hz^(1/2)]", "/m/s", "((m))-1", "m999", "B.m", "m/0", "TB") {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if ucum.Valid(code) {
			fixpoint(t, code)
			if code[0] != '/' && len(code) < 254 && strings.Count(code, "(") < 16 && !ucum.Comparable("("+code+")", code) {
				t.Errorf("%q cannot be compared with itself in parentheses", code)
			}
		}
	})
}
