package interaction

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// submissionIDs makes up the ids of what comes of a response. One with an identifier leads to
// the same Task and acknowledgement however often its sender sends it, so that there is one
// consultation of it, and who comes second finds it.
func (k *talk) submissionIDs(p *part) consultation.SubmissionIDs {
	ids := consultation.SubmissionIDs{
		Response: p.key.ID, Task: k.newID(), Acknowledgement: k.newID(), Receipt: k.newID(), Provenance: k.newID(),
		Version: strconv.Itoa(max(p.next, 1)), Thread: k.newID(), Message: k.newID(),
	}
	id := p.proposal.resource.Root().Child("identifier")
	if !id.HasValue() || p.proposal.old != nil && isSubmitted(p.proposal.old.resource.Root().Child("status").Text()) {
		return ids
	}
	name := func(what string) string {
		return k.Engine.store.Name(what, k.holder(), id.Child("system").Text(), id.Child("value").Text())
	}
	ids.Task, ids.Acknowledgement = name("consultation"), name("acknowledgement")
	return ids
}

// A repetition is a response with an identifier under which its sender has started a
// consultation.
type repetition struct {
	task *former
	in   consultation.Submission
	out  consultation.Submitted
}

// repeatOf answers p as the response was that says the same. Other content is refused.
func (k *talk) repeatOf(ctx context.Context, p *part, r repetition) error {
	first := k.referred(r.task.resource.Root().Child("focus"), "QuestionnaireResponse")
	found, err := k.at.Current(ctx, []fhir.Key{first})
	if err != nil {
		return err
	}
	v, err := formerly(found[first])
	if err != nil || v == nil {
		return errors.Join(err, fmt.Errorf("the response of %s is gone", r.task.Key))
	}
	seen, err := k.seen(access.MayRead, v.Version)
	if err != nil {
		return err
	}
	sent, err := k.cleaned(ctx, p.proposal.resource)
	if err != nil {
		return err
	}
	if p.interaction != access.Create || !consultation.Repeats(sent.Root(), v.resource.Root()) {
		if seen == nil {
			first = fhir.Key{}
		}
		return inUse("QuestionnaireResponse.identifier", "You have sent other answers under this identifier; give these one of their own.", first)
	}
	p.answered = true
	p.reply.Result = Result{Version: *v.Version, Outcome: store.Unchanged, Repeated: true, Hidden: seen == nil, Notes: r.out.Advice, Links: linksOf(r.out)}
	return nil
}

// An InUse is a refusal to store something under an identifier that something else has.
type InUse struct {
	*fhir.Outcome
	By fhir.Key // what has it; empty for who may not read that
}

// Unwrap returns the Outcome.
func (e *InUse) Unwrap() error { return e.Outcome }

func inUse(expression, text string, by fhir.Key) error {
	o := fhir.Errorf(fhir.Clash, fhir.Duplicate, expression, "%s", text)
	o.Issues[0].Detail = "identifier-in-use"
	return &InUse{o, by}
}
