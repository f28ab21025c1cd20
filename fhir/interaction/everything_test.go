package interaction_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/spec"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// exampleWorld returns a world with the official examples in it, as far as they are of types of
// a patient's record or of what goes along with one.
func exampleWorld(t testing.TB) *world {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "r4", "examples.ndjson.gz"))
	if err != nil {
		t.Skipf("the official examples are not here: %v", err)
	}
	defer f.Close()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	lines := bufio.NewScanner(zr)
	lines.Buffer(nil, 1<<24)
	n := 0
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "Patient/example") && !slices.ContainsFunc(goAlong(), func(typ string) bool { return strings.Contains(lines.Text()[:60], `"`+typ+`"`) }) {
			continue
		}
		r, err := fhir.Decode("", lines.Bytes())
		if err != nil {
			continue // some examples contradict the specification
		}
		if _, err := w.trusted.Update(t.Context(), r.ID(), r, store.Anything); err == nil {
			n++
		}
	}
	if n < 200 {
		t.Fatalf("%d examples were stored", n)
	}
	w.put(`{"resourceType":"Patient","id":"example","active":true,"managingOrganization":{"reference":"Organization/a"}}`)
	return w
}

func goAlong() []string {
	return []string{"Patient", "Device", "DeviceDefinition", "HealthcareService", "Location", "Medication", "Organization", "Practitioner", "PractitionerRole", "Slot", "Substance"}
}

// collected is what all pages of a record have.
type collected struct {
	matches, included []string
	notes             int
}

// collect asks for a record page by page, and fails if anything comes twice or a
// page is too long.
func collect(t testing.TB, s *interaction.Session, patient string, between func(), params ...string) (collected, error) {
	t.Helper()
	p := interaction.Page{Request: search.Request{Within: &fhir.Key{Type: "Patient", ID: patient}}}
	count := 0
	for i := 0; i < len(params); i += 2 {
		p.Params = append(p.Params, search.Parameter{Name: params[i], Value: params[i+1]})
		if params[i] == "_count" {
			count, _ = strconv.Atoi(params[i+1])
		}
	}
	var all collected
	for range 1000 {
		r, err := s.Everything(t.Context(), p)
		if err != nil {
			return all, err
		}
		if n := len(r.Versions) + len(r.Included); count > 0 && (n > count || n < count && r.Next != "") {
			t.Errorf("a page of %d has %d", count, n)
		}
		for _, v := range r.Versions {
			all.matches = append(all.matches, v.Key.String())
		}
		for _, v := range r.Included {
			all.included = append(all.included, v.Key.String())
		}
		if all.notes += len(r.Notes); r.Next == "" {
			break
		}
		p.After = r.Next
		if between != nil {
			between()
		}
	}
	for _, list := range [][]string{all.matches, all.included} {
		slices.Sort(list)
		if len(slices.Compact(slices.Clone(list))) != len(list) {
			t.Errorf("something comes twice: %v", list)
		}
	}
	return all, nil
}

// searched returns what the searches of the compartment find, type by type, and what of
// it refers to what goes along, as its content says, that the caller may read.
func searched(t testing.TB, s *interaction.Session, patient string, types []string) collected {
	t.Helper()
	var all collected
	seen := map[string]bool{}
	var frontier []fhir.Key
	for _, typ := range spec.R4().Resources() {
		if typ.Name != "Patient" && search.CompartmentParams("Patient", typ.Name) == nil {
			continue
		}
		page := interaction.Page{Request: search.Request{Types: []string{typ.Name}, Within: &fhir.Key{Type: "Patient", ID: patient}, Params: []search.Parameter{{Name: "_count", Value: "1000"}}}}
		found, err := s.Search(t.Context(), page)
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Denied {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found.Versions {
			seen[v.Key.String()] = true
			frontier = append(frontier, refersTo(t, v)...)
			if types == nil || slices.Contains(types, v.Key.Type) {
				all.matches = append(all.matches, v.Key.String())
			}
		}
	}
	for depth := range 2 {
		var next []fhir.Key
		for _, k := range frontier {
			if seen[k.String()] || !slices.Contains(goAlong()[1:], k.Type) {
				continue
			}
			seen[k.String()] = true
			v, err := s.Read(t.Context(), k)
			if err != nil {
				continue
			}
			if types == nil || slices.Contains(types, k.Type) {
				all.included = append(all.included, k.String())
			}
			if depth == 0 && k.Type != "Practitioner" {
				next = append(next, refersTo(t, *v)...)
			}
		}
		frontier = next
	}
	slices.Sort(all.matches)
	slices.Sort(all.included)
	return all
}

// refersTo returns what the content of a version refers to.
func refersTo(t testing.TB, v store.Version) (keys []fhir.Key) {
	t.Helper()
	r, err := fhir.DecodeDerived(v.Key.Type, v.Resource())
	if err != nil {
		t.Fatal(err)
	}
	var visit func(fhir.Node)
	visit = func(n fhir.Node) {
		if ref, ok := fhir.ParseReference(n.Child("reference").Text()); ok && n.Type().Name == "Reference" && ref.Base == "" {
			keys = append(keys, ref.Key)
		}
		for child := range n.Children() {
			visit(child)
		}
	}
	visit(r.Root())
	return keys
}

// TestEverything asks for the record of the official example with all sorts of rights,
// types and pages: it is always what the searches of its compartment find, and once what
// these refer to.
func TestEverything(t *testing.T) {
	t.Parallel()
	w := exampleWorld(t)
	granular := w.patient("example")
	granular.Scopes = append(scopes(access.ForPatient, everything, "Patient", "Condition", "Practitioner"), access.Scope{Context: access.ForPatient, Type: "Observation", Allows: everything, Where: []access.Argument{{Param: "status", Value: "final"}}})
	callers := map[string]*interaction.Session{
		"trusted": w.trusted, "doctor": w.as(w.doctor("a")), "patient": w.as(w.patient("example")), "system": w.as(w.system(0)), "granular": w.as(granular),
	}
	names := []string{"doctor", "granular", "patient", "system", "trusted"}
	for _, name := range names {
		got, err := collect(t, callers[name], "example", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d resources, %d with them", name, len(got.matches), len(got.included))
		if len(got.matches) < 10 || len(got.included) == 0 {
			t.Errorf("%s: only %v and %v", name, got.matches, got.included)
		}
		if (got.notes > 0) != (name == "granular") {
			t.Errorf("%s: %d notes", name, got.notes)
		}
	}
	types := append(goAlong(), "Observation", "Condition", "Encounter", "MedicationRequest", "Appointment")
	rapid.Check(t, func(r *rapid.T) {
		s := callers[rapid.SampledFrom(names).Draw(r, "caller")]
		var chosen, params []string
		for _, typ := range rapid.SliceOfNDistinct(rapid.SampledFrom(types), 0, 4, rapid.ID).Draw(r, "types") {
			chosen, params = append(chosen, typ), append(params, "_type", typ)
		}
		if n := rapid.IntRange(0, 60).Draw(r, "count"); n > 0 {
			params = append(params, "_count", strconv.Itoa(n))
		}
		got, err := collect(t, s, "example", nil, params...)
		if err != nil {
			r.Fatal(err)
		}
		want := searched(t, s, "example", chosen)
		if !slices.Equal(got.matches, want.matches) || !slices.Equal(got.included, want.included) {
			r.Fatalf("%v: got %v and %v, want %v and %v", params, got.matches, got.included, want.matches, want.included)
		}
	})
}

// TestEverythingOverWrites pages through a record while others write to it: what is there
// all the while comes exactly once.
func TestEverythingOverWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 30 {
		w.put(observation(fmt.Sprintf("stays-%02d", i), "a"))
		w.put(fmt.Sprintf(`{"resourceType":"Location","id":"stays-%02d"}`, i))
		w.put(fmt.Sprintf(`{"resourceType":"Encounter","id":"stays-%02d","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/a"},"location":[{"location":{"reference":"Location/stays-%02d"}}]}`, i, i))
	}
	n := 0
	between := func() {
		for range 3 {
			n++
			w.put(observation(fmt.Sprintf("new-%02d", n), "a"))
			w.put(strings.Replace(observation(fmt.Sprintf("stays-%02d", n%30), "a"), "secret", fmt.Sprintf("again %d", n), 1))
		}
	}
	got, err := collect(t, w.as(w.doctor("a")), "a", between, "_count", "7")
	if err != nil {
		t.Fatal(err)
	}
	count := func(list []string, prefix string) (n int) {
		for _, s := range list {
			if strings.HasPrefix(s, prefix) {
				n++
			}
		}
		return n
	}
	if n := count(got.matches, "Observation/stays-"); n != 30 {
		t.Errorf("%d of 30 observations", n)
	}
	if n := count(got.included, "Location/stays-"); n != 30 {
		t.Errorf("%d of 30 locations", n)
	}
}

// fixed returns a world, and what begins sessions in it that say the same time and ids.
func fixed(t testing.TB) (*world, func(access.Terms) *interaction.Session) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: pgtest.New(t).DSN, Conns: 8, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return worldOf(t, interaction.New(interaction.Config{Store: db})), func(terms access.Terms) *interaction.Session {
		n := 0
		e := interaction.New(interaction.Config{
			Store: db, Now: func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) },
			NewID: func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) },
		})
		return e.For(access.NewGrant(terms), interaction.Origin{})
	}
}

// given writes down all that a caller gets of a record.
func given(t testing.TB, s *interaction.Session) string {
	t.Helper()
	k := fhir.Key{Type: "Patient", ID: "a"}
	var b strings.Builder
	for _, params := range [][]search.Parameter{nil, {{Name: "_count", Value: "2"}}, {{Name: "_type", Value: "Practitioner,Condition"}}, {{Name: "start", Value: "2020"}}, {{Name: "_since", Value: "2020-01-01T00:00:00Z"}}} {
		for after, more := "", true; more; more = after != "" {
			r, err := s.Everything(t.Context(), interaction.Page{After: after, Request: search.Request{Within: &k, Params: params}})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal([]any{r, params})
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
			after = r.Next
		}
	}
	doc, err := s.Summary(t.Context(), interaction.SummaryRequest{Patient: &k, Base: "https://fhir.example"})
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(doc.Append(nil))
}

// TestEverythingTellsNothing: what a caller does not see changes no byte of what they get.
func TestEverythingTellsNothing(t *testing.T) {
	t.Parallel()
	w, as := fixed(t)
	condition := func(id, labels, name string) string {
		return `{"resourceType":"Condition","id":"` + id + `"` + labels + `,"code":{"text":"` + name + `"},"subject":{"reference":"Patient/a"},"asserter":{"reference":"Practitioner/` + name + `"}}`
	}
	label := func(system, code string) string {
		return `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/` + system + `","code":"` + code + `"}]}`
	}
	w.put(condition("seen", "", "a"))
	few := w.patient("a")
	few.ID, few.Scopes = "few", scopes(access.ForPatient, everything, "Patient", "Condition", "Observation")
	callers := map[string]access.Terms{"patient": w.patient("a"), "patient with few scopes": few, "doctor": w.doctor("a")}
	before := map[string]string{}
	for name, terms := range callers {
		before[name] = given(t, as(terms))
		if !strings.Contains(before[name], "seen") {
			t.Errorf("%s sees nothing", name)
		}
	}
	w.put(condition("restricted", label("v3-Confidentiality", "R"), "b"))
	w.put(condition("very", label("v3-Confidentiality", "V"), "c"))
	w.put(`{"resourceType":"Communication","id":"elsewhere","status":"completed","sender":{"reference":"Practitioner/c"},"recipient":[{"reference":"Organization/c"}],"subject":{"reference":"Patient/a"}}`)
	w.put(observation("other", "b"))
	for name, terms := range callers {
		if after := given(t, as(terms)); after != before[name] {
			t.Errorf("%s is told of what is hidden:\n%s\n%s", name, before[name], after)
		}
	}
	w.put(condition("not-for-patients", label("v3-ActCode", "NOPAT"), "b"))
	for name, terms := range callers {
		if after := given(t, as(terms)); (after != before[name]) != (name == "doctor") {
			t.Errorf("%s: it makes the wrong difference what patients are not told", name)
		}
	}
}

// TestEverythingRefused: who may not search patients gets no record, and nobody one that
// they do not see.
func TestEverythingRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func(s *interaction.Session, id string) []error {
		k := fhir.Key{Type: "Patient", ID: id}
		_, all := s.Everything(t.Context(), interaction.Page{Request: search.Request{Within: &k}})
		_, summary := s.Summary(t.Context(), interaction.SummaryRequest{Patient: &k})
		return []error{all, summary}
	}
	reader := w.patient("a")
	reader.Scopes = append(scopes(access.ForPatient, access.MayRead, "Patient"), scopes(access.ForPatient, everything, "Observation")...)
	for i, err := range ask(w.as(reader), "a") {
		refused(t, fmt.Sprintf("without the scope to search, %d", i), err, fhir.Denied)
	}
	for i, err := range ask(w.engine.For(access.Grant{}, interaction.Origin{}), "a") {
		refused(t, fmt.Sprintf("without a grant, %d", i), err, fhir.Denied)
	}
	missing, hidden := ask(w.as(w.patient("a")), "nobody"), ask(w.as(w.patient("a")), "b")
	for i := range hidden {
		same(t, fmt.Sprintf("somebody else's, %d", i), hidden[i], missing[i])
		refused(t, fmt.Sprintf("somebody else's, %d", i), hidden[i], fhir.Unknown)
	}
}

// BenchmarkEverything gives the record of the official example with 80 resources.
func BenchmarkEverything(b *testing.B) {
	w := exampleWorld(b)
	for name, s := range map[string]*interaction.Session{"trusted": w.trusted, "doctor": w.as(w.doctor("a")), "patient": w.as(w.patient("example"))} {
		k := fhir.Key{Type: "Patient", ID: "example"}
		b.Run("everything/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Everything(b.Context(), interaction.Page{Request: search.Request{Within: &k}}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("summary/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Summary(b.Context(), interaction.SummaryRequest{Patient: &k}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
