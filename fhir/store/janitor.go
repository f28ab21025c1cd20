package store

import (
	"context"
	"time"
)

// What the janitor goes by.
const (
	receiptAge    = 7 * 24 * time.Hour
	janitorPause  = 10 * time.Minute
	janitorAtOnce = 500 // rows that one statement removes
)

// The statements of the janitor remove the oldest rows, found by an index. Those
// that another server is removing are left to it.
const (
	oldReceipts = `DELETE FROM idempotency WHERE (holder, key) IN (
		SELECT holder, key FROM idempotency WHERE created < now() - $1 * interval '1 microsecond' ORDER BY created LIMIT $2 FOR UPDATE SKIP LOCKED)`
	oldEvents = `DELETE FROM access_event e USING (SELECT rid, seq, at FROM access_event ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED) o
		WHERE e.rid = o.rid AND e.seq = o.seq AND o.at < now() - $1 * interval '1 microsecond'`
)

// RunJanitor removes what is kept for a time only, until ctx ends: receipts after
// seven days, and the events of who sees what after the given time; zero keeps
// these. It returns nil. Any number of servers may run one.
func (db *DB) RunJanitor(ctx context.Context, events time.Duration) error {
	for {
		if err := db.clean(ctx, events); err != nil && ctx.Err() == nil {
			db.log.Error("what is too old cannot be removed yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(janitorPause):
		}
	}
}

// clean removes what is too old by now.
func (db *DB) clean(ctx context.Context, events time.Duration) error {
	if err := db.cleanBy(ctx, oldReceipts, receiptAge); err != nil || events == 0 {
		return err
	}
	return db.cleanBy(ctx, oldEvents, events)
}

// cleanBy runs a statement until nothing is left for it.
func (db *DB) cleanBy(ctx context.Context, statement string, age time.Duration) error {
	for ctx.Err() == nil {
		n, err := db.removed(ctx, statement, age)
		if err != nil || n < janitorAtOnce {
			return err
		}
	}
	return ctx.Err()
}

func (db *DB) removed(ctx context.Context, statement string, age time.Duration) (int64, error) {
	if err := db.wait(ctx); err != nil {
		return 0, err
	}
	defer db.free.Release(1)
	done, err := db.sql.ExecContext(ctx, statement, age.Microseconds(), janitorAtOnce)
	if err != nil {
		return 0, fault("remove what is too old", err)
	}
	return done.RowsAffected()
}
