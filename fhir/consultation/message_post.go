package consultation

import (
	"errors"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// A Posting is a Communication that somebody sends in a conversation.
type Posting struct {
	Message      *fhir.Resource // as the client sent it
	Conversation Conversation
	Caller       Caller
	As           Party                 // whom the caller speaks as: the sender, when the message names none
	LapsedProxy  bool                  // the caller was a proxy of the patient and is none now
	Attachments  map[string]Attachment // by the url or reference in the payload
	Limits       Limits
	Dispatched   bool     // it goes out by a channel that has to confirm it
	Bridged      bool     // a bridge to another dialect sends it, whose status unknown means completed
	ID           string   // logical id of the Communication
	Identifier   string   // of the message, if the client gives none: a UUID
	Receipts     []string // logical ids that are free, at least one for each recipient
	Now          time.Time
}

// A Posted is what a message comes to.
type Posted struct {
	Message  Authored
	Receipts []Authored   // Tasks to be created
	Follow   []SystemMove // of the Task
	Turn     Turn         // to be appended to the Facts of a change of the Task in the same transaction; New is set
	Issues   []fhir.Issue // to be shown with the answer: superseded-context
}

// MostMessages is how many messages a conversation may have: all of them are looked at for each
// that is added.
const MostMessages = 2000

// A posting is a Posting under way.
type posting struct {
	Posting
	sent     fhir.Node
	house    fhir.Key // the party that the sender works for; empty for a patient or proxy
	category string
	draft    bool
	bound    fhir.Key // the message that it answers under a policy; empty when none binds it
}

// Post judges a message that is to be created, and returns it with what the server sets:
// identifiers, sender, subject, about, category, status, sent and received. The error is an
// [*fhir.Outcome], in the order in which things are asked
//
//   - Unknown, without a Detail: the sender is no party; answer as if there were no Task
//   - Denied, proxy-not-active and sender-mismatch
//   - Unprocessable, about the shape: part-of-one-task, subject-mismatch, category-not-allowed,
//     status-not-allowed, identifier-mismatch, recipient-required, recipient-not-in-thread,
//     unknown-modifier-extension, reply-policy-invalid, reply-policy-not-allowed,
//     in-response-to-not-in-thread
//   - Unprocessable, conversation-full: it has [MostMessages]
//   - Unprocessable, about the moment: conversation-closed, replies-not-allowed,
//     reply-window-closed, already-replied
//   - Unprocessable, about the content: payload-required, too-many-attachments,
//     message-too-long, attachment-not-here, attachment-blocked, attachment-type,
//     attachment-too-large.
//
// A draft (status preparation) is judged by its shape only.
func Post(in Posting) (Posted, error) {
	p := &posting{Posting: in, sent: in.Message.Root()}
	if err := p.admit(); err != nil {
		return Posted{}, err
	}
	if err := p.shape(); err != nil {
		return Posted{}, err
	}
	if len(p.Conversation.Messages) >= MostMessages {
		return Posted{}, refuse(fhir.TooCostly, "conversation-full", "Communication.partOf", "This conversation has %d messages, and takes no more; begin a new one.", MostMessages)
	}
	answered, err := p.answered()
	if err != nil {
		return Posted{}, err
	}
	var out Posted
	if !p.draft {
		policy := p.policy(answered)
		if policy != nil {
			p.bound = answered.Key
		}
		if out.Follow, err = p.moment(answered, policy); err != nil {
			return Posted{}, err
		}
		if err := p.content(policy); err != nil {
			return Posted{}, err
		}
		out.Issues = p.context(answered)
	}
	return p.write(out)
}

// admit says whether the caller takes part at all.
func (p *posting) admit() error {
	c := p.Conversation
	p.house = c.house(p.Caller)
	patient := c.isPatient(p.Caller) || p.house.ID == "" && RolesOf(c.Task, p.Caller)&(Requester|Owner) != 0
	switch {
	case p.house.ID != "" || patient:
	case p.LapsedProxy:
		return errLapsedProxy()
	default:
		return declined(fhir.Unknown, fhir.NotFound, "", "There is no such Task here.")
	}
	if !talks(c.Task.Kind) {
		return errPartOf()
	}
	if n := p.sent.Child("sender"); !n.IsZero() && !p.isSender(target(n, c.Base)) {
		o := declined(fhir.Denied, fhir.Forbidden, "sender-mismatch", "The message names somebody else as its sender than the one who sends it; leave sender out.")
		o.Issues[0].Expression = n.Path()
		return o
	}
	return nil
}

// talks reports whether messages may be part of a Task of a kind.
func talks(kind Kind) bool {
	switch kind {
	case Consultation, AdviceAndGuidance, Referral, PrescriptionReissue, PatientAction:
		return true
	}
	return false
}

func errPartOf() error {
	return refuse(fhir.BusinessRule, "part-of-one-task", "Communication.partOf", "A message is part of exactly one Task that is a conversation; name it alone in partOf.")
}

// isSender reports whether the caller may send as k: as one of the persons that they are, or
// as the organisation in this conversation that they work for.
func (p *posting) isSender(k fhir.Key) bool {
	if k.ID == "" {
		return false
	}
	return slices.Contains(p.Caller.Persons, k) || k.Type == "Organization" && p.house.ID != "" && k == p.Conversation.stand(p.house)
}

// side returns the side that the sender is on.
func (p *posting) side() Side {
	if p.house.ID != "" && p.house == p.Conversation.Task.Owner || p.house.ID == "" && p.Conversation.Task.Owner == p.Conversation.Task.For {
		return OwnerSide
	}
	return RequesterSide
}

// moment says whether the conversation takes the message now, and what follows for its Task.
func (p *posting) moment(answered Message, policy *Policy) ([]SystemMove, error) {
	t := p.Conversation.Task
	if p.category == CategoryInternalNote {
		if t.Status == StatusEnteredInError {
			return nil, p.closed()
		}
		return nil, nil
	}
	opens := p.opens(policy)
	if t.Status.settled() && !opens {
		return nil, p.closed()
	}
	if err := p.reply(answered, policy); err != nil {
		return nil, err
	}
	if opens || t.Status == StatusOnHold && p.resumes() {
		next := t
		next.Status, next.Outputs = StatusInProgress, nil
		return []SystemMove{{Task: t.Key, From: t.Status, To: StatusInProgress, BusinessStatus: businessStatusFor(next)}}, nil
	}
	return nil, nil
}

// resumes reports whether the message is one that the Task waits for.
func (p *posting) resumes() bool {
	move, ok := machine().find(p.Conversation.Task.Kind, StatusOnHold, StatusInProgress)
	return ok && move.by&System != 0 && p.side() == RequesterSide
}

// opens reports whether the message begins a completed conversation anew: an answer of the
// patient to a message with an open policy, or a further question of a requester.
func (p *posting) opens(policy *Policy) bool {
	t := p.Conversation.Task
	f := Facts{Now: p.Now, CompletedAt: p.Conversation.CompletedAt}
	move, ok := machine().find(t.Kind, StatusCompleted, StatusInProgress)
	if t.Status != StatusCompleted || !ok || slices.Contains(move.unless, t.BusinessStatus) || p.side() != RequesterSide {
		return false
	}
	switch move.requires {
	case "reopen-window-28d":
		return f.within(reopenDays) && policy != nil && policy.Mode == ReplyOpen
	case "further-question-sent-within-60d":
		return f.within(furtherDays)
	}
	return false
}

func (p *posting) closed() error {
	if p.house.ID != "" {
		return refuse(fhir.BusinessRule, "conversation-closed", "Communication.partOf", "The conversation has ended; open its Task again if that is still allowed, or begin a new one.")
	}
	return refuse(fhir.BusinessRule, "conversation-closed", "Communication.partOf",
		"The conversation has ended; start a new consultation. If it is urgent call 111, or 999 in an emergency.")
}

// context tells the sender that the conversation has moved on since what they answer.
func (p *posting) context(answered Message) []fhir.Issue {
	if answered.Key.ID == "" || p.sent.Child("inResponseTo").IsZero() || p.category == CategoryInternalNote {
		return nil
	}
	newest := p.newest(func(Message) bool { return true })
	if newest.Key.ID == "" || newest.Key == answered.Key {
		return nil
	}
	return []fhir.Issue{{Severity: fhir.Information, Code: fhir.Informational, Detail: "superseded-context", Expression: "Communication.inResponseTo",
		Text: "There are newer messages in this conversation than the one that you answer; read them too."}}
}

// errNoReceipts is a fault of the caller of [Post].
var errNoReceipts = errors.New("posting a message: fewer ids for receipts than recipients")
