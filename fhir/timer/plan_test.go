package timer

import (
	"strings"
	"testing"
	"time"
)

// fill makes timers, the first of which is due after an hour.
func (w *world) fill(n int) {
	w.t.Helper()
	const insert = `INSERT INTO timer (type, id, kind, due, every, at, next)
		SELECT 'Task', 'filler-' || i, 'overdue', t, 0, t, t FROM (SELECT i, $1::timestamptz + i * interval '1 second' AS t FROM generate_series(1, $2) i) x`
	if _, err := w.db.ExecContext(w.t.Context(), insert, start.Add(time.Hour), n); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.db.ExecContext(w.t.Context(), `VACUUM ANALYZE timer`); err != nil {
		w.t.Fatal(err)
	}
}

// TestIndex sees to it that timers that run cost nothing: what is due is found by the index.
func TestIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill(100_000)
	for query, args := range map[string][]any{
		claimQuery: {start, 4, 1000},
		restQuery:  {start},
	} {
		rows, err := w.db.QueryContext(t.Context(), `EXPLAIN (ANALYZE, BUFFERS) `+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if text := plan.String(); !strings.Contains(text, "timer_next") || strings.Contains(text, "Seq Scan on timer") || strings.Contains(text, "Sort") {
			t.Errorf("not by the index:\n%s", text)
		}
	}
	e := w.engine()
	if all, err := e.claims(t.Context(), 10); len(all) != 0 || err != nil {
		t.Errorf("%d are due, %v", len(all), err)
	}
	if d := e.rest(t.Context()); d != soundIdle {
		t.Errorf("it looks again after %v", d)
	}
	w.pass(time.Hour + 500*time.Millisecond)
	if d := e.rest(t.Context()); d != 500*time.Millisecond {
		t.Errorf("it looks again after %v", d)
	}
	w.pass(500 * time.Millisecond)
	if all, err := e.claims(t.Context(), 10); len(all) != 1 || err != nil {
		t.Errorf("%d are due, %v", len(all), err)
	}
}

// BenchmarkIdle is what 100,000 running timers cost at each look.
func BenchmarkIdle(b *testing.B) {
	w := newWorld(b)
	w.fill(100_000)
	e := w.engine()
	for b.Loop() {
		if all, err := e.claims(b.Context(), 4); len(all) != 0 || err != nil {
			b.Fatal(all, err)
		}
		e.rest(b.Context())
	}
}

// BenchmarkSound is one alarm that is due among 100,000, from the claim to its end.
func BenchmarkSound(b *testing.B) {
	w := newWorld(b)
	w.fill(100_000)
	w.pass(30 * 24 * time.Hour)
	e := w.engine()
	for b.Loop() {
		all, err := e.claims(b.Context(), 1)
		if err != nil || len(all) != 1 {
			b.Fatal(all, err)
		}
		e.turn(b.Context(), all[0])
	}
}
