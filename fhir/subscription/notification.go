package subscription

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// A notification is something to tell a subscriber.
type notification struct {
	id      string // of the Subscription
	kind    string // https://hl7.org/fhir/R5/valueset-subscription-notification-type.html
	status  string // of the Subscription
	topic   *Topic // nil with R4 criteria
	content string
	first   int64 // number of the first event; its own, if there is one
	last    int64 // number of the newest event that it is about
	at      time.Time
	events  []told
	extra   []parameter // behind all others
	why     string      // what is wrong; empty for nothing
}

// A told event is one with what the subscriber is told of it.
type told struct {
	event
	focus    bool   // the subscriber sees the version
	op       string // "POST" or "PUT"
	resource []byte // the version as the subscriber sees it
}

// notification returns one without events.
func (s *sending) notification(kind string) *notification {
	return &notification{id: s.id, kind: kind, status: s.status, topic: s.topic, content: s.content(), first: s.delivered + 1, last: s.delivered, at: s.now}
}

// content returns what the channel's notifications hold. R4's hold the resource, or
// nothing.
func (r *request) content() string {
	switch {
	case r.topic != nil:
		return r.channel.content
	case r.channel.mime != "":
		return contentFull
	}
	return contentEmpty
}

// delivery returns the id by which a receiver knows a notification that comes
// again: the same for the same events, whoever sends them.
func (n *notification) delivery() string {
	return uuid(fmt.Sprintf("%s %s %s %d %d %s", subscriptionType, n.id, n.kind, n.first, n.last, n.moment()))
}

// moment tells apart notifications that have no events.
func (n *notification) moment() string {
	if n.kind == "event-notification" {
		return ""
	}
	return n.at.UTC().Format(time.RFC3339Nano)
}

// uuid returns a UUID that is always the same for a name.
// https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8
func uuid(name string) string {
	u := sha256.Sum256([]byte(name))
	u[6] = u[6]&0x0F | 0x80
	u[8] = u[8]&0x3F | 0x80
	h := hex.EncodeToString(u[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// tells reports whether there is anything to be told.
func (n *notification) tells() bool {
	for _, t := range n.events {
		if t.focus {
			return true
		}
	}
	return false
}

// fill finds out what g may be told of the events of n now.
func (e *Engine) fill(ctx context.Context, g access.Grant, n *notification) error {
	for i := range n.events {
		t := &n.events[i]
		v, err := e.visible(ctx, g, t.event)
		if v == nil || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		t.focus, t.op = true, "PUT"
		if v.Op == store.Create {
			t.op = "POST"
		}
		if n.content != contentFull {
			continue
		}
		// It is an access like any other, and so is what is withheld.
		v, err = e.Engine.For(g, interaction.Origin{Request: n.delivery()}).VRead(ctx, t.key, t.version)
		if fhir.AsOutcome(err) != nil && !isUnavailable(err) {
			t.focus = false
			continue
		}
		if err != nil {
			return fmt.Errorf("read what an event is about: %w", err)
		}
		t.resource = v.Resource()
	}
	return nil
}

func isUnavailable(err error) bool {
	o := fhir.AsOutcome(err)
	return o != nil && o.Class == fhir.Unavailable
}

// visible returns the version of an event if g shows it and the current one, and
// nil otherwise.
func (e *Engine) visible(ctx context.Context, g access.Grant, x event) (*store.Version, error) {
	now, err := e.Store.Read(ctx, x.key)
	if now == nil || err != nil {
		return nil, err
	}
	if sees, err := e.sees(g, now); !sees || err != nil {
		return nil, err
	}
	if now.Number == x.version {
		return now, nil
	}
	v, err := e.Store.VRead(ctx, x.key, x.version)
	if v == nil || err != nil {
		return nil, err
	}
	if sees, err := e.sees(g, v); !sees || err != nil {
		return nil, err
	}
	return v, nil
}

// A parameter is one of a Parameters resource.
type parameter struct {
	Name      string      `json:"name"`
	Reference *reference  `json:"valueReference,omitempty"`
	Canonical string      `json:"valueCanonical,omitempty"`
	Code      string      `json:"valueCode,omitempty"`
	String    string      `json:"valueString,omitempty"`
	Instant   string      `json:"valueInstant,omitempty"`
	Integer   *int        `json:"valueInteger,omitempty"`
	Concept   *concept    `json:"valueCodeableConcept,omitempty"`
	Part      []parameter `json:"part,omitempty"`
}

type reference struct {
	Reference string `json:"reference"`
}

type concept struct {
	Text string `json:"text"`
}

type meta struct {
	Profile []string `json:"profile"`
}

// A parameters is a Parameters resource that says how a subscription is.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription-status-r4.html
type parameters struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id,omitempty"`
	Meta         meta        `json:"meta"`
	Parameter    []parameter `json:"parameter"`
}

// statusOf returns the SubscriptionStatus of n.
func (e *Engine) statusOf(n *notification) parameters {
	p := parameters{ResourceType: "Parameters", Meta: meta{[]string{backport + "backport-subscription-status-r4"}}}
	p.Parameter = []parameter{{Name: "subscription", Reference: &reference{e.Base + "/" + subscriptionType + "/" + n.id}}}
	if n.topic != nil && n.content != contentEmpty {
		p.Parameter = append(p.Parameter, parameter{Name: "topic", Canonical: n.topic.URL()})
	}
	p.Parameter = append(p.Parameter, parameter{Name: "status", Code: n.status}, parameter{Name: "type", Code: n.kind},
		parameter{Name: "events-since-subscription-start", String: strconv.FormatInt(n.last, 10)})
	for _, t := range n.events {
		x := parameter{Name: "notification-event", Part: []parameter{
			{Name: "event-number", String: strconv.FormatInt(t.number, 10)}, {Name: "timestamp", Instant: t.at.UTC().Format(fhir.InstantFormat)},
		}}
		if t.focus && n.content != contentEmpty {
			x.Part = append(x.Part, parameter{Name: "focus", Reference: &reference{e.Base + "/" + t.key.String()}})
		}
		p.Parameter = append(p.Parameter, x)
	}
	if n.why != "" {
		p.Parameter = append(p.Parameter, parameter{Name: "error", Concept: &concept{n.why}})
	}
	p.Parameter = append(p.Parameter, n.extra...)
	return p
}

type bundle struct {
	ResourceType string  `json:"resourceType"`
	ID           string  `json:"id"`
	Meta         *meta   `json:"meta,omitempty"`
	Type         string  `json:"type"`
	Timestamp    string  `json:"timestamp"`
	Entry        []entry `json:"entry"`
}

type entry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Request  *exchange       `json:"request,omitempty"`
	Response *answer         `json:"response,omitempty"`
	Search   *mode           `json:"search,omitempty"`
}

type exchange struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type answer struct {
	Status string `json:"status"`
}

type mode struct {
	Mode string `json:"mode"`
}

// render returns n as a notification Bundle.
// https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription-notification-r4.html
func (e *Engine) render(n *notification) []byte {
	id := n.delivery()
	b := bundle{ResourceType: "Bundle", ID: id, Meta: &meta{[]string{backport + "backport-subscription-notification-r4"}}, Type: "history", Timestamp: n.at.UTC().Format(fhir.InstantFormat)}
	b.Entry = []entry{{
		FullURL: "urn:uuid:" + uuid("status "+id), Resource: text(e.statusOf(n)),
		Request: &exchange{"GET", e.Base + "/" + subscriptionType + "/" + n.id + "/$status"}, Response: &answer{"200"},
	}}
	seen := map[string]bool{}
	for _, t := range n.events {
		url := e.Base + "/" + t.key.String()
		if !t.focus || n.content == contentEmpty || n.content == contentID && seen[url] {
			continue
		}
		seen[url] = true
		x := entry{FullURL: url, Resource: t.resource, Request: &exchange{t.op, url}, Response: &answer{"200"}}
		if t.op == "POST" {
			x.Request.URL, x.Response.Status = e.Base+"/"+t.key.Type, "201"
		}
		b.Entry = append(b.Entry, x)
	}
	return text(b)
}
