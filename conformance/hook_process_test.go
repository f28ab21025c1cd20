package conformance_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// nearby is by what clients know the servers of these tests: they are on one machine,
// and may call receivers there.
const nearby = "http://localhost:1/fhir"

// A fleet is servers that share a database.
type fleet struct {
	t       *testing.T
	program string
	dsn     string
	servers []atomic.Pointer[process]
}

// newFleet builds the program; no server runs yet.
func newFleet(t *testing.T, servers int) *fleet {
	t.Helper()
	return &fleet{t: t, program: build(t), dsn: testDSN(t), servers: make([]atomic.Pointer[process], servers)}
}

// serve starts a server.
func (f *fleet) serve(i int) {
	f.t.Helper()
	f.servers[i].Store(launch(f.t, f.program, "--dsn="+f.dsn, "--base-url="+nearby, "--unsafe"))
}

func (f *fleet) base(i int) string { return f.servers[i].Load().base }

// put stores a resource by whichever server answers.
func (f *fleet) put(key, body string) {
	f.t.Helper()
	i := 0
	await(f.t, key+" is stored", func() bool {
		i++
		x, err := request{method: "PUT", path: "/fhir/" + key, body: body}.send(http.DefaultClient, f.base(i%len(f.servers)))
		if err == nil && x.status >= 400 && x.status < 500 {
			f.t.Errorf("PUT %s\n%s", key, x)
		}
		return err == nil && x.status < 500
	})
}

// message is one to the patient.
func message(n int) (key, body string) {
	id := fmt.Sprintf("m%03d", n)
	return "Communication/" + id, fmt.Sprintf(`{"resourceType":"Communication","id":%q,"status":"completed","recipient":[{"reference":"Patient/ada"}],"payload":[{"contentString":"Message %d"}]}`, id, n)
}

// messages returns the keys of the first n.
func messages(n int) (all []string) {
	for i := range n {
		key, _ := message(i)
		all = append(all, key)
	}
	return all
}

// takeover is how long another server may need to go on with what a killed one has
// left. The rest is for a machine that has other things to do.
const takeover = 10 * time.Second

// TestHookServerKilled kills the server that has all subscriptions while it delivers:
// another goes on soon, nothing is lost or in disorder, and what comes twice has the
// same id.
func TestHookServerKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.serve(0)
	var held, release = make(chan struct{}), make(chan struct{})
	var hang atomic.Bool
	h := newHook(t, nearby, func() int {
		if hang.CompareAndSwap(true, false) {
			close(held)
			<-release
		}
		return 0
	})
	id := subscribing{criteria: "message-received", content: "id-only", endpoint: h.URL}.subscribe(t, f.base(0), "")
	f.write(0, 0, 5)
	h.awaitEvents(5)
	f.serve(1)
	hang.Store(true)
	f.write(0, 5, 10)
	<-held
	f.servers[0].Load().kill()
	began := time.Now()
	f.write(1, 10, 20)
	close(release)
	got := foci(h.awaitEvents(20))
	took := time.Since(began)
	if !slices.Equal(got, messages(20)) {
		t.Errorf("it is told of %v", got)
	}
	if took > takeover {
		t.Errorf("the other server went on after %v", took)
	}
	if a := askAt(t, f.base(1), "", "GET Subscription/"+id+"/$status", ""); !strings.Contains(a.body, `"active"`) || strings.Contains(a.body, "failed-attempts") {
		t.Errorf("its status is %s", a.body)
	}
	ids := map[string]int{}
	for _, d := range h.deliveries() {
		ids[d.id()]++
	}
	t.Logf("the other server had delivered everything %v after the kill; %d requests for %d notifications", took.Round(time.Millisecond), len(h.deliveries()), len(ids))
}

// write stores the messages from one number up to another by one server.
func (f *fleet) write(server, from, to int) {
	f.t.Helper()
	for n := from; n < to; n++ {
		key, body := message(n)
		put(f.t, f.base(server), "", key, body)
	}
}

// TestHookKilledAgainAndAgain kills one of two servers five times while 300 messages
// are written, and the receiver is down for a part of that: it gets all of them in
// order, and so does another one that is always there.
func TestHookKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	total, kills := 300, 5
	if testing.Short() {
		total, kills = 60, 1
	}
	f := newFleet(t, 2)
	f.serve(0)
	var at, refused atomic.Int64
	failing, healthy := newHook(t, nearby, func() int {
		if at.Load() > int64(total/5) && refused.Add(1) <= 3 {
			return http.StatusBadGateway
		}
		return 0
	}), newHook(t, nearby, nil)
	for _, h := range []*hook{failing, healthy} {
		subscribing{criteria: "message-received", content: "id-only", endpoint: h.URL, most: 10}.subscribe(t, f.base(0), "")
	}
	f.serve(1)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := range total {
			f.put(message(n))
			at.Store(int64(n))
			// Deliveries and kills fall together only if writing does not run away from them.
			await(t, "deliveries", func() bool { return len(healthy.events())+total/2 > n })
		}
	}()
	for i := range kills {
		if !await(t, "messages are written", func() bool { return at.Load() >= int64((i+1)*total/(kills+1)) }) {
			break
		}
		f.servers[i%2].Load().kill()
		f.serve(i % 2)
	}
	<-written
	ended := time.Now()
	for name, h := range map[string]*hook{"failing": failing, "healthy": healthy} {
		if got := foci(h.awaitEvents(total)); !slices.Equal(got, messages(total)) {
			t.Errorf("%s is told of %v", name, got)
		}
	}
	if refused.Load() < 3 {
		t.Errorf("the receiver that was down refused %d times", refused.Load())
	}
	ids := map[string]int{}
	for _, d := range healthy.deliveries() {
		ids[d.id()]++
	}
	t.Logf("%d messages, %d kills; all was delivered %v after the last write; the healthy receiver got %d requests for %d notifications, the other %d requests, of which it refused 3",
		total, kills, time.Since(ended).Round(time.Millisecond), len(healthy.deliveries()), len(ids), len(failing.deliveries()))
}

// TestHookServersShare has two servers deliver to many receivers, of which one never
// answers: each is told once, and nobody waits for it.
func TestHookServersShare(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	f.serve(0)
	f.serve(1)
	stop := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(stop); dead.Close() })
	u, err := url.Parse(dead.URL)
	if err != nil {
		t.Fatal(err)
	}
	subscribing{criteria: "Communication?status=completed", endpoint: "http://localhost:" + u.Port() + "/in"}.subscribe(t, f.base(0), "")
	hooks := make([]*hook, 12)
	for i := range hooks {
		hooks[i] = newHook(t, nearby, nil)
		subscribing{criteria: "message-received", content: "id-only", endpoint: hooks[i].URL}.subscribe(t, f.base(i%2), "")
	}
	for n := range 10 {
		key, body := message(n)
		put(t, f.base(n%2), "", key, body)
	}
	for i, h := range hooks {
		if got := foci(h.awaitEvents(10)); !slices.Equal(got, messages(10)) {
			t.Errorf("receiver %d is told of %v", i, got)
		}
		if got := len(h.deliveries()); got != 11 {
			t.Errorf("receiver %d got %d requests for a handshake and ten events", i, got)
		}
	}
}
