package subscription

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	// giveUpAfter is how long what does not arrive is tried again.
	giveUpAfter = 72 * time.Hour
	// turnLength is how many notifications there are before others have a turn.
	turnLength = 200
	// retryFault is when to go on after the server itself has failed.
	retryFault = 5 * time.Second
)

// A rest says when there is something to do again for a subscription.
type rest struct {
	wait  time.Duration // negative: when something happens
	ready bool          // at once if there are events, or a newer version
}

// turn does what there is to do for c and gives it back.
func (e *Engine) turn(ctx context.Context, c *claim) {
	r, err := e.work(ctx, c)
	switch {
	case e.crashed.Load(), errors.Is(err, errLost):
		return
	case err != nil && ctx.Err() == nil:
		e.Log.ErrorContext(ctx, "a subscription is not delivered", "subscription", c.id, "error", err)
		r = rest{wait: retryFault}
	case err != nil:
		r = rest{} // stopped: whoever comes next goes on
	}
	if err := e.giveBack(ctx, c, r); err != nil && !errors.Is(err, errLost) {
		e.Log.WarnContext(ctx, "the lease of a subscription runs out by itself", "subscription", c.id, "error", err)
	}
}

// giveBackQuery ends a turn. What has changed or come meanwhile is looked at at
// once.
const giveBackQuery = `
UPDATE subscription s SET node = '', lease = '-infinity', due = CASE
	WHEN s.status IN ('off', 'error') THEN 'infinity'
	WHEN s.version <> $4 THEN c.now
	WHEN $5 AND s.pushes AND s.last > s.delivered THEN c.now
	ELSE least(coalesce(c.now + $6::bigint * interval '1 millisecond', 'infinity'), s.ends) END
FROM (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now) c WHERE s.id = $2 AND s.fence = $3`

func (e *Engine) giveBack(ctx context.Context, c *claim, r rest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	wait := sql.NullInt64{Int64: r.wait.Milliseconds(), Valid: r.wait >= 0}
	if _, err := e.db.ExecContext(ctx, giveBackQuery, e.now(), c.id, c.fence, c.version, r.ready, wait); err != nil {
		return fmt.Errorf("give a subscription back: %w", err)
	}
	return nil
}

// work does what there is to do for c.
func (e *Engine) work(ctx context.Context, c *claim) (rest, error) {
	for range turnLength {
		s, err := e.current(ctx, c)
		if s == nil || err != nil {
			return rest{wait: time.Second}, err
		}
		again, r, err := s.step(ctx)
		if !again || err != nil {
			return r, err
		}
	}
	return rest{}, nil
}

// A sending is a subscription that is being delivered to, as it is now.
type sending struct {
	engine *Engine
	*claim
	request
	version *store.Version
}

// current reads the Subscription of c. It is nil when it is not the one that was
// claimed, as after it was deleted: what matches has to come to know of it first.
func (e *Engine) current(ctx context.Context, c *claim) (*sending, error) {
	v, err := e.Store.ReadContent(ctx, fhir.Key{Type: subscriptionType, ID: c.id})
	if err != nil {
		return nil, fmt.Errorf("read the Subscription: %w", err)
	}
	if v == nil || v.Deleted() || v.Number != c.version {
		return nil, nil
	}
	r, err := fhir.Decode(subscriptionType, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode the Subscription: %w", err)
	}
	s := &sending{engine: e, claim: c, version: v}
	s.request, _ = e.read(r.Root())
	return s, nil
}

// step does the next thing that there is to do, and returns whether there may be
// more at once, or else when.
func (s *sending) step(ctx context.Context) (again bool, r rest, err error) {
	switch {
	case s.status == off:
		return false, rest{wait: -1}, nil
	case s.status == failed:
		return s.outlived(ctx)
	case s.hasEnded:
		return false, rest{wait: -1}, s.set(ctx, off, "The end of the subscription is reached.")
	}
	if why := s.obscure(); why != "" {
		return false, rest{wait: -1}, s.set(ctx, failed, why)
	}
	g, err := s.engine.grant(ctx, s.holder)
	if hasEnded(err) {
		return false, rest{wait: -1}, s.set(ctx, off, "The access that the subscription was set up with has ended. Set it up again with a token that lasts.")
	}
	if err != nil {
		return false, rest{}, fmt.Errorf("find out what the subscriber may see: %w", err)
	}
	switch {
	case s.status == requested:
		return s.activate(ctx)
	case s.channel.websocket:
		return false, rest{wait: -1}, nil
	case s.delivered < s.pending:
		return s.deliver(ctx, g)
	case s.idle() >= s.channel.beat && s.channel.beat > 0:
		return s.beat(ctx)
	case s.channel.beat > 0:
		return false, rest{wait: s.channel.beat - s.idle(), ready: true}, nil
	}
	return false, rest{wait: -1, ready: true}, nil
}

// obscure says why the criteria are not understood any more; empty if they are.
func (s *sending) obscure() string {
	w := &watch{id: s.id, topic: s.topic, typ: s.typ, query: s.query}
	if w.typ == "" {
		return "The topic is not published any more: name another one."
	}
	if _, err := rules(s.engine.Store.Registry(), w); err != nil && !isBuilding(err) {
		return "The criteria are not understood any more: a search parameter that they name is gone."
	}
	return ""
}

// outlived switches off what has been in error for longer than events are kept.
func (s *sending) outlived(ctx context.Context) (bool, rest, error) {
	if s.now.Sub(s.changed) < s.engine.Keep {
		return false, rest{wait: -1}, nil
	}
	return false, rest{wait: -1}, s.set(ctx, off, "The subscription was in error for longer than events are kept.")
}

// idle returns for how long nothing has arrived.
func (s *sending) idle() time.Duration {
	if !s.sent.Valid {
		return s.now.Sub(s.changed)
	}
	return s.now.Sub(s.sent.Time)
}

// activate makes a subscription active, after a handshake where there is one.
func (s *sending) activate(ctx context.Context) (bool, rest, error) {
	if s.topic != nil && !s.channel.websocket {
		n := s.notification("handshake")
		n.status = requested
		if err := s.send(ctx, n); err != nil {
			return s.missed(ctx, err)
		}
	}
	return true, rest{}, s.set(ctx, active, "")
}

// beat tells the endpoint that the subscription is still there.
func (s *sending) beat(ctx context.Context) (bool, rest, error) {
	if s.topic == nil {
		return false, rest{wait: -1, ready: true}, nil
	}
	if err := s.send(ctx, s.notification("heartbeat")); err != nil {
		return s.missed(ctx, err)
	}
	return true, rest{}, s.arrived(ctx, s.delivered)
}

// deliver sends the events up to the pending one.
func (s *sending) deliver(ctx context.Context, g access.Grant) (bool, rest, error) {
	events, err := s.engine.events(ctx, s.id, s.delivered+1, s.pending)
	if err != nil {
		return false, rest{}, err
	}
	n := s.notification("event-notification")
	n.last, n.events = s.pending, events
	if err := s.engine.fill(ctx, g, n); err != nil {
		return false, rest{}, err
	}
	if s.topic != nil || n.tells() {
		if err := s.send(ctx, n); err != nil {
			return s.missed(ctx, err)
		}
	}
	return true, rest{}, s.arrived(ctx, s.pending)
}
