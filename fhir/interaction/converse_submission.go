package interaction

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/definition"
	"github.com/openconsult/openconsult/fhir/store"
)

// A startingForm is a Questionnaire whose answers start a consultation.
type startingForm struct {
	root  fhir.Node
	rules *consultation.Rules // nil when its answers start nothing
}

// startingForm returns what the form that a response answers means to conversations; nil when
// it is not known, or starts none.
func (s *Session) startingForm(ctx context.Context, response *fhir.Resource) (*startingForm, error) {
	canonical := response.Root().Child("questionnaire").Text()
	if canonical == "" || canonical[0] == '#' {
		return nil, nil
	}
	d, err := s.checks.Definitions.Find(ctx, "Questionnaire", canonical)
	if d == nil || err != nil {
		return nil, err
	}
	f, err := s.starting.Get(d, func() (*startingForm, error) { return readStartingForm(d) })
	if err != nil || f.rules == nil {
		return nil, err
	}
	return f, nil
}

func readStartingForm(d *definition.Definition) (*startingForm, error) {
	root, err := d.Root()
	if err != nil || !consultation.StartsConsultation(root) {
		return &startingForm{}, err
	}
	rules, _ := consultation.CompileRules(root)
	return &startingForm{root, rules}, nil
}

// starts reports whether a response that is created may start a consultation. What cannot be
// found out now is found out later.
func (s *Session) starts(ctx context.Context, response *fhir.Resource) bool {
	f, err := s.startingForm(ctx, response)
	return f != nil || err != nil
}

// submissions judges the responses that are written.
func (k *talk) submissions(ctx context.Context, parts []*part) error {
	for _, p := range parts {
		if p.Key.Type != "QuestionnaireResponse" || p.interaction == access.Delete || p.err != nil {
			continue
		}
		if err := refuse(p, k.submission(k.beside(ctx), p)); err != nil {
			return err
		}
	}
	return nil
}

// submission judges one.
func (k *talk) submission(ctx context.Context, p *part) error {
	f, err := k.startingForm(ctx, p.proposal.resource)
	if err != nil {
		return fmt.Errorf("look up a form: %w", err)
	}
	var before string
	if p.proposal.old != nil {
		before = p.proposal.old.resource.Root().Child("status").Text()
	}
	status := p.proposal.resource.Root().Child("status").Text()
	switch {
	case f != nil && !k.mayName(p.proposal.resource.Root().Child("subject")):
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "QuestionnaireResponse.subject", "You may write about yourself only, or whom you act for.")
	case isSubmitted(before):
		return k.amendment(ctx, p, f)
	case f == nil:
		return nil
	case status == "in-progress":
		return k.draft(p)
	case !isSubmitted(status):
		return nil
	}
	in, known, err := k.submitted(ctx, p, f)
	if err != nil {
		return err
	}
	out, err := consultation.Submit(in)
	if err != nil {
		return err
	}
	if known != nil {
		return k.repeatOf(ctx, p, repetition{known, in, out})
	}
	return k.store(ctx, p, storing{in, out, nil})
}

// isSubmitted reports whether a response with some status has been sent to the practice.
func isSubmitted(status string) bool { return status == "completed" || status == "amended" }

// draft completes what a patient or a member of staff keeps to go on with by whose it is, so
// that they can.
func (k *talk) draft(p *part) error {
	if k.speaker.trusted || k.speaker.client {
		return nil
	}
	r := p.proposal.resource
	in := consultation.Submission{Response: r, Author: k.writerOf(r), IDs: consultation.SubmissionIDs{Response: p.key.ID}}
	if k.speaker.isPatient() {
		in.Patient = k.self()
	}
	a, err := consultation.Draft(in)
	if err != nil {
		return err
	}
	return rewrite(p, a.JSON)
}

// amendment judges a change of a response that may have started a consultation. What has
// stays there: it becomes no draft again, and is not taken back.
func (k *talk) amendment(ctx context.Context, p *part, f *startingForm) error {
	task, err := k.taskAbout(ctx, p.key)
	if err != nil || task == nil {
		return err
	}
	next := p.proposal.resource.Root()
	if !isSubmitted(next.Child("status").Text()) {
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "QuestionnaireResponse.status", "This form has been sent to the practice, and stays there; amend it, or ask the practice to cancel the request.")
		o.Issues[0].Detail = "response-submitted"
		return o
	}
	if consultation.Repeats(next, p.proposal.old.resource.Root()) {
		p.stay()
		return nil
	}
	if f == nil {
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "QuestionnaireResponse.questionnaire", "An amendment changes answers only; name the form that was answered.")
		o.Issues[0].Detail = "immutable-element"
		return o
	}
	in, _, err := k.submitted(ctx, p, f)
	if err != nil {
		return err
	}
	submitted, err := time.Parse(time.RFC3339, task.resource.Root().Child("authoredOn").Text())
	if err != nil {
		return fmt.Errorf("read when a Task was made: %w", err)
	}
	out, err := consultation.Amend(consultation.Amendment{Submission: in, Before: p.proposal.old.resource, Task: task.resource, Until: submitted.Add(k.conversation.amends())})
	if err != nil {
		return err
	}
	p.proposal.amends = true
	return k.store(ctx, p, storing{in, out.Submitted, task})
}

// taskAbout returns the consultation that a response is about, of several, as when it was passed on,
// the one that has come farthest; nil for none.
func (k *talk) taskAbout(ctx context.Context, response fhir.Key) (*former, error) {
	found, err := k.at.Matching(ctx, "Task", "focus="+response.String()+"&code="+url.QueryEscape(consultation.KindSystem+"|"+string(consultation.Consultation)), mostAbout)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var keys []fhir.Key
	for i := range found {
		keys = append(keys, found[i].Key)
	}
	if err := k.hold(ctx, k.at, keys...); err != nil {
		return nil, err
	}
	now, err := k.at.Current(ctx, keys)
	if err != nil {
		return nil, err
	}
	var best *former
	for _, key := range keys {
		v, err := formerly(now[key])
		if err != nil {
			return nil, err
		}
		if v != nil && (best == nil || progress(v) > progress(best)) {
			best = v
		}
	}
	return best, nil
}

// mostAbout bounds how many consultations about one response are looked at.
const mostAbout = 100

// progress ranks a consultation by what has been done in it: what somebody works on, or has, comes
// last, after what waits for that.
func progress(task *former) int {
	switch consultation.Status(task.resource.Root().Child("status").Text()) {
	case consultation.StatusDraft, consultation.StatusRejected, consultation.StatusCancelled, consultation.StatusEnteredInError:
		return 0
	case consultation.StatusRequested, consultation.StatusReceived:
		return 1
	}
	return 2
}

// A storing is what a submission comes to.
type storing struct {
	in   consultation.Submission
	out  consultation.Submitted
	task *former // the one that there is; nil for none
}

// store makes that of p.
func (k *talk) store(ctx context.Context, p *part, s storing) error {
	if err := rewrite(p, s.out.Response.JSON); err != nil {
		return err
	}
	p.proposal.checked = true
	p.advice, p.links = append(p.advice, s.out.Advice...), linksOf(s.out)
	for _, a := range s.out.All()[1:] {
		var old *store.Version
		if s.task != nil && a.ID == s.task.Key.ID && a.Type == "Task" {
			old = s.task.Version
		}
		if err := k.author(ctx, a, old); err != nil {
			return err
		}
		written := k.along[len(k.along)-1]
		switch a.Type {
		case "Provenance":
			written.sketch.Author = sharedWith(s)
		case "Task", "Communication":
			if s.in.Response.Root().Child("identifier").HasValue() && old == nil {
				written.sketch.Op = store.Update // as its id was not made up for this write
			}
		}
	}
	return nil
}

// linksOf returns what comes of a submission beside the response.
func linksOf(out consultation.Submitted) []Link {
	all := []Link{{"task", fhir.Key{Type: "Task", ID: out.Task.ID}}}
	if out.Acknowledgement.JSON != nil {
		all = append(all, Link{"acknowledgement", fhir.Key{Type: "Communication", ID: out.Acknowledgement.ID}})
	}
	return all
}

// sharedWith returns the keys by which the patient and the practice see who has sent a response,
// which names neither where somebody else has.
func sharedWith(s storing) []access.Key {
	var all []access.Key
	for _, of := range []string{s.in.Owner.Reference, s.in.Patient.Reference} {
		if of != "" {
			all = append(all, access.Key{Kind: access.Author, Of: of})
		}
	}
	return all
}
