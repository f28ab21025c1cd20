package subscription

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

const (
	matchLease = 5 * time.Second        // after it, another server may match
	matchIdle  = time.Second            // between looks when nobody says that there is something
	matchPause = 100 * time.Millisecond // between looks at least: what is written meanwhile is looked at together
	matchRenew = 2 * time.Second        // between two writes of who matches
	pageSize   = 500
	tidyEvery  = 10 * time.Minute
)

// A matcher follows the feed while its server has the lease.
type matcher struct {
	engine     *Engine
	fence      int64
	position   string
	types      []string // that the feed is asked for
	watches    *watches
	generation int // of the search parameters
	stored     time.Time
	tidied     time.Time
}

// errTakenOver means that another server matches now.
var errTakenOver = errors.New("another server has taken over")

// runMatcher matches whenever the lease can be had, until ctx is done.
func (e *Engine) runMatcher(ctx context.Context) {
	for ctx.Err() == nil {
		m, err := e.takeOver(ctx)
		if m != nil {
			if err = m.load(ctx); err == nil {
				err = m.run(ctx)
			}
			m.giveUp(ctx)
		}
		if err != nil && !errors.Is(err, errTakenOver) && ctx.Err() == nil {
			e.Log.ErrorContext(ctx, "subscriptions are not matched", "error", err)
		}
		e.clock.Wait(ctx, pause, nil)
	}
}

// begin makes sure that the feed is followed from here on, at the latest: what is
// written after a Subscription must not be missed because nobody had looked yet.
func (e *Engine) begin(ctx context.Context) error {
	if _, done := e.begun.Load("feed"); done {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var position string
	if err := e.db.QueryRowContext(ctx, `SELECT position FROM subscription_feed`).Scan(&position); err != nil {
		return unavailable("read the place in the feed", err)
	}
	if position == "" {
		_, now, _, err := e.Store.Follow(ctx, "", nil, 1)
		if err != nil {
			return err
		}
		if _, err := e.db.ExecContext(ctx, `UPDATE subscription_feed SET position = $1 WHERE position = ''`, now); err != nil {
			return unavailable("begin to follow the feed", err)
		}
	}
	e.begun.Store("feed", true)
	return nil
}

// takeOver returns a matcher, which has to be loaded, if nobody has the lease, and
// nil otherwise.
func (e *Engine) takeOver(ctx context.Context) (*matcher, error) {
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const take = `WITH c AS (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now)
		UPDATE subscription_feed SET node = $2, fence = fence + 1, lease = now + $3 * interval '1 millisecond' FROM c WHERE lease <= now RETURNING fence, position`
	m := &matcher{engine: e, watches: &watches{}, stored: e.today(), tidied: e.today()}
	err := e.db.QueryRowContext(ctx, take, e.now(), e.node, matchLease.Milliseconds()).Scan(&m.fence, &m.position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over the matching of subscriptions: %w", err)
	}
	return m, nil
}

// giveUp lets others match at once, unless they do already.
func (m *matcher) giveUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if m.engine.crashed.Load() {
		return
	}
	_, err := m.engine.db.ExecContext(ctx, `UPDATE subscription_feed SET lease = '-infinity' WHERE fence = $1`, m.fence)
	if err != nil {
		m.engine.Log.WarnContext(ctx, "the lease of matching runs out by itself", "error", err)
	}
}

// load reads all subscriptions that can fire. One whose search parameter is being
// built, and of which nothing is known from before, must be waited for: its events
// would be missing.
func (m *matcher) load(ctx context.Context) error {
	e := m.engine
	registry := e.Store.Registry()
	all := newWatches(registry, e.Store.DrivingKeys)
	rows, err := e.db.QueryContext(ctx, `SELECT s.id, s.criteria, s.filters, coalesce(o.holder, '')
		FROM subscription s LEFT JOIN subscription_owner o USING (handle) WHERE s.status <> 'off'`)
	if err != nil {
		return fmt.Errorf("read the subscriptions: %w", err)
	}
	defer rows.Close()
	var broken []string
	for rows.Next() {
		var s stored
		if err := rows.Scan(&s.id, &s.criteria, (*filters)(&s.filters), &s.holder); err != nil {
			return fmt.Errorf("read the subscriptions: %w", err)
		}
		if err := all.add(s.watch(), m.watches); isBuilding(err) {
			return fmt.Errorf("wait for a search parameter of a subscription: %w", err)
		} else if err != nil {
			broken = append(broken, s.id)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the subscriptions: %w", err)
	}
	m.generation, m.watches = registry.Generation, all
	m.widen()
	return e.look(ctx, broken)
}

// widen asks the feed for the types of all subscriptions, too.
func (m *matcher) widen() {
	m.types = append(append(m.types, subscriptionType), m.watches.types()...)
	slices.Sort(m.types)
	m.types = slices.Compact(m.types)
}

// run matches until the lease or ctx is lost, or something fails.
func (m *matcher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		pulse, began := m.engine.Store.Pulse(), m.engine.today()
		more, err := m.step(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if err := m.rest(ctx); err != nil {
			return err
		}
		m.engine.clock.Wait(ctx, matchIdle, pulse)
		if early := matchPause - m.engine.today().Sub(began); early > 0 {
			m.engine.clock.Wait(ctx, early, nil)
		}
	}
	return nil
}

// rest does what there is to do between pages.
func (m *matcher) rest(ctx context.Context) error {
	now := m.engine.today()
	if now.Sub(m.tidied) >= tidyEvery {
		m.tidied = now
		if err := m.engine.tidy(ctx); err != nil {
			m.engine.Log.WarnContext(ctx, "old events are still there", "error", err)
		}
		// By now it may be known better which keys are rare.
		if err := m.load(ctx); err != nil {
			return err
		}
	}
	if now.Sub(m.stored) >= matchRenew {
		return m.commit(ctx, &batch{position: m.position})
	}
	return nil
}

// step matches one page of the feed. When it fails, what m knows may be ahead of
// what is stored, and it is to be used no more.
func (m *matcher) step(ctx context.Context) (more bool, err error) {
	e := m.engine
	if e.Store.Registry().Generation != m.generation {
		if err := m.load(ctx); err != nil {
			return false, err
		}
	}
	page, next, more, err := e.Store.Follow(ctx, m.position, m.types, pageSize)
	if errors.Is(err, store.ErrFollowing) {
		return m.startOver(ctx, err)
	}
	if err != nil {
		return false, fmt.Errorf("follow the feed: %w", err)
	}
	asked := len(m.types)
	b := &batch{position: next}
	for _, f := range page {
		if err := m.take(ctx, f, b); err != nil {
			return false, err
		}
		if f.Key.Type != subscriptionType {
			continue
		}
		if m.widen(); len(m.types) > asked {
			// The page lacks what a new subscription asks for: it is read again.
			return true, m.load(ctx)
		}
	}
	if b.isEmpty() {
		m.position = next
		return more, nil
	}
	return more, m.commit(ctx, b)
}

// startOver follows the feed from now on when its place is not good any more, as
// after a restore.
func (m *matcher) startOver(ctx context.Context, why error) (bool, error) {
	m.engine.Log.ErrorContext(ctx, "the place of subscriptions in the feed is lost; events may be missing", "error", why)
	_, now, more, err := m.engine.Store.Follow(ctx, "", m.types, 1)
	if err != nil {
		return false, fmt.Errorf("follow the feed: %w", err)
	}
	return more, m.commit(ctx, &batch{position: now})
}

// take adds to b what comes of one entry of the feed.
func (m *matcher) take(ctx context.Context, f store.Followed, b *batch) error {
	if f.Key.Type == subscriptionType {
		return m.sync(ctx, f, b)
	}
	if f.Past || f.Op == store.Delete {
		return nil
	}
	candidates := m.watches.candidates(f.Key.Type, f.Keys)
	if len(candidates) == 0 {
		return nil
	}
	l := loading{engine: m.engine, matcher: m, followed: f}
	return l.match(ctx, candidates, b)
}
