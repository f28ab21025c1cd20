package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// The extensions of a MedicationRequest that say how long and how often it may be repeated.
const (
	// RepeatInformationURL has the parts numberOfPrescriptionsIssued and authorisationExpiryDate.
	// https://simplifier.net/hl7fhirukcorer4/extension-ukcore-medicationrepeatinformation
	RepeatInformationURL = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-MedicationRepeatInformation"

	// ReviewDateURL is a date: until the end of that day it may be repeated without a review.
	ReviewDateURL = extensionBase + "medication-review-date"
)

// How much before the last issue is used up a further one may be asked for: a part of the
// interval, at most some days.
const (
	earlyPart = 4
	earlyMost = 7 * 24 * time.Hour
)

// A Plan is what the rules look at of a MedicationRequest that may be repeated.
type Plan struct {
	Key      fhir.Key
	Patient  fhir.Key
	Intent   string
	Status   string
	Authored time.Time
	Repeats  int       // issues after the first one that are allowed; 0 when it does not say
	Issued   int       // issues that it says there were; 0 when it does not say
	Review   time.Time // from when on it takes a review; zero for never

	interval fhir.Node // a Duration
}

// ReadPlan reads a MedicationRequest. References that begin with base, the address of this
// server without a last slash, are taken as relative ones.
func ReadPlan(r *fhir.Resource, base string) Plan {
	n := r.Root()
	dispense := n.Child("dispenseRequest")
	p := Plan{
		Key:      fhir.Key{Type: "MedicationRequest", ID: r.ID()},
		Patient:  target(n.Child("subject"), base),
		Intent:   n.Child("intent").Text(),
		Status:   n.Child("status").Text(),
		Repeats:  count(dispense.Child("numberOfRepeatsAllowed")),
		interval: dispense.Child("dispenseInterval"),
	}
	p.Authored, _ = period(n.Child("authoredOn").Text(), time.UTC)
	if p.interval.IsZero() {
		p.interval = dispense.Child("expectedSupplyDuration")
	}
	info := n.Extension(RepeatInformationURL)
	p.Issued = count(extensionPart(info, "numberOfPrescriptionsIssued"))
	for _, limit := range [...]fhir.Node{
		extensionPart(info, "authorisationExpiryDate"), n.Extension(ReviewDateURL).Child("value"), dispense.Child("validityPeriod").Child("end"),
	} {
		if _, end := period(limit.Text(), time.UTC); !end.IsZero() && (p.Review.IsZero() || end.Before(p.Review)) {
			p.Review = end
		}
	}
	return p
}

// An Issue of a Plan is a MedicationRequest that is based on it and ordered.
type Issue struct {
	Plans []fhir.Key
	At    time.Time // when it was ordered; zero when it does not say
	Void  bool      // it was never given: a draft, a cancelled one, an error; or it is a plan itself
}

// ReadIssue reads a MedicationRequest as an Issue. References are taken as in [ReadPlan].
func ReadIssue(r *fhir.Resource, base string) Issue {
	n := r.Root()
	i := Issue{Plans: targets(n, "basedOn", base)}
	i.At, _ = period(n.Child("authoredOn").Text(), time.UTC)
	switch n.Child("intent").Text() {
	case "order", "original-order", "reflex-order", "filler-order", "instance-order":
	default:
		i.Void = true
	}
	switch n.Child("status").Text() {
	case "draft", "cancelled", "entered-in-error":
		i.Void = true
	}
	return i
}

// A Reissue is a Task of the kind prescription-reissue that is to be created, with what the
// rules have to know.
type Reissue struct {
	Task   Task
	Plan   *Plan   // in its focus; nil when there is none, or who asks does not see it
	Issues []Issue // MedicationRequests of the patient
	Open   bool    // another Task asks for the same and nobody has decided about it yet
	Now    time.Time
}

// MayReissue returns nil if a Task may ask for a further issue, and otherwise an Outcome of
// class Unprocessable with the Detail not-a-repeat, review-due, already-requested or too-early.
func MayReissue(r Reissue) error {
	p := r.Plan
	switch {
	case p == nil || p.Patient != r.Task.For || p.Patient.ID == "" || p.Intent != "plan" || p.Status != "active" || p.Repeats == 0:
		return refuse(fhir.BusinessRule, "not-a-repeat", "Task.focus", "This is no repeat prescription of the patient: the focus must be an active MedicationRequest with the intent plan that allows repeats. Ask the practice by a consultation.")
	case p.issued(r.Issues) > p.Repeats:
		return refuse(fhir.BusinessRule, "not-a-repeat", "Task.focus", "All issues that this repeat prescription allows have been made; ask the practice for a review.")
	case !p.Review.IsZero() && !r.Now.Before(p.Review):
		return refuse(fhir.BusinessRule, "review-due", "Task.focus", "This repeat prescription is due for a review; make an appointment for it, or ask the practice.")
	case r.Open:
		return refuse(fhir.BusinessRule, "already-requested", "Task.focus", "It has been asked for this already; wait for the answer, or withdraw that request first.")
	}
	if from := p.earliest(r.Issues); r.Now.Before(from) {
		return refuse(fhir.BusinessRule, "too-early", "Task.focus", "The last issue is not used up yet; ask again from %s on, or tell the practice why you need it now.", from.UTC().Format("2 January 2006"))
	}
	return nil
}

// of reports whether i was given on p.
func (i Issue) of(p *Plan) bool { return !i.Void && slices.Contains(i.Plans, p.Key) }

// issued returns how many issues there were, the first one included.
func (p *Plan) issued(all []Issue) int {
	n := 0
	for _, i := range all {
		if i.of(p) {
			n++
		}
	}
	return max(n, p.Issued)
}

// earliest returns from when on a further issue may be asked for; zero is at any time.
func (p *Plan) earliest(all []Issue) time.Time {
	var last time.Time
	for _, i := range all {
		if i.of(p) && i.At.After(last) {
			last = i.At
		}
	}
	if last.IsZero() {
		return time.Time{}
	}
	interval := span(p.interval)
	return last.Add(interval - min(interval/earlyPart, earlyMost))
}
