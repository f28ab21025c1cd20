package validate

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/terminology"
)

// A shelf is a Layer of definitions in memory.
type shelf []*fhir.Resource

func (s shelf) Current(_ context.Context, typ, url string) ([]definition.Stamp, error) {
	var found []definition.Stamp
	for i, r := range s {
		if r.Type() == typ && r.Root().Child("url").Text() == url {
			found = append(found, s.stamp(i))
		}
	}
	return found, nil
}

func (s shelf) stamp(i int) definition.Stamp {
	return definition.Stamp{Key: fhir.Key{Type: s[i].Type(), ID: s[i].ID()}, Number: 1}
}

func (s shelf) Load(_ context.Context, want definition.Stamp) ([]byte, error) {
	for i, r := range s {
		if s.stamp(i) == want {
			return r.Stored(r.ID()), nil
		}
	}
	return nil, os.ErrNotExist
}

// knowing returns a Validator that knows these definitions, too.
func knowing(all ...*fhir.Resource) *Validator {
	c := definition.NewCatalog(shelf(all))
	return New(Config{Definitions: c, Terms: terminology.New(terminology.Config{Definitions: c})})
}

// ukCore returns UK Core: its definitions and its examples.
func ukCore(t testing.TB) *definition.Package {
	t.Helper()
	p, err := definition.ReadFolder(os.DirFS(shared(t, "suites/ukcore")))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ukValidator(t testing.TB) (*Validator, *definition.Package) {
	t.Helper()
	p := ukCore(t)
	var all []*fhir.Resource
	for _, f := range p.Contents {
		all = append(all, f.Resource)
	}
	return knowing(all...), p
}

// ukExample returns an example of UK Core as JSON that may be changed.
func ukExample(t testing.TB, p *definition.Package, name string) map[string]any {
	t.Helper()
	for _, f := range append(p.Examples, p.Contents...) {
		if strings.HasSuffix(f.Name, name+".xml") {
			var m map[string]any
			if err := json.Unmarshal(f.Resource.Source(), &m); err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("there is no example %s", name)
	return nil
}

// profileResource decodes a resource that was written down as JSON with single quotes
// for convenience.
func profileResource(t testing.TB, src string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(strings.ReplaceAll(src, "'", `"`)))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return r
}

// told returns Detail and place of issues as severe as an error, or as a warning if it is
// about a profile itself.
func told(issues []fhir.Issue) []string {
	var list []string
	for _, is := range issues {
		switch {
		case is.Severity == fhir.Error:
			list = append(list, is.Detail+" "+is.Expression)
		case strings.HasPrefix(is.Detail, "profile-"), strings.HasPrefix(is.Detail, "modifier-"):
			list = append(list, is.Severity.String()+" "+is.Detail+" "+is.Expression)
		}
	}
	return list
}
