package dispatch

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	followLease = 10 * time.Second // after it, another server may follow
	followIdle  = time.Second      // between looks when nobody says that there is something
	followPage  = 500
	mostWaiting = 10_000      // messages that are searched for when the place in the feed is lost
	pause       = time.Second // after something has failed

	// freshFor is how long ago a message may have been written to be sent yet when messages are
	// sent for the first time: what was written before was for somebody else to send.
	freshFor = time.Hour
)

// A follower follows the feed while its server has the lease.
type follower struct {
	engine   *Engine
	fence    int64
	position string
}

// errLost means that the work is another server's now.
var errLost = errors.New("another server has taken over")

// follow follows the feed whenever the lease can be had, until ctx is done.
func (e *Engine) follow(ctx context.Context) {
	for ctx.Err() == nil {
		f, err := e.takeOver(ctx)
		if f != nil {
			err = f.run(ctx)
			f.giveUp(ctx)
		}
		if err != nil && !errors.Is(err, errLost) && ctx.Err() == nil {
			e.Log.ErrorContext(ctx, "messages to be sent are not looked for", "error", err)
		}
		rest(ctx, pause, nil)
	}
}

// begin makes sure that there is a salt, and reads it.
func (e *Engine) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	const salt = `UPDATE dispatch_feed SET salt = CASE WHEN salt = '' THEN $1::bytea ELSE salt END RETURNING salt`
	if err := e.db.QueryRowContext(ctx, salt, fresh).Scan(&e.salt); err != nil {
		return fmt.Errorf("begin to send messages: %w", err)
	}
	return nil
}

// takeOver returns a follower if nobody has the lease, and nil otherwise.
func (e *Engine) takeOver(ctx context.Context) (*follower, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const take = `UPDATE dispatch_feed SET node = $1, fence = fence + 1, lease = clock_timestamp() + $2 * interval '1 millisecond'
		WHERE lease <= clock_timestamp() RETURNING fence, position`
	f := &follower{engine: e}
	err := e.db.QueryRowContext(ctx, take, e.node, followLease.Milliseconds()).Scan(&f.fence, &f.position)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over the search for messages to be sent: %w", err)
	}
	return f, nil
}

// giveUp lets others follow at once, unless they do already.
func (f *follower) giveUp(ctx context.Context) {
	if f.engine.crashed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := f.engine.db.ExecContext(ctx, `UPDATE dispatch_feed SET lease = '-infinity' WHERE fence = $1`, f.fence); err != nil {
		f.engine.Log.WarnContext(ctx, "the lease of the search for messages to be sent runs out by itself", "error", err)
	}
}

// run follows until the lease or ctx is lost, or something fails.
func (f *follower) run(ctx context.Context) error {
	for ctx.Err() == nil {
		pulse := f.engine.Store.Pulse()
		more, err := f.step(ctx)
		if err != nil {
			return err
		}
		if !more {
			rest(ctx, followIdle, pulse)
		}
	}
	return nil
}

// A found is what a page of the feed has for us.
type found struct {
	messages, requests []string // ids of messages, and of the request of each
	touched            []string // ids of requests that were written
}

// step takes one page of the feed.
func (f *follower) step(ctx context.Context) (more bool, err error) {
	if f.position == "" {
		return false, f.startOver(ctx, time.Now().Add(-freshFor))
	}
	page, next, more, err := f.engine.Store.Follow(ctx, f.position, []string{"Communication", "CommunicationRequest"}, followPage)
	var all found
	switch {
	case errors.Is(err, store.ErrFollowing):
		f.engine.Log.WarnContext(ctx, "the place of messages to be sent in the feed is lost: they are searched for", "error", err)
		return false, f.startOver(ctx, time.Time{})
	case err != nil:
		return false, fmt.Errorf("follow the feed: %w", err)
	default:
		if all, err = f.engine.pick(ctx, page); err != nil {
			return false, err
		}
	}
	if f.engine.crashed.Load() {
		return false, errLost
	}
	return more, f.commit(ctx, next, all)
}

// startOver follows the feed from now on, at the first start and when its place is not good any
// more, as after a restore. What was written before is searched for, back to since.
func (f *follower) startOver(ctx context.Context, since time.Time) error {
	_, now, _, err := f.engine.Store.Follow(ctx, "", nil, 1)
	if err != nil {
		return fmt.Errorf("follow the feed: %w", err)
	}
	versions, err := f.engine.Store.Matching(ctx, "Communication", "status=in-progress", mostWaiting)
	if err != nil {
		return fmt.Errorf("search for messages to be sent: %w", err)
	}
	var all found
	for i := range versions {
		if !versions[i].Updated.Before(since) {
			all.add(&versions[i])
		}
	}
	return f.commit(ctx, now, all)
}

// pick reads the messages of a page. A version that is not current any more is left
// out: the one after it comes too.
func (e *Engine) pick(ctx context.Context, page []store.Followed) (found, error) {
	var all found
	var keys []fhir.Key
	for _, p := range page {
		switch {
		case p.Past || p.Op == store.Delete || p.Keys == nil:
		case p.Key.Type == "CommunicationRequest" && !p.Fresh:
			all.touched = append(all.touched, p.Key.ID)
		case p.Key.Type == "Communication":
			keys = append(keys, p.Key)
		}
	}
	if len(keys) == 0 {
		return all, nil
	}
	versions, err := e.Store.Current(ctx, keys)
	if err != nil {
		return found{}, fmt.Errorf("read messages that may be to be sent: %w", err)
	}
	for _, k := range keys {
		all.add(versions[k])
	}
	return all, nil
}

// add takes up a message that is to be sent.
func (all *found) add(v *store.Version) {
	if v == nil || v.Deleted() || !bytes.Contains(v.Stored, []byte("CommunicationRequest/")) {
		return
	}
	r, err := fhir.Decode("Communication", v.Stored)
	if err != nil || r.Root().Child("status").Text() != "in-progress" {
		return
	}
	if request := requestOf(r.Root()); request != "" {
		all.messages, all.requests = append(all.messages, v.Key.ID), append(all.requests, request)
	}
}

// requestOf returns the id of the CommunicationRequest that a message is based on, ""
// for none.
func requestOf(n fhir.Node) string {
	for based := range n.Each("basedOn") {
		if r, ok := fhir.ParseReference(based.Child("reference").Text()); ok && r.Key.Type == "CommunicationRequest" {
			return r.Key.ID
		}
	}
	return ""
}

// commit stores what was found and the place in the feed, in one transaction: all of
// it, or nothing when another server has taken over.
func (f *follower) commit(ctx context.Context, position string, all found) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tx, err := f.engine.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("take messages up: %w", err)
	}
	defer tx.Rollback() //nolint // does nothing after the commit
	const renew = `UPDATE dispatch_feed SET position = $2, lease = clock_timestamp() + $3 * interval '1 millisecond' WHERE fence = $1 RETURNING true`
	var mine bool
	err = tx.QueryRowContext(ctx, renew, f.fence, position, followLease.Milliseconds()).Scan(&mine)
	if errors.Is(err, sql.ErrNoRows) {
		return errLost
	}
	if err == nil {
		err = f.engine.keep(ctx, tx, all)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("take messages up: %w", err)
	}
	f.position = position
	if len(all.messages)+len(all.touched) > 0 {
		f.engine.look()
	}
	return nil
}

// keep makes rows of the messages, and has those looked at whose request was
// written.
func (e *Engine) keep(ctx context.Context, tx *sql.Tx, all found) error {
	now := e.Now()
	if len(all.messages) > 0 {
		const insert = `INSERT INTO dispatch_message (id, request, made, due)
			SELECT DISTINCT ON (m) m, r, $3::timestamptz, $3::timestamptz FROM unnest($1::text[], $2::text[]) AS x (m, r) ORDER BY m ON CONFLICT (id) DO NOTHING`
		if _, err := tx.ExecContext(ctx, insert, pq.Array(all.messages), pq.Array(all.requests), now); err != nil {
			return fmt.Errorf("store them: %w", err)
		}
	}
	if len(all.touched) > 0 {
		const touch = `UPDATE dispatch_message SET due = least(due, $2::timestamptz), words = words + 1
			WHERE id IN (SELECT id FROM dispatch_message WHERE request = ANY ($1::text[]) AND due < 'infinity' ORDER BY id FOR UPDATE)`
		if _, err := tx.ExecContext(ctx, touch, pq.Array(all.touched), now); err != nil {
			return fmt.Errorf("look at those that were revoked: %w", err)
		}
	}
	return nil
}
