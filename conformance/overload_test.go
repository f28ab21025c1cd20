package conformance_test

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// The size of a storm: more at a time than a server with one database connection lets in.
const (
	stormClients = 64
	stormRounds  = 10
)

// TestOverload asks a small server for much more than it can do. Each answer is a success, or
// a refusal that says so and when to come again; what was acknowledged is stored, and nothing
// of what was refused; those who watch the server are answered all the while.
func TestOverload(t *testing.T) {
	t.Parallel()
	p := launch(t, build(t), "--dsn="+testDSN(t), "--unsafe", "--conns=1")
	c := newCaller(t, p.base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	before := p.goroutines(t)

	calm, watched := make(chan struct{}), make(chan int)
	go func() { watched <- c.watch(p.admin, calm) }()
	s := &flood{t: t, base: p.base}
	s.rage()
	close(calm)
	if n := <-watched; n == 0 {
		t.Error("nobody looked at the server meanwhile")
	}
	if s.refused.Load() == 0 || s.done.Load() == 0 {
		t.Errorf("%d requests were done and %d refused, want some of both", s.done.Load(), s.refused.Load())
	}

	// At once there is room again.
	c.send(request{method: "GET", path: "/fhir/Patient/jane"}, 200)
	x := c.send(request{method: "GET", path: "/fhir/Patient?identifier=storm|&_count=1000"}, 200)
	values, err := find(x.tree, "entry[*].resource.identifier[0].value")
	if err != nil {
		t.Fatal(err)
	}
	var stored []string
	for _, v := range values {
		stored = append(stored, fmt.Sprint(v))
	}
	slices.Sort(stored)
	slices.Sort(s.acknowledged)
	if !slices.Equal(stored, s.acknowledged) {
		t.Errorf("%d are stored, %d were acknowledged, and they are not the same", len(stored), len(s.acknowledged))
	}
	c.client.CloseIdleConnections()
	await(t, "the goroutines of the storm to end", func() bool { return p.goroutines(t) <= before+10 })
}

// A flood is many clients that send without listening to what they are told.
type flood struct {
	t             *testing.T
	base          string
	done, refused atomic.Int64

	mu           sync.Mutex
	acknowledged []string // identifiers of what was created; guarded by mu
}

// rage sends everything.
func (s *flood) rage() {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: stormClients}, Timeout: patience}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for i := range stormClients {
		group.Go(func() {
			for n := range stormRounds {
				id := fmt.Sprintf("%d-%d", i, n)
				if s.ask(client, request{method: "POST", path: "/fhir/Patient", body: fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"storm","value":%q}]}`, id)}) {
					s.mu.Lock()
					s.acknowledged = append(s.acknowledged, id)
					s.mu.Unlock()
				}
				s.ask(client, request{method: "GET", path: "/fhir/Patient/jane"})
				s.ask(client, request{method: "GET", path: "/fhir/Patient?family=Example"})
			}
		})
	}
	group.Wait()
}

// ask sends one request and reports whether it was done.
func (s *flood) ask(client *http.Client, r request) bool {
	x, err := r.send(client, s.base)
	switch {
	case err != nil:
		s.t.Error(err)
	case x.status == 200 || x.status == 201:
		s.done.Add(1)
		return true
	case x.status == 429 || x.status == 503:
		s.refused.Add(1)
		after, err := strconv.Atoi(x.header.Get("Retry-After"))
		if err != nil || after < 1 || after > 5 || text(x.tree, "resourceType") != "OperationOutcome" || text(x.tree, "issue[0].code") != "throttled" {
			s.t.Errorf("a refusal that does not say enough\n%s", x)
		}
	default:
		s.t.Errorf("neither done nor refused\n%s", x)
	}
	return false
}

// watch asks again and again for what must always answer, until the storm is over, and returns
// how often.
func (c *caller) watch(admin string, calm <-chan struct{}) int {
	for n := 0; ; n++ {
		select {
		case <-calm:
			return n
		default:
		}
		for _, path := range []string{"/livez", "/readyz", "/metrics"} {
			c.send(request{method: "GET", path: admin + path}, 200)
		}
		c.send(request{method: "GET", path: "/fhir/metadata"}, 200)
	}
}

// goroutines returns how many p has.
func (p *process) goroutines(t *testing.T) int {
	t.Helper()
	resp, err := http.Get(p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "go_goroutines %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("the server does not say how many goroutines it has")
	return 0
}
