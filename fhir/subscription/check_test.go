package subscription

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// A sub is a Subscription in parts.
type sub struct {
	criteria, criteriaX string // with extensions
	channel             string
	more                string
}

func (s sub) json(id string) string {
	x := ""
	if s.criteriaX != "" {
		x = `,"_criteria":{"extension":[` + s.criteriaX + `]}`
	}
	if !strings.Contains(s.more, `"status"`) {
		s.more += `,"status":"requested"`
	}
	return fmt.Sprintf(`{"resourceType":"Subscription","id":%q,"reason":"test","criteria":%q%s,"channel":{%s}%s}`, id, s.criteria, x, s.channel, s.more)
}

const plainHook = `"type":"rest-hook","endpoint":"https://example.org/hook"`

func filter(query string) string {
	return fmt.Sprintf(`{"url":%q,"valueString":%q}`, filterExtension, query)
}

func extended(url, value string) string {
	return fmt.Sprintf(`,"extension":[{"url":%q,%s}]`, url, value)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	changed := canonicalBase + "task-changed"
	for _, c := range []struct {
		name string
		sub
		want string // the expression that is to blame; empty: taken
		says string
	}{
		{"R4 criteria", sub{criteria: "Task?status=ready", channel: plainHook}, "", ""},
		{"several", sub{criteria: "Observation?code=http://loinc.org|1-1&_lastUpdated=gt2020", channel: plainHook}, "", ""},
		{"payload", sub{criteria: "Task?status=ready", channel: plainHook + `,"payload":"application/fhir+xml"`}, "", ""},
		{"topic", sub{criteria: changed, channel: plainHook}, "", ""},
		{"topic with version", sub{criteria: changed + "|1.0.0", channel: plainHook}, "", ""},
		{"topic with filters", sub{criteria: changed, criteriaX: filter("Task?owner=Organization/1") + "," + filter("Task?status:not=ready&code=x"), channel: plainHook}, "", ""},
		{"websocket", sub{criteria: changed, channel: `"type":"websocket"`}, "", ""},
		{"off, whatever it says", sub{criteria: "Nonsense", channel: `"type":"email"`, more: `,"status":"off"`}, "", ""},
		{"end to come", sub{criteria: changed, channel: plainHook, more: `,"end":"2026-03-02T00:00:00Z"`}, "", ""},
		{"all extensions", sub{criteria: changed, channel: plainHook + `,"payload":"application/fhir+json","_payload":{"extension":[{"url":"` + contentExtension + `","valueCode":"full-resource"}]}` +
			`,"header":["Authorization: Bearer x","X-A: b"],"extension":[{"url":"` + beatExtension + `","valueUnsignedInt":300},{"url":"` + timeoutExtension + `","valueUnsignedInt":30},{"url":"` + mostExtension + `","valuePositiveInt":20},{"url":"` + SecretExtension + `","valueString":"0123456789abcdef"}]`}, "", ""},

		{"no criteria", sub{criteria: "Task", channel: plainHook}, "Subscription.criteria", "at least one search parameter"},
		{"no type", sub{criteria: "?status=ready", channel: plainHook}, "Subscription.criteria", "resource type"},
		{"unknown type", sub{criteria: "Tusk?status=ready", channel: plainHook}, "Subscription.criteria", "resource type"},
		{"unknown parameter", sub{criteria: "Task?colour=red", channel: plainHook}, "Subscription.criteria", "colour"},
		{"bad value", sub{criteria: "Task?authored-on=yesterday", channel: plainHook}, "Subscription.criteria", ""},
		{"result parameter", sub{criteria: "Task?status=ready&_count=3", channel: plainHook}, "Subscription.criteria", "_count"},
		{"include", sub{criteria: "Task?status=ready&_include=Task:focus", channel: plainHook}, "Subscription.criteria", "_include"},
		{"chain", sub{criteria: "Task?patient.name=x", channel: plainHook}, "Subscription.criteria", "chains"},
		{"_has", sub{criteria: "Patient?_has:Observation:patient:code=1", channel: plainHook}, "Subscription.criteria", "chains"},
		{"_text", sub{criteria: "Patient?_content=x", channel: plainHook}, "Subscription.criteria", "_content"},
		{"audit", sub{criteria: "AuditEvent?action=R", channel: plainHook}, "Subscription.criteria", "AuditEvent"},
		{"of subscriptions", sub{criteria: "Subscription?status=error", channel: plainHook}, "Subscription.criteria", "Subscription"},
		{"filter without a topic", sub{criteria: "Task?status=ready", criteriaX: filter("Task?owner=x"), channel: plainHook}, "Subscription.criteria.extension[0]", "topic"},
		{"content without a topic", sub{criteria: "Task?status=ready", channel: plainHook + `,"payload":"application/fhir+json","_payload":{"extension":[{"url":"` + contentExtension + `","valueCode":"id-only"}]}`}, "Subscription.channel.payload.extension[0]", "topic"},
		{"unknown topic", sub{criteria: canonicalBase + "moon", channel: plainHook}, "Subscription.criteria", "task-changed"},
		{"topic of another server", sub{criteria: "http://example.org/SubscriptionTopic/task-changed", channel: plainHook}, "Subscription.criteria", "task-changed"},
		{"unknown version of a topic", sub{criteria: changed + "|9", channel: plainHook}, "Subscription.criteria", "task-changed"},
		{"filter of another type", sub{criteria: changed, criteriaX: filter("Patient?name=x"), channel: plainHook}, "Subscription.criteria.extension[0]", "Task?parameter"},
		{"filter that the topic does not have", sub{criteria: changed, criteriaX: filter("Task?intent=order"), channel: plainHook}, "Subscription.criteria.extension[0]", "requester"},
		{"filter by a chain", sub{criteria: changed, criteriaX: filter("Task?patient.name=x"), channel: plainHook}, "Subscription.criteria.extension[0]", ""},
		{"email", sub{criteria: changed, channel: `"type":"email","endpoint":"mailto:a@example.org"`}, "Subscription.channel.type", "rest-hook or websocket"},
		{"sms", sub{criteria: changed, channel: `"type":"sms"`}, "Subscription.channel.type", "rest-hook or websocket"},
		{"custom channel", sub{criteria: changed, channel: plainHook + `,"_type":{"extension":[{"url":"` + typeExtension + `","valueCoding":{"code":"zulip"}}]}`}, "Subscription.channel.type", "rest-hook or websocket"},
		{"no endpoint", sub{criteria: changed, channel: `"type":"rest-hook"`}, "Subscription.channel", "endpoint"},
		{"http", sub{criteria: changed, channel: `"type":"rest-hook","endpoint":"http://example.org"`}, "Subscription.channel.endpoint", "https"},
		{"payload type", sub{criteria: changed, channel: plainHook + `,"payload":"text/plain"`}, "Subscription.channel.payload", "application/fhir+json"},
		{"content", sub{criteria: changed, channel: plainHook + `,"payload":"application/fhir+json","_payload":{"extension":[{"url":"` + contentExtension + `","valueCode":"some"}]}`}, "Subscription.channel.payload", "full-resource"},
		{"header without a colon", sub{criteria: changed, channel: plainHook + `,"header":["X"]`}, "Subscription.channel.header[0]", "Name: value"},
		{"header with a line break", sub{criteria: changed, channel: plainHook + `,"header":["X-A: b","X-A: b\r\nX-B: c"]`}, "Subscription.channel.header[1]", "one line"},
		{"header of the server", sub{criteria: changed, channel: plainHook + `,"header":["host: x"]`}, "Subscription.channel.header[0]", "Host"},
		{"header that signs", sub{criteria: changed, channel: plainHook + `,"header":["x-signature: x"]`}, "Subscription.channel.header[0]", "X-Signature"},
		{"heartbeats too often", sub{criteria: changed, channel: plainHook + extended(beatExtension, `"valueUnsignedInt":5`)}, "Subscription.channel.extension[0]", "30"},
		{"timeout too long", sub{criteria: changed, channel: plainHook + extended(timeoutExtension, `"valueUnsignedInt":6000`)}, "Subscription.channel.extension[0]", "600"},
		{"too many events", sub{criteria: changed, channel: plainHook + extended(mostExtension, `"valuePositiveInt":101`)}, "Subscription.channel.extension[0]", "100"},
		{"short secret", sub{criteria: changed, channel: plainHook + extended(SecretExtension, `"valueString":"short"`)}, "Subscription.channel.extension[0]", "16"},
		{"end is over", sub{criteria: changed, channel: plainHook, more: `,"end":"2026-03-01T08:59:59Z"`}, "Subscription.end", "still to come"},
		{"active", sub{criteria: changed, channel: plainHook, more: `,"status":"active"`}, "Subscription.status", "requested or off"},
		{"error", sub{criteria: changed, channel: plainHook, more: `,"status":"error"`}, "Subscription.status", "requested or off"},
	} {
		r := decode(t, c.json("s"))
		got, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: local, Key: fhir.Key{Type: "Subscription", ID: "s"}, New: r})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if strings.Contains(string(got.Source()), "0123456789abcdef") || strings.Contains(string(got.Source()), "Bearer x") {
				t.Errorf("%s: the secret or a header is still there: %s", c.name, got.Source())
			}
			continue
		}
		o := fhir.AsOutcome(err)
		if o == nil || o.Class != fhir.Unprocessable || !strings.HasPrefix(o.Issues[0].Expression, c.want) || !strings.Contains(o.Error(), c.says) {
			t.Errorf("%s: %v, want something about %s that says %q", c.name, err, c.want, c.says)
		}
	}
}

// TestCheckSaysAll makes sure that all problems come together.
func TestCheckSaysAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := decode(t, sub{criteria: "Task?colour=red", channel: `"type":"rest-hook","endpoint":"ftp://x","payload":"a/b","header":["x"]`, more: `,"end":"2001-01-01T00:00:00Z"`}.json("s"))
	_, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: local, New: r})
	if o := fhir.AsOutcome(err); o == nil || len(o.Issues) != 5 {
		t.Errorf("%v, want five issues", err)
	}
}

func TestCheckTakesTheSample(t *testing.T) {
	t.Parallel()
	sample, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "domain", "set-c-messaging-sync", "subscription-advice-response.json"))
	if err != nil {
		t.Skipf("the samples are not here: %v", err)
	}
	w := newWorld(t)
	got, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: local, New: decode(t, string(sample))})
	if err != nil {
		t.Fatal(err)
	}
	q, issues := w.subs.read(got.Root())
	if len(issues) > 0 || q.topic.Name != "advice-response-received" || q.query != "requester=Organization/prac-1" || q.channel.content != contentID ||
		q.channel.beat != 5*time.Minute || q.channel.timeout != 30*time.Second || q.channel.headers[0] != (header{"Authorization", keptValue}) {
		t.Errorf("%+v %v", q, issues)
	}
}

// reader returns the grant of an organisation's backend client.
func reader(id string, allows access.Permission, types ...string) access.Grant {
	var scopes []access.Scope
	for _, typ := range types {
		scopes = append(scopes, access.Scope{Context: access.ForSystem, Type: typ, Allows: allows})
	}
	return access.NewGrant(access.Terms{
		Client: "client " + id, ID: "grant " + id, Holder: "holder " + id, Organizations: []string{id}, Scopes: scopes,
		Standings: map[access.Context]access.Standing{access.ForSystem: {Parties: []access.Key{
			{Kind: access.Open}, {Kind: access.Party, Of: "Organization/" + id}, {Kind: access.Author, Of: "Organization/" + id},
		}}},
	})
}

const everything = access.MayCreate | access.MayRead | access.MayUpdate | access.MayDelete | access.MaySearch

func TestCheckAsksTheGrant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nobody := access.NewGrant(access.Terms{Client: "x", Scopes: []access.Scope{{Context: access.ForSystem, Type: "*", Allows: everything}}})
	for _, c := range []struct {
		name  string
		grant access.Grant
		want  bool
	}{
		{"all", reader("a", everything, "*"), true},
		{"search and read", reader("a", access.MaySearch|access.MayRead, "Task"), true},
		{"search only", reader("a", access.MaySearch, "Task"), false},
		{"read only", reader("a", access.MayRead, "Task"), false},
		{"another type", reader("a", everything, "Patient"), false},
		{"who cannot be asked later", nobody, false},
		{"zero", access.Grant{}, false},
	} {
		_, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: c.grant, New: decode(t, hook("s", "https://example.org"))})
		if o := fhir.AsOutcome(err); (err == nil) != c.want || err != nil && (o == nil || o.Class != fhir.Denied) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// What a patient is not shown of a practitioner they may not ask by.
	patient := access.NewGrant(access.Terms{Client: "app", Holder: "p", Patient: fhir.Key{Type: "Patient", ID: "p"}, Scopes: []access.Scope{{Context: access.ForPatient, Type: "*", Allows: everything}}})
	_, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: patient, New: decode(t, sub{criteria: "Practitioner?phone=1", channel: plainHook}.json("s"))})
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied {
		t.Errorf("by what is withheld: %v", err)
	}
}

// TestStatusIsTheServers writes Subscriptions as a client does and looks at what is
// stored.
func TestStatusIsTheServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.endpoint()
	w.run(w.subs)
	g := reader("a", everything, "Subscription", "Task")
	w.setGrant("holder a", g)
	s := w.engine.For(g, interaction.Origin{})
	done, err := s.Create(t.Context(), decode(t, hook("x", at.URL+"/s", extended(SecretExtension, `"valueString":"0123456789abcdef"`))))
	if err != nil {
		t.Fatal(err)
	}
	id := done.Key.ID
	handle := func() string {
		v, err := w.store.ReadContent(t.Context(), done.Key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(v.Stored), "0123456789abcdef") {
			t.Fatalf("the secret is stored in the resource: %s", v.Stored)
		}
		q, _ := w.subs.read(decode(t, string(v.Stored)).Root())
		return q.channel.handle
	}
	w.is(id, active)
	v, err := s.Read(t.Context(), done.Key)
	if err != nil {
		t.Fatal(err)
	}
	first := handle()

	back, err := s.Update(t.Context(), id, decode(t, string(v.Stored)), store.Anything)
	if err != nil || back.Outcome != store.Unchanged {
		t.Errorf("sent back as it was read: %v, %v", back.Outcome, err)
	}
	changed := strings.Replace(string(v.Stored), `"reason":"test"`, `"reason":"another"`, 1)
	if _, err := s.Update(t.Context(), id, decode(t, changed), store.Anything); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.status(id); got != requested {
		t.Errorf("changed, it is %s", got)
	}
	if handle() != first {
		t.Error("it has another owner, though the same client has written it")
	}
	w.is(id, active)

	// The secret stays with the endpoint.
	w.put(task("x", "consultation", "requested"))
	if o, err := w.subs.owner(t.Context(), first); err != nil || o.secret != "0123456789abcdef" || o.holder != "holder a" {
		t.Errorf("%+v, %v", o, err)
	}
	elsewhere := strings.Replace(changed, at.URL+"/s", "https://example.com/s", 1)
	if _, err := s.Update(t.Context(), id, decode(t, elsewhere), store.Anything); err != nil {
		t.Fatal(err)
	}
	if o, err := w.subs.owner(t.Context(), handle()); err != nil || o.secret != "" {
		t.Errorf("the secret has gone to another endpoint: %+v, %v", o, err)
	}

	// Who writes it last answers for it, and a handle cannot be brought along.
	forged := strings.Replace(hook("forged", at.URL+"/f", extended(handleExtension, fmt.Sprintf(`"valueString":%q`, first))), "test", "forged", 1)
	w.put(forged)
	f, err := w.store.ReadContent(t.Context(), fhir.Key{Type: "Subscription", ID: "forged"})
	if err != nil {
		t.Fatal(err)
	}
	q, _ := w.subs.read(decode(t, string(f.Stored)).Root())
	if o, err := w.subs.owner(t.Context(), q.channel.handle); err != nil || o.holder != local.Terms().Holder {
		t.Errorf("%+v, %v; want who has written it", o, err)
	}
}
