package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A told is a version as a world knows it: the content is that of the version
// before if it is a deletion.
type told struct {
	doc     *doc
	number  int
	deleted bool
}

// pasts makes resources of some types with several versions, each seen by others,
// and returns them by name, the oldest version first.
func (w *world) pasts(t *testing.T) map[fhir.Key][]told {
	t.Helper()
	all := map[fhir.Key][]told{}
	for _, g := range []access.Gift{
		{Target: access.Key{Kind: access.Record, Of: "Patient/pa1"}, Key: access.Key{Kind: access.Party, Of: "Organization/or2"}},
		{Target: access.Key{Kind: access.Itself, Of: "Task/ta3"}, Key: access.Key{Kind: access.Party, Of: "Organization/or1"}},
		{Target: access.Key{Kind: access.Itself, Of: "Task/ta5"}, Key: access.Key{Kind: access.Party, Of: "Organization/or3"}},
	} {
		w.give(t, g)
	}
	for _, typ := range []string{"Task", "Patient", "Observation"} {
		for n := range 12 {
			k := keyOf(t, w.body(typ, n))
			for range 1 + w.IntN(4) {
				number := len(all[k]) + 1
				if before := all[k]; number > 1 && !before[number-2].deleted && w.IntN(4) == 0 {
					w.remove(t, k)
					all[k] = append(before, told{before[number-2].doc, number, true})
					continue
				}
				w.put(t, w.body(typ, n))
				w.shut(t, k, w.someKeys())
				all[k] = append(all[k], told{w.docs[k], number, false})
			}
		}
	}
	return all
}

// TestHistoryWithinSight reads histories on behalf of random callers: a version is
// there if it is seen itself, and if the current one is.
func TestHistoryWithinSight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 7)
	pasts := w.pasts(t)
	shown := 0
	for range 120 {
		g := w.someGrant()
		var histories []History
		for _, typ := range []string{"", "Task", "Patient", "Observation"} {
			histories = append(histories, History{Type: typ})
		}
		for k := range pasts {
			if w.IntN(4) == 0 {
				histories = append(histories, History{Type: k.Type, ID: k.ID})
			}
		}
		for _, h := range histories {
			needs := access.MaySearch
			if h.ID != "" {
				needs = access.MayRead
			}
			var want []string
			for k, versions := range pasts {
				if h.Type != "" && h.Type != k.Type || h.ID != "" && h.ID != k.ID {
					continue
				}
				for _, v := range versions {
					if v.doc.shown(t, g, needs) && versions[len(versions)-1].doc.shown(t, g, needs) {
						want = append(want, fmt.Sprint(k, v.number, v.deleted))
					}
				}
			}
			got := w.history(t, g, h, len(want))
			slices.Sort(got)
			slices.Sort(want)
			if shown += len(want); !slices.Equal(got, want) {
				t.Fatalf("history %s/%s for %+v:\n got %v\nwant %v", h.Type, h.ID, g.Terms(), got, want)
			}
		}
	}
	if shown < 1000 {
		t.Errorf("all histories together showed %d versions: they ask for too little", shown)
	}
}

// history reads all pages of a history. If versions are counted there are total.
func (w *world) history(t *testing.T, g access.Grant, h History, total int) (all []string) {
	t.Helper()
	h.Count = 1 + w.IntN(6)
	for {
		p, err := w.db.History(t.Context(), g, h)
		if err != nil {
			t.Fatal(err)
		}
		if p.Total >= 0 && p.Total != total || p.Next != "" && len(p.Versions) != h.Count || len(p.Versions) > h.Count {
			t.Fatalf("history %+v: %d of %d versions, next %q, want %d", h, len(p.Versions), p.Total, p.Next, total)
		}
		if h.ID != "" && len(p.Versions) > 0 && p.Total < 0 && !w.db.past(g, h).granular {
			t.Fatalf("history %+v: versions are not counted", h)
		}
		for _, v := range p.Versions {
			all = append(all, fmt.Sprint(v.Key, v.Number, v.Deleted()))
		}
		if h.After = p.Next; h.After == "" {
			return all
		}
	}
}

// TestMisfiled corrects whom a version is about: nobody sees the versions of the
// other.
func TestMisfiledWithinSight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 8)
	k := fhir.Key{Type: "Task", ID: "ta0"}
	a, b := access.Key{Kind: access.Patient, Of: "Patient/pa0"}, access.Key{Kind: access.Patient, Of: "Patient/pa1"}
	w.put(t, `{"resourceType":"Task","id":"ta0","status":"draft","intent":"order"}`)
	w.shut(t, k, []access.Key{a})
	w.put(t, `{"resourceType":"Task","id":"ta0","status":"requested","intent":"order"}`)
	w.shut(t, k, []access.Key{b})
	grant := func(party access.Key, id string) access.Grant {
		return access.NewGrant(access.Terms{
			Client: "c", ID: id, Scopes: []access.Scope{{Context: access.ForPatient, Type: "*", Allows: access.MayRead | access.MaySearch}},
			Standings: map[access.Context]access.Standing{access.ForPatient: {Parties: []access.Key{party}}},
		})
	}
	for _, h := range []History{{Count: 1}, {Type: "Task", Count: 1}, {Type: "Task", ID: "ta0", Count: 1}} {
		if p, err := db.History(t.Context(), grant(a, "a"), h); err != nil || len(p.Versions) > 0 || p.Total > 0 {
			t.Errorf("the first patient sees %+v, %v", p, err)
		}
		p, err := db.History(t.Context(), grant(b, "b"), h)
		if err != nil || len(p.Versions) != 1 || p.Versions[0].Number != 2 || p.Next != "" || h.ID != "" && p.Total != 1 {
			t.Errorf("the second patient sees %+v, %v", p, err)
		}
		p, err = db.History(t.Context(), access.Trusted("test"), h)
		if err != nil || p.Next == "" {
			t.Fatal(p, err)
		}
		if h.After = p.Next; fhir.AsOutcome(second(db.History(t.Context(), grant(b, "b"), h))) == nil {
			t.Error("the link to a page of somebody else is good")
		}
	}
}

// TestDeletedWithinSight holds the condition of a scope against the last version
// before a deletion.
func TestDeletedWithinSight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 9)
	g := seeing([]access.Key{{Kind: access.Open}}, nil, access.Argument{Param: "status", Value: "requested"})
	for id, c := range map[string]struct {
		status []string
		want   string
	}{
		"met":     {[]string{"draft", "requested"}, "[Task/met 3 true Task/met 2 false]"},
		"not-met": {[]string{"requested", "draft"}, "[]"},
	} {
		k := fhir.Key{Type: "Task", ID: id}
		for _, status := range c.status {
			w.put(t, fmt.Sprintf(`{"resourceType":"Task","id":"%s","status":"%s","intent":"order"}`, id, status))
			w.shut(t, k, []access.Key{{Kind: access.Open}})
		}
		w.remove(t, k)
		p, err := db.History(t.Context(), g, History{Type: "Task", ID: id, Count: 5})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range p.Versions {
			got = append(got, fmt.Sprint(v.Key, " ", v.Number, " ", v.Deleted()))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", id, got, c.want)
		}
	}
}
