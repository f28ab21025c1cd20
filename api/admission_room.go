package api

import (
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The gates of what takes no turns of the database's: so many requests at a time.
const (
	maxLight   = 64
	maxLasting = 256
)

// gates are those of a server.
type gates struct {
	light, reads, others, bulk *gate
	exit                       exit
	seed                       maphash.Seed
}

// perConn is how many requests are let in for each connection of the database: enough for
// all to be at work while some requests are read and answered, and so few that they wait
// for one another about as long as the slowest takes alone.
const perConn = 4

// newGates returns the gates before a database with so many connections; 0 is four for
// each core. Reads by id have as much room as everything else has, so that nothing else
// keeps them out.
func newGates(conns int) *gates {
	if conns == 0 {
		conns = 4 * runtime.GOMAXPROCS(0)
	}
	room := perConn * int64(conns)
	return &gates{
		light: newGate(maxLight), reads: newGate(room * reading.weight()), others: newGate(room * searching.weight()), bulk: newGate(maxLasting),
		exit: newExit(heavySlots()),
		seed: maphash.MakeSeed(),
	}
}

func (g *gates) of(c class) *gate {
	switch c {
	case light:
		return g.light
	case reading:
		return g.reads
	case lasting:
		return g.bulk
	}
	return g.others
}

// ticket returns that of a request from an address.
func (g *gates) ticket(r *http.Request, from netip.Addr, c class) *ticket {
	// What says nothing is somebody, too.
	return &ticket{weight: c.weight(), name: name{network(from), maphash.String(g.seed, r.Header.Get("Authorization")) | 1}}
}

// network returns what of an address stands for one client: the first half of one of
// IPv6, whose other half anybody can choose. An address that is not known is nobody's.
func network(from netip.Addr) netip.Prefix {
	bits := 32
	if from.Is6() {
		bits = 64
	}
	// Of no address there is no part.
	part, _ := from.Prefix(bits)
	return part
}

// admit lets a request in and returns its seat, or answers that there is none.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) *seat {
	n := noteOf(r)
	n.asked, n.class = true, classOf(r.Method, r.URL.Path)
	g := s.gates.of(n.class)
	t := s.gates.ticket(r, s.config.Proxies.Address(r), n.class)
	began := time.Now()
	n.verdict = g.enter(r.Context(), t)
	n.waited = time.Since(began)
	if n.verdict == admitted {
		return newSeat(g, t)
	}
	s.refuse(w, r, n.verdict)
	return nil
}

// What who is not let in is told, written once: under a flood that is most of the answers.
var (
	busyOutcome  = fhir.Errorf(fhir.Unavailable, fhir.Throttled, "", "The server is busy, nothing was stored; send the request again later.").JSON()
	shareOutcome = fhir.Errorf(fhir.Busy, fhir.Throttled, "", "You have more under way than your share while others wait, nothing was stored; send the request again later, and fewer at a time.").JSON()
)

// refuse answers a request for which nothing was done.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v verdict) {
	h := w.Header()
	answerHeaders(h)
	h.Set("Content-Type", jsonType)
	h.Set("Retry-After", retryAfter())
	status, text := http.StatusServiceUnavailable, busyOutcome
	if v == overshared {
		status, text = http.StatusTooManyRequests, shareOutcome
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	s.gates.exit.write(r.Context(), func() {
		w.WriteHeader(status)
		// The caller may be gone, and there is nobody else to tell.
		_, _ = w.Write(text)
		_ = http.NewResponseController(w).Flush()
	})
}

// retryAfter returns the seconds after which to come again, different ones for those who
// are refused together.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(5)) }
