package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/semaphore"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/subscription"
)

// socketPath is where websockets are opened.
const socketPath = base + "/$websocket"

// The bounds of a websocket.
const (
	maxSockets = 4096 // that are bound, at a time
	maxUnbound = 256  // that have not shown what they may listen to, beside
	maxBinding = 1024 // bytes of what the client says
	bindTime   = 10 * time.Second
	sendTime   = 10 * time.Second // for one notification to be taken
	pingEvery  = 30 * time.Second
)

// A room is where websockets have their places, one each.
type room struct {
	bound, unbound *semaphore.Weighted
	bindTime       time.Duration // for what the client says first
}

func newRoom() *room {
	return &room{semaphore.NewWeighted(maxSockets), semaphore.NewWeighted(maxUnbound), bindTime}
}

// socketURL returns the address of websockets of the API at an address.
func socketURL(base string) string {
	return "ws" + strings.TrimPrefix(base, "http") + "/$websocket"
}

// sockets opens websockets, and leaves everything else to api. They have no place
// among the requests that the server has room for, since they last.
func (s *Server) sockets(api http.Handler) http.Handler {
	if s.config.Subscriptions == nil {
		return api
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != socketPath {
			api.ServeHTTP(w, r)
			return
		}
		noteRoute(r, socketPath)
		if !s.listening.unbound.TryAcquire(1) {
			w.Header().Set("Retry-After", "10")
			writeOutcome(w, http.StatusServiceUnavailable, fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "Too many websockets are open; try again later."))
			return
		}
		leave := sync.OnceFunc(func() { s.listening.unbound.Release(1) })
		defer leave()
		s.socket(w, r, leave)
	})
}

// socket serves one websocket. Its client says "bind-with-token" and the token
// first, and may add the number of the last event that it has. When the token is good,
// bound is called.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/channels.html#websockets
func (s *Server) socket(w http.ResponseWriter, r *http.Request, bound func()) {
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		writeOutcome(w, http.StatusUpgradeRequired, fhir.Errorf(fhir.BadRequest, fhir.NotSupported, "", "Open this address as a websocket, and send bind-with-token and a token from $get-ws-binding-token."))
		return
	}
	// The token is all the authority there is, and a browser does not send it by
	// itself, so a page of any site may connect.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // the answer was given
	}
	conn.SetReadLimit(maxBinding)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-ended:
		case <-s.config.Stopping:
			// Whatever it is at, it ends by that.
			_ = conn.Close(closing(context.Canceled))
		}
	}()
	// The client may be gone, and there is nobody else to tell.
	_ = conn.Close(closing(s.listen(r.Context(), conn, bound)))
}

// listen sends what there is to be told until the client leaves, or conn is
// closed.
func (s *Server) listen(ctx context.Context, conn *websocket.Conn, bound func()) error {
	l, err := s.listening.greeted(ctx, conn)
	if err != nil {
		return err
	}
	if !s.listening.bound.TryAcquire(1) { // before the token is used up
		return fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "Too many websockets are open; try again later.")
	}
	defer s.listening.bound.Release(1)
	l.Bound = bound
	// What else the client says is read by nobody; that it leaves is noticed.
	ctx = conn.CloseRead(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		keep(ctx, conn)
	}()
	return s.config.Subscriptions.Listen(ctx, l, func(n subscription.Notification) error {
		ctx, done := context.WithTimeout(ctx, sendTime)
		defer done()
		return conn.Write(ctx, websocket.MessageText, n.Body)
	})
}

// keep asks the client again and again if it is there, until it is not.
func keep(ctx context.Context, conn *websocket.Conn) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ping, done := context.WithTimeout(ctx, sendTime)
		err := conn.Ping(ping)
		done()
		if err != nil {
			return
		}
	}
}

// greeted reads what the client says first.
func (at *room) greeted(ctx context.Context, conn *websocket.Conn) (subscription.Listening, error) {
	ctx, done := context.WithTimeout(ctx, at.bindTime)
	defer done()
	_, text, err := conn.Read(ctx)
	if err != nil {
		return subscription.Listening{}, err
	}
	l := subscription.Listening{After: -1}
	words := strings.Fields(string(text))
	if len(words) == 3 {
		if l.After, err = strconv.ParseInt(words[2], 10, 64); err != nil || l.After < 0 {
			words = nil
		}
	}
	if len(words) < 2 || len(words) > 3 || words[0] != "bind-with-token" {
		return l, fhir.Errorf(fhir.BadRequest, fhir.Structure, "", "Say bind-with-token, a token, and if you like the number of the last event that you have.")
	}
	l.Token = words[1]
	return l, nil
}

// closing returns how a websocket is closed after err, with a reason that fits
// into its last frame.
func closing(err error) (websocket.StatusCode, string) {
	const longest = 120 // bytes; of 125 two are the status
	o := fhir.AsOutcome(err)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return websocket.StatusGoingAway, "The server is stopping, or cannot reach you."
	case o != nil && o.Class == fhir.Unavailable:
		return websocket.StatusTryAgainLater, "Subscriptions cannot be reached now; connect again later."
	case o != nil && len(o.Issues) > 0:
		text := o.Issues[0].Text
		return websocket.StatusPolicyViolation, text[:min(len(text), longest)]
	}
	return websocket.StatusInternalError, "The server has failed; connect again."
}
