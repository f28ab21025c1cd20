package interaction

import (
	"context"
	"errors"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/dispatch"
	"github.com/openconsult/openconsult/fhir/store"
)

// What is recorded of messages that are sent by other channels.
const (
	DispatchAttempt  access.Interaction = "dispatch-attempt"  // one was given to a channel
	CallbackReceived access.Interaction = "callback-received" // the channel has said something of it
)

// maxReceipts bounds how many receipts of one message are looked at.
const maxReceipts = 100

// Letter returns a message as it may be sent now: to whom, and what; nil when there is none,
// or it is based on no CommunicationRequest. It makes the Engine a [dispatch.Desk].
func (e *Engine) Letter(ctx context.Context, id string, served []consultation.Channel) (*dispatch.Letter, error) {
	message, err := e.stored(ctx, fhir.Key{Type: "Communication", ID: id})
	if err != nil || message == nil {
		return nil, err
	}
	n := message.Root()
	var of fhir.Key
	for based := range n.Each("basedOn") {
		if k := e.referred(based, "CommunicationRequest"); k.ID != "" {
			of = k
		}
	}
	status := n.Child("status").Text()
	if of.ID == "" || status == "preparation" {
		return nil, nil
	}
	l := &dispatch.Letter{Status: status, Text: consultation.MessageText(n)}
	request, err := e.stored(ctx, of)
	if err != nil {
		return nil, err
	}
	if l.Revoked = request == nil || isRevoked(request.Root()) || status == "entered-in-error" || status == "stopped"; l.Revoked {
		return l, nil
	}
	return l, e.route(ctx, l, dispatching{request.Root(), n, served})
}

// stored returns the current version of k; nil when there is none.
func (e *Engine) stored(ctx context.Context, k fhir.Key) (*fhir.Resource, error) {
	v, err := e.store.ReadContent(ctx, k)
	if err != nil || v == nil || v.Deleted() {
		return nil, err
	}
	r, err := fhir.DecodeDerived(k.Type, v.Stored)
	if err != nil {
		return nil, fmt.Errorf("decode a %s: %w", k.Type, err)
	}
	return r, nil
}

// isRevoked reports whether nothing is to be sent for a CommunicationRequest any more.
func isRevoked(request fhir.Node) bool {
	status := request.Child("status").Text()
	return status == "revoked" || status == "entered-in-error"
}

// A dispatching is a request with one of its messages, or itself as the message.
type dispatching struct {
	request, message fhir.Node
	served           []consultation.Channel
}

// route finds the ways in which a letter may go now.
func (e *Engine) route(ctx context.Context, l *dispatch.Letter, d dispatching) error {
	var err error
	if l.Schedule, err = consultation.ReadSchedule(d.request); err != nil && fhir.AsOutcome(err) == nil {
		return err
	}
	media, err := consultation.Media(d.request)
	people, failed := e.addressees(ctx, e.store, d.message)
	if failed != nil {
		return failed
	}
	if l.Inbox = err == nil && len(media) == 0 || len(people) == 0; l.Inbox {
		return nil
	}
	ways, err := consultation.CheckRequest(consultation.Dispatch{Request: d.request, Addressees: people[:1], Served: d.served, Now: e.clock()})
	switch o := fhir.AsOutcome(err); {
	case err == nil:
		l.Ways = ways[0]
	case o != nil && len(o.Issues) > 0:
		l.Barred = o.Issues[0].Text
	default:
		return err
	}
	return nil
}

// Attempted records in the audit that a message was given to a channel. The address stands
// there as a hash.
func (e *Engine) Attempted(ctx context.Context, a dispatch.Attempt) error {
	s := e.dispatcher()
	line := s.trail(DispatchAttempt, fhir.Key{Type: "Communication", ID: a.Message})
	if line == nil {
		return nil
	}
	line.Detail = map[string]string{"channel": string(a.Channel), "address": a.Address, "taken": fmt.Sprint(a.Err == nil)}
	if v, err := e.store.Read(ctx, line.Key); err == nil && v != nil {
		line.Version, line.Patients = v.Number, e.store.PatientsOf(v)
	}
	line.Outcome = succeeded
	if a.Err != nil {
		line.Outcome = brokenDown
	}
	return e.store.Record(ctx, *line)
}

// Heard records in the audit what a channel has said of a message.
func (e *Engine) Heard(ctx context.Context, c dispatch.Callback) error {
	line := e.dispatcher().trail(CallbackReceived, fhir.Key{Type: "Communication", ID: c.Message})
	if line == nil {
		return nil
	}
	line.Detail = map[string]string{"channel": string(c.Channel), "event": string(c.Event)}
	if v, err := e.store.Read(ctx, line.Key); err == nil && v != nil {
		line.Version, line.Patients = v.Number, e.store.PatientsOf(v)
	}
	return e.store.Record(ctx, *line)
}

// dispatcher is the server itself.
func (e *Engine) dispatcher() *Session { return e.For(access.Trusted("openconsult"), Origin{}) }

// Delivered stores what has become of a message, with all that this demands, in one
// transaction: the receipts of one that was read are closed, and when no channel has delivered
// it the practice is told, and a consultation that waits for the patient is theirs again. What
// is stored already is not stored again.
func (e *Engine) Delivered(ctx context.Context, o dispatch.Outcome) error {
	s := e.dispatcher()
	for range maxRaces {
		err := s.store.Atomically(ctx, false, func(ctx context.Context, tx *store.Tx) error { return s.deliver(ctx, tx, o) })
		if !errors.Is(err, errRaced) {
			return err
		}
	}
	return tooManyRaces()
}

// A settling is a message whose outcome is being written.
type settling struct {
	*Session
	outcome dispatch.Outcome
	at      *store.Tx
	message *former
	task    *former // nil when there is none
	changes []store.Change
}

func (s *Session) deliver(ctx context.Context, tx *store.Tx, o dispatch.Outcome) error {
	w := &settling{Session: s, outcome: o, at: tx}
	if err := w.load(ctx); err != nil || w.message == nil {
		return err
	}
	changed, err := w.message.settled(o)
	if err != nil {
		return fmt.Errorf("write the outcome of a message: %w", err)
	}
	if changed.JSON != nil {
		if err := w.put(ctx, changed, w.message); err != nil {
			return err
		}
	}
	if !o.Read.IsZero() {
		err = w.closeReceipts(ctx)
	}
	if err == nil && o.Status == "not-done" && changed.JSON != nil && w.task != nil {
		err = w.tellPractice(ctx)
	}
	if err != nil || len(w.changes) == 0 {
		return err
	}
	return w.write(ctx)
}

// settled returns a message with its outcome; the zero value is no change.
func (f *former) settled(o dispatch.Outcome) (consultation.Authored, error) {
	return consultation.Deliver(consultation.Delivery{Message: f.resource, Status: o.Status, Reason: o.Reason, At: o.At})
}

// load holds the conversation, and reads it.
func (w *settling) load(ctx context.Context) error {
	message := fhir.Key{Type: "Communication", ID: w.outcome.Message}
	v, err := w.store.ReadContent(ctx, message)
	if err != nil || v == nil || v.Deleted() {
		return err
	}
	r, err := fhir.DecodeDerived(message.Type, v.Stored)
	if err != nil {
		return fmt.Errorf("decode a Communication: %w", err)
	}
	ask := []fhir.Key{message}
	for _, task := range w.partOf(r) {
		ask = append(ask, task)
		if err := w.at.Hold(ctx, []fhir.Key{task}); err != nil {
			return err
		}
	}
	current, err := w.at.Current(ctx, ask)
	if err != nil {
		return err
	}
	if w.message, err = formerly(current[message]); err != nil || len(ask) == 1 {
		return err
	}
	w.task, err = formerly(current[ask[1]])
	return err
}

// put adds a version of a resource, the first one or the one after old.
func (w *settling) put(ctx context.Context, a consultation.Authored, old *former) error {
	r, err := fhir.DecodeDerived(a.Type, a.JSON)
	if err != nil {
		return fmt.Errorf("read a %s that the server has written: %w", a.Type, err)
	}
	p := proposal{interaction: access.Create, key: fhir.Key{Type: a.Type, ID: a.ID}, op: store.Update, resource: r}
	expect := store.Absent
	if old != nil {
		p.interaction, p.old, expect = access.Update, old, store.Expect(old.Number)
	}
	k, err := w.sketch(ctx, p)
	if err != nil {
		return fmt.Errorf("store a %s that the server has written: %w", a.Type, err)
	}
	w.changes = append(w.changes, store.Change{Row: k.Row, Expect: expect})
	return nil
}

// closeReceipts closes the receipts of those whom the message was sent to by a channel that
// reports it as read: the recipients who are no organisations.
func (w *settling) closeReceipts(ctx context.Context) error {
	all, err := w.at.Matching(ctx, "Task", "focus=Communication/"+w.outcome.Message, maxReceipts)
	if err != nil {
		return fmt.Errorf("find the receipts of a message: %w", err)
	}
	for i := range all {
		receipt, err := formerly(&all[i])
		if err != nil {
			return fmt.Errorf("decode a receipt: %w", err)
		}
		t, err := consultation.ReadTask(receipt.resource, w.base())
		if err != nil || t.Kind != consultation.MessageReceipt || t.Owner.Type != "Patient" && t.Owner.Type != "RelatedPerson" {
			continue
		}
		closed, err := consultation.ReadOnChannel(receipt.resource, w.outcome.Read)
		if err != nil {
			return fmt.Errorf("close a receipt: %w", err)
		}
		if closed.JSON == nil {
			continue
		}
		if err := w.put(ctx, closed, receipt); err != nil {
			return err
		}
	}
	return nil
}

// tellPractice adds the alert that nothing was delivered, and puts the Task back on the list
// of the practice.
func (w *settling) tellPractice(ctx context.Context) error {
	u := consultation.Undelivered{Message: w.message.resource, Task: w.task.resource, Base: w.base(), Now: w.clock()}
	for _, a := range u.Alert() {
		if err := w.put(ctx, a, nil); err != nil {
			return err
		}
	}
	m := u.Move()
	if m.Task.ID == "" {
		return nil
	}
	json, err := m.Write(w.task.resource, u.Now)
	if err != nil {
		return fmt.Errorf("move a Task back to the practice: %w", err)
	}
	moved, err := fhir.DecodeDerived("Task", json)
	if err != nil {
		return fmt.Errorf("read a Task that the server moves: %w", err)
	}
	service, err := w.serviceOf(ctx, w.at, moved)
	if err != nil {
		return err
	}
	if json, err = (consultation.Tick{Task: moved, From: m.From, To: m.To, Service: service, Now: u.Now}).Write(); err != nil {
		return fmt.Errorf("set the clock of a Task: %w", err)
	}
	return w.put(ctx, consultation.Authored{Type: "Task", ID: m.Task.ID, JSON: json}, w.task)
}

// write writes what was added, or nothing when something has changed meanwhile.
func (w *settling) write(ctx context.Context) error {
	written, err := w.at.Write(ctx, w.changes, nil)
	if err != nil {
		return err
	}
	for _, done := range written {
		if done.Outcome == store.Mismatch || done.Outcome == store.Collision {
			return errRaced
		}
	}
	return nil
}
