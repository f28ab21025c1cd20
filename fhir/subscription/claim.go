package subscription

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	deliverLease = 6 * time.Second        // after it, another server may deliver
	deliverRenew = 2 * time.Second        // between two renewals
	deliverIdle  = 500 * time.Millisecond // between looks for what other servers have made due
	perHost      = 4                      // notifications to one host under way at a time
)

// A claim is a subscription that this server may deliver to.
type claim struct {
	id                       string
	version                  int
	status                   string
	changed                  time.Time // when it got that status
	last, delivered, pending int64
	sent, failing            sql.NullTime
	attempts                 int
	hasEnded                 bool
	host                     string
	fence                    int64
	now                      time.Time // of the last statement about it
	owner

	stop  context.CancelFunc
	until time.Time // when the lease is over if it is not renewed
}

// claimQuery takes subscriptions that are due, the longest first, of each host so
// many that no more than perHost are under way. What is being delivered is fixed by
// it, so that whoever tries again sends the same.
const claimQuery = `
WITH c AS MATERIALIZED (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now),
ready AS MATERIALIZED (
	SELECT q.id FROM (
		SELECT s.id, s.due, s.host, row_number() OVER (PARTITION BY s.host ORDER BY s.due, s.id) AS place FROM subscription s, c WHERE s.due <= c.now AND s.lease <= c.now) q
	LEFT JOIN unnest($4::text[], $5::int[]) AS b (host, busy) ON b.host = q.host
	WHERE q.host = '' OR q.place <= $6 - coalesce(b.busy, 0) ORDER BY q.due, q.id LIMIT $3),
locked AS MATERIALIZED (
	SELECT s.id FROM subscription s, c WHERE s.id IN (SELECT id FROM ready) AND s.due <= c.now AND s.lease <= c.now FOR UPDATE OF s SKIP LOCKED),
u AS (
	UPDATE subscription s SET node = $2, fence = s.fence + 1, lease = c.now + $7 * interval '1 millisecond',
		pending = CASE WHEN s.pending > s.delivered THEN s.pending ELSE least(s.last, s.delivered + s.most) END
	FROM locked l, c WHERE s.id = l.id
	RETURNING s.*, c.now)
SELECT u.id, u.version, u.status, u.changed, u.last, u.delivered, u.pending, u.sent, u.failing, u.attempts, u.ends <= u.now, u.host, u.fence, u.now,
	coalesce(o.holder, ''), coalesce(o.endpoint, ''), coalesce(o.secret, ''), coalesce(o.headers, '')
FROM u LEFT JOIN subscription_owner o USING (handle)`

// claims are what this server is at.
type claims struct {
	mu   sync.Mutex
	all  map[string]*claim
	work sync.WaitGroup
}

// busy returns how many claims there are, and of each host.
func (at *claims) busy() (n int, hosts []string, counts []int64) {
	at.mu.Lock()
	defer at.mu.Unlock()
	of := map[string]int64{}
	for _, c := range at.all {
		of[c.host]++
	}
	for host, count := range of {
		hosts, counts = append(hosts, host), append(counts, count)
	}
	return len(at.all), hosts, counts
}

// runDelivery delivers until ctx is done and nothing is under way any more.
func (e *Engine) runDelivery(ctx context.Context) {
	at := &claims{all: map[string]*claim{}}
	e.busy(1)
	at.work.Go(func() {
		defer e.busy(-1)
		e.runRenewal(ctx, at)
	})
	for ctx.Err() == nil {
		n, err := e.claim(ctx, at)
		if err != nil && ctx.Err() == nil {
			e.Log.ErrorContext(ctx, "subscriptions are not delivered", "error", err)
			e.clock.Wait(ctx, pause, nil)
			continue
		}
		if n == 0 {
			e.clock.Wait(ctx, deliverIdle, e.deliver)
		}
	}
	e.busy(-1) // it waits for others
	at.work.Wait()
	e.busy(1)
}

// claim begins the turns of what is due, and returns how many.
func (e *Engine) claim(run context.Context, at *claims) (int, error) {
	n, hosts, counts := at.busy()
	if n >= e.Workers {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(run, patience)
	defer cancel()
	taken := e.today()
	rows, err := e.db.QueryContext(ctx, claimQuery, e.now(), e.node, e.Workers-n, pq.Array(hosts), pq.Array(counts), perHost, deliverLease.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("claim subscriptions: %w", err)
	}
	defer rows.Close()
	var all []*claim
	for rows.Next() {
		c := &claim{until: taken.Add(deliverLease)}
		if err := rows.Scan(&c.id, &c.version, &c.status, &c.changed, &c.last, &c.delivered, &c.pending, &c.sent, &c.failing, &c.attempts,
			&c.hasEnded, &c.host, &c.fence, &c.now, &c.holder, &c.endpoint, &c.secret, &c.headers); err != nil {
			return 0, fmt.Errorf("claim subscriptions: %w", err)
		}
		all = append(all, c)
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("claim subscriptions: %w", err)
	}
	for _, c := range all {
		e.start(run, at, c)
	}
	return len(all), nil
}

// start begins the turn of c.
func (e *Engine) start(ctx context.Context, at *claims, c *claim) {
	ctx, c.stop = context.WithCancel(ctx)
	at.mu.Lock()
	at.all[c.id] = c
	at.mu.Unlock()
	e.busy(1)
	at.work.Go(func() {
		defer e.busy(-1)
		defer c.stop()
		e.turn(ctx, c)
		at.mu.Lock()
		delete(at.all, c.id)
		at.mu.Unlock()
		wake(e.deliver)
	})
}

// runRenewal renews the leases of what is under way, and stops what has lost it or
// soon may have.
func (e *Engine) runRenewal(ctx context.Context, at *claims) {
	for ctx.Err() == nil {
		e.clock.Wait(ctx, deliverRenew, nil)
		if ctx.Err() != nil {
			return
		}
		if err := e.renew(ctx, at); err != nil {
			e.Log.ErrorContext(ctx, "the leases of subscriptions are not renewed", "error", err)
		}
		at.expire(e.today().Add(deliverRenew))
	}
}

// expire stops what has no lease until then.
func (at *claims) expire(then time.Time) {
	at.mu.Lock()
	defer at.mu.Unlock()
	for _, c := range at.all {
		if c.until.Before(then) {
			c.stop()
		}
	}
}

// renew renews all leases. What is another server's by now does not get any later.
func (e *Engine) renew(ctx context.Context, at *claims) error {
	at.mu.Lock()
	held := map[int64][]*claim{}
	var ids []string
	var fences []int64
	for _, c := range at.all {
		held[c.fence] = append(held[c.fence], c)
		ids, fences = append(ids, c.id), append(fences, c.fence)
	}
	at.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deliverRenew)
	defer cancel()
	// A row that somebody else is writing is left for the next time: whoever waits for
	// nobody is in no deadlock.
	const renew = `WITH x AS MATERIALIZED (
			SELECT s.id FROM subscription s JOIN unnest($2::text[], $3::bigint[]) AS x (id, fence) ON s.id = x.id AND s.fence = x.fence
			WHERE s.node = $5 FOR UPDATE OF s SKIP LOCKED)
		UPDATE subscription s SET lease = coalesce($1::timestamptz, clock_timestamp()) + $4 * interval '1 millisecond'
		FROM x WHERE s.id = x.id RETURNING s.id, s.fence`
	until := e.today().Add(deliverLease)
	rows, err := e.db.QueryContext(ctx, renew, e.now(), pq.Array(ids), pq.Array(fences), deliverLease.Milliseconds(), e.node)
	if err != nil {
		return fmt.Errorf("renew leases: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var fence int64
		if err := rows.Scan(&id, &fence); err != nil {
			return fmt.Errorf("renew leases: %w", err)
		}
		at.mu.Lock()
		for _, c := range held[fence] {
			if c.id == id {
				c.until = until
			}
		}
		at.mu.Unlock()
	}
	return rows.Err()
}

// errLost means that the lease of a subscription is another server's.
var errLost = errors.New("another server delivers to the subscription now")
