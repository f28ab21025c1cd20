package api

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method, path string
		want         class
	}{
		{"GET", "/fhir/metadata", light},
		{"OPTIONS", "/fhir/Patient", light},
		{"GET", "/fhir/Patient/a", reading},
		{"HEAD", "/fhir/Patient/a", reading},
		{"GET", "/fhir/Patient/a/_history/2", reading},
		{"GET", "/fhir/Patient", searching},
		{"GET", "/fhir/", searching},
		{"GET", "/fhir", searching},
		{"GET", "/fhir/Patient/_history", searching},
		{"GET", "/fhir/Patient/a/_history", searching},
		{"GET", "/fhir/Patient/a/Task", searching},
		{"GET", "/fhir/Patient/a/$everything", searching},
		{"GET", "/fhir/Patient/$everything", searching},
		{"GET", "/fhir/$changes", searching},
		{"POST", "/fhir/Patient/_search", searching},
		{"POST", "/fhir/_search", searching},
		{"POST", "/fhir/Patient", writing},
		{"PUT", "/fhir/Patient/a", writing},
		{"PATCH", "/fhir/Patient/a", writing},
		{"DELETE", "/fhir/Patient", writing},
		{"BREW", "/fhir/Patient/a", writing},
		{"POST", "/fhir", several},
		{"POST", "/fhir/", several},
		{"POST", "/fhir/Task/a/$identify", several},
		{"POST", "/fhir/$validate", several},
		{"GET", "/fhir/$export", lasting},
		{"POST", "/fhir/Group/g/$export", lasting},
		{"POST", "/fhir/$import", lasting},
		{"GET", "/fhir/$bulk/j/1.ndjson", lasting},
		{"DELETE", "/fhir/$bulk/j", lasting},
		{"GET", "", searching},
		{"GET", "/nothing", searching},
	} {
		if got := classOf(tt.method, tt.path); got != tt.want {
			t.Errorf("%s %s is %v, want %v", tt.method, tt.path, got, tt.want)
		}
	}
}

func from(host byte, says uint64, weight int64) *ticket {
	return &ticket{weight: weight, name: name{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, host}), 32), says}}
}

// noon is when the tests of queues begin.
func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

func TestQueueInOrder(t *testing.T) {
	t.Parallel()
	q := newQueue(4)
	whole, light, other := from(1, 1, 9), from(1, 1, 1), from(1, 1, 3)
	if v, _ := q.arrive(noon(), whole); v != admitted || whole.weight != 4 {
		t.Fatalf("what is heavier than all there is: %v, weight %d", v, whole.weight)
	}
	heavy := from(1, 1, 3)
	for _, w := range []*ticket{heavy, light} {
		if v, victim := q.arrive(noon(), w); v != waits || victim != nil || w.until != noon().Add(patience) {
			t.Fatalf("%v, %v, until %v", v, victim, w.until)
		}
	}
	if v, _ := q.arrive(noon(), other); v != refused {
		t.Fatalf("one more than may wait: %v", v)
	}
	if called := q.leave(whole); !slices.Equal(called, []*ticket{heavy, light}) {
		t.Errorf("called: %v", called)
	}
	late := from(1, 1, 1)
	if v, _ := q.arrive(noon().Add(busyFor/2), late); v != waits || late.until != noon().Add(busyFor/2+busyPatience) {
		t.Errorf("after a refusal: %v until %v", v, late.until)
	}
	if was, next := q.abandon(late); !was || next != nil {
		t.Errorf("abandoned: %v %v", was, next)
	}
	if was, _ := q.abandon(late); was {
		t.Error("abandoned twice")
	}
}

// TestQueueHeavyIsNotOvertaken makes sure that what is light does not keep out what is heavy.
func TestQueueHeavyIsNotOvertaken(t *testing.T) {
	t.Parallel()
	q := newQueue(4)
	first, second, heavy, light := from(1, 1, 2), from(1, 1, 2), from(1, 1, 3), from(1, 1, 1)
	for _, w := range []*ticket{first, second, heavy, light} {
		q.arrive(noon(), w)
	}
	if called := q.leave(first); called != nil {
		t.Fatalf("called: %v", called)
	}
	if called := q.leave(second); !slices.Equal(called, []*ticket{heavy, light}) {
		t.Errorf("called: %v", called)
	}
}

func TestQueueShares(t *testing.T) {
	t.Parallel()
	q := newQueue(4)
	var greedy []*ticket
	for range 8 {
		greedy = append(greedy, from(1, uint64(len(greedy)+1), 1)) // it says to be somebody else each time
		q.arrive(noon(), greedy[len(greedy)-1])
	}
	modest := from(2, 1, 1)
	v, victim := q.arrive(noon(), modest)
	if v != waits || victim != greedy[7] {
		t.Fatalf("the other client: %v, in favour of it %v is refused", v, victim)
	}
	if v, _ := q.arrive(noon(), from(1, 99, 1)); v != overshared {
		t.Errorf("who has nearly everything: %v", v)
	}
	if called := q.leave(greedy[0]); !slices.Equal(called, []*ticket{modest}) {
		t.Errorf("called: %v", called)
	}
	// Of one address those who say to be different share what it has.
	q = newQueue(2)
	a, b, again, c := from(1, 1, 1), from(1, 1, 1), from(1, 1, 1), from(1, 2, 1)
	for _, w := range []*ticket{a, b, again, c} {
		q.arrive(noon(), w)
	}
	if called := q.leave(a); !slices.Equal(called, []*ticket{c}) {
		t.Errorf("called: %v", called)
	}
}

// TestQueueKeepsAccount sends queues whatever may come and counts along.
func TestQueueKeepsAccount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 12).Draw(t, "limit")
		q, now := newQueue(limit), noon()
		in, out := map[*ticket]bool{}, map[*ticket]bool{} // served, waiting
		arrived := []*ticket{}
		went := func(called []*ticket) {
			for _, w := range called {
				if !out[w] {
					t.Fatal("called who does not wait")
				}
				delete(out, w)
				in[w] = true
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "later")) * time.Millisecond)
			var w *ticket
			if len(arrived) > 0 {
				w = arrived[rapid.IntRange(0, len(arrived)-1).Draw(t, "who")]
			}
			switch {
			case w != nil && in[w] && rapid.Bool().Draw(t, "leaves"):
				delete(in, w)
				went(q.leave(w))
			case w != nil && out[w] && rapid.Bool().Draw(t, "gives up"):
				was, next := q.abandon(w)
				if delete(out, w); !was {
					t.Fatal("who waits was not there")
				}
				went(next)
			default:
				w = from(byte(rapid.IntRange(1, 3).Draw(t, "host")), uint64(rapid.IntRange(1, 2).Draw(t, "says")), rapid.Int64Range(1, 5).Draw(t, "weight"))
				arrived = append(arrived, w)
				v, victim := q.arrive(now, w)
				if victim != nil && (!out[victim] || v != waits) {
					t.Fatalf("refused who does not wait, or for nothing: %v", v)
				}
				delete(out, victim)
				in[w], out[w] = v == admitted, v == waits
				if !in[w] {
					delete(in, w)
				}
				if !out[w] {
					delete(out, w)
				}
			}
			checkAccount(t, &q, in, out)
		}
	})
}

func checkAccount(t *rapid.T, q *queue, in, out map[*ticket]bool) {
	held, waiting := int64(0), int64(0)
	clients := map[name]int64{}
	for w := range in {
		held += w.weight
		clients[w.name] += w.weight
		clients[name{from: w.name.from}] += w.weight
	}
	for w := range out {
		waiting += w.weight
		clients[w.name] += w.weight
		clients[name{from: w.name.from}] += w.weight
	}
	if q.used != held || held > q.limit || q.weight != waiting || waiting > q.limit || len(q.waiting) != len(out) {
		t.Fatalf("used %d of %d, want %d; waiting %d, want %d", q.used, q.limit, held, q.weight, waiting)
	}
	if len(out) > 0 && held == 0 {
		t.Fatal("somebody waits for nothing")
	}
	if len(q.clients) != len(clients) {
		t.Fatalf("%d clients are remembered, %d have something", len(q.clients), len(clients))
	}
	for n, has := range clients {
		if q.clients[n] == nil || q.clients[n].has() != has {
			t.Fatalf("%v has %+v, want %d", n, q.clients[n], has)
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate(1)
	first, second := from(1, 1, 1), from(1, 1, 1)
	if v := g.enter(t.Context(), first); v != admitted {
		t.Fatal(v)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if v := g.enter(gone, from(1, 1, 1)); v != refused {
		t.Errorf("who went away: %v", v)
	}
	entered := make(chan verdict, 1)
	go func() { entered <- g.enter(t.Context(), second) }()
	g.leave(first)
	if v := <-entered; v != admitted {
		t.Fatalf("the next: %v", v)
	}
	s := newSeat(g, second)
	s.yield()
	third := from(1, 1, 1)
	if v := g.enter(t.Context(), third); v != admitted {
		t.Fatalf("while the other waits for something: %v", v)
	}
	if err := s.resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.end()
	s.end()
	newSeat(g, third).end()
	if !g.back.TryAcquire(1) || g.queue.used != 0 || len(g.queue.clients) != 0 {
		t.Errorf("not all was given back: %+v", &g.queue)
	}
}

// TestSeatOfLong makes sure that a long request does not keep others out, and that there
// are only so many of them.
func TestSeatOfLong(t *testing.T) {
	t.Parallel()
	g := newGate(1)
	enter := func() *seat {
		k := from(1, 1, 1)
		if v := g.enter(t.Context(), k); v != admitted {
			t.Fatal(v)
		}
		return newSeat(g, k)
	}
	first := enter()
	first.lasts()
	second := enter()
	second.lasts() // there is one long one already
	if g.queue.used != 1 {
		t.Errorf("%d are in, want 1", g.queue.used)
	}
	first.end()
	second.end()
	if g.queue.used != 0 || !g.long.TryAcquire(1) {
		t.Error("not all was given back")
	}
	second.lasts()
	if err := second.resume(t.Context()); err != nil || g.queue.used != 0 {
		t.Errorf("after its end it has something: %v", err)
	}
	var none *seat
	none.yield()
	none.end()
	if err := none.resume(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRefusedWhenGone refuses also whose context is done: what nobody writes is a success to
// net/http.
func TestRefusedWhenGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := newExit(1)
	for range 20 {
		written := false
		if e.write(ctx, func() { written = true }); !written {
			t.Fatal("a refusal was not written")
		}
	}
	func() {
		defer func() { _ = recover() }()
		e.write(t.Context(), func() { panic("the caller has gone") })
	}()
	if len(e) != 1 {
		t.Error("a refusal that was broken off keeps its place")
	}
}
