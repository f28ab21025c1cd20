package interaction

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// Conversation configures the rules of conversations: see package consultation.
type Conversation struct {
	Demo   bool                // triage rules run without anybody's approval
	Limits consultation.Limits // of messages
	Amend  time.Duration       // for how long a response may be changed by its author while nobody works on it; zero is a day
}

// amends returns for how long responses may be changed.
func (c *Conversation) amends() time.Duration {
	if c.Amend == 0 {
		return 24 * time.Hour
	}
	return c.Amend
}

// A Link names a resource that came of a write beside the one that was asked for.
type Link struct {
	Rel string `json:"rel"` // "task", "acknowledgement"
	Key fhir.Key
}

// converses reports whether the rules of conversations hold for the session.
func (s *Session) converses() bool { return s.conversation != nil && !s.server }

// A concern is what the rules of conversations look at of the resources of a type. The zero one
// is nothing.
type concern struct {
	begins  func(context.Context, *fhir.Resource) bool // whether at one that is created; nil is never
	changes bool                                       // at updates and patches, and at the version before
	deletes bool                                       // at deletions, and at what is deleted
}

// concernOf is the table of what the rules look at. What is not known when a request comes, such
// as the version before, the rules find out themselves: it says too much rather than too little.
func (s *Session) concernOf(typ string) concern {
	always := func(context.Context, *fhir.Resource) bool { return true }
	var c concern
	switch typ {
	case "Task":
		c = concern{beginsWork, true, true}
	case "Communication":
		c = concern{isSaid, true, true}
	case "QuestionnaireResponse":
		c = concern{s.starts, true, true}
	case "CommunicationRequest", "Appointment":
		c = concern{always, true, true}
	case "Slot":
		c = concern{nil, true, true}
	case "Binary":
		c = concern{nil, s.keepsFiles(), s.keepsFiles()}
	case "MedicationRequest", "Provenance", "ServiceRequest":
		c = concern{deletes: true} // a conversation may be about it, or come from there
	}
	if approaches(typ) && s.byPatient() {
		c.begins, c.changes = always, true
	}
	return c
}

// beginsWork reports whether a Task that is created is of a kind of ours, or cannot be told from one.
func beginsWork(_ context.Context, task *fhir.Resource) bool {
	kind, err := consultation.KindOf(task.Root())
	return kind != "" || err != nil
}

// isSaid reports whether a Communication that is created may be in a conversation, or should be.
func isSaid(_ context.Context, message *fhir.Resource) bool {
	return !message.Root().Child("partOf").IsZero() || consultation.OutsideConversation(message.Root()) != nil
}

// minds reports whether the rules of conversations look at e.
func (s *Session) minds(ctx context.Context, e *Entry) bool {
	if !s.converses() || e.Reading != nil || e.Problem != nil {
		return false
	}
	c := s.concernOf(e.Key.Type)
	switch {
	case e.Method == "DELETE":
		return c.deletes
	case e.Method == "POST" && e.Resource != nil:
		return c.begins != nil && c.begins(ctx, e.Resource)
	}
	return c.changes
}

// judges reports whether the rules of conversations look at the version that p follows or deletes.
func (t *transaction) judges(p *part) bool {
	if !t.converses() || t.Past {
		return false
	}
	c := t.concernOf(p.Key.Type)
	if p.interaction == access.Delete {
		return c.deletes
	}
	return c.changes
}

// byItself performs e as a request by itself.
func (s *Session) byItself(ctx context.Context, e Entry) (Result, error) {
	replies, err := s.Transaction(ctx, Bundle{Entries: []Entry{e}, Single: true})
	if err != nil {
		return Result{}, err
	}
	return replies[0].Result, nil
}

// needsHold reports whether the rules that look at p are about what others may change at the
// same time, so that it takes more than one statement. Answers that start a conversation are not:
// there is none yet.
func (t *transaction) needsHold(p *part) bool {
	return p.minded && !t.Past && !(p.Key.Type == "QuestionnaireResponse" && p.interaction == access.Create)
}

// holdFirst holds the conversations that entries name, before anything of them is read.
func (t *transaction) holdFirst(ctx context.Context, tx *store.Tx) error {
	if !t.converses() || t.Past {
		return nil
	}
	var of []fhir.Key
	for i := range t.parts {
		switch p := &t.parts[i]; {
		case p.Reading != nil:
		case p.Key.Type == "Task" && p.Key.ID != "":
			of = append(of, p.Key)
		case p.Key.Type == "Communication" && p.linked != nil:
			of = append(of, t.partOf(p.linked)...)
		}
	}
	return tx.Hold(ctx, of)
}

// hold does so for those that are known of only later.
func (t *transaction) hold(ctx context.Context, at ground, of ...fhir.Key) error {
	if len(of) == 0 {
		return nil
	}
	switch at := at.(type) {
	case *store.Tx:
		return at.Hold(ctx, of)
	case *foresight:
		if at.hope != nil {
			return errHopeless
		}
	}
	return nil
}

// holdTalk holds the conversations of some Tasks, or has them watched.
func (k *talk) holdTalk(ctx context.Context, tasks []fhir.Key) error {
	if _, is := k.at.(*foresight); is {
		return nil
	}
	return k.hold(ctx, k.at, tasks...)
}

// partOf returns the Tasks that a message says it is part of.
func (e *Engine) partOf(message *fhir.Resource) (all []fhir.Key) {
	for n := range message.Root().Each("partOf") {
		if k := e.referred(n, "Task"); k.ID != "" {
			all = append(all, k)
		}
	}
	return all
}

// A talk is what the rules of conversations know while they look at the writes of a transaction.
type talk struct {
	*transaction
	at      ground
	now     time.Time
	parts   []*part
	speaker *speaker
	tasks   map[fhir.Key]*thread        // the conversations that are written to
	stored  map[fhir.Key]*store.Version // Tasks that were looked up together; nil for one that there is not
}

// converse runs the rules of conversations over all changes together: it completes them, refuses
// some, and adds what the server writes along. The error is a fault.
func (t *transaction) converse(ctx context.Context, at ground, parts []*part) error {
	if !t.converses() || t.Past {
		return nil
	}
	minded := slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return p.err != nil || p.answered || !p.minded })
	if len(minded) == 0 {
		return nil
	}
	k := &talk{transaction: t, at: at, now: t.clock(), parts: parts, tasks: map[fhir.Key]*thread{}}
	var err error
	if k.speaker, err = t.speaker(ctx, at); err != nil {
		return err
	}
	for _, step := range []func(context.Context, []*part) error{k.submissions, k.requests, k.messages, k.works, k.bookings, k.approach, k.files, k.deletions} {
		if err := step(ctx, minded); err != nil {
			return err
		}
	}
	return k.watch()
}

// refuse says of p that err, an Outcome, stands in its way, and returns err if it is a fault.
func refuse(p *part, err error) error {
	if err == nil || fhir.AsOutcome(err) == nil {
		return err
	}
	p.err = err
	return nil
}

// rewrite replaces what p stores by some JSON.
func rewrite(p *part, json []byte) error {
	r, err := fhir.DecodeDerived(p.proposal.resource.Type(), json)
	if err != nil {
		return fmt.Errorf("read a %s that the server has completed: %w", p.proposal.resource.Type(), err)
	}
	p.proposal.resource = r
	return nil
}

// author adds a resource that the server writes along: the first version, or the one that
// follows old.
func (t *transaction) author(ctx context.Context, a consultation.Authored, old *store.Version) error {
	r, err := fhir.DecodeDerived(a.Type, a.JSON)
	if err != nil {
		return fmt.Errorf("read a %s that the server has written: %w", a.Type, err)
	}
	k := fhir.Key{Type: a.Type, ID: a.ID}
	p := &part{Entry: &Entry{Method: "POST", Key: k}, n: -1, criteria: -1, interaction: access.Create}
	p.key, p.expect = k, after(old)
	p.proposal = &proposal{interaction: access.Create, key: k, op: store.Create, resource: r, authored: true}
	if old != nil {
		p.Method, p.interaction, p.current = "PUT", access.Update, old
		p.proposal.interaction, p.proposal.op = access.Update, store.Update
	}
	if p.sketch, err = t.sketch(ctx, *p.proposal); err != nil {
		return fmt.Errorf("store a %s that the server has written: %w", a.Type, err)
	}
	t.along = append(t.along, p)
	return nil
}
