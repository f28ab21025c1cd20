package store

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
)

// Searches take turns, so that reads and writes by key, which take no time, never
// wait for them: all searches together have three of four connections. Half of the
// cores is how many of them go on that turn out long, and how many look at bodies
// at a time: a core that is busy takes nothing from the network.

// turns is what searches share.
type turns struct {
	any         *semaphore.Weighted // of all searches, and of conditional writes
	long        *semaphore.Weighted // of long ones
	decode      *semaphore.Weighted // of searches that look at bodies, while they do
	halfOfCores int64
	patience    time.Duration // for a place among all, or the long ones
	waits       atomic.Int64  // for a place among all, which is one of the connections
}

func newTurns(conns int) turns {
	cores := int64(max(1, runtime.GOMAXPROCS(0)/2))
	return turns{
		any:         semaphore.NewWeighted(int64(max(1, conns*3/4))),
		long:        semaphore.NewWeighted(cores),
		decode:      semaphore.NewWeighted(cores),
		halfOfCores: cores,
		patience:    3 * time.Second,
	}
}

// What a search may do before it is a long one: about a tenth of a second.
const (
	shortExamined = 1000    // rows looked at one by one
	shortCost     = 100_000 // of a statement, as paths are costed, for SQL of that length:
	shortSQL      = 2000    // bytes; what is asked of each row takes SQL, and time
)

// A turn is what one search has of that. The zero one, of a search in a
// transaction, stays with the connection that this has.
type turn struct {
	db        *DB
	connected bool
	any       bool // it has a place among all searches
	long      bool // and then one among the long ones instead
}

// turn waits for a search to have its turn. Who gets one calls end.
func (db *DB) turn(ctx context.Context) (*turn, error) {
	t := &turn{db: db}
	if err := db.turns.wait(ctx, db.turns.any, ""); err != nil {
		return nil, err
	}
	t.any = true
	if err := t.connect(ctx); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

func (t *turn) connect(ctx context.Context) error {
	err := t.db.wait(ctx)
	t.connected = err == nil
	return err
}

// lengthen makes t the turn of a long search. It waits without a connection,
// between statements; in a transaction, which keeps its own, it does not wait.
func (t *turn) lengthen(ctx context.Context, costly string) error {
	if t.long {
		return nil
	}
	if t.db.turns.long.TryAcquire(1) {
		t.long = true
		t.leave()
		return nil
	}
	if !t.connected {
		return busy(costly)
	}
	t.end()
	if err := t.db.turns.wait(ctx, t.db.turns.long, costly); err != nil {
		return err
	}
	t.long = true
	return t.connect(ctx)
}

// leave gives the place among all searches back.
func (t *turn) leave() {
	if t.any {
		t.db.turns.any.Release(1)
	}
	t.any = false
}

// end gives everything back.
func (t *turn) end() {
	t.leave()
	if t.connected {
		t.db.free.Release(1)
	}
	if t.long {
		t.db.turns.long.Release(1)
	}
	t.connected, t.long = false, false
}

// wait waits for a place of s, for a while.
func (t *turns) wait(ctx context.Context, s *semaphore.Weighted, costly string) error {
	if s.TryAcquire(1) {
		return nil
	}
	if s == t.any {
		t.waits.Add(1)
	}
	patient, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	err := s.Acquire(patient, 1)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return readFault("wait for other searches", err)
	}
	return busy(costly)
}

func busy(costly string) error {
	if costly == "" {
		return fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "The server is busy with other searches; send the request again later.")
	}
	return fhir.Errorf(fhir.Unavailable, fhir.Throttled, expression(costly),
		"The server is busy with other searches that take long, as this one does because of %s. Narrow it by another parameter, or send it again later.", costly)
}
