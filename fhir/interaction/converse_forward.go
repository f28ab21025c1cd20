package interaction

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// redirect has the ServiceRequest that a Task is about name the new owner of the Task as its
// performer in place of the old one, who is not to see any longer what goes with it.
func (k *talk) redirect(ctx context.Context, th *thread, next fhir.Node) error {
	focus := th.Task.Focus
	if focus.Type != "ServiceRequest" || k.isWritten(focus) {
		return nil
	}
	found, err := k.at.Current(ctx, []fhir.Key{focus})
	if err != nil {
		return err
	}
	v, err := formerly(found[focus])
	if v == nil || err != nil {
		return err
	}
	ops, err := k.redirections(ctx, th, v.resource.Root(), next)
	if len(ops) == 0 || err != nil {
		return err
	}
	r, err := edited(focus.Type, v.resource.Stored(focus.ID), ops)
	if err != nil {
		return fmt.Errorf("redirect a ServiceRequest: %w", err)
	}
	return k.author(ctx, consultation.Authored{Type: focus.Type, ID: focus.ID, JSON: r.Stored(focus.ID)}, v.Version)
}

// redirections returns what is to be done to the performers of a request.
func (k *talk) redirections(ctx context.Context, th *thread, request, next fhir.Node) (ops []operation, err error) {
	var performers []fhir.Key
	for n := range request.Each("performer") {
		ref, _ := fhir.ParseReference(n.Child("reference").Text())
		performers = append(performers, k.referred(n, ref.Key.Type))
	}
	homes, err := k.standsFor(ctx, k.at, append(performers, th.Task.Owner))
	for i, who := range performers {
		if sameHouse(homes, who, th.Task.Owner) {
			ops = append(ops, operation{"replace", fmt.Sprintf("/performer/%d", i), json.RawMessage(next.Raw())})
		}
	}
	return ops, err
}
