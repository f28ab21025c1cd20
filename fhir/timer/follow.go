package timer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	followLease = 10 * time.Second       // after it, another server may follow
	followRenew = 3 * time.Second        // between two writes of who follows
	followIdle  = time.Second            // between looks when nobody says that there is something
	followPause = 100 * time.Millisecond // between looks at least: what is written meanwhile is looked at together
	pageSize    = 200

	// staleAfter is how long ago something may have been due to sound yet when timers are
	// planned for the first time: years of it at once would bury what is due now.
	staleAfter = 24 * time.Hour
)

// A follower follows the feed while its server has the lease.
type follower struct {
	engine   *Engine
	fence    int64
	position string
	stored   time.Time // when the lease was renewed last, by the clock of this machine
}

// errTakenOver means that another server follows now.
var errTakenOver = errors.New("another server has taken over")

// runFollower follows whenever the lease can be had, until ctx is done.
func (e *Engine) runFollower(ctx context.Context) {
	for ctx.Err() == nil {
		f, err := e.takeOver(ctx)
		if f != nil {
			err = f.run(ctx)
			f.giveUp(ctx)
		}
		var o *fhir.Outcome
		switch {
		case err == nil || errors.Is(err, errTakenOver) || ctx.Err() != nil:
		case errors.As(err, &o) && o.Class == fhir.Unavailable:
			e.Log.WarnContext(ctx, "timers are planned later", "error", err)
			wait(ctx, patience, nil)
		default:
			e.Log.ErrorContext(ctx, "timers are not planned", "error", err)
		}
		wait(ctx, pause, nil)
	}
}

// takeOver returns a follower if nobody has the lease, and nil otherwise.
func (e *Engine) takeOver(ctx context.Context) (*follower, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const take = `WITH c AS (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now)
		UPDATE timer_feed SET node = $2, fence = fence + 1, lease = now + $3 * interval '1 millisecond' FROM c WHERE lease <= now RETURNING fence, position`
	f := &follower{engine: e, stored: time.Now()}
	err := e.db.QueryRowContext(ctx, take, e.now(), e.node, followLease.Milliseconds()).Scan(&f.fence, &f.position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over the planning of timers: %w", err)
	}
	return f, nil
}

// giveUp lets others follow at once, unless they do already.
func (f *follower) giveUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := f.engine.db.ExecContext(ctx, `UPDATE timer_feed SET lease = '-infinity' WHERE fence = $1`, f.fence); err != nil {
		f.engine.Log.WarnContext(ctx, "the lease of planning runs out by itself", "error", err)
	}
}

// run follows until the lease or ctx is lost, or something fails.
func (f *follower) run(ctx context.Context) error {
	for ctx.Err() == nil {
		pulse, began := f.engine.Store.Pulse(), time.Now()
		more, err := f.step(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if time.Since(f.stored) >= followRenew {
			if err := f.commit(ctx, &batch{position: f.position}); err != nil {
				return err
			}
		}
		wait(ctx, followIdle, pulse)
		if early := followPause - time.Since(began); early > 0 {
			wait(ctx, early, nil)
		}
	}
	return nil
}

// step plans one page of the feed, and what is to be planned again.
func (f *follower) step(ctx context.Context) (more bool, err error) {
	e := f.engine
	if f.position == "" {
		stale, err := e.before(ctx, staleAfter)
		if err != nil {
			return false, err
		}
		return true, f.startOver(ctx, stale)
	}
	page, next, more, err := e.Store.Follow(ctx, f.position, e.Types, pageSize)
	if errors.Is(err, store.ErrFollowing) {
		e.Log.WarnContext(ctx, "the place of timers in the feed is lost: all are planned again", "error", err)
		return true, f.startOver(ctx, time.Time{})
	}
	if err != nil {
		return false, fmt.Errorf("follow the feed: %w", err)
	}
	again, err := e.again(ctx)
	if err != nil {
		return false, err
	}
	b := &batch{position: next}
	e.plan(ctx, page, again, b)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if b.isEmpty() {
		f.position = next
		return more, nil
	}
	return more || len(again) == pageSize, f.commit(ctx, b)
}

// startOver follows the feed from now on, and has everything planned that may have alarms. What
// was due before stale is not to sound.
func (f *follower) startOver(ctx context.Context, stale time.Time) error {
	_, now, _, err := f.engine.Store.Follow(ctx, "", f.engine.Types, 1)
	if err != nil {
		return fmt.Errorf("follow the feed: %w", err)
	}
	for after := ""; ; {
		keys, next, err := f.engine.All(ctx, after)
		if err != nil {
			return fmt.Errorf("find what has timers: %w", err)
		}
		b := &batch{position: f.position, later: keys, stale: stale}
		if next == "" {
			b.position = now // not before all of it is kept
		}
		if err := f.commit(ctx, b); err != nil || next == "" {
			return err
		}
		after = next
	}
}

// before returns the time that was d ago.
func (e *Engine) before(ctx context.Context, d time.Duration) (then time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const query = `SELECT coalesce($1::timestamptz, clock_timestamp()) - $2 * interval '1 millisecond'`
	if err := e.db.QueryRowContext(ctx, query, e.now(), d.Milliseconds()).Scan(&then); err != nil {
		return time.Time{}, fmt.Errorf("read the time: %w", err)
	}
	return then, nil
}

// A replan is a resource that is to be planned again.
type replan struct {
	key   fhir.Key
	stale time.Time // what was due before it is not to sound; zero is nothing
}

// again returns what is to be planned again by now.
func (e *Engine) again(ctx context.Context) ([]replan, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const query = `SELECT type, id, nullif(at, '-infinity') FROM timer
		WHERE kind = '' AND next <= coalesce($1::timestamptz, clock_timestamp()) ORDER BY next LIMIT $2`
	rows, err := e.db.QueryContext(ctx, query, e.now(), pageSize)
	if err != nil {
		return nil, fmt.Errorf("find what is to be planned again: %w", err)
	}
	defer rows.Close()
	var all []replan
	for rows.Next() {
		var r replan
		var stale sql.NullTime
		if err := rows.Scan(&r.key.Type, &r.key.ID, &stale); err != nil {
			return nil, fmt.Errorf("find what is to be planned again: %w", err)
		}
		r.stale = stale.Time
		all = append(all, r)
	}
	return all, rows.Err()
}
