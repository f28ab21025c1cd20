package timer

import (
	"testing"
	"time"
)

// late wants the oldest alarm to be late by d, and what has passed since then.
func (w *world) late(what string, d time.Duration, then time.Time) {
	w.t.Helper()
	b, err := ReadBacklog(w.t.Context(), w.db.DB)
	if err != nil || b.Late < d || d == 0 && b.Late > 0 || b.Late > d+time.Since(then) {
		w.t.Errorf("%s: late by %v, want %v; %v", what, b.Late, d, err)
	}
}

// TestBacklog is about how late the oldest alarm is that has not sounded.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	then := time.Now().Truncate(time.Second)
	e := w.engine(func(c *Config) { c.Now = nil })
	w.follow(e)
	w.late("without any", 0, then)
	w.put("next", "requested", then.Add(2*time.Minute))
	w.refuse["plan unplanned"] = 1
	w.put("unplanned", "requested", then.Add(-time.Hour))
	w.follow(e)
	w.late("with one that is not due, and what is to be planned again", 0, then)
	w.put("b", "requested", then.Add(-3*time.Minute))
	w.refuse["a"] = 1
	w.put("a", "requested", then.Add(-5*time.Minute))
	w.follow(e)
	w.late("with two that are due", 5*time.Minute, then)
	w.drain(e)
	w.heard("one", map[string]int{due("b", then.Add(-3*time.Minute)): 1})
	w.late("with one that is tried again", 5*time.Minute, then)
	if _, err := w.db.ExecContext(t.Context(), `UPDATE timer SET next = 'infinity' WHERE id = 'a'`); err != nil {
		t.Fatal(err)
	}
	w.late("when all have sounded", 0, then)
}

// TestPlace is about how far timers are planned.
func TestPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.follow(w.engine())
	w.put("a", "requested", start)
	for _, s := range []string{`UPDATE ver SET updated = updated - interval '90 seconds'`, `UPDATE timer_feed SET lease = 'infinity'`} {
		if _, err := w.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := ReadPlace(t.Context(), w.store, w.db.DB); err != nil || !p.Followed || p.Lag < 90*time.Second {
		t.Errorf("%+v, want 90s behind and followed; %v", p, err)
	}
}
