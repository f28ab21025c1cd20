package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
)

// A Receipt is what is kept of a request that may be repeated. It is written in the
// transaction of the request, and kept for seven days.
type Receipt struct {
	Holder string // whose key it is: client and person
	Key    string // the Idempotency-Key
	Digest []byte // SHA-256 of method, path and body
	Asked  []byte // what the answer is made by beside the results: the caller's own, some kilobytes at most
	Body   []byte // the whole answer, where the results do not say it; nil otherwise
}

// A Received is a receipt with the results that were stored with it.
type Received struct {
	Receipt
	Results []Written  // of the changes, in their order
	Keys    []fhir.Key // of the resources that they are about
	At      time.Time
}

// ErrInFlight means that a request with the same receipt is being carried out.
var ErrInFlight = errors.New("a request with the same key is in flight")

// ErrReceived means that a request with the same receipt has been carried out.
// [DB.Received] says what became of it.
var ErrReceived = errors.New("a request with the same key has been carried out")

// receivedQuery finds a receipt by its primary key.
const receivedQuery = `SELECT created, digest, asked, codec, body, types, ids, vers, outcomes, times FROM idempotency WHERE holder = $1 AND key = $2`

// Received returns what was kept of a request, or nil.
func (db *DB) Received(ctx context.Context, holder, key string) (*Received, error) {
	ctx, err := db.hold(ctx)
	if err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	return db.received(ctx, holder, key)
}

// received does so for who holds a connection.
func (db *DB) received(ctx context.Context, holder, key string) (*Received, error) {
	r := &Received{Receipt: Receipt{Holder: holder, Key: key}}
	var types, versions, outcomes, times keyList
	var ids []string
	var codec int16
	body := unpacking{bodies: db.bodies, codec: &codec}
	err := db.prepared.received.QueryRowContext(ctx, holder, key).Scan(&r.At, &r.Digest, &r.Asked, &codec, &body,
		&types, (*pq.StringArray)(&ids), &versions, &outcomes, &times)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, readFault("look up what became of a request", err)
	case len(types) != len(ids) || len(versions) != len(ids) || len(outcomes) != len(ids) || len(times) != len(ids):
		return nil, fmt.Errorf("look up what became of a request: it has results without an end")
	}
	r.Body = body.stored
	for i := range ids {
		w := Written{Outcome: Outcome(outcomes[i]), Version: int(versions[i]), Updated: time.UnixMicro(times[i]).UTC()}
		r.Results = append(r.Results, w.told(w.Outcome == Nothing))
	}
	r.Keys, err = db.keysOf(types, ids)
	return r, err
}

// resolvePatience is how long Resolve waits for a transaction to end.
const resolvePatience = 5 * time.Second

// Resolve does what [DB.Received] does after a commit of which nobody knows what
// became it: it waits until the transaction has ended, for five seconds at most.
// After nil the request may be carried out again with the same receipt: if the
// first one was only delayed, one of the two gets [ErrReceived].
func (db *DB) Resolve(ctx context.Context, holder, key string) (*Received, error) {
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()
	if err := db.wait(ctx); err != nil {
		return nil, err
	}
	defer db.free.Release(1)
	// The look-up is a statement of its own: it has to see what was committed
	// while this one has waited.
	if _, err := db.sql.ExecContext(ctx, `SELECT pg_advisory_xact_lock_shared($1)`, db.gate(holder, key)); err != nil {
		return nil, readFault("wait for a request to end", err)
	}
	return db.received(ctx, holder, key)
}

// keep stores a receipt with what has become of changes, in a transaction.
func (db *DB) keep(ctx context.Context, s *session, r *Receipt, changes []Change, all []Written) error {
	var free bool
	if err := s.tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock($1)`, db.gate(r.Holder, r.Key)).Scan(&free); err != nil {
		return fault("keep a receipt", err)
	}
	if !free {
		return ErrInFlight
	}
	n := len(changes)
	types, versions, outcomes, times := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	ids := make([]string, n)
	for i, w := range all {
		types[i], ids[i], versions[i], outcomes[i] = int64(db.types[changes[i].Key.Type]), changes[i].Key.ID, int64(w.Version), int64(w.Outcome)
		if w.Version > 0 {
			times[i] = w.Updated.UnixMicro()
		}
	}
	const keep = `INSERT INTO idempotency (holder, key, digest, asked, codec, body, types, ids, vers, outcomes, times)
		VALUES ($1, $2, $3, $4, $5, $6, $7::bigint[], $8, $9::bigint[], $10::bigint[], $11) ON CONFLICT DO NOTHING`
	args := db.receiptArgs(nil, r)
	args = append(args[:2], args[3:]...) // without the lock
	done, err := s.tx.ExecContext(ctx, keep, append(args, int8s(types), pq.StringArray(ids), int8s(versions), int8s(outcomes), int8s(times))...)
	if err != nil {
		return fault("keep a receipt", err)
	}
	kept, err := done.RowsAffected()
	if err == nil && kept == 0 {
		return ErrReceived
	}
	return err
}
