package subscription

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
)

// Check is asked about every Subscription that a client wants to store. It returns
// the resource as it is to be stored: without the secret and the values of headers,
// with a handle by which the server finds those and who wrote it, and with a status
// that a client may set, which is requested or off. A Subscription that could never fire, that names what
// its writer may not search and read, or that cannot be delivered is an
// Unprocessable or Denied [*fhir.Outcome] with everything that is wrong.
// https://hl7.org/fhir/R4/subscription.html
func (e *Engine) Check(ctx context.Context, in interaction.Subscribing) (*fhir.Resource, error) {
	if in.Grant.Terms().Holder == "" {
		return nil, fhir.Errorf(fhir.Denied, fhir.Forbidden, "Subscription", "A subscription goes on after the token has ended, and what this token grants cannot be found out without it: use one of this server's own.")
	}
	if err := e.begin(ctx); err != nil {
		return nil, err
	}
	asked, issues := e.read(in.New.Root())
	p := proposal{engine: e, Subscribing: in, asked: asked}
	if in.New.Root().Child("status").Text() == off {
		// What is no header could not be kept, and would be shown.
		issues = slices.DeleteFunc(issues, func(i fhir.Issue) bool { return !strings.HasPrefix(i.Expression, headerElement) })
		if len(issues) > 0 {
			return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
		}
	} else {
		if !asked.ends.IsZero() && !asked.ends.After(e.today()) {
			issues = append(issues, fhir.Issue{Code: fhir.Value, Expression: "Subscription.end", Text: "Give an end that is still to come."})
		}
		if len(issues) > 0 {
			return nil, &fhir.Outcome{Class: fhir.Unprocessable, Issues: issues}
		}
		if err := e.maySubscribe(in.Grant, asked); err != nil {
			return nil, err
		}
	}
	return p.settle(ctx)
}

// The statuses of a Subscription.
const (
	requested = "requested"
	active    = "active"
	failed    = "error"
	off       = "off"
)

// maySubscribe returns an Outcome unless g may search and read what is asked for,
// by these parameters.
func (e *Engine) maySubscribe(g access.Grant, asked request) error {
	for _, i := range []access.Interaction{access.SearchType, access.Read} {
		if err := g.Allow(i, asked.typ); err != nil {
			o := fhir.AsOutcome(err)
			if o != nil && len(o.Issues) > 0 {
				o.Issues[0].Detail = interaction.LacksScope
			}
			return err
		}
	}
	all, err := conditions(e.Store.Registry(), asked.typ, asked.query)
	if err != nil {
		return err
	}
	for _, p := range params(nil, all) {
		if g.Tells(asked.typ, p.Code, p.Custom) {
			return fhir.Errorf(fhir.Denied, fhir.Forbidden, "Subscription.criteria", "You may not ask by %s: you are not shown all that it is about.", p.Code)
		}
	}
	return nil
}

// A proposal is a Subscription that is to be stored.
type proposal struct {
	engine *Engine
	interaction.Subscribing
	asked request
}

// settle returns the resource to be stored.
func (p *proposal) settle(ctx context.Context) (*fhir.Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	doc, err := readObject(p.New.Source())
	if err != nil {
		return nil, err
	}
	before, err := p.before(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.maySet(before.status); err != nil {
		return nil, err
	}
	handle, err := p.handle(ctx, before)
	if err != nil {
		return nil, err
	}
	if doc, err = withHandle(doc, handle); err != nil {
		return nil, err
	}
	if doc, err = withNames(doc, p.asked.channel.headers); err != nil {
		return nil, err
	}
	if doc, err = p.withStatus(doc); err != nil {
		return nil, err
	}
	r, err := fhir.Decode("Subscription", doc.bytes())
	if err != nil {
		return nil, fmt.Errorf("decode a Subscription that was completed: %w", err)
	}
	return r, nil
}

// maySet refuses a status that only the server sets. Who sends back what was read
// sets none.
func (p *proposal) maySet(before string) error {
	switch p.New.Root().Child("status").Text() {
	case requested, off, before:
		return nil
	}
	return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "Subscription.status", "Set the status to requested or off; the server sets the others.")
}

// withStatus gives doc a status that a client may set. One that the server has set
// stays while nothing else changes; who changes something else begins anew.
func (p *proposal) withStatus(doc object) (object, error) {
	asked := p.New.Root().Child("status").Text()
	if asked != requested && asked != off {
		if p.Old != nil {
			same, err := sameRequest(p.Old.Source(), doc)
			if err != nil {
				return nil, err
			}
			if same {
				before, err := readObject(p.Old.Source())
				return doc.with("error", before.get("error")).with("_error", before.get("_error")), err
			}
		}
		asked = requested
	}
	return doc.with("status", text(asked)).with("error", nil).with("_error", nil), nil
}

// sameRequest reports whether two Subscriptions differ in nothing but what they
// say of themselves, and what the server says of them.
func sameRequest(old []byte, doc object) (bool, error) {
	before, err := readObject(old)
	if err != nil {
		return false, err
	}
	strip := func(o object) []byte {
		o = slices.DeleteFunc(slices.Clone(o), func(m member) bool {
			return slices.Contains([]string{"resourceType", "id", "meta", "text", "status", "error", "_error"}, m.name)
		})
		var b bytes.Buffer
		_ = json.Compact(&b, o.bytes()) // it is JSON
		return b.Bytes()
	}
	return bytes.Equal(strip(before), strip(doc)), nil
}

// withHandle replaces the secret and the handle of a Subscription by that one.
func withHandle(doc object, handle string) (object, error) {
	channel, err := readObject(doc.get("channel"))
	if err != nil {
		return nil, err
	}
	var all, kept []json.RawMessage
	if raw := channel.get("extension"); raw != nil {
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("read extensions: %w", err)
		}
	}
	for _, raw := range all {
		var x struct{ URL string }
		if err := json.Unmarshal(raw, &x); err != nil {
			return nil, fmt.Errorf("read an extension: %w", err)
		}
		if x.URL != SecretExtension && x.URL != handleExtension {
			kept = append(kept, raw)
		}
	}
	kept = append(kept, text(struct {
		URL   string `json:"url"`
		Value string `json:"valueString"`
	}{handleExtension, handle}))
	return doc.with("channel", channel.with("extension", text(kept)).bytes()), nil
}
