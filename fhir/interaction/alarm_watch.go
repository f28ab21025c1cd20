package interaction

import (
	"context"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// A watched is what an alarm depends on, with the versions in which it was read.
type watched struct {
	consultation.Watched
	task         consultation.Task
	conversation fhir.Key         // the Task that alerts are part of
	read         map[fhir.Key]int // of the Task, and of a receipt its conversation and message
}

// watch reads a Task with what its alarms depend on; nil when it can have none.
func (s *Session) watch(ctx context.Context, k fhir.Key) (*watched, error) {
	w := &watched{conversation: k, read: map[fhir.Key]int{}}
	w.Base = s.base()
	found, err := s.store.Current(ctx, []fhir.Key{k})
	if err != nil {
		return nil, err
	}
	if w.Task, err = w.take(found[k]); w.Task == nil || err != nil {
		return nil, err
	}
	if w.task, err = consultation.ReadTask(w.Task, w.Base); err != nil || !consultation.MayAlarm(w.task) {
		return nil, ignoreOutcome(err)
	}
	of := w.task
	if w.task.Kind == consultation.MessageReceipt {
		if of, err = s.watchMessage(ctx, w); err != nil || !w.Waits() {
			return nil, err
		}
	}
	if w.task.Status == consultation.StatusCompleted {
		if w.Unfiled, err = s.unfiledSince(ctx, found[k]); err != nil {
			return nil, err
		}
	}
	return w, s.watchAround(ctx, w, of)
}

// take reads a version; nil for none, and for a deletion.
func (w *watched) take(v *store.Version) (*fhir.Resource, error) {
	f, err := formerly(v)
	if f == nil || err != nil {
		return nil, err
	}
	w.read[v.Key] = v.Number
	return f.resource, nil
}

// watchMessage reads the message of a receipt and its conversation, which it returns.
func (s *Session) watchMessage(ctx context.Context, w *watched) (consultation.Task, error) {
	var part fhir.Key
	for n := range w.Task.Root().Each("partOf") {
		part = s.Engine.referred(n, "Task")
	}
	if part.ID == "" || w.task.Focus.Type != "Communication" {
		return consultation.Task{}, nil
	}
	found, err := s.store.Current(ctx, []fhir.Key{part, w.task.Focus})
	if err != nil {
		return consultation.Task{}, err
	}
	if w.Message, err = w.take(found[w.task.Focus]); err != nil {
		return consultation.Task{}, err
	}
	if w.Conversation, err = w.take(found[part]); w.Conversation == nil || err != nil {
		return consultation.Task{}, err
	}
	w.conversation = part
	of, err := consultation.ReadTask(w.Conversation, w.Base)
	return of, ignoreOutcome(err)
}

// watchAround reads what stands around a conversation: whose clocks count, what was asked, and
// for whom those stand who take part.
func (s *Session) watchAround(ctx context.Context, w *watched, of consultation.Task) error {
	who := []fhir.Key{of.Requester, of.Owner, w.task.Owner}
	if w.Message != nil {
		who = append(who, consultation.ReadMessage(w.Message, w.Base).Sender)
	}
	var err error
	if w.Parties, err = s.standsFor(ctx, s.store, who); err != nil {
		return err
	}
	if of.Focus.Type == "ServiceRequest" {
		found, err := s.store.Current(ctx, []fhir.Key{of.Focus})
		if err != nil {
			return err
		}
		if f, err := formerly(found[of.Focus]); err != nil {
			return err
		} else if f != nil {
			w.Request = f.resource
		}
	}
	task := w.Task
	if w.Conversation != nil {
		task = w.Conversation
	}
	w.Service, err = s.serviceOf(ctx, s.store, task)
	return err
}

// mostVersions bounds how far back it is looked since when something is so.
const mostVersions = 100

// unfiledSince returns since when a consultation is completed and not in the record, v being its
// current version.
func (s *Session) unfiledSince(ctx context.Context, v *store.Version) (time.Time, error) {
	since := v.Updated
	for n := v.Number - 1; n > max(0, v.Number-mostVersions); n-- {
		before, err := s.store.VRead(ctx, v.Key, n)
		if err != nil || before == nil || before.Deleted() {
			return since, err
		}
		f, err := formerly(before)
		if err != nil {
			return since, fmt.Errorf("decode version %d of a Task: %w", n, err)
		}
		t, err := consultation.ReadTask(f.resource, s.base())
		if err != nil || t.Status != consultation.StatusCompleted || !consultation.MayAlarm(t) {
			return since, ignoreOutcome(err)
		}
		since = before.Updated
	}
	return since, nil
}
