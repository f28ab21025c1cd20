package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
)

const (
	maxURL     = 8 << 10
	maxWrite   = 10 * time.Minute // for the client to take the answer
	headRoom   = 64 << 10         // memory that a request takes beside its body
	smallBody  = 32 << 10         // bytes of a body that has its place among small requests
	admitAfter = 100 * time.Millisecond
)

// note is what the middleware learns about a request on its way.
type note struct {
	id    string
	route string
	grant access.Grant // of its sender, once that is known; until then it denies
	inner bool         // it is an entry of another request, whose sender is known

	class   class         // what it costs, as far as its address tells
	verdict verdict       // refused until it was let in
	asked   bool          // whether it was let in was asked at all
	waited  time.Duration // for that
	seat    *seat         // that it has then; nil is that it needs none

	updated time.Time // when the version was stored that the answer is about; zero if there is none

	idle func(wait func()) error // runs what waits without the room of the request; nil just runs it

	key    string    // its Idempotency-Key; empty without one
	digest hash.Hash // of what was read of it; nil without a key
	base   string    // the public address by which it was sent first, if it is a repetition
}

type noteKey struct{}

func noteOf(r *http.Request) *note {
	n, ok := r.Context().Value(noteKey{}).(*note)
	if !ok {
		return &note{}
	}
	return n
}

func requestID(r *http.Request) string { return noteOf(r).id }

func routeOf(r *http.Request) string { return noteOf(r).route }

func noteRoute(r *http.Request, path string) { noteOf(r).route = path }

// identified gives each request an id, the caller's own if it sends a sensible
// one, and reports the request when it is answered.
func (s *Server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := &note{id: r.Header.Get("X-Request-Id")}
		if !fhir.ValidID(n.id) {
			n.id = strings.ToLower(rand.Text())
		}
		w.Header().Set("X-Request-Id", n.id)
		start := time.Now()
		seen := &statusWriter{ResponseWriter: w, note: n, status: http.StatusOK}
		// An answer that is broken off is told of, too.
		defer func() { s.report(r, n, seen.status, time.Since(start)) }()
		next.ServeHTTP(seen, r.WithContext(context.WithValue(r.Context(), noteKey{}, n)))
	})
}

// report logs a request without its address, which may name a patient.
func (s *Server) report(r *http.Request, n *note, status int, took time.Duration) {
	if s.config.Log.Enabled(r.Context(), slog.LevelDebug) {
		s.config.Log.DebugContext(r.Context(), "request", "request", n.id, "method", methodOf(r), "route", n.route, "status", status, "took", took)
	}
	if s.config.Observe != nil {
		o := Observation{Method: methodOf(r), Route: n.route, Status: status, Took: took}
		if n.asked {
			o.Class, o.Admitted, o.Waited = n.class.String(), n.verdict == admitted, n.waited
		}
		s.config.Observe(o)
	}
}

// methodOf returns the method of r if it is one that anything takes. Others are
// whatever a client made up, which neither logs nor metrics should repeat.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// A statusWriter remembers the status that was written. Once an answer begins, what was
// to be done for it is done, and its seat is free: who reads slowly keeps nobody out.
type statusWriter struct {
	http.ResponseWriter
	note   *note
	status int
	begun  bool
}

// WriteHeader notes the status on its way.
func (w *statusWriter) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
		w.note.seat.end()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer.
func (w *statusWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.note.seat.end()
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// recovered turns a panic into a 500 with an id. The stack is logged, what was
// panicked with only by its type: it may hold patient data.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.config.Log.ErrorContext(r.Context(), "panic", "request", requestID(r), "method", methodOf(r), "route", routeOf(r), "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			if seen, ok := w.(*statusWriter); ok && seen.begun {
				panic(http.ErrAbortHandler)
			}
			clearAnswer(w.Header())
			writeOutcome(w, http.StatusInternalServerError, fhir.Errorf(fhir.BadRequest, fhir.Exception, "", "The server has failed; nothing that you sent is to blame. The id of this request is %s.", requestID(r)))
		}()
		next.ServeHTTP(w, r)
	})
}

// clearAnswer removes what an answer that was not given would have said.
func clearAnswer(h http.Header) {
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		return name != "X-Request-Id" && !strings.HasPrefix(name, "Access-Control-")
	})
}

// writeOutcome answers outside of the router, always as JSON.
func writeOutcome(w http.ResponseWriter, status int, o *fhir.Outcome) {
	answerHeaders(w.Header())
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	// The caller may be gone, and there is nobody else to tell.
	_, _ = w.Write(o.JSON())
}

// exposed are the headers that a script on another site may read.
const exposed = "Content-Location, ETag, Expires, Idempotent-Replay, Last-Modified, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Progress, X-Request-Id"

// crossOrigin lets scripts of any site call the API. They send no cookies, so
// they can do nothing without a token of their own.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Header.Get("Origin") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", exposed)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-History, X-Provenance, X-Request-Id, X-Security-Context")
		h.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	})
}

// compressed sends answers of a kilobyte and more as gzip or zstd to who takes it.
func compressed(next http.Handler) http.Handler {
	// The options are constants and valid, so this cannot fail.
	wrap, _ := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.CompressionLevel(1))
	return wrap(next)
}

// expected returns how large the body of a request may well be.
func (s *Server) expected(r *http.Request) int64 {
	if s.isStreamed(r) {
		return 0
	}
	if r.ContentLength < 0 {
		return s.config.Limits.Body
	}
	return min(r.ContentLength, s.config.Limits.Memory)
}

// bounded refuses what the server has no room for: an address that is too long,
// a body beyond the memory that is left, and more requests than the database can take.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limit := addressLimit(r); len(r.RequestURI) > limit {
			writeOutcome(w, http.StatusRequestURITooLong, fhir.Errorf(fhir.BadRequest, fhir.TooLong, "", "The address is longer than %d bytes; send a search with so much to say as POST [type]/_search.", limit))
			return
		}
		size := s.expected(r)
		setDeadlines(w, size)
		room, weight := s.room(size)
		if err := take(r.Context(), room, weight); err != nil {
			s.refuse(w, r, refused)
			return
		}
		held := true
		defer func() {
			if held {
				room.Release(weight)
			}
		}()
		p := s.admit(w, r)
		if p == nil {
			return
		}
		defer p.end()
		n := noteOf(r)
		n.seat = p
		n.idle = func(wait func()) error {
			p.yield()
			room.Release(weight)
			held = false
			wait()
			if err := room.Acquire(r.Context(), weight); err != nil {
				return err
			}
			held = true
			return p.resume(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// addressLimit returns how long the address of r may be. Links between pages hold
// all of a search that may have been posted.
func addressLimit(r *http.Request) int {
	if strings.HasPrefix(r.URL.RawQuery, cursorParam+"=") {
		return maxLink
	}
	return maxURL
}

// take takes weight from room, and waits for it a little if it must. A wait
// that ends while this goroutine does not run must not refuse what there is
// room for.
func take(ctx context.Context, room *semaphore.Weighted, weight int64) error {
	if room.TryAcquire(weight) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, admitAfter)
	defer cancel()
	return room.Acquire(ctx, weight)
}

// room returns what a request with a body of that size takes its memory from, and
// how much: the tree and the text of a resource are about four times its body.
// Small requests have room of their own, so that large bodies that trickle in
// keep nobody out who only wants to read.
func (s *Server) room(size int64) (*semaphore.Weighted, int64) {
	if size <= smallBody {
		return s.small, headRoom + 4*size
	}
	return s.memory, min(headRoom+4*size, s.config.Limits.Memory)
}

// setDeadlines makes sure that a client that sends or reads slowly is cut off in
// the end, also one whose body nobody reads. What happens between is bounded by
// the store. Recorders of tests have no deadlines.
func setDeadlines(w http.ResponseWriter, size int64) {
	connection := http.NewResponseController(w)
	now := time.Now()
	_ = connection.SetWriteDeadline(now.Add(arrival(size) + maxWrite))
	if size > 0 {
		_ = connection.SetReadDeadline(now.Add(arrival(size)))
	}
}
