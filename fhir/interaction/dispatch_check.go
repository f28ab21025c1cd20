package interaction

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// Senders send messages by other channels than the inbox here: a [dispatch.Engine].
type Senders interface {
	// Serves returns the channels that there is a sender for.
	Serves() []consultation.Channel
	// Halt keeps the messages of a request from being sent while it is being revoked,
	// and reports whether one was given to a channel already.
	Halt(ctx context.Context, request string, messages []string) (sent bool, err error)
}

// maxConsents bounds how many Consents of one patient are looked at, and maxSiblings how
// many messages of one request.
const (
	maxConsents = 100
	maxSiblings = 1000
)

// mayDispatch says whether the messages of a CommunicationRequest may go out: the error is an
// Outcome of [consultation.CheckRequest], or a fault. It is asked before the request is stored.
func (e *Engine) mayDispatch(ctx context.Context, at matcher, request *fhir.Resource) error {
	people, err := e.addressees(ctx, at, request.Root())
	if err != nil {
		return err
	}
	var served []consultation.Channel
	if e.senders != nil {
		served = e.senders.Serves()
	}
	_, err = consultation.CheckRequest(consultation.Dispatch{Request: request.Root(), Addressees: people, Served: served, Now: e.clock()})
	return err
}

// revoke judges a change of a CommunicationRequest that is stored.
func (k *talk) revoke(ctx context.Context, p *part) error {
	old, next := p.proposal.old.resource, p.proposal.resource
	if k.wouldBeMessage(old) && old.Root().Child("status").Text() != "draft" {
		if err := consultation.KeepsRequest(old.Root(), next.Root()); err != nil {
			return err
		}
	}
	if isRevoked(old.Root()) || !isRevoked(next.Root()) {
		return nil
	}
	return k.mayRevoke(ctx, k.at, p.key.ID)
}

// mayRevoke says whether a CommunicationRequest that is stored may be revoked: the error is an
// Outcome with Detail already-sent, or a fault. Its messages are then not sent for a while;
// once the request is stored as revoked they are stopped.
func (e *Engine) mayRevoke(ctx context.Context, at matcher, request string) error {
	all, err := at.Matching(ctx, "Communication", "based-on=CommunicationRequest/"+url.QueryEscape(request), maxSiblings)
	if err != nil {
		return fmt.Errorf("find the messages of a request: %w", err)
	}
	var waiting []string
	for i := range all {
		r, err := fhir.DecodeDerived("Communication", all[i].Stored)
		if err != nil {
			return fmt.Errorf("decode a Communication: %w", err)
		}
		switch r.Root().Child("status").Text() {
		case "completed", "not-done":
			return consultation.Revocable(true)
		case "in-progress":
			waiting = append(waiting, all[i].Key.ID)
		}
	}
	for _, id := range waiting {
		read, err := at.Matching(ctx, "Task", "focus=Communication/"+id+"&status=completed&code="+consultation.KindSystem+"%7C"+string(consultation.MessageReceipt), 1)
		if err != nil {
			return fmt.Errorf("find out whether a message was read: %w", err)
		}
		if len(read) > 0 {
			return consultation.Revocable(true)
		}
	}
	if e.senders == nil || len(waiting) == 0 {
		return nil
	}
	sent, err := e.senders.Halt(ctx, request, waiting)
	if err != nil {
		return err
	}
	return consultation.Revocable(sent)
}

// addressees returns the recipients of a request or a message who are people, with what is
// known of them.
func (e *Engine) addressees(ctx context.Context, at matcher, n fhir.Node) ([]consultation.Addressee, error) {
	var keys []fhir.Key
	for recipient := range n.Each("recipient") {
		for _, typ := range []string{"Patient", "RelatedPerson"} {
			if k := e.referred(recipient, typ); k.ID != "" && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	current, err := at.Current(ctx, keys)
	if err != nil {
		return nil, err
	}
	var all []consultation.Addressee
	for _, k := range keys {
		who, err := formerly(current[k])
		if err != nil {
			return nil, fmt.Errorf("decode a %s: %w", k.Type, err)
		}
		if who == nil {
			return nil, fhir.Errorf(fhir.Unprocessable, fhir.NotFound, n.Name()+".recipient", "A recipient is not known here; name a Patient of this server.")
		}
		a := consultation.Addressee{Person: who.resource}
		if err := e.ask(ctx, at, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// ask finds out what a person has said about contact, and which of their addresses others
// have too.
func (e *Engine) ask(ctx context.Context, at matcher, a *consultation.Addressee) error {
	patient := a.Person.Type() + "/" + a.Person.ID()
	if a.Person.Type() == "RelatedPerson" {
		patient = e.referred(a.Person.Root().Child("patient"), "Patient").String()
	}
	consents, err := at.Matching(ctx, "Consent", "patient="+url.QueryEscape(patient)+"&status=active&category="+url.QueryEscape(consultation.ContactRuleSystem+"|"), maxConsents)
	if err != nil {
		return fmt.Errorf("find the Consents of a patient: %w", err)
	}
	for i := range consents {
		r, err := fhir.DecodeDerived("Consent", consents[i].Stored)
		if err != nil {
			return fmt.Errorf("decode a Consent: %w", err)
		}
		a.Consents = append(a.Consents, r)
	}
	for _, c := range []consultation.Channel{consultation.ChannelSMS, consultation.ChannelEmail} {
		if err := e.askOthers(ctx, at, a, c); err != nil {
			return err
		}
	}
	return nil
}

// askOthers finds out whether another Patient has the address that a person has on a channel.
func (e *Engine) askOthers(ctx context.Context, at matcher, a *consultation.Addressee, c consultation.Channel) error {
	address, _ := a.Address(c, e.clock())
	if address == "" {
		return nil
	}
	written := []string{address}
	for n := range a.Person.Root().Each("telecom") {
		if v := n.Child("value").Text(); consultation.PlainAddress(c, v) == address && !slices.Contains(written, v) {
			written = append(written, v)
		}
	}
	for i, v := range written {
		written[i] = url.QueryEscape(strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(v))
	}
	found, err := at.Matching(ctx, "Patient", "telecom="+strings.Join(written, ","), 2)
	if err != nil {
		return fmt.Errorf("find out who else has an address: %w", err)
	}
	for _, v := range found {
		if a.Person.Type() == "Patient" && v.Key.ID != a.Person.ID() {
			a.Shared = append(a.Shared, address)
		}
	}
	return nil
}
