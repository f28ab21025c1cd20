package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// requests judges the CommunicationRequests that are written.
func (k *talk) requests(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if p.Key.Type != "CommunicationRequest" || p.interaction == access.Delete || p.err != nil {
			continue
		}
		judge := k.request
		if begins, err := k.begins(ctx, p); err != nil {
			return err
		} else if !begins {
			judge = k.revoke
		}
		if err := refuse(p, judge(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

// begins reports whether the server has yet to send what p asks for: it is new, or was a draft
// until now.
func (k *talk) begins(ctx context.Context, p *part) (bool, error) {
	old := p.proposal.old
	if old == nil {
		return true, nil
	}
	if k.isMessage(old.resource) || !k.isMessage(p.proposal.resource) {
		return false, nil
	}
	sent, err := k.at.Matching(ctx, "Communication", "based-on="+p.key.String(), 1)
	if err != nil {
		return false, fmt.Errorf("find the messages of a request: %w", err)
	}
	return len(sent) == 0, nil
}

// request judges one that is created. One that is no message to a patient is plain FHIR.
func (k *talk) request(ctx context.Context, p *part) error {
	r := p.proposal.resource
	if !k.isMessage(r) {
		return nil
	}
	o, th, err := k.opening(ctx, p)
	if err != nil {
		return err
	}
	out, err := consultation.Open(o)
	if err != nil {
		return err
	}
	if err := k.mayDispatch(ctx, k.at, r); err != nil {
		return err
	}
	if err := rewrite(p, out.Request.JSON); err != nil {
		return err
	}
	if out.Task.JSON != nil {
		p.links = append(p.links, Link{"task", fhir.Key{Type: "Task", ID: out.Task.ID}})
		if err := k.author(ctx, out.Task, nil); err != nil {
			return err
		}
	}
	for _, m := range out.Messages {
		p.links = append(p.links, Link{"communication", fhir.Key{Type: "Communication", ID: m.Message.ID}})
		if err := k.author(ctx, m.Message, nil); err != nil {
			return err
		}
		if err := k.posted(ctx, th, m); err != nil {
			return err
		}
	}
	return nil
}

// isMessage reports whether a CommunicationRequest asks for a message that the server sends: it
// is active, has something to say, and is for a patient or who acts for one, or in a conversation.
// All others are for somebody else to carry out.
func (e *Engine) isMessage(r *fhir.Resource) bool {
	return r.Root().Child("status").Text() == "active" && e.wouldBeMessage(r)
}

// wouldBeMessage reports whether it does when it is active.
func (e *Engine) wouldBeMessage(r *fhir.Resource) bool {
	if r.Root().Child("payload").IsZero() {
		return false
	}
	for to := range r.Root().Each("recipient") {
		if e.person(to).ID != "" || e.referred(to, "Group").ID != "" {
			return true
		}
	}
	return consultation.TaskNamed(r.Root(), e.base()).ID != ""
}

// opening collects what a request is judged by, and the conversation that it belongs to, which
// is a new one when it names none.
func (k *talk) opening(ctx context.Context, p *part) (consultation.Opening, *thread, error) {
	r := p.proposal.resource
	o := consultation.Opening{Request: r, Base: k.base(), Limits: k.conversation.Limits, Now: k.now}
	th := &thread{}
	if key := consultation.TaskNamed(r.Root(), k.base()); key.ID != "" {
		if err := k.hold(ctx, k.at, key); err != nil {
			return o, nil, err
		}
		found, err := k.thread(ctx, key)
		if err != nil {
			return o, nil, err
		}
		if found != nil && found.Task.Kind != "" && k.sees(found) {
			th, o.Conversation = found, &found.Conversation
		}
	}
	if err := k.acquaint(ctx, th); err != nil {
		return o, nil, err
	}
	author := k.Engine.senderOf(r.Root())
	practice := k.practice(th, author)
	begun := consultation.Conversation{Task: consultation.Task{Owner: practice}, Parties: th.Parties}
	o.Parties = th.Parties
	o.Caller, o.As = k.speaker.in(&begun, author), k.speaker.as(&begun, author)
	if practice.ID != "" {
		o.Practice = consultation.Party{Reference: practice.String()}
	}
	var err error
	if o.Attachments, err = k.attachmentsOf(ctx, k.at, r); err != nil {
		return o, nil, fmt.Errorf("look up the attachments of a request: %w", err)
	}
	o.IDs = k.openingIDs(p)
	return o, th, nil
}

// senderOf returns whom a request names as who sends it.
func (e *Engine) senderOf(n fhir.Node) fhir.Key {
	for _, name := range []string{"sender", "requester"} {
		for _, typ := range []string{"PractitionerRole", "Practitioner", "Organization", "HealthcareService"} {
			if k := e.referred(n.Child(name), typ); k.ID != "" {
				return k
			}
		}
	}
	return fhir.Key{}
}

// practice returns the organisation that a message is from: the owner of its Task, or that of the
// author, or the first that the caller works for.
func (k *talk) practice(th *thread, author fhir.Key) fhir.Key {
	switch {
	case th.Task.Owner.Type == "Organization":
		return th.Task.Owner
	case author.Type == "Organization":
		return author
	case th.Parties[author].Type == "Organization":
		return th.Parties[author]
	}
	for _, m := range k.speaker.Memberships {
		if m.Of.Type == "Organization" {
			return m.Of
		}
	}
	return fhir.Key{}
}

func (k *talk) openingIDs(p *part) consultation.OpeningIDs {
	ids := consultation.OpeningIDs{Request: p.key.ID, Task: k.newID(), Thread: k.newID(), IdentifierOfRequest: k.newID()}
	for range p.proposal.resource.Root().Each("recipient") {
		ids.Messages, ids.Identifiers, ids.Receipts = append(ids.Messages, k.newID()), append(ids.Identifiers, k.newID()), append(ids.Receipts, k.newID())
	}
	return ids
}
