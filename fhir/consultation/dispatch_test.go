package consultation_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

func medium(codes ...string) []any {
	var all []any
	for _, c := range codes {
		all = append(all, object{"coding": []any{object{"system": consultation.ChannelSystem, "code": c}}})
	}
	return all
}

func everyChannel() []consultation.Channel { return consultation.Channels() }

// reachable is a patient who can be reached by all channels.
func reachable(more object) object {
	return with(object{
		"resourceType": "Patient", "id": "pat-1", "active": true,
		"identifier": []any{object{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "999 000 0018"}},
		"telecom": []any{
			object{"system": "phone", "use": "home", "value": "020 7946 0000"},
			object{"system": "phone", "use": "mobile", "value": "07700 900-123"},
			object{"system": "email", "value": "ann@example.org"},
		},
	}, more)
}

func contactConsent(category, typ string, channels ...string) object {
	return object{
		"resourceType": "Consent", "status": "active", "scope": object{"text": "s"}, "patient": reference("Patient/pat-1"),
		"category":   []any{object{"coding": []any{object{"system": consultation.ContactRuleSystem, "code": category}}}},
		"policyRule": object{"text": "p"},
		"provision":  object{"type": typ, "code": medium(channels...)},
	}
}

func noCodes(consent object) object { delete(consent["provision"].(object), "code"); return consent }

// TestCheckRequest holds every rule of who may be reached by what.
func TestCheckRequest(t *testing.T) {
	t.Parallel()
	app, sms := consultation.Way{Channel: "nhs-app", Address: "9990000018", Text: true}, consultation.Way{Channel: "sms", Address: "07700900123"}
	email, push := consultation.Way{Channel: "email", Address: "ann@example.org", Text: true}, consultation.Way{Channel: "push", Address: "Patient/pat-1"}
	asText := func(w consultation.Way) consultation.Way { w.Text = true; return w }
	telecom := func(points ...any) object { return object{"telecom": points} }
	labelled := func(code string) object {
		return object{"meta": object{"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code}}}}
	}
	optOut := func(code string) object {
		return object{"extension": []any{object{"url": consultation.ContactOptOutURL, "valueCode": code}}}
	}
	content := func(code string) any { return object{"url": consultation.ContentURL, "valueCode": code} }
	override := object{"url": consultation.ContactOverrideURL, "valueString": "she told me"}
	long := func(n int) []any { return []any{object{"contentString": strings.Repeat("é", n)}} }
	for _, c := range []struct {
		name     string
		media    []any
		request  object
		patient  object
		consents []object
		served   []consultation.Channel
		shared   string
		want     []consultation.Way
		detail   string
		says     string
	}{
		{name: "in the order of the request", media: medium("sms", "nhs-app", "push", "email", "sms"), want: []consultation.Way{sms, app, push, email}},
		{name: "no medium is the inbox", patient: object{"telecom": nil}},
		{name: "what is no channel", media: medium("fax"), detail: "no-permitted-channel", says: "sms"},
		{name: "no sender for the first", media: medium("nhs-app", "sms"), served: []consultation.Channel{"sms"}, want: []consultation.Way{sms}},
		{name: "no sender at all", media: medium("sms"), served: []consultation.Channel{"email"}, detail: "no-permitted-channel", says: "This server has no sender for sms."},
		{name: "dead", media: medium("sms"), patient: object{"deceasedDateTime": "2024"}, detail: "recipient-not-contactable"},
		{name: "dead, for the inbox", patient: object{"deceasedBoolean": true}, detail: "recipient-not-contactable"},
		{name: "not dead", media: medium("sms"), patient: object{"deceasedBoolean": false}, want: []consultation.Way{sms}},
		{name: "left", media: medium("sms"), patient: object{"active": false}, detail: "recipient-not-contactable"},
		{name: "opted out of one", media: medium("sms", "email"), patient: optOut("sms"), want: []consultation.Way{email}},
		{name: "opted out of all", media: medium("sms", "nhs-app"), patient: optOut("all"), detail: "no-permitted-channel", says: "does not want to be contacted by sms, nhs-app"},
		{name: "denied by Consent", media: medium("sms", "email"), consents: []object{contactConsent("contact", "deny", "sms")}, want: []consultation.Way{email}},
		{name: "denied altogether", media: medium("sms", "email"), consents: []object{noCodes(contactConsent("contact", "deny"))}, detail: "no-permitted-channel"},
		{name: "a Consent about something else", media: medium("sms"), consents: []object{contactConsent("research", "deny", "sms")}, want: []consultation.Way{sms}},
		{name: "a Consent that is over", media: medium("sms"), consents: []object{with(contactConsent("contact", "deny", "sms"), object{"status": "inactive"})}, want: []consultation.Way{sms}},
		{name: "restricted: no contact data", media: medium("sms", "email", "nhs-app"), patient: labelled("R"), want: []consultation.Way{app}},
		{name: "very restricted", media: medium("sms"), patient: labelled("V"), detail: "no-permitted-channel", says: "no contact that may be used for sms"},
		{name: "normal", media: medium("sms"), patient: labelled("N"), want: []consultation.Way{sms}},
		{name: "no number", media: medium("sms", "email"), patient: telecom(object{"system": "phone", "use": "home", "value": "020 7946 0000"}), detail: "no-permitted-channel"},
		{name: "an old number", media: medium("sms"), patient: telecom(object{"system": "sms", "use": "old", "value": "07700900999"}), detail: "no-permitted-channel"},
		{name: "a number that is over", media: medium("sms"), patient: telecom(object{"system": "sms", "value": "07700900999", "period": object{"end": "2025-11-19"}}), detail: "no-permitted-channel"},
		{name: "a number until today", media: medium("sms"), patient: telecom(object{"system": "sms", "value": "07700900123", "period": object{"end": "2025-11-20"}}), want: []consultation.Way{sms}},
		{name: "a number from tomorrow", media: medium("sms"), patient: telecom(object{"system": "sms", "value": "07700900999", "period": object{"start": "2025-11-21"}}), detail: "no-permitted-channel"},
		{name: "rank before use", media: medium("sms"), want: []consultation.Way{sms}, patient: telecom(
			object{"system": "phone", "use": "mobile", "value": "07700900999"}, object{"system": "sms", "use": "work", "rank": 1, "value": "07700900123"})},
		{name: "what is no number", media: medium("sms"), patient: telecom(object{"system": "sms", "value": "ask her"}), detail: "no-permitted-channel"},
		{name: "no address of e-mail", media: medium("email"), patient: telecom(object{"system": "email", "value": "ann@example.org, bob@example.org"}), detail: "no-permitted-channel"},
		{name: "a header in an address", media: medium("email"), patient: telecom(object{"system": "email", "value": "ann@example.org\r\nBcc: x@example.org"}), detail: "no-permitted-channel"},
		{name: "no NHS number", media: medium("nhs-app"), patient: object{"identifier": nil}, detail: "no-permitted-channel"},
		{name: "shared", media: medium("sms"), shared: "07700900123", detail: "contact-unverified"},
		{name: "shared, but there is another", media: medium("sms", "email"), shared: "07700900123", want: []consultation.Way{email}},
		{name: "shared, and used all the same", media: medium("sms"), shared: "07700900123", request: object{"extension": []any{override}}, want: []consultation.Way{sms}},
		{name: "not verified", media: medium("sms"), detail: "contact-unverified", patient: telecom(object{"system": "sms", "value": "07700900123",
			"extension": []any{object{"url": consultation.ContactVerifiedURL, "valueBoolean": false}}})},
		{name: "too long for the app", media: medium("sms", "nhs-app"), request: object{"payload": long(5001)}, detail: "message-too-long", says: "channel nhs-app takes 5000"},
		{name: "just fits the app", media: medium("nhs-app"), request: object{"payload": long(5000)}, want: []consultation.Way{app}},
		{name: "too long for e-mail", media: medium("email"), request: object{"payload": long(100_001)}, detail: "message-too-long", says: "email"},
		{name: "a link is never too long", media: medium("sms", "push"), request: object{"payload": long(5001)}, want: []consultation.Way{sms, push}},
		{name: "a link to the app", media: medium("nhs-app"), request: object{"payload": long(5001), "extension": []any{content("link")}}, want: []consultation.Way{{Channel: "nhs-app", Address: "9990000018"}}},
		{name: "text by SMS without consent is a link", media: medium("sms"), request: object{"extension": []any{content("text")}}, want: []consultation.Way{sms}},
		{name: "text by SMS with consent", media: medium("sms"), request: object{"extension": []any{content("text")}, "payload": long(918)},
			consents: []object{contactConsent("text-by-channel", "permit", "sms")}, want: []consultation.Way{asText(sms)}},
		{name: "consent to text for another channel", media: medium("sms"), request: object{"extension": []any{content("text")}},
			consents: []object{contactConsent("text-by-channel", "permit", "push")}, want: []consultation.Way{sms}},
		{name: "consent to text without a channel is none", media: medium("sms"), request: object{"extension": []any{content("text")}},
			consents: []object{noCodes(contactConsent("text-by-channel", "permit"))}, want: []consultation.Way{sms}},
		{name: "text too long for SMS", media: medium("sms"), request: object{"extension": []any{content("text")}, "payload": long(919)}, detail: "message-too-long", says: "channel sms takes 918"},
		{name: "fallback-after of nothing", media: medium("sms"), detail: "fallback-after-invalid", request: object{"extension": []any{
			object{"url": consultation.FallbackAfterURL, "valueDuration": object{"value": 0, "system": "http://unitsofmeasure.org", "code": "h"}}}}},
	} {
		o := with(tree(t, talkSample(t, "communicationrequest-nhsapp-then-sms.json")), object{"medium": c.media, "extension": nil})
		o = with(o, c.request)
		d := consultation.Dispatch{Request: make1(t, clean(o)).Root(), Served: everyChannel(), Now: moment(t, "2025-11-20T11:00:00Z")}
		if c.served != nil {
			d.Served = c.served
		}
		a := consultation.Addressee{Person: make1(t, clean(reachable(c.patient)))}
		for _, consent := range c.consents {
			a.Consents = append(a.Consents, make1(t, consent))
		}
		if c.shared != "" {
			a.Shared = []string{c.shared}
		}
		d.Addressees = []consultation.Addressee{a}
		got, err := consultation.CheckRequest(d)
		if c.detail != "" {
			if f := fhir.AsOutcome(err); f == nil || f.Class != fhir.Unprocessable || f.Issues[0].Detail != c.detail || !strings.Contains(f.Issues[0].Text, c.says) {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			continue
		}
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", c.name, got, err)
			continue
		}
		if diff := cmp.Diff(c.want, got[0]); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// clean takes out what is nil.
func clean(o object) object {
	for name, v := range o {
		if v == nil {
			delete(o, name)
		}
		if list, is := v.([]any); is && len(list) == 0 {
			delete(o, name)
		}
	}
	return o
}

// TestBatch refuses more recipients than one request may have.
func TestBatch(t *testing.T) {
	t.Parallel()
	d := consultation.Dispatch{Request: make1(t, tree(t, talkSample(t, "communicationrequest-nhsapp-then-sms.json"))).Root(), Served: everyChannel(), Most: 2, Now: talkNow}
	for range 3 {
		d.Addressees = append(d.Addressees, consultation.Addressee{Person: make1(t, reachable(nil))})
	}
	if f := fhir.AsOutcome(second(consultation.CheckRequest(d))); f == nil || f.Issues[0].Detail != "batch-too-large" {
		t.Error(f)
	}
	d.Addressees = d.Addressees[:2]
	if got, err := consultation.CheckRequest(d); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestSchedule reads the window and the fallback of the example.
func TestSchedule(t *testing.T) {
	t.Parallel()
	got, err := consultation.ReadSchedule(make1(t, tree(t, talkSample(t, "communicationrequest-nhsapp-then-sms.json"))).Root())
	want := consultation.Schedule{Start: moment(t, "2025-11-20T08:00:00Z"), End: moment(t, "2025-11-20T20:00:00Z"), Fallback: 4 * time.Hour}
	if err != nil || !got.Start.Equal(want.Start) || !got.End.Equal(want.End) || got.Fallback != want.Fallback {
		t.Error(got, err)
	}
}

// TestNext holds what becomes of a message step by step.
func TestNext(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return talkNow.Add(time.Duration(minutes) * time.Minute) }
	app, sms := consultation.Way{Channel: "nhs-app", Address: "9"}, consultation.Way{Channel: "sms", Address: "07"}
	word := func(c, e string, minutes int) consultation.Word {
		return consultation.Word{Channel: consultation.Channel(c), Event: consultation.Event(e), At: at(minutes)}
	}
	sent := consultation.Try{Channel: "nhs-app", Begun: at(0), Sent: at(1)}
	second := consultation.Try{Channel: "sms", Begun: at(60), Sent: at(61)}
	hour := consultation.Schedule{Fallback: time.Hour}
	for _, c := range []struct {
		name string
		p    consultation.Progress
		want consultation.DispatchStep
	}{
		{"first", consultation.Progress{Ways: []consultation.Way{app, sms}}, consultation.DispatchStep{Send: app}},
		{"before the window", consultation.Progress{Ways: []consultation.Way{app}, Schedule: consultation.Schedule{Start: at(5)}}, consultation.DispatchStep{Until: at(5)}},
		{"at the start", consultation.Progress{Ways: []consultation.Way{app}, Schedule: consultation.Schedule{Start: at(0)}}, consultation.DispatchStep{Send: app}},
		{"after the window", consultation.Progress{Ways: []consultation.Way{app}, Schedule: consultation.Schedule{End: at(-1)}}, consultation.DispatchStep{Status: "not-done", Reason: "The time in which the message could be sent is over."}},
		{"revoked", consultation.Progress{Ways: []consultation.Way{app}, Revoked: true}, consultation.DispatchStep{Status: "stopped"}},
		{"no way", consultation.Progress{}, consultation.DispatchStep{Status: "not-done", Reason: "There is no channel left by which the recipient may be reached."}},
		{"inbox", consultation.Progress{Inbox: true}, consultation.DispatchStep{Status: "completed", At: at(0)}},
		{"not taken yet", consultation.Progress{Ways: []consultation.Way{app, sms}, Schedule: hour, Tries: []consultation.Try{{Channel: "nhs-app", Begun: at(-1)}}}, consultation.DispatchStep{Send: app, Until: at(59)}},
		{"not taken for too long", consultation.Progress{Ways: []consultation.Way{app, sms}, Schedule: hour, Tries: []consultation.Try{{Channel: "nhs-app", Begun: at(-60)}}}, consultation.DispatchStep{Send: sms}},
		{"rejected", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{{Channel: "nhs-app", Begun: at(0), Failed: true}}}, consultation.DispatchStep{Send: sms}},
		{"sent", consultation.Progress{Ways: []consultation.Way{app, sms}, Schedule: hour, Tries: []consultation.Try{sent}, Now: at(60)}, consultation.DispatchStep{Until: at(61)}},
		{"a day unless it says so", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent}, Now: at(60)}, consultation.DispatchStep{Until: at(1 + 24*60)}},
		{"time is up", consultation.Progress{Ways: []consultation.Way{app, sms}, Schedule: hour, Tries: []consultation.Try{sent}, Now: at(61)}, consultation.DispatchStep{Send: sms}},
		{"in the inbox of the app", consultation.Progress{Ways: []consultation.Way{app, sms}, Schedule: hour, Tries: []consultation.Try{sent}, Words: []consultation.Word{word("nhs-app", "delivered", 2)}, Now: at(3)}, consultation.DispatchStep{Until: at(61)}},
		{"unnotified", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent}, Words: []consultation.Word{word("nhs-app", "unnotified", 2)}, Now: at(3)}, consultation.DispatchStep{Send: sms}},
		{"notified", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent}, Words: []consultation.Word{word("nhs-app", "notified", 2)}, Now: at(3)}, consultation.DispatchStep{Status: "completed", At: at(2)}},
		{"failed after delivery", consultation.Progress{Ways: []consultation.Way{app}, Tries: []consultation.Try{sent}, Schedule: hour, Words: []consultation.Word{word("nhs-app", "delivered", 2), word("nhs-app", "permanent_failure", 3)}, Now: at(4)}, consultation.DispatchStep{Until: at(61)}},
		{"all failed", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent, second}, Words: []consultation.Word{word("sms", "permanent_failure", 62)}, Now: at(63)}, consultation.DispatchStep{Status: "not-done", Reason: "No channel has delivered the message."}},
		{"delivered in the end", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent, second}, Words: []consultation.Word{word("sms", "permanent_failure", 62), word("sms", "delivered", 64)}, Now: at(70)}, consultation.DispatchStep{Status: "completed", At: at(64)}},
		{"read later elsewhere", consultation.Progress{Ways: []consultation.Way{app, sms}, Tries: []consultation.Try{sent, second}, Words: []consultation.Word{word("nhs-app", "read", 90), word("sms", "delivered", 64)}, Now: at(99)}, consultation.DispatchStep{Status: "completed", At: at(64), Read: at(90)}},
		{"a channel that may not be used any more", consultation.Progress{Ways: []consultation.Way{sms}, Tries: []consultation.Try{{Channel: "nhs-app", Begun: at(0)}}}, consultation.DispatchStep{Send: sms}},
	} {
		if c.p.Now.IsZero() {
			c.p.Now = at(0)
		}
		if d := cmp.Diff(c.want, c.p.Next()); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// TestWordsInAnyOrder holds that what becomes of a message does not depend on the order in
// which channels say something, or how often: it is told word by word, as they come, and
// the status goes only where MayProgress lets it.
func TestWordsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		channel := rapid.SampledFrom([]consultation.Channel{"nhs-app", "sms", "email"})
		words := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) consultation.Word {
			return consultation.Word{Channel: channel.Draw(r, "channel"), Event: rapid.SampledFrom(consultation.Events()).Draw(r, "event"), At: talkNow.Add(time.Duration(rapid.IntRange(0, 100).Draw(r, "at")) * time.Minute)}
		}), 0, 8).Draw(r, "words")
		again := append(rapid.Permutation(words).Draw(r, "order"), rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(words), consultation.Word{Channel: "sms", Event: "sending", At: talkNow})), 0, 4).Draw(r, "repeated")...)
		if a, b := becomesOf(words), becomesOf(again); a != b {
			r.Fatalf("%v: %s; %v: %s", words, a, again, b)
		}
	})
}

// becomesOf returns what becomes of a message about which some words are said one after the
// other, and nothing more for a long time.
func becomesOf(words []consultation.Word) string {
	p := consultation.Progress{Ways: []consultation.Way{{Channel: "nhs-app", Address: "1"}, {Channel: "sms", Address: "2"}, {Channel: "email", Address: "3"}}, Now: talkNow}
	status, read := "in-progress", ""
	settle := func() {
		for {
			s := p.Next()
			if s.Send.Channel != "" {
				p.Tries = append(p.Tries, consultation.Try{Channel: s.Send.Channel, Begun: p.Now, Sent: p.Now})
				continue
			}
			if s.Status != "" && consultation.MayProgress(status, s.Status) {
				status = s.Status
			}
			if !s.Read.IsZero() {
				read = "read"
			}
			return
		}
	}
	settle()
	for _, w := range words {
		p.Words = append(p.Words, w)
		p.Now = p.Now.Add(time.Hour)
		settle()
	}
	for range 5 {
		p.Now = p.Now.Add(48 * time.Hour)
		settle()
	}
	return status + " " + read
}
