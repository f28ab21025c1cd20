package interaction_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// TestNoGrantNoSearch tries without a grant everything that finds something.
func TestNoGrantNoSearch(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Grant{}, interaction.Origin{})
	r := decode(t, `{"resourceType":"Patient","id":"ada"}`)
	target := interaction.Target{Type: "Patient", Criteria: "active=true"}
	for name, try := range map[string]func() error{
		"search of type": func() error {
			_, err := s.Search(t.Context(), interaction.Page{Request: search.Request{Types: []string{"Patient"}}})
			return err
		},
		"search of system": func() error { _, err := s.Search(t.Context(), interaction.Page{}); return err },
		"search of compartment": func() error {
			_, err := s.Search(t.Context(), interaction.Page{Request: search.Request{Within: &ada}})
			return err
		},
		"conditional create": func() error { _, err := s.CreateIf(t.Context(), r, "active=true"); return err },
		"conditional update": func() error { _, err := s.UpdateIf(t.Context(), r, target); return err },
		"conditional patch": func() error {
			_, err := s.PatchIf(t.Context(), target, interaction.Change{JSON: []byte(`[]`)})
			return err
		},
		"conditional delete": func() error { _, err := s.DeleteIf(t.Context(), target); return err },
		"reindex":            func() error { return s.StartReindex(t.Context()) },
		"state of reindex":   func() error { _, err := s.Reindexing(t.Context()); return err },
	} {
		if o := fhir.AsOutcome(try()); o == nil || o.Class != fhir.Denied {
			t.Errorf("%s: %v, want a denial", name, o)
		}
	}
}

// TestPageLinks seals a page and opens it where it belongs and where it does not.
func TestPageLinks(t *testing.T) {
	t.Parallel()
	e := engine(t)
	s := e.For(access.Trusted("one"), interaction.Origin{})
	now := time.UnixMilli(1_700_000_000_123)
	page := interaction.Page{After: "there", Request: search.Request{
		Types:  []string{"Task"},
		Within: &ada,
		Params: []search.Parameter{{Name: "authored-on", Value: "ap2026"}, {Name: "code:text", Value: "a&b=c|\"\\"}},
		Now:    now,
	}}
	word, err := s.SealPage(page)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.SealPage(page)
	if err != nil || again != word {
		t.Errorf("the same page is sealed as %s and %s, %v", word, again, err)
	}
	if strings.Contains(word, "ap2026") || strings.Contains(word, "ada") {
		t.Errorf("the word tells what it says: %s", word)
	}
	at := interaction.Page{Request: search.Request{Types: []string{"Task"}, Within: &fhir.Key{Type: "Patient", ID: "ada"}, Lenient: true, Now: now.Add(time.Hour)}}
	got, err := s.OpenPage(at, word)
	if err != nil || !reflect.DeepEqual(got, page) {
		t.Errorf("opened %+v, %v, want %+v", got, err, page)
	}
	other := at
	other.Types = []string{"Communication"}
	without := at
	without.Within = nil
	for name, try := range map[string]func() error{
		"another caller": func() error {
			_, err := e.For(access.Trusted("two"), interaction.Origin{}).OpenPage(at, word)
			return err
		},
		"another type":        func() error { _, err := s.OpenPage(other, word); return err },
		"another compartment": func() error { _, err := s.OpenPage(without, word); return err },
		"a changed word":      func() error { _, err := s.OpenPage(at, "A"+word[1:]+"A"); return err },
		"a cut word":          func() error { _, err := s.OpenPage(at, word[:len(word)-2]); return err },
		"no word":             func() error { _, err := s.OpenPage(at, ""); return err },
	} {
		if o := fhir.AsOutcome(try()); o == nil || o.Class != fhir.BadRequest {
			t.Errorf("%s: %v, want a refusal", name, o)
		}
	}
}

// TestConditionalPatchesAddUp lets clients patch one resource at once, half of
// them by its id: every patch that is answered with success is in the result.
func TestConditionalPatchesAddUp(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	r := decode(t, `{"resourceType":"Patient","id":"ada","active":true,"name":[{"text":"<0>"}]}`)
	if _, err := s.Update(t.Context(), "ada", r, store.Anything); err != nil {
		t.Fatal(err)
	}
	const clients, each = 6, 5
	done := make([][]string, clients)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				mark := fmt.Sprintf("<%d-%d>", c, i)
				ops := interaction.Change{JSON: fmt.Appendf(nil, `[{"op":"add","path":"/name/-","value":{"text":"%s"}}]`, mark)}
				var err error
				if c%2 == 0 {
					_, err = s.PatchIf(t.Context(), interaction.Target{Type: "Patient", Criteria: "active=true"}, ops)
				} else {
					_, err = s.Patch(t.Context(), ada, ops, store.Anything)
				}
				switch o := fhir.AsOutcome(err); {
				case err == nil:
					done[c] = append(done[c], mark)
				case o == nil || o.Class != fhir.Clash:
					t.Errorf("%s: %v", mark, err)
				}
			}
		})
	}
	wg.Wait()
	v, err := s.Read(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, marks := range done {
		for _, mark := range marks {
			if n++; strings.Count(string(v.Stored), mark) != 1 {
				t.Errorf("%s is there %d times", mark, strings.Count(string(v.Stored), mark))
			}
		}
	}
	if n == 0 || v.Number != n+1 {
		t.Errorf("%d patches made version %d", n, v.Number)
	}
	t.Logf("%d of %d patches were carried out", n, clients*each)
}
