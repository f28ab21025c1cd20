package interaction

import (
	"context"
	"errors"
	"slices"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/store"
)

// transactionInteraction is what a Bundle as a whole is recorded as.
const transactionInteraction access.Interaction = "transaction"

// A transaction is a Bundle while it is performed.
type transaction struct {
	*Session
	Bundle
	parts    []part
	along    []*part // what the server writes along
	links    links
	criteria []store.Criteria  // of conditional entries, then of conditional references
	found    [][]store.Version // by each of criteria, two at most
	hopes    bool              // it is tried without holding anything first, see hope
}

// Transaction performs all entries of b or none: first those that delete, then those
// that create, that change and that read. The replies come in the order of the
// entries. What any entry may not do is an Outcome that names it, and so is what
// others stand in the way of. One with a Receipt that was received already is
// [store.ErrReceived]: see [Session.Received].
// https://hl7.org/fhir/R4/http.html#transaction
func (s *Session) Transaction(ctx context.Context, b Bundle) ([]Reply, error) {
	t := &transaction{Session: s, Bundle: b}
	if err := t.begin(ctx); err != nil {
		if err = t.received(ctx, err); errors.Is(err, store.ErrReceived) {
			return nil, err
		}
		return nil, t.refused(ctx, err)
	}
	if t.hopes = t.mayHope(); !t.hopes && !t.isStraight() {
		t.scanAhead(ctx)
	}
	for range maxRaces {
		err := t.perform(ctx)
		if errors.Is(err, errRaced) {
			continue
		}
		if err != nil {
			return nil, t.failed(ctx, err)
		}
		t.redefined()
		return t.replies(), t.performed(ctx)
	}
	return nil, t.refused(ctx, tooManyRaces())
}

// begin finds out what can be known without looking at what is stored.
func (t *transaction) begin(ctx context.Context) error {
	t.parts = make([]part, len(t.Entries))
	for i := range t.Entries {
		t.parts[i] = t.part(ctx, i)
	}
	if err := t.problems(); err != nil {
		return err
	}
	if err := t.overlaps(); err != nil {
		return err
	}
	return t.link()
}

// isStraight reports whether the transaction takes one statement to write, after
// others that need not be in a transaction with it.
func (t *transaction) isStraight() bool {
	if t.Dry || len(t.links.references) > 0 {
		return false
	}
	for i := range t.parts {
		if p := &t.parts[i]; p.Conditional || p.Reading != nil || t.needsHold(p) {
			return false
		}
	}
	return true
}

// perform does all of it once. It is errRaced when somebody else has changed what
// it has looked at.
func (t *transaction) perform(ctx context.Context) error {
	switch {
	case t.isStraight():
		return t.straight(ctx)
	case t.hopes:
		if err := t.inHope(ctx); !errors.Is(err, errHopeless) && !errors.Is(err, errRaced) {
			return err
		}
		t.hopes = false
		t.scanAhead(ctx)
	}
	if err := t.lookBack(ctx); err != nil {
		return err
	}
	for range maxParameterRaces {
		if err := t.ask(ctx); err != nil {
			return err
		}
		err := t.store.Atomically(ctx, t.Dry, t.within)
		if !errors.Is(err, store.ErrParametersMoved) {
			return err
		}
	}
	return parametersRace()
}

// straight looks at what there is, and writes by one statement.
func (t *transaction) straight(ctx context.Context) error {
	t.restart()
	if err := t.prepare(ctx, &foresight{DB: t.store}); err != nil {
		return err
	}
	r, err := t.kept(nil)
	if err != nil {
		return err
	}
	return t.write(ctx, r, t.store.WriteAll)
}

// restart forgets what an earlier attempt has found out.
func (t *transaction) restart() {
	t.along = nil
	for i := range t.parts {
		t.parts[i].restart()
	}
}

// within does all of it in one transaction of the database.
func (t *transaction) within(ctx context.Context, tx *store.Tx) error {
	t.restart()
	if err := t.holdFirst(ctx, tx); err != nil {
		return err
	}
	if err := t.find(ctx, tx); err != nil {
		return err
	}
	if err := t.prepare(ctx, tx); err != nil {
		return err
	}
	r, err := t.kept(nil)
	if err != nil {
		return err
	}
	reads := t.readsAnything()
	if reads {
		r = nil // which is stored with what was read
	}
	if err := t.write(ctx, r, tx.Write); err != nil || !reads {
		return err
	}
	if err := t.read(ctx, tx); err != nil {
		return err
	}
	return t.receive(ctx, tx)
}

// prepare makes the changes ready, and sees to it that the caller may make all of
// them.
func (t *transaction) prepare(ctx context.Context, at ground) error {
	parts := make([]*part, 0, len(t.parts))
	for i := range t.parts {
		if t.parts[i].Reading == nil {
			parts = append(parts, &t.parts[i])
		}
	}
	if err := t.look(ctx, at, parts); err != nil {
		return err
	}
	if err := t.relink(); err != nil {
		return err
	}
	for _, p := range parts {
		p.err = t.propose(p)
	}
	if err := t.converse(ctx, at, parts); err != nil {
		return err
	}
	beside := t.beside(ctx)
	for _, p := range parts {
		if p.err == nil {
			p.err = t.outline(beside, p)
		}
	}
	if err := t.authorize(ctx, at, parts, t.decideAll); err != nil {
		return err
	}
	return t.problems()
}

// authorize decides about the changes of parts, by what is known of everything they
// name, which takes one round trip.
func (t *transaction) authorize(ctx context.Context, at ground, parts []*part, decide func([]*sketch, *facts) []error) error {
	if t.grant.IsTrusted() {
		return nil
	}
	var sketches []*sketch
	var of []*part
	var asks []access.Key
	for _, p := range parts {
		if p.err == nil && p.sketch != nil {
			sketches, of, asks = append(sketches, p.sketch), append(of, p), append(asks, p.sketch.asks...)
			if !t.Single {
				asks = append(asks, leads(p.sketch)...)
			}
		}
	}
	if len(sketches) == 0 {
		return nil
	}
	known, err := at.Known(ctx, unique(asks))
	if err != nil {
		return err
	}
	for i, err := range decide(sketches, &facts{session: t.Session, known: known}) {
		of[i].err = err
	}
	return nil
}

// write writes the changes and the receipt by act, and tells the parts what came of
// it.
func (t *transaction) write(ctx context.Context, r *store.Receipt, act func(context.Context, []store.Change, *store.Receipt) ([]store.Written, error)) error {
	changes, of := make([]store.Change, 0, len(t.parts)), make([]*part, 0, len(t.parts))
	for i := range t.parts {
		if p := &t.parts[i]; p.sketch != nil && !p.answered {
			changes, of = append(changes, store.Change{Row: p.sketch.Row, Expect: p.expect}), append(of, p)
		}
	}
	for _, p := range t.along {
		changes, of = append(changes, store.Change{Row: p.sketch.Row, Expect: p.expect}), append(of, p)
	}
	if len(changes) == 0 && r == nil {
		return nil
	}
	written, err := act(ctx, changes, r)
	if err != nil {
		return err
	}
	return t.settleAll(of, written)
}

// readsAnything reports whether any entry reads.
func (t *transaction) readsAnything() bool {
	return slices.ContainsFunc(t.Entries, func(e Entry) bool { return e.Reading != nil })
}

// settleAll tells parts what came of their changes.
func (t *transaction) settleAll(of []*part, written []store.Written) error {
	again := false
	for i, p := range of {
		again = p.settle(written[i]) || again
	}
	if err := t.problems(); err != nil {
		return err
	}
	if again {
		return errRaced
	}
	return nil
}

// replies returns the answers to all entries, as far as the caller is shown them.
func (t *transaction) replies() []Reply {
	all := make([]Reply, len(t.parts))
	for i := range t.parts {
		all[i] = t.parts[i].reply
		all[i].Method, all[i].Read = t.parts[i].Method, t.parts[i].Reading != nil
	}
	return all
}

// performed records what made no version, and so has no line of audit of its own.
func (t *transaction) performed(ctx context.Context) error {
	if t.Dry {
		return t.tried(ctx)
	}
	for i := range t.parts {
		p := &t.parts[i]
		if t.recordWrite(ctx, p); p.err != nil {
			return p.err
		}
	}
	return nil
}

// recordWrite records what p has written or why it has not, unless it has made a
// version or is in the audit already. It is the end of p if that cannot be done.
func (t *transaction) recordWrite(ctx context.Context, p *part) {
	if p.Reading != nil && p.err == nil || p.recorded {
		return
	}
	p.recorded = p.err != nil
	p.reply.Result, p.err = t.wrote(ctx, t.lineOf(p), p.reply.Result, p.err)
}

// tried records a dry run.
func (t *transaction) tried(ctx context.Context) error {
	line := t.trail(transactionInteraction, fhir.Key{})
	if line == nil {
		return nil
	}
	line.Detail = with(nil, "dry-run", "true")
	for i := range t.parts {
		if k := t.parts[i].sketch; k != nil && k.Trail != nil {
			line.Patients = union(line.Patients, k.Trail.Patients)
		}
	}
	return t.record(ctx, line, nil)
}

// refused records what was refused, and returns err, which says so.
func (t *transaction) refused(ctx context.Context, err error) error {
	named := false
	for i := range t.parts {
		if p := &t.parts[i]; p.err != nil {
			named = true
			t.recordWrite(ctx, p)
		}
	}
	if line := t.trail(transactionInteraction, fhir.Key{}); line != nil && !named {
		if len(t.parts) == 1 {
			line.Interaction, line.Key = string(t.parts[0].interaction), t.parts[0].about()
		}
		if failed := t.record(ctx, line, err); failed != nil {
			return failed
		}
	}
	return err
}

// union appends those of ids to all that are not there.
func union(all, ids []string) []string {
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// mayBePast returns an Outcome unless the caller may load history, and p is
// finished.
func (t *transaction) mayBePast(p *part) error {
	switch {
	case !t.grant.Has(access.Administer):
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "", "Only who administers the server loads history.")
	case p.Resource != nil && !isFinished(p.Resource):
		return fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, p.Key.Type+".status", "This %s is not finished, so it is no history; send it without X-History.", p.Key.Type)
	}
	return nil
}

// isFinished reports whether nobody waits for anything about r, by its status.
func isFinished(r *fhir.Resource) bool {
	var open []string
	switch r.Type() {
	case "Task":
		open = []string{"draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold"}
	case "Communication":
		open = []string{"preparation", "in-progress", "on-hold"}
	case "CommunicationRequest", "ServiceRequest":
		open = []string{"draft", "active", "on-hold"}
	case "QuestionnaireResponse":
		open = []string{"in-progress"}
	case "Appointment":
		open = []string{"proposed", "pending", "booked", "arrived", "checked-in", "waitlist"}
	}
	return !slices.Contains(open, r.Root().Child("status").Text())
}
