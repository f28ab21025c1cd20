package store

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/search"
)

// worklists fills a database with Tasks of three kinds between eight practices, eighty
// patients each, and four hospitals.
func worklists(t testing.TB, tasks int) (*DB, func(text string) *search.Query) {
	t.Helper()
	db, database := openInside(t)
	const system = "https://fhir.openconsult.example/CodeSystem/task-kind"
	begin := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	var bodies []string
	for n := range tasks {
		practice, patient, hospital := n/3%8, n/3%640, n/3%4
		due := begin.Add(time.Duration(n*7919%tasks) * time.Minute).Format(time.RFC3339)
		b := fmt.Sprintf(`{"resourceType":"Task","id":"ta%d","intent":"order","for":{"reference":"Patient/pa%d"},"restriction":{"period":{"end":%q}},`, n, patient, due)
		switch n % 3 {
		case 0:
			b += fmt.Sprintf(`"code":{"coding":[{"system":%q,"code":"consultation"}]},"status":%q,"requester":{"reference":"Patient/pa%d"},"owner":{"reference":"Organization/pr%d"}`,
				system, []string{"completed", "requested"}[n/24%2], patient, practice)
			if n/48%16 != 0 {
				b += `,"extension":[{"url":"https://fhir.openconsult.example/StructureDefinition/filed","valueBoolean":true}]`
			}
		case 1:
			b += fmt.Sprintf(`"code":{"coding":[{"system":%q,"code":"advice-and-guidance"}]},"status":"completed","requester":{"reference":"Organization/pr%d"},"owner":{"reference":"Organization/ho%d"},
				"businessStatus":{"coding":[{"system":"https://fhir.nhs.uk/STU3/CodeSystem/eRS-AdviceAndGuidanceStatus-1","code":%q}]}`,
				system, practice, hospital, []string{"CONVERSATION_ENDED_CLOSED", "REFERRER_TO_REVIEW_RESPONSE"}[boolean(n/24%16 == 0)])
		default:
			b += fmt.Sprintf(`"code":{"coding":[{"system":%q,"code":"message-receipt"}]},"status":%q,"owner":{"reference":"Organization/pr%d"}`,
				system, []string{"completed", "ready"}[boolean(n/24%16 == 0)], practice)
		}
		bodies = append(bodies, b+"}")
	}
	copyIn(t, db, bodies, func(int) []access.Key { return nil })
	if _, err := database.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	if err := db.readStatistics(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(db, 1)
	return db, func(text string) *search.Query { return w.ask(t, text) }
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// theWorklists are the searches by which both sides see what there is to do.
var theWorklists = []struct{ text, index string }{
	{"Task?requester=Organization/pr1&code=advice-and-guidance&business-status=REFERRER_TO_REVIEW_RESPONSE&_sort=due&_count=20", "res_task_keys_idx ver_pkey"},
	{"Task?owner=Organization/ho1&code=advice-and-guidance&business-status=REFERRER_TO_REVIEW_RESPONSE&_sort=-due&_count=20", "res_task_keys_idx ver_pkey"},
	{"Task?owner=Organization/pr1&code=consultation&filed=false&_count=20", "res_task_keys_idx ver_pkey"},
	{"Task?owner=Organization/pr1&code=message-receipt&status=ready&_summary=count", ""},
	{"Task?patient=Patient/pa9&_sort=due&_count=20", "res_task_keys_idx ver_pkey"},
	{"Task?code=consultation&_sort=due&_count=20", "res_task_t3 ver_pkey"},
	{"Task?due=lt2026-01-01T09:05:00Z&_count=20", "res_task_t3 ver_pkey"},
}

// TestWorklistPlans: each worklist is found by an index, and no table is read from end
// to end for it.
func TestWorklistPlans(t *testing.T) {
	t.Parallel()
	db, ask := worklists(t, 12_000)
	index := regexp.MustCompile(`(?:Index Scan|Index Only Scan|Bitmap Index Scan|Index Scan Backward|Index Only Scan Backward)(?: Backward)?(?: using| on) (\w+)`)
	for _, c := range theWorklists {
		q := ask(c.text)
		q.Explain = true
		m, err := db.Search(t.Context(), access.Trusted("test"), q, "")
		if err != nil {
			t.Fatal(c.text, err)
		}
		if len(m.Versions) == 0 && c.index != "" {
			t.Errorf("%s finds nothing", c.text)
		}
		for _, s := range m.Explanation.Steps {
			var used []string
			for _, u := range index.FindAllStringSubmatch(s.Plan, -1) {
				used = append(used, u[1])
			}
			slices.Sort(used)
			got := strings.Join(slices.Compact(used), " ")
			if s.What == "page" && got != c.index || strings.Count(s.Plan, "Seq Scan on res_") > strings.Count(s.Plan, "One-Time Filter") || strings.Contains(s.Plan, "Seq Scan on ver") {
				t.Errorf("%s, %s (%s) uses %s, want %s:\n%s", c.text, s.What, s.Why, got, c.index, s.Plan)
			}
		}
	}
}

// BenchmarkWorklist asks for them among 100,000 Tasks.
func BenchmarkWorklist(b *testing.B) {
	db, ask := worklists(b, 100_000)
	for _, c := range theWorklists {
		q := ask(c.text)
		b.Run(strings.ReplaceAll(c.text, "/", "."), func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Search(b.Context(), access.Trusted("test"), q, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
