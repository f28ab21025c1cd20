package interaction

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// A thread is a conversation as it is stored, with what a transaction makes of it.
type thread struct {
	consultation.Conversation
	task     *fhir.Resource // as it is stored, or as it is to be created
	version  *store.Version // that is stored; nil for none
	part     *part          // that writes the Task; nil for none
	messages []*fhir.Resource

	news   []consultation.Turn       // of messages that the transaction sends
	follow []consultation.SystemMove // that these bring about
	said   bool                      // something was said that is in no record yet
}

// thread returns the conversation of a Task; nil when there is none, and one without a kind
// when the Task is none of ours.
func (k *talk) thread(ctx context.Context, key fhir.Key) (*thread, error) {
	if th, known := k.tasks[key]; known {
		return th, nil
	}
	th, err := k.readThread(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read a conversation: %w", err)
	}
	k.tasks[key] = th
	return th, nil
}

func (k *talk) readThread(ctx context.Context, key fhir.Key) (*thread, error) {
	th := &thread{}
	for _, p := range k.parts {
		if p.key == key && p.proposal != nil {
			th.part, th.version, th.task = p, p.current, p.proposal.resource
		}
	}
	if th.part == nil {
		var err error
		if th.version, err = k.version(ctx, key); err != nil {
			return nil, err
		}
	}
	old, err := formerly(th.version)
	switch {
	case err != nil:
		return nil, err
	case old != nil:
		th.task = old.resource
	case th.task == nil:
		return nil, nil
	}
	if th.Task, err = consultation.ReadTask(th.task, k.base()); err != nil || th.Task.Kind == "" {
		return th, ignoreOutcome(err)
	}
	th.Task.Key = key
	th.Base = k.base()
	if old == nil {
		return th, k.acquaint(ctx, th)
	}
	if err := k.readMessages(ctx, th); err != nil {
		return nil, err
	}
	return th, k.acquaint(ctx, th)
}

// version returns the current version of a Task; nil for none.
func (k *talk) version(ctx context.Context, key fhir.Key) (*store.Version, error) {
	if v, known := k.stored[key]; known {
		return v, nil
	}
	found, err := k.at.Current(ctx, []fhir.Key{key})
	return found[key], err
}

// ignoreOutcome returns err if it is a fault. What is wrong with a Task that is stored, or is
// refused by itself, is nobody else's matter.
func ignoreOutcome(err error) error {
	if fhir.AsOutcome(err) != nil {
		return nil
	}
	return err
}

// base returns the address of this server, without a last slash.
func (e *Engine) base() string { return e.store.Registry().Base }

// readMessages reads what was said, and when the Task became completed.
func (k *talk) readMessages(ctx context.Context, th *thread) error {
	all, err := k.at.Matching(ctx, "Communication", partOfQuery(th.Task.Key), consultation.MostMessages)
	if err != nil {
		return err
	}
	for _, v := range all {
		r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
		if err != nil {
			return fmt.Errorf("decode a Communication: %w", err)
		}
		th.messages = append(th.messages, r)
		th.Messages = append(th.Messages, consultation.ReadMessage(r, th.Base))
	}
	if th.Task.Status != consultation.StatusCompleted {
		return nil
	}
	th.CompletedAt, err = k.completedAt(ctx, th)
	return err
}

// completedAt returns since when a completed Task is completed, by what its versions say.
func (e *Engine) completedAt(ctx context.Context, th *thread) (at time.Time, err error) {
	for n, r := th.version.Number, th.task; ; {
		if r.Root().Child("status").Text() != string(consultation.StatusCompleted) {
			return at, nil
		}
		if t, err := time.Parse(time.RFC3339, r.Root().Child("lastModified").Text()); err == nil {
			at = t
		}
		if n--; n == 0 {
			return at, nil
		}
		body, err := e.store.Content(ctx, th.Task.Key, n)
		if err != nil || body == nil {
			return at, err
		}
		if r, err = fhir.DecodeDerived("Task", body); err != nil {
			return at, fmt.Errorf("decode version %d of a Task: %w", n, err)
		}
	}
}

// acquaint finds out for whom those stand who take part in a conversation, or are to.
func (k *talk) acquaint(ctx context.Context, th *thread) error {
	ask := []fhir.Key{th.Task.Requester, th.Task.Owner, th.Task.For}
	for _, m := range th.Messages {
		ask = append(append(ask, m.Sender), m.Recipients...)
	}
	for _, p := range k.parts {
		if p.proposal != nil && (p.Key.Type == "Communication" || p.Key.Type == "CommunicationRequest") {
			m := consultation.ReadMessage(p.proposal.resource, th.Base)
			ask = append(append(ask, m.Sender), m.Recipients...)
		}
	}
	var err error
	th.Parties, err = k.standsFor(ctx, k.at, append(ask, k.speaker.Persons...))
	return err
}

// standsFor returns for which Organization those of some roles, services and teams stand, and for
// which Patient a RelatedPerson.
func (e *Engine) standsFor(ctx context.Context, at currentReader, who []fhir.Key) (map[fhir.Key]fhir.Key, error) {
	parties := map[fhir.Key]fhir.Key{}
	var ask []fhir.Key
	for _, k := range who {
		switch k.Type {
		case "PractitionerRole", "HealthcareService", "CareTeam", "RelatedPerson":
			ask = add(ask, k)
		}
	}
	if len(ask) == 0 {
		return parties, nil
	}
	found, err := at.Current(ctx, ask)
	if err != nil {
		return nil, err
	}
	for _, k := range ask {
		v, err := formerly(found[k])
		if err != nil {
			return nil, fmt.Errorf("decode a %s: %w", k.Type, err)
		}
		if v == nil {
			continue
		}
		if to := e.home(k.Type, v.resource.Root()); to.ID != "" {
			parties[k] = to
		}
	}
	return parties, nil
}

// home returns whom somebody stands for.
func (e *Engine) home(typ string, n fhir.Node) fhir.Key {
	switch typ {
	case "PractitionerRole":
		return e.referred(n.Child("organization"), "Organization")
	case "HealthcareService":
		return e.referred(n.Child("providedBy"), "Organization")
	case "CareTeam":
		return e.referred(n.Child("managingOrganization"), "Organization")
	}
	return e.referred(n.Child("patient"), "Patient")
}

// facts returns what Decide has to know of the conversation.
func (th *thread) facts(now time.Time) consultation.Facts {
	return consultation.Facts{Now: now, Turns: slices.Concat(th.Turns(), th.news), CompletedAt: th.CompletedAt}
}
