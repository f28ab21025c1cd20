package validate

import (
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// FuzzHops reads paths of discriminators.
func FuzzHops(f *testing.F) {
	for _, path := range []string{"", "$this", "url", "coding.code", "resolve().code", "value.ofType(Quantity).unit", "extension('http://x.y/z').value", "a..b", "ofType(", "resolve()x", "$this.$this", "extension(')'"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		hops, ok := parseHops(path)
		for _, h := range hops {
			if ok && h.kind != hopResolve && h.name == "" {
				t.Errorf("%q has a hop without a name", path)
			}
		}
	})
}

// FuzzProfile holds a resource against a profile, both of which may be any.
func FuzzProfile(f *testing.F) {
	for _, c := range profileCases {
		r := profileResource(f, c.resource)
		f.Add(profileOf(f, "p", r.Type(), definitions+r.Type(), c.elements).Source(), r.Source())
	}
	f.Fuzz(func(t *testing.T, profile, resource []byte) {
		p, err := fhir.Decode("StructureDefinition", profile)
		if err != nil {
			return
		}
		r, err := fhir.Decode("", resource)
		if err != nil {
			return
		}
		v := knowing(append(beside(t), p)...)
		nonsense(t, p, r.Root())
		if _, err := v.conform(t.Context(), r.Root(), p.Root().Child("url").Text(), Options{Warnings: true}); err != nil {
			t.Fatal(err)
		}
	})
}
