package validate

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
)

func ukNode(b *testing.B, p *definition.Package, name string) fhir.Node {
	b.Helper()
	src, err := json.Marshal(ukExample(b, p, name))
	if err != nil {
		b.Fatal(err)
	}
	r, err := fhir.Decode("", src)
	if err != nil {
		b.Fatal(err)
	}
	return r.Root()
}

// BenchmarkConform holds examples of UK Core against their profiles.
func BenchmarkConform(b *testing.B) {
	v, p := ukValidator(b)
	for _, c := range [][2]string{{"UKCore-Patient", richard}, {bpShape, bp}} {
		n := ukNode(b, p, c[1])
		b.Run(c[0], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if issues, err := v.conform(b.Context(), n, uk+c[0], Options{}); err != nil || len(issues) > 0 {
					b.Fatal(issues, err)
				}
			}
		})
	}
}

// BenchmarkExtensions checks the eight known extensions of a Patient, three of a small
// message, and none.
func BenchmarkExtensions(b *testing.B) {
	v, p := ukValidator(b)
	message := `{'resourceType':'Communication','id':'m','status':'completed','subject':{'reference':'Patient/1'},'payload':[%s{'contentString':'Hello'}],'sent':'2024-01-01T10:00:00Z','sender':{'reference':'Practitioner/1'},'recipient':[{'reference':'Organization/1'},{'reference':'Patient/1'}],'note':[{'text':'x'}],'topic':{'text':'x'}}`
	three := `{'contentString':'x','extension':[{'url':'http://hl7.org/fhir/StructureDefinition/narrativeLink','valueUrl':'http://example.org/#x'},{'url':'http://hl7.org/fhir/StructureDefinition/rendering-style','valueString':'x'},{'url':'http://hl7.org/fhir/StructureDefinition/data-absent-reason','valueCode':'unknown'}]},`
	for name, n := range map[string]fhir.Node{
		"Patient": ukNode(b, p, richard),
		"three":   profileResource(b, fmt.Sprintf(message, three)).Root(),
		"none":    profileResource(b, fmt.Sprintf(message, "")).Root(),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if issues, err := v.extensions(b.Context(), n, Options{}); err != nil || len(issues) > 0 {
					b.Fatal(issues, err)
				}
			}
		})
	}
}

// BenchmarkCompile compiles profiles.
func BenchmarkCompile(b *testing.B) {
	v, _ := ukValidator(b)
	for _, name := range []string{"UKCore-Patient", bpShape} {
		d, err := v.profile(b.Context(), uk+name)
		if err != nil || d == nil {
			b.Fatal(err)
		}
		root, err := d.Root()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.compile(b.Context(), root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
