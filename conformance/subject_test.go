package conformance_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/fhir/attachment"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/terminology"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// A subject is a running server under test with a database of its own.
type subject struct {
	base    string // URL of the FHIR endpoint, ending in /fhir
	restart func() // stops it and starts it on the same database; may change base
	door    *door  // where callers get tokens; nil on a server without sign-in
}

// serve starts a server for one script and stops it at the end of the test.
func serve(t *testing.T) *subject {
	t.Helper()
	return serveWith(t, api.Config{})
}

// serveWith starts a server with what an operator can switch on in c.
func serveWith(t *testing.T, c api.Config) *subject {
	t.Helper()
	return serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = start(t, dsn, c)
		return stop
	})
}

// serveSignIn starts a server on which callers need tokens.
func serveSignIn(t *testing.T, c api.Config) *subject {
	t.Helper()
	return serveSigned(t, c, manner{audits: true})
}

// serveSigned starts one that works in a manner.
func serveSigned(t *testing.T, c api.Config, m manner) *subject {
	t.Helper()
	return serveOn(t, func(s *subject, dsn string) (stop func()) {
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(4)
		m.admit = func(c *api.Config, x *errands) {
			s.door = openDoor(t, db, c)
			x.grants = s.door.signIn.Regrant
		}
		base, end := startWith(t, dsn, c, m)
		s.base = base
		return func() {
			end()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// serveOn has begin start a server on a database of its own.
func serveOn(t *testing.T, begin func(s *subject, dsn string) (stop func())) *subject {
	t.Helper()
	dsn := pgtest.New(t).DSN
	s := &subject{}
	stop := begin(s, dsn)
	t.Cleanup(func() { stop() })
	s.restart = func() {
		stop()
		stop = begin(s, dsn)
	}
	return s
}

// start serves the resources of one database on an address of its own, to
// everybody.
func start(t *testing.T, dsn string, c api.Config) (base string, stop func()) {
	t.Helper()
	return startWith(t, dsn, c, manner{admit: trustAll})
}

// servePlain is serve for a server without the rules of conversations, where a Task may
// come and go as a test needs it.
func servePlain(t *testing.T) *subject {
	t.Helper()
	return serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, plain: true})
		return stop
	})
}

// serveIdle is serve for a server that does nothing unless it is asked: nobody is
// told of anything, and a Subscription is a resource like others.
func serveIdle(t *testing.T) *subject {
	t.Helper()
	return serveOn(t, func(s *subject, dsn string) (stop func()) {
		s.base, stop = startWith(t, dsn, api.Config{}, manner{admit: trustAll, idle: true, checks: storeUnknown})
		return stop
	})
}

// storeUnknown has answers to forms stored that nobody knows.
func storeUnknown(c *interaction.Checks) { c.UnknownForms = true }

// A manner is how a server under test works.
type manner struct {
	admit  func(*api.Config, *errands) // says who may do what
	audits bool
	idle   bool
	checks func(*interaction.Checks) // changes what resources are held against
	plain  bool                      // no rules of conversations hold
	strict bool                      // only triage rules run that somebody has approved

	scanner attachment.Scanner // nil for none
	sends   sends              // messages by other channels
}

// conversation returns the rules of conversations, nil for none. What nobody has approved may run,
// as in a demonstration, unless the manner is strict.
func (m manner) conversation() *interaction.Conversation {
	if m.plain {
		return nil
	}
	return &interaction.Conversation{Demo: !m.strict, Limits: consultation.DefaultLimits()}
}

// startWith serves the resources of one database on an address of its own.
func startWith(t *testing.T, dsn string, c api.Config, m manner) (base string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base = "http://" + l.Addr().String() + "/fhir"
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	// The database of a test does not wait for the disk, which a server does
	// not accept otherwise.
	data, err := store.Open(context.Background(), store.Config{DSN: dsn, Conns: 4, Unsafe: true, BaseURL: base, Audit: m.audits, Log: c.Log})
	if err != nil {
		t.Fatal(err)
	}
	x := &errands{data: data, dsn: dsn, grants: trustLocal, idle: m.idle}
	terms, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	terms.SetMaxOpenConns(2)
	checks := interaction.NewChecks(data, terminology.Config{DB: terms}, nil)
	if m.checks != nil {
		m.checks(checks)
	}
	c.Engine = interaction.New(interaction.Config{
		Store: data, Subscribe: x.hook(), Checks: checks, Conversation: m.conversation(), Scanner: m.scanner, Senders: m.sends.open(t, x, c.Log), Now: m.sends.now,
	})
	c.BaseURL = base
	c.Version = "test"
	m.admit(&c, x)
	x.open(t, &c)
	stopping, leave := context.WithCancel(context.Background())
	c.Stopping = stopping.Done()
	server, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	x.perform = server.Performer()
	h := &http.Server{Handler: server.Handler()}
	go h.Serve(l)
	rest := x.run()
	go c.Engine.RunScans(stopping, func(err error) { c.Log.Info("nothing is scanned now", "error", err) })
	return base, func() {
		leave()
		if err := errors.Join(h.Shutdown(context.Background()), rest()); err != nil {
			t.Error(err)
		}
		// The database may be gone, which is no failure of the server.
		_ = errors.Join(data.Close(), terms.Close())
	}
}
