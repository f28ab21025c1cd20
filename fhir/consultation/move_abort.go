package consultation

import (
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// abortable says whether the Task in the focus of an abort Task may be stopped by it: it
// is between the same parties, and in a status that only the server leaves for cancelled.
// In others its requester cancels it directly, or it has ended.
func (f Facts) abortable(abort Task) bool {
	t := f.Aborted
	if t == nil || t.Kind == "" || t.Key.ID == "" || t.Key != abort.Focus {
		return false
	}
	move, ok := machine().find(t.Kind, t.Status, StatusCancelled)
	return ok && move.requires == "abort-accepted" &&
		t.Requester == abort.Requester && t.Owner == abort.Owner && t.For == abort.For
}

func notAbortable() *fhir.Outcome {
	return refuse(fhir.BusinessRule, "abort-not-applicable", "Task.focus",
		"Only a conversation of the same requester, owner and patient on which work is under way can be stopped so; cancel another one directly, if its status allows it.")
}

// A SystemMove is a move that the server makes in the same transaction, as one more
// version of the Task.
type SystemMove struct {
	Task           fhir.Key
	From, To       Status
	BusinessStatus string // that the Task gets, a code of [AdviceStatusSystem]; empty leaves it
}

// Write returns the JSON of the Task, as it is stored, after the move.
func (m SystemMove) Write(task *fhir.Resource, now time.Time) ([]byte, error) {
	kind, err := KindOf(task.Root())
	if err != nil {
		return nil, err
	}
	doc, err := openDocument(task.Root())
	if err != nil {
		return nil, err
	}
	doc.setText("status", string(m.To))
	doc.setText("lastModified", dateTime(now))
	if m.BusinessStatus != "" {
		doc.setBusiness(kind, m.BusinessStatus)
	}
	return doc.bytes(), nil
}

// stop returns the moves that the acceptance of an abort Task brings about.
func (f Facts) stop(abort Task) []SystemMove {
	stopped := *f.Aborted
	stopped.Status = StatusCancelled
	return []SystemMove{
		{Task: abort.Key, From: StatusAccepted, To: StatusCompleted},
		{Task: stopped.Key, From: f.Aborted.Status, To: StatusCancelled, BusinessStatus: businessStatusFor(stopped)},
	}
}
