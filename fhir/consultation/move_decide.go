package consultation

import (
	"slices"

	"github.com/openconsult/openconsult/fhir"
)

// An Effect is what a change of a Task amounts to. The zero Effect is none that may be
// stored.
type Effect uint8

// The effects.
const (
	TaskPlain     Effect = iota + 1 // the Task is none of ours: no rule applies, store what the client wrote
	TaskCreated                     // the Task is new
	TaskUnchanged                   // nothing changes: answer 200 with the current version, store and tell nothing
	TaskEdited                      // the status stays
	TaskMoved                       // the status changes
	TaskClosed                      // the requester closes the conversation: the business status changes, the status stays
	TaskForwarded                   // the Task goes to another organisation: store what [Forward] makes, not what the client wrote
)

// A Decision is what becomes of a Task. The zero Decision must not be stored.
type Decision struct {
	Effect         Effect
	From, To       Status
	BusinessStatus string       // that the Task gets, a code of [AdviceStatusSystem]; empty for none
	Follow         []SystemMove // to be made in the same transaction, in this order

	kind Kind
}

// A proposal is a change that is asked for.
type proposal struct {
	old, next Task
	roles     Roles
	facts     Facts
}

// Decide says what becomes of next, a Task as the client wrote it, with the references
// of a transaction resolved; old is the Task as it is, nil when it is to be created. Who
// asks has signed in and sees old. The error is a [*Refusal]. In the order in which things
// are asked its Outcome is
//
//   - BadRequest, if-match-required, and Stale, version-conflict: for changes by clients
//   - Unprocessable, invalid-transition: no client may do that from here
//   - Denied, transition-not-permitted-for-role: others may
//   - Unprocessable, immutable-element: an element stays as it is, or is the server's; Denied,
//     element-not-permitted-for-role: it is the other side's
//   - Unprocessable with the code of a precondition, or conversation-closed,
//     conversion-not-authorised, abort-not-applicable, already-requested, owner-required.
//
// System asks for the server itself: it needs no If-Match, and its edits of elements are not
// judged. Beside other roles System counts for nothing.
func Decide(old *Task, next Task, roles Roles, f Facts) (Decision, error) {
	p := proposal{next: next, roles: roles.asked(), facts: f}
	if old == nil {
		return p.answer(p.create())
	}
	p.old = *old
	return p.answer(p.change())
}

// answer makes a Refusal of an Outcome.
func (p proposal) answer(d Decision, o *fhir.Outcome) (Decision, error) {
	if o == nil {
		return d, nil
	}
	r := &Refusal{Outcome: o, From: p.old.Status, To: p.next.Status}
	if p.old.Status == "" {
		r.Allowed = beginnings(p.next.Kind, p.roles)
	} else {
		r.Allowed = AvailableActions(p.old, p.roles, p.facts)
	}
	o.Issues[0].Extensions = extensionsOf(r.Allowed)
	return Decision{}, r
}

func (p proposal) change() (Decision, *fhir.Outcome) {
	switch {
	case p.old.Kind == "" && p.next.Kind == "":
		return Decision{Effect: TaskPlain}, nil
	case p.old.Kind == "":
		return Decision{}, refuse(fhir.BusinessRule, "immutable-element", "Task.code", "This Task is none of the kinds that follow rules, and does not become one; create a new Task.")
	}
	if o := p.version(); o != nil {
		return Decision{}, o
	}
	// A code that changes is refused further down; until then the Task is what it was.
	if p.next.Kind != p.old.Kind {
		p.next.Kind = p.old.Kind
		p.next.BusinessStatus = codeIn(p.next.root.Child("businessStatus"), businessSystem(p.old.Kind))
	}
	switch {
	case p.old.Status != p.next.Status:
		return p.move()
	case p.forwards():
		return p.forward()
	case !p.system() && !p.differs():
		return p.decided(TaskUnchanged), nil
	}
	return p.edit()
}

func (p proposal) system() bool { return p.roles == System }

// version holds the change against the version that it is made from.
func (p proposal) version() *fhir.Outcome {
	var o *fhir.Outcome
	switch {
	case p.system() || p.facts.Match == MatchCurrent:
		return nil
	case p.facts.Match == MatchStale:
		o = fhir.Errorf(fhir.Stale, fhir.Conflict, "", "This is not the current version; read the Task, look at what changed, and send yours again with the new ETag in If-Match.")
		o.Issues[0].Detail = "version-conflict"
	default:
		o = fhir.Errorf(fhir.BadRequest, fhir.Required, "", "Send If-Match with the ETag of the version that you have read: others may have acted since.")
		o.Issues[0].Detail = "if-match-required"
	}
	return o
}

// move judges a change of status.
func (p proposal) move() (Decision, *fhir.Outcome) {
	t, ok := machine().find(p.old.Kind, p.old.Status, p.next.Status)
	switch {
	case !ok || t.by == System && !p.system():
		return Decision{}, invalidTransition(p.old.Kind, p.old.Status, p.next.Status)
	case !p.system() && p.old.Status != StatusDraft && p.old.Owner != p.next.Owner && !p.facts.OwnerWithin:
		return Decision{}, notForwardable("Give the Task to another organisation by itself, without changing the status.")
	case !p.derives():
		return Decision{}, businessStatusDerived()
	case t.by&p.roles == 0:
		return Decision{}, wrongRole("Task.status", t.by)
	}
	if o := p.elements(); o != nil {
		return Decision{}, o
	}
	if o := t.unmet(p.old, p.next, p.facts); o != nil {
		return Decision{}, o
	}
	d := p.decided(TaskMoved)
	if p.old.Kind == Abort && p.next.Status == StatusAccepted {
		d.Follow = p.facts.stop(p.old)
	}
	return d, nil
}

// edit judges a change that leaves the status.
func (p proposal) edit() (Decision, *fhir.Outcome) {
	effect, by := TaskEdited, Requester|Owner|Admin|System
	if c, ok := machine().kinds[p.old.Kind].closes(p.old, p.next); ok {
		effect, by = TaskClosed, c.by
	} else if !p.derives() {
		return Decision{}, businessStatusDerived()
	}
	if by&p.roles == 0 {
		return Decision{}, wrongRole("Task", by)
	}
	if o := p.elements(); o != nil {
		return Decision{}, o
	}
	return p.decided(effect), nil
}

// decided returns the Decision with the business status that comes with it.
func (p proposal) decided(e Effect) Decision {
	d := Decision{Effect: e, From: p.old.Status, To: p.next.Status, kind: p.next.Kind}
	switch {
	case machine().kinds[d.kind].system == "":
	case e == TaskClosed:
		d.BusinessStatus = p.next.BusinessStatus
	case e == TaskMoved && d.To == StatusEnteredInError, e == TaskEdited, e == TaskUnchanged:
		d.BusinessStatus = p.old.BusinessStatus
	default:
		d.BusinessStatus = businessStatusFor(p.next)
	}
	return d
}

// derives says whether the business status in next is one that a client may send: none,
// the one that there is, or the one that comes of the change. Of a consultation the
// statuses of ours are the server's; the owner may take away what has been dealt with.
func (p proposal) derives() bool {
	next := p.next.BusinessStatus
	if p.system() || next == p.old.BusinessStatus {
		return true
	}
	if machine().kinds[p.next.Kind].system == "" {
		return next == "" && removable(p.old.BusinessStatus) && p.roles&Owner != 0
	}
	return next == "" || p.old.Status != p.next.Status && next == businessStatusFor(p.next)
}

func businessStatusDerived() *fhir.Outcome {
	return refuse(fhir.BusinessRule, "invalid-transition", "Task.businessStatus", "The server finds out the business status; leave it as it is.")
}

// forwards says whether the Task is to go to another organisation.
func (p proposal) forwards() bool {
	return !p.system() && p.old.Status != StatusDraft && p.old.Owner != p.next.Owner && !p.facts.OwnerWithin
}

func (p proposal) forward() (Decision, *fhir.Outcome) {
	r := machine().kinds[p.old.Kind]
	switch {
	case !slices.Contains(r.forwardFrom, p.old.Status):
		return Decision{}, notForwardable("A Task goes to another organisation only while it is requested or received, if its kind can be passed on at all.")
	case p.roles&Owner == 0:
		return Decision{}, wrongRole("Task.owner", Owner)
	case p.next.Owner.ID == "":
		return Decision{}, ownerRequired()
	case p.next.Owner.Type != "Organization" && p.next.Owner.Type != "HealthcareService":
		return Decision{}, notForwardable("A Task is passed on to an Organization or HealthcareService; name a person within your own by the extension assigned-to.")
	}
	for _, name := range p.changed() {
		if name != "owner" {
			return Decision{}, immutable(name, "Only the owner changes when a Task is passed on.")
		}
	}
	return Decision{Effect: TaskForwarded, From: p.old.Status, To: StatusRejected, kind: p.old.Kind}, nil
}

func notForwardable(text string) *fhir.Outcome {
	return refuse(fhir.BusinessRule, "invalid-transition", "Task.owner", "%s", text)
}
