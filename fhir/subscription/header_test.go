package subscription

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

func TestKeep(t *testing.T) {
	t.Parallel()
	old := owner{endpoint: "https://a", headers: "Authorization: Bearer: x y\nX-A: 1\nX-A: 2\nX-Empty: "}
	for _, c := range []struct {
		endpoint string
		headers  []header
		want     string // what is kept, or what it is refused for
	}{
		{"https://a", nil, ""},
		{"https://a", []header{{"Authorization", "(kept)"}}, "Authorization: Bearer: x y"},
		{"https://a", []header{{"X-A", "(kept)"}, {"Authorization", "(kept)"}, {"X-A", "(kept)"}}, "X-A: 1\nAuthorization: Bearer: x y\nX-A: 2"},
		{"https://a", []header{{"X-A", "new"}, {"X-A", "(kept)"}, {"X-Empty", "(kept)"}}, "X-A: new\nX-A: 2\nX-Empty: "},
		{"https://a", []header{{"Authorization", "new"}}, "Authorization: new"},
		{"https://b", []header{{"Authorization", "new"}}, "Authorization: new"},
		{"https://b", nil, ""},
		{"https://b", []header{{"X-B", "new"}, {"Authorization", "(kept)"}}, "Subscription.channel.header[1]"},
		{"https://a/", []header{{"Authorization", "(kept)"}}, "Subscription.channel.header[0]"},
		{"", []header{{"Authorization", "(kept)"}}, "Subscription.channel.header[0]"},
		{"https://a", []header{{"X-B", "(kept)"}}, "Subscription.channel.header[0]"},
		{"https://a", []header{{"X-A", "(kept)"}, {"X-A", "(kept)"}, {"X-A", "(kept)"}}, "Subscription.channel.header[2]"},
	} {
		got, err := (&channel{endpoint: c.endpoint, headers: c.headers}).keep(old)
		if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unprocessable && got == "" {
			got = o.Issues[0].Expression
		} else if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s %v: %q, want %q", c.endpoint, c.headers, got, c.want)
		}
	}
	if got, err := (&channel{headers: []header{{"A", "(kept)"}}}).keep(owner{}); err == nil {
		t.Errorf("of nobody: %q", got)
	}
}

// shows fails the test if any version of a Subscription, or what is said about it,
// has something in it.
func (w *world) shows(s *interaction.Session, id, word string) {
	w.t.Helper()
	var all []string
	for n := 1; ; n++ {
		v, err := w.store.VRead(w.t.Context(), fhir.Key{Type: "Subscription", ID: id}, n)
		if err != nil {
			w.t.Fatal(err)
		}
		if v == nil {
			break
		}
		all = append(all, string(v.Stored))
	}
	status, err := w.subs.Status(w.t.Context(), s, []string{id})
	if err != nil {
		w.t.Fatal(err)
	}
	if all = append(all, string(status)); len(all) < 2 || strings.Contains(strings.Join(all, "\n"), word) {
		w.t.Errorf("%s is in one of %s", word, all)
	}
}

// colleague returns a session of somebody who may read and write what the
// organisation a has.
func (w *world) colleague(name string) *interaction.Session {
	g := reader("a", everything, "*")
	terms := g.Terms()
	terms.Client, terms.Holder = "client "+name, "holder "+name
	g = access.NewGrant(terms)
	w.setGrant(terms.Holder, g)
	return w.engine.For(g, interaction.Origin{})
}

// TestHeadersStayWithTheEndpoint has a colleague of who has given an Authorization
// look for it, and have it sent elsewhere.
func TestHeadersStayWithTheEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at, theirs := w.endpoint(), w.endpoint()
	w.run(w.subs)
	hers, his := w.colleague("grace"), w.colleague("ben")
	const given, shown = `,"header":["authorization: Bearer mine","X-A: b"]`, `,"header":["Authorization: (kept)","X-A: (kept)"]`
	done, err := hers.Create(t.Context(), decode(t, hook("x", at.URL+"/s", given)))
	if err != nil {
		t.Fatal(err)
	}
	id := done.Key.ID
	last := func(e *endpoint) string {
		all := e.all()
		x := all[len(all)-1].header
		return x.Get("Authorization") + x.Get("X-A")
	}
	update := func(s *interaction.Session, url, reason string, more ...string) error {
		_, err := s.Update(t.Context(), id, decode(t, strings.Replace(hook(id, url, more...), `"test"`, `"`+reason+`"`, 1)), store.Anything)
		return err
	}
	w.is(id, active)
	if last(at) != "Bearer mineb" {
		t.Errorf("it is sent with %v", at.all())
	}
	v, err := his.Read(t.Context(), done.Key)
	if err != nil || !strings.Contains(string(v.Stored), shown[1:]) {
		t.Errorf("%s, %v: want the names of the headers", v.Stored, err)
	}
	w.shows(his, id, "Bearer mine")

	// Whoever sends back what they have read keeps them, for the same endpoint only.
	if err := update(his, at.URL+"/s", "another", shown); err != nil {
		t.Fatal(err)
	}
	w.is(id, active)
	if n := len(at.all()); n < 2 || last(at) != "Bearer mineb" {
		t.Errorf("the headers are not kept: %v", at.all())
	}
	for _, off := range []string{"requested", "off"} {
		body := strings.Replace(hook(id, theirs.URL+"/s", shown), "requested", off, 1)
		_, err = his.Update(t.Context(), id, decode(t, body), store.Anything)
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.Unprocessable || len(o.Issues) != 2 || o.Issues[0].Expression != "Subscription.channel.header[0]" || !strings.Contains(o.Error(), "Authorization") {
			t.Errorf("the headers are kept for another endpoint: %v", err)
		}
	}
	if err := update(his, theirs.URL+"/s", "test"); err != nil {
		t.Fatal(err)
	}
	w.is(id, active)
	if n := len(theirs.all()); n < 1 || last(theirs) != "" {
		t.Errorf("the headers are sent to another endpoint: %v", theirs.all())
	}
	// They are gone, and have to be given anew.
	if err := update(hers, at.URL+"/s", "test", shown); fhir.AsOutcome(err) == nil {
		t.Error("the headers are there again")
	}
	if err := update(hers, at.URL+"/s", "test", `,"header":["Authorization: Bearer new"]`); err != nil {
		t.Fatal(err)
	}
	w.is(id, active)
	if last(at) != "Bearer new" {
		t.Errorf("it is sent with %v", at.all())
	}
	w.shows(his, id, "Bearer")
}

// TestHeadersOfWhatIsOff makes sure that nothing is shown because it was not
// understood.
func TestHeadersOfWhatIsOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ channel, want string }{
		{`"type":"email","header":["Authorization: Bearer mine"]`, ""},
		{plainHook + `,"header":["A: Bearer mine","a:Bearer mine"]`, ""},
		{plainHook + `,"header":["Bearer mine"]`, "Subscription.channel.header[0]"},
		{plainHook + `,"header":["A: b","Host: Bearer mine"]`, "Subscription.channel.header[1]"},
		{plainHook + `,"header":["A: b",null],"_header":[null,{"id":"x"}]`, "Subscription.channel.header[1]"},
		{plainHook + `,"header":[` + strings.Repeat(`"A: b",`, 20) + `"A: b"]`, "Subscription.channel.header[0]"},
	} {
		r := decode(t, sub{criteria: "x", channel: c.channel, more: `,"status":"off"`}.json("s"))
		got, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: local, Key: fhir.Key{Type: "Subscription", ID: "s"}, New: r})
		if c.want == "" {
			if err != nil || strings.Contains(string(got.Source()), "Bearer") {
				t.Errorf("%s: %v %v", c.channel, got, err)
			}
			continue
		}
		if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable || o.Issues[0].Expression != c.want {
			t.Errorf("%s: %v, want something about %s", c.channel, err, c.want)
		}
	}
}

// TestTrustedSendsBack has a trusted system write what it has just read, though the
// server has not heard of the version yet.
func TestTrustedSendsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.put(hook("s", at.URL+"/s", `,"header":["Authorization: Bearer mine"]`))
	content := func(id string) string {
		v, err := w.store.ReadContent(t.Context(), fhir.Key{Type: "Subscription", ID: id})
		if err != nil {
			t.Fatal(err)
		}
		return string(v.Stored)
	}
	w.put(strings.Replace(content("s"), `"test"`, `"another"`, 1))
	w.run(w.subs)
	w.is("s", active)
	if x := at.all()[0].header.Get("Authorization"); x != "Bearer mine" {
		t.Errorf("it is sent with %q", x)
	}
	// The handle of one is good for no other.
	_, err := w.trusted.Update(t.Context(), "other", decode(t, strings.Replace(content("s"), `"id":"s"`, `"id":"other"`, 1)), store.Anything)
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable {
		t.Errorf("the headers of another Subscription: %v", err)
	}
}

// owners counts who has asked for Subscriptions.
func (w *world) owners() (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(`SELECT count(*) FROM subscription_owner`).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestNothingIsLeft is about Subscriptions that are not stored in the end.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := hook("s", "https://example.org/s", `,"header":["A: b"]`)
	b := interaction.Bundle{Dry: true, Entries: []interaction.Entry{
		{Method: "PUT", Key: fhir.Key{Type: "Subscription", ID: "s"}, Resource: decode(t, body)},
		{Method: "POST", Key: fhir.Key{Type: "Subscription"}, Resource: decode(t, body)},
	}}
	for _, s := range []*interaction.Session{w.trusted, w.colleague("grace")} {
		if _, err := s.Batch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if replies, err := w.trusted.Transaction(t.Context(), b); err != nil || strings.Contains(string(replies[0].Stored), "A: b") {
			t.Errorf("%+v, %v", replies, err)
		}
	}
	if n := w.owners(); n != 0 {
		t.Errorf("a dry run leaves %d rows", n)
	}
	b.Dry, b.Entries[1].Resource = false, decode(t, strings.Replace(body, "https://", "ftp://", 1))
	if _, err := w.trusted.Transaction(t.Context(), b); fhir.AsOutcome(err) == nil {
		t.Fatal("an endpoint that cannot be called was taken")
	}
	w.put(hook("kept", "https://example.org/kept"))
	rows := w.owners()
	if rows < 2 {
		t.Fatalf("%d rows, want that of what was refused, too", rows)
	}
	w.run(w.subs)
	w.clock.until(t, "it is known", time.Minute, func() bool {
		var n int
		return w.db.QueryRow(`SELECT count(*) FROM subscription WHERE handle <> ''`).Scan(&n) == nil && n == 1
	})
	for _, c := range []struct {
		age  string
		want int
	}{{"23 hours", rows}, {"2 hours", 1}} {
		if _, err := w.db.Exec(fmt.Sprintf(`UPDATE subscription_owner SET made = made - interval '%s'`, c.age)); err != nil {
			t.Fatal(err)
		}
		w.clock.pass(t, tidyEvery+time.Minute)
		if n := w.owners(); n != c.want {
			t.Errorf("%s later there are %d rows, want %d", c.age, n, c.want)
		}
	}
}
