package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// included returns what goes along with matches, by going through everything.
func (w *world) included(matches []string, includes []search.Include) []string {
	seen := map[string]bool{}
	for _, k := range matches {
		seen[k] = true
	}
	var all []string
	for rows, depth := matches, 0; len(rows) > 0; depth++ {
		var added []string
		for _, i := range includes {
			if depth > 0 && !i.Iterate {
				continue
			}
			for _, d := range w.along(rows, i) {
				if k := d.index.Key.String(); !seen[k] {
					seen[k] = true
					added = append(added, k)
				}
			}
		}
		all, rows = append(all, added...), added
	}
	slices.Sort(all)
	return all
}

// along returns what one include leads to from rows.
func (w *world) along(rows []string, i search.Include) []*doc {
	var all []*doc
	for _, d := range w.docs {
		for _, other := range w.docs {
			from, to := d, other
			if i.Reverse {
				from, to = other, d
			}
			if slices.Contains(rows, d.index.Key.String()) && leads(i, from, to) {
				all = append(all, other)
			}
		}
	}
	return all
}

// leads reports whether from refers to to by i.
func leads(i search.Include, from, to *doc) bool {
	if i.Source != "*" && i.Source != from.index.Key.Type || i.Target != "" && i.Target != to.index.Key.Type {
		return false
	}
	if i.Params == nil {
		return from.refersTo(to, "")
	}
	return slices.ContainsFunc(i.Params, func(p *search.Param) bool { return from.refersTo(to, p.Code) })
}

// TestIncludes asks for random things along with random matches.
func TestIncludes(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	w := newWorld(db, 3)
	w.fill(t)
	some := 0
	for range 150 {
		typ := w.pick("Task", "Patient", "Observation", "Communication", "QuestionnaireResponse", "Questionnaire")
		text := []string{typ + "?_count=" + w.pick("2", "5", "20")}
		for range 1 + w.IntN(2) {
			text = append(text, w.includeOf(typ))
		}
		q := w.ask(t, strings.Join(text, "&"))
		m, err := db.Search(t.Context(), access.Trusted("test"), q, "")
		if err != nil {
			t.Fatal(text, err)
		}
		got := versionKeys(m.Included)
		slices.Sort(got)
		want := w.included(versionKeys(m.Versions), q.Includes)
		if some += len(want); !slices.Equal(got, want) || len(m.Warnings) > 0 {
			t.Errorf("%v: %v\n got %v\nwant %v", text, m.Warnings, got, want)
		}
	}
	if some < 700 { // which matches come first depends on the secret of the installation
		t.Errorf("all searches together included %d: they ask for too little", some)
	}
}

func (w *world) includeOf(typ string) string {
	return map[string]string{
		"Task":                  w.pick("_include=Task:patient", "_include=Task:owner", "_include=Task:owner:Organization", "_include=Task:*", "_include=*", "_include=Task:patient&_include:iterate=Patient:link", "_include=Task:subject&_revinclude:iterate=Observation:patient", "_revinclude=List:item"),
		"Patient":               w.pick("_include:iterate=Patient:link", "_include=Patient:organization", "_revinclude=Task:patient", "_revinclude=*", "_revinclude=Task:*", "_revinclude=Communication:recipient", "_revinclude=Task:patient&_include:iterate=Task:owner", "_include:iterate=*"),
		"Observation":           w.pick("_include=Observation:subject", "_include=Observation:patient&_include:iterate=Patient:organization"),
		"Communication":         w.pick("_include=Communication:recipient", "_include=Communication:recipient:Practitioner", "_include=Communication:*"),
		"QuestionnaireResponse": w.pick("_include=QuestionnaireResponse:questionnaire", "_include=QuestionnaireResponse:*", "_include=*"),
		"Questionnaire":         w.pick("_revinclude=QuestionnaireResponse:questionnaire", "_revinclude=*", "_revinclude=QuestionnaireResponse:questionnaire&_include:iterate=QuestionnaireResponse:patient"),
	}[typ]
}

// ask reads Type?name=value&….
func (w *world) ask(t testing.TB, text string) *search.Query {
	t.Helper()
	typ, query, _ := strings.Cut(text, "?")
	var params []search.Parameter
	for _, p := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(p, "=")
		params = append(params, search.Parameter{Name: name, Value: value})
	}
	return w.query(t, typ, params)
}

// TestIncludesAreBounded includes more than fits.
func TestIncludesAreBounded(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	db.bounds.included = 5
	w := newWorld(db, 3)
	w.put(t, `{"resourceType":"Patient","id":"pa0"}`)
	for n := range 9 {
		w.put(t, fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","status":"requested","intent":"order","for":{"reference":"Patient/pa0"}}`, n))
	}
	for text, want := range map[string]int{"Patient?_revinclude=Task:patient": 5, "Patient?_revinclude=Task:patient&_include=Patient:link": 5, "Task?_count=3&_include=Task:patient": 1} {
		m, err := db.Search(t.Context(), access.Trusted("test"), w.ask(t, text), "")
		if err != nil {
			t.Fatal(err)
		}
		warned := len(m.Warnings) == 1 && m.Warnings[0].Severity == fhir.Warning && m.Warnings[0].Code == fhir.TooCostly
		if len(m.Included) != want || warned != (want == 5) {
			t.Errorf("%s: %d included, warnings %v; want %d", text, len(m.Included), m.Warnings, want)
		}
	}
}

// TestIterateEnds follows a chain of references that is longer than the bound.
func TestIterateEnds(t *testing.T) {
	t.Parallel()
	db, _ := openInside(t)
	db.bounds.depth = 4
	w := newWorld(db, 3)
	for n := range 9 {
		w.put(t, fmt.Sprintf(`{"resourceType":"Patient","id":"pa%d","link":[{"other":{"reference":"Patient/pa%d"},"type":"seealso"}]}`, n, n+1))
	}
	m, err := db.Search(t.Context(), access.Trusted("test"), w.ask(t, "Patient?_id=pa0&_include:iterate=Patient:link"), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Included) != 4 || len(m.Warnings) != 1 {
		t.Errorf("included %v with warnings %v, want four and one", versionKeys(m.Included), m.Warnings)
	}
}
