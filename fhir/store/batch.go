package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/lib/pq"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/search"
)

// batchQuery writes several rows, in one snapshot for each of its steps.
const batchQuery = `SELECT fate, version, coalesce(moment, 'epoch'), gone FROM write_batch($1::write_row[], $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// The fates of a batch as a whole, beside the outcomes of its rows.
const (
	staleBatch    = 10 // of another generation of the search parameters
	inFlightBatch = 11
	receivedBatch = 12
	movedBatch    = 13
)

// A batch is what one statement writes.
type batch struct {
	changes []Change
	whole   bool     // all of them or none
	receipt *Receipt // nil for none
	guard   *Guard   // nil for none
}

// write writes b by a statement of s.
func (db *DB) write(ctx context.Context, s *session, b batch) ([]Written, error) {
	for i := range b.changes {
		if err := db.complete(&b.changes[i]); err != nil {
			return nil, err
		}
	}
	registry := s.registry
	if registry == nil {
		registry = db.Registry()
	}
	for try := range maxRaces {
		if err := db.align(b.changes, registry); err != nil {
			return nil, err
		}
		all, a, err := db.tryWrite(ctx, s, b, registry.Generation)
		switch {
		case undone(err) && s.tx == nil:
			pauseBefore(try)
		case err != nil || a == settled:
			return all, err
		default:
			if registry, err = db.refresh(ctx, s, registry.Generation); err != nil {
				return nil, err
			}
		}
	}
	return nil, fhir.Errorf(fhir.Clash, fhir.LockError, "", "Too many others are changing these resources; try again.")
}

// complete finds out what a deletion is of.
func (db *DB) complete(c *Change) (err error) {
	if c.Op == Delete {
		c.typ, c.rid, err = db.number(c.Key)
	}
	return err
}

// undone reports whether the database undid a transaction because of others that
// went on at the same time: the same may work out later. Two that create one
// resource are among them.
func undone(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code == "40001" || e.Code == "40P01" || e.Code == "23505" && e.Table != "idempotency")
}

// pauseBefore waits a moment before the next try, longer each time.
func pauseBefore(try int) {
	time.Sleep(time.Duration(1+rand.IntN(4<<min(try, 5))) * time.Millisecond)
}

// tryWrite runs the statement once.
func (db *DB) tryWrite(ctx context.Context, s *session, b batch, generation int) ([]Written, attempt, error) {
	rows, err := db.batchRows(b.changes)
	if err != nil {
		return nil, settled, err
	}
	query, args := db.prepared.batch, append(make([]any, 0, 10), rows, generation, b.whole)
	if b.guard != nil {
		query, args = db.prepared.guarded, append(make([]any, 0, 15), rows, generation)
	}
	if args = db.receiptArgs(args, b.receipt); b.guard != nil {
		if args, err = db.guardArgs(args, b.guard); err != nil {
			return nil, settled, err
		}
	}
	found, err := s.statement(ctx, query).QueryContext(ctx, args...)
	if err != nil {
		return nil, settled, fault("write a batch", err)
	}
	defer found.Close()
	all := make([]Written, 0, len(b.changes))
	for found.Next() {
		var w Written
		var gone bool
		if err := found.Scan(&w.Outcome, &w.Version, &w.Updated, &gone); err != nil {
			return nil, settled, fault("write a batch", err)
		}
		switch w.Outcome {
		case staleBatch:
			return nil, stale, nil
		case inFlightBatch:
			return nil, settled, ErrInFlight
		case receivedBatch:
			return nil, settled, ErrReceived
		case movedBatch:
			return nil, settled, ErrMoved
		}
		all = append(all, w.told(gone))
	}
	if err := found.Err(); err != nil {
		return nil, settled, fault("write a batch", err)
	}
	if len(all) != len(b.changes) {
		return nil, settled, fmt.Errorf("write a batch: %d answers to %d rows", len(all), len(b.changes))
	}
	return all, settled, nil
}

// told completes w, where gone says that there was no resource before. The
// beginning of 1970 is no time.
func (w Written) told(gone bool) Written {
	if w.Updated.Unix() == 0 {
		w.Updated = time.Time{}
	}
	w.Deleted = gone && w.Version > 0 && (w.Outcome == Nothing || w.Outcome == Mismatch)
	return w
}

// align makes the search columns of those rows anew that are of other search
// parameters than these.
func (db *DB) align(changes []Change, registry *search.Registry) (err error) {
	for i := range changes {
		c := &changes[i]
		if c.Op == Delete || c.columns.generation == registry.Generation {
			continue
		}
		if c.columns, c.Index, err = db.secret.columns(registry, c.resource.Root(), c.Key.ID); err != nil {
			return err
		}
	}
	return nil
}

// receiptArgs appends what batchQuery has of a receipt.
func (db *DB) receiptArgs(args []any, r *Receipt) []any {
	if r == nil {
		return append(args, nil, nil, nil, nil, nil, nil, nil)
	}
	var codec int16
	var body []byte
	if r.Body != nil {
		codec, body = db.bodies.pack(r.Body)
	}
	return append(args, r.Holder, r.Key, db.gate(r.Holder, r.Key), r.Digest, append([]byte{}, r.Asked...), codec, body)
}

// gate returns the key of the lock that who carries out a request holds.
func (db *DB) gate(holder, key string) int64 {
	return db.lockKey(fmt.Sprintf("receipt %d %s %s", len(holder), holder, key))
}
