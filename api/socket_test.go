package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/subscription"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

// telling returns a Server with subscriptions that trusts everybody, and what tells
// its subscribers.
func telling(t *testing.T) (*Server, *subscription.Engine) {
	t.Helper()
	db := pgtest.New(t)
	data, err := store.Open(t.Context(), store.Config{DSN: db.DSN, Conns: 4, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	var subs *subscription.Engine
	engine := interaction.New(interaction.Config{Store: data, Subscribe: func(ctx context.Context, in interaction.Subscribing) (*fhir.Resource, error) {
		return subs.Check(ctx, in)
	}})
	subs, err = subscription.New(subscription.Config{
		Store: data, Engine: engine, DSN: db.DSN, Base: "https://fhir.example.org/fhir",
		Grants: func(context.Context, string) (access.Grant, error) { return access.Trusted("test"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { subs.Close() })
	return newServer(t, Config{Engine: engine, Caller: trustAll, Subscriptions: subs}), subs
}

// open opens a websocket, and returns the status that is answered.
func open(t *testing.T, server *httptest.Server) (*websocket.Conn, int) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+socketPath, nil)
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() }) // it may have ended
	}
	if resp == nil {
		t.Fatal(err)
	}
	if err != nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	return conn, resp.StatusCode
}

// read reads from conn until it has something, or is closed.
func read(t *testing.T, conn *websocket.Conn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, _, err := conn.Read(ctx)
	if ctx.Err() != nil {
		t.Fatal("it is not closed")
	}
	return err
}

// TestSocketsThatSayNothing has places for few of them, and not for long.
func TestSocketsThatSayNothing(t *testing.T) {
	t.Parallel()
	s, _ := telling(t)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	if !s.listening.unbound.TryAcquire(maxUnbound - 1) {
		t.Fatal("a place is taken already")
	}
	if !s.listening.bound.TryAcquire(maxSockets) {
		t.Fatal("a place is taken already")
	}
	silent, status := open(t, server)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("it is answered with %d", status)
	}
	if _, status := open(t, server); status != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered with %d", status)
	}
	// Those that are bound have places of their own, and so a full house is told when
	// the token is said, which is good once more.
	if err := silent.Write(t.Context(), websocket.MessageText, []byte("bind-with-token x")); err != nil {
		t.Fatal(err)
	}
	if got := websocket.CloseStatus(read(t, silent)); got != websocket.StatusTryAgainLater {
		t.Errorf("it is closed with %v", got)
	}
	s.listening.bound.Release(maxSockets)

	// Whoever says nothing goes, and leaves the place to another.
	if err := s.listening.unbound.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	s.listening.unbound.Release(1)
	s.listening.bindTime = 10 * time.Millisecond
	conn, status := open(t, server)
	if status != http.StatusSwitchingProtocols {
		t.Fatalf("it is answered with %d", status)
	}
	if err := read(t, conn); err == nil {
		t.Error("it is told something")
	}
	if err := s.listening.unbound.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
}

// TestSocketsThatAreBound leaves the places of those that are not to others.
func TestSocketsThatAreBound(t *testing.T) {
	t.Parallel()
	s, subs := telling(t)
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	const socket = `{"resourceType":"Subscription","id":"s","status":"requested","reason":"test","criteria":"Task?status=ready","channel":{"type":"websocket"}}`
	if w := ask(s, "PUT /fhir/Subscription/s", socket, fhirJSON); w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	b, err := subs.Bind(t.Context(), subscription.Caller{Grant: access.Trusted("test")}, []string{"s"})
	if err != nil {
		t.Fatal(err)
	}
	conn, _ := open(t, server)
	if err := conn.Write(t.Context(), websocket.MessageText, []byte("bind-with-token "+b.Token)); err != nil {
		t.Fatal(err)
	}
	if err := s.listening.unbound.Acquire(t.Context(), maxUnbound); err != nil {
		t.Fatal(err)
	}
	if s.listening.bound.TryAcquire(maxSockets) {
		t.Error("it has no place")
	}
	s.listening.unbound.Release(maxUnbound)
}

// TestSubscriptionAnswers makes sure that what is answered about a Subscription is FHIR.
func TestSubscriptionAnswers(t *testing.T) {
	t.Parallel()
	s, _ := telling(t)
	for id, channel := range map[string]string{"hook": `"type":"rest-hook","endpoint":"https://example.org/in","header":["Authorization: Bearer mine"]`, "socket": `"type":"websocket"`} {
		body := `{"resourceType":"Subscription","id":"` + id + `","status":"requested","reason":"test","criteria":"Task?status=ready","channel":{` + channel + `}}`
		if w := ask(s, "PUT /fhir/Subscription/"+id, body, fhirJSON); w.Code != 201 || strings.Contains(w.Body.String(), "Bearer") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for _, path := range []string{
		"Subscription/hook", "Subscription/hook/_history", "Subscription/hook/$status", "Subscription/$status?id=hook,socket", "Subscription/hook/$events",
		"Subscription/socket/$get-ws-binding-token", "Subscription?_id=hook", "$changes",
	} {
		w := ask(s, "GET /fhir/"+path, "")
		body := w.Body.String()
		if _, err := fhir.Decode("", []byte(body)); w.Code != 200 || err != nil || strings.Contains(body, "null") || strings.Contains(body, "Bearer") {
			t.Errorf("%s: %d %s: %v", path, w.Code, body, err)
		}
	}
}
