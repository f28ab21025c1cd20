package store

import (
	"context"
	"testing"
	"time"
)

// TestJanitor removes what is too old, and nothing else, until it is told to stop.
func TestJanitor(t *testing.T) {
	t.Parallel()
	db, database := openInside(t)
	for _, statement := range []string{
		`INSERT INTO idempotency (holder, key, created, digest, asked, codec, types, ids, vers, outcomes, times)
			SELECT 'h', n::text, now() - n * interval '1 hour', '', '', 0, '{}', '{}', '{}', '{}', '{}' FROM generate_series(1, 1500) n`,
		`INSERT INTO access_event (rid, ver, old_acl, new_acl, reason, at) SELECT n, 1, '{}', '{}', 'granted', now() - (1500 - n) * interval '1 hour' FROM generate_series(1, 1500) n`,
	} {
		if _, err := database.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.clean(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if receipts, events := countOf(t, database, "idempotency"), countOf(t, database, "access_event"); receipts != 7*24-1 || events != 1500 {
		t.Errorf("%d receipts and %d events are left", receipts, events)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- db.RunJanitor(ctx, 30*24*time.Hour) }()
	waitFor(t, db, func() bool { return countOf(t, database, "access_event") == 30*24 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
