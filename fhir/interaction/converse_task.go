package interaction

import (
	"context"
	"fmt"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// works judges the Tasks that are written, and makes the moves that messages bring about.
func (k *talk) works(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if p.Key.Type != "Task" || p.interaction == access.Delete || p.err != nil {
			continue
		}
		if err := refuse(p, k.work(ctx, p)); err != nil {
			return err
		}
	}
	for _, th := range k.tasks {
		if th == nil || th.part != nil || th.version == nil || th.Task.Kind == "" {
			continue
		}
		if err := k.follow(ctx, th); err != nil {
			return err
		}
	}
	return nil
}

// work judges one.
func (k *talk) work(ctx context.Context, p *part) error {
	th, err := k.thread(ctx, p.key)
	if err != nil {
		return err
	}
	next, err := consultation.ReadTask(p.proposal.resource, k.base())
	if err != nil {
		return err
	}
	next.Key = p.key
	var old *consultation.Task
	if p.proposal.old != nil {
		old = &th.Task
	}
	if next.Kind == "" && (old == nil || old.Kind == "") {
		return nil
	}
	facts, err := k.factsOf(ctx, p, th, next)
	if err != nil {
		return err
	}
	roles, err := k.rolesIn(ctx, th, next)
	if err != nil {
		return err
	}
	d, err := consultation.Decide(old, next, roles, facts)
	if err != nil {
		return err
	}
	if err := k.preconditions(ctx, p, old, next); err != nil {
		return err
	}
	if old == nil {
		if err := k.repeat(ctx, p, next); err != nil {
			return err
		}
	}
	return k.decided(ctx, p, th, d)
}

// rolesIn returns what the caller is in a Task. Who speaks in the same transaction does so as
// the author that they name.
func (k *talk) rolesIn(ctx context.Context, th *thread, next consultation.Task) (consultation.Roles, error) {
	about := next
	if th != nil && th.version != nil {
		about = th.Task
	}
	c := consultation.Conversation{Task: about}
	if th != nil {
		c.Parties = th.Parties
	}
	roles := consultation.RolesOf(about, k.speaker.in(&c, fhir.Key{}))
	if !k.speaker.client {
		return roles, nil
	}
	for _, p := range k.parts {
		if p.Key.Type != "Communication" || p.proposal == nil || p.err != nil {
			continue
		}
		said := consultation.ReadMessage(p.proposal.resource, k.base())
		author := said.Sender
		if author.Type != "PractitionerRole" || said.Task != about.Key || said.Status == "preparation" {
			continue
		}
		role, err := k.nowStored(ctx, author)
		if err != nil {
			return 0, err
		}
		if role != nil && clinicalRole(role.Root()) {
			roles |= consultation.RolesOf(about, clinically(k.speaker.in(&c, author), c.Parties[author]))
		}
	}
	return roles, nil
}

// clinically returns a caller as one who has a clinical role in an organisation of theirs.
func clinically(c consultation.Caller, home fhir.Key) consultation.Caller {
	c.Memberships = slices.Clone(c.Memberships)
	for i := range c.Memberships {
		if c.Memberships[i].Of == home {
			c.Memberships[i].Clinical = true
		}
	}
	return c
}

// decided makes of p what was decided.
func (k *talk) decided(ctx context.Context, p *part, th *thread, d consultation.Decision) error {
	switch d.Effect {
	case consultation.TaskPlain:
		return nil
	case consultation.TaskUnchanged:
		p.stay()
		return nil
	case consultation.TaskForwarded:
		return k.forward(ctx, p, th)
	}
	thread, err := k.threadOf(ctx, p)
	if err != nil {
		return err
	}
	json, err := d.Write(p.proposal.resource, consultation.Stamp{Now: k.now, Thread: thread})
	if err != nil {
		return err
	}
	if err := rewrite(p, json); err != nil {
		return err
	}
	if err := k.tick(ctx, p, d); err != nil {
		return err
	}
	if err := k.record(p, th); err != nil {
		return err
	}
	for _, m := range d.Follow {
		if err := k.couple(ctx, p, m); err != nil {
			return err
		}
	}
	if d.Effect == consultation.TaskMoved && d.BusinessStatus == consultation.AdviceConverted {
		if err := k.convert(ctx, p); err != nil {
			return err
		}
	}
	return k.announce(ctx, p, th, d)
}

// announce tells who asked a specialist that there is an answer.
func (k *talk) announce(ctx context.Context, p *part, th *thread, d consultation.Decision) error {
	if d.Effect != consultation.TaskMoved || th == nil || !consultation.Answers(th.Task.Kind, d.To) {
		return nil
	}
	service, err := k.serviceOf(ctx, k.at, p.proposal.resource)
	if err != nil {
		return err
	}
	for _, a := range consultation.Alert(consultation.Alerting{
		Watched: consultation.Watched{Task: p.proposal.resource, Service: service, Parties: th.Parties, Base: k.base()},
		Alarm:   consultation.Alarm{Kind: consultation.ResponseReceived}, At: k.now, Now: k.now,
	}) {
		if err := k.author(ctx, a, nil); err != nil {
			return err
		}
	}
	return nil
}

// convert adds the referral that advice has become.
func (k *talk) convert(ctx context.Context, p *part) error {
	advice, err := consultation.ReadTask(p.proposal.resource, k.base())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(advice.Outputs, func(o consultation.Output) bool { return o.Type == "referral" })
	if i < 0 {
		return nil
	}
	json, err := consultation.ConvertToReferral(p.proposal.resource, advice.Outputs[i].Target, k.now)
	if err != nil {
		return err
	}
	r, err := fhir.DecodeDerived("Task", json)
	if err != nil {
		return fmt.Errorf("read a referral: %w", err)
	}
	if json, err = k.ticked(ctx, r, consultation.StatusDraft, consultation.StatusRequested); err != nil {
		return err
	}
	id := k.newID()
	p.links = append(p.links, Link{Rel: "referral", Key: fhir.Key{Type: "Task", ID: id}})
	return k.author(ctx, consultation.Authored{Type: "Task", ID: id, JSON: json}, nil)
}

// threadOf returns the thread of a Task that names none: that of the Task it is part of, or a
// new one.
func (k *talk) threadOf(ctx context.Context, p *part) (string, error) {
	root := p.proposal.resource.Root()
	if !root.Child("groupIdentifier").IsZero() || p.proposal.old != nil {
		return "", nil
	}
	for n := range root.Each("partOf") {
		parent, err := k.thread(ctx, k.referred(n, "Task"))
		if err != nil {
			return "", err
		}
		if parent != nil && parent.Task.Thread != "" && k.sees(parent) {
			return parent.Task.Thread, nil
		}
	}
	return k.newID(), nil
}

// tick sets the clock of the Task.
func (k *talk) tick(ctx context.Context, p *part, d consultation.Decision) error {
	json, err := k.ticked(ctx, p.proposal.resource, d.From, d.To)
	if err != nil {
		return err
	}
	return rewrite(p, json)
}

func (k *talk) ticked(ctx context.Context, task *fhir.Resource, from, to consultation.Status) ([]byte, error) {
	if from == to {
		return task.Stored(task.ID()), nil
	}
	service, err := k.serviceOf(ctx, k.at, task)
	if err != nil {
		return nil, err
	}
	return consultation.Tick{Task: task, From: from, To: to, Service: service, Now: k.now}.Write()
}

// record says on the Task whether all of it is in a clinical record.
func (k *talk) record(p *part, th *thread) error {
	next, err := consultation.ReadTask(p.proposal.resource, k.base())
	if err != nil {
		return err
	}
	var old *consultation.Task
	if p.proposal.old != nil {
		old = &th.Task
	}
	files := consultation.Files(old, next)
	unfiles := !files && th != nil && th.said && consultation.IsFiled(p.proposal.resource.Root())
	if !files && !unfiles {
		return nil
	}
	json, err := consultation.SetFiled(p.proposal.resource, files)
	if err != nil {
		return err
	}
	return rewrite(p, json)
}

// forward passes the Task of p on to another organisation.
func (k *talk) forward(ctx context.Context, p *part, th *thread) error {
	if err := k.redirect(ctx, th, p.proposal.resource.Root().Child("owner")); err != nil {
		return err
	}
	linked, closed, err := consultation.Forward(p.proposal.old.resource, p.proposal.resource, k.now)
	if err != nil {
		return err
	}
	if err := rewrite(p, closed); err != nil {
		return err
	}
	r, err := fhir.DecodeDerived("Task", linked)
	if err != nil {
		return fmt.Errorf("read a Task that is passed on: %w", err)
	}
	if linked, err = k.ticked(ctx, r, consultation.StatusDraft, consultation.StatusRequested); err != nil {
		return err
	}
	id := k.newID()
	p.links = append(p.links, Link{Rel: "task", Key: fhir.Key{Type: "Task", ID: id}})
	return k.author(ctx, consultation.Authored{Type: "Task", ID: id, JSON: linked}, nil)
}

// couple makes a move of the server's that comes with the change of p: of the same Task, or of
// the one that it stops.
func (k *talk) couple(ctx context.Context, p *part, m consultation.SystemMove) error {
	if m.Task == p.key {
		json, err := m.Write(p.proposal.resource, k.now)
		if err != nil {
			return err
		}
		return rewrite(p, json)
	}
	th, err := k.thread(ctx, m.Task)
	if err != nil || th == nil || th.version == nil {
		return err
	}
	return k.move(ctx, th, m)
}

// follow makes the moves of the server's that messages bring about, of a Task that the client
// leaves.
func (k *talk) follow(ctx context.Context, th *thread) error {
	if len(th.follow) > 0 {
		return k.move(ctx, th, th.follow[0])
	}
	if !th.said || !consultation.IsFiled(th.task.Root()) {
		return nil
	}
	json, err := consultation.SetFiled(th.task, false)
	if err != nil {
		return err
	}
	return k.author(ctx, consultation.Authored{Type: "Task", ID: th.Task.Key.ID, JSON: json}, th.version)
}

// move makes one.
func (k *talk) move(ctx context.Context, th *thread, m consultation.SystemMove) error {
	json, err := m.Write(th.task, k.now)
	if err != nil {
		return err
	}
	r, err := fhir.DecodeDerived("Task", json)
	if err != nil {
		return fmt.Errorf("read a Task that the server moves: %w", err)
	}
	if json, err = k.ticked(ctx, r, m.From, m.To); err != nil {
		return err
	}
	if th.said && consultation.IsFiled(r.Root()) {
		if r, err = fhir.DecodeDerived("Task", json); err != nil {
			return err
		}
		if json, err = consultation.SetFiled(r, false); err != nil {
			return err
		}
	}
	return k.author(ctx, consultation.Authored{Type: "Task", ID: th.Task.Key.ID, JSON: json}, th.version)
}

// factsOf returns what Decide has to know about the change that p is.
func (k *talk) factsOf(ctx context.Context, p *part, th *thread, next consultation.Task) (consultation.Facts, error) {
	f, err := k.known(ctx, th, next)
	if p.Expect > store.Anything {
		f.Match = consultation.MatchCurrent // or else it would have been refused already
	}
	return f, err
}

// known returns what there is to know of a Task that next follows, or that next is.
func (k *talk) known(ctx context.Context, th *thread, next consultation.Task) (consultation.Facts, error) {
	f := consultation.Facts{Now: k.now}
	if th != nil {
		f = th.facts(k.now)
	}
	var err error
	if f.FormValid, err = k.isCompleted(ctx, next); err != nil {
		return f, err
	}
	if f.FormValid && (th == nil || th.version == nil || th.Task.Focus != next.Focus) {
		if f.FormValid, err = k.isShown(ctx, next.Focus); err != nil {
			return f, err
		}
	}
	if f.ConversionAuthorised, err = k.mayConvert(ctx, next); err != nil {
		return f, err
	}
	if th != nil && th.version != nil && next.Owner != th.Task.Owner {
		homes, err := k.standsFor(ctx, k.at, []fhir.Key{next.Owner, th.Task.Owner})
		if err != nil {
			return f, err
		}
		f.OwnerWithin = sameHouse(homes, next.Owner, th.Task.Owner)
	}
	if next.Kind == consultation.Abort {
		err = k.aborting(ctx, next, &f)
	}
	return f, err
}

// sameHouse reports whether a belongs to the organisation of b.
func sameHouse(homes map[fhir.Key]fhir.Key, a, b fhir.Key) bool {
	home := func(k fhir.Key) fhir.Key {
		if homes[k].ID != "" {
			return homes[k]
		}
		return k
	}
	return a.ID != "" && home(a) == home(b)
}

// isCompleted reports whether the focus of a Task is a form that was completed. Answers are held
// against their form whenever they are stored.
func (k *talk) isCompleted(ctx context.Context, t consultation.Task) (bool, error) {
	if t.Kind != consultation.Consultation || t.Focus.Type != "QuestionnaireResponse" {
		return false, nil
	}
	r, err := k.nowStored(ctx, t.Focus)
	if r == nil || err != nil {
		return false, err
	}
	status := r.Root().Child("status").Text()
	return status == "completed" || status == "amended", nil
}

// nowStored returns a resource as the transaction leaves it; nil when there is none.
func (k *talk) nowStored(ctx context.Context, key fhir.Key) (*fhir.Resource, error) {
	for _, p := range k.parts {
		if p.key == key && p.proposal != nil && p.err == nil {
			return p.proposal.resource, nil
		}
	}
	found, err := k.at.Current(ctx, []fhir.Key{key})
	if err != nil {
		return nil, err
	}
	v, err := formerly(found[key])
	if v == nil || err != nil {
		return nil, err
	}
	return v.resource, nil
}

// isShown reports whether the caller sees a resource, or writes it in the transaction.
func (k *talk) isShown(ctx context.Context, key fhir.Key) (bool, error) {
	if slices.ContainsFunc(k.parts, func(p *part) bool { return p.key == key && p.proposal != nil }) {
		return true, nil
	}
	found, err := k.at.Current(ctx, []fhir.Key{key})
	if err != nil {
		return false, err
	}
	v, err := k.seen(anyPermission, found[key])
	return v != nil, err
}

// mayConvert reports whether who asked for advice allows that it becomes a referral.
func (k *talk) mayConvert(ctx context.Context, t consultation.Task) (bool, error) {
	if t.Kind != consultation.AdviceAndGuidance || t.Status != consultation.StatusCompleted || t.Focus.Type != "ServiceRequest" {
		return false, nil
	}
	r, err := k.nowStored(ctx, t.Focus)
	if r == nil || err != nil {
		return false, err
	}
	return consultation.AuthorisesConversion(r.Root()), nil
}

// aborting adds what has to be known of a Task that asks to stop another one.
func (k *talk) aborting(ctx context.Context, abort consultation.Task, f *consultation.Facts) error {
	if abort.Focus.Type != "Task" {
		return nil
	}
	if err := k.hold(ctx, k.at, abort.Focus); err != nil {
		return err
	}
	th, err := k.thread(ctx, abort.Focus)
	if err != nil || th == nil || th.version == nil || !k.sees(th) {
		return err
	}
	f.Aborted = &th.Task
	others, err := k.at.Matching(ctx, "Task", "focus="+abort.Focus.String()+"&status=requested&code="+consultation.KindSystem+"%7Cabort", 10)
	for _, v := range others {
		f.AbortOpen = f.AbortOpen || v.Key != abort.Key
	}
	return err
}
