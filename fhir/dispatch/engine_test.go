package dispatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

func nothing(*Config) {}

// hear tells e something now, and fails the test if it does not take it.
func (w *world) hear(e *Engine, c Callback) {
	w.t.Helper()
	c.At = w.Now()
	if err := e.Hear(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// TestFallback sends by the first channel, and by the next when time is up or it fails.
func TestFallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app, sms := &box{}, &box{}
	e := w.engine(map[consultation.Channel]Provider{"nhs-app": app, "sms": sms}, nothing)
	w.run(e)
	l := Letter{Ways: by("nhs-app", "sms"), Text: "private", Schedule: consultation.Schedule{Fallback: 4 * time.Hour}}
	w.message("time", l)
	w.until("the app has it", func() bool { return len(app.all()) == 1 })
	w.hear(e, Callback{Key: "k1", Message: "time", Channel: "nhs-app", Event: consultation.EventDelivered})
	w.hear(e, Callback{Key: "k1", Message: "time", Channel: "nhs-app", Event: consultation.EventDelivered})
	w.pass(4*time.Hour - time.Minute)
	w.message("other", Letter{Ways: by("nhs-app")})
	w.until("another message is sent", func() bool { return len(app.all()) == 2 })
	if len(sms.all()) > 0 || w.desk.status("time") != "in-progress" {
		t.Fatalf("%+v %s", sms.all(), w.desk.status("time"))
	}
	w.pass(2 * time.Minute)
	w.until("the SMS is sent", func() bool { return len(sms.all()) == 1 })
	m := sms.all()[0]
	if m.Text != "You have a new message. Sign in to read it: https://example.org/m/time" || m.To != "07700900123" || m.Key == app.all()[0].Key || len(m.Key) != 32 {
		t.Errorf("%+v", m)
	}
	w.hear(e, Callback{Key: "k2", Message: "time", Channel: "sms", Event: consultation.EventDelivered})
	if got := w.desk.status("time"); got != "completed" {
		t.Error(got)
	}
	w.hear(e, Callback{Key: "k3", Message: "time", Channel: "nhs-app", Event: consultation.EventRead})
	if len(w.desk.read) != 1 || len(w.desk.written("time")) != 1 {
		t.Errorf("%v %v", w.desk.read, w.desk.written("time"))
	}
}

// TestReadHere tries no further channel once the message was read in the inbox of the server.
func TestReadHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app, sms := &box{}, &box{}
	e := w.engine(map[consultation.Channel]Provider{"nhs-app": app, "sms": sms}, nothing)
	w.run(e)
	w.message("time", Letter{Ways: by("nhs-app", "sms"), Schedule: consultation.Schedule{Fallback: time.Hour}})
	w.until("the app has it", func() bool { return len(app.all()) == 1 })
	if err := w.desk.Delivered(t.Context(), Outcome{"time", consultation.DispatchStep{Status: "completed"}}); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	w.message("other", Letter{Ways: by("sms")})
	w.until("another message is sent", func() bool { return len(sms.all()) > 0 })
	if all := sms.all(); len(all) != 1 || all[0].ID != "other" {
		t.Errorf("%+v", all)
	}
}

// TestFailure tries the next channel when one rejects a message, tries one again that has
// failed for the moment, and gives up in the end.
func TestFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fails := 0
	app := &box{answer: func(Message) (Acceptance, error) { return Acceptance{}, rejected("no such person") }}
	email := &box{answer: func(Message) (Acceptance, error) {
		if fails++; fails == 1 {
			return Acceptance{}, errors.New("come back")
		}
		return Acceptance{Final: true}, nil
	}}
	e := w.engine(map[consultation.Channel]Provider{"nhs-app": app, "email": email}, nothing)
	w.run(e)
	w.message("both", Letter{Ways: by("nhs-app", "email")})
	w.until("e-mail was tried", func() bool { return len(email.all()) == 1 })
	w.pass(10 * time.Second)
	w.is("both", "completed")
	got := email.all()
	if len(app.all()) != 1 || len(got) != 2 || got[0].Key != got[1].Key {
		t.Errorf("%+v %+v", app.all(), got)
	}
	w.message("none", Letter{Ways: by("nhs-app")})
	w.is("none", "not-done")
	w.message("barred", Letter{Barred: "Dead."})
	w.is("barred", "not-done")
	w.message("inbox", Letter{Inbox: true})
	w.is("inbox", "completed")
	for _, a := range w.desk.attempts {
		if len(a.Address) != 64 {
			t.Errorf("%+v", a)
		}
	}
}

// TestKilled kills a server after a provider took a message and before that is recorded: the
// next one sends it again, under the same key, when the lease is over.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := &box{}
	var first *Engine
	killed := make(chan struct{})
	var once sync.Once
	sms.answer = func(Message) (Acceptance, error) {
		once.Do(func() {
			first.crashed.Store(true)
			close(killed)
		})
		return Acceptance{}, nil
	}
	first = w.engine(map[consultation.Channel]Provider{"sms": sms}, func(c *Config) { c.Lease = 200 * time.Millisecond })
	stop := w.run(first)
	w.message("out-1", Letter{Ways: by("sms")})
	<-killed
	stop()
	second := w.engine(map[consultation.Channel]Provider{"sms": sms}, nothing)
	w.run(second)
	w.until("it is sent again", func() bool { return len(sms.all()) == 2 })
	if all := sms.all(); all[0].Key != all[1].Key || all[0].ID != "out-1" {
		t.Errorf("%+v", all)
	}
	w.hear(second, Callback{Key: "k", Message: "out-1", Channel: "sms", Event: consultation.EventDelivered})
	w.is("out-1", "completed")
}

// TestTwoServers sends each message once with two servers at work.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := &box{answer: func(Message) (Acceptance, error) { return Acceptance{Final: true}, nil }}
	for range 2 {
		w.run(w.engine(map[consultation.Channel]Provider{"sms": sms}, nothing))
	}
	const n = 60
	for i := range n {
		w.message(fmt.Sprintf("m-%d", i), Letter{Ways: by("sms")})
	}
	for i := range n {
		w.is(fmt.Sprintf("m-%d", i), "completed")
	}
	seen := map[string]bool{}
	for _, m := range sms.all() {
		if seen[m.Key] {
			t.Errorf("%s was sent twice", m.ID)
		}
		seen[m.Key] = true
	}
	if len(seen) != n {
		t.Errorf("%d messages", len(seen))
	}
}

// TestFirstStart takes up what was there shortly before anybody followed the feed, and nothing
// older: who had it sent then has done so.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.message("old", Letter{Ways: by("sms")})
	for _, table := range []string{"ver", "res"} {
		if _, err := w.db.ExecContext(t.Context(), `UPDATE `+table+` SET updated = updated - interval '61 minutes'`); err != nil {
			t.Fatal(err)
		}
	}
	w.message("early", Letter{Ways: by("sms")})
	w.put("Communication", "over", `"status":"completed","basedOn":[{"reference":"CommunicationRequest/cr"}]`)
	w.put("Communication", "plain", `"status":"in-progress"`)
	sms := &box{}
	e := w.engine(map[consultation.Channel]Provider{"sms": sms}, nothing)
	w.run(e)
	w.until("it is sent", func() bool { return len(sms.all()) == 1 })
	var n int
	if err := e.db.QueryRowContext(t.Context(), `SELECT count(*) FROM dispatch_message`).Scan(&n); err != nil || n != 1 {
		t.Error(n, err)
	}
}

// TestLostPlace takes up all that is to be sent when the place in the feed is lost, however much it is.
func TestLostPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range followPage + 10 {
		w.message(fmt.Sprint("m-", n), Letter{Ways: by("sms")})
		w.put("Communication", fmt.Sprint("plain-", n), `"status":"in-progress"`)
	}
	e := w.engine(map[consultation.Channel]Provider{"sms": &box{}}, nothing)
	var taken []string
	for after := ""; ; {
		got, next, err := e.startOver(t.Context(), after, true)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := e.db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Keep != nil {
			err = got.Keep(t.Context(), tx)
		}
		if err = errors.Join(err, tx.Commit()); err != nil {
			t.Fatal(err)
		}
		if taken, after = append(taken, next), next; next == "" {
			break
		}
	}
	var n int
	if err := e.db.QueryRowContext(t.Context(), `SELECT count(*) FROM dispatch_message`).Scan(&n); err != nil || n != followPage+10 || len(taken) < 3 {
		t.Errorf("%d messages of %d pages: %v", n, len(taken), err)
	}
}

// TestHalt stops what is revoked before it is sent, and says what was sent already.
func TestHalt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := &box{}
	e := w.engine(map[consultation.Channel]Provider{"sms": sms}, nothing)
	later := Letter{Ways: by("sms"), Schedule: consultation.Schedule{Start: start.Add(time.Hour)}}
	w.run(e)
	w.message("sent", Letter{Ways: by("sms")})
	w.until("it is sent", func() bool { return len(sms.all()) == 1 })
	for _, id := range []string{"later", "kept"} {
		w.message(id, later)
		if sent, err := e.Halt(t.Context(), "cr-"+id, []string{id}); sent || err != nil {
			t.Error(sent, err)
		}
	}
	if sent, err := e.Halt(t.Context(), "cr-sent", []string{"later", "sent"}); !sent || err != nil {
		t.Error(sent, err)
	}
	w.desk.revoke("later")
	w.put("CommunicationRequest", "cr-later", `"status":"active"`)
	w.put("CommunicationRequest", "cr-later", `"status":"revoked"`)
	w.is("later", "stopped")
	w.pass(2 * time.Hour)
	w.until("what was not revoked after all is sent", func() bool { return len(sms.all()) == 2 })
	if got := sms.all()[1].ID; got != "kept" {
		t.Error(got)
	}
}

// TestHear refuses what is not known, and a key that means something else.
func TestHear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := &box{}
	e := w.engine(map[consultation.Channel]Provider{"sms": sms, "email": sms}, nothing)
	w.run(e)
	w.message("out-1", Letter{Ways: by("sms")})
	w.until("it is sent", func() bool { return len(sms.all()) == 1 })
	good := Callback{Channel: "sms", Key: "k", Message: "out-1", Event: "sending", At: start.Add(time.Hour)}
	if err := e.Hear(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Callback)
		class  fhir.Class
	}{
		"no such message":         {func(c *Callback) { c.Message = "out-2" }, fhir.Unknown},
		"a channel it was not on": {func(c *Callback) { c.Channel = "email" }, fhir.Unknown},
		"no key":                  {func(c *Callback) { c.Key = "" }, fhir.BadRequest},
		"no id":                   {func(c *Callback) { c.Message = "a/b" }, fhir.BadRequest},
		"no such event":           {func(c *Callback) { c.Event = "lost" }, fhir.BadRequest},
		"no time":                 {func(c *Callback) { c.At = time.Time{} }, fhir.BadRequest},
		"the key of another":      {func(c *Callback) { c.Event = "delivered" }, fhir.Unprocessable},
	} {
		bad := good
		c.change(&bad)
		if o := fhir.AsOutcome(e.Hear(t.Context(), bad)); o == nil || o.Class != c.class {
			t.Errorf("%s: %v", name, o)
		}
	}
	words, err := e.words(t.Context(), "out-1")
	if err != nil || len(words) != 1 || !words[0].At.Equal(start) {
		t.Errorf("%+v %v", words, err)
	}
}

// TestAnyOrder tells the same in several orders and more than once, and has the same come of it.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.engine(map[consultation.Channel]Provider{"nhs-app": &box{}, "sms": &box{}}, nothing)
	w.run(e)
	type said struct {
		channel consultation.Channel
		event   consultation.Event
	}
	script := []said{{"nhs-app", "delivered"}, {"nhs-app", "unnotified"}, {"sms", "permanent_failure"}, {"sms", "sending"}, {"sms", "delivered"}, {"nhs-app", "read"}}
	for i := range 6 {
		id := fmt.Sprintf("m-%d", i)
		w.message(id, Letter{Ways: by("nhs-app", "sms"), Schedule: consultation.Schedule{Fallback: time.Minute}})
		w.until("it is sent by "+id, func() bool {
			j, err := e.jobs(t.Context(), id)
			return err == nil && len(j) == 1 && !j[0].Sent.IsZero()
		})
		w.pass(2 * time.Minute)
		w.until("it is sent by both", func() bool {
			j, err := e.jobs(t.Context(), id)
			return err == nil && len(j) == 2 && !j[1].Sent.IsZero()
		})
		order := rand.Perm(len(script))
		for _, at := range append(order, order[:3]...) {
			w.hear(e, Callback{Key: fmt.Sprintf("%s-%d", id, at), Message: id, Channel: script[at].channel, Event: script[at].event})
		}
		w.is(id, "completed")
	}
	if len(w.desk.read) != 6 {
		t.Errorf("%v were read", w.desk.read)
	}
}
