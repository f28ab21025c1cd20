package search

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/spec"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	r := registry(t)
	for _, c := range []struct{ src, want string }{
		{`{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"RelatedPerson/b"},"type":"seealso"}],"generalPractitioner":[{"reference":"Practitioner/c"},{"reference":"Organization/d"}]}`,
			"Patient/a Practitioner/c RelatedPerson/b"},
		{`{"resourceType":"Practitioner","id":"a"}`, "Practitioner/a"},
		{`{"resourceType":"RelatedPerson","id":"a","patient":{"reference":"Patient/b"}}`, "Patient/b RelatedPerson/a"},
		{`{"resourceType":"Device","id":"a","patient":{"reference":"Patient/b"}}`, "Device/a"},
		{`{"resourceType":"Organization","id":"a"}`, ""},
		{`{"resourceType":"Communication","id":"a","status":"completed","subject":{"reference":"Patient/b"},"recipient":[{"reference":"Patient/b"},{"reference":"Patient/c"},{"reference":"#x"}],
			"sender":{"reference":"https://other.example.org/Patient/z"},"contained":[{"resourceType":"Patient","id":"x"}]}`, "Patient/b Patient/c"},
		{`{"resourceType":"Task","id":"a","status":"draft","intent":"order","for":{"reference":"Patient/b"},"owner":{"reference":"Practitioner/c"}}`, "Patient/b"},
	} {
		var got []string
		for _, m := range indexed(t, r, decoded(t, c.src)).Members {
			got = append(got, m.Compartment.String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", c.src, s, c.want)
		}
	}
}

// TestCompartmentsKnown: every parameter that a compartment names is known.
func TestCompartmentsKnown(t *testing.T) {
	t.Parallel()
	r := registry(t)
	n := 0
	for _, name := range compartments() {
		for _, typ := range spec.R4().Resources() {
			for _, code := range spec.R4().Compartment(name, typ.Name) {
				p := r.Param(typ.Name, code)
				switch {
				case code == "{def}":
				case p == nil:
					t.Errorf("the compartment %s names %s %s", name, typ.Name, code)
				case p.Type != ReferenceType:
					t.Errorf("the compartment %s names %s %s, a %s", name, typ.Name, code, p.Type)
				default:
					n++
				}
			}
		}
	}
	t.Logf("%d parameters make members", n)
}
