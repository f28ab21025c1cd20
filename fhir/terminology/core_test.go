package terminology

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
)

// TestCoreValueSets wants every value set of R4 to be ready, every code that one names
// to be in it, and its expansion to have what is in it.
func TestCoreValueSets(t *testing.T) {
	t.Parallel()
	s, ctx := newService(), context.Background()
	named, listed, refused := 0, 0, map[string]int{}
	for _, set := range core[setOf](t, "ValueSet") {
		for _, k := range set.Compose.Include {
			for _, c := range k.Concept {
				if len(set.Compose.Exclude) > 0 || len(k.ValueSet) > 0 || k.System[0] == '#' {
					continue
				}
				named++
				got, err := s.Member(ctx, set.URL, Coding{System: k.System, Code: c.Code})
				if err != nil || got.Result != In {
					t.Errorf("%s: %s|%s is %d: %s %v", set.URL, k.System, c.Code, got.Result, got.Text, err)
				}
			}
		}
		e, err := s.Expand(ctx, ExpandRequest{URL: set.URL})
		if o := fhir.AsOutcome(err); o != nil {
			refused[string(o.Issues[0].Code)]++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", set.URL, err)
			continue
		}
		listed++
		agree(ctx, t, s, set.URL, e)
	}
	if named < 2000 || listed < 1100 {
		t.Errorf("%d codes named, %d value sets listed", named, listed)
	}
	t.Logf("%d codes named, %d value sets listed, not listed: %v", named, listed, refused)
}

// agree wants the codes of an expansion to be in the value set, and codes of the same
// code systems that are not in it to be in no expansion.
func agree(ctx context.Context, t *testing.T, s *Service, url string, e *Expansion) {
	t.Helper()
	in, systems := map[codeOf]bool{}, map[string]bool{}
	for i, c := range e.Contains {
		key := codeOf{c.System, c.Code}
		if in[key] {
			t.Errorf("%s: %v is there twice", url, key)
		}
		in[key], systems[c.System] = true, true
		if i%7 != 0 {
			continue
		}
		got, err := s.Member(ctx, url, Coding{System: c.System, Code: c.Code})
		if err != nil || got.Result != In {
			t.Errorf("%s: %v is in the expansion and %d: %s %v", url, key, got.Result, got.Text, err)
		}
	}
	if e.Total != len(e.Contains) {
		t.Errorf("%s: total %d of %d", url, e.Total, len(e.Contains))
	}
	for system := range systems {
		sys, err := s.system(ctx, system, "")
		if err != nil && fhir.AsOutcome(err) == nil {
			t.Fatal(err)
		}
		l, ok := sys.(*listed)
		if !ok {
			continue
		}
		for i := 0; i < len(l.all); i += 1 + len(l.all)/40 {
			code := l.all[i].code
			got, err := s.Member(ctx, url, Coding{System: system, Code: code})
			if err != nil || (got.Result == In) != in[codeOf{system, code}] || got.Result == Undecided {
				t.Errorf("%s: %s|%s is %d, in the expansion %t: %s %v", url, system, code, got.Result, in[codeOf{system, code}], got.Text, err)
			}
		}
	}
}

// TestCoreCodeSystems wants every code system of R4 to know its own codes.
func TestCoreCodeSystems(t *testing.T) {
	t.Parallel()
	type concepts struct{ Code string }
	type systemOf struct {
		URL, Content string
		Concept      []concepts
	}
	s, ctx := newService(), context.Background()
	for _, cs := range core[systemOf](t, "CodeSystem") {
		if strings.Contains(cs.URL, "|") { // six tables of V2 have what cannot be told from a version in their URL
			continue
		}
		sys, err := s.system(ctx, cs.URL, "")
		if cs.Content == "supplement" {
			if o := fhir.AsOutcome(err); o == nil {
				t.Errorf("%s is a supplement: %v", cs.URL, err)
			}
			continue
		}
		if err != nil || sys == nil {
			t.Errorf("%s: %v", cs.URL, err)
			continue
		}
		for _, c := range cs.Concept {
			known, err := sys.concept(ctx, c.Code)
			if err != nil || known == nil || known.code != c.Code {
				t.Errorf("%s|%s: %v, %v", cs.URL, c.Code, known, err)
			}
		}
	}
}

func TestNoCatalog(t *testing.T) {
	t.Parallel()
	s := New(Config{})
	got, err := s.Member(context.Background(), "urn:any", Coding{Code: "a"})
	if err != nil || got.Result != Undecided {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = s.Expand(context.Background(), ExpandRequest{URL: "urn:any"})
	if o, ok := errors.AsType[*fhir.Outcome](err); !ok || o.Class != fhir.Unknown {
		t.Error(err)
	}
}
