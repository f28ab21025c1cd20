package interaction_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

// meta returns the Meta in Parameters as an operation gets it.
func meta(t *testing.T, content string) fhir.Node {
	t.Helper()
	r := decode(t, `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":`+content+`}]}`)
	return r.Root().Child("parameter").Child("value")
}

// TestB11Labels keeps labels that hide things through every way to leave them
// out, and takes them away for who may.
func TestB11Labels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cleared := w.doctor("a")
	cleared.Standings = map[access.Context]access.Standing{access.ForUser: {Parties: cleared.Standings[access.ForUser].Parties}}
	s, k := w.as(cleared), key("Observation/a")
	label := `{"security":[{"system":"` + confidentiality + `","code":"V","display":"very \/ restricted"}],"tag":[{"system":"urn:x","code":"y"}]}`
	patient, doctor := w.as(w.patient("a")), w.as(w.doctor("a"))
	for _, sees := range []*interaction.Session{patient, doctor, s} {
		_, err := sees.Read(t.Context(), k)
		done(t, "before the label", err)
	}
	_, err := doctor.MetaAdd(t.Context(), k, meta(t, label), store.Anything)
	refused(t, "a label that hides it from who adds it", err, fhir.Denied)
	_, err = s.MetaAdd(t.Context(), k, meta(t, label), store.Anything)
	done(t, "a label", err)
	hidden := func(when string, by ...*interaction.Session) {
		t.Helper()
		for _, s := range by {
			for how, read := range reads(t, s) {
				same(t, when+" "+how, read(k), read(key("Observation/missing")))
			}
			found(t, s, "Observation", "")
			found(t, s, "Observation?_security=V", "")
		}
		v, err := s.Read(t.Context(), k)
		if err != nil || !strings.Contains(string(v.Stored), `"V"`) {
			t.Errorf("%s: %v, %v", when, v, err)
		}
	}
	hidden("after the label", patient, doctor)

	_, err = s.Update(t.Context(), "a", decode(t, strings.Replace(observation("a", "a"), "final", "amended", 1)), store.Anything)
	done(t, "an update without the label", err)
	hidden("after an update", patient, doctor)
	_, err = s.Update(t.Context(), "a", decode(t, strings.Replace(observation("a", "a"), `"status"`, `"meta":{"versionId":"77","lastUpdated":"1999-01-01T00:00:00Z","security":[{"system":"`+confidentiality+`","code":"N"}]},"status"`, 1)), store.Anything)
	done(t, "an update with a lower label", err)
	hidden("after a lower label", patient, doctor)
	for _, ops := range []string{`[{"op":"remove","path":"/meta/security"}]`, `[{"op":"remove","path":"/meta"}]`, `[{"op":"replace","path":"/meta/security","value":[{"system":"` + confidentiality + `","code":"R"}]}]`} {
		_, err = s.Patch(t.Context(), k, interaction.Change{JSON: []byte(ops)}, store.Anything)
		done(t, ops, err)
		hidden("after "+ops, patient, doctor)
	}
	v, err := s.Read(t.Context(), k)
	if err != nil || v.Number > 7 || v.Updated.Year() < 2000 {
		t.Errorf("version %d of %v, %v", v.Number, v.Updated, err)
	}
	_, err = s.MetaDelete(t.Context(), k, meta(t, label), store.Anything)
	refused(t, "to take the label away without the role", err, fhir.Denied)
	hidden("after an attempt to take it away", patient, doctor)

	cleared.Roles = access.Labels
	_, err = w.as(cleared).MetaDelete(t.Context(), k, meta(t, `{"security":[{"system":"`+confidentiality+`","code":"V"},{"system":"`+confidentiality+`","code":"R"}]}`), store.Anything)
	done(t, "to take the label away with the role", err)
	for _, sees := range []*interaction.Session{patient, doctor} {
		v, err := sees.Read(t.Context(), k)
		if err != nil || strings.Contains(string(v.Stored), `"V"`) {
			t.Errorf("after the label is gone: %v", err)
		}
	}
}

// TestLabelSpellings keeps labels in every form in which they hide things, also
// from who writes slashes with an escape, and lets go of what hides nothing.
func TestLabelSpellings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	system := w.as(w.system(0))
	for i, tt := range []struct {
		system, code string
		kept         bool
	}{
		{confidentiality, "R", true}, {confidentiality, "v", true}, {confidentiality, "N", false}, {confidentiality, "L", false},
		{"http://hl7.org/fhir/v3/Confidentiality", "V", true}, {"urn:oid:2.16.840.1.113883.5.25", "S", true}, {`http:\/\/terminology.hl7.org\/CodeSystem\/v3-Confidentiality`, "R", true},
		{"http://terminology.hl7.org/CodeSystem/v3-ActCode", "NOPAT", true}, {"http://terminology.hl7.org/CodeSystem/v3-ActCode", "PSY", true},
		{"http://terminology.hl7.org/CodeSystem/v3-ActCode", "HTEST", false}, {"urn:own", "R", false},
	} {
		id := fmt.Sprint("l", i)
		label := `"meta":{"security":[{"system":"` + tt.system + `","code":"` + tt.code + `"}]},"status"`
		w.put(strings.Replace(observation(id, "a"), `"status"`, label, 1))
		made, err := system.Update(t.Context(), id, decode(t, observation(id, "a")), store.Anything)
		if err != nil || strings.Contains(string(made.Stored), `"code":"`+tt.code+`"`) != tt.kept {
			t.Errorf("%s %s: %s, %v; kept: %t", tt.system, tt.code, made.Stored, err, tt.kept)
		}
	}
}

// TestMeta adds and takes away what hides nothing.
func TestMeta(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, k := w.as(w.doctor("a")), key("Observation/a")
	both := `{"profile":["http://example.org/p","http://example.org/q"],"tag":[{"system":"urn:x","code":"y"}]}`
	for _, tt := range []struct {
		what    string
		do      func() (interaction.Result, error)
		version int
		want    string
	}{
		{"add", func() (interaction.Result, error) { return s.MetaAdd(t.Context(), k, meta(t, both), store.Anything) }, 2, `"meta":` + both},
		{"add again", func() (interaction.Result, error) { return s.MetaAdd(t.Context(), k, meta(t, both), store.Anything) }, 2, `"meta":` + both},
		{"delete one", func() (interaction.Result, error) {
			return s.MetaDelete(t.Context(), k, meta(t, `{"profile":["http://example.org/p"],"tag":[{"system":"urn:x","code":"z"}]}`), 2)
		}, 3, `"meta":{"profile":["http://example.org/q"],"tag":[{"system":"urn:x","code":"y"}]}`},
		{"delete the rest", func() (interaction.Result, error) { return s.MetaDelete(t.Context(), k, meta(t, both), store.Anything) }, 4, `"id":"a","status"`},
	} {
		made, err := tt.do()
		if err != nil || made.Number != tt.version || !strings.Contains(string(made.Stored), tt.want) {
			t.Errorf("%s: version %d, %s, %v; want version %d with %s", tt.what, made.Number, made.Stored, err, tt.version, tt.want)
		}
	}
	_, err := s.MetaAdd(t.Context(), k, meta(t, both), 2)
	refused(t, "a version that is not the current one", err, fhir.Stale)
	_, err = w.as(w.patient("a")).MetaAdd(t.Context(), k, meta(t, `{"security":[{"system":"`+confidentiality+`","code":"V"}]}`), store.Anything)
	refused(t, "a label by a patient on what is not theirs", err, fhir.Denied)
}
