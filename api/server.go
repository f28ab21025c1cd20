package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/conformance"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/bulk"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/subscription"
)

// Limits bound what a request may cost.
type Limits struct {
	Body   int64 // bytes of a body; 5 MiB
	Bundle int64 // of a Bundle; 50 MiB
	Binary int64 // of a Binary; 100 MiB
	Memory int64 // of all requests with large bodies under way together; 1 GiB
	Conns  int   // that the database takes at a time, by which is measured how many requests are let in; 4 for each core
}

func (l Limits) withDefaults() Limits {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Body, 5<<20)
	def(&l.Bundle, 50<<20)
	def(&l.Binary, 100<<20)
	def(&l.Memory, 1<<30)
	return l
}

// Config configures a Server.
type Config struct {
	Engine  *interaction.Engine
	Log     *slog.Logger // nil is slog.Default
	BaseURL string       // public address of /fhir without a last slash; empty is what the request names
	Version string       // of the software
	Started time.Time    // when; zero is now
	Limits  Limits       // zero fields mean their defaults
	Purge   bool         // serve $purge
	Proxies Proxies      // in front of the server

	// Caller says what the sender of a request may do. Nil means nobody may do
	// anything that is not public.
	Caller func(*http.Request) (access.Grant, error)

	// Auth serves what belongs to signing in, outside of the API: everything under
	// /auth/, /smart/, /.well-known/ and /fhir/.well-known/. It allows origins and
	// sets cookies as it sees fit. Nil means that there is nothing there.
	Auth http.Handler

	// Pages are served to browsers outside of the API, each at one address: "/". Others
	// who ask there are told that there is nothing. Nil is none.
	Pages map[string]http.Handler

	// Security is what the CapabilityStatement says of signing in; nil is that there
	// is no sign-in.
	Security *conformance.Security

	// GrantOf returns the Grant that $access-explain is asked about, or an Outcome.
	// Nil means that it is asked about nobody, and not served.
	GrantOf func(context.Context, Asked) (access.Grant, error)

	// Bulk exports, imports, and performs requests whose sender does not wait. Nil
	// means that nothing of the kind is served.
	Bulk *bulk.Engine

	// Subscriptions tells clients of what is written. Nil means that nobody is told,
	// and that Subscriptions are resources like others.
	Subscriptions *subscription.Engine

	// Dispatch sends messages by SMS, e-mail and the like, and is told what becomes of
	// them by callbacks. Nil means that nobody calls back.
	Dispatch *dispatch.Engine

	// Stopping is closed when the server begins to stop: what waits for something to
	// happen ends then. It may be nil.
	Stopping <-chan struct{}

	// Writable returns an Outcome when nothing can be stored at the moment. Nil
	// means that it always can.
	Writable func() error

	// Observe is told of every request that was answered. It may be nil.
	Observe func(Observation)

	// Doubted is told of every request, and every entry of a batch, of which it is not
	// known whether it was carried out: the database did not say whether it has committed
	// what it was sent. It may be nil.
	Doubted func()
}

// An Observation is what is measured of one request. Route is a template, never
// an address that a client sent.
type Observation struct {
	Method string
	Route  string
	Status int
	Took   time.Duration

	Class    string        // what the request costs, as far as its address tells: light, read, search, write, transaction or bulk; empty for what is always let in
	Admitted bool          // it was let in; for one without a Class it says nothing
	Waited   time.Duration // until that was known
}

// A Server answers FHIR requests under /fhir.
type Server struct {
	config    Config
	router    *gin.Engine
	memory    *semaphore.Weighted // for requests with large bodies
	small     *semaphore.Weighted // for the others, a quarter beside it
	signing   *semaphore.Weighted // for requests that belong to signing in, one each
	gates     *gates
	heavy     *semaphore.Weighted // for operations that are sent something large, one each
	listening *room               // for websockets
	metadata  *conformance.Statements

	awayLogged atomic.Int64 // the second in which it was last logged that the database is away
}

// New returns a Server. It fails when a route has no access rule.
func New(c Config) (*Server, error) {
	c.Limits = c.Limits.withDefaults()
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Started.IsZero() {
		c.Started = time.Now()
	}
	s := &Server{config: c, memory: semaphore.NewWeighted(c.Limits.Memory), small: semaphore.NewWeighted(c.Limits.Memory / 4), signing: semaphore.NewWeighted(maxSigning), gates: newGates(c.Limits.Conns), heavy: semaphore.NewWeighted(heavySlots()), listening: newRoom()}
	routes := s.routes()
	if err := checkRules(routes); err != nil {
		return nil, err
	}
	statements, err := conformance.New(s.served(routes))
	if err != nil {
		return nil, fmt.Errorf("make the capability statement: %w", err)
	}
	s.metadata = statements
	s.router = s.newRouter(routes)
	return s, nil
}

// newRouter returns gin without its defaults: it trusts no proxy, logs nothing,
// and guesses no address.
func (s *Server) newRouter(routes []route) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	// Nil is valid, so this cannot fail.
	_ = e.SetTrustedProxies(nil)
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = false
	e.UseRawPath = false
	served := places(routes)
	for at, rs := range served {
		e.Handle(at.method, base+at.path, s.chosen(rs))
	}
	for _, at := range untaken(served) {
		e.Handle(at.method, base+at.path, s.handle(route{path: "", rule: public, serve: s.unserved}))
	}
	for _, p := range reservedPaths() {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if !slices.Contains(p.takes, method) {
				e.Handle(method, base+p.path, s.handle(route{path: "", rule: public, serve: s.unserved}))
			}
		}
	}
	e.NoRoute(s.handle(route{path: "", rule: public, serve: s.unserved}))
	return e
}

// checkRules fails when a route says nothing about who may use it.
func checkRules(routes []route) error {
	var problems []error
	for _, r := range routes {
		switch {
		case r.rule == unruled:
			problems = append(problems, fmt.Errorf("route %s %s has no access rule", r.method, r.path))
		case r.rule == granted && r.interaction == "":
			problems = append(problems, fmt.Errorf("route %s %s asks for a Grant, but not for what", r.method, r.path))
		}
	}
	return errors.Join(problems...)
}

// Handler returns the server as an http.Handler, with everything around the
// routes: request ids, logs, panics, CORS, compression and limits.
func (s *Server) Handler() http.Handler {
	return s.identified(s.recovered(s.sockets(s.called(s.besides(s.crossOrigin(s.bounded(compressed(s.router))))))))
}
