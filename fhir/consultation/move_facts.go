package consultation

import (
	"slices"
	"time"
)

// Facts are what [Decide] must know beside the Task itself. A fact that is left out is
// taken as not so: it never allows anything. They must be read in the transaction that
// stores the result, with the row of the Task locked.
type Facts struct {
	Now                  time.Time // of the decision
	Match                Match     // not asked when the System decides
	Turns                []Turn    // of the conversation, oldest first: all, or those from the last incoming one on; what comes with this change last
	CompletedAt          time.Time // when the Task became completed last; zero when it never did
	FormValid            bool      // the form in the focus is completed and answers its Questionnaire
	ConversionAuthorised bool      // the ServiceRequest asked says AUTHORISED_TO_CONVERT
	OwnerWithin          bool      // the new owner belongs to the organisation of the old one
	Aborted              *Task     // of an abort Task: the Task in its focus; nil when there is none that the caller can see
	AbortAccepted        bool      // the owner accepts an abort Task for this one in the same transaction
	AbortOpen            bool      // another abort Task for the same focus is still requested
}

// A Match says how the If-Match of a request stands to the current version.
type Match uint8

// The matches. MatchMissing is the zero value.
const (
	MatchMissing Match = iota // there was no If-Match
	MatchStale                // it names another version
	MatchCurrent
)

// A Side is a side of a conversation. The zero Side is neither: the server's own
// messages.
type Side uint8

// The sides.
const (
	RequesterSide Side = iota + 1 // whom the owner has to answer
	OwnerSide
)

// A Turn is one message of a conversation, as far as moves depend on it. Drafts, internal
// notes and retracted messages are none.
type Turn struct {
	By          Side
	Asks        bool // it may be answered: its reply policy is other than none
	ToRequester bool // the requester of the Task is among its recipients
	New         bool // it is stored in the same transaction
}

// told says whether the owner tells the requester something with this very change.
func (f Facts) told() bool {
	return slices.ContainsFunc(f.Turns, func(t Turn) bool { return t.New && t.By == OwnerSide && t.ToRequester })
}

// asked says whether the owner has put a question that the requester has not answered.
func (f Facts) asked() bool {
	last := f.last(func(t Turn) bool { return t.By == OwnerSide && t.Asks })
	return last > f.last(fromRequester)
}

// replied says whether the requester has written since the owner's last question.
func (f Facts) replied() bool {
	return f.last(fromRequester) > f.last(func(t Turn) bool { return t.By == OwnerSide && t.Asks })
}

// answered says whether the owner has written since the requester did.
func (f Facts) answered() bool { return f.last(fromOwner) > f.last(fromRequester) }

// furthered says whether the requester has written since the owner did.
func (f Facts) furthered() bool { return f.last(fromRequester) > f.last(fromOwner) }

// within says whether no more than so many days have passed since the completion.
func (f Facts) within(days int) bool {
	return !f.Now.IsZero() && !f.CompletedAt.IsZero() && !f.Now.After(f.CompletedAt.AddDate(0, 0, days))
}

func fromRequester(t Turn) bool { return t.By == RequesterSide }

func fromOwner(t Turn) bool { return t.By == OwnerSide }

// last returns the place of the last turn that is so, -1 for none.
func (f Facts) last(so func(Turn) bool) int {
	for i, t := range slices.Backward(f.Turns) {
		if so(t) {
			return i
		}
	}
	return -1
}
