package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// How reads are recorded. A line is stored at the latest auditDelay after it was
// taken, as long as the database keeps up.
const (
	auditQueue    = 10_000 // lines taken and not yet stored, unless the Config says otherwise
	auditFlush    = 200    // lines that are stored without waiting for more
	auditBatch    = 1000   // lines that are stored by one statement at most
	auditDelay    = 50 * time.Millisecond
	auditWait     = time.Second      // for room, where more is done than can be stored
	auditPatience = 5 * time.Second  // of a database that refuses lines, before no more are taken
	auditFarewell = 20 * time.Second // for what is left at the end
)

// A recorder stores lines of audit in batches, on a connection of its own. What
// it has taken it keeps until it is stored: only the end of the process loses it.
type recorder struct {
	secret *secret
	types  map[string]int16
	pool   *sql.DB
	log    *slog.Logger
	limit  int

	mu       sync.Mutex
	waiting  []taken
	held     int           // taken and not stored: those that wait, and those being stored
	stored   int64         // since the start
	progress chan struct{} // closed when more are stored
	last     int64         // the moment of the last one
	refusing bool
	closed   bool

	first, full chan struct{}   // one waits; enough wait
	ending      chan struct{}   // closed when no more are taken
	life        context.Context // over when the end has to come
	stop        context.CancelFunc
	done        chan struct{}
}

// A taken Trail has a moment, in microseconds since 1970, and a number. They are
// given once, so that what is sent again after a lost answer is stored once.
type taken struct {
	Trail
	at, seq int64
}

func (db *DB) startRecorder(limit int) *recorder {
	if limit == 0 {
		limit = auditQueue
	}
	r := &recorder{
		secret: &db.secret, types: db.types, pool: db.alone(), log: db.log, limit: limit, progress: make(chan struct{}),
		first: make(chan struct{}, 1), full: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{}),
	}
	r.life, r.stop = context.WithCancel(context.Background())
	go r.run()
	return r
}

// Record takes one line of audit. It does not wait for it to be stored, only, a
// moment, for room in the queue: what is
// taken outlives a database that goes away and comes back, and [DB.Close], but not
// the sudden end of this process. When too many lines wait, or the database has refused them for
// long, it is an Unavailable [*fhir.Outcome], and what was to be recorded must not
// happen. Without an audit it does nothing. Writes carry their line in [Row.Trail].
func (db *DB) Record(ctx context.Context, t Trail) error {
	if db.audit == nil {
		return nil
	}
	return db.audit.take(ctx, t)
}

// Unrecorded returns how many lines of audit were taken and are not stored yet, and how many may
// be before no more are taken. Without an audit both are 0.
func (db *DB) Unrecorded() (lines, most int) {
	if db.audit == nil {
		return 0, 0
	}
	db.audit.mu.Lock()
	defer db.audit.mu.Unlock()
	return db.audit.held, db.audit.limit
}

// waitForRoom returns when there is room for a line, or there will be none: more is
// done for a while than can be stored, and who does it is slowed down. r.mu is held.
func (r *recorder) waitForRoom(ctx context.Context) {
	if r.held < r.limit || r.closed || r.refusing {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, auditWait)
	defer cancel()
	for r.held >= r.limit && !r.closed && !r.refusing && ctx.Err() == nil {
		progress := r.progress
		r.mu.Unlock()
		select {
		case <-progress:
		case <-ctx.Done():
		}
		r.mu.Lock()
	}
}

func (r *recorder) take(ctx context.Context, t Trail) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waitForRoom(ctx)
	if r.closed || r.refusing || r.held >= r.limit {
		return fhir.Errorf(fhir.Unavailable, fhir.Transient, "", "What is done here cannot be recorded at the moment, so it is not done; send the request again later.")
	}
	r.last = max(time.Now().UnixMicro(), r.last+1)
	r.held++
	// Other servers may take a line in the same microsecond.
	r.waiting = append(r.waiting, taken{t, r.last, rand.Int64()})
	switch len(r.waiting) {
	case 1:
		signal(r.first)
	case auditFlush:
		signal(r.full)
	}
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// close stores what waits, and returns an error if that cannot be done.
func (r *recorder) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	if again {
		return nil
	}
	close(r.ending)
	timer := time.AfterFunc(auditFarewell, r.stop)
	<-r.done
	timer.Stop()
	r.stop()
	err := r.pool.Close()
	if r.held > 0 {
		r.log.Error("lines of audit are lost", "lines", r.held)
		return errors.Join(fmt.Errorf("the database has not taken %d lines of audit: they are lost", r.held), err)
	}
	return err
}

// run stores lines until no more are taken and none wait.
func (r *recorder) run() {
	defer close(r.done)
	for {
		select {
		case <-r.first:
			r.gather()
		case <-r.ending:
		}
		if !r.drain() {
			return
		}
	}
}

// drain stores what waits. It reports whether there is more to come.
func (r *recorder) drain() bool {
	for {
		batch, ended := r.next()
		if len(batch) == 0 {
			return !ended
		}
		if !r.keep(batch) {
			return false
		}
		r.gather()
	}
}

// gather waits for enough lines to store together, a moment only.
func (r *recorder) gather() {
	if r.enough() {
		return
	}
	timer := time.NewTimer(auditDelay)
	defer timer.Stop()
	select {
	case <-r.full:
	case <-timer.C:
	case <-r.ending:
	}
}

func (r *recorder) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) >= auditFlush
}

// next takes the lines that are to be stored together out of the queue, and says
// whether no more are taken.
func (r *recorder) next() (batch []taken, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), auditBatch)
	batch = r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	return batch, r.closed
}

// keep stores a batch, however often that takes. It gives up at the end only.
func (r *recorder) keep(batch []taken) bool {
	began, again := time.Now(), false
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := r.insert(batch, again)
		if err == nil {
			r.kept(len(batch))
			return true
		}
		if r.life.Err() != nil {
			return false
		}
		again = true
		r.log.Error("lines of audit cannot be stored yet", "lines", len(batch), "error", err)
		r.refuse(time.Since(began) > auditPatience)
		select {
		case <-time.After(pause):
		case <-r.life.Done():
		}
	}
}

func (r *recorder) kept(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held -= n
	r.stored += int64(n)
	r.refusing = false
	close(r.progress)
	r.progress = make(chan struct{})
}

// settle waits until everything is stored that was taken before.
func (r *recorder) settle(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	goal := r.stored + int64(r.held)
	for r.stored < goal {
		progress := r.progress
		r.mu.Unlock()
		signal(r.full)
		select {
		case <-progress:
		case <-ctx.Done():
			return readFault("wait for lines of audit to be stored", ctx.Err())
		}
		r.mu.Lock()
	}
	r.mu.Unlock()
	return nil
}

func (r *recorder) refuse(refusing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = refusing
}
