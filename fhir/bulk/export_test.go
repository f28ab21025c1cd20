package bulk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestExportThenSince exports under writers, and then what has changed since: both
// together are all that there is.
func TestExportThenSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{Part: 7})
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() { scribble(ctx, w, n) })
	}
	ask := bulk.Export{Types: []string{"Patient", "Observation"}}
	var first content
	var j *bulk.Job
	for range 4 {
		j = w.await(w.trusted(), w.export(w.trusted(), ask))
		first = w.content(w.trusted(), j)
	}
	again := w.content(w.trusted(), j)
	stop()
	writers.Wait()
	if last := w.content(w.trusted(), j); first.sum != again.sum || first.sum != last.sum {
		t.Error("an export is other bytes when it is fetched again")
	}
	ask.Since = j.At
	second := w.exported(w.trusted(), ask)
	merged := first.versions
	for name, v := range second.versions {
		merged[name] = v
	}
	for _, name := range second.deleted {
		delete(merged, name)
	}
	ask.Since = j.At.AddDate(-1, 0, 0)
	all := w.exported(w.trusted(), ask)
	if len(all.versions) < 20 || len(second.versions) == 0 || len(all.deleted) == 0 {
		t.Fatalf("there is too little to compare: %d, %d, %d", len(all.versions), len(second.versions), len(all.deleted))
	}
	for _, of := range []map[string]string{merged, all.versions} {
		for name := range of {
			if merged[name] != all.versions[name] {
				t.Errorf("%s: version %q, want %q", name, merged[name], all.versions[name])
			}
		}
	}
	for name, v := range all.versions {
		typ, id, _ := strings.Cut(name, "/")
		if now, err := w.session().Read(t.Context(), fhir.Key{Type: typ, ID: id}); err != nil || fmt.Sprint(now.Number) != v {
			t.Errorf("%s: %v, %v, exported is %s", name, now, err, v)
		}
	}
}

// scribble writes until ctx is done.
func scribble(ctx context.Context, w *world, n int) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := 0; ctx.Err() == nil; i++ {
		typ := []string{"Patient", "Observation"}[random.IntN(2)]
		k := fhir.Key{Type: typ, ID: fmt.Sprintf("r%d", random.IntN(40))}
		s := w.session()
		if random.IntN(4) == 0 {
			_, _ = s.Delete(context.WithoutCancel(ctx), k, store.Anything) // there may be nothing
			continue
		}
		body := fmt.Sprintf(`{"resourceType":"Patient","id":"%s","multipleBirthInteger":%d}`, k.ID, i*8+n)
		if typ == "Observation" {
			body = fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"%d"}}`, k.ID, i*8+n)
		}
		r, err := fhir.Decode(typ, []byte(body))
		if err != nil {
			w.Error(err)
			return
		}
		if _, err := s.Update(context.WithoutCancel(ctx), k.ID, r, store.Anything); err != nil && fhir.AsOutcome(err) == nil {
			w.Error(err)
			return
		}
	}
}

// TestExportAsked asks for parts of what there is.
func TestExportAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	for _, body := range []string{
		`{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"Secret"}]}`,
		`{"resourceType":"Patient","id":"b"}`,
		`{"resourceType":"Patient","id":"c"}`,
		`{"resourceType":"Organization","id":"o","name":"O"}`,
		`{"resourceType":"Observation","id":"a1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Observation","id":"a2","status":"preliminary","code":{"text":"fever"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Observation","id":"b1","status":"amended","code":{"text":"x"},"subject":{"reference":"Patient/b"}}`,
		`{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/c"}},{"entity":{"reference":"Patient/b"},"inactive":true}]}`,
	} {
		w.put(body)
	}
	for name, tt := range map[string]struct {
		ask  bulk.Export
		want string
	}{
		"system":         {bulk.Export{}, "Group/g Observation/a1 Observation/a2 Observation/b1 Organization/o Patient/a Patient/b Patient/c"},
		"types":          {bulk.Export{Types: []string{"Organization", "Patient"}}, "Organization/o Patient/a Patient/b Patient/c"},
		"patients":       {bulk.Export{Level: "Patient"}, "Group/g Observation/a1 Observation/a2 Observation/b1 Patient/a Patient/b Patient/c"},
		"one patient":    {bulk.Export{Level: "Patient", Patients: []string{"b"}}, "Group/g Observation/b1 Patient/b"},
		"group":          {bulk.Export{Level: "Group", Group: "g"}, "Group/g Observation/a1 Observation/a2 Patient/a Patient/c"},
		"group's types":  {bulk.Export{Level: "Group", Group: "g", Types: []string{"Observation"}}, "Observation/a1 Observation/a2"},
		"filter":         {bulk.Export{Types: []string{"Observation", "Organization"}, Filters: []string{"Observation?status=final"}}, "Observation/a1 Organization/o"},
		"filters":        {bulk.Export{Types: []string{"Observation"}, Filters: []string{"Observation?status=final", "Observation?status=amended&subject=Patient/b"}}, "Observation/a1 Observation/b1"},
		"time with zone": {bulk.Export{Types: []string{"Organization"}, Filters: []string{"Organization?_lastUpdated=gt2001-01-01T00:00:00+02:00"}}, "Organization/o"},
		"words":          {bulk.Export{Types: []string{"Observation"}, Filters: []string{"Observation?_content=fever"}}, "Observation/a2"},
		"group's filter": {bulk.Export{Level: "Group", Group: "g", Types: []string{"Observation"}, Filters: []string{"Observation?code:text=fever,x&status:not=preliminary"}}, "Observation/a1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.exported(w.trusted(), tt.ask).String(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	j := w.await(w.trusted(), w.export(w.trusted(), bulk.Export{Types: []string{"Patient"}, Elements: []string{"Patient.active"}}))
	if text := w.fetch(w.trusted(), j.ID, j.Files[0].Name); strings.Contains(text, "Secret") || !strings.Contains(text, `"active":true`) || !strings.Contains(text, "SUBSETTED") {
		t.Error(text)
	}
}

// TestExportOfThen changes what there is before the export is planned: what it asks
// for is asked of what there was.
func TestExportOfThen(t *testing.T) {
	t.Parallel()
	w := open(t, pgtest.New(t), bulk.Config{})
	observation := func(id, status, patient string) {
		w.put(fmt.Sprintf(`{"resourceType":"Observation","id":"%s","status":"%s","code":{"text":"x"},"subject":{"reference":"Patient/%s"}}`, id, status, patient))
	}
	for _, id := range []string{"stays", "leaves", "goes"} {
		observation(id, "final", "a")
	}
	observation("comes", "amended", "b")
	jobs := map[string]string{}
	for name, ask := range map[string]bulk.Export{
		"all": {}, "filter": {Filters: []string{"Observation?status=final"}}, "patient": {Level: "Patient", Patients: []string{"a"}},
	} {
		ask.Types = []string{"Observation"}
		jobs[name] = w.export(w.trusted(), ask)
	}
	observation("leaves", "amended", "b")
	observation("comes", "final", "a")
	observation("new", "final", "a")
	w.delete("Observation", "goes")
	w.run(w.bulk)
	for name, want := range map[string]string{
		"all": "Observation/comes Observation/goes Observation/leaves Observation/stays", "filter": "Observation/goes Observation/leaves Observation/stays", "patient": "Observation/goes Observation/leaves Observation/stays",
	} {
		c := w.content(w.trusted(), w.await(w.trusted(), jobs[name]))
		if c.String() != want {
			t.Errorf("%s: %s, want %s", name, c, want)
		}
		for k, v := range c.versions {
			if v != "1" {
				t.Errorf("%s: %s has version %s", name, k, v)
			}
		}
	}
}

// TestExportAccess exports by who does not see everything.
func TestExportAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bulk.Config{})
	for _, body := range []string{
		`{"resourceType":"Organization","id":"ours","name":"O"}`,
		`{"resourceType":"Patient","id":"a","managingOrganization":{"reference":"Organization/ours"}}`,
		`{"resourceType":"Patient","id":"b","managingOrganization":{"reference":"Organization/theirs"}}`,
		`{"resourceType":"Patient","id":"hidden","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"managingOrganization":{"reference":"Organization/ours"}}`,
		`{"resourceType":"Observation","id":"oa","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Observation","id":"ob","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/b"}}`,
		`{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}}]}`,
	} {
		w.put(body)
	}
	both := access.MayRead | access.MaySearch
	ours := access.Standing{Parties: []access.Key{{Kind: access.Open}, {Kind: access.Party, Of: "Organization/ours"}, {Kind: access.Record, Of: "Patient/a"}}, Denied: access.DeniedLabels(nil, false)}
	system := func(typ string, allows access.Permission) []access.Scope {
		return []access.Scope{{Context: access.ForSystem, Type: typ, Allows: allows}}
	}
	practice := w.backend("practice", system("*", both), ours)
	if got := w.exported(practice, bulk.Export{Types: []string{"Patient", "Observation", "Organization"}}).String(); got != "Observation/oa Organization/ours Patient/a" {
		t.Error(got)
	}
	patients := w.backend("patients", system("Patient", both), access.Standing{All: true})
	if got := w.exported(patients, bulk.Export{}).String(); got != "Patient/a Patient/b Patient/hidden" {
		t.Error(got)
	}
	from := interaction.Origin{Request: "test"}
	for name, tt := range map[string]struct {
		g   access.Grant
		ask bulk.Export
	}{
		"other type":    {patients, bulk.Export{Types: []string{"Patient", "Observation"}}},
		"Group unread":  {patients, bulk.Export{Level: "Group", Group: "g"}},
		"only reads":    {w.backend("reads", system("*", access.MayRead), access.Standing{All: true}), bulk.Export{}},
		"only searches": {w.backend("searches", system("*", access.MaySearch), access.Standing{All: true}), bulk.Export{}},
		"granular": {w.backend("granular", []access.Scope{{Context: access.ForSystem, Type: "Observation", Allows: both, Where: []access.Argument{{Param: "status", Value: "final"}}}}, access.Standing{All: true}),
			bulk.Export{Types: []string{"Observation"}}},
		"user":      {access.NewGrant(access.Terms{Client: "u", Holder: "u", Scopes: []access.Scope{{Context: access.ForUser, Type: "*", Allows: both}}, Standings: map[access.Context]access.Standing{access.ForUser: {All: true}}}), bulk.Export{}},
		"nobody":    {access.Grant{}, bulk.Export{}},
		"no holder": {access.NewGrant(access.Terms{Client: "u", Scopes: system("*", both), Standings: map[access.Context]access.Standing{access.ForSystem: {All: true}}}), bulk.Export{}},
	} {
		if _, err := w.bulk.Export(t.Context(), tt.g, from, tt.ask); err == nil {
			t.Errorf("%s: not refused", name)
		} else {
			refused(t, err, fhir.Denied, "")
		}
	}
	j := w.await(practice, w.export(practice, bulk.Export{Types: []string{"Patient"}}))
	for _, other := range []access.Grant{patients, w.trusted(), {}} {
		_, err := w.bulk.Find(t.Context(), other, j.ID)
		refused(t, err, fhir.Unknown, "no such job")
		_, err = w.bulk.Open(t.Context(), other, from, j.ID, j.Files[0].Name)
		refused(t, err, fhir.Unknown, "no such file")
		refused(t, w.bulk.Cancel(t.Context(), other, j.ID), fhir.Unknown, "no such job")
	}
	// What was hidden since is not in the file any more, and who may no longer export
	// gets none.
	w.put(`{"resourceType":"Patient","id":"a","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"managingOrganization":{"reference":"Organization/ours"}}`)
	f, err := w.bulk.Open(t.Context(), practice, from, j.ID, j.Files[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Each(t.Context(), func(b []byte) error { t.Errorf("still there: %s", b); return nil }); err != nil {
		t.Error(err)
	}
	less := w.backend("practice", system("Observation", both), ours)
	_, err = w.bulk.Open(t.Context(), less, from, j.ID, j.Files[0].Name)
	refused(t, err, fhir.Denied, "Patient")
	if err := w.bulk.Cancel(t.Context(), practice, j.ID); err != nil {
		t.Error(err)
	}
	_, err = w.bulk.Find(t.Context(), practice, j.ID)
	refused(t, err, fhir.Unknown, "")
}
