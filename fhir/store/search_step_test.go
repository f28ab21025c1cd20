package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// many fills a database with patients of whom every second is a Smith, each with
// one Task, and returns a way to ask it.
func many(t testing.TB, patients int) (*DB, func(text string) *search.Query) {
	t.Helper()
	db, database := openInside(t)
	var bodies []string
	for n := range patients {
		name := []string{"Smith", "Jones"}[n%2]
		bodies = append(bodies, fmt.Sprintf(`{"resourceType":"Patient","id":"pa%d","name":[{"family":"%s"}],"gender":"%s"}`, n, name, []string{"male", "female"}[n/2%2]),
			fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","status":"%s","intent":"order","for":{"reference":"Patient/pa%d"},"authoredOn":"2024-01-%02d"}`, n, []string{"requested", "failed"}[n/4%2], n, 1+n%28))
	}
	copyIn(t, db, bodies, keysOfMany)
	if _, err := database.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(db, 1)
	return db, func(text string) *search.Query { return w.ask(t, text) }
}

// all returns what all pages of q show.
func all(t testing.TB, db *DB, q *search.Query) []string {
	t.Helper()
	var keys []string
	for after := ""; ; {
		m, err := db.Search(t.Context(), access.Trusted("test"), q, after)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, versionKeys(m.Versions)...)
		if after = m.Next; after == "" {
			return keys
		}
	}
}

// TestManyTargets follows steps that lead to more rows than one statement takes,
// first when nothing is known of the tables and then when it is: both find all.
func TestManyTargets(t *testing.T) {
	t.Parallel()
	const patients = 6000
	db, ask := many(t, patients)
	for _, known := range []bool{false, true} {
		if known {
			if err := db.readStatistics(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for text, want := range map[string]int{
			"Task?patient.family=smith":                               patients / 2,
			"Task?patient.family=smith&_sort=-authored-on":            patients / 2,
			"Task?patient.family=smith&patient.gender=male":           patients / 4,
			"Task?patient:Patient._has:Task:patient:status=requested": patients / 2,
			"Patient?_has:Task:patient:status=failed":                 patients / 2,
			"Patient?_has:Task:patient:status=failed&family=jones":    patients / 4,
			"Patient?_has:Task:patient:patient.family=smith":          patients / 2,
		} {
			q := ask(text + "&_count=1000")
			keys := all(t, db, q)
			slices.Sort(keys)
			if n := len(slices.Compact(keys)); n != want || len(keys) != want {
				t.Errorf("%s, known %t: %d found, %d different; want %d", text, known, len(keys), n, want)
			}
			q.Count = 0
			if m, err := db.Search(t.Context(), access.Trusted("test"), q, ""); err != nil || m.Total != want {
				t.Errorf("%s: total %v, %v; want %d", text, m, err, want)
			}
		}
	}
}

// TestTooCostly asks for what goes beyond the bounds (attack D6): the answer names the
// parameter.
func TestTooCostly(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 300)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.bounds.few, db.bounds.resolved, db.bounds.examined = 10, 50, 100
	either := ask("Task?patient.family=smith")
	either.Where = []search.Condition{search.Or{either.Where[0], search.IDs{"ta1"}}}
	for _, try := range []struct {
		q    *search.Query
		name string
	}{
		{either, "patient.family"},
		{ask("Task?_content=nothing"), ""},
		{ask("Patient?name:contains=mit&name:exact=nobody"), ""},
		{ask("Task?patient.family=smith&patient.gender=unknown&_count=200"), ""},
		{ask("Patient?_has:Task:patient:status=requested&_summary=count"), "_has:Task:patient:status"},
	} {
		_, err := db.Search(t.Context(), access.Trusted("test"), try.q, "")
		o := fhir.AsOutcome(err)
		if try.name == "" {
			if err != nil {
				t.Errorf("%v: %v", try.q.Applied, err)
			}
			continue
		}
		if o == nil || o.Class != fhir.BadRequest || o.Issues[0].Code != fhir.TooCostly || !strings.Contains(o.Issues[0].Text, try.name) || o.Issues[0].Expression != "http."+try.name {
			t.Errorf("%v: %v", try.q.Applied, err)
		}
	}
}

// TestSlowSearch (attack D6) has a search wait for a lock until Postgres gives it
// up.
func TestSlowSearch(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	w := newWorld(db, 1)
	w.put(t, `{"resourceType":"Patient","id":"pa1"}`)
	impatient, err := Open(t.Context(), Config{DSN: database.DSN + " statement_timeout=200", Conns: 2, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	tx, err := database.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("LOCK TABLE res"); err != nil {
		t.Fatal(err)
	}
	_, err = impatient.Search(t.Context(), access.Trusted("test"), w.ask(t, "Patient?name=smith"), "")
	o := fhir.AsOutcome(err)
	if o == nil || o.Class != fhir.Unavailable || o.Issues[0].Code != fhir.TooCostly || !strings.Contains(o.Issues[0].Text, "name") {
		t.Errorf("the search failed with %v", err)
	}
	_, err = impatient.Search(t.Context(), access.Trusted("test"), w.ask(t, "Patient?name=smith"), "x")
	if _, away := errors.AsType[*Unavailable](err); away {
		t.Errorf("a wrong position was answered with %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 300)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := ask("Task?patient.family=smith&status=failed&_count=5&_include=Task:patient&_total=accurate")
	q.Explain = true
	m, err := db.Search(t.Context(), access.Trusted("test"), q, "")
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, s := range m.Explanation.Steps {
		what = append(what, s.What)
		if s.SQL == "" || s.Took <= 0 || strings.Contains(s.SQL, "smith") {
			t.Errorf("step %+v tells too little, or too much", s)
		}
	}
	if got := strings.Join(what, ", "); got != "patient.family, page, total, _include=Task:patient" {
		t.Errorf("the steps are %s", got)
	}
	page := m.Explanation.Steps[1]
	if page.Path == "" || page.Why == "" || page.Expected <= 0 || page.Rows != 6 || !strings.Contains(page.Plan, "res_task") {
		t.Errorf("the page is explained as %+v", page)
	}
	q.Explain = false
	if m, err := db.Search(t.Context(), access.Trusted("test"), q, ""); err != nil || m.Explanation != nil {
		t.Errorf("explained without being asked: %v", err)
	}
}

// TestFind finds what a conditional write needs to know: up to two.
func TestFind(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 20)
	for text, want := range map[string]int{"Patient?family=smith": 2, "Patient?_id=pa3": 1, "Patient?family=nobody": 0} {
		found, err := db.find(t.Context(), db.sql, Criteria{"Patient", ask(text).Where, db.Registry().Generation, access.Trusted("test")})
		if err != nil || len(found) != want {
			t.Errorf("%s: %v, %v; want %d", text, versionKeys(found), err, want)
		}
		for _, v := range found {
			if v.Number != 1 || len(v.Stored) == 0 || v.Updated.Year() < 2024 {
				t.Errorf("%s found %+v", text, v)
			}
		}
	}
}

// TestStatisticsAreRead looks at what is known of tables before and after they
// are analysed.
func TestStatisticsAreRead(t *testing.T) {
	t.Parallel()
	db, _ := many(t, 3000)
	if v := db.statistics(time.Now()).view(db.types["Task"], false); v.rows >= 0 {
		t.Errorf("%v rows are known of a table that nobody has analysed", v.rows)
	}
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := db.statistics(time.Now())
	v := s.view(db.types["Task"], false)
	if v.rows != 3000 {
		t.Errorf("%v rows, want 3000", v.rows)
	}
	w := newWorld(db, 1)
	half := db.secret.Filter(db.scope("Task"), w.ask(t, "Task?status=requested").Where)
	one := db.secret.Filter(db.scope("Task"), w.ask(t, "Task?patient=Patient/pa7").Where)
	late := db.secret.Filter(db.scope("Task"), w.ask(t, "Task?authored-on=ge2024-01-15").Where)
	if f := v.share(half.All[0]); f < 0.4 || f > 0.6 {
		t.Errorf("requested has a share of %v, want a half", f)
	}
	if f := v.share(one.All[0]); f > 0.01 {
		t.Errorf("one patient has a share of %v", f)
	}
	if f := v.selectivity(late.Where[0]); f < 0.4 || f > 0.6 {
		t.Errorf("the second half of January has a share of %v", f)
	}
	if p := v.choose(&half, true, 20); !p.walk || p.rows < 1200 || p.rows > 1800 {
		t.Errorf("for what is common: %+v", p)
	}
	if p := v.choose(&one, true, 20); p.walk || p.rows > 50 {
		t.Errorf("for what is rare: %+v", p)
	}
	if everything := s.view(0, true); everything.rows < 6000 {
		t.Errorf("%v rows of all types", everything.rows)
	}
}
