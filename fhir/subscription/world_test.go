package subscription

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/migrations/pgtest"
)

const base = "https://fhir.example.org/fhir"

// A world is a server with subscriptions, of which there may be several engines.
type world struct {
	t       testing.TB
	clock   *virtual
	db      *pgtest.Database
	store   *store.DB
	engine  *interaction.Engine
	subs    *Engine // that checks writes
	trusted *interaction.Session

	mu     sync.Mutex
	grants map[string]access.Grant // by holder; who is missing has ended
	broken error                   // of making any grant
}

// local is the holder of the trusted session.
var local = access.Trusted("test")

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: newVirtual(t), db: pgtest.New(t)}
	w.grants = map[string]access.Grant{local.Terms().Holder: local}
	var err error
	w.store, err = store.Open(t.Context(), store.Config{DSN: w.db.DSN, Conns: 8, Unsafe: true, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	w.engine = interaction.New(interaction.Config{Store: w.store, Now: w.clock.Now, Subscribe: func(ctx context.Context, s interaction.Subscribing) (*fhir.Resource, error) {
		return w.subs.Check(ctx, s)
	}})
	w.subs = w.newEngine(func(*Config) {})
	w.trusted = w.engine.For(local, interaction.Origin{})
	return w
}

func (w *world) grant(_ context.Context, holder string) (access.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return access.Grant{}, w.broken
	}
	g, ok := w.grants[holder]
	if !ok {
		return access.Grant{}, fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "It has ended.")
	}
	return g, nil
}

func (w *world) setGrant(holder string, g access.Grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.grants[holder] = g
}

func (w *world) end(holder string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.grants, holder)
}

// newEngine returns an Engine that may call this machine.
func (w *world) newEngine(change func(*Config)) *Engine {
	w.t.Helper()
	c := Config{
		Store: w.store, Engine: w.engine, DSN: w.db.DSN, Base: base, Grants: w.grant, Clock: w.clock, Node: "test", HTTP: insecure(),
		Refuses: func(endpoint string) error {
			if !strings.HasPrefix(endpoint, "https://") {
				return errNotHTTPS
			}
			return nil
		},
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
	change(&c)
	e, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	e.busy = w.clock.busy
	w.t.Cleanup(func() { e.Close() })
	return e
}

// insecure returns a client that takes the certificates of tests.
func insecure() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 30 * time.Second}
}

// run runs an engine until it is stopped or the test ends.
func (w *world) run(e *Engine) (stop func()) {
	// Until it is counted, the clock would go on without it.
	defer w.clock.hold()()
	ctx, cancel := context.WithCancel(w.t.Context())
	done, begun := make(chan struct{}), make(chan struct{})
	var loops atomic.Int32
	e.busy = func(n int) {
		if w.clock.busy(n); n > 0 && loops.Add(1) == 3 {
			close(begun)
		}
	}
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	<-begun
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			<-done
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// follow matches all that is new.
func (w *world) follow(e *Engine) {
	w.t.Helper()
	if !w.catchUp(e.follower()) {
		w.t.Fatal("not all is matched")
	}
}

// catchUp has a follower run until there is nothing left to do, or it cannot go on, and reports
// which.
func (w *world) catchUp(f store.Follower) (done bool) {
	ctx, stop := context.WithCancel(w.t.Context())
	rest := f.Rest
	f.Rest = func(ctx context.Context) error {
		done = true
		return rest(ctx)
	}
	f.Wait = func(context.Context, time.Duration, <-chan struct{}) { stop() }
	f.Run(ctx)
	return done
}

// kill stops an engine that leaves everything as it was at that moment.
func (w *world) kill(e *Engine, stop func()) {
	e.crashed.Store(true)
	stop()
}

func decode(t testing.TB, body string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Decode("", []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

// put stores a resource as the operator.
func (w *world) put(body string) store.Version { return w.putAs(w.trusted, body) }

func (w *world) putAs(s *interaction.Session, body string) store.Version {
	w.t.Helper()
	r := decode(w.t, body)
	done, err := s.Update(w.t.Context(), r.ID(), r, store.Anything)
	if err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	return done.Version
}

// status returns the status of a Subscription and what is wrong with it.
func (w *world) status(id string) (status, why string) {
	w.t.Helper()
	v, err := w.store.ReadContent(w.t.Context(), fhir.Key{Type: "Subscription", ID: id})
	if err != nil || v == nil {
		w.t.Fatalf("read Subscription/%s: %v", id, err)
	}
	if v.Deleted() {
		return "deleted", ""
	}
	n := decode(w.t, string(v.Stored)).Root()
	return n.Child("status").Text(), n.Child("error").Text()
}

// is waits for the status of a Subscription.
func (w *world) is(id, want string) {
	w.t.Helper()
	w.clock.until(w.t, id+" is "+want, 10*time.Minute, func() bool {
		got, _ := w.status(id)
		return got == want
	})
}

// An endpoint receives notifications.
type endpoint struct {
	*httptest.Server
	clock *virtual

	fails atomic.Bool  // answers with 503
	takes atomic.Int64 // how long, as a time.Duration

	mu       sync.Mutex
	got      []received
	tries    int // with those that failed
	now      map[string]int
	overlaps int // of two about one subscription
	most     int // under way at once
}

// received is one notification that was accepted.
type received struct {
	method, path string
	header       http.Header
	body         []byte
	at           time.Time
	kind         string
	numbers      []int64
	focus        []string
}

func (w *world) endpoint() *endpoint {
	e := &endpoint{clock: w.clock, now: map[string]int{}}
	e.Server = httptest.NewUnstartedServer(e)
	e.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	e.StartTLS()
	w.t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	x := received{method: r.Method, path: r.URL.Path, header: r.Header, body: body, at: e.clock.Now()}
	x.read()
	e.enter(x.path, 1)
	if d := time.Duration(e.takes.Load()); d > 0 {
		e.clock.Wait(r.Context(), d, nil)
	}
	e.enter(x.path, -1)
	if e.fails.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, x)
}

// enter counts what is under way on a path, of which each subscription has its own.
func (e *endpoint) enter(path string, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now[path] += n; e.now[path] > 1 {
		e.overlaps++
	}
	sum := 0
	for _, n := range e.now {
		sum += n
	}
	e.most = max(e.most, sum)
	if n > 0 {
		e.tries++
	}
}

func (x *received) read() {
	var b struct {
		Entry []struct {
			Resource struct {
				Parameter []parameter
			}
		}
	}
	if json.Unmarshal(x.body, &b) != nil || len(b.Entry) == 0 {
		return
	}
	for _, p := range b.Entry[0].Resource.Parameter {
		switch p.Name {
		case "type":
			x.kind = p.Code
		case "notification-event":
			focus := ""
			for _, part := range p.Part {
				switch part.Name {
				case "event-number":
					n, _ := strconv.ParseInt(part.String, 10, 64)
					x.numbers = append(x.numbers, n)
				case "focus":
					focus = part.Reference.Reference
				}
			}
			x.focus = append(x.focus, focus)
		}
	}
}

// events returns the notifications of events on a path.
func (e *endpoint) events(path string) []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []received
	for _, x := range e.got {
		if x.path == path && x.kind == "event-notification" {
			all = append(all, x)
		}
	}
	return all
}

func (e *endpoint) all() []received {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]received{}, e.got...)
}

// follows fails the test unless the events on a path are 1 to n in order, those that
// came again with the id of before, and returns how many came again.
func (e *endpoint) follows(t *testing.T, path string, n int64) (again int) {
	t.Helper()
	ids := map[string]int64{}
	next := int64(1)
	for _, x := range e.events(path) {
		id := x.header.Get(deliveryHeader)
		if at, ok := ids[id]; ok {
			if at != x.numbers[0] {
				t.Fatalf("%s: one delivery id for the events %d and %d", path, at, x.numbers[0])
			}
			if again++; at != next-1 {
				t.Fatalf("%s: event %d again after %d", path, at, next-1)
			}
			continue
		}
		ids[id] = x.numbers[0]
		for _, got := range x.numbers {
			if got != next {
				t.Fatalf("%s: event %d, want %d", path, got, next)
			}
			next++
		}
		if got := x.header.Get(numberHeader); got != fmt.Sprint(next-1) {
			t.Fatalf("%s: %s is %s, want %d", path, numberHeader, got, next-1)
		}
	}
	if next != n+1 {
		t.Fatalf("%s: %d events, want %d", path, next-1, n)
	}
	if e.overlaps > 0 {
		t.Errorf("%s: %d times two notifications were under way at once", path, e.overlaps)
	}
	return again
}

// hook returns a Subscription to the topic task-changed, by rest-hook.
func hook(id, url string, more ...string) string {
	return fmt.Sprintf(`{"resourceType":"Subscription","id":%q,"status":"requested","reason":"test","criteria":%q,
		"channel":{"type":"rest-hook","endpoint":%q,"payload":"application/fhir+json"%s}}`, id, canonicalBase+"task-changed", url, strings.Join(more, ""))
}

// task returns a Task of one of our kinds.
func task(id, kind, status string, more ...string) string {
	return fmt.Sprintf(`{"resourceType":"Task","id":%q,"status":%q,"intent":"order","code":{"coding":[{"system":%q,"code":%q}]}%s}`,
		id, status, strings.TrimSuffix(kinds, "|"), kind, strings.Join(more, ""))
}
