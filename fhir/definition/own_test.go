package definition

import (
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/spec"
)

// TestOwnResources: the definitions of the server itself are sound, and are found by
// their URLs.
func TestOwnResources(t *testing.T) {
	t.Parallel()
	c := NewCatalog(nil)
	seen := map[string]bool{}
	for _, o := range Own() {
		r, err := fhir.Decode(o.Key.Type, o.Text)
		if err != nil {
			t.Errorf("%s: %v", o.Key, err)
			continue
		}
		url := r.Root().Child("url").Text()
		if "https://fhir.openconsult.example/"+o.Key.String() != strings.Replace(url, o.Key.Type+"/", o.Key.Type+"/openconsult-", 1) || r.ID() != o.Key.ID || seen[url] {
			t.Errorf("%s is published as %s", o.Key, url)
		}
		seen[url] = true
		for _, canonical := range []string{url, url + "|1.0.0", url + "|1"} {
			if d, err := c.Find(t.Context(), o.Key.Type, canonical); err != nil || d == nil || d.URL != url {
				t.Errorf("%s: %v, %v", canonical, d, err)
			}
		}
	}
	for _, x := range ownExtensions() {
		if (x.value == nil) == (x.parts == nil) {
			t.Errorf("%s has a value and parts, or neither", x.name)
		}
		for _, on := range x.on {
			if spec.R4().Type(on) == nil {
				t.Errorf("%s stands at %s, which is no type", x.name, on)
			}
		}
		for _, p := range append([]ownPart{{value: x.value}}, x.parts...) {
			for _, typ := range p.value {
				if spec.R4().Type(typ) == nil {
					t.Errorf("%s: %s is no type", x.name, typ)
				}
			}
		}
	}
	for _, s := range ownSystems() {
		codes := map[string]bool{}
		for _, code := range s.codes {
			if codes[code.Code] || code.Definition == "" {
				t.Errorf("%s has %q twice, or says nothing of it", s.name, code.Code)
			}
			codes[code.Code] = true
		}
	}
}
