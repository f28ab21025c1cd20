package subscription

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

// A Listening says what a websocket wants to hear.
type Listening struct {
	Token string // from [Engine.Bind]
	After int64  // events with a greater number, of each subscription; negative: those from now on
	Bound func() // called when the token is good; nil for nothing
}

// A Notification is something that a websocket is told.
type Notification struct {
	Subscription string // id
	Kind         string // "handshake", "event-notification", "heartbeat"
	Number       int64  // of the newest event
	Body         []byte // a Bundle, as JSON
}

// hub wakes those who listen.
type hub struct {
	mu    sync.Mutex
	next  chan struct{}
	count int
}

// change returns what is closed when there may be something.
func (h *hub) change() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == nil {
		h.next = make(chan struct{})
	}
	return h.next
}

func (h *hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next != nil {
		close(h.next)
		h.next = nil
	}
}

// listeners adds to how many listen, and returns how many do.
func (h *hub) listeners(add int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count += add
	return h.count
}

// listenIdle is how often to look for events that another server has numbered.
const listenIdle = 500 * time.Millisecond

// runHub wakes those who listen when another server has numbered events: one look
// for all of them.
func (e *Engine) runHub(ctx context.Context) {
	seen := int64(-1)
	for ctx.Err() == nil {
		if e.hub.listeners(0) > 0 {
			var sum int64
			if err := e.db.QueryRowContext(ctx, `SELECT coalesce(sum(last + version), 0) FROM subscription WHERE NOT pushes`).Scan(&sum); err == nil && sum != seen {
				seen = sum
				e.hub.wake()
			}
		}
		e.clock.Wait(ctx, listenIdle, nil)
	}
}

// A listener is a websocket that listens.
type listener struct {
	engine *Engine
	bound
	grant access.Grant // as it was when this round began
	tell  func(Notification) error
	after map[string]int64
	sent  map[string]time.Time
}

// Listen tells what there is to be told of the subscriptions that a token is good
// for: a handshake of each, then its events in order and one Bundle each, and
// heartbeats if they are asked for. What is told waits for no answer. It ends with
// the error of tell, when ctx is done, or with an [*fhir.Outcome] when the token is
// not good, the access has ended, or none of the subscriptions is active any more.
func (e *Engine) Listen(ctx context.Context, l Listening, tell func(Notification) error) error {
	b, err := e.unbind(ctx, l.Token)
	if err != nil {
		return err
	}
	if l.Bound != nil {
		l.Bound()
	}
	e.hub.listeners(1)
	defer e.hub.listeners(-1)
	at := &listener{engine: e, bound: b, tell: tell, after: map[string]int64{}, sent: map[string]time.Time{}}
	for _, id := range b.subscriptions {
		at.after[id] = l.After
	}
	for ctx.Err() == nil {
		change := e.hub.change()
		// Who hears nothing for long must not stay because of that.
		if at.grant, err = e.grant(ctx, b.holder); err != nil {
			return err
		}
		open := 0
		for _, id := range b.subscriptions {
			on, err := at.serve(ctx, id)
			if err != nil {
				return err
			}
			if on {
				open++
			}
		}
		if open == 0 {
			return fhir.Errorf(fhir.Gone, fhir.Deleted, "", "The subscription is switched off, was deleted, or is not yours to read any more.")
		}
		e.clock.Wait(ctx, leastBeat/6, change)
	}
	return ctx.Err()
}

// serve tells what there is to be told of one subscription, and whether it is on.
func (at *listener) serve(ctx context.Context, id string) (on bool, err error) {
	e := at.engine
	v, err := e.Store.Read(ctx, fhir.Key{Type: subscriptionType, ID: id})
	if err != nil {
		return false, fmt.Errorf("read a Subscription: %w", err)
	}
	if v == nil || v.Deleted() {
		return false, nil
	}
	if sees, err := e.Store.Sees(at.grant, access.MayRead, v); !sees || err != nil {
		return false, err
	}
	r, err := fhir.Decode(subscriptionType, v.Stored)
	if err != nil {
		return false, fmt.Errorf("decode a Subscription: %w", err)
	}
	status := r.Root().Child("status").Text()
	if status != active {
		return status == requested, nil
	}
	q, _ := e.read(r.Root())
	x, err := e.state(ctx, id)
	if err != nil {
		return false, err
	}
	n := &notification{id: id, status: status, topic: q.topic, content: q.content(), at: e.today(), last: x.Last}
	if _, begun := at.sent[id]; !begun {
		if at.after[id] < 0 {
			at.after[id] = x.Last
		}
		n.kind = "handshake"
		if err := at.say(n); err != nil {
			return false, err
		}
	}
	for at.after[id] < x.Last {
		if err := at.next(ctx, q, *n); err != nil {
			return false, err
		}
	}
	if q.channel.beat > 0 && n.at.Sub(at.sent[id]) >= q.channel.beat {
		n.kind = "heartbeat"
		return true, at.say(n)
	}
	return true, nil
}

// next tells the next events of a subscription, as n says.
func (at *listener) next(ctx context.Context, q request, n notification) error {
	e := at.engine
	g, err := e.grant(ctx, at.holder)
	if err != nil {
		return err
	}
	n.kind, n.first = "event-notification", at.after[n.id]+1
	n.last = min(n.last, at.after[n.id]+int64(q.channel.most))
	if n.events, err = e.events(ctx, n.id, n.first, n.last); err != nil {
		return err
	}
	if err := e.fill(ctx, g, &n); err != nil {
		return err
	}
	at.after[n.id] = n.last
	return at.say(&n)
}

// say tells n.
func (at *listener) say(n *notification) error {
	at.sent[n.id] = n.at
	return at.tell(Notification{Subscription: n.id, Kind: n.kind, Number: n.last, Body: at.engine.render(n)})
}
