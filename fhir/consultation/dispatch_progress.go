package consultation

import (
	"slices"
	"time"
)

// A Word is what a channel has said of a message, once.
type Word struct {
	Channel Channel
	Event   Event
	At      time.Time
}

// A Try is a channel that a message was, or is being, given to.
type Try struct {
	Channel Channel
	Begun   time.Time
	Sent    time.Time // when the channel took it; zero when it has not yet
	Failed  bool      // the channel will not take it
}

// A Progress is all that is known of the dispatch of one message. It is a set of facts: in
// what order they became known, and how often, makes no difference.
type Progress struct {
	Ways     []Way // none for a message that is for the inbox here
	Inbox    bool  // the request names no medium
	Tries    []Try
	Words    []Word
	Schedule Schedule
	Revoked  bool // the request was revoked, or the message taken back
	Now      time.Time
}

// patientFallback is after what time the next channel is tried where the request does not say.
const patientFallback = 24 * time.Hour

// A DispatchStep is what is to be done next about a message.
type DispatchStep struct {
	Status string    // that the Communication gets: completed, not-done, stopped; empty leaves it
	Reason string    // of not-done
	At     time.Time // of the delivery
	Read   time.Time // when it was read; zero when it was not
	Send   Way       // to be sent now; the zero Way is nothing
	Until  time.Time // when to look again; zero is when something becomes known
}

// Next returns what is to be done. What has arrived by one channel has arrived, whatever
// others say, and whatever was said later of a lower rank: sending, delivered, read. A failure
// counts where nothing was delivered.
func (p Progress) Next() DispatchStep {
	at, arrived := p.first(func(w Word) bool { return w.Channel.confirms(w.Event) })
	if arrived {
		read, _ := p.first(func(w Word) bool { return w.Event == EventRead })
		return DispatchStep{Status: "completed", At: at, Read: read}
	}
	untried := len(p.Tries) == 0
	switch {
	case p.Revoked && untried:
		return DispatchStep{Status: "stopped"}
	case p.Inbox && untried && p.Now.Before(p.Schedule.Start):
		return DispatchStep{Until: p.Schedule.Start}
	case p.Inbox && untried:
		return DispatchStep{Status: "completed", At: p.Now}
	}
	if open := p.open(); open != nil {
		return *open
	}
	return p.proceed()
}

// first returns the earliest time of the words that are meant.
func (p Progress) first(is func(Word) bool) (time.Time, bool) {
	var at time.Time
	found := false
	for _, w := range p.Words {
		if is(w) && (!found || w.At.Before(at)) {
			at, found = w.At, true
		}
	}
	return at, found
}

// open returns what to do while a channel that was tried may still succeed, nil when none
// may: to send it again where it was not taken yet, or to wait.
func (p Progress) open() *DispatchStep {
	if len(p.Tries) == 0 {
		return nil
	}
	last := p.Tries[len(p.Tries)-1]
	if p.isSpent(last) {
		return nil
	}
	s := &DispatchStep{Until: p.deadline(last)}
	if over := !p.Schedule.End.IsZero() && p.Now.After(p.Schedule.End); last.Sent.IsZero() && !p.Revoked && !over {
		s.Send, _ = p.wayOf(last.Channel)
	}
	return s
}

// deadline returns until when a channel may confirm before the next one is tried.
func (p Progress) deadline(t Try) time.Time {
	after := p.Schedule.Fallback
	if after == 0 {
		after = patientFallback
	}
	if t.Sent.IsZero() {
		return t.Begun.Add(after)
	}
	return t.Sent.Add(after)
}

// isSpent reports whether the next channel has its turn.
func (p Progress) isSpent(t Try) bool {
	said := func(e Event) bool {
		return slices.ContainsFunc(p.Words, func(w Word) bool { return w.Channel == t.Channel && w.Event == e })
	}
	_, hasWay := p.wayOf(t.Channel)
	switch {
	case t.Failed, said(EventUnnotified), said(EventFailure) && !said(EventDelivered):
		return true
	case t.Sent.IsZero() && !hasWay:
		return true // it may not be used any more
	}
	return !p.Now.Before(p.deadline(t))
}

func (p Progress) wayOf(c Channel) (Way, bool) {
	i := slices.IndexFunc(p.Ways, func(w Way) bool { return w.Channel == c })
	if i < 0 {
		return Way{}, false
	}
	return p.Ways[i], true
}

// proceed goes on to the next channel, or gives up.
func (p Progress) proceed() DispatchStep {
	var next Way
	for _, w := range p.Ways {
		if !slices.ContainsFunc(p.Tries, func(t Try) bool { return t.Channel == w.Channel }) {
			next = w
			break
		}
	}
	switch {
	case p.Revoked:
		return DispatchStep{Status: "not-done", Reason: "The message was revoked before a channel had delivered it."}
	case next.Channel == "" && len(p.Tries) == 0:
		return DispatchStep{Status: "not-done", Reason: "There is no channel left by which the recipient may be reached."}
	case next.Channel == "":
		return DispatchStep{Status: "not-done", Reason: "No channel has delivered the message."}
	case p.Now.Before(p.Schedule.Start):
		return DispatchStep{Until: p.Schedule.Start}
	case !p.Schedule.End.IsZero() && p.Now.After(p.Schedule.End):
		return DispatchStep{Status: "not-done", Reason: "The time in which the message could be sent is over."}
	}
	return DispatchStep{Send: next}
}
