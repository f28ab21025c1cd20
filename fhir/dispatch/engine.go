package dispatch

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// Config configures an Engine.
type Config struct {
	Store *store.DB
	DSN   string // of the store's database, as lib/pq takes it

	Channels map[consultation.Channel]Sender // that there are
	Link     string                          // where a person reads a message after signing in; {id} stands for that of the message

	Workers int           // messages under way at a time on this server; 16 if zero
	Idle    time.Duration // between looks for what is due; half a second if zero
	Lease   time.Duration // for how long a turn is this server's; a minute if zero
	Node    string        // a name of this server, for people
	Now     func() time.Time
	Log     *slog.Logger // nil for none
}

// A Sender serves one channel.
type Sender struct {
	Provider Provider
	Secret   []byte // that callbacks of the channel are signed with; empty if there are none
}

// A Desk knows the messages, and writes what becomes of them.
type Desk interface {
	// Letter returns a message as it is now; nil when there is none, or it is none
	// that is dispatched.
	Letter(ctx context.Context, id string, served []consultation.Channel) (*Letter, error)
	// Delivered stores what has become of a message. Doing so again changes nothing.
	Delivered(ctx context.Context, o Outcome) error
	// Attempted records in the audit that a message was given to a channel.
	Attempted(ctx context.Context, a Attempt) error
	// Heard records in the audit that a channel has said something. When that cannot
	// be done, nothing was heard.
	Heard(ctx context.Context, c Callback) error
}

// A Letter is a message that is to be sent.
type Letter struct {
	Status   string             // of the Communication
	Text     string             // what it says
	Ways     []consultation.Way // in which it may be sent now
	Barred   string             // why there is none, a sentence; may be empty
	Inbox    bool               // it is for the inbox here only
	Revoked  bool               // it is not to be sent any more
	Schedule consultation.Schedule
}

// An Outcome is what has become of a message.
type Outcome struct {
	Message string // id
	consultation.DispatchStep
}

// An Attempt is that a message was given to a channel.
type Attempt struct {
	Message string // id
	Channel consultation.Channel
	Address string // hashed with a key of this installation
	Err     error  // why it was not taken
}

// An Engine sends messages. Several may share a database. It may be used
// concurrently.
type Engine struct {
	Config
	db   *sql.DB
	node string // no other Engine's
	desk Desk   // nil until Run
	salt []byte

	crashed atomic.Bool   // leases are left to run out, as after kill -9
	wake    chan struct{} // wakes what claims
	ready   chan struct{} // closed when desk is there
}

// conns is how many connections an Engine has of its own.
const conns = 4

const (
	patience = 10 * time.Second // how long a statement may take
	pause    = time.Second      // how long to wait after something has failed
)

// New returns an Engine that does nothing until it is run. It takes at most four
// connections beside those of the store, when they are needed.
func New(c Config) (*Engine, error) {
	db, err := store.Pool(c.DSN, conns)
	if err != nil {
		return nil, fmt.Errorf("reach the tables of messages that are sent: %w", err)
	}
	if c.Workers == 0 {
		c.Workers = 16
	}
	if c.Idle == 0 {
		c.Idle = 500 * time.Millisecond
	}
	if c.Lease == 0 {
		c.Lease = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Engine{Config: c, db: db, node: c.Node + "/" + rand.Text()[:10], wake: make(chan struct{}, 1), ready: make(chan struct{})}, nil
}

// Close gives the connections back. Run must have returned.
func (e *Engine) Close() error { return e.db.Close() }

// Serves returns the channels that there is a sender for.
func (e *Engine) Serves() []consultation.Channel {
	var all []consultation.Channel
	for _, c := range consultation.Channels() {
		if e.Channels[c].Provider != nil {
			all = append(all, c)
		}
	}
	return all
}

// Run follows the feed and sends until ctx is done, and returns nil when what was
// under way has stopped. What fails is logged, and goes on. It is called once.
func (e *Engine) Run(ctx context.Context, desk Desk) error {
	for ctx.Err() == nil {
		err := e.begin(ctx)
		if err == nil {
			break
		}
		e.Log.ErrorContext(ctx, "messages are not sent", "error", err)
		store.Wait(ctx, pause, nil)
	}
	e.desk = desk
	close(e.ready)
	var all sync.WaitGroup
	all.Go(func() { e.follower().Run(ctx) })
	all.Go(func() { e.sendAll(ctx) })
	all.Wait()
	return nil
}

// look has what is due be looked for.
func (e *Engine) look() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// link returns where a message is read.
func (e *Engine) link(id string) string { return strings.ReplaceAll(e.Link, "{id}", id) }
