package store

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/searchsql"
)

// TestSearchPlans explains the pages of hot searches on some ten thousand
// analysed rows: each uses the index that it was made for, and no table is read
// from end to end, unless the page is not full and what lacks the value that is
// sorted by comes at its end.
func TestSearchPlans(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 12_000)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	index := regexp.MustCompile(`(?:Index Scan|Index Only Scan|Bitmap Index Scan|Index Scan Backward|Index Only Scan Backward)(?: Backward)?(?: using| on) (\w+)`)
	for text, want := range map[string]string{
		"Task?patient=Patient/pa7":                                            "res_task_keys_idx ver_pkey",
		"Task?patient=Patient/pa7&status=requested&_sort=-_lastUpdated":       "res_task_keys_idx ver_pkey",
		"Task?status=requested&_sort=-_lastUpdated":                           "res_task_updated_rid_idx ver_pkey",
		"Task?status=requested&_sort=-authored-on":                            "res_task_t1 ver_pkey",
		"Task?status=requested":                                               "res_task_pkey ver_pkey",
		"Task?status=requested&_id=ta4,ta5":                                   "res_task_pkey ver_pkey",
		"Patient?_sort=family":                                                "res_patient_s1 ver_pkey",
		"Task?_lastUpdated=lt2025-01-02T00:00:01Z":                            "res_task_updated_rid_idx ver_pkey",
		"Task?patient:Patient._id=pa1,pa2,pa3,pa4&_sort=-_lastUpdated":        "res_task_keys_idx ver_pkey",
		"Patient?_has:Task:patient:status=requested":                          "res_patient_pkey ver_pkey",
		"Patient?_has:Task:patient:_id=ta1,ta2":                               "res_patient_pkey ver_pkey",
		"Task?authored-on=2024-01-05&_sort=authored-on&status=requested":      "res_task_t1 ver_pkey",
		"Task?status=requested&_sort=-_lastUpdated&patient.family=smith":      "res_task_updated_rid_idx ver_pkey",
		"Task?patient=Patient/pa1,Patient/pa2,Patient/pa3&_sort=-authored-on": "res_task_keys_idx ver_pkey",
	} {
		q := ask(text)
		q.Explain = true
		m, err := db.Search(t.Context(), access.Trusted("test"), q, "")
		if err != nil {
			t.Fatal(text, err)
		}
		for _, s := range m.Explanation.Steps {
			if s.What != "page" {
				continue
			}
			var used []string
			for _, u := range index.FindAllStringSubmatch(s.Plan, -1) {
				used = append(used, u[1])
			}
			slices.Sort(used)
			if got := strings.Join(slices.Compact(used), " "); got != want || strings.Count(s.Plan, "Seq Scan on res_") > strings.Count(s.Plan, "One-Time Filter") || strings.Contains(s.Plan, "Seq Scan on ver") {
				t.Errorf("%s (%s) uses %s, want %s:\n%s", text, s.Why, got, want, s.Plan)
			}
		}
	}
}

// TestDeepPages counts what Postgres reads for the first page and for a late one.
func TestDeepPages(t *testing.T) {
	t.Parallel()
	db, ask := many(t, 12_000)
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Task?status=requested", "Task?status=requested&_sort=-_lastUpdated", "Task?status=requested&_sort=-authored-on"} {
		q := ask(text + "&_count=50")
		first, after := buffers(t, db, text, ""), ""
		for range 60 {
			m, err := db.Search(t.Context(), access.Trusted("test"), q, after)
			if err != nil {
				t.Fatal(err)
			}
			after = m.Next
		}
		if late := buffers(t, db, text, after); late > 2*first {
			t.Errorf("%s: page 60 reads %d blocks, page 1 %d", text, late, first)
		}
	}
}

// buffers returns how many blocks a page takes.
func buffers(t *testing.T, db *DB, text, after string) int {
	t.Helper()
	w := newWorld(db, 1)
	q := w.ask(t, text+"&_count=50")
	s := db.searching(db.sql, db.Registry(), access.Trusted("test"))
	of, err := s.parts(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	at, err := parsePosition(after, len(q.Sort)+1)
	if err != nil {
		t.Fatal(err)
	}
	walk := s.page(q, of, at)
	f := of[0].filter
	p := of[0].view.choose(&f, searchsql.Walkable(walk.keys[0]), 51)
	page := searchsql.Page{Arms: []searchsql.Arm{{Filter: f, Keys: walk.keys[0], Scan: p.scan, Walk: p.walk}}, After: walk.after, Limit: 51, Bodies: true}
	statement, err := page.Statement(db.tables)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.sql.Query("EXPLAIN (ANALYZE, BUFFERS, FORMAT TEXT, COSTS OFF, TIMING OFF) "+statement.SQL, statement.Args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	total := 0
	hit := regexp.MustCompile(`Buffers: shared hit=(\d+)`)
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		if found := hit.FindStringSubmatch(line); found != nil && total == 0 {
			if total, err = strconv.Atoi(found[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return total
}
