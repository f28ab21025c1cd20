package subscription

import (
	"maps"
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// TestBacklog is about the oldest notification that nobody has taken, and how many subscriptions
// there are.
func TestBacklog(t *testing.T) {
	t.Parallel()
	db, then := pgtest.New(t), time.Now()
	statuses := map[string]int{"requested": 0, "active": 0, "error": 0, "off": 0}
	for _, x := range []struct {
		id, status string
		pushes     bool
		delivered  int           // of two events
		age        int           // of the second one, in minutes; the first is an hour older
		want       time.Duration // with it and those before
	}{
		{"in error", "error", true, 0, 1, 0},
		{"off", "off", true, 0, 1, 0},
		{"not pushed", "active", false, 0, 1, 0},
		{"taken", "active", true, 2, 1, 0},
		{"behind by one", "active", true, 1, 10, 10 * time.Minute},
		{"behind by less", "active", true, 1, 5, 10 * time.Minute},
		{"not answered yet", "requested", true, 0, 20, 80 * time.Minute},
	} {
		const insert = `WITH s AS (INSERT INTO subscription (id, version, status, changed, handle, criteria, filters, pushes, host, most, ends, last, delivered, due)
			SELECT $1, 1, $2, now, '', '', '{}', $3, '', 1, 'infinity', 2, $4, now FROM clock_timestamp() now)
			INSERT INTO subscription_event SELECT $1, n, 'Task', 'x', 1, now, now - $5 * interval '1 minute' - (2 - n) * interval '1 hour' FROM clock_timestamp() now, generate_series(1, 2) n`
		if _, err := db.ExecContext(t.Context(), insert, x.id, x.status, x.pushes, x.delivered, x.age); err != nil {
			t.Fatal(err)
		}
		statuses[x.status]++
		b, err := ReadBacklog(t.Context(), db.DB)
		if err != nil || b.Lag < x.want || x.want == 0 && b.Lag > 0 || b.Lag > x.want+time.Since(then) || !maps.Equal(b.Statuses, statuses) {
			t.Errorf("with one that is %s: %+v, want %v and %v; %v", x.id, b, x.want, statuses, err)
		}
	}
}

// TestPlace is about how far subscriptions are matched.
func TestPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if p, err := ReadPlace(t.Context(), w.store, w.db.DB); err != nil || p.Followed || p.Lag != 0 {
		t.Errorf("at first: %+v; %v", p, err)
	}
	w.follow(w.subs)
	w.put(task("a", "consultation", "requested"))
	for _, s := range []string{`UPDATE ver SET updated = updated - interval '90 seconds'`, `UPDATE subscription_feed SET lease = 'infinity'`} {
		if _, err := w.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := ReadPlace(t.Context(), w.store, w.db.DB); err != nil || !p.Followed || p.Lag < 90*time.Second {
		t.Errorf("%+v, want 90s behind and followed; %v", p, err)
	}
}
