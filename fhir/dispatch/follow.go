package dispatch

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

const (
	followPage = 500

	// freshFor is how long ago a message may have been written to be sent yet when messages are
	// sent for the first time: what was written before was for somebody else to send.
	freshFor = time.Hour
)

// follower returns what follows the feed, and takes messages up.
func (e *Engine) follower() store.Follower {
	return store.Follower{
		Store: e.Store, SQL: e.db, Table: feedTable, Node: e.node, Name: feedName,
		Types: func() []string { return []string{"Communication", "CommunicationRequest"} }, Take: e.take, Before: e.startOver,
		Page: followPage, Crashed: e.crashed.Load, Log: e.Log,
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

// A found is what a page of the feed has for us.
type found struct {
	messages, requests []string // ids of messages, and of the request of each
	touched            []string // ids of requests that were written
}

// take takes up what a page of the feed has.
func (e *Engine) take(ctx context.Context, page []store.Followed) (store.Taken, error) {
	all, err := e.pick(ctx, page)
	if err != nil {
		return store.Taken{}, err
	}
	return e.taken(all), nil
}

// startOver takes up a page of the messages that were written before the feed was followed: all, or only those
// of late when it is followed for the first time.
func (e *Engine) startOver(ctx context.Context, after string, lost bool) (store.Taken, string, error) {
	var since time.Time
	if !lost {
		since = time.Now().Add(-freshFor)
	}
	versions, next, err := e.Store.MatchingFrom(ctx, "Communication", "status=in-progress", after, followPage)
	if err != nil {
		return store.Taken{}, "", fmt.Errorf("search for messages to be sent: %w", err)
	}
	var all found
	for i := range versions {
		if !versions[i].Updated.Before(since) {
			all.add(&versions[i])
		}
	}
	return e.taken(all), next, nil
}

// taken returns how what was found is stored.
func (e *Engine) taken(all found) store.Taken {
	if len(all.messages)+len(all.touched) == 0 {
		return store.Taken{}
	}
	return store.Taken{Keep: func(ctx context.Context, tx *sql.Tx) error { return e.keep(ctx, tx, all) }, Kept: e.look}
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
