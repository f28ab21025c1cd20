package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	wayNone = "no subscription"
	wayDead = "and a dead endpoint"
	// matchEvery is how many writes there are for one that a subscription tells of, and for one that the dead endpoint would be told of.
	matchEvery = 100
	// longestDelivery is how long deliveries are waited for when the writes are over.
	longestDelivery = 20 * time.Second
	// longestStart is how long subscriptions may take to become active.
	longestStart = time.Minute
)

type subscription struct {
	ResourceType string  `json:"resourceType"`
	ID           string  `json:"id,omitempty"`
	Status       string  `json:"status"`
	Reason       string  `json:"reason"`
	Error        string  `json:"error,omitempty"`
	Criteria     string  `json:"criteria"`
	Channel      channel `json:"channel"`
}

type channel struct {
	Type     string `json:"type"`
	Endpoint string `json:"endpoint"`
	Payload  string `json:"payload"`
}

// subscriptionBench writes with and without subscribers.
type subscriptionBench struct {
	transactionBench
	hooks *hooks
	dead  *deadEnd
	// live are the subscriptions that are told of things; the last of all is the dead one.
	live, all []*subscription
	matches   int
}

// compareSubscriptions is the subscriptions workload.
func compareSubscriptions(ctx context.Context, c config, t *httpTarget, progress io.Writer) (*comparison, error) {
	c.typeName, c.people = allTypes, c.apart()
	b := &subscriptionBench{transactionBench: transactionBench{config: c, httpTarget: t, generator: &generator{seed: c.seed, practice: absentPractice()}}}
	if err := b.settle(ctx); err != nil {
		return nil, fmt.Errorf("make the practice: %w", err)
	}
	if err := b.listenUp(); err != nil {
		return nil, err
	}
	defer b.hooks.close()
	defer b.dead.close()
	if err := b.subscribe(ctx); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	// What is measured stays valid if this fails.
	defer func() { _ = b.each(context.WithoutCancel(ctx), b.all, b.unsubscribe) }()
	r := newComparison(c)
	if err := b.measure(ctx, r, progress); err != nil {
		return nil, err
	}
	r.divide(b.wayAll(), wayNone, 0.9)
	r.divide(wayDead, wayNone, 0)
	r.count("subscriptions", int64(c.subscriptions))
	r.count("deliveries of what was delivered before", b.hooks.repeated)
	r.count("requests without a resource", b.hooks.unknown)
	r.count("connections to the dead endpoint", b.dead.asked())
	return r, nil
}

func (b *subscriptionBench) wayAll() string { return fmt.Sprintf("%d subscriptions", b.subscriptions) }

func (b *subscriptionBench) listenUp() error {
	var err error
	if b.hooks, err = openHooks(b.listen); err != nil {
		return err
	}
	if b.dead, err = openDeadEnd(b.deadListen); err != nil {
		b.hooks.close()
	}
	return err
}

// hookOwner owns the Tasks that one subscription is about.
func hookOwner(n int) string { return fmt.Sprintf("Organization/fhirbench-hook-%d", n) }

const deadOwner = "Organization/fhirbench-hook-dead"

// subscribe makes all subscriptions, not active yet.
func (b *subscriptionBench) subscribe(ctx context.Context) error {
	for i := range b.subscriptions {
		b.live = append(b.live, subscriptionTo(hookOwner(i), b.hooks.endpoint(i)))
	}
	b.all = append(b.live[:len(b.live):len(b.live)], subscriptionTo(deadOwner, b.dead.endpoint()))
	return b.each(ctx, b.all, func(ctx context.Context, s *subscription) error {
		a, err := createOne(ctx, b.httpTarget, op{kind: create, typeName: "Subscription", body: encode(s)})
		if err == nil && a.id == "" {
			err = fmt.Errorf("create Subscription: the answer names no id")
		}
		s.ID = a.id
		return err
	})
}

func subscriptionTo(owner, endpoint string) *subscription {
	return &subscription{
		ResourceType: "Subscription", Status: "off", Reason: "fhirbench", Criteria: "Task?owner=" + owner,
		Channel: channel{Type: "rest-hook", Endpoint: endpoint, Payload: mediaType},
	}
}

func (b *subscriptionBench) each(ctx context.Context, of []*subscription, do func(context.Context, *subscription) error) error {
	_, err := spread(ctx, b.clients, len(of), func(ctx context.Context, i int) error { return do(ctx, of[i]) })
	return err
}

// measure runs the rounds. Each way begins with the right subscriptions active.
func (b *subscriptionBench) measure(ctx context.Context, r *comparison, progress io.Writer) error {
	lags := map[string]*histogram{b.wayAll(): new(histogram), wayDead: new(histogram)}
	missing := int64(0)
	way := func(name string, active []*subscription) contender {
		return contender{name, func(ctx context.Context, n int) (stretch, error) {
			if err := b.activate(ctx, active); err != nil {
				return stretch{}, err
			}
			s, absent, err := b.deliver(ctx, n, lags[name])
			missing += absent
			return s, err
		}}
	}
	ways := []contender{way(wayNone, nil), way(b.wayAll(), b.live), way(wayDead, b.all)}
	if err := r.rounds(ctx, b.config, ways, progress); err != nil {
		return err
	}
	r.lag("delivery, "+b.wayAll(), lags[b.wayAll()], 0)
	r.lag("delivery, "+wayDead, lags[wayDead], 0)
	r.mustBeNone("not delivered", missing)
	return nil
}

// activate has just these subscriptions active.
func (b *subscriptionBench) activate(ctx context.Context, active []*subscription) error {
	wanted := map[*subscription]string{}
	for _, s := range active {
		wanted[s] = "requested"
	}
	err := b.each(ctx, b.all, func(ctx context.Context, s *subscription) error {
		status := wanted[s]
		if status == "" {
			status = "off"
		}
		if s.Status == status {
			return nil
		}
		s.Status = status
		_, err := createOne(ctx, b.httpTarget, op{kind: update, typeName: "Subscription", id: s.ID, body: encode(s)})
		return err
	})
	if err != nil {
		return err
	}
	// The dead one may never become active: it does not answer.
	live := active[:min(len(active), len(b.live))]
	for end := time.Now().Add(longestStart); ; {
		waiting, err := b.inactive(ctx, live)
		switch {
		case err != nil || waiting == "":
			return err
		case time.Now().After(end):
			return fmt.Errorf("not active after %v: %s", longestStart, waiting)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// inactive names a subscription that the server has not taken up yet, "" if there is none.
func (b *subscriptionBench) inactive(ctx context.Context, of []*subscription) (waiting string, err error) {
	const asked = 50 // at a time
	for some := range slices.Chunk(of, asked) {
		ids := make([]string, len(some))
		for i, s := range some {
			ids[i] = s.ID
		}
		var found struct {
			Entry []struct{ Resource subscription }
		}
		address := fmt.Sprintf("Subscription?_count=%d&_id=%s", asked, strings.Join(ids, ","))
		a, err := b.ask(ctx, asking{method: http.MethodGet, address: address, use: func(body io.Reader) (int64, error) {
			return 0, json.NewDecoder(body).Decode(&found)
		}})
		if err == nil {
			err = a.must("find Subscriptions")
		}
		if err == nil && len(found.Entry) != len(some) {
			err = fmt.Errorf("find Subscriptions: %d of %d are there", len(found.Entry), len(some))
		}
		if err != nil {
			return "", err
		}
		for _, e := range found.Entry {
			if e.Resource.Status != "active" {
				return fmt.Sprintf("Subscription/%s is %s: %s", e.Resource.ID, e.Resource.Status, e.Resource.Error), nil
			}
		}
	}
	return "", nil
}

// deliver writes n resources, notes how long each that a subscription is about took to arrive, unless lag is nil, and counts
// those that did not.
func (b *subscriptionBench) deliver(ctx context.Context, n int, lag *histogram) (stretch, int64, error) {
	ops, matching := b.writes(n)
	answered := make([]time.Time, n)
	ids := make([]string, n)
	took, err := spread(ctx, b.clients, n, func(ctx context.Context, i int) error {
		a, err := createOne(ctx, b.httpTarget, ops[i])
		answered[i], ids[i] = time.Now(), a.id
		return err
	})
	s := stretch{Resources: int64(n), Seconds: took.Seconds()}
	if err != nil || lag == nil {
		return s, 0, err
	}
	expected := map[string]time.Time{}
	for _, i := range matching {
		expected["Task/"+ids[i]] = answered[i]
	}
	arrived, err := b.hooks.await(ctx, expected, longestDelivery)
	for key, at := range arrived {
		lag.add(at.Sub(expected[key]))
	}
	return s, int64(len(expected) - len(arrived)), err
}

// writes makes n creates. One in a hundred is what a subscription is about, another one what the dead endpoint's is about.
func (b *subscriptionBench) writes(n int) (ops []op, matching []int) {
	first := b.numbers(n)
	ops = b.singlesOf(first, n)
	for i := range ops {
		owner := ""
		switch i % matchEvery {
		case matchEvery / 4:
			owner = hookOwner(b.matches % b.subscriptions)
			b.matches++
			matching = append(matching, i)
		case matchEvery * 3 / 4:
			owner = deadOwner
		default:
			continue
		}
		t := b.draft(held{typeName: "Task", number: first + uint64(i)}).task()
		t.Owner = reference{Reference: owner, Type: "Organization"}
		ops[i] = op{kind: create, typeName: "Task", body: encode(t)}
	}
	return ops, matching
}

func (b *subscriptionBench) unsubscribe(ctx context.Context, s *subscription) error {
	_, err := createOne(ctx, b.httpTarget, op{kind: remove, typeName: "Subscription", id: s.ID})
	return err
}
