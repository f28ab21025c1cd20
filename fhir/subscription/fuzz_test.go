package subscription

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// FuzzCheck writes whatever is a Subscription: what is stored never has the secret,
// always names its owner, has a status that a client may set, and is understood when
// it is read again.
func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	w.clock.hold()
	for _, s := range []string{
		hook("s", "https://example.org/s", extended(SecretExtension, `"valueString":"0123456789abcdef"`), `,"header":["A: b"]`),
		hook("s", "https://example.org/s", extended(handleExtension, `"valueString":"forged"`)),
		strings.Replace(hook("s", "https://example.org/s", extended(SecretExtension, `"valueString":"0123456789abcdef"`)), "https://fhir", `https:\/\/fhir`, -1),
		sub{criteria: "Task?status=ready", channel: plainHook}.json("s"),
		sub{criteria: canonicalBase + "task-changed|1.0.0", criteriaX: filter("Task?owner=Organization/1"), channel: `"type":"websocket"`, more: `,"end":"2030-01-01T00:00:00Z","status":"off"`}.json("s"),
		sub{criteria: "?", channel: `"type":"rest-hook","endpoint":"https://[","header":[":"]`}.json("s"),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := fhir.Decode("Subscription", body)
		if err != nil {
			return
		}
		q, _ := w.subs.read(r.Root())
		got, err := w.subs.Check(t.Context(), interaction.Subscribing{Grant: local, New: r})
		if err != nil {
			if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Unprocessable {
				t.Fatalf("%v for %s", err, body)
			}
			return
		}
		if s := got.Root().Child("status").Text(); s != requested && s != off {
			t.Errorf("the status is %s", s)
		}
		if !got.Root().Child("channel").Extension(SecretExtension).IsZero() {
			t.Errorf("a secret is left: %s", got.Source())
		}
		again, issues := w.subs.read(got.Root())
		if again.channel.handle == "" || again.channel.handle == q.channel.handle {
			t.Errorf("the handle is %q", again.channel.handle)
		}
		if got.Root().Child("status").Text() == requested && len(issues) > 0 {
			t.Errorf("it is not understood again: %v", issues)
		}
		if topic, typ, query := parse(again.criteria, again.filters); len(issues) == 0 && (typ != again.typ || query != again.query || (topic == nil) != (again.topic == nil)) {
			t.Errorf("%q %q, want %q %q", typ, query, again.typ, again.query)
		}
	})
}

// FuzzObject reads and writes objects.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1.10,"b":{"c":[1,2,{"d":null}]},"é":"\u00e9"}`, `{"a":"<&>"}`, `[]`, `{"a"`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := readObject(raw)
		if err != nil || !json.Valid(raw) {
			return
		}
		var want, got any
		if err := json.Unmarshal(o.bytes(), &got); err != nil {
			t.Fatalf("%s became %s: %v", raw, o.bytes(), err)
		}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if a, b := text(want), text(got); !bytes.Equal(a, b) {
			t.Errorf("%s became %s", a, b)
		}
		if o = o.with("x", []byte("1")); string(o.get("x")) != "1" || o.with("x", nil).get("x") != nil && !strings.Contains(string(raw), "x") {
			t.Errorf("%s", o.bytes())
		}
	})
}
