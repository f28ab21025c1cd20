package interaction

import (
	"context"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// MarkRead is the operation by which somebody says that they have read a message, or all of a
// conversation.
const MarkRead access.Interaction = "mark-read"

// mostInThread bounds how many messages, and how many receipts, of one conversation are looked at.
const mostInThread = 5000

// MarkRead completes the caller's receipts of a Communication, or of all messages of a Task, and
// returns those that it has completed: none when all had been read before. Whoever may read a
// message may say that they have, so it takes no permission to write. The error is an Outcome:
// Unknown when the caller does not see it, Denied with the Detail not-a-recipient when no
// receipt is theirs.
func (s *Session) MarkRead(ctx context.Context, of fhir.Key) ([]fhir.Key, error) {
	if err := s.Allow(MarkRead, of); err != nil {
		return nil, err
	}
	done, err := s.speakUp(ctx, func(ctx context.Context, k *talk) error { return k.markRead(ctx, of) })
	result := Result{Outcome: store.Updated}
	if len(done) == 0 {
		result.Outcome = store.Unchanged // there is no version, so the audit gets a line by itself
	}
	if _, err := s.wrote(ctx, s.trail(MarkRead, of), result, err); err != nil {
		return nil, err
	}
	receipts := make([]fhir.Key, 0, len(done))
	for i := range done {
		if done[i].Key.Type == "Task" {
			receipts = append(receipts, done[i].Key)
		}
	}
	return receipts, nil
}

func (k *talk) markRead(ctx context.Context, of fhir.Key) error {
	v, err := k.visible(ctx, of)
	if err != nil {
		return err
	}
	task, query := of, "part-of="+of.String()
	if of.Type == "Communication" {
		task, query = consultation.ReadMessage(v.resource, k.base()).Task, "focus="+of.String()
	}
	if task.ID != "" {
		if err := k.hold(ctx, k.at, task); err != nil {
			return err
		}
	}
	query += "&code=" + consultation.KindSystem + "%7C" + string(consultation.MessageReceipt)
	// Those that wait are few; whether there were others matters only when there are none.
	for _, which := range []string{"&status=ready", ""} {
		receipts, err := k.receipts(ctx, query+which)
		if err != nil {
			return err
		}
		closed, err := k.readBy(ctx, task, receipts)
		if err != nil && (which == "" || fhir.AsOutcome(err) == nil) {
			return err
		}
		if len(closed) > 0 {
			return k.close(ctx, closed, receipts)
		}
	}
	return nil
}

// receipts returns the receipts that a query finds.
func (k *talk) receipts(ctx context.Context, query string) ([]*former, error) {
	found, err := k.at.Matching(ctx, "Task", query, mostInThread)
	if err != nil {
		return nil, err
	}
	all := make([]*former, len(found))
	for i := range found {
		if all[i], err = formerly(&found[i]); err != nil {
			return nil, fmt.Errorf("decode a receipt: %w", err)
		}
	}
	return all, nil
}

// readBy returns those of some receipts in a conversation that are the caller's, completed.
func (k *talk) readBy(ctx context.Context, task fhir.Key, receipts []*former) ([]consultation.Authored, error) {
	in := consultation.Reading{Base: k.base(), Now: k.now}
	var owners []fhir.Key
	for _, r := range receipts {
		in.Receipts = append(in.Receipts, r.resource)
		for _, typ := range []string{"Organization", "HealthcareService", "CareTeam", "PractitionerRole", "Practitioner", "RelatedPerson", "Patient", "Device"} {
			if owner := k.referred(r.resource.Root().Child("owner"), typ); owner.ID != "" {
				owners = add(owners, owner)
			}
		}
	}
	c, err := k.partiesOf(ctx, task, owners)
	if err != nil {
		return nil, err
	}
	in.Caller = k.speaker.in(c, fhir.Key{})
	if k.speaker.trusted {
		in.Caller.Persons = append(in.Caller.Persons, owners...) // it speaks for everybody
	}
	return consultation.MarkRead(in)
}

// partiesOf returns a conversation without its messages: the Task, and for whom its parties and
// some others stand.
func (k *talk) partiesOf(ctx context.Context, task fhir.Key, others []fhir.Key) (*consultation.Conversation, error) {
	c := &consultation.Conversation{Base: k.base()}
	if task.ID != "" {
		r, err := k.nowStored(ctx, task)
		if err != nil {
			return nil, err
		}
		if r != nil {
			if c.Task, err = consultation.ReadTask(r, k.base()); ignoreOutcome(err) != nil {
				return nil, err
			}
			c.Task.Key = task
		}
	}
	var err error
	c.Parties, err = k.standsFor(ctx, k.at, append([]fhir.Key{c.Task.Requester, c.Task.Owner, c.Task.For}, others...))
	return c, err
}

// close has receipts written that were closed.
func (k *talk) close(ctx context.Context, closed []consultation.Authored, receipts []*former) error {
	stored := map[string]*former{}
	for _, r := range receipts {
		stored[r.Key.ID] = r
	}
	var messages []fhir.Key
	for _, a := range closed {
		r := stored[a.ID]
		if err := k.author(ctx, a, r.Version); err != nil {
			return err
		}
		message := k.referred(r.resource.Root().Child("focus"), "Communication")
		k.tell("message-read", message.String())
		messages = add(messages, message)
	}
	return k.arrived(ctx, messages)
}

// arrived says of messages that were to reach somebody by a channel, and were read here, that
// they have arrived: no further channel is tried.
func (k *talk) arrived(ctx context.Context, messages []fhir.Key) error {
	found, err := k.at.Current(ctx, messages)
	if err != nil {
		return err
	}
	for _, m := range messages {
		v, err := formerly(found[m])
		if err != nil {
			return fmt.Errorf("decode a Communication: %w", err)
		}
		if v == nil || v.resource.Root().Child("status").Text() != "in-progress" {
			continue
		}
		delivered, err := consultation.Deliver(consultation.Delivery{Message: v.resource, Status: "completed", At: k.now})
		if err != nil {
			return err
		}
		if err := k.author(ctx, delivered, v.Version); err != nil {
			return err
		}
	}
	return nil
}
