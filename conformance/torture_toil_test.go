package conformance_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The ways of requests.
const (
	byFront = iota // to the server that is killed
	byBack         // to the one that lives through everything
)

// A tortureLog is what all clients of a run know together.
type tortureLog struct {
	began time.Time
	gate  sync.RWMutex // held for reading during each operation, for writing by who wants quiet
	stop  chan struct{}

	mu       sync.Mutex
	efforts  []effort
	newest   [2]time.Duration // when the newest acknowledged write by each way was sent
	answers  map[string]int   // by status, or by what came in place of one
	requests int
}

func newTortureLog() *tortureLog {
	return &tortureLog{began: time.Now(), stop: make(chan struct{}), answers: map[string]int{}}
}

func (l *tortureLog) now() time.Duration { return time.Since(l.began) }

// note keeps what became of operations that went one way.
func (l *tortureLog) note(way int, all ...effort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.efforts = append(l.efforts, all...)
	for _, e := range all {
		if e.writes() && e.fate == stored {
			l.newest[way] = max(l.newest[way], e.sent)
		}
	}
}

func (l *tortureLog) counted(answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[answer]++
	l.requests++
}

// wroteSince reports whether a write that was sent after a time was acknowledged, by
// each way.
func (l *tortureLog) wroteSince(when time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest[byFront] > when && l.newest[byBack] > when
}

// recent returns the last acknowledged versions that have been put, at most n.
func (l *tortureLog) recent(n int) (some []effort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.efforts) - 1; i >= 0 && len(some) < n; i-- {
		if e := l.efforts[i]; e.op == putting && e.fate == stored {
			some = append(some, e)
		}
	}
	return some
}

// ended reports whether the run is over.
func (l *tortureLog) ended() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// rest waits, but not longer than the run.
func (l *tortureLog) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.stop:
	case <-timer.C:
	}
}

// A toiler is one client of a run.
type toiler struct {
	*tortureLog
	*rand.Rand
	*rig
	name   string
	way    int
	passes *passes
	plots  *plots
	client *http.Client
	n      int
}

// requestTime is how long a client waits for an answer.
const requestTime = 20 * time.Second

func newToiler(o *ordeal, name string, way int) *toiler {
	lot := uint64(0)
	for _, c := range name {
		lot = lot*131 + uint64(c)
	}
	return &toiler{o.tortureLog, rand.New(rand.NewPCG(o.seed, lot)), o.rig, name, way, o.passes, o.plots, o.passes.client("system"), 0}
}

// run does something again and again until the run ends.
func (w *toiler) run(pace time.Duration, do func()) {
	defer w.client.CloseIdleConnections()
	for !w.ended() {
		w.gate.RLock()
		do()
		w.gate.RUnlock()
		w.rest(pace/2 + w.N(pace))
	}
}

func (w *toiler) N(d time.Duration) time.Duration { return time.Duration(w.Int64N(int64(d))) }

// base is where w sends its requests.
func (w *toiler) base() string {
	way := w.toFront
	if w.way == byBack {
		way = w.toBack
	}
	return "http://" + way.address() + "/fhir"
}

// ask sends a request and sorts what comes back.
func (w *toiler) ask(r request) (exchange, fate) {
	x, err := r.send(w.client, w.base())
	if err != nil {
		if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
			w.counted("no connection")
			return x, refused
		}
		w.counted("no answer")
		return exchange{}, doubtful
	}
	w.counted(strconv.Itoa(x.status))
	switch x.status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return x, stored
	case http.StatusNotFound, http.StatusGone:
		if r.method == http.MethodGet {
			return x, stored
		}
		// The version that it names is not there any more.
		x.status = http.StatusPreconditionFailed
		return x, refused
	case http.StatusPreconditionFailed, http.StatusUnauthorized, http.StatusTooManyRequests:
		return x, refused
	case http.StatusServiceUnavailable:
		return x, unavailable(w.t, x.header, []byte(x.answer))
	}
	w.t.Errorf("%s: an unexpected answer\n%s", w.name, x)
	return x, doubtful
}

// recover waits, after something went wrong, until w is answered again: who goes on
// all the same would only collect more that is in doubt.
func (w *toiler) recover() {
	for !w.ended() {
		w.rest(50*time.Millisecond + w.N(100*time.Millisecond))
		if x, _ := w.ask(request{method: http.MethodGet, path: "/fhir/Patient/ada"}); x.status == http.StatusOK {
			return
		}
	}
}

// marker is one that nobody else uses.
func (w *toiler) marker() string {
	w.n++
	return fmt.Sprintf("%s-%d", w.name, w.n)
}

// tortured writes a resource. Labels are its marker and what else is to be found in it.
func tortured(typ, id, group string, labels ...[2]string) string {
	more := map[string]string{
		"Communication": `"status":"completed","payload":[{"contentString":"Torture"}]`,
		"Observation":   `"status":"final","code":{"text":"Torture"},"valueQuantity":{"value":1.50,"unit":"x"}`,
		"Basic":         `"code":{"text":"Torture"}`,
	}[typ]
	if id != "" {
		id = fmt.Sprintf(`"id":%q,`, id)
	}
	var all strings.Builder
	for _, l := range append(labels, [2]string{"group", group}) {
		if l[1] != "" {
			fmt.Fprintf(&all, `,{"system":"urn:%s","value":%q}`, l[0], l[1])
		}
	}
	return fmt.Sprintf(`{"resourceType":%q,%s"identifier":[%s],%s}`, typ, id, all.String()[1:], more)
}

// A plot is a resource that writers change in turn.
type plot struct {
	key, group string
	version    int // that is known
	gone       bool
}

// plots are those that are in use, in groups of one type.
type plots struct {
	mu    sync.Mutex
	all   []*plot
	uses  int
	first int // group in use
}

// plotTypes are kinds with tables of their own, and one without.
var plotTypes = []string{"Communication", "Observation", "Basic"}

const (
	plotGroup = 5   // resources in a group
	plotWidth = 3   // groups in use at once
	plotUses  = 260 // operations after which the oldest group gives way to a new one
)

// pick returns one at random, as it is known to be.
func (p *plots) pick(r *rand.Rand) plot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uses%plotUses == 0 || len(p.all) == 0 {
		if len(p.all) >= plotGroup*plotWidth {
			p.all = p.all[plotGroup:]
		}
		for len(p.all) < plotGroup*plotWidth {
			p.add()
		}
	}
	p.uses++
	return *p.all[r.IntN(len(p.all))]
}

func (p *plots) add() {
	typ, group := plotTypes[p.first%len(plotTypes)], fmt.Sprintf("group-%d", p.first)
	for i := range plotGroup {
		p.all = append(p.all, &plot{key: fmt.Sprintf("%s/plot-%d-%d", typ, p.first, i), group: group, gone: true})
	}
	p.first++
}

// learn keeps what an answer told of a plot.
func (p *plots) learn(key string, version int, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		if one.key == key && version >= one.version {
			one.version, one.gone = version, gone
		}
	}
}

// versionIn reads the version in an ETag, 0 if there is none.
func versionIn(h http.Header) (version int) {
	// Without one there is none.
	_, _ = fmt.Sscanf(h.Get("ETag"), `W/"%d"`, &version)
	return version
}

// keyIn reads Type/id in a Location.
func keyIn(location string) string {
	if _, path, ok := strings.Cut(location, "/fhir/"); ok {
		location = path
	}
	key, _, _ := strings.Cut(location, "/_history/")
	return key
}

// labelIn returns the identifier of a resource in one of the systems of [tortured].
func labelIn(resource json.RawMessage, system string) string {
	var r struct{ Identifier json.RawMessage }
	var all []struct{ System, Value string }
	if json.Unmarshal(resource, &r) != nil || json.Unmarshal(r.Identifier, &all) != nil {
		return "" // those of some types are no list
	}
	for _, i := range all {
		if i.System == "urn:"+system {
			return i.Value
		}
	}
	return ""
}
