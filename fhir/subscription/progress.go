package subscription

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// arrived records that the events up to a number have arrived, and fixes what is
// delivered next.
func (s *sending) arrived(ctx context.Context, number int64) error {
	// It has arrived, whatever has stopped this server meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if s.engine.crashed.Load() {
		return errLost
	}
	const arrived = `UPDATE subscription s SET delivered = greatest(s.delivered, $4), pending = CASE WHEN s.pending > greatest(s.delivered, $4) THEN s.pending ELSE least(s.last, greatest(s.delivered, $4) + s.most) END,
			sent = c.now, attempts = 0, failing = NULL, error = ''
		FROM (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now) c WHERE s.id = $2 AND s.fence = $3
		RETURNING s.delivered, s.pending, s.last, s.sent, s.ends <= c.now, c.now`
	err := s.engine.db.QueryRowContext(ctx, arrived, s.engine.now(), s.id, s.fence, number).Scan(&s.delivered, &s.pending, &s.last, &s.sent, &s.hasEnded, &s.now)
	if errors.Is(err, sql.ErrNoRows) {
		return errLost
	}
	if err != nil {
		return fmt.Errorf("record what has arrived: %w", err)
	}
	return nil
}

// missed records that something did not arrive, and says when to try again. After
// giveUpAfter the Subscription has the status error.
func (s *sending) missed(ctx context.Context, why error) (bool, rest, error) {
	if ctx.Err() != nil {
		return false, rest{}, ctx.Err() // it was stopped here, and need not be missing there
	}
	f, ok := errors.AsType[*failure](why)
	if !ok {
		return false, rest{}, why
	}
	const missed = `UPDATE subscription s SET attempts = s.attempts + 1, failing = coalesce(s.failing, c.now), error = $4
		FROM (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now) c WHERE s.id = $2 AND s.fence = $3
		RETURNING s.attempts, s.failing, c.now`
	err := s.engine.db.QueryRowContext(ctx, missed, s.engine.now(), s.id, s.fence, f.Error()).Scan(&s.attempts, &s.failing, &s.now)
	if errors.Is(err, sql.ErrNoRows) {
		return false, rest{}, errLost
	}
	if err != nil {
		return false, rest{}, fmt.Errorf("record what has not arrived: %w", err)
	}
	if s.now.Sub(s.failing.Time) >= giveUpAfter {
		return false, rest{wait: -1}, s.set(ctx, failed, f.Error()+" It was tried for 72 hours. Set the status to requested to go on from the first event that is missing.")
	}
	return false, rest{wait: backOff(s.attempts, rand.Float64())}, nil
}

// backOff returns how long to wait after a number of attempts in vain: one second,
// then twice as long each time up to five minutes, and between four fifths and six
// fifths of that by chance, which is from 0 up to 1.
func backOff(attempts int, chance float64) time.Duration {
	const most = 5 * time.Minute
	d := most
	if attempts <= 9 {
		d = min(most, time.Second<<max(0, attempts-1))
	}
	return time.Duration(float64(d) * (0.8 + 0.4*chance))
}

// set writes a version of the Subscription with a status, and in the table that it
// is so. If the resource has changed meanwhile, what it says then counts.
func (s *sending) set(ctx context.Context, status, why string) error {
	if s.engine.crashed.Load() {
		return errLost
	}
	row, err := s.engine.withStatus(s.version, status, why)
	if err != nil {
		return err
	}
	w, err := s.engine.Store.Put(ctx, row, store.Expect(s.version.Number))
	if err != nil {
		return fmt.Errorf("write the status of a Subscription: %w", err)
	}
	if w.Outcome != store.Updated && w.Outcome != store.Unchanged {
		return nil
	}
	const set = `UPDATE subscription s SET version = $4, status = $5, error = $6, changed = c.now,
			delivered = CASE WHEN $5 = 'off' THEN s.last ELSE s.delivered END, pending = CASE WHEN $5 = 'off' THEN s.last ELSE s.pending END,
			attempts = CASE WHEN $5 = 'active' THEN 0 ELSE s.attempts END, failing = CASE WHEN $5 = 'active' THEN NULL ELSE s.failing END,
			sent = CASE WHEN $5 = 'active' THEN c.now ELSE s.sent END
		FROM (SELECT coalesce($1::timestamptz, clock_timestamp()) AS now) c WHERE s.id = $2 AND s.fence = $3 AND s.version < $4
		RETURNING s.version, s.status, s.changed, s.sent, s.delivered, s.pending, s.last, c.now`
	err = s.engine.db.QueryRowContext(ctx, set, s.engine.now(), s.id, s.fence, w.Version, status, why).
		Scan(&s.claim.version, &s.status, &s.changed, &s.sent, &s.delivered, &s.pending, &s.last, &s.now)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // what matches was faster: the turn ends, since it is another version
	}
	if err != nil {
		return fmt.Errorf("keep the status of a subscription: %w", err)
	}
	return nil
}

// withStatus returns the Subscription of a version with another status, ready to
// be stored by the server itself.
func (e *Engine) withStatus(v *store.Version, status, why string) (store.Row, error) {
	doc, err := readObject(v.Stored)
	if err != nil {
		return store.Row{}, err
	}
	var said []byte
	if why != "" {
		said = text(why)
	}
	doc = doc.with("status", text(status)).with("error", said).with("_error", nil)
	r, err := fhir.Decode(subscriptionType, doc.bytes())
	if err != nil {
		return store.Row{}, fmt.Errorf("decode a Subscription with another status: %w", err)
	}
	row, err := e.Store.Row(v.Key, store.Update, r)
	if err != nil {
		return store.Row{}, err
	}
	row.Origin, row.Allowed = serverOrigin, row.Gifts
	if e.Store.Audits() {
		row.Trail = &store.Trail{Interaction: "update", Client: serverOrigin, Key: v.Key}
	}
	return row, nil
}

// serverOrigin is the client that versions come from which the server writes.
const serverOrigin = "openconsult"
