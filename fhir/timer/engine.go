package timer

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/store"
)

// An Alarm is something that is to sound at a time.
type Alarm struct {
	Key   fhir.Key      // the resource that has it
	Kind  string        // never empty
	Due   time.Time     // whole microseconds; with Kind it names the alarm among those of its resource
	Every time.Duration // it sounds again and again after that, whole milliseconds; 0 is once
	At    time.Time     // which sounding it is: Due, or a multiple of Every later. Plans leave it out
}

// Config configures an Engine.
type Config struct {
	Store *store.DB
	DSN   string   // of the store's database, as lib/pq takes it
	Types []string // of the resources that have alarms

	// Plan returns the alarms that the current version of a resource has, also those
	// whose time is past. A fault has it asked again later, and keeps those it had.
	Plan func(ctx context.Context, k fhir.Key) ([]Alarm, error)

	// Sound tells an alarm, unless its resource has it no more, which it reports. It may
	// be called twice for one sounding, also at the same time. A fault has it called again
	// later.
	Sound func(ctx context.Context, a Alarm) (sounded bool, err error)

	// All returns resources of Types that may have alarms, in pages: those after a word
	// that is empty for the first page, and the word for the next one, which is empty at
	// the end. It is asked when it is not known what has changed, at the first start
	// and after a restore. With nil there are none.
	All func(ctx context.Context, after string) ([]fhir.Key, string, error)

	Workers int              // alarms that sound at a time on this server; 4 if zero
	Node    string           // a name of this server, for people
	Now     func() time.Time // nil for the time of the database
	Log     *slog.Logger     // nil for none
}

// An Engine plans alarms and has them sound. Several may share a database. It may be used
// concurrently.
type Engine struct {
	Config
	db   *sql.DB
	node string        // no other Engine's
	due  chan struct{} // wakes what takes rows
}

// conns is how many connections an Engine has of its own.
const conns = 3

// New returns an Engine. It takes at most three connections beside those of the store, when
// they are needed.
func New(c Config) (*Engine, error) {
	db, err := store.Pool(c.DSN, conns)
	if err != nil {
		return nil, fmt.Errorf("reach the tables of timers: %w", err)
	}
	if c.Workers == 0 {
		c.Workers = 4
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.All == nil {
		c.All = func(context.Context, string) ([]fhir.Key, string, error) { return nil, "", nil }
	}
	return &Engine{Config: c, db: db, node: c.Node + "/" + rand.Text()[:10], due: make(chan struct{}, 1)}, nil
}

// Close gives the connections back. Run must have returned.
func (e *Engine) Close() error { return e.db.Close() }

// Run plans alarms and has them sound until ctx is done, and returns nil when what was under
// way has stopped. What fails is logged, and tried again.
func (e *Engine) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { e.follower().Run(ctx) })
	all.Go(func() { e.runSounding(ctx) })
	all.Wait()
	return nil
}

const (
	patience = 10 * time.Second // how long a statement may take
	pause    = time.Second      // how long to wait after something has failed
)

// now returns the time for a statement, NULL for that of the database.
func (e *Engine) now() sql.NullTime {
	if e.Now == nil {
		return sql.NullTime{}
	}
	return sql.NullTime{Time: e.Now(), Valid: true}
}

// wake has rows looked for at once.
func (e *Engine) wake() {
	select {
	case e.due <- struct{}{}:
	default:
	}
}

// guarded calls f, and makes a fault of a panic, which is not to end the server.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
