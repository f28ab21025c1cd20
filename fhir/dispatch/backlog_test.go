package dispatch

import (
	"testing"
	"time"

	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A row is a message; times are in minutes from now.
type row struct {
	id          string
	due, lease  int
	faults      int
	isDone      bool
	wantLate    time.Duration // with it and those before
	wantFailing int
}

// TestBacklog is about how late messages are that nobody works at, and how many fail.
func TestBacklog(t *testing.T) {
	t.Parallel()
	db, then := pgtest.New(t), time.Now()
	for _, r := range []row{
		{"done", -60, -1, 1, true, 0, 0},
		{"under way", -3, 1, 0, false, 0, 0},
		{"later", 2, -1, 0, false, 0, 0},
		{"tried again", 5, -1, 2, false, 0, 1},
		{"tried again now", -1, 1, 1, false, 0, 2},
		{"due", -1, -1, 0, false, time.Minute, 2},
		{"due before", -2, -1, 1, false, 2 * time.Minute, 3},
		{"just due", 0, -1, 0, false, 2 * time.Minute, 3},
	} {
		const insert = `INSERT INTO dispatch_message (id, request, made, due, faults, lease)
			SELECT $1, '', now, CASE WHEN $5 THEN 'infinity' ELSE now + $2 * interval '1 minute' END, $3, now + $4 * interval '1 minute' FROM clock_timestamp() now`
		if _, err := db.ExecContext(t.Context(), insert, r.id, r.due, r.faults, r.lease, r.isDone); err != nil {
			t.Fatal(err)
		}
		b, err := ReadBacklog(t.Context(), db.DB)
		if err != nil || b.Late < r.wantLate || r.wantLate == 0 && b.Late > 0 || b.Late > r.wantLate+time.Since(then) || b.Failing != r.wantFailing {
			t.Errorf("with one that is %s: %+v, want late by %v and %d failing; %v", r.id, b, r.wantLate, r.wantFailing, err)
		}
	}
}

// TestPlace is about how far messages are taken up.
func TestPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine(nil, nothing)
	if err := e.follower().Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.message("a", Letter{})
	for _, s := range []string{`UPDATE ver SET updated = updated - interval '90 seconds'`, `UPDATE dispatch_feed SET lease = 'infinity'`} {
		if _, err := w.db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := ReadPlace(t.Context(), w.store, w.db.DB); err != nil || !p.Followed || p.Lag < 90*time.Second {
		t.Errorf("%+v, want 90s behind and followed; %v", p, err)
	}
}
