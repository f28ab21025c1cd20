package subscription

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// An event is something that a subscription is told about: a version.
type event struct {
	subscription string
	number       int64 // zero until it is stored
	key          fhir.Key
	version      int
	at           time.Time
}

// A batch is what comes of a page of the feed.
type batch struct {
	events        []event
	subscriptions []stored // as they have become
	look          []string // ids of those that should be looked at: something is wrong with them
}

func (b *batch) isEmpty() bool { return len(b.events)+len(b.subscriptions)+len(b.look) == 0 }

// numberQuery gives events their numbers, in the order of the arrays, and stores
// them. What is off meanwhile gets none.
const numberQuery = `
WITH c AS (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now),
e AS MATERIALIZED (
	SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[]) WITH ORDINALITY AS x (subscription, type, id, version, at, place)),
locked AS MATERIALIZED (
	SELECT s.id FROM subscription s WHERE s.id IN (SELECT subscription FROM e) AND s.status <> 'off' ORDER BY s.id FOR UPDATE),
n AS (
	UPDATE subscription s SET last = s.last + q.count, due = CASE WHEN s.pushes AND s.status <> 'error' AND s.failing IS NULL THEN least(s.due, c.now) ELSE s.due END
	FROM (SELECT subscription, count(*) FROM e GROUP BY subscription) q, locked l, c WHERE s.id = q.subscription AND s.id = l.id
	RETURNING s.id, s.last - q.count AS before)
INSERT INTO subscription_event (subscription, number, type, id, version, at, numbered)
SELECT n.id, n.before + row_number() OVER (PARTITION BY n.id ORDER BY e.place), e.type, e.id, e.version, e.at, c.now FROM e JOIN n ON n.id = e.subscription, c`

// taken returns how b is stored.
func (e *Engine) taken(b *batch) store.Taken {
	if b.isEmpty() {
		return store.Taken{}
	}
	return store.Taken{
		Keep: func(ctx context.Context, tx *sql.Tx) error { return b.store(ctx, tx, e.now()) },
		Kept: func() {
			wake(e.deliver)
			e.hub.wake()
		},
	}
}

// store writes b by tx. A Subscription is brought up to date before its events are
// numbered, which are from after it.
func (b *batch) store(ctx context.Context, tx *sql.Tx, now sql.NullTime) error {
	for _, s := range b.subscriptions {
		if _, err := tx.ExecContext(ctx, syncQuery, append([]any{now}, s.args()...)...); err != nil {
			return fmt.Errorf("bring a subscription up to date: %w", err)
		}
	}
	if len(b.look) > 0 {
		if _, err := tx.ExecContext(ctx, lookQuery, now, pq.Array(b.look)); err != nil {
			return fmt.Errorf("have subscriptions looked at: %w", err)
		}
	}
	if len(b.events) == 0 {
		return nil
	}
	var subscriptions, types, ids []string
	var versions []int64
	var times []string
	for _, x := range b.events {
		subscriptions, types, ids = append(subscriptions, x.subscription), append(types, x.key.Type), append(ids, x.key.ID)
		versions, times = append(versions, int64(x.version)), append(times, x.at.UTC().Format(time.RFC3339Nano))
	}
	_, err := tx.ExecContext(ctx, numberQuery, now, pq.Array(subscriptions), pq.Array(types), pq.Array(ids), pq.Array(versions), pq.Array(times))
	if err != nil {
		return fmt.Errorf("number events: %w", err)
	}
	return nil
}

// lookQuery makes subscriptions due.
const lookQuery = `UPDATE subscription SET due = least(due, coalesce($1::timestamptz, clock_timestamp())) WHERE id = ANY ($2::text[]) AND status IN ('requested', 'active')`

// look has what delivers look at some subscriptions.
func (e *Engine) look(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := e.db.ExecContext(ctx, lookQuery, e.now(), pq.Array(ids)); err != nil {
		return fmt.Errorf("have subscriptions looked at: %w", err)
	}
	wake(e.deliver)
	return nil
}

// tidy removes events, handles and tokens that are too old, and has subscriptions
// switched off that have been in error for as long as events are kept. It is to be
// done when all that was written for a day is known.
func (e *Engine) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const now = `coalesce($1::timestamptz, clock_timestamp())`
	keep := e.Keep.Milliseconds()
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM subscription_event WHERE numbered < ` + now + ` - $2 * interval '1 millisecond'`, []any{e.now(), keep}},
		{`UPDATE subscription SET due = ` + now + ` WHERE status = 'error' AND changed < ` + now + ` - $2 * interval '1 millisecond'`, []any{e.now(), keep}},
		{`DELETE FROM subscription_binding WHERE expires < ` + now, []any{e.now()}},
		{`DELETE FROM subscription_owner o WHERE made < ` + now + ` - interval '1 day' AND NOT EXISTS (SELECT FROM subscription s WHERE s.handle = o.handle)`, []any{e.now()}},
	} {
		if _, err := e.db.ExecContext(ctx, s.query, s.args...); err != nil {
			return fmt.Errorf("remove what is too old: %w", err)
		}
	}
	return nil
}
