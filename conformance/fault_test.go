package conformance_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/api"
	"github.com/openconsult/openconsult/migrations/pgserver"
)

const jane = `{"resourceType":"Patient","id":"jane","name":[{"family":"Example"}]}`

// requests are one of each interaction, in an order in which all of them
// succeed after jane was created.
var requests = []request{
	{method: "GET", path: "/fhir/Patient/jane"},
	{method: "GET", path: "/fhir/Patient/jane/_history/1"},
	{method: "GET", path: "/fhir/Patient/jane/_history"},
	{method: "GET", path: "/fhir/Patient/_history"},
	{method: "GET", path: "/fhir/_history"},
	{method: "POST", path: "/fhir/Patient", body: `{"resourceType":"Patient","active":true}`},
	{method: "PUT", path: "/fhir/Patient/jim", headers: [][2]string{{"If-None-Match", "*"}}, body: `{"resourceType":"Patient","id":"jim"}`},
	{method: "PUT", path: "/fhir/Patient/jane", headers: [][2]string{{"If-Match", `W/"1"`}}, body: strings.Replace(jane, "Example", "Other", 1)},
	{method: "PATCH", path: "/fhir/Patient/jane", headers: [][2]string{{"If-Match", `W/"2"`}}, body: `[{"op":"add","path":"/active","value":true}]`},
	{method: "DELETE", path: "/fhir/Patient/jane", headers: [][2]string{{"If-Match", `W/"3"`}}},
}

// reads is how many of the requests store nothing; they come first.
const reads = 5

// A caller sends requests to one server and takes no error for an answer.
type caller struct {
	t      *testing.T
	base   string
	client *http.Client
}

func newCaller(t *testing.T, base string) *caller {
	c := &caller{t, base, &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: patience}}
	t.Cleanup(c.client.CloseIdleConnections)
	return c
}

// send sends r and wants one of the given statuses.
func (c *caller) send(r request, want ...int) exchange {
	c.t.Helper()
	x, err := r.send(c.client, c.base)
	if err != nil {
		c.t.Error(err)
		return x
	}
	for _, status := range want {
		if x.status == status {
			return x
		}
	}
	c.t.Errorf("want status %d\n%s", want, x)
	return x
}

// away sends r and wants to hear within limit that the database is away.
func (c *caller) away(r request, limit time.Duration) fate {
	c.t.Helper()
	began := time.Now()
	x := c.send(r, http.StatusServiceUnavailable)
	if took := time.Since(began); took > limit {
		c.t.Errorf("%s %s was answered after %v, want at most %v", r.method, r.path, took, limit)
	}
	if x.status != http.StatusServiceUnavailable {
		return stored
	}
	return unavailable(c.t, x.header, []byte(x.answer))
}

// TestDatabaseAway stops the database under a server. Every request is answered
// at once that nothing was stored, and everything works when it is back.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	db := cluster(t)
	base, stop := start(t, db.DSN(), api.Config{})
	t.Cleanup(stop)
	c := newCaller(t, base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, r := range requests {
			if got := c.away(r, 3*time.Second); got != refused {
				t.Errorf("%s %s: the answer does not say that nothing was stored", r.method, r.path)
			}
		}
	}
	again, err := pgserver.Start(context.Background(), pgserver.Config{Dir: db.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, r := range requests {
		c.send(r, 200, 201, 204)
	}
}

// TestDatabaseHangs lets the database fall silent without any connection being
// closed. Requests end all the same, writes are in doubt, and everything works
// when it speaks again.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	w := newWire(t, cluster(t))
	base, stop := start(t, w.dsn, api.Config{})
	t.Cleanup(stop)
	const limit = 20 * time.Second
	c := newCaller(t, base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	w.state.Store(mute)
	began := time.Now()
	var group sync.WaitGroup
	for i := range 12 {
		id := fmt.Sprintf("hung-%d", i)
		group.Go(func() {
			c.away(request{method: "PUT", path: "/fhir/Basic/" + id, body: contentOf("Basic", id, id)}, limit)
		})
		group.Go(func() { c.away(request{method: "GET", path: "/fhir/Patient/jane"}, limit) })
	}
	group.Wait()
	took := time.Since(began)
	w.state.Store(whole)
	// Connections that were being made when it spoke again may still fail.
	await(t, "the database to be back", func() bool {
		return c.send(requests[0], http.StatusOK, http.StatusServiceUnavailable).status == http.StatusOK
	})
	for _, r := range requests {
		c.send(r, 200, 201, 204)
	}
	t.Logf("24 requests to a silent database were answered within %v", took.Round(time.Millisecond))
}

// TestAnswerLost loses the answer of the database to each kind of write, when
// the write is done. Nobody is told that it was refused, and it is not done
// twice.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	w := newWire(t, cluster(t))
	base, stop := startWith(t, w.dsn, api.Config{}, manner{admit: trustAll, idle: true})
	t.Cleanup(stop)
	c := newCaller(t, base)
	c.send(request{method: "PUT", path: "/fhir/Patient/jane", body: jane}, 201)
	warmed := 0
	for i, r := range requests[reads:] {
		if r.method == "PATCH" {
			c.send(r, 200) // its first answer is that to a read
			continue
		}
		// The connection has the statements for Patients prepared, so the next answer
		// is that to the write.
		c.send(request{method: "PUT", path: "/fhir/Patient/warm", body: fmt.Sprintf(`{"resourceType":"Patient","id":"warm","name":[{"text":"%d"}]}`, i)}, 200, 201)
		c.send(request{method: "POST", path: "/fhir/Patient", body: `{"resourceType":"Patient"}`}, 201)
		c.send(request{method: "DELETE", path: "/fhir/Basic/nothing"}, 204)
		warmed++
		w.state.Store(cutting)
		if got := c.away(r, 3*time.Second); got != doubtful {
			t.Errorf("%s %s: the answer does not say that its outcome is unknown", r.method, r.path)
		}
	}
	x := c.send(request{method: "GET", path: "/fhir/Patient/_history"}, 200)
	methods, err := find(x.tree, "entry[*].request.method")
	if want := 6 + 2*warmed; err != nil || len(methods) != want || count(methods, "POST") != 1+warmed {
		t.Errorf("the history shows %v, %v, want %d writes, %d by POST\n%s", methods, err, want, 1+warmed, x)
	}
	x = c.send(request{method: "GET", path: "/fhir/Patient/jane/_history"}, 200)
	methods, err = find(x.tree, "entry[*].request.method")
	if got, want := fmt.Sprint(methods, err), "[DELETE PATCH PUT PUT] <nil>"; got != want {
		t.Errorf("the history shows %s, want %s\n%s", got, want, x)
	}
}

// count returns how often a text is among values.
func count(values []any, text string) (n int) {
	for _, v := range values {
		if v == any(text) {
			n++
		}
	}
	return n
}
