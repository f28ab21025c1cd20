package store

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestGather holds what is found in one round trip to what each question finds by itself.
func TestGather(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	trusted(t, db, `{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"Organization/o"}}`)
	trusted(t, db, `{"resourceType":"Basic","id":"gone","code":{"text":"x"}}`)
	for _, subject := range []string{"p", "p", "q"} {
		for n := range 2 {
			trusted(t, db, fmt.Sprintf(`{"resourceType":"QuestionnaireResponse","id":"%s%d","status":"completed","subject":{"reference":"Patient/%s"},"authored":"%d"}`, subject, n, subject, 2001+n))
		}
	}
	trusted(t, db, `{"resourceType":"QuestionnaireResponse","id":"away","status":"completed","subject":{"reference":"Patient/p"}}`)
	for _, k := range []fhir.Key{{Type: "Basic", ID: "gone"}, {Type: "QuestionnaireResponse", ID: "away"}} {
		if _, err := db.Delete(t.Context(), k, Anything, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	receipt := Receipt{Holder: "h", Key: "k", Digest: bytes.Repeat([]byte{7}, 32)}
	if _, err := db.WriteAll(t.Context(), nil, &receipt); err != nil {
		t.Fatal(err)
	}
	current := []fhir.Key{{Type: "Patient", ID: "p"}, {Type: "Basic", ID: "gone"}, {Type: "Patient", ID: "nobody"}, {Type: "Nothing", ID: "p"}}
	known := []access.Key{{Kind: access.Itself, Of: "Patient/p"}, {Kind: access.Record, Of: "Patient/p"}, {Kind: access.Itself, Of: "Patient/nobody"}, {Kind: access.Itself, Of: "Basic/gone"}}
	recent := Recent{Type: "QuestionnaireResponse", Where: "subject=Patient/p", Since: time.Now().Add(-time.Hour), Most: 10}
	got, err := db.Gather(t.Context(), Gathering{Current: current, Known: known, Recent: recent, Holder: "h", Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	wantCurrent, err := db.Current(t.Context(), current)
	if err != nil {
		t.Fatal(err)
	}
	wantKnown, err := db.Known(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wantCurrent, got.Current, cmpopts.IgnoreUnexported(Version{})); d != "" || len(got.Current) != 2 {
		t.Errorf("current: %s", d)
	}
	if d := cmp.Diff(wantKnown, got.Known); d != "" || len(got.Known) != 2 {
		t.Errorf("known: %s", d)
	}
	var ids []string
	for _, v := range got.Recent {
		ids = append(ids, v.Key.ID)
		if v.Key.Type != "QuestionnaireResponse" || !bytes.Contains(v.Stored, []byte("Patient/p")) {
			t.Errorf("%v: %s", v.Key, v.Stored)
		}
	}
	// Two may be of the same millisecond.
	inOrder := slices.IsSortedFunc(got.Recent, func(a, b Version) int { return b.Updated.Compare(a.Updated) })
	if slices.Sort(ids); !slices.Equal(ids, []string{"p0", "p1"}) || !inOrder || !got.Received {
		t.Errorf("recent %v, received %v", ids, got.Received)
	}
}

// TestGatherNothing asks for nothing, and for what there is not.
func TestGatherNothing(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	trusted(t, db, `{"resourceType":"QuestionnaireResponse","id":"a","status":"completed","subject":{"reference":"Patient/p"}}`)
	in := Recent{Type: "QuestionnaireResponse", Where: "subject=Patient/p", Since: time.Now().Add(-time.Hour), Most: 10}
	for name, g := range map[string]Gathering{
		"nothing":          {},
		"somebody else's":  {Recent: Recent{Type: in.Type, Where: "subject=Patient/q", Since: in.Since, Most: 10}},
		"what comes later": {Recent: Recent{Type: in.Type, Where: in.Where, Since: time.Now().Add(time.Hour), Most: 10}},
		"none at most":     {Recent: Recent{Type: in.Type, Where: in.Where, Since: in.Since}},
		"another receipt":  {Holder: "h", Key: "k"},
	} {
		got, err := db.Gather(t.Context(), g)
		if err != nil || len(got.Current)+len(got.Known)+len(got.Recent) > 0 || got.Received {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, where := range []string{"", "nonsense=1", "_lastUpdated=ge2020"} {
		if _, err := db.Gather(t.Context(), Gathering{Recent: Recent{Type: in.Type, Where: where, Since: in.Since, Most: 1}}); err == nil {
			t.Errorf("%q names no keys, and was asked for", where)
		}
	}
}

// TestName makes ids of texts.
func TestName(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	var other DB
	other.secret.cursor = []byte("of another installation")
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	for _, of := range [][]string{{}, {""}, {"a"}, {"a", ""}, {"", "a"}, {"ab", "c"}, {"a", "bc"}, {"abc"}} {
		for _, what := range []string{"task", "message"} {
			name := db.Name(what, of...)
			if seen[name] || !form.MatchString(name) || !fhir.ValidID(name) {
				t.Errorf("%s %q is %s", what, of, name)
			}
			if seen[name] = true; name != db.Name(what, of...) || name == other.Name(what, of...) {
				t.Errorf("%s %q has several names, or one that is known elsewhere", what, of)
			}
		}
	}
}
