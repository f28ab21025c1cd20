package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// TestEventsAgain is about $events and $status.
func TestEventsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	for _, id := range []string{"a", "b"} {
		w.put(`{"resourceType":"Organization","id":"` + id + `"}`)
	}
	g := reader("a", everything, "*")
	w.setGrant("holder a", g)
	s := w.engine.For(g, interaction.Origin{})
	done, err := s.Create(t.Context(), decode(t, hook("s", at.URL+"/s")))
	if err != nil {
		t.Fatal(err)
	}
	id := done.Key.ID
	own := func(status, org string) {
		w.put(task("x", "consultation", status, `,"owner":{"reference":"Organization/`+org+`"}`))
	}
	own("requested", "a")
	own("received", "a")
	own("accepted", "a")
	own("in-progress", "a")
	w.arrives(at, "/s", 3)

	ask := func(g Caller, r Replay) received {
		t.Helper()
		r.ID = id
		body, err := w.subs.Events(t.Context(), g, r)
		if err != nil {
			t.Fatal(err)
		}
		decode(t, string(body))
		x := received{body: body}
		x.read()
		return x
	}
	me := Caller{Grant: g}
	for _, c := range []struct {
		Replay
		want string
	}{{Replay{}, "[1 2 3]"}, {Replay{From: 2}, "[2 3]"}, {Replay{From: 1, To: 2}, "[1 2]"}, {Replay{From: 4}, "[]"}, {Replay{From: 3, To: 99}, "[3]"}} {
		if x := ask(me, c.Replay); fmt.Sprint(x.numbers) != c.want || x.kind != "query-event" || !strings.Contains(string(x.body), `"events-since-subscription-start","valueString":"3"`) {
			t.Errorf("%+v: %v %s, want %s", c.Replay, x.numbers, x.kind, c.want)
		}
	}
	if x := ask(me, Replay{From: 2, To: 2, Content: contentFull}); !strings.Contains(string(x.body), `"status":"accepted"`) {
		t.Errorf("it is not the version of the event: %s", x.body)
	}
	if _, err := w.subs.Events(t.Context(), me, Replay{ID: id, Content: "all"}); fhir.AsOutcome(err) == nil {
		t.Error("content=all was taken")
	}
	// Access is asked again, and of who asks.
	own("on-hold", "b")
	w.clock.pass(t, time.Minute)
	if x := ask(me, Replay{Content: contentFull}); fmt.Sprint(x.numbers) != "[1 2 3]" || strings.Contains(string(x.body), "Task/x") {
		t.Errorf("what is not theirs any more: %s", x.body)
	}
	other := Caller{Grant: reader("b", everything, "*")}
	var unseen, missing *fhir.Outcome
	_, err = w.subs.Events(t.Context(), other, Replay{ID: id})
	unseen = fhir.AsOutcome(err)
	_, err = w.subs.Events(t.Context(), other, Replay{ID: "nothing"})
	if missing = fhir.AsOutcome(err); unseen == nil || missing == nil || string(unseen.JSON()) != string(missing.JSON()) {
		t.Errorf("%v, %v: want no difference", unseen, missing)
	}
	if _, err := w.subs.Status(t.Context(), w.engine.For(other.Grant, interaction.Origin{}), []string{id}); fhir.AsOutcome(err) == nil {
		t.Error("another organisation is told the status")
	}
	body, err := w.subs.Status(t.Context(), s, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(body))
	if strings.Contains(string(body), "null") {
		t.Errorf("there is a null in %s", body)
	}
	for _, want := range []string{`"valueCode":"query-status"`, `"valueCode":"active"`, `"delivered-event-number","valueString":"3"`, `"type":"searchset"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
}

// A socket listens.
type socket struct {
	mu   sync.Mutex
	got  []Notification
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (w *world) listen(e *Engine, l Listening) *socket {
	ctx, cancel := context.WithCancel(w.t.Context())
	s := &socket{stop: cancel, done: make(chan struct{})}
	w.clock.busy(1)
	go func() {
		defer close(s.done)
		defer w.clock.busy(-1)
		s.err = e.Listen(ctx, l, func(n Notification) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.got = append(s.got, n)
			return nil
		})
	}()
	w.t.Cleanup(func() {
		cancel()
		<-s.done
	})
	return s
}

// text returns what was heard.
func (s *socket) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, n := range s.got {
		all = append(all, fmt.Sprintf("%s %s %d", n.Subscription, n.Kind, n.Number))
	}
	return strings.Join(all, ", ")
}

func (w *world) hears(s *socket, want string) {
	w.t.Helper()
	w.clock.until(w.t, "a websocket hears "+want, time.Minute, func() bool { return s.text() == want })
}

func TestListen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	load := newWorkload(w, 2)
	w.run(w.subs)
	g := reader("a", everything, "*")
	w.setGrant("holder a", g)
	s := w.engine.For(g, interaction.Origin{})
	body := sub{criteria: canonicalBase + "task-changed", channel: `"type":"websocket","payload":"application/fhir+json"`}
	done, err := s.Create(t.Context(), decode(t, body.json("s")))
	if err != nil {
		t.Fatal(err)
	}
	id := done.Key.ID
	w.is(id, active)
	w.put(`{"resourceType":"Organization","id":"a"}`)
	own := func(status string) {
		w.put(task("x", "consultation", status, `,"owner":{"reference":"Organization/a"}`))
	}
	own("requested")
	own("received")
	w.clock.pass(t, 5*time.Second)

	bind := func() string {
		t.Helper()
		b, err := w.subs.Bind(t.Context(), Caller{Grant: g}, []string{id})
		if err != nil {
			t.Fatal(err)
		}
		return b.Token
	}
	elsewhere := w.newEngine(func(*Config) {}) // that another server's websocket is at
	w.run(elsewhere)
	token := bind()
	now, again := w.listen(w.subs, Listening{Token: token, After: -1}), w.listen(elsewhere, Listening{Token: bind()})
	w.hears(now, id+" handshake 1")
	w.hears(again, id+" handshake 1, "+id+" event-notification 1")
	own("accepted")
	own("in-progress")
	load.burst(3) // which they do not see
	w.hears(now, id+" handshake 1, "+id+" event-notification 2, "+id+" event-notification 3")
	w.hears(again, id+" handshake 1, "+id+" event-notification 1, "+id+" event-notification 2, "+id+" event-notification 3")
	for _, n := range now.got {
		if !json.Valid(n.Body) {
			t.Errorf("%s", n.Body)
		}
		decode(t, string(n.Body))
	}

	// A token is good once, and for a moment.
	refused := func(what, token string) {
		t.Helper()
		err := w.subs.Listen(t.Context(), Listening{Token: token}, func(Notification) error { return errors.New("it was told something") })
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unauthorized {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("used", token)
	refused("unknown", "x")
	late := bind()
	w.clock.pass(t, 31*time.Second)
	refused("late", late)
	var kept int
	if err := w.db.QueryRow(`SELECT count(*) FROM subscription_binding WHERE hash = $1`, []byte(late)).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("the token itself is in the table: %d, %v", kept, err)
	}
	if _, err := w.subs.Bind(t.Context(), Caller{Grant: reader("b", everything, "*")}, []string{id}); fhir.AsOutcome(err) == nil {
		t.Error("another organisation may listen")
	}
	w.put(hook("h", "https://example.org/h"))
	if _, err := w.subs.Bind(t.Context(), Caller{Grant: local}, []string{"h"}); fhir.AsOutcome(err) == nil {
		t.Error("one may listen to a rest-hook")
	}

	// The end of the access ends it.
	w.end("holder a")
	own("on-hold")
	w.clock.until(t, "both sockets are closed", time.Minute, func() bool {
		for _, s := range []*socket{now, again} {
			select {
			case <-s.done:
			default:
				return false
			}
		}
		return true
	})
	if fhir.AsOutcome(now.err) == nil || strings.Contains(now.text(), "notification 4") {
		t.Errorf("%v after %s", now.err, now.text())
	}
}
