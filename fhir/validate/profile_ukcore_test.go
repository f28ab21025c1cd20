package validate

import (
	"path"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/definition"
)

// ukProfile returns the profile that an example is for: that with the longest name which
// the name of the example begins with.
func ukProfile(p *definition.Package, example definition.File) string {
	best, url := "", ""
	for _, f := range p.Contents {
		root := f.Resource.Root()
		id := root.Child("id").Text()
		if f.Resource.Type() != "StructureDefinition" || root.Child("type").Text() != example.Resource.Type() {
			continue
		}
		if strings.HasPrefix(path.Base(example.Name), id+"-") && len(id) > len(best) {
			best, url = id, root.Child("url").Text()
		}
	}
	return url
}

// TestUKCoreExamples holds the examples of UK Core to the profiles that they are for.
// Those that break one are listed with the reason.
func TestUKCoreExamples(t *testing.T) {
	t.Parallel()
	v, p := ukValidator(t)
	for _, is := range p.Problems {
		t.Logf("left out: %s", is.Text)
	}
	known := reasons(t, "profile_ukcore.txt")
	claims, met := 0, map[string]bool{}
	all := p.Examples
	for _, f := range p.Contents {
		if strings.HasPrefix(f.Name, "examples/") {
			all = append(all, f)
		}
	}
	for _, f := range all {
		o := Options{Warnings: true}
		if profile := ukProfile(p, f); profile != "" {
			o.Profiles = []string{profile}
			claims++
		}
		issues, err := v.Check(t.Context(), f.Resource.Root(), o)
		if err != nil {
			t.Fatal(err)
		}
		list := told(issues)
		if len(list) > 0 {
			met[f.Name] = true
		}
		if (known[f.Name] == "") != (len(list) == 0) {
			t.Errorf("%s: %s", f.Name, strings.Join(list, ", "))
		}
	}
	for name := range known {
		if !met[name] {
			t.Errorf("%s is listed, but conforms", name)
		}
	}
	t.Logf("%d examples with %d claims, %d do not conform", len(all), claims, len(met))
	if len(all) < 200 || claims < 90 {
		t.Errorf("there are %d examples with %d claims only", len(all), claims)
	}
}

// TestUKCoreDefinitions finds nothing wrong with the profiles and extensions of UK Core.
func TestUKCoreDefinitions(t *testing.T) {
	t.Parallel()
	v, p := ukValidator(t)
	count := 0
	for _, f := range p.Contents {
		if f.Resource.Type() != "StructureDefinition" {
			continue
		}
		count++
		issues, err := v.flawsIn(t.Context(), f.Resource.Root())
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range issues {
			t.Errorf("%s: %s %s: %s", f.Name, is.Detail, is.Expression, is.Text)
		}
	}
	if count != 153 {
		t.Errorf("there are %d definitions, not 153", count)
	}
}
