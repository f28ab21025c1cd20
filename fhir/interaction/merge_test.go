package interaction_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// mergeWorld has two records of one patient in practice a, old and new, and what refers to the
// old one in every way.
func mergeWorld(t *testing.T) *world {
	w := newWorld(t)
	w.put(`{"resourceType":"Patient","id":"old","managingOrganization":{"reference":"Organization/a"},"identifier":[{"system":"urn:x","value":"1"},{"system":"urn:x","value":"2"}],"name":[{"family":"Sample"}]}`)
	w.put(`{"resourceType":"Patient","id":"new","managingOrganization":{"reference":"Organization/a"},"identifier":[{"system":"urn:x","value":"2"}],"name":[{"family":"Sample"}]}`)
	for _, body := range referring("old") {
		w.put(body)
	}
	return w
}

// referring returns resources that refer to a patient in every way.
func referring(id string) []string {
	return []string{
		observation("subject", id),
		`{"resourceType":"Observation","id":"note","status":"final","code":{"text":"x"},"subject":{"reference":"Group/g"},"note":[{"authorReference":{"reference":"Patient/` + id + `","display":"Sam"},"text":"1.50"}]}`,
		`{"resourceType":"Task","id":"input","status":"requested","intent":"order","for":{"reference":"Patient/b"},"input":[{"type":{"text":"who"},"valueReference":{"reference":"Patient/` + id + `/_history/1"}}]}`,
		`{"resourceType":"Observation","id":"extension","status":"final","code":{"text":"x"},"extension":[{"url":"urn:who","valueReference":{"reference":"Patient/` + id + `"}}]}`,
		`{"resourceType":"Observation","id":"contained","status":"final","code":{"text":"x"},"contained":[{"resourceType":"Specimen","id":"s","subject":{"reference":"Patient/` + id + `"}}],"specimen":{"reference":"#s"}}`,
		`{"resourceType":"Communication","id":"sender","status":"completed","sender":{"reference":"Patient/` + id + `"},"recipient":[{"reference":"Practitioner/a"},{"reference":"Patient/new"}]}`,
		`{"resourceType":"CareTeam","id":"team","status":"active","subject":{"reference":"Patient/` + id + `"},"participant":[{"member":{"reference":"Organization/c"}}]}`,
		`{"resourceType":"Group","id":"both","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/new"}},{"entity":{"reference":"Patient/` + id + `"}}]}`,
		`{"resourceType":"RelatedPerson","id":"rel","patient":{"reference":"Patient/` + id + `"}}`,
	}
}

func patientName(parameter, id string) interaction.PatientName {
	return interaction.PatientName{Parameter: parameter + "-patient", Reference: "Patient/" + id}
}

func mergeOf(source, target string) interaction.MergeRequest {
	return interaction.MergeRequest{Source: patientName("source", source), Target: patientName("target", target)}
}

// records returns the terms of the practice's records manager.
func (w *world) records() access.Terms {
	t := w.doctor("a")
	t.Roles = access.Administer
	return t
}

// bodies returns what is stored, by "Type/id".
func bodies(t *testing.T, w *world) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, typ := range []string{"Patient", "Observation", "Task", "Communication", "CareTeam", "Group", "RelatedPerson"} {
		names, err := finds(t, w.trusted, typ+"?_count=1000")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(names) {
			v, err := w.trusted.Read(t.Context(), key(name))
			if err != nil {
				t.Fatal(err)
			}
			all[name] = string(v.Stored)
		}
	}
	return all
}

// nobodyNames wants no resource to refer to a patient, but for links.
func nobodyNames(t *testing.T, w *world, id string) {
	t.Helper()
	for name, body := range bodies(t, w) {
		if !strings.HasPrefix(name, "Patient/") && strings.Contains(body, `"Patient/`+id) {
			t.Errorf("%s refers to %s: %s", name, id, body)
		}
	}
}

// TestMergeAndBack merges two patients as the records manager of their practice, and undoes it:
// all is as it was.
func TestMergeAndBack(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	s := w.as(w.records())
	before := bodies(t, w)
	preview := mergeOf("old", "new")
	preview.Preview = true
	would, err := s.Merge(t.Context(), preview)
	done(t, "preview", err)
	if would.Provenance.ID != "" || !maps.Equal(before, bodies(t, w)) {
		t.Error("a preview has done something")
	}
	merged, err := s.Merge(t.Context(), mergeOf("old", "new"))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(merged.Moved) != fmt.Sprint(would.Moved) || merged.Moved["Communication"] != 1 {
		t.Errorf("moved %v, foretold %v", merged.Moved, would.Moved)
	}
	nobodyNames(t, w, "old")
	now := bodies(t, w)
	for name, parts := range map[string][]string{
		"Patient/old":      {`"active":false`, `{"other":{"reference":"Patient/new"},"type":"replaced-by"}`},
		"Patient/new":      {`{"other":{"reference":"Patient/old"},"type":"replaces"}`, `{"system":"urn:x","use":"old","value":"1"}`},
		"Observation/note": {`"display":"Sam"`, `"1.50"`, `"Patient/new"`},
		"Task/input":       {`"reference":"Patient/new"`},
		"Group/both":       {`[{"entity":{"reference":"Patient/new"}},{"entity":{"reference":"Patient/new"}}]`},
	} {
		for _, part := range parts {
			if !strings.Contains(now[name], part) {
				t.Errorf("%s lacks %s: %s", name, part, now[name])
			}
		}
	}
	if n := strings.Count(now["Patient/new"], `"value":"2"`); n != 1 {
		t.Errorf("the target has an identifier %d times", n)
	}
	parted, err := s.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new"))
	if err != nil {
		t.Fatal(err)
	}
	if after := bodies(t, w); !maps.Equal(before, after) {
		for name := range before {
			if before[name] != after[name] {
				t.Errorf("%s was %s and is %s", name, before[name], after[name])
			}
		}
	}
	if len(parted.Left) != 0 {
		t.Errorf("left: %v", parted.Left)
	}
	again, err := s.Merge(t.Context(), mergeOf("old", "new"))
	if done(t, "merge again", err); again.Provenance.ID == "" {
		t.Error("it is not told")
	}
}

// TestUnmergeAfterChanges keeps what was changed and written since.
func TestUnmergeAfterChanges(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	if _, err := w.trusted.Merge(t.Context(), mergeOf("old", "new")); err != nil {
		t.Fatal(err)
	}
	w.put(strings.Replace(observation("subject", "new"), `"final"`, `"amended"`, 1))
	w.put(`{"resourceType":"RelatedPerson","id":"rel","patient":{"reference":"Patient/b"}}`)
	w.put(`{"resourceType":"Group","id":"both","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Patient/new"}},{"entity":{"reference":"Patient/new"}}]}`)
	w.put(`{"resourceType":"Communication","id":"sender","status":"completed","recipient":[{"reference":"Patient/new"}],"sender":{"reference":"Patient/new"}}`)
	w.put(observation("since", "new"))
	_, err := w.trusted.Patch(t.Context(), key("Patient/new"), interaction.Change{JSON: []byte(`[{"op":"add","path":"/gender","value":"female"},{"op":"add","path":"/identifier/-","value":{"system":"urn:x","value":"3"}}]`)}, store.Anything)
	done(t, "change the target", err)
	_, err = w.trusted.Patch(t.Context(), key("Patient/old"), interaction.Change{JSON: []byte(`[{"op":"add","path":"/gender","value":"male"}]`)}, store.Anything)
	done(t, "change the source", err)
	_, err = w.trusted.Delete(t.Context(), key("Observation/extension"), store.Anything)
	done(t, "delete", err)
	parted, err := w.trusted.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new"))
	if err != nil {
		t.Fatal(err)
	}
	now := bodies(t, w)
	for name, want := range map[string]string{
		"Observation/subject":  strings.NewReplacer(`"final"`, `"amended"`, "secret of old", "secret of new").Replace(observation("subject", "old")),
		"Observation/since":    observation("since", "new"),
		"RelatedPerson/rel":    `{"resourceType":"RelatedPerson","id":"rel","patient":{"reference":"Patient/b"}}`,
		"Communication/sender": `{"resourceType":"Communication","id":"sender","status":"completed","recipient":[{"reference":"Patient/new"}],"sender":{"reference":"Patient/old"}}`,
		"Patient/new":          `{"resourceType":"Patient","id":"new","managingOrganization":{"reference":"Organization/a"},"identifier":[{"system":"urn:x","value":"2"},{"system":"urn:x","value":"3"}],"name":[{"family":"Sample"}],"gender":"female"}`,
		"Patient/old":          `{"resourceType":"Patient","id":"old","managingOrganization":{"reference":"Organization/a"},"identifier":[{"system":"urn:x","value":"1"},{"system":"urn:x","value":"2"}],"name":[{"family":"Sample"}],"gender":"male"}`,
	} {
		if now[name] != want {
			t.Errorf("%s is %s, want %s", name, now[name], want)
		}
	}
	for _, k := range []string{"Observation/since", "RelatedPerson/rel"} {
		if !slices.Contains(parted.Left, key(k)) {
			t.Errorf("it is not said that %s stays: %v", k, parted.Left)
		}
	}
}

// TestMergeRefused asks for what must not be.
func TestMergeRefused(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	w.put(`{"resourceType":"Patient","id":"off","active":false,"managingOrganization":{"reference":"Organization/a"}}`)
	w.put(`{"resourceType":"Patient","id":"third","managingOrganization":{"reference":"Organization/a"}}`)
	w.put(`{"resourceType":"Patient","id":"shared","managingOrganization":{"reference":"Organization/a"},"generalPractitioner":[{"reference":"Organization/b"}]}`)
	plain := w.doctor("a")
	system := w.system(access.Administer)
	for _, c := range []struct {
		what           string
		terms          access.Terms
		source, target string
		want           fhir.Class
	}{
		{"a patient", w.patient("old"), "old", "new", fhir.Denied},
		{"a doctor without the role", plain, "old", "new", fhir.Denied},
		{"another practice", func() access.Terms { o := w.doctor("b"); o.Roles = access.Administer; return o }(), "old", "new", fhir.Unprocessable},
		{"another practice's source", w.records(), "b", "new", fhir.Unprocessable},
		{"another practice's target", w.records(), "old", "b", fhir.Unprocessable},
		{"one who is not there", w.records(), "nobody", "new", fhir.Unprocessable},
		{"the same", w.records(), "old", "old", fhir.Unprocessable},
		{"an inactive target", w.records(), "old", "off", fhir.Unprocessable},
		{"one whom another practice would lose", w.records(), "shared", "new", fhir.Unprocessable},
		{"no name", system, "", "new", fhir.BadRequest},
		{"a version", system, "old/_history/1", "new", fhir.BadRequest},
	} {
		_, err := w.as(c.terms).Merge(t.Context(), mergeOf(c.source, c.target))
		refused(t, c.what, err, c.want)
	}
	_, hidden := w.as(w.records()).Merge(t.Context(), mergeOf("b", "new"))
	_, missing := w.as(w.records()).Merge(t.Context(), mergeOf("nobody", "new"))
	same(t, "a hidden source", hidden, missing)
	done(t, "what nobody has begun", func() error {
		_, err := w.trusted.Update(t.Context(), "free", decode(t, observation("free", "old")), store.Anything)
		return err
	}())
	if _, err := w.trusted.Merge(t.Context(), mergeOf("old", "new")); err != nil {
		t.Fatal(err)
	}
	for what, q := range map[string]interaction.MergeRequest{
		"once more": mergeOf("old", "third"), "back": mergeOf("new", "old"), "a chain": mergeOf("new", "third"), "into one who was merged": mergeOf("third", "old"),
	} {
		_, err := w.trusted.Merge(t.Context(), q)
		refused(t, what, err, fhir.Unprocessable)
	}
	_, err := w.trusted.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "third"))
	refused(t, "from another target", err, fhir.Unprocessable)
	_, err = w.trusted.Unmerge(t.Context(), patientName("source", "third"), patientName("target", "new"))
	refused(t, "who was never merged", err, fhir.Unprocessable)
}

// TestMergedIsNamedByNobody refuses what refers to a patient who was merged, however it is written.
func TestMergedIsNamedByNobody(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	if _, err := w.trusted.Merge(t.Context(), mergeOf("old", "new")); err != nil {
		t.Fatal(err)
	}
	for _, body := range referring("old") {
		r := decode(t, body)
		_, err := w.trusted.Update(t.Context(), r.ID(), r, store.Anything)
		refused(t, "update "+r.ID(), err, fhir.Unprocessable)
		_, err = w.trusted.Create(t.Context(), r)
		refused(t, "create "+r.ID(), err, fhir.Unprocessable)
	}
	if _, err := w.trusted.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new")); err != nil {
		t.Fatal(err)
	}
	w.put(observation("subject", "old"))
}

// TestMergeAccess says what the accounts of the patients see before and after.
func TestMergeAccess(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	source, target, hospital := w.as(w.patient("old")), w.as(w.patient("new")), w.as(w.doctor("c"))
	found(t, source, "Observation?_id=subject", "Observation/subject")
	found(t, hospital, "Observation?_id=subject", "Observation/subject")
	if _, err := w.as(w.records()).Merge(t.Context(), mergeOf("old", "new")); err != nil {
		t.Fatal(err)
	}
	found(t, source, "Observation?_id=subject", "")
	found(t, source, "Patient", "Patient/old")
	found(t, target, "Observation?_id=subject", "Observation/subject")
	found(t, target, "Provenance", "")
	found(t, w.as(w.doctor("a")), "Observation?_id=subject", "Observation/subject")
	found(t, hospital, "Observation?_id=subject", "Observation/subject")
	found(t, w.as(w.doctor("b")), "Observation?_id=subject", "")
	if _, err := w.as(w.records()).Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new")); err != nil {
		t.Fatal(err)
	}
	found(t, source, "Observation?_id=subject", "Observation/subject")
	found(t, target, "Observation?_id=subject", "")
	found(t, hospital, "Observation?_id=subject", "Observation/subject")
}

// TestMergeGivesNothing has a team that could not give the record not give it by a merge.
func TestMergeGivesNothing(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	// Doctor c, who has taken part in nothing, names the own hospital as requester and a focus that only
	// the practice sees: that gives nothing, and goes on giving nothing.
	c := w.doctor("c")
	c.Roles = access.AssertAuthor
	w.put(`{"resourceType":"Patient","id":"lone","managingOrganization":{"reference":"Organization/a"}}`)
	w.put(observation("lone", "lone"))
	w.put(`{"resourceType":"Task","id":"grab","status":"draft","intent":"order","for":{"reference":"Patient/lone"},"owner":{"reference":"Organization/c"},"focus":{"reference":"Observation/lone"}}`)
	_, err := w.as(c).Patch(t.Context(), key("Task/grab"), interaction.Change{JSON: []byte(`[{"op":"replace","path":"/status","value":"requested"}]`)}, store.Anything)
	if err != nil {
		t.Logf("the task cannot even be written: %v", err)
	}
	found(t, w.as(w.doctor("c")), "Observation?_id=lone", "")
	if _, err := w.as(w.records()).Merge(t.Context(), mergeOf("lone", "new")); err != nil {
		t.Fatal(err)
	}
	found(t, w.as(w.doctor("c")), "Observation?_id=lone", "")
}

// TestMergeFeed has a client that sees the source's compartment only told that it has lost what was moved.
func TestMergeFeed(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	source := w.as(w.patient("old"))
	cursor := ""
	for {
		page, err := source.Changes(t.Context(), interaction.Feed{Feed: store.Feed{Count: 100, After: cursor}})
		if err != nil {
			t.Fatal(err)
		}
		if cursor = page.Next; !page.More && len(page.Entries) == 0 {
			break
		}
	}
	if _, err := w.as(w.records()).Merge(t.Context(), mergeOf("old", "new")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for {
		page, err := source.Changes(t.Context(), interaction.Feed{Feed: store.Feed{Count: 100, After: cursor}})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			got[e.Key.String()] = e.Reason
			if e.Key.Type != "Patient" && len(e.Stored) > 0 {
				t.Errorf("%s comes with content", e.Key)
			}
		}
		if cursor = page.Next; !page.More && len(page.Entries) == 0 {
			break
		}
	}
	if got["Observation/subject"] != store.ReasonLeft || got["Patient/old"] != "" {
		t.Errorf("the feed has %v", got)
	}
	if _, is := got["Patient/old"]; !is {
		t.Error("the feed lacks the source")
	}
}

// TestMergeResult has the target say what the caller wants.
func TestMergeResult(t *testing.T) {
	t.Parallel()
	w := mergeWorld(t)
	q := mergeOf("old", "new")
	for what, body := range map[string]string{
		"another id": `{"resourceType":"Patient","id":"other"}`, "no id": `{"resourceType":"Patient"}`, "not active": `{"resourceType":"Patient","id":"new","active":false}`,
	} {
		q.Result = decode(t, body)
		_, err := w.trusted.Merge(t.Context(), q)
		refused(t, what, err, fhir.Unprocessable)
	}
	w.put(observation("after", "old"))
	before := bodies(t, w)
	q.Result = decode(t, `{"resourceType":"Patient","id":"new","managingOrganization":{"reference":"Organization/a"},"name":[{"family":"Chosen"}]}`)
	_, err := w.as(w.records()).Merge(t.Context(), q)
	done(t, "merge", err)
	got := bodies(t, w)["Patient/new"]
	for _, part := range []string{`"Chosen"`, `"value":"1"`, `"value":"2"`, `"type":"replaces"`} {
		if !strings.Contains(got, part) {
			t.Errorf("the result lacks %s: %s", part, got)
		}
	}
	_, err = w.trusted.Unmerge(t.Context(), patientName("source", "old"), patientName("target", "new"))
	if done(t, "unmerge", err); !maps.Equal(before, bodies(t, w)) {
		t.Error("it is not as before")
	}
}

// TestMergeProperty merges patients whom random resources refer to, has some changed, and parts them again: nothing
// refers to the source meanwhile, and all of it that nobody has changed is as it was.
func TestMergeProperty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		ids := []string{fmt.Sprintf("s%d", round), fmt.Sprintf("t%d", round), fmt.Sprintf("u%d", round)}
		for _, id := range ids {
			w.put(`{"resourceType":"Patient","id":"` + id + `","managingOrganization":{"reference":"Organization/a"},"link":[{"other":{"reference":"Patient/` + ids[0] + `"},"type":"seealso"}]}`)
		}
		before := map[string]string{}
		for i := range rapid.IntRange(0, 8).Draw(r, "resources") {
			body := rapid.SampledFrom(referring(rapid.SampledFrom(ids).Draw(r, "patient"))).Draw(r, "resource")
			made := decode(t, strings.Replace(body, `"id":"`, fmt.Sprintf(`"id":"r%d-%d-`, round, i), 1))
			w.put(string(made.Source()))
			before[made.Type()+"/"+made.ID()] = string(made.Stored(made.ID()))
		}
		s := w.as(w.records())
		if _, err := s.Merge(t.Context(), mergeOf(ids[0], ids[1])); err != nil {
			r.Fatal(err)
		}
		changed := ""
		for name := range before {
			v, err := w.trusted.Read(t.Context(), key(name))
			if err != nil || strings.Contains(string(v.Stored), `"Patient/`+ids[0]+`"`) || strings.Contains(string(v.Stored), `"Patient/`+ids[0]+`/`) {
				r.Fatalf("%s refers to the source: %v, %v", name, v, err)
			}
			if changed == "" && rapid.Bool().Draw(r, "change") {
				changed = name
				if _, err := w.trusted.Patch(t.Context(), key(name), interaction.Change{JSON: []byte(`[{"op":"add","path":"/language","value":"en"}]`)}, store.Anything); err != nil {
					r.Fatal(err)
				}
			}
		}
		if _, err := s.Unmerge(t.Context(), patientName("source", ids[0]), patientName("target", ids[1])); err != nil {
			r.Fatal(err)
		}
		for name, want := range before {
			v, err := w.trusted.Read(t.Context(), key(name))
			if name == changed {
				want = strings.TrimSuffix(want, "}") + `,"language":"en"}`
			}
			if err != nil || string(v.Stored) != want {
				r.Fatalf("%s is %s, %v; want %s", name, v.Stored, err, want)
			}
		}
	})
}
