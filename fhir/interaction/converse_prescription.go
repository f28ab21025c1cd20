package interaction

import (
	"context"
	"fmt"
	"time"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// maxIssues bounds how many prescriptions of one patient are looked at, those last changed first.
const maxIssues = 500

// repeat asks whether next, a Task that is to be created, may ask for a repeat prescription.
func (k *talk) repeat(ctx context.Context, p *part, next consultation.Task) error {
	if next.Kind != consultation.PrescriptionReissue {
		return nil
	}
	r := consultation.Reissue{Task: next, Now: k.now}
	if next.Focus.Type != "MedicationRequest" {
		return consultation.MayReissue(r)
	}
	if err := k.hold(ctx, k.at, next.Focus); err != nil {
		return err
	}
	var err error
	if r.Plan, err = k.plan(ctx, next.Focus); err != nil || r.Plan == nil {
		return orFault(err, consultation.MayReissue(r))
	}
	if r.Issues, err = k.issues(ctx, r.Plan); err != nil {
		return err
	}
	if r.Open, err = k.asksFor(ctx, p, next.Focus); err != nil {
		return err
	}
	return consultation.MayReissue(r)
}

// orFault returns fault, or else err.
func orFault(fault, err error) error {
	if fault != nil {
		return fault
	}
	return err
}

// plan returns a MedicationRequest that the caller sees; nil when there is none.
func (k *talk) plan(ctx context.Context, key fhir.Key) (*consultation.Plan, error) {
	found, err := k.at.Current(ctx, []fhir.Key{key})
	if err != nil {
		return nil, err
	}
	v, err := k.seen(anyPermission, found[key])
	if err != nil {
		return nil, err
	}
	of, err := formerly(v)
	if of == nil || err != nil {
		return nil, err
	}
	plan := consultation.ReadPlan(of.resource, k.base())
	plan.Key = key
	return &plan, nil
}

// issues returns the prescriptions that may have been issued on a plan.
func (k *talk) issues(ctx context.Context, plan *consultation.Plan) ([]consultation.Issue, error) {
	query := "patient=" + plan.Patient.String() + "&intent=order,original-order,reflex-order,filler-order,instance-order"
	if !plan.Authored.IsZero() {
		query += "&authoredon=ge" + plan.Authored.UTC().Format(time.DateOnly)
	}
	all, err := k.at.Matching(ctx, "MedicationRequest", query, maxIssues)
	if err != nil {
		return nil, err
	}
	issues := make([]consultation.Issue, 0, len(all))
	for _, v := range all {
		r, err := fhir.DecodeDerived(v.Key.Type, v.Stored)
		if err != nil {
			return nil, fmt.Errorf("decode a MedicationRequest: %w", err)
		}
		issues = append(issues, consultation.ReadIssue(r, k.base()))
	}
	return issues, nil
}

// asksFor reports whether another Task than that of p asks for the same MedicationRequest and
// nobody has decided about it yet.
func (k *talk) asksFor(ctx context.Context, p *part, focus fhir.Key) (bool, error) {
	for _, other := range k.parts {
		if other == p {
			break
		}
		if other.Key.Type != "Task" || other.proposal == nil || other.proposal.resource == nil || other.err != nil {
			continue
		}
		t, err := consultation.ReadTask(other.proposal.resource, k.base())
		if err == nil && t.Kind == consultation.PrescriptionReissue && t.Focus == focus && isUndecided(t.Status) {
			return true, nil
		}
	}
	open, err := k.at.Matching(ctx, "Task", "focus="+focus.String()+"&status=requested,received,accepted&code="+consultation.KindSystem+"%7C"+string(consultation.PrescriptionReissue), 1)
	return len(open) > 0, err
}

func isUndecided(s consultation.Status) bool {
	return s == consultation.StatusRequested || s == consultation.StatusReceived || s == consultation.StatusAccepted
}
