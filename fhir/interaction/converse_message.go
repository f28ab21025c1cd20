package interaction

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// messages judges the Communications that are written.
func (k *talk) messages(ctx context.Context, parts []*part) error {
	if err := k.lookUpTasks(ctx, parts); err != nil {
		return err
	}
	for _, p := range parts {
		if p.Key.Type != "Communication" || p.interaction == access.Delete || p.err != nil {
			continue
		}
		if err := refuse(p, k.message(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

// lookUpTasks holds and reads all Tasks that messages are part of, in one round trip each.
func (k *talk) lookUpTasks(ctx context.Context, parts []*part) error {
	var of []fhir.Key
	for _, p := range parts {
		if p.interaction != access.Delete {
			of = append(of, k.tasksOf(p)...)
		}
	}
	if len(of) == 0 {
		return nil
	}
	of = uniqueNames(of)
	if err := k.holdTalk(ctx, of); err != nil {
		return err
	}
	found, err := k.at.Current(ctx, of)
	if err != nil {
		return err
	}
	k.stored = map[fhir.Key]*store.Version{}
	for _, task := range of {
		k.stored[task] = found[task]
	}
	return nil
}

// message judges one.
func (k *talk) message(ctx context.Context, p *part) error {
	var before []fhir.Key
	if p.proposal.old != nil {
		before = k.Engine.partOf(p.proposal.old.resource)
	}
	th, err := k.conversationIn(ctx, before, false)
	if err != nil {
		return err
	}
	named, err := k.conversationIn(ctx, k.Engine.partOf(p.proposal.resource), !k.grant.IsTrusted() || consultation.OutsideConversation(p.proposal.resource.Root()) != nil)
	switch {
	case err != nil:
		return err
	case th == nil:
		th = named
	}
	if th == nil {
		return consultation.OutsideConversation(p.proposal.resource.Root())
	}
	return k.post(ctx, p, th)
}

// conversationIn returns the first of some Tasks that is a conversation; nil for none. It is an
// Outcome if they must all be there, and one is not or the caller does not see it.
func (k *talk) conversationIn(ctx context.Context, tasks []fhir.Key, must bool) (first *thread, err error) {
	if err := k.holdTalk(ctx, tasks); err != nil {
		return nil, err
	}
	for _, task := range tasks {
		th, err := k.thread(ctx, task)
		if err != nil {
			return nil, err
		}
		ours := th != nil && th.Task.Kind != ""
		if (must || ours) && (th == nil || !k.sees(th) && !k.wasProxy(th)) {
			return nil, noTask()
		}
		if ours && first == nil {
			first = th
		}
	}
	return first, nil
}

// wasProxy reports whether the caller has acted for the patient of a conversation.
func (k *talk) wasProxy(th *thread) bool {
	return k.speaker.lapsed.ID != "" && k.speaker.lapsed == th.Task.For
}

func noTask() error {
	return fhir.Errorf(fhir.Unknown, fhir.NotFound, "", "There is no such Task here.")
}

// sees reports whether the caller may see the Task of th, as far as that is known here.
func (k *talk) sees(th *thread) bool {
	if th.version == nil || k.grant.IsTrusted() {
		return true
	}
	v, err := k.seen(anyPermission, th.version)
	return err == nil && v != nil
}

// post judges a message in a conversation, and adds what comes with it.
func (k *talk) post(ctx context.Context, p *part, th *thread) error {
	in, err := k.posting(ctx, p, th)
	if err != nil {
		return err
	}
	var out consultation.Posted
	if old := p.proposal.old; old != nil {
		in.Conversation.Messages = otherMessages(in.Conversation.Messages, p.key)
		var same bool
		out, same, err = consultation.Revise(consultation.Revision{Stored: old.resource, Posting: in})
		if err == nil && same {
			p.stay()
			return nil
		}
	} else if err = k.again(ctx, p, th, in.Caller); err == nil && !p.answered {
		out, err = consultation.Post(in)
	}
	if p.answered {
		return nil
	}
	if err != nil {
		return err
	}
	if err := rewrite(p, out.Message.JSON); err != nil {
		return err
	}
	p.advice, p.proposal.said = append(p.advice, out.Issues...), true
	p.proposal.shared = k.houseOf(th, in.Caller)
	return k.posted(ctx, th, out)
}

// houseOf returns the key by which colleagues of the caller at the party that they work for see
// what the caller writes as a person.
func (k *talk) houseOf(th *thread, c consultation.Caller) []access.Key {
	if k.speaker.trusted || k.speaker.isPatient() {
		return nil
	}
	for _, party := range []fhir.Key{th.Task.Owner, th.Task.Requester} {
		home := party
		if th.Parties[party].ID != "" {
			home = th.Parties[party]
		}
		if home.Type == "Organization" && slices.ContainsFunc(c.Memberships, func(m consultation.Membership) bool { return m.Of == home }) {
			return []access.Key{{Kind: access.Author, Of: home.String()}}
		}
	}
	return nil
}

// posted adds what comes with a message: its receipts, and what it means to its Task.
func (k *talk) posted(ctx context.Context, th *thread, out consultation.Posted) error {
	for _, receipt := range out.Receipts {
		if err := k.author(ctx, receipt, nil); err != nil {
			return err
		}
	}
	if out.Turn.By != 0 {
		th.news, th.said = append(th.news, out.Turn), true
		th.follow = append(th.follow, out.Follow...)
	}
	return nil
}

func otherMessages(all []consultation.Message, k fhir.Key) []consultation.Message {
	var rest []consultation.Message
	for _, m := range all {
		if m.Key != k {
			rest = append(rest, m)
		}
	}
	return rest
}

// posting collects what a message is judged by.
func (k *talk) posting(ctx context.Context, p *part, th *thread) (consultation.Posting, error) {
	r := p.proposal.resource
	author := consultation.ReadMessage(r, k.base()).Sender
	attachments, err := k.attachmentsOf(ctx, k.at, r)
	if err != nil {
		return consultation.Posting{}, fmt.Errorf("look up the attachments of a message: %w", err)
	}
	in := consultation.Posting{
		Message: r, Conversation: th.Conversation, Caller: k.speaker.in(&th.Conversation, author), As: k.speaker.as(&th.Conversation, author),
		LapsedProxy: k.wasProxy(th),
		Attachments: attachments, Limits: k.conversation.Limits,
		ID: p.key.ID, Identifier: k.newID(), Now: k.now,
	}
	for range r.Root().Each("recipient") {
		in.Receipts = append(in.Receipts, k.newID())
	}
	return in, nil
}

// stay says of p that it changes nothing.
func (p *part) stay() {
	p.answered = true
	p.reply.Result = Result{Version: *p.current, Outcome: store.Unchanged}
}

// deletions refuses to delete what is part of a conversation.
func (k *talk) deletions(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if p.interaction != access.Delete || p.sketch == nil || p.current == nil {
			continue
		}
		if err := refuse(p, k.deletion(ctx, p)); err != nil {
			return err
		}
	}
	return nil
}

func (k *talk) deletion(ctx context.Context, p *part) error {
	old, err := formerly(p.current)
	if old == nil || err != nil {
		return err
	}
	root := old.resource.Root()
	switch p.Key.Type {
	case "Task":
		return consultation.Deletable(root, fhir.Node{})
	case "Communication":
		if err := consultation.Deletable(root, fhir.Node{}); err != nil {
			return err
		}
		return k.areNotOurs(ctx, k.Engine.partOf(old.resource))
	case "Provenance":
		return k.areNotOurs(ctx, k.referredTasks(root, "target"))
	case "CommunicationRequest", "MedicationRequest", "QuestionnaireResponse", "ServiceRequest":
		return k.isAskedFor(ctx, p.key)
	}
	return nil
}

// areNotOurs refuses to delete what belongs to some Tasks if one is a conversation.
func (k *talk) areNotOurs(ctx context.Context, tasks []fhir.Key) error {
	for _, task := range tasks {
		th, err := k.thread(ctx, task)
		if err != nil {
			return err
		}
		if th != nil && th.Task.Kind != "" {
			return consultation.NotDeletable()
		}
	}
	return nil
}

// referredTasks returns the Tasks that an element names.
func (e *Engine) referredTasks(root fhir.Node, element string) (all []fhir.Key) {
	for n := range root.Each(element) {
		all = add(all, e.referred(n, "Task"))
	}
	return all
}

// isAskedFor refuses to delete what a conversation is about, or what its messages were sent by.
func (k *talk) isAskedFor(ctx context.Context, key fhir.Key) error {
	for _, query := range [...]string{"focus=", "based-on="} {
		found, err := k.at.Matching(ctx, "Task", query+key.String()+"&code="+url.QueryEscape(consultation.KindSystem+"|"), 1)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return consultation.NotDeletable()
		}
	}
	if key.Type != "CommunicationRequest" {
		return nil
	}
	sent, err := k.at.Matching(ctx, "Communication", "based-on="+key.String(), 1)
	if err != nil || len(sent) == 0 {
		return err
	}
	return consultation.NotDeletable()
}
