package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// Identify is the operation by which a practice says who has asked it for help, when that was
// not known.
const Identify access.Interaction = "identify"

// Identify says that a consultation of somebody unknown is that of a patient whom the caller sees:
// the Task and the response to the form get the patient, in one transaction. It is for who owns the
// Task. The error is an Outcome: Unknown for a Task or a patient that the caller does not see,
// Denied, or Unprocessable with the Detail already-identified or patient-not-active.
func (s *Session) Identify(ctx context.Context, task, patient fhir.Key) (Result, error) {
	if err := s.Allow(Identify, task); err != nil {
		return Result{}, err
	}
	done, err := s.speakUp(ctx, func(ctx context.Context, k *talk) error { return k.identify(ctx, task, patient) })
	var result Result
	if len(done) > 0 {
		result = done[0]
	}
	return s.wrote(ctx, s.trail(Identify, task), result, err)
}

func (k *talk) identify(ctx context.Context, task, patient fhir.Key) error {
	if err := k.hold(ctx, k.at, task); err != nil {
		return err
	}
	v, err := k.visible(ctx, task)
	if err != nil {
		return err
	}
	who, err := k.visible(ctx, patient)
	if err != nil {
		return err
	}
	if err := k.mayIdentify(ctx, task, who); err != nil {
		return err
	}
	in := consultation.Identification{Task: v.resource, Patient: partyOf(fhir.Node{}, who.resource.Root()), Now: k.now}
	versions := map[string]*store.Version{task.ID: v.Version}
	if focus := k.referred(v.resource.Root().Child("focus"), "QuestionnaireResponse"); focus.ID != "" {
		found, err := k.at.Current(ctx, []fhir.Key{focus})
		if err != nil {
			return err
		}
		response, err := formerly(found[focus])
		if err != nil {
			return err
		}
		if response != nil {
			in.Response, versions[focus.ID] = response.resource, response.Version
		}
	}
	all, err := consultation.Identify(in)
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := k.author(ctx, a, versions[a.ID]); err != nil {
			return err
		}
		k.tell("match-decided", patient.String())
	}
	return nil
}

// mayIdentify asks if the caller answers for the Task, and the patient is one who can be asked for.
func (k *talk) mayIdentify(ctx context.Context, task fhir.Key, patient *former) error {
	th, err := k.thread(ctx, task)
	if err != nil {
		return err
	}
	if th == nil || consultation.RolesOf(th.Task, k.speaker.in(&th.Conversation, fhir.Key{}))&consultation.Owner == 0 {
		return fhir.Errorf(fhir.Denied, fhir.Forbidden, "Task.for", "Only who has to answer the Task says whom it is for.")
	}
	if patient.resource.Root().Child("active").Text() == "false" {
		o := fhir.Errorf(fhir.Unprocessable, fhir.BusinessRule, "Parameters.parameter", "This patient is not active; name the one that took their place.")
		o.Issues[0].Detail = "patient-not-active"
		return o
	}
	return nil
}
