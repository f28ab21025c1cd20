package terminology

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
)

// synthetic yields n concepts like those of a large clinical terminology: some ten
// levels deep, most with one or two parents, three names and three properties each.
func synthetic(n int) iter.Seq2[*concept, error] {
	return func(yield func(*concept, error) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		vocabulary := make([]string, 20_000)
		for i := range vocabulary {
			vocabulary[i] = syllables(r)
		}
		name := func() string {
			words := make([]string, 3+r.IntN(3))
			for i := range words {
				words[i] = vocabulary[min(r.IntN(len(vocabulary)), r.IntN(len(vocabulary)))]
			}
			return strings.Join(words, " ")
		}
		for i := range n {
			c := &concept{code: syntheticCode(i), display: name(), inactive: r.IntN(10) == 0}
			for range 1 + r.IntN(5)/2 {
				if i > 0 {
					// A fan-out of four makes about ten levels.
					p := syntheticCode((i-1)/4 - r.IntN(1+(i-1)/64))
					if !slices.Contains(c.parents, p) {
						c.parents = append(c.parents, p)
					}
				}
			}
			for _, language := range []string{"en", "de"} {
				c.designations = append(c.designations, designation{language: language, use: Coding{System: "http://example.org/use", Code: "synonym"}, value: name()})
			}
			c.properties = []property{{"effective", "dateTime", fmt.Sprint(2002 + i%20)}, {"module", "code", fmt.Sprint(i % 5)}, {"tag", "string", vocabulary[r.IntN(2000)]}}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func syntheticCode(i int) string { return fmt.Sprint(100_000_000 + 7*i) }

func syllables(r *rand.Rand) string {
	var b strings.Builder
	for range 2 + r.IntN(3) {
		b.WriteByte("bcdfghklmnprstvz"[r.IntN(16)])
		b.WriteByte("aeiou"[r.IntN(5)])
	}
	return b.String()
}

func loadSynthetic(t testing.TB, s *Service, n int) *table {
	t.Helper()
	loaded, err := s.load(t.Context(), origin{source: "synthetic", number: n}, reading{
		header: header{url: "http://example.org/synthetic", content: "complete", caseSensitive: true}, concepts: synthetic(n)})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestPlans holds every statement against walking through all concepts.
func TestPlans(t *testing.T) {
	t.Parallel()
	s, db := onTables(t)
	loaded := loadSynthetic(t, s, 30_000)
	db.SetMaxOpenConns(1) // for what is set in the session
	for name, c := range map[string]struct {
		statement string
		args      []any
	}{
		"code":       {byCode, []any{pq.Array([]string{"100000007", "100000014"})}},
		"folded":     {byFolded, []any{pq.Array([]string{"100000007"})}},
		"page":       {byOrdinal, []any{pq.Array([]int32{3, 4, 5})}},
		"is-a":       {setsAt, []any{belowKind, pq.Array([]string{"100000007"})}},
		"words":      {setsFrom, []any{wordKind, "ba", "bb"}},
		"properties": {setsOf, []any{"=tag"}},
	} {
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			if _, err := db.Exec(`SET plan_cache_mode = ` + mode); err != nil {
				t.Fatal(err)
			}
			plan := explain(t, loaded, "EXPLAIN "+c.statement, c.args)
			for _, bad := range []string{"Seq Scan on terminology_concept", "Seq Scan on terminology_above", "Seq Scan on terminology_set"} {
				if strings.Contains(plan, bad) || !strings.Contains(plan, "Index") {
					t.Errorf("%s, %s: %s in\n%s", name, mode, bad, plan)
				}
			}
		}
	}
}

func explain(t *testing.T, x *table, statement string, args []any) string {
	t.Helper()
	rows, err := x.query(t.Context(), statement, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// BenchmarkTable measures a code system of 350,000 concepts.
func BenchmarkTable(b *testing.B) {
	const n = 350_000
	s, db := onTables(b)
	begin := time.Now()
	loaded := loadSynthetic(b, s, n)
	took := time.Since(begin)
	sizes := map[string]float64{}
	for _, name := range []string{"terminology_concept", "terminology_above", "terminology_set"} {
		var size int64
		if err := db.QueryRow(`SELECT pg_total_relation_size($1)`, name).Scan(&size); err != nil {
			b.Fatal(err)
		}
		sizes[name] = float64(size) / (1 << 20)
	}
	b.Logf("read in in %s, MB %v", took, sizes)
	var pairs, deepest int
	if err := db.QueryRow(`SELECT sum(cardinality(above)), max(cardinality(above)) FROM terminology_above`).Scan(&pairs, &deepest); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d pairs, %d above one at most", pairs, deepest)
	r := rand.New(rand.NewPCG(3, 4))
	forget := func() {
		s.tables.concepts, s.tables.sets = newRecent[conceptName, *place](1), newRecent[string, bits](1)
	}
	ctx := context.Background()
	isA := func(code int) selection {
		return selection{filters: []filter{{"concept", "is-a", syntheticCode(code)}}, count: 20}
	}
	pick := func(ask func() selection) func() error {
		return func() error {
			_, _, err := loaded.pick(ctx, ask())
			return err
		}
	}
	for _, c := range []struct {
		name string
		cold bool
		ask  func() error
	}{
		{"validate-code/cold", true, func() error {
			c, err := loaded.concept(ctx, syntheticCode(r.IntN(n)))
			if c == nil {
				b.Fatal("not there")
			}
			return err
		}},
		{"validate-code/warm", false, func() error {
			_, err := loaded.concept(ctx, syntheticCode(r.IntN(50)))
			return err
		}},
		{"subsumes/cold", true, func() error {
			_, err := loaded.subsumes(ctx, syntheticCode(r.IntN(1000)), syntheticCode(r.IntN(n)))
			return err
		}},
		{"is-a page of all/cold", true, pick(func() selection { return isA(0) })},
		{"is-a page of some/cold", true, pick(func() selection { return isA(20 + r.IntN(1000)) })},
		{"is-a page/warm", false, pick(func() selection { return isA(20 + r.IntN(50)) })},
		{"text/cold", true, pick(func() selection { return selection{text: "ba te", count: 20, active: true} })},
		{"regex of codes/cold", true, pick(func() selection { return selection{filters: []filter{{"code", "regex", "1.*99"}}, count: 20} })},
	} {
		b.Run(c.name, func(b *testing.B) {
			s.tables.concepts, s.tables.sets = newRecent[conceptName, *place](conceptBytes), newRecent[string, bits](setBytes)
			if c.cold {
				forget()
			}
			var times []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				begin := time.Now()
				if err := c.ask(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
		})
	}
}
