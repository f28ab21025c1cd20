package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

// errLost means that a message is another server's now.
var errLost = errors.New("another server has taken over")

// A claim is a message that this server has in turn.
type claim struct {
	id     string
	fence  int64
	words  int
	faults int
}

// claimQuery takes messages that are due, the longest first.
const claimQuery = `UPDATE dispatch_message m SET node = $1, fence = m.fence + 1, lease = clock_timestamp() + $2 * interval '1 millisecond'
	WHERE m.id IN (SELECT id FROM dispatch_message WHERE due <= $3 AND lease <= clock_timestamp() ORDER BY due, id LIMIT $4 FOR UPDATE SKIP LOCKED)
	RETURNING m.id, m.fence, m.words, m.faults`

// sendAll has turns with what is due until ctx is done and none is under way.
func (e *Engine) sendAll(ctx context.Context) {
	var turns sync.WaitGroup
	free := make(chan struct{}, e.Workers)
	for ctx.Err() == nil {
		free <- struct{}{} // there is room for one at least
		n := 1
		for ; n < e.Workers && tryPut(free); n++ {
		}
		all, err := e.claim(ctx, n)
		if err != nil && ctx.Err() == nil {
			e.Log.ErrorContext(ctx, "messages are not sent", "error", err)
		}
		for range n - len(all) {
			<-free
		}
		for _, c := range all {
			turns.Go(func() {
				defer func() { <-free }()
				e.turn(ctx, c)
			})
		}
		if len(all) == 0 {
			store.Wait(ctx, e.Idle, e.wake)
		}
	}
	turns.Wait()
}

func tryPut(c chan struct{}) bool {
	select {
	case c <- struct{}{}:
		return true
	default:
		return false
	}
}

// claim takes up to n messages.
func (e *Engine) claim(ctx context.Context, n int) ([]*claim, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := e.db.QueryContext(ctx, claimQuery, e.node, e.Lease.Milliseconds(), e.Now(), n)
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	defer rows.Close()
	var all []*claim
	for rows.Next() {
		c := &claim{}
		if err := rows.Scan(&c.id, &c.fence, &c.words, &c.faults); err != nil {
			return nil, fmt.Errorf("claim messages: %w", err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return all, nil
}

// turn does what there is to do about a message, and gives it back. It ends before
// its lease does.
func (e *Engine) turn(run context.Context, c *claim) {
	ctx, cancel := context.WithTimeout(run, e.Lease*3/4)
	defer cancel()
	due, err := e.work(ctx, c)
	switch {
	case e.crashed.Load(), errors.Is(err, errLost):
		return
	case err != nil && run.Err() != nil:
		due = e.Now() // stopped: whoever comes next goes on
	case err != nil:
		e.Log.ErrorContext(ctx, "a message is not sent", "message", c.id, "error", err)
		c.faults++
		due = e.Now().Add(backOff(c.faults))
	default:
		c.faults = 0
	}
	if err := e.giveBack(run, c, due); err != nil {
		e.Log.WarnContext(ctx, "the lease of a message runs out by itself", "message", c.id, "error", err)
	}
}

// giveBackQuery ends a turn. What was said meanwhile is looked at at once.
const giveBackQuery = `UPDATE dispatch_message SET node = '', lease = '-infinity', faults = $3,
	due = CASE WHEN words <> $4 THEN $5::timestamptz ELSE coalesce($6::timestamptz, 'infinity') END WHERE id = $1 AND fence = $2`

// giveBack ends a turn. Due is when there is something to do again; zero is when
// something is said.
func (e *Engine) giveBack(ctx context.Context, c *claim, due time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_, err := e.db.ExecContext(ctx, giveBackQuery, c.id, c.fence, c.faults, c.words, e.Now(), sql.NullTime{Time: due, Valid: !due.IsZero()})
	if err != nil {
		return fmt.Errorf("give a message back: %w", err)
	}
	return nil
}

// backOff returns how long to wait after a number of failures: two seconds, then
// twice as long each time up to five minutes.
func backOff(failures int) time.Duration {
	return min(5*time.Minute, time.Second<<min(failures, 9))
}
