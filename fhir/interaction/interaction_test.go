package interaction_test

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

var ada = fhir.Key{Type: "Patient", ID: "ada"}

func engine(t testing.TB) *interaction.Engine {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: pgtest.New(t).DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return interaction.New(interaction.Config{Store: db})
}

func decode(t testing.TB, body string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestNoGrantNoAccess tries everything without a grant.
func TestNoGrantNoAccess(t *testing.T) {
	t.Parallel()
	e := engine(t)
	r := decode(t, `{"resourceType":"Patient","id":"ada"}`)
	if _, err := e.For(access.Trusted("test"), interaction.Origin{}).Update(t.Context(), "ada", r, store.Anything); err != nil {
		t.Fatal(err)
	}
	s := e.For(access.Grant{}, interaction.Origin{})
	for name, try := range map[string]func() error{
		"read":    func() error { _, err := s.Read(t.Context(), ada); return err },
		"read at": func() error { _, err := s.ReadAt(t.Context(), ada, time.Now()); return err },
		"vread":   func() error { _, err := s.VRead(t.Context(), ada, 1); return err },
		"create":  func() error { _, err := s.Create(t.Context(), r); return err },
		"update":  func() error { _, err := s.Update(t.Context(), "ada", r, store.Anything); return err },
		"patch": func() error {
			_, err := s.Patch(t.Context(), ada, interaction.Change{JSON: []byte(`[]`)}, store.Anything)
			return err
		},
		"delete": func() error { _, err := s.Delete(t.Context(), ada, store.Anything); return err },
		"purge":  func() error { _, err := s.Purge(t.Context(), ada); return err },
		"history of instance": func() error {
			_, err := s.History(t.Context(), store.History{Type: "Patient", ID: "ada", Count: 1})
			return err
		},
		"history of type":   func() error { _, err := s.History(t.Context(), store.History{Type: "Patient", Count: 1}); return err },
		"history of system": func() error { _, err := s.History(t.Context(), store.History{Count: 1}); return err },
	} {
		if o := fhir.AsOutcome(try()); o == nil || o.Class != fhir.Denied {
			t.Errorf("%s: %v, want a denial", name, o)
		}
	}
}

// TestPatchesAddUp lets clients patch one resource at once without naming a
// version: every patch that is answered with success is in the result.
func TestPatchesAddUp(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	if _, err := s.Update(t.Context(), "ada", decode(t, `{"resourceType":"Patient","id":"ada","name":[{"text":"start"}]}`), store.Anything); err != nil {
		t.Fatal(err)
	}
	const clients, each = 8, 5
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				ops := interaction.Change{JSON: fmt.Appendf(nil, `[{"op":"add","path":"/name/-","value":{"text":"<%d-%d>"}}]`, c, i)}
				_, err := s.Patch(t.Context(), ada, ops, store.Anything)
				for o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Clash; o = fhir.AsOutcome(err) {
					_, err = s.Patch(t.Context(), ada, ops, store.Anything)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	v, err := s.Read(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(v.Stored), `"<`); n != clients*each || v.Number != clients*each+1 {
		t.Errorf("%d names in version %d, want %d in version %d", n, v.Number, clients*each, clients*each+1)
	}
}

func TestPatchKeepsTheID(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	if _, err := s.Update(t.Context(), "ada", decode(t, `{"resourceType":"Patient","id":"ada"}`), store.Anything); err != nil {
		t.Fatal(err)
	}
	for _, ops := range []string{
		`[{"op":"replace","path":"/id","value":"eve"}]`,
		`[{"op":"remove","path":"/id"}]`,
		`[{"op":"replace","path":"/resourceType","value":"Group"}]`,
		`[{"op":"add","path":"/nonsense","value":1}]`,
	} {
		_, err := s.Patch(t.Context(), ada, interaction.Change{JSON: []byte(ops)}, store.Anything)
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable {
			t.Errorf("%s: %v, want a refusal", ops, err)
		}
	}
	if v, err := s.Read(t.Context(), ada); err != nil || v.Number != 1 {
		t.Errorf("version %d, %v; want the first", v.Number, err)
	}
}

// TestIDsGrow makes sure that ids made later sort later, so that they go to the
// end of indexes.
func TestIDsGrow(t *testing.T) {
	t.Parallel()
	s := engine(t).For(access.Trusted("test"), interaction.Origin{})
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	last := ""
	for range 3 {
		done, err := s.Create(t.Context(), decode(t, `{"resourceType":"Patient","id":"ignored"}`))
		if err != nil {
			t.Fatal(err)
		}
		if id := done.Key.ID; !uuid.MatchString(id) || id[:8] < last {
			t.Errorf("id %s after %s", id, last)
		}
		last = done.Key.ID[:8]
	}
}
