package subscription

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// Config configures an Engine.
type Config struct {
	Store  *store.DB
	Engine *interaction.Engine
	DSN    string // of the store's database, as lib/pq takes it

	Base string // address of the API, without a last slash: references in notifications are absolute

	// Grants makes the access of a holder anew. One that has ended is an
	// [*fhir.Outcome] of class Denied: its subscriptions are switched off. With nil
	// every holder has ended.
	Grants func(ctx context.Context, holder string) (access.Grant, error)

	// HTTP calls the endpoints. It must refuse addresses that the server may not
	// call, whatever a name leads to. With nil none is called.
	HTTP *http.Client
	// Refuses returns an error for an endpoint that HTTP would refuse by its address
	// alone. With nil only https is taken.
	Refuses func(endpoint string) error
	// Full reports whether whole resources may go to an endpoint. With nil they may
	// go to every one that may be called.
	Full func(endpoint string) bool

	Workers int           // notifications under way at a time on this server; 64 if zero
	Keep    time.Duration // how long events are kept; 14 days if zero
	Node    string        // a name of this server, for people
	Clock   Clock         // nil for the time of the database
	Log     *slog.Logger  // nil for none
}

// An Engine matches, delivers and answers for subscriptions. Several may share a
// database. It may be used concurrently.
type Engine struct {
	Config
	db    *sql.DB
	clock Clock
	node  string    // no other Engine's
	busy  func(int) // counts goroutines that are at work

	crashed atomic.Bool // leases are left to run out, as after kill -9

	begun   atomic.Bool   // the feed has a place to go on from
	deliver chan struct{} // wakes what claims subscriptions
	hub     hub
	cache   grants
}

// conns is how many connections an Engine has of its own.
const conns = 4

// New returns an Engine. It takes at most four connections beside those of the
// store, when they are needed.
func New(c Config) (*Engine, error) {
	db, err := store.Pool(c.DSN, conns)
	if err != nil {
		return nil, fmt.Errorf("reach the tables of subscriptions: %w", err)
	}
	if c.Workers == 0 {
		c.Workers = 64
	}
	if c.Keep == 0 {
		c.Keep = 14 * 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.Refuses == nil {
		c.Refuses = onlyHTTPS
	}
	c.Base = strings.TrimRight(c.Base, "/")
	return &Engine{Config: c, db: db, clock: c.Clock, node: c.Node + "/" + rand.Text()[:10], busy: func(int) {}, deliver: make(chan struct{}, 1)}, nil
}

var errNotHTTPS = errors.New("not an address with https")

func onlyHTTPS(endpoint string) error {
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errNotHTTPS
	}
	return nil
}

// Close gives the connections back. Run must have returned.
func (e *Engine) Close() error { return e.db.Close() }

// Run matches and delivers until ctx is done, and returns nil when what was under
// way has stopped. What fails is logged, and goes on.
func (e *Engine) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, loop := range []func(context.Context){e.runMatcher, e.runDelivery, e.runHub} {
		e.busy(1)
		all.Go(func() {
			defer e.busy(-1)
			loop(ctx)
		})
	}
	all.Wait()
	return nil
}

// patience is how long a statement may take.
const patience = 10 * time.Second

// pause is how long to wait after something has failed.
const pause = time.Second

// wake makes what waits on c go on.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
