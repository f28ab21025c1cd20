package timer

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

const (
	soundLease = 15 * time.Second      // after it, another server may have a row sound
	soundTime  = 10 * time.Second      // that a sounding has
	soundIdle  = 10 * time.Second      // between looks while nothing is known to be due
	soundPause = 20 * time.Millisecond // between looks at least, for who finds that others have taken what is due
	backOffMax = 5 * time.Minute       // between two tries of what fails
)

// A claim is a row that this server may have sound.
type claim struct {
	Alarm
	fence    int64
	attempts int
}

// claimQuery takes rows that are due, the longest first.
const claimQuery = `
WITH c AS MATERIALIZED (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now),
due AS MATERIALIZED (
	SELECT t.type, t.id, t.kind, t.due FROM timer t WHERE t.next < 'infinity' AND t.kind <> '' AND t.next <= (SELECT now FROM c)
	ORDER BY t.next LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE timer t SET next = c.now + $3 * interval '1 millisecond', claim = t.claim + 1, attempts = t.attempts + 1
FROM due d, c WHERE t.type = d.type AND t.id = d.id AND t.kind = d.kind AND t.due = d.due
RETURNING t.type, t.id, t.kind, t.due, t.every, t.at, t.claim, t.attempts`

// claims takes rows that are due, at most n.
func (e *Engine) claims(ctx context.Context, n int) ([]claim, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := e.db.QueryContext(ctx, claimQuery, e.now(), n, soundLease.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("take timers: %w", err)
	}
	defer rows.Close()
	var all []claim
	for rows.Next() {
		var c claim
		var every int64
		if err := rows.Scan(&c.Key.Type, &c.Key.ID, &c.Kind, &c.Due, &every, &c.At, &c.fence, &c.attempts); err != nil {
			return nil, fmt.Errorf("take timers: %w", err)
		}
		c.Due, c.At, c.Every = c.Due.UTC(), c.At.UTC(), time.Duration(every)*time.Millisecond
		all = append(all, c)
	}
	return all, rows.Err()
}

// runSounding has what is due sound until ctx is done and nothing is under way any more.
func (e *Engine) runSounding(ctx context.Context) {
	var work sync.WaitGroup
	defer work.Wait()
	free := make(chan struct{}, e.Workers)
	for range e.Workers {
		free <- struct{}{}
	}
	for ctx.Err() == nil {
		n := e.vacant(ctx, free)
		all, err := e.claims(ctx, n)
		for range n - len(all) {
			free <- struct{}{}
		}
		for _, c := range all {
			work.Go(func() {
				defer func() { free <- struct{}{} }()
				e.turn(ctx, c)
			})
		}
		switch {
		case err != nil && ctx.Err() == nil:
			e.Log.ErrorContext(ctx, "timers do not sound", "error", err)
			store.Wait(ctx, pause, nil)
		case len(all) < n:
			store.Wait(ctx, e.rest(ctx), e.due)
		}
	}
}

// vacant waits for a worker, and returns how many there are, or none when ctx is done.
func (e *Engine) vacant(ctx context.Context, free <-chan struct{}) (n int) {
	select {
	case <-ctx.Done():
		return 0
	case <-free:
	}
	for n = 1; ; n++ {
		select {
		case <-free:
		default:
			return n
		}
	}
}

// restQuery says in how many milliseconds the next row is due.
const restQuery = `SELECT extract(epoch FROM min(next) - coalesce($1::timestamptz, clock_timestamp())) * 1000 FROM timer WHERE next < 'infinity' AND kind <> ''`

// rest returns how long there is nothing to do, as far as is known.
func (e *Engine) rest(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var left sql.NullFloat64
	if err := e.db.QueryRowContext(ctx, restQuery, e.now()).Scan(&left); err != nil {
		return pause
	}
	if !left.Valid || left.Float64 > float64(soundIdle.Milliseconds()) {
		return soundIdle
	}
	return max(soundPause, time.Duration(left.Float64*float64(time.Millisecond)))
}

// turn has c sound and says what becomes of its row.
func (e *Engine) turn(ctx context.Context, c claim) {
	sounded := false
	err := guarded(func() (err error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), soundTime)
		defer cancel()
		sounded, err = e.Sound(ctx, c.Alarm)
		return err
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err != nil {
		e.Log.ErrorContext(ctx, "a timer does not sound; it is tried again", "kind", c.Kind, "attempts", c.attempts, "error", err)
		err = e.postpone(ctx, c)
	} else {
		err = e.finish(ctx, c, sounded)
	}
	if err != nil {
		e.Log.WarnContext(ctx, "the lease of a timer runs out by itself", "kind", c.Kind, "error", err)
	}
}

// mine names the row of a claim that nobody has touched since.
const mine = ` WHERE type = $1 AND id = $2 AND kind = $3 AND due = $4 AND claim = $5`

func (c claim) args(more ...any) []any {
	return append([]any{c.Key.Type, c.Key.ID, c.Kind, c.Due, c.fence}, more...)
}

// postpone has c tried again after a pause.
func (e *Engine) postpone(ctx context.Context, c claim) error {
	const query = `UPDATE timer SET next = coalesce($6::timestamptz, clock_timestamp()) + $7 * interval '1 millisecond'` + mine
	_, err := e.db.ExecContext(ctx, query, c.args(e.now(), backOff(c.attempts).Milliseconds())...)
	return err
}

// backOff returns how long to wait after a number of attempts in vain.
func backOff(attempts int) time.Duration {
	return min(backOffMax, time.Second<<min(max(0, attempts-1), 16))
}

// finish ends c. What its resource has no more is gone, so that it is planned anew should it
// come back; what has sounded waits for its repetition, or for ever.
func (e *Engine) finish(ctx context.Context, c claim, sounded bool) (err error) {
	switch {
	case !sounded:
		_, err = e.db.ExecContext(ctx, `DELETE FROM timer`+mine, c.args()...)
	case c.Every <= 0:
		_, err = e.db.ExecContext(ctx, `UPDATE timer SET next = 'infinity', attempts = 0`+mine, c.args()...)
	default:
		// Of those that were missed while no server ran, only the first one sounds.
		const query = `UPDATE timer SET at = r.at, next = r.at, attempts = 0
			FROM (SELECT $4::timestamptz + (floor(extract(epoch FROM greatest(coalesce($6::timestamptz, clock_timestamp()), $7::timestamptz) - $4::timestamptz) * 1000 / $8) + 1) * $8 * interval '1 millisecond' AS at) r` + mine
		_, err = e.db.ExecContext(ctx, query, c.args(e.now(), c.At, c.Every.Milliseconds())...)
	}
	return err
}
