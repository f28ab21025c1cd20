package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// TestCanonicalsOfAnyType follows references by URL that may point to any type,
// and from resources of types that the search does not name.
func TestCanonicalsOfAnyType(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	db.bounds.few = 2
	w := newWorld(db, 3)
	for n := range 5 {
		w.put(t, fmt.Sprintf(`{"resourceType":"Library","id":"li%d","url":"http://l/%d","status":"draft","type":{"text":"x"}}`, n, n))
		w.put(t, fmt.Sprintf(`{"resourceType":"Measure","id":"me%d","url":"http://m/%d","version":"1","status":"active","library":["http://l/%d"],"relatedArtifact":[{"type":"depends-on","resource":"http://m/%d|1"},{"type":"depends-on","resource":"http://m/%d|2"}]}`, n, n, n, n+1, n+2))
		w.put(t, fmt.Sprintf(`{"resourceType":"MeasureReport","id":"re%d","status":"complete","type":"summary","measure":"http://m/%d","period":{"start":"2024"}}`, n, n))
	}
	for text, want := range map[string]int{
		"Measure?_id=me1&_include=Measure:depends-on":            2,
		"Measure?_id=me1&_include=*":                             2,
		"Measure?_id=me1&_include=Measure:depends-on:Measure":    1,
		"Measure?_id=me1&_include:iterate=Measure:depends-on":    7,
		"MeasureReport?_id=re3&_include:iterate=*":               4,
		"Library?_id=li2&_revinclude:iterate=Measure:depends-on": 3,
	} {
		q := w.ask(t, text)
		m, err := db.Search(t.Context(), access.Trusted("test"), q, "")
		if err != nil {
			t.Fatal(text, err)
		}
		got := versionKeys(m.Included)
		slices.Sort(got)
		if all := w.included(versionKeys(m.Versions), q.Includes); len(got) != want || !slices.Equal(got, all) {
			t.Errorf("%s: %v, want %v, %d of them", text, got, all, want)
		}
	}
	for name, want := range map[string]int{"_has:Measure:depends-on:status": 9, "_has:MeasureReport:measure:status": 5} {
		for _, value := range []string{"active", "complete"} {
			differs, found := w.compare(t, "", []search.Parameter{{Name: name, Value: value}, {Name: "_count", Value: "3"}})
			if differs != "" || found != 0 && found != want {
				t.Errorf("%s=%s: found %d, want %d %s", name, value, found, want, differs)
			}
		}
	}
}
