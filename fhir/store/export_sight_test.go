package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestExportWithinSight exports on behalf of random callers what there was at an
// instant, after which much was changed: a version is there if it was the current
// one, if it is seen itself, and if the current one is.
func TestExportWithinSight(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 19)
	then := w.pasts(t)
	at, err := db.Instant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := map[fhir.Key]told{}
	for _, typ := range []string{"Task", "Patient", "Observation"} {
		for n := range 12 {
			body := w.body(typ, n)
			k := keyOf(t, body)
			now[k] = then[k][len(then[k])-1]
			switch w.IntN(3) {
			case 0:
				w.put(t, body)
				w.shut(t, k, w.someKeys())
				now[k] = told{w.docs[k], 0, false}
			case 1:
				if !now[k].deleted {
					w.remove(t, k)
				}
			}
		}
	}
	q, err := db.Registry().Parse(search.Request{Types: []string{"Task"}, Params: []search.Parameter{{Name: "status", Value: "requested,completed,failed"}}})
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for range 100 {
		g := w.someGrant()
		for _, x := range []Export{{Type: "Task"}, {Type: "Patient"}, {Type: "Observation"}, {Type: "Observation", Since: time.Unix(0, 0)}, {Type: "Task", Where: q.Where, Since: time.Unix(0, 0)}, {Type: "Task", Where: q.Where}} {
			if db.past(g, History{Type: x.Type}).granular {
				continue
			}
			x.At = at
			var want []string
			for k, versions := range then {
				v := versions[len(versions)-1]
				switch {
				case k.Type != x.Type, v.deleted && x.Since.IsZero(), !v.doc.shown(t, g, mayFind), !now[k].doc.shown(t, g, mayFind):
				case x.Where != nil && !search.Match(search.Or(x.Where), v.doc.index, nil):
				default:
					want = append(want, fmt.Sprint(k, v.number, v.deleted))
				}
			}
			slices.Sort(want)
			shown += len(want)
			versions, deletions := plan(t, db, g, x)
			var got []string
			for _, l := range []List{versions, deletions} {
				got = append(got, readBack(t, db, g, x.Type, l)...)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("export of %s %v since %v for %+v:\n got %v\nwant %v", x.Type, x.Where, x.Since, g.Terms(), got, want)
			}
		}
	}
	if shown < 500 {
		t.Errorf("all exports together showed %d versions: they ask for too little", shown)
	}
}

// readBack reads a list and returns the versions in it. All that was planned for g
// is shown to g.
func readBack(t *testing.T, db *DB, g access.Grant, typ string, l List) []string {
	t.Helper()
	var text strings.Builder
	err := db.ReadExport(t.Context(), g, typ, l, Exporter{
		Render: func(dst []byte, v *Version) ([]byte, error) {
			if v.Deleted() != (v.Stored == nil) {
				t.Errorf("%v has the content %s", v.Key, v.Stored)
			}
			return fmt.Appendln(dst, fmt.Sprint(v.Key, v.Number, v.Deleted())), nil
		},
		Write: func(b []byte) error { text.Write(b); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	if text.Len() == 0 {
		all = nil
	}
	if len(all) != len(l) {
		t.Errorf("%d versions of a list of %d", len(all), len(l))
	}
	return all
}
