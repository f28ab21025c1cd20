package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// again answers p as the message of the conversation that was sent under the same identifier, if
// it says the same; something else under it is refused. A message that the caller is not shown
// does not count.
func (k *talk) again(ctx context.Context, p *part, th *thread, caller consultation.Caller) error {
	id := messageID(p.proposal.resource.Root())
	if id == "" {
		return nil
	}
	for i, m := range th.messages {
		if messageID(m.Root()) != id || i >= len(th.Messages) || !th.Shows(th.Messages[i], caller) {
			continue
		}
		first := fhir.Key{Type: "Communication", ID: m.ID()}
		if p.interaction != access.Create || !consultation.RepeatsMessage(p.proposal.resource.Root(), m.Root()) {
			return inUse("Communication.identifier", "Another message of this conversation has this identifier; give yours one of its own.", first)
		}
		found, err := k.at.Current(ctx, []fhir.Key{first})
		if err != nil {
			return err
		}
		if v := found[first]; v != nil {
			p.answered = true
			p.reply.Result = Result{Version: *harmless(v), Outcome: store.Unchanged, Repeated: true}
		}
	}
	return nil
}

// messageID returns the identifier of a message; empty for none.
func messageID(n fhir.Node) string {
	for id := range n.Each("identifier") {
		if id.Child("system").Text() == consultation.MessageIDSystem {
			return id.Child("value").Text()
		}
	}
	return ""
}
