package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// A Callback is what a channel says of a message.
type Callback struct {
	Channel consultation.Channel
	Key     string // by which it is known when it comes again
	Message string // id of the Communication
	Event   consultation.Event
	At      time.Time // by the clock of the provider; what is to come counts as now
}

// Secret returns what the callbacks of a channel are signed with; nil if there are
// none, since nobody may speak for it.
func (e *Engine) Secret(c consultation.Channel) []byte { return e.Channels[c].Secret }

// hearQuery stores a callback, once, about a message that the channel was given.
const hearQuery = `WITH m AS (SELECT m.id FROM dispatch_message m JOIN dispatch_job j ON j.message = m.id AND j.channel = $1 WHERE m.id = $3 FOR UPDATE OF m),
	said AS (INSERT INTO dispatch_event (channel, key, message, event, at, received) SELECT $1::text, $2::text, id, $4::text, $5::timestamptz, $6::timestamptz FROM m ON CONFLICT DO NOTHING RETURNING message)
	, due AS (UPDATE dispatch_message u SET due = least(u.due, $6), words = u.words + 1 FROM said WHERE u.id = said.message)
	SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM said),
		(SELECT count(*) FROM dispatch_event WHERE channel = $1 AND key = $2 AND (message <> $3 OR event <> $4))`

// Hear takes a callback: it is in the log, and has had its effect, when Hear
// returns. What comes again changes nothing. A message that the channel was not
// given is an [*fhir.Outcome] of class Unknown; a key that was used for something
// else one of class Unprocessable with Detail idempotency-key-reused.
func (e *Engine) Hear(ctx context.Context, c Callback) error {
	if err := c.check(); err != nil {
		return err
	}
	select {
	case <-e.ready:
	default:
		return unavailable(errNotRunning)
	}
	now := e.Now()
	if c.At.After(now) {
		c.At = now
	}
	if err := e.desk.Heard(ctx, c); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var known, fresh, other int
	err := e.db.QueryRowContext(asking, hearQuery, string(c.Channel), c.Key, c.Message, string(c.Event), c.At, now).Scan(&known, &fresh, &other)
	switch {
	case err != nil:
		return unavailable(err)
	case known == 0:
		return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "No such message was given to this channel.")
	case other > 0:
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "", "The key was used for something else; give each event a key of its own.")
		o.Issues[0].Detail = "idempotency-key-reused"
		return o
	}
	if err := e.apply(ctx, c.Message); err != nil {
		// It is kept, and whoever has the message in turn tries again.
		e.Log.WarnContext(ctx, "what a channel has said takes effect later", "message", c.Message, "error", err)
	}
	e.look()
	return nil
}

// check refuses what says nothing.
func (c Callback) check() error {
	switch {
	case c.Key == "" || len(c.Key) > 200 || c.Message == "" || !fhir.ValidID(c.Message):
		return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Give a key of at most 200 bytes and the id of the message.")
	case !slices.Contains(consultation.Events(), c.Event):
		return fhir.Errorf(fhir.BadRequest, fhir.Value, "", "The event is one of sending, delivered, notified, unnotified, read and permanent_failure.")
	case c.At.IsZero():
		return fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Say in at when it happened: 2026-01-31T09:00:00Z.")
	}
	return nil
}

// apply has what was said take effect, as far as it is written in the message. What
// is to be sent is left to who has it in turn.
func (e *Engine) apply(ctx context.Context, id string) error {
	f, err := e.read(ctx, id)
	if err != nil || f.letter == nil {
		return err
	}
	if s := f.next(e.Now()); s.Status != "" {
		return e.desk.Delivered(ctx, Outcome{id, s})
	}
	return nil
}

var errNotRunning = errors.New("messages are not sent yet")

// unavailable returns an Outcome for a database that does not answer.
func unavailable(err error) error {
	o := fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "What was said could not be kept; say it again later.")
	return fmt.Errorf("%w: %w", o, err)
}

// halted is for how long messages wait for their request to be revoked.
const halted = 30 * time.Second

// haltQuery keeps messages that no channel was given from being sent for a while,
// and ends turns that have not begun to.
const haltQuery = `INSERT INTO dispatch_message AS m (id, request, made, due) SELECT id, $2, $3::timestamptz, $4::timestamptz FROM unnest($1::text[]) AS x (id) ORDER BY id
	ON CONFLICT (id) DO UPDATE SET due = $4, fence = m.fence + 1, lease = '-infinity', words = m.words + 1
	WHERE m.due < 'infinity' AND NOT EXISTS (SELECT FROM dispatch_job j WHERE j.message = m.id)`

// Halt keeps the messages of a request from being sent while it is being revoked,
// and reports whether one has been, or is being, sent already. If it is not revoked
// then after all, they are sent half a minute later.
func (e *Engine) Halt(ctx context.Context, request string, messages []string) (sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now := e.Now()
	if _, err := e.db.ExecContext(ctx, haltQuery, pq.Array(messages), request, now, now.Add(halted)); err != nil {
		return false, unavailable(err)
	}
	const begun = `SELECT EXISTS (SELECT FROM dispatch_job WHERE message = ANY ($1::text[]))`
	if err := e.db.QueryRowContext(ctx, begun, pq.Array(messages)).Scan(&sent); err != nil {
		return false, unavailable(err)
	}
	return sent, nil
}
