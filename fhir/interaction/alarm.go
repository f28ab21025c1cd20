package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/search"
	"github.com/openconsult/openconsult/fhir/store"
	"github.com/openconsult/openconsult/fhir/timer"
)

// AlarmTypes returns the types of the resources that have alarms.
func AlarmTypes() []string { return []string{"Task"} }

// PlanAlarms returns the alarms that a Task has now. What is no Task of ours has none.
func (e *Engine) PlanAlarms(ctx context.Context, k fhir.Key) ([]timer.Alarm, error) {
	w, err := e.System(Origin{}).watch(ctx, k)
	if w == nil || err != nil {
		return nil, err
	}
	var all []timer.Alarm
	for _, a := range consultation.Alarms(w.Watched) {
		all = append(all, timer.Alarm{Key: k, Kind: string(a.Kind), Due: a.Due, Every: a.Every})
	}
	return all, nil
}

// SoundAlarm tells an alarm of a Task by a Communication with its receipts, once for each
// sounding, however often it is called. It reports whether it was told, now or before; it is
// not when the Task has moved on and has the alarm no more, or there is nobody to tell.
func (e *Engine) SoundAlarm(ctx context.Context, a timer.Alarm) (bool, error) {
	s := e.System(Origin{})
	for range maxRaces {
		sounded, err := s.sound(ctx, a)
		if !errors.Is(err, errRaced) {
			return sounded, err
		}
	}
	return false, tooManyRaces()
}

// AlarmingTasks returns a page of the Tasks that somebody works on or should, and the word
// for the next page: the empty one is for the first, and comes at the end.
func (e *Engine) AlarmingTasks(ctx context.Context, after string) ([]fhir.Key, string, error) {
	params, err := search.Parameters("status=requested,received,accepted,in-progress,ready&code=" + consultation.KindSystem + "%7C&_sort=_id&_count=200")
	if err != nil {
		return nil, "", fmt.Errorf("ask for open Tasks: %w", err)
	}
	found, err := e.System(Origin{}).find(ctx, Page{Request: search.Request{Types: AlarmTypes(), Params: params}, After: after})
	if err != nil {
		return nil, "", fmt.Errorf("find open Tasks: %w", err)
	}
	var all []fhir.Key
	for _, v := range found.Versions {
		all = append(all, v.Key)
	}
	return all, found.Next, nil
}

// sound tells a, once. It is errRaced when what it is about has changed meanwhile.
func (s *Session) sound(ctx context.Context, a timer.Alarm) (bool, error) {
	w, err := s.watch(ctx, a.Key)
	if w == nil || err != nil {
		return false, err
	}
	now := s.clock()
	all := consultation.Alarms(w.Watched)
	at := slices.IndexFunc(all, func(x consultation.Alarm) bool { return string(x.Kind) == a.Kind && x.Due.Equal(a.Due) })
	if at < 0 || isPast(all, all[at], now) {
		return false, nil
	}
	alert := consultation.Alert(consultation.Alerting{Watched: w.Watched, Alarm: all[at], At: a.At, Now: now})
	if len(alert) == 0 {
		return false, nil
	}
	told := false
	err = s.store.Atomically(ctx, false, func(ctx context.Context, tx *store.Tx) error {
		if err := w.unmoved(ctx, tx); err != nil {
			return err
		}
		told, err = s.tell(ctx, tx, alert)
		return err
	})
	return told, err
}

// isPast reports whether it is too late to tell a: what is overdue by now is not due soon.
func isPast(all []consultation.Alarm, a consultation.Alarm, now time.Time) bool {
	return a.Kind == consultation.TaskDueSoon && slices.ContainsFunc(all, func(x consultation.Alarm) bool {
		return x.Kind == consultation.TaskOverdue && !now.Before(x.Due)
	})
}

// unmoved holds the conversation, and is errRaced unless everything is as it was read.
func (w *watched) unmoved(ctx context.Context, tx *store.Tx) error {
	if err := tx.Hold(ctx, []fhir.Key{w.conversation}); err != nil {
		return err
	}
	var keys []fhir.Key
	for k := range w.read {
		keys = append(keys, k)
	}
	current, err := tx.Current(ctx, keys)
	if err != nil {
		return err
	}
	for k, n := range w.read {
		if v := current[k]; v == nil || v.Number != n {
			return errRaced
		}
	}
	return nil
}

// tell writes an alert, unless it is there. All of it is there if its message is.
func (s *Session) tell(ctx context.Context, tx *store.Tx, alert []consultation.Authored) (bool, error) {
	var changes []store.Change
	for _, a := range alert {
		r, err := fhir.DecodeDerived(a.Type, a.JSON)
		if err != nil {
			return false, fmt.Errorf("read a %s that the server has written: %w", a.Type, err)
		}
		k, err := s.sketch(ctx, proposal{interaction: access.Create, key: fhir.Key{Type: a.Type, ID: a.ID}, op: store.Update, resource: r, authored: true})
		if err != nil {
			return false, fmt.Errorf("store a %s that the server has written: %w", a.Type, err)
		}
		changes = append(changes, store.Change{Row: k.Row, Expect: store.Absent})
	}
	written, err := tx.Write(ctx, changes, nil)
	if err != nil {
		return false, err
	}
	for _, w := range written[1:] {
		if w.Outcome == store.Mismatch && written[0].Outcome != store.Mismatch || w.Outcome == store.Collision {
			return false, errTaken
		}
	}
	return written[0].Outcome != store.Collision, nil
}

// errTaken means that an id of the server's own is somebody else's.
var errTaken = errors.New("a receipt of an alert is there without it")
