package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// TestSearchWithinSight searches on behalf of random callers. What is found, on
// which pages, in what order and how many, must be what is found by going through
// the resources that the caller sees, as if there were no others: chains, _has and
// _list do not lead over what is hidden.
func TestSearchWithinSight(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{0, 1, 2} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			db, database := openInside(t)
			if seed > 0 {
				db.bounds.few = 2
			}
			w := newWorld(db, 100+seed)
			w.fill(t)
			w.shutAll(t)
			found := 0
			for n := range 60 {
				if n == 30 {
					if _, err := database.Exec("ANALYZE"); err != nil {
						t.Fatal(err)
					}
					if err := db.readStatistics(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				g := w.someGrant()
				seen := w.seenBy(t, g)
				for range 6 {
					typ, params := w.request()
					differs, matches := seen.compare(t, typ, params)
					if found += matches; differs != "" {
						t.Fatalf("%s?%v for %+v: %s", typ, params, g.Terms(), differs)
					}
				}
			}
			if found < 300 {
				t.Errorf("all searches together found %d: they ask for too little", found)
			}
		})
	}
}

// TestIncludesWithinSight asks for random things along with random matches: none
// that is hidden comes, and none that only a hidden one leads to.
func TestIncludesWithinSight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 5)
	w.fill(t)
	w.shutAll(t)
	some := 0
	for range 60 {
		g := w.someGrant()
		seen := w.seenBy(t, g)
		for range 5 {
			typ := w.pick("Task", "Patient", "Observation", "Communication", "QuestionnaireResponse", "Questionnaire")
			text := []string{typ + "?_count=" + w.pick("2", "5", "20")}
			for range 1 + w.IntN(2) {
				text = append(text, w.includeOf(typ))
			}
			q := w.ask(t, strings.Join(text, "&"))
			m, err := db.Search(t.Context(), g, q, "")
			if err != nil {
				t.Fatal(text, err)
			}
			got := versionKeys(m.Included)
			slices.Sort(got)
			want := seen.included(versionKeys(m.Versions), q.Includes)
			if some += len(want); !slices.Equal(got, want) || len(m.Warnings) > 0 {
				t.Fatalf("%v for %+v: %v\n got %v\nwant %v", text, g.Terms(), m.Warnings, got, want)
			}
		}
	}
	if some < 300 {
		t.Errorf("all searches together included %d: they ask for too little", some)
	}
}

// TestZeroGrant finds nothing by any way that leads to resources.
func TestZeroGrant(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 6)
	w.fill(t)
	for _, k := range w.names() {
		w.shut(t, k, []access.Key{{Kind: access.Open}})
	}
	someone := access.NewGrant(access.Terms{Client: "c", Scopes: []access.Scope{{Context: access.ForUser, Type: "*", Allows: access.MayRead | access.MaySearch}}})
	for name, g := range map[string]access.Grant{"zero": {}, "without standing": someone} {
		for _, text := range []string{"Task?_count=5", "?_count=5", "Patient?_has:Task:patient:status=requested&_total=accurate", "Task?_id=ta1&_include=*&_explain=true", "?_list=li0", "Task?patient.name=a&_count=0"} {
			q := w.ask(t, text)
			m, err := db.Search(t.Context(), g, q, "")
			if err != nil || len(m.Versions)+len(m.Included) > 0 || m.Total > 0 || m.Explanation != nil {
				t.Errorf("%s: %s: %+v, %v", name, text, m, err)
			}
		}
		c := Criteria{Type: "Task", Where: w.ask(t, "Task?_id=ta1").Where, Generation: db.Registry().Generation, Grant: g}
		if found, err := db.find(t.Context(), db.sql, c); err != nil || len(found) > 0 {
			t.Errorf("%s: conditionally: %v, %v", name, found, err)
		}
		for _, h := range []History{{Count: 5}, {Type: "Task", Count: 5}, {Type: "Task", ID: "ta1", Count: 5}} {
			if p, err := db.History(t.Context(), g, h); err != nil || len(p.Versions) > 0 || p.Total > 0 || p.Next != "" {
				t.Errorf("%s: %+v: %+v, %v", name, h, p, err)
			}
		}
		v, err := db.Read(t.Context(), fhir.Key{Type: "Task", ID: "ta1"})
		if err != nil {
			t.Fatal(err)
		}
		if seen, err := db.Sees(g, access.MayRead, v); seen || err != nil {
			t.Errorf("%s: sees a version: %v", name, err)
		}
	}
}

// TestEstimateWithinSight counts up to a bound, and tells nothing of what is
// known of all rows.
func TestEstimateWithinSight(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 6000)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		grant     access.Grant
		text      string
		total     int
		estimated bool
	}{
		{staffGrant(3), "Task?_count=1", countedForEstimate, true},
		{staffGrant(2), "Task?patient.gender=male&_count=1", 600, false},
		{patientGrant(7), "Task?_count=1", 1, false},
		{patientGrant(7), "Task?status:not=requested&_count=0", 1, false},
		{access.Grant{}, "Task?_count=1", 0, false},
	} {
		m, err := db.Search(t.Context(), c.grant, ask(c.text+"&_total=estimate"), "")
		if err != nil || m.Total != c.total || m.Estimated != c.estimated {
			t.Errorf("%s: %+v, %v; want %d", c.text, m, err, c.total)
		}
	}
}
