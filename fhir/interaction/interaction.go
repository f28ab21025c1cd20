package interaction

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/questionnaire"
	"github.com/openconsult/openconsult/fhir/store"
)

// Config configures an Engine.
type Config struct {
	Store *store.DB

	NewID func() string // of a resource that is created; UUIDs that grow with time
	Now   func() time.Time

	HideStaff bool // patients are told which organisation has looked at their data, and not which person

	// Subscribe is asked about every Subscription that is to be stored, which it may
	// refuse by an Outcome and change. Nil means that they are stored as they are,
	// and nothing comes of them.
	Subscribe func(context.Context, Subscribing) (*fhir.Resource, error)

	Checks *Checks // what resources are held against; nil is their structure alone

	Senders Senders // of messages by SMS, e-mail and the like; nil for none

	// Conversation has the rules of conversations hold for Tasks, messages and forms, which takes
	// Checks. Nil means that they are resources like all others.
	Conversation *Conversation

	Scanner attachment.Scanner // of content that is stored; nil for none, and then nothing is said to be clean
}

// Subscribing is a Subscription that somebody wants to store.
type Subscribing struct {
	Grant    access.Grant
	Key      fhir.Key
	Old, New *fhir.Resource // Old is nil when it is a new one, and for a trusted caller
	Dry      bool           // nothing is stored, whatever becomes of it
}

// An Engine performs interactions. They are reached through a Session only.
type Engine struct {
	store *store.DB
	newID func() string
	clock func() time.Time

	hideStaff bool // from patients, in the audit
	subscribe func(context.Context, Subscribing) (*fhir.Resource, error)
	checks    *Checks
	senders   Senders
	scans     *scans // nil without a scanner
	forms     *definition.Memo[*questionnaire.Form]

	conversation *Conversation
	starting     *definition.Memo[*startingForm]
	hours        *hourBook
}

// New returns an Engine.
func New(c Config) *Engine {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewID == nil {
		c.NewID = func() string { return newID(c.Now()) }
	}
	return &Engine{
		store: c.Store, newID: c.NewID, clock: c.Now, hideStaff: c.HideStaff, subscribe: c.Subscribe,
		checks: c.Checks, senders: c.Senders, scans: newScans(c), forms: &definition.Memo[*questionnaire.Form]{},
		conversation: c.Conversation, starting: &definition.Memo[*startingForm]{}, hours: &hourBook{},
	}
}

// newID returns a UUID of version 7: milliseconds, then random bits.
// https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
func newID(now time.Time) string {
	var u [16]byte
	rand.Read(u[6:])
	ms := uint64(now.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6] = u[6]&0x0F | 0x70
	u[8] = u[8]&0x3F | 0x80
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// An Origin says where a request came from. The zero Origin is the server
// itself.
type Origin struct {
	Request string // the id of the request
	Address string // of the network that it came from, without a port
}

// A Session performs interactions for one caller, so that none can be reached
// without saying who asks.
type Session struct {
	*Engine
	grant     access.Grant
	origin    Origin
	advised   bool // results come with Notes
	published bool // what is stored was published by others, and is taken as it is
	server    bool // it is the server itself, which has asked the rules of conversations already
}

// For returns the session of the caller who has g, for one request.
func (e *Engine) For(g access.Grant, from Origin) *Session {
	return &Session{Engine: e, grant: g, origin: from}
}

// System returns the session of the server itself, which does what time or a gateway brings
// about. Nobody asks it whether it may, and no rule of conversations: what it writes was made
// by them.
func (e *Engine) System(from Origin) *Session {
	return &Session{Engine: e, grant: access.Trusted(""), origin: from, server: true}
}

// A Result is what a write led to: the version that is current after it.
type Result struct {
	store.Version
	Outcome store.Outcome
	Hidden  bool         // the caller may write it, but not read what it says
	Notes   []fhir.Issue // what is not good about it, for who is Advised
	Links   []Link       // what else came of it

	Repeated bool // it is what an earlier create under the same identifier led to
}

// settle turns what the store says about a write into a Result or an Outcome.
func settle(r store.Row, w store.Written) (Result, error) {
	switch w.Outcome {
	case store.Mismatch:
		return Result{}, stale(w)
	case store.Misnamed:
		return Result{}, store.NamesMerged()
	case store.Collision:
		return Result{}, fhir.Errorf(fhir.Clash, fhir.Duplicate, r.Key.Type+".id", "This id cannot be used; choose another one.")
	}
	v := store.Version{Key: r.Key, Number: w.Version, Updated: w.Updated, Op: r.Op, Stored: r.Stored}
	return Result{Version: *harmless(&v), Outcome: w.Outcome}, nil
}

func stale(w store.Written) error {
	o := fhir.Errorf(fhir.Stale, fhir.Conflict, "", "This is not the current version; read the resource, look at what changed, and send yours again with the new ETag in If-Match.")
	if w.Version > 0 && !w.Deleted {
		o.Issues[0].Text = "The resource has changed or is already there; read it, look at what changed, and send yours again with its ETag in If-Match."
	}
	o.Issues[0].Detail = "version-conflict"
	return o
}

func unknown(typ string) error {
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no %s with this id.", typ)
}
