package subscription

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir/store"
)

const (
	matchLease = 5 * time.Second // after it, another server may match
	pageSize   = 500
	tidyEvery  = 10 * time.Minute
)

// A matcher knows what all subscriptions ask for, while its server follows the feed.
type matcher struct {
	engine     *Engine
	types      []string // that the feed is asked for
	watches    *watches
	generation int // of the search parameters
	tidied     time.Time
}

// runMatcher follows the feed, and matches, until ctx is done.
func (e *Engine) runMatcher(ctx context.Context) { e.follower().Run(ctx) }

// follower returns what follows the feed. What was written before the first Subscription
// concerns none.
func (e *Engine) follower() store.Follower {
	m := &matcher{engine: e}
	return store.Follower{
		Store: e.Store, SQL: e.db, Table: feedTable, Node: e.node, Name: feedName,
		Take: m.take, Types: func() []string { return m.types }, Load: m.start, Rest: m.rest,
		Page: pageSize, Lease: matchLease, Now: e.clock.Now, Wait: e.clock.Wait, Crashed: e.crashed.Load, Log: e.Log,
	}
}

// begin makes sure that the feed is followed from here on, at the latest: what is
// written after a Subscription must not be missed because nobody had looked yet.
func (e *Engine) begin(ctx context.Context) error {
	if e.begun.Load() {
		return nil
	}
	if err := e.follower().Begin(ctx); err != nil {
		return unavailable("begin to match", err)
	}
	e.begun.Store(true)
	return nil
}

// start begins with nothing known.
func (m *matcher) start(ctx context.Context) error {
	*m = matcher{engine: m.engine, watches: &watches{}, tidied: m.engine.today()}
	return m.load(ctx)
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

// rest does what there is to do between pages, now and then.
func (m *matcher) rest(ctx context.Context) error {
	now := m.engine.today()
	if now.Sub(m.tidied) < tidyEvery {
		return nil
	}
	m.tidied = now
	if err := m.engine.tidy(ctx); err != nil {
		m.engine.Log.WarnContext(ctx, "old events are still there", "error", err)
	}
	// By now it may be known better which keys are rare.
	return m.load(ctx)
}

// take matches one page of the feed.
func (m *matcher) take(ctx context.Context, page []store.Followed) (store.Taken, error) {
	asked := len(m.types)
	if m.engine.Store.Registry().Generation != m.generation {
		if err := m.load(ctx); err != nil || len(m.types) > asked {
			return store.Taken{Again: true}, err
		}
	}
	b := &batch{}
	for _, f := range page {
		if err := m.match(ctx, f, b); err != nil {
			return store.Taken{}, err
		}
		if f.Key.Type != subscriptionType {
			continue
		}
		if m.widen(); len(m.types) > asked {
			// The page lacks what a new subscription asks for: it is read again.
			return store.Taken{Again: true}, m.load(ctx)
		}
	}
	return m.engine.taken(b), nil
}

// match adds to b what comes of one entry of the feed.
func (m *matcher) match(ctx context.Context, f store.Followed, b *batch) error {
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
