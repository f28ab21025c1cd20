package interaction

import (
	"cmp"
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// Retract is the operation that takes a message back.
const Retract access.Interaction = "retract"

// Retract takes a message back: it becomes entered-in-error without its content, and with a label
// that hides it and its earlier versions from everybody but auditors; receipts that wait are
// cancelled. The result is the message as it is then, Unchanged when it was taken back before.
// The reason may be empty. It takes the permission to create or to change messages. The error is
// an Outcome: Unknown when the caller does not see the message, Denied with the Detail
// retract-not-permitted when it is another's, Unprocessable with the Detail
// not-in-conversation when it is part of none.
func (s *Session) Retract(ctx context.Context, message fhir.Key, reason string) (Result, error) {
	if err := s.Allow(Retract, message); err != nil {
		return Result{}, err
	}
	var before *store.Version
	done, err := s.speakUp(ctx, func(ctx context.Context, k *talk) (err error) {
		before, err = k.retract(ctx, message, reason)
		return err
	})
	result := Result{Version: version(before), Outcome: store.Unchanged}
	if len(done) > 0 {
		result = done[0]
	}
	return s.wrote(ctx, s.trail(Retract, message), result, err)
}

// retract has the message and its receipts written, unless it was taken back before, and returns
// it as it was.
func (k *talk) retract(ctx context.Context, message fhir.Key, reason string) (*store.Version, error) {
	found, err := k.at.Current(ctx, []fhir.Key{message})
	if err != nil {
		return nil, err
	}
	v, err := formerly(found[message])
	if err != nil {
		return nil, err
	}
	if v == nil || !k.mayHaveSent(v) {
		_, err := present(k.seen(anyPermission, found[message]))(message.Type)
		return nil, cmp.Or(err, unknown(message.Type))
	}
	m := consultation.ReadMessage(v.resource, k.base())
	if err := k.hold(ctx, k.at, m.Task); m.Task.ID != "" && err != nil {
		return nil, err
	}
	c, err := k.partiesOf(ctx, m.Task, append(m.Recipients, m.Sender))
	switch {
	case err != nil:
		return nil, err
	case c.Task.Kind == "" && m.Status == retracted:
		return nil, unknown(message.Type)
	case c.Task.Kind == "":
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "Communication.partOf", "This is no message of a conversation; change its status to entered-in-error by an update instead.")
		o.Issues[0].Detail = "not-in-conversation"
		return nil, o
	}
	return v.Version, k.takeBack(ctx, v, consultation.Retraction{Message: v.resource, Conversation: *c, Caller: k.retracting(c, m), Reason: reason, Now: k.now})
}

const retracted = "entered-in-error"

// mayHaveSent reports whether v may be a message of the caller's: one that they see, or that was
// taken back, which nobody sees. Of the latter the rules go by the sender alone.
func (k *talk) mayHaveSent(v *former) bool {
	if seen, err := k.seen(anyPermission, v.Version); err == nil && seen != nil {
		return true
	}
	root := v.resource.Root()
	return root.Child("status").Text() == retracted && isLabelled(root)
}

func isLabelled(n fhir.Node) bool {
	for l := range n.Child("meta").Each("security") {
		if l.Child("system").Text() == consultation.RetractedSystem && l.Child("code").Text() == consultation.RetractedCode {
			return true
		}
	}
	return false
}

// retracting returns the caller who wants to take m back. A trusted system speaks for its sender.
func (k *talk) retracting(c *consultation.Conversation, m consultation.Message) consultation.Caller {
	if k.speaker.trusted {
		return k.speaker.in(c, m.Sender)
	}
	return k.speaker.in(c, fhir.Key{})
}

// takeBack has written what the rules make of it.
func (k *talk) takeBack(ctx context.Context, v *former, r consultation.Retraction) error {
	receipts, err := k.receipts(ctx, "focus="+v.Key.String()+"&status=ready&code="+consultation.KindSystem+"%7C"+string(consultation.MessageReceipt))
	if err != nil {
		return err
	}
	of := map[fhir.Key]*store.Version{v.Key: v.Version}
	for _, receipt := range receipts {
		r.Receipts = append(r.Receipts, receipt.resource)
		of[receipt.Key] = receipt.Version
	}
	all, err := consultation.Retract(r)
	if o := fhir.AsOutcome(err); o != nil && o.Class == fhir.Unknown {
		return unknown(v.Key.Type) // the same as if there had never been one
	}
	if err != nil || len(all) == 0 {
		return err
	}
	if all, err = k.withRequests(ctx, v, all, of); err != nil {
		return err
	}
	for _, a := range all {
		if err := k.author(ctx, a, of[fhir.Key{Type: a.Type, ID: a.ID}]); err != nil {
			return err
		}
		k.tell("retracted", cmp.Or(r.Reason, "no reason given"))
	}
	return nil
}

// withRequests adds the CommunicationRequests by which a message was sent to nobody else: they say
// the same. The versions that they are now go into of.
func (k *talk) withRequests(ctx context.Context, v *former, all []consultation.Authored, of map[fhir.Key]*store.Version) ([]consultation.Authored, error) {
	for n := range v.resource.Root().Each("basedOn") {
		key := k.referred(n, "CommunicationRequest")
		if key.ID == "" {
			continue
		}
		found, err := k.at.Current(ctx, []fhir.Key{key})
		if err != nil {
			return nil, err
		}
		request, err := formerly(found[key])
		if err != nil {
			return nil, err
		}
		if request == nil {
			continue
		}
		hidden, err := consultation.RetractRequest(request.resource)
		if err != nil {
			return nil, err
		}
		if hidden.JSON != nil {
			all, of[key] = append(all, hidden), request.Version
		}
	}
	return all, nil
}
