package subscription

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// A State is how a subscription is doing.
type State struct {
	ID        string
	Status    string    // requested, active, error or off
	Last      int64     // number of the newest event
	Delivered int64     // all events up to this one have arrived; of a websocket the same as Last
	Sent      time.Time // when something arrived last; zero: never
	Attempts  int       // in vain since then
	Failing   time.Time // since when; zero: not
	Next      time.Time // when it is tried again; zero: when there is something
	Error     string    // what has failed last
	topic     *Topic
}

// Status returns how some subscriptions are doing, as a searchset Bundle of
// SubscriptionStatus, for a caller who may read them. One that the caller does not
// see is an Unknown [*fhir.Outcome].
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-status.html
func (e *Engine) Status(ctx context.Context, s *interaction.Session, ids []string) ([]byte, error) {
	states, err := e.States(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	now := e.today()
	b := bundle{ResourceType: "Bundle", ID: uuid("status " + rfc(now)), Type: "searchset", Timestamp: now.UTC().Format(fhir.InstantFormat)}
	for _, x := range states {
		n := &notification{id: x.ID, kind: "query-status", status: x.Status, topic: x.topic, content: contentID, last: x.Last, why: x.Error, extra: x.parameters()}
		p := e.statusOf(n)
		b.Entry = append(b.Entry, entry{FullURL: "urn:uuid:" + uuid("status "+x.ID), Resource: text(p), Search: &mode{"match"}})
	}
	return text(b), nil
}

// States returns the same as values.
func (e *Engine) States(ctx context.Context, s *interaction.Session, ids []string) ([]State, error) {
	all := make([]State, 0, len(ids))
	for _, id := range ids {
		v, err := s.Read(ctx, fhir.Key{Type: subscriptionType, ID: id})
		if err != nil {
			return nil, err
		}
		r, err := fhir.Decode(subscriptionType, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode a Subscription: %w", err)
		}
		root := r.Root()
		x, err := e.state(ctx, id)
		if err != nil {
			return nil, err
		}
		x.ID, x.Status, x.topic = id, root.Child("status").Text(), topicOf(root.Child("criteria").Text())
		if x.Error == "" {
			x.Error = root.Child("error").Text()
		}
		all = append(all, x)
	}
	return all, nil
}

// state reads how a subscription is doing. One that is new has no row yet.
func (e *Engine) state(ctx context.Context, id string) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var x State
	var sent, failing, next sql.NullTime
	const read = `SELECT last, CASE WHEN pushes THEN delivered ELSE last END, sent, attempts, failing, CASE WHEN failing IS NOT NULL AND due < 'infinity' THEN due END, error
		FROM subscription WHERE id = $1`
	err := e.db.QueryRowContext(ctx, read, id).Scan(&x.Last, &x.Delivered, &sent, &x.Attempts, &failing, &next, &x.Error)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return State{}, unavailable("read how a subscription is doing", err)
	}
	x.Sent, x.Failing, x.Next = sent.Time, failing.Time, next.Time
	return x, nil
}

// parameters says what the Backport has no parameters for: how many events have
// arrived, and what is to be tried again when.
func (x *State) parameters() []parameter {
	all := []parameter{{Name: "delivered-event-number", String: strconv.FormatInt(x.Delivered, 10)}}
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"last-delivery", x.Sent}, {"failing-since", x.Failing}, {"next-attempt", x.Next}} {
		if !t.at.IsZero() {
			all = append(all, parameter{Name: t.name, Instant: t.at.UTC().Format(fhir.InstantFormat)})
		}
	}
	if x.Attempts > 0 {
		all = append(all, parameter{Name: "failed-attempts", Integer: &x.Attempts})
	}
	return all
}

func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// A Replay asks for events again.
type Replay struct {
	ID      string
	From    int64  // number of the first event; the first there is if zero
	To      int64  // number of the last one; the newest if zero
	Content string // empty, id-only or full-resource; as the Subscription says if empty
}

// mostReplayed is how many events a replay has at most; with whole resources, a
// tenth.
const mostReplayed = 1000

// Events returns events of a subscription again, as a notification Bundle, for a
// caller who may read it: of each only what that caller may see now. There are a
// thousand at most, and the Bundle tells the number of the newest event, by which
// to ask for the rest. Events are kept for [Config.Keep].
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/OperationDefinition-backport-subscription-events.html
func (e *Engine) Events(ctx context.Context, in Caller, r Replay) ([]byte, error) {
	s := e.Engine.For(in.Grant, in.Origin)
	states, err := e.States(ctx, s, []string{r.ID})
	if err != nil {
		return nil, err
	}
	v, err := s.Read(ctx, fhir.Key{Type: subscriptionType, ID: r.ID})
	if err != nil {
		return nil, err
	}
	decoded, err := fhir.Decode(subscriptionType, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a Subscription: %w", err)
	}
	q, _ := e.read(decoded.Root())
	x := states[0]
	n := &notification{id: r.ID, kind: "query-event", status: x.Status, topic: q.topic, content: q.content(), first: max(1, r.From), last: x.Last, at: e.today()}
	if n.content, err = r.content(n.content); err != nil {
		return nil, err
	}
	to, most := x.Last, int64(mostReplayed)
	if r.To > 0 {
		to = min(to, r.To)
	}
	if n.content == contentFull {
		most /= 10
	}
	if n.events, err = e.events(ctx, r.ID, n.first, min(to, n.first+most-1)); err != nil {
		return nil, err
	}
	if err := e.fill(ctx, in.Grant, n); err != nil {
		return nil, err
	}
	return e.render(n), nil
}

// content returns what a replay holds, if the Subscription has that content.
func (r *Replay) content(own string) (string, error) {
	switch r.Content {
	case "":
		return own, nil
	case contentEmpty, contentID, contentFull:
		return r.Content, nil
	}
	return "", fhir.Errorf(fhir.BadRequest, fhir.CodeInvalid, "", "Choose empty, id-only or full-resource as content.")
}

// events reads the events with some numbers, in order.
func (e *Engine) events(ctx context.Context, id string, from, to int64) ([]told, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := e.db.QueryContext(ctx, `SELECT number, type, id, version, at FROM subscription_event WHERE subscription = $1 AND number BETWEEN $2 AND $3 ORDER BY number`, id, from, to)
	if err != nil {
		return nil, unavailable("read events", err)
	}
	defer rows.Close()
	var all []told
	for rows.Next() {
		t := told{event: event{subscription: id}}
		if err := rows.Scan(&t.number, &t.key.Type, &t.key.ID, &t.version, &t.at); err != nil {
			return nil, unavailable("read events", err)
		}
		all = append(all, t)
	}
	if err := rows.Err(); err != nil {
		return nil, unavailable("read events", err)
	}
	return all, nil
}
