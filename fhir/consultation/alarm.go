package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An AlarmKind says what an alarm is about.
type AlarmKind string

// The kinds of alarms.
const (
	TaskDueSoon       AlarmKind = "task-due-soon"       // 80 % of the time for an answer have passed
	TaskOverdue       AlarmKind = "task-overdue"        // the answer is due
	UnreadEscalation  AlarmKind = "unread-escalation"   // an urgent message was not read
	ResponseNotOpened AlarmKind = "response-not-opened" // what a specialist has answered was not read
	StatNotOpened     AlarmKind = "stat-not-opened"     // nobody has opened a Task with the priority stat
	FilingOverdue     AlarmKind = "filing-overdue"      // a completed consultation is not in the record
	ResponseReceived  AlarmKind = "response-received"   // a specialist has answered or asked back; no timer brings it about
)

// Answers reports whether a Task of a kind is answered by coming into a status: who asked a
// specialist is told of it.
func Answers(kind Kind, to Status) bool {
	if kind != AdviceAndGuidance && kind != Referral {
		return false
	}
	switch to {
	case StatusOnHold, StatusCompleted, StatusRejected, StatusFailed:
		return true
	}
	return false
}

// An Alarm is something that is to be told if it is still so at a time.
type Alarm struct {
	Kind  AlarmKind
	Due   time.Time     // in UTC, whole microseconds; with Kind it names the alarm among those of its Task
	Every time.Duration // it sounds again and again after that; 0 is once
}

// A Watched is a Task with what its alarms depend on.
type Watched struct {
	Task         *fhir.Resource
	Conversation *fhir.Resource        // of a receipt: the Task that its message is part of; nil when it is none
	Message      *fhir.Resource        // of a receipt; nil as above
	Request      *fhir.Resource        // the ServiceRequest that is asked, for its number; nil for none
	Unfiled      time.Time             // since when a completed consultation is not in the record; zero is not known
	Service      *Service              // whose clocks count; never nil
	Parties      map[fhir.Key]fhir.Key // for whom a PractitionerRole, HealthcareService or CareTeam stands: an Organization
	Base         string                // the address of this server
}

// MayAlarm reports whether a Task may have alarms at all, before anything else is looked up.
func MayAlarm(t Task) bool {
	switch t.Kind {
	case "", Abort:
		return false
	case MessageReceipt:
		return t.Status == StatusReady
	case Consultation:
		return t.runs() || t.Status == StatusCompleted && !t.isFiled()
	}
	return t.runs()
}

// isFiled reports whether all of t is in the record, by what the server keeps of that, or else by
// its outputs.
func (t Task) isFiled() bool {
	if kept := t.root.Extension(FiledURL); !kept.IsZero() {
		return IsFiled(t.root)
	}
	return t.hasType("filed-to-record")
}

// runs reports whether somebody works on t or should, and its clock does not stand still.
func (t Task) runs() bool {
	return slices.Contains([]Status{StatusRequested, StatusReceived, StatusAccepted, StatusInProgress, StatusReady}, t.Status)
}

// Alarms returns the alarms that a Task has now, also those whose time is past:
//
//   - task-due-soon and task-overdue by restriction.period.end as it is written, unless the
//     clock stands still or the Task is finished;
//   - stat-not-opened while a stat Task is requested, by the wall clock, again and again;
//   - for the receipt of a message, unread-escalation when it is urgent or above, and
//     response-not-opened when a specialist wrote it to who asked;
//   - filing-overdue for a completed consultation that is not in the record, or not all of it.
//
// The server's own messages have none. A Task that cannot be read has none.
func Alarms(w Watched) []Alarm {
	t, err := ReadTask(w.Task, w.Base)
	if err != nil || !MayAlarm(t) {
		return nil
	}
	switch {
	case t.Kind == MessageReceipt:
		return w.ofReceipt(t)
	case t.Status == StatusCompleted:
		return w.after(FilingOverdue, w.Unfiled, w.Service.terms["filing-after"])
	}
	return append(w.ofClock(t), w.ofStat(t)...)
}

// after returns the alarm that sounds when a time has passed since a moment; none when one
// of the two is not known, or the service does not open any more.
func (w Watched) after(kind AlarmKind, since time.Time, length SLA) []Alarm {
	if since.IsZero() || length.Measure == NoLimit {
		return nil
	}
	due, err := w.Service.Core.Due(Clock{Start: since, SLA: length})
	if err != nil || due.IsZero() {
		return nil
	}
	return []Alarm{alarmAt(kind, due)}
}

// alarmAt returns an alarm at a moment, as exactly as it is kept.
func alarmAt(kind AlarmKind, due time.Time) Alarm {
	return Alarm{Kind: kind, Due: due.UTC().Truncate(time.Microsecond)}
}

// ofStat returns the alarm of a stat Task that nobody has opened.
func (w Watched) ofStat(t Task) []Alarm {
	asks := t.Kind == Consultation || t.Kind == AdviceAndGuidance || t.Kind == Referral || t.Kind == PrescriptionReissue
	start, _ := ReadClock(w.Task)
	if !asks || t.Status != StatusRequested || t.Priority != "stat" || start.IsZero() {
		return nil
	}
	every := w.Service.terms["stat-escalation-after"].Length
	a := alarmAt(StatNotOpened, start.Add(every))
	a.Every = max(every, time.Minute)
	return []Alarm{a}
}

// ofClock returns the alarms of the time for an answer.
func (w Watched) ofClock(t Task) []Alarm {
	end := w.end()
	start, pauses := ReadClock(w.Task)
	if end.IsZero() || slices.ContainsFunc(pauses, func(p Pause) bool { return p.To.IsZero() }) {
		return nil
	}
	overdue := alarmAt(TaskOverdue, end)
	if start.IsZero() || !start.Before(end) {
		return []Alarm{overdue}
	}
	measure := w.Service.SLA(string(t.Kind), t.Priority).Measure
	soon := alarmAt(TaskDueSoon, w.soon(Clock{Start: start, SLA: SLA{Measure: measure}, Pauses: pauses}, end))
	if !soon.Due.Before(overdue.Due) {
		return []Alarm{overdue}
	}
	return []Alarm{soon, overdue}
}

// soon returns when four fifths of the time up to end have passed: of the core hours, or by
// the wall clock where that counts or there are no core hours before the end.
func (w Watched) soon(c Clock, end time.Time) time.Time {
	if c.SLA.Measure != AnyHour {
		open, err := w.Service.Core.Elapsed(c.Start, end, c.Pauses)
		if err == nil && open > 0 {
			if soon, err := w.Service.Core.coreDue(c.Start, open/5*4, standstills(c.Pauses)); err == nil && !soon.IsZero() {
				return soon
			}
		}
	}
	pauses := standstills(c.Pauses)
	passed := end.Sub(c.Start)
	for _, p := range pauses {
		from, to := later(p.From, c.Start), p.To
		if to.After(end) {
			to = end
		}
		passed -= max(0, to.Sub(from))
	}
	return wallDue(c.Start, passed/5*4, pauses)
}

// end returns when the Task is due. A day is up when it ends where the service is.
func (w Watched) end() time.Time {
	n := w.Task.Root().Child("restriction").Child("period").Child("end")
	if t := momentOf(n); !t.IsZero() {
		return t
	}
	if day, err := time.ParseInLocation(time.DateOnly, n.Text(), w.Service.Core.Zone()); err == nil {
		return day.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// Waits reports whether the receipt of a message may have an alarm, before it is known whose
// clocks count.
func (w Watched) Waits() bool {
	if w.Message == nil || w.Conversation == nil {
		return false
	}
	c, err := ReadTask(w.Conversation, w.Base)
	m := ReadMessage(w.Message, w.Base)
	written := m.Category == CategoryConsultation || m.Category == CategoryAdvice
	sent := m.Status == "completed" || m.Status == "in-progress"
	return err == nil && written && sent && (w.isUrgent() || c.Kind == AdviceAndGuidance || c.Kind == Referral)
}

// isUrgent reports whether it matters that the message is not read at once.
func (w Watched) isUrgent() bool { return Escalates(w.Message.Root().Child("priority").Text()) }

// ofReceipt returns the alarm of a message that waits to be read.
func (w Watched) ofReceipt(receipt Task) []Alarm {
	if !w.Waits() {
		return nil
	}
	c, err := ReadTask(w.Conversation, w.Base)
	if err != nil {
		return nil
	}
	sent := ReadMessage(w.Message, w.Base).Sent
	if sent.IsZero() {
		sent, _ = ReadClock(w.Task)
	}
	switch answers := w.isAnswer(c, receipt.Owner); {
	case answers && !w.isUrgent():
		return w.after(ResponseNotOpened, sent, w.Service.terms["response-not-opened-after"])
	case answers:
		return w.after(ResponseNotOpened, sent, w.Service.terms["unread-escalation-after"])
	case w.isUrgent():
		return w.after(UnreadEscalation, sent, w.Service.terms["unread-escalation-after"])
	}
	return nil
}

// isAnswer reports whether what is written to somebody in c comes from the specialists: it
// does not go to them.
func (w Watched) isAnswer(c Task, to fhir.Key) bool {
	return (c.Kind == AdviceAndGuidance || c.Kind == Referral) && to.ID != "" && w.house(to) != w.house(c.Owner)
}

// house returns the organisation that k stands for, or k.
func (w Watched) house(k fhir.Key) fhir.Key {
	if of := w.Parties[k]; of.Type == "Organization" && of.ID != "" {
		return of
	}
	return k
}
