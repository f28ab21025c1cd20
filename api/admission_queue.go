package api

import (
	"net/netip"
	"slices"
	"time"
)

// How long requests wait for their turn.
const (
	patience     = time.Second           // when there is room to wait, which a burst or a moment's stall fills in part
	busyPatience = 40 * time.Millisecond // while others are refused: who cannot be served soon is told so soon
	busyFor      = time.Second           // after a refusal it counts as busy
)

// A verdict is what becomes of a request that arrives.
type verdict uint8

const (
	refused    verdict = iota // the server has too much to do
	overshared                // this client has too much done already, and others want their share
	admitted
	waits
)

// A queue decides who is served and who waits. It has room for a weight. It knows neither
// clocks nor goroutines: the time comes in, who goes on comes out.
//
// What arrives waits if there is no room, but no more than is served. Of those who wait the client goes on that has the
// least room, and of its requests the first. When no more can wait either, the last of the
// client that has most is refused.
type queue struct {
	limit     int64
	used      int64
	waiting   []*ticket // in the order in which they came
	weight    int64     // of those
	clients   map[name]*client
	busyUntil time.Time
}

// A name stands for a client: where it sends from, and what it says to be. What it says
// counts only among those who have the same address, since anybody can say anything.
type name struct {
	from netip.Prefix
	says uint64 // 0 stands for all from there
}

// A client is what the requests of one client have of a queue.
type client struct {
	name    name
	held    int64
	waiting int64
}

// has returns the weight of all its requests.
func (c *client) has() int64 { return c.held + c.waiting }

// A ticket is one request in a queue.
type ticket struct {
	weight  int64
	name    name         // whose it is
	clients [2]*client   // all from there, and this one
	until   time.Time    // when it has waited long enough
	called  chan verdict // gets one of admitted and overshared when its wait is over; of a capacity of one
}

func newQueue(limit int64) queue {
	return queue{limit: limit, clients: map[name]*client{}}
}

// arrive says what becomes of a request, and which other is refused in its favour, if any.
func (q *queue) arrive(now time.Time, t *ticket) (verdict, *ticket) {
	t.weight = min(t.weight, q.limit) // what is heavier than all there is takes all
	q.enrol(t)
	if len(q.waiting) == 0 && q.used+t.weight <= q.limit {
		q.hold(t)
		return admitted, nil
	}
	var victim *ticket
	if q.weight+t.weight > q.limit {
		q.busyUntil = now.Add(busyFor)
		if victim = q.victim(t); victim == nil {
			v := q.refusal(t)
			q.dismiss(t)
			return v, nil
		}
		q.remove(slices.Index(q.waiting, victim))
		q.dismiss(victim)
	}
	t.until = now.Add(patience)
	if now.Before(q.busyUntil) {
		t.until = now.Add(busyPatience)
	}
	q.weight += t.weight
	for _, c := range t.clients {
		c.waiting += t.weight
	}
	q.waiting = append(q.waiting, t)
	return waits, victim
}

// victim returns who is to be refused in favour of t: the last of the client that has most,
// if that is more than t's would have then. Otherwise it is nil.
func (q *queue) victim(t *ticket) *ticket {
	var victim *ticket
	for _, other := range q.waiting {
		if other.weight < t.weight {
			continue // it would not make room enough
		}
		if victim == nil || victim.clients[0].has() <= other.clients[0].has() {
			victim = other
		}
	}
	if victim == nil || victim.clients[0].has()-victim.weight < t.clients[0].has()+t.weight {
		return nil
	}
	return victim
}

// refusal says why t is refused: for half as much again as its share, or for no fault of its own.
func (q *queue) refusal(t *ticket) verdict {
	clients := int64(0)
	for n := range q.clients {
		if n.says == 0 {
			clients++
		}
	}
	if clients > 1 && 2*t.clients[0].has()*clients > 3*(q.used+q.weight) {
		return overshared
	}
	return refused
}

// leave gives the room of t back and returns who goes on.
func (q *queue) leave(t *ticket) []*ticket {
	q.used -= t.weight
	for _, c := range t.clients {
		c.held -= t.weight
	}
	q.dismiss(t)
	return q.call()
}

// abandon takes t out of those who wait, and reports whether it was among them. The others
// of the result go on, since it is gone.
func (q *queue) abandon(t *ticket) (bool, []*ticket) {
	i := slices.Index(q.waiting, t)
	if i < 0 {
		return false, nil
	}
	q.remove(i)
	q.dismiss(t)
	return true, q.call()
}

// call has those go on who are next and have room.
func (q *queue) call() []*ticket {
	var called []*ticket
	for len(q.waiting) > 0 {
		i := q.next()
		t := q.waiting[i]
		if q.used+t.weight > q.limit {
			return called // what is light must not go before it for ever
		}
		q.remove(i)
		q.hold(t)
		called = append(called, t)
	}
	return called
}

// next returns the place of who is next.
func (q *queue) next() int {
	best := 0
	for i, t := range q.waiting[1:] {
		b := q.waiting[best]
		if t.clients[0].held < b.clients[0].held || t.clients[0] == b.clients[0] && t.clients[1].held < b.clients[1].held {
			best = i + 1
		}
	}
	return best
}

func (q *queue) hold(t *ticket) {
	q.used += t.weight
	for _, c := range t.clients {
		c.held += t.weight
	}
}

func (q *queue) remove(i int) {
	q.weight -= q.waiting[i].weight
	for _, c := range q.waiting[i].clients {
		c.waiting -= q.waiting[i].weight
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
}

// enrol counts the client of t in.
func (q *queue) enrol(t *ticket) {
	for i, n := range [...]name{{from: t.name.from}, t.name} {
		c := q.clients[n]
		if c == nil {
			c = &client{name: n}
			q.clients[n] = c
		}
		t.clients[i] = c
	}
}

// dismiss forgets the client of t if it has nothing more here.
func (q *queue) dismiss(t *ticket) {
	for _, c := range t.clients {
		if c.held == 0 && c.waiting == 0 {
			delete(q.clients, c.name)
		}
	}
}
