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

// minds reports whether the rules of conversations look at e. Of changes they look at the version
// before, which is not known here, so that every change of a type may matter.
func (s *Session) minds(ctx context.Context, e *Entry) bool {
	if !s.converses() || e.Reading != nil || e.Problem != nil {
		return false
	}
	if e.Method != "DELETE" && approaches(e.Key.Type) && s.byPatient() {
		return true
	}
	if e.Method == "DELETE" && isAbout(e.Key.Type) {
		return true
	}
	creates := e.Method == "POST" && e.Resource != nil
	switch e.Key.Type {
	case "Task":
		if creates {
			kind, err := consultation.KindOf(e.Resource.Root())
			return kind != "" || err != nil
		}
		return true
	case "Communication":
		return !creates || !e.Resource.Root().Child("partOf").IsZero() || consultation.OutsideConversation(e.Resource.Root()) != nil
	case "QuestionnaireResponse":
		return !creates || s.starts(ctx, e.Resource)
	case "CommunicationRequest", "Appointment":
		return true
	case "Slot":
		return !creates
	case "Binary":
		return !creates && s.keepsFiles()
	}
	return false
}

// isAbout reports whether resources of a type may be what a conversation is about, or say where it
// comes from, so that they are not deleted while there is one.
func isAbout(typ string) bool {
	switch typ {
	case "CommunicationRequest", "MedicationRequest", "Provenance", "QuestionnaireResponse", "ServiceRequest":
		return true
	}
	return false
}

// byItself performs e as a request by itself.
func (s *Session) byItself(ctx context.Context, e Entry) (Result, error) {
	replies, err := s.Transaction(ctx, Bundle{Entries: []Entry{e}, Single: true})
	if err != nil {
		return Result{}, err
	}
	return replies[0].Result, nil
}

// needsHold reports whether the rules that look at e are about what others may change at the
// same time, so that it takes more than one statement.
func (t *transaction) needsHold(ctx context.Context, e *Entry) bool {
	return t.minds(ctx, e) && !t.Past && !(e.Key.Type == "QuestionnaireResponse" && e.Method == "POST")
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
	if len(of) == 0 {
		return nil
	}
	return tx.Hold(ctx, of)
}

// hold does so for those that are known of only later.
func (t *transaction) hold(ctx context.Context, at ground, of ...fhir.Key) error {
	if tx, is := at.(*store.Tx); is && len(of) > 0 {
		return tx.Hold(ctx, of)
	}
	return nil
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
	tasks   map[fhir.Key]*thread // the conversations that are written to
}

// converse runs the rules of conversations over all changes together: it completes them, refuses
// some, and adds what the server writes along. The error is a fault.
func (t *transaction) converse(ctx context.Context, at ground, parts []*part) error {
	if !t.converses() || t.Past {
		return nil
	}
	minded := slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return p.err != nil || p.answered || !t.minds(ctx, p.Entry) })
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
	return nil
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
