package subscription

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
)

// arrives waits for n notifications of events on a path.
func (w *world) arrives(e *endpoint, path string, n int) []received {
	w.t.Helper()
	w.clock.until(w.t, fmt.Sprintf("%d arrive at %s", n, path), time.Hour, func() bool { return len(e.events(path)) >= n })
	return e.events(path)
}

func content(of string) string {
	return fmt.Sprintf(`,"_payload":{"extension":[{"url":%q,"valueCode":%q}]}`, contentExtension, of)
}

// TestContents is about what a notification of each content says.
func TestContents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	for _, c := range []string{contentEmpty, contentID, contentFull} {
		w.put(hook(c, at.URL+"/"+c, content(c)))
		w.is(c, active)
	}
	w.put(task("x", "consultation", "requested"))
	v := w.put(task("x", "consultation", "received", `,"description":"secret"`))
	for _, c := range []string{contentEmpty, contentID, contentFull} {
		got := w.arrives(at, "/"+c, 1)[0]
		body := string(got.body)
		decode(t, body)
		if has := strings.Contains(body, "Task/x"); has != (c != contentEmpty) {
			t.Errorf("%s names the Task: %v: %s", c, has, body)
		}
		if has := strings.Contains(body, "secret"); has != (c == contentFull) {
			t.Errorf("%s has the Task: %v: %s", c, has, body)
		}
		if has := strings.Contains(body, "task-changed"); has != (c != contentEmpty) {
			t.Errorf("%s names the topic: %v: %s", c, has, body)
		}
		if c == contentFull && !strings.Contains(body, string(v.Resource())) {
			t.Errorf("it is not the version: %s in %s", v.Resource(), body)
		}
		if got.numbers[0] != 1 || got.header.Get("Content-Type") != "application/fhir+json" {
			t.Errorf("%s: %v %v", c, got.numbers, got.header)
		}
	}
	if all := at.all(); all[0].kind != "handshake" || all[0].header.Get(numberHeader) != "0" {
		t.Errorf("the first is %s", all[0].body)
	}
}

// TestXML is about the same in XML.
func TestXML(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	w.put(strings.Replace(hook("s", at.URL+"/s"), "fhir+json", "fhir+xml", 1))
	w.is("s", active)
	w.put(task("x", "consultation", "requested"))
	w.put(task("x", "consultation", "received"))
	w.clock.until(t, "it arrives", time.Minute, func() bool { return len(at.all()) == 2 })
	got := at.all()[1]
	r, err := fhir.DecodeXML("Bundle", got.body)
	if err != nil || got.header.Get("Content-Type") != "application/fhir+xml" || !strings.Contains(string(r.Source()), "Task/x") {
		t.Errorf("%v: %v: %s", err, got.header, got.body)
	}
}

// TestCriteriaOfR4 is about Subscriptions without a topic.
func TestCriteriaOfR4(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	w.put(fmt.Sprintf(`{"resourceType":"Subscription","id":"bare","status":"requested","reason":"test","criteria":"Observation?code=a","channel":{"type":"rest-hook","endpoint":"%s/bare"}}`, at.URL))
	w.put(fmt.Sprintf(`{"resourceType":"Subscription","id":"full","status":"requested","reason":"test","criteria":"Observation?code=a","channel":{"type":"rest-hook","endpoint":"%s/full/","payload":"application/fhir+json"}}`, at.URL))
	w.is("bare", active)
	w.is("full", active)
	for _, code := range []string{"a", "b", "a"} {
		w.put(`{"resourceType":"Observation","id":"` + code + `","status":"final","code":{"coding":[{"code":"` + code + `"}]},"note":[{"text":"` + fmt.Sprint(time.Now().UnixNano()) + `"}]}`)
	}
	w.clock.until(t, "all arrive", time.Minute, func() bool { return len(at.all()) == 4 })
	var bare, full int
	for _, x := range at.all() {
		switch x.path {
		case "/bare":
			bare++
			if x.method != "POST" || len(x.body) > 0 || x.header.Get(numberHeader) != fmt.Sprint(bare) || x.header.Get(deliveryHeader) == "" {
				t.Errorf("%s %v %s", x.method, x.header, x.body)
			}
		case "/full/Observation/a":
			full++
			if x.method != "PUT" || decode(t, string(x.body)).ID() != "a" || decode(t, string(x.body)).VersionID() != fmt.Sprint(full) {
				t.Errorf("%s %v %s", x.method, x.header, x.body)
			}
		default:
			t.Errorf("%s %s", x.method, x.path)
		}
	}
	if bare != 2 || full != 2 {
		t.Errorf("%d bare and %d with the resource, want 2 and 2", bare, full)
	}
}

// TestBatches is about several events in one notification, of which a second try
// has the same.
func TestBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 5)
	w.run(w.subs)
	w.put(hook("s", at.URL+"/s", extended(mostExtension, `"valuePositiveInt":10`)))
	w.is("s", active)
	at.fails.Store(true)
	load.burst(3)
	w.clock.until(t, "it was tried", time.Minute, func() bool { _, tries := at.counts(); return tries > 2 })
	load.burst(25)
	at.fails.Store(false)
	w.clock.until(t, "all arrive", time.Hour, func() bool {
		n := 0
		for _, x := range at.events("/s") {
			n += len(x.numbers)
		}
		return n == 28
	})
	at.follows(t, "/s", 28)
	var sizes []int
	for _, x := range at.events("/s") {
		sizes = append(sizes, len(x.numbers))
	}
	if sizes[0] > 3 || len(sizes) < 4 || len(sizes) > 6 {
		t.Errorf("the notifications have %v events: what was tried before the others came must have stayed as it was", sizes)
	}
}

// counts returns how many arrived, and how many were tried.
func (e *endpoint) counts() (got, tries int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.got), e.tries
}

// TestSignature holds the header to what a receiver works out.
func TestSignature(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	const secret = "0123456789abcdef"
	w.put(hook("s", at.URL+"/s", extended(SecretExtension, `"valueString":"`+secret+`"`), `,"header":["Authorization: Bearer mine"]`))
	w.put(hook("plain", at.URL+"/plain"))
	w.is("s", active)
	w.is("plain", active)
	for _, x := range at.all() {
		got := x.header.Get(signatureHeader)
		if x.path == "/plain" {
			if got != "" || x.header.Get("Authorization") != "" {
				t.Errorf("%v", x.header)
			}
			continue
		}
		if want := sign(secret, x.at, x.body); got != want || x.header.Get("Authorization") != "Bearer mine" {
			t.Errorf("%v, want %s", x.header, want)
		}
	}
	// As openssl dgst -sha256 -hmac key says.
	if got := sign("key", time.Unix(1700000000, 0), []byte("{}")); got != "t=1700000000,v1="+wantSignature {
		t.Errorf("%s", got)
	}
}

// TestGiveUp is about an endpoint that is away for longer than 72 hours.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 2)
	w.run(w.subs)
	w.put(hook("s", at.URL+"/s"))
	w.is("s", active)
	at.fails.Store(true)
	load.burst(3)
	w.clock.until(t, "it was tried", time.Minute, func() bool { _, tries := at.counts(); return tries > 2 })
	w.backdate(71*time.Hour + 50*time.Minute)
	w.clock.pass(t, 5*time.Minute)
	if got, _ := w.status("s"); got != active {
		t.Fatalf("before 72 hours it is %s", got)
	}
	states, err := w.subs.States(t.Context(), w.trusted, []string{"s"})
	if err != nil || states[0].Attempts < 3 || states[0].Next.IsZero() || states[0].Error != "The endpoint answered with the status 503." || states[0].Last != 3 || states[0].Delivered != 0 {
		t.Errorf("%+v, %v", states, err)
	}
	w.clock.pass(t, 20*time.Minute)
	if got, why := w.status("s"); got != failed || !strings.Contains(why, "503") || !strings.Contains(why, "requested") {
		t.Fatalf("after 72 hours it is %s: %s", got, why)
	}
	load.burst(2) // they are kept, too
	at.fails.Store(false)
	_, before := at.counts()
	w.clock.pass(t, 30*time.Minute)
	if _, tries := at.counts(); tries != before {
		t.Error("it was tried after the server had given up")
	}
	v, err := w.store.ReadContent(t.Context(), fhir.Key{Type: subscriptionType, ID: "s"})
	if err != nil {
		t.Fatal(err)
	}
	w.put(strings.Replace(string(v.Stored), `"status":"error"`, `"status":"requested"`, 1))
	w.is("s", active)
	w.arrives(at, "/s", 5)
	at.follows(t, "/s", 5)
	if _, why := w.status("s"); why != "" {
		t.Errorf("it still says %s", why)
	}
}

// backdate makes a failure of Subscription/s as old as that.
func (w *world) backdate(d time.Duration) {
	w.t.Helper()
	if _, err := w.db.Exec(`UPDATE subscription SET failing = $1 WHERE id = 's' AND failing IS NOT NULL`, w.clock.Now().Add(-d)); err != nil {
		w.t.Fatal(err)
	}
}

// TestAccessIsAskedAtDelivery is about a subscriber who may see less than before.
func TestAccessIsAskedAtDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	const holder = "holder a"
	w.setGrant(holder, reader("a", everything, "*"))
	s := w.engine.For(reader("a", everything, "*"), interaction.Origin{})
	for _, id := range []string{"a", "b"} {
		w.put(`{"resourceType":"Organization","id":"` + id + `"}`)
	}
	done, err := s.Create(t.Context(), decode(t, hook("s", at.URL+"/s", content(contentFull))))
	if err != nil {
		t.Fatal(err)
	}
	w.is(done.Key.ID, active)
	// What is told without the resource is hidden by another check.
	brief, err := s.Create(t.Context(), decode(t, hook("s", at.URL+"/brief")))
	if err != nil {
		t.Fatal(err)
	}
	w.is(brief.Key.ID, active)
	own := func(id, status, org string) {
		w.put(task(id, "consultation", status, `,"owner":{"reference":"Organization/`+org+`"}`))
	}
	own("mine", "requested", "a")
	own("mine", "received", "a")
	own("theirs", "requested", "b")
	own("theirs", "received", "b") // there is no event
	w.arrives(at, "/s", 1)

	at.fails.Store(true)
	own("mine", "accepted", "a") // numbered, and then it goes to the other one
	w.clock.until(t, "both were tried", time.Minute, func() bool { _, tries := at.counts(); return tries >= 6 })
	func() {
		defer w.clock.hold()()
		own("mine", "in-progress", "b")
		at.fails.Store(false)
	}()
	w.arrives(at, "/s", 2)
	if x := w.arrives(at, "/brief", 2)[1]; x.focus[0] != "" || strings.Contains(string(x.body), "mine") {
		t.Errorf("%s", x.body)
	}
	own("mine", "on-hold", "a")
	all := w.arrives(at, "/s", 3)
	at.follows(t, "/s", 3)
	if all[0].focus[0] == "" || all[1].focus[0] != "" || strings.Contains(string(all[1].body), "mine") || all[2].focus[0] == "" {
		t.Errorf("%s\n%s\n%s", all[0].body, all[1].body, all[2].body)
	}
	for _, x := range at.all() {
		if strings.Contains(string(x.body), "theirs") {
			t.Errorf("what is not theirs to see: %s", x.body)
		}
	}

	// Scopes that are smaller now.
	w.setGrant(holder, reader("a", everything, "Subscription"))
	w.clock.pass(t, fresh)
	own("mine", "completed", "a")
	w.clock.pass(t, time.Minute)
	if n := len(at.events("/s")); n != 3 {
		t.Errorf("%d events without a scope for Task, want 3", n)
	}
	w.setGrant(holder, reader("a", everything, "*"))
	w.clock.pass(t, fresh)

	// A fault of the server is no end of the access.
	w.mu.Lock()
	w.broken = errors.New("the database is away")
	w.mu.Unlock()
	own("mine", "in-progress", "a")
	w.clock.pass(t, time.Minute)
	if got, _ := w.status(done.Key.ID); got != active || len(at.events("/s")) != 3 {
		t.Errorf("while nobody knows the access it is %s, with %d events", got, len(at.events("/s")))
	}
	w.mu.Lock()
	w.broken = nil
	w.mu.Unlock()
	w.arrives(at, "/s", 4)

	w.end(holder)
	own("mine", "completed", "a")
	w.is(done.Key.ID, off)
	if _, why := w.status(done.Key.ID); !strings.Contains(why, "has ended") {
		t.Errorf("it says %q", why)
	}
	if n := len(at.events("/s")); n != 4 {
		t.Errorf("%d events after the access has ended, want 4", n)
	}
}

// TestStops is about what ends a subscription.
func TestStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 2)
	w.run(w.subs)
	end := w.clock.Now().Add(time.Hour).Format(time.RFC3339)
	ids := []string{"deleted", "off", "ends", "stays"}
	for _, id := range ids {
		body := hook(id, at.URL+"/"+id)
		if id == "ends" {
			body = strings.Replace(body, `"reason"`, `"end":"`+end+`","reason"`, 1)
		}
		w.put(body)
		w.is(id, active)
	}
	load.burst(2)
	for _, id := range ids {
		w.arrives(at, "/"+id, 2)
	}
	release := w.clock.hold()
	load.burst(2)
	if _, err := w.trusted.Delete(t.Context(), fhir.Key{Type: subscriptionType, ID: "deleted"}, store.Anything); err != nil {
		t.Fatal(err)
	}
	w.put(strings.Replace(hook("off", at.URL+"/off"), requested, off, 1))
	release()
	w.arrives(at, "/stays", 4)
	w.arrives(at, "/ends", 4)
	if a, b := len(at.events("/deleted")), len(at.events("/off")); a != 2 || b != 2 {
		t.Errorf("%d events after the deletion and %d after it was switched off, want 2 and 2", a, b)
	}
	w.clock.pass(t, 61*time.Minute)
	if got, why := w.status("ends"); got != off || why == "" {
		t.Errorf("after its end it is %s: %s", got, why)
	}
	load.burst(1)
	w.arrives(at, "/stays", 5)
	if n := len(at.events("/ends")); n != 4 {
		t.Errorf("%d events after the end, want 4", n)
	}
	// What was missed while it was off is not wanted.
	w.put(hook("off", at.URL+"/off"))
	w.is("off", active)
	load.burst(1)
	got := w.arrives(at, "/off", 3)
	if n := got[2].numbers[0]; len(got) != 3 || n < 3 {
		t.Errorf("%d events, the third with number %d", len(got), n)
	}
}

// TestDeletionStopsAtOnce deletes a Subscription while an attempt waits.
func TestDeletionStopsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 1)
	w.put(hook("s", at.URL+"/s"))
	release := w.clock.hold()
	w.follow(w.subs)
	load.burst(1)
	w.follow(w.subs)
	claims := &claims{all: map[string]*claim{}}
	if _, err := w.trusted.Delete(t.Context(), fhir.Key{Type: subscriptionType, ID: "s"}, store.Anything); err != nil {
		t.Fatal(err)
	}
	// What matches does not know of it yet.
	n, err := w.subs.claim(t.Context(), claims)
	if err != nil || n != 1 {
		t.Fatalf("%d claimed, %v", n, err)
	}
	release()
	claims.work.Wait()
	if got, tries := at.counts(); got+tries > 0 {
		t.Errorf("%d deliveries after the deletion", tries)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 1)
	w.run(w.subs)
	w.put(hook("s", at.URL+"/s", extended(beatExtension, `"valueUnsignedInt":60`)))
	w.is("s", active)
	w.clock.pass(t, 150*time.Second)
	load.burst(1)
	w.arrives(at, "/s", 1)
	w.clock.pass(t, 90*time.Second)
	var kinds []string
	last := time.Time{}
	for _, x := range at.all() {
		kinds = append(kinds, x.kind)
		if !last.IsZero() && x.at.Sub(last) > 65*time.Second {
			t.Errorf("nothing for %v", x.at.Sub(last))
		}
		last = x.at
	}
	if got := strings.Join(kinds, " "); got != "handshake heartbeat heartbeat event-notification heartbeat" {
		t.Errorf("%s", got)
	}
}

// TestHandshakeComesFirst makes sure that nothing is told before the endpoint has
// agreed, and nothing is lost that happened meanwhile.
func TestHandshakeComesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 2)
	at.fails.Store(true)
	w.run(w.subs)
	w.put(hook("s", at.URL+"/s"))
	load.burst(3)
	w.clock.pass(t, 10*time.Minute)
	if got, _ := w.status("s"); got != requested {
		t.Errorf("without a handshake it is %s", got)
	}
	at.fails.Store(false)
	w.is("s", active)
	w.arrives(at, "/s", 3)
	at.follows(t, "/s", 3)
}

// TestFirstVersionsOfBefore makes sure that a subscription begins when it is made.
func TestFirstVersionsOfBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 2)
	load.burst(4) // before there is a subscription
	w.put(hook("s", at.URL+"/s"))
	load.burst(2)
	w.run(w.subs)
	w.is("s", active)
	w.arrives(at, "/s", 2)
	w.clock.pass(t, time.Minute)
	at.follows(t, "/s", 2)
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attempts    int
		least, most time.Duration
	}{
		{1, 800 * time.Millisecond, 1200 * time.Millisecond}, {2, 1600 * time.Millisecond, 2400 * time.Millisecond},
		{8, 102400 * time.Millisecond, 153600 * time.Millisecond}, {9, 204800 * time.Millisecond, 6 * time.Minute}, {10, 4 * time.Minute, 6 * time.Minute}, {100000, 4 * time.Minute, 6 * time.Minute},
	} {
		for _, chance := range []float64{0, 0.5, 0.999} {
			if got := backOff(c.attempts, chance); got < c.least || got > c.most {
				t.Errorf("after %d attempts %v, want %v to %v", c.attempts, got, c.least, c.most)
			}
		}
	}
}

const wantSignature = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"

// TestPerHost makes sure that one host does not get more than a few notifications
// at once, and does not keep others waiting.
func TestPerHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow, other := w.endpoint(), w.endpoint()
	load := newWorkload(w, 2)
	w.run(w.subs)
	for i := range 10 {
		w.put(hook(fmt.Sprint("s", i), fmt.Sprintf("%s/s%d", slow.URL, i)))
	}
	w.put(hook("z", other.URL+"/z"))
	for i := range 10 {
		w.is(fmt.Sprint("s", i), active)
	}
	w.is("z", active)
	slow.takes.Store(int64(20 * time.Second))
	began := w.clock.Now()
	load.burst(4)
	last := w.arrives(other, "/z", 4)[3]
	if waited := last.at.Sub(began); waited > 10*time.Second {
		t.Errorf("the other host has waited for %v", waited)
	}
	for i := range 10 {
		w.arrives(slow, fmt.Sprint("/s", i), 4)
	}
	for i := range 10 {
		slow.follows(t, fmt.Sprint("/s", i), 4)
	}
	if slow.most != perHost {
		t.Errorf("%d at once, want %d", slow.most, perHost)
	}
}

// TestTidy is about what is too old.
func TestTidy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 2)
	w.run(w.subs)
	for _, id := range []string{"s", "broken"} {
		w.put(hook(id, at.URL+"/"+id))
		w.is(id, active)
	}
	load.burst(3)
	w.arrives(at, "/s", 3)
	w.arrives(at, "/broken", 3)
	for _, q := range []string{
		`UPDATE subscription_event SET numbered = numbered - interval '15 days' WHERE number < 3`,
		`INSERT INTO subscription_owner VALUES ('orphan', 's', 'x', '', '', '', '2025-01-01')`,
		`UPDATE subscription_owner SET made = '2025-01-01'`,
	} {
		if _, err := w.db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	at.fails.Store(true)
	load.burst(1)
	w.clock.until(t, "it was tried", time.Minute, func() bool { _, tries := at.counts(); return tries > 8 })
	if _, err := w.db.Exec(`UPDATE subscription SET failing = failing - interval '73 hours' WHERE id = 'broken'`); err != nil {
		t.Fatal(err)
	}
	w.is("broken", failed)
	if _, err := w.db.Exec(`UPDATE subscription SET changed = changed - interval '15 days' WHERE id = 'broken'`); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(t, tidyEvery+time.Minute)
	w.is("broken", off)
	var events, owners int
	if err := w.db.QueryRow(`SELECT (SELECT count(*) FROM subscription_event WHERE subscription = 's'), (SELECT count(*) FROM subscription_owner)`).Scan(&events, &owners); err != nil {
		t.Fatal(err)
	}
	if events != 2 || owners != 2 {
		t.Errorf("%d events and %d owners, want 2 and 2", events, owners)
	}
}

// TestParameterIsTakenAway changes a search parameter that criteria name, and then
// deletes it.
func TestParameterIsTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	ctx, stop := context.WithCancel(t.Context())
	built := make(chan error, 1)
	go func() { built <- w.store.RunIndexer(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-built; err != nil {
			t.Error(err)
		}
	})
	parameter := func(description string) {
		w.put(`{"resourceType":"SearchParameter","id":"colour","url":"https://example.org/colour","name":"colour","status":"active","description":"x","code":"colour","base":["Task"],"type":"token","expression":"` + description + `"}`)
	}
	state := func() search.State { return w.store.Registry().Param("Task", "colour").State }
	parameter("Task.businessStatus")
	release := w.clock.hold()
	for state() != search.Active {
	}
	release()
	body := sub{criteria: "Task?colour=red", channel: `"type":"rest-hook","endpoint":"` + at.URL + `/s"`}
	w.put(body.json("s"))
	w.is("s", active)
	n := 0
	arrives := func() {
		t.Helper()
		n++
		w.put(task(fmt.Sprint("x", n), "consultation", "ready", `,"businessStatus":{"coding":[{"code":"red"}]}`))
		w.clock.until(t, "it arrives", time.Minute, func() bool { got, _ := at.counts(); return got == n })
	}
	arrives()
	parameter("Task.businessStatus | Task.statusReason") // it is built anew
	arrives()
	if got, why := w.status("s"); got != active {
		t.Errorf("while its parameter is built it is %s: %s", got, why)
	}
	if _, err := w.trusted.Delete(t.Context(), fhir.Key{Type: "SearchParameter", ID: "colour"}, store.Anything); err != nil {
		t.Fatal(err)
	}
	w.is("s", failed)
	if _, why := w.status("s"); !strings.Contains(why, "search parameter") {
		t.Errorf("it says %q", why)
	}
}

// TestHistoryFiresNothing loads what happened long ago.
func TestHistoryFiresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	load := newWorkload(w, 1)
	w.run(w.subs)
	w.put(hook("s", at.URL+"/s"))
	w.is("s", active)
	w.put(task("old", "consultation", "requested"))
	row, err := w.store.Row(fhir.Key{Type: "Task", ID: "old"}, store.Update, decode(t, task("old", "consultation", "completed")))
	if err != nil {
		t.Fatal(err)
	}
	row.Past = true
	if _, err := w.store.Put(t.Context(), row, store.Anything); err != nil {
		t.Fatal(err)
	}
	load.burst(1)
	if x := w.arrives(at, "/s", 1)[0]; !strings.HasSuffix(x.focus[0], "Task/t0") {
		t.Errorf("%v", x.focus)
	}
	w.clock.pass(t, time.Minute)
	at.follows(t, "/s", 1)
}
