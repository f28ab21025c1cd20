package bulk

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// Config configures an Engine. Store, Engine, DSN and Grants are needed.
type Config struct {
	Store  *store.DB
	Engine *interaction.Engine
	DSN    string // of the database of Store, as lib/pq takes it

	// Grants returns what a holder may do now. An Outcome of class Denied ends a job.
	Grants func(ctx context.Context, holder string) (access.Grant, error)

	// Takes says which jobs are worked on here. The others are left to who can.
	Takes Share

	// HTTP fetches what is imported from addresses that a client names, so it must be
	// one that does not reach everything. Nil: nothing is imported from addresses.
	HTTP *http.Client

	// Perform performs a request for who has a Grant. Nil: no request is performed
	// later.
	Perform func(context.Context, Performance) Response

	Node    string           // name of this server; a random one if empty
	Expiry  time.Duration    // how long a job is kept when it is done; 24 hours if zero
	Lease   time.Duration    // how long a server may be silent before another goes on; 15 seconds if zero
	Workers int              // jobs at a time; 2 if zero
	Part    int              // resources in a file of an export; 50,000 if zero
	Now     func() time.Time // nil is time.Now
	Log     *slog.Logger     // nil is slog.Default
}

// A Share is a part of the jobs, by who began them.
type Share int

// The shares. AllJobs is the zero value.
const (
	AllJobs   Share = iota
	LocalJobs       // those of trusted systems, who have [access.LocalHolder]
	OtherJobs       // those of callers with a token
)

// An Engine begins jobs, works on them, and tells how far they are. Several may
// share a database.
type Engine struct {
	Config
	db    *sql.DB
	awake chan struct{}
	polls polls

	readers *semaphore.Weighted // of files
}

// conns is how many connections an Engine has. None is held while anything is waited
// for.
const conns = 2

// New returns an Engine on a migrated database.
func New(c Config) (*Engine, error) {
	db, err := store.Pool(c.DSN, conns)
	if err != nil {
		return nil, fmt.Errorf("reach the tables of jobs: %w", err)
	}
	if c.Node == "" {
		c.Node = rand.Text()
	}
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&c.Expiry, 24*time.Hour)
	def(&c.Lease, 15*time.Second)
	if c.Workers == 0 {
		c.Workers = 2
	}
	if c.Part == 0 {
		c.Part = 50_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Engine{Config: c, db: db, awake: make(chan struct{}, 1), readers: semaphore.NewWeighted(mostReaders)}, nil
}

// Close gives the connections back.
func (e *Engine) Close() error { return e.db.Close() }

// idle is how long a server waits that has found nothing to do: another one may
// have begun a job.
const idle = time.Second

// Run works on jobs until ctx is done. It returns nil then: what it was at goes on
// elsewhere, or here the next time.
func (e *Engine) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range e.Workers {
		group.Go(func() error {
			e.work(ctx)
			return nil
		})
	}
	group.Go(func() error {
		e.clean(ctx)
		return nil
	})
	return group.Wait()
}

// work takes up one job after the other.
func (e *Engine) work(ctx context.Context) {
	for ctx.Err() == nil {
		j, err := e.claim(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			e.Log.Warn("no job can be taken up at the moment", "error", err)
		case j != nil:
			e.do(ctx, j)
			continue
		}
		select {
		case <-ctx.Done():
		case <-e.awake:
		case <-time.After(idle):
		}
	}
}

// wake has an idle worker look for a job.
func (e *Engine) wake() {
	select {
	case e.awake <- struct{}{}:
	default:
	}
}

// do works on j while this server has its lease.
func (e *Engine) do(ctx context.Context, j *job) {
	working, cancel := context.WithCancelCause(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		e.beat(working, j, cancel)
	}()
	err := e.carefully(working, j)
	cancel(nil)
	<-beating
	if errors.Is(err, errLost) || errors.Is(context.Cause(working), errLost) || err == nil {
		return
	}
	// The end is stored although the server may be stopping.
	ending, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if err := e.settle(ending, j, err, ctx.Err() != nil); err != nil && !errors.Is(err, errLost) {
		e.Log.Warn("a job cannot be put back; it is taken up again when its lease ends", "job", j.name(), "error", err)
	}
}

// carefully works on j and turns a panic into an error, without what it says: that
// may be about patients.
func (e *Engine) carefully(ctx context.Context, j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.Error("panic in a job", "job", j.name(), "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			err = errors.New("the job has panicked")
		}
	}()
	switch j.kind {
	case exportKind:
		return e.workExport(ctx, j)
	case importKind:
		return e.workImport(ctx, j)
	case requestKind:
		return e.workRequest(ctx, j)
	}
	return fmt.Errorf("a job of the unknown kind %q", j.kind)
}

// settle stores what becomes of a job that has stopped with err: it goes on later,
// at once when only this server stops, or it has failed.
func (e *Engine) settle(ctx context.Context, j *job, err error, stopping bool) error {
	switch o := fhir.AsOutcome(err); {
	case stopping:
		return e.release(ctx, j, 0)
	case passes(err):
		e.Log.Warn("a job waits", "job", j.name(), "error", err)
		return e.release(ctx, j, time.Second<<min(j.turn, 6))
	case o != nil:
		return e.fail(ctx, j, o)
	}
	e.Log.Error("a job has failed", "job", j.name(), "error", err)
	return e.fail(ctx, j, fhir.Errorf(fhir.BadRequest, fhir.Exception, "", "The server has failed; nothing that you sent is to blame. The name of this job in its log is %s.", j.name()))
}

// passes reports whether what is wrong may be over later.
func passes(err error) bool {
	if o := fhir.AsOutcome(err); o != nil {
		return o.Class == fhir.Unavailable || o.Class == fhir.Busy || o.Class == fhir.Full
	}
	_, away := errors.AsType[*store.Unavailable](err)
	return away || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// newName returns 256 random bits.
func newName() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
