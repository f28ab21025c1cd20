package consultation

import (
	"slices"
	"time"

	"github.com/openconsult/openconsult/fhir"
)

// An Amendment is a new version of a response that was completed.
type Amendment struct {
	Submission                // of the new version: IDs.Task is not used, and the acknowledgement is written only when the priority rises
	Before     *fhir.Resource // the response as it is stored
	Task       *fhir.Resource // the Task as it is stored, its row locked
	Until      time.Time      // the end of the practice's window for amendments; zero is none
}

// An Amended is what is to be written in one transaction. Response is amended, Task the
// edited one.
type Amended struct {
	Submitted
	Raised bool // the priority is higher than it was
}

// Amend judges a change of a response that was completed, by its author and before the
// practice has accepted the Task. The rules run again; the priority only rises, the due time
// only comes nearer, and what was found before stays on the Task. The error is an
// [*fhir.Outcome] with a Detail of [Submit], or amendment-not-by-author (class Denied),
// immutable-element (another form, patient or identifier), amendment-too-late (the practice
// works on it) or amendment-window-closed.
func Amend(a Amendment) (Amended, error) {
	task, err := ReadTask(a.Task, a.Base)
	if err != nil {
		return Amended{}, err
	}
	if err := a.permitted(task); err != nil {
		return Amended{}, err
	}
	a.IDs.Task = a.Task.ID()
	a.IDs.Thread = task.Thread
	a.IDs.Response = a.Before.ID()
	old := HigherPriority(task.Priority, "")
	a.Triage.Priority = HigherPriority(old, a.Triage.Priority)
	out := Amended{Raised: a.Triage.Priority != old}
	if out.Response, err = a.response(); err != nil {
		return Amended{}, err
	}
	if out.Task, err = a.edit(task); err != nil {
		return Amended{}, err
	}
	out.Advice = a.advice()
	out.Provenance = Authored{"Provenance", a.IDs.Provenance, encode(a.provenance("UPDATE", a.Now))}
	if to := a.reader(); out.Raised && !to.IsZero() {
		out.Acknowledgement = Authored{"Communication", a.IDs.Acknowledgement, encode(a.acknowledgement(to))}
		out.Receipts = a.receipt(to)
	}
	return out, nil
}

func (a Amendment) permitted(task Task) error {
	if err := a.allowed(); err != nil {
		return err
	}
	old, next := a.Before.Root(), a.Response.Root()
	if by := a.Author.by(); target(old.Child("author"), a.Base).String() != by.Reference {
		return declined(fhir.Denied, fhir.Forbidden, "amendment-not-by-author", "Only who has sent a form can amend it; start a new consultation, or message the practice.")
	}
	for _, name := range []string{"questionnaire", "subject", "identifier"} {
		if !sameOrBothMissing(old.Child(name), next.Child(name)) {
			return refuse(fhir.BusinessRule, "immutable-element", "QuestionnaireResponse."+name, "An amendment changes answers only; start a new consultation for anything else.")
		}
	}
	switch {
	case task.Kind != Consultation || task.Status != StatusRequested && task.Status != StatusReceived:
		return refuse(fhir.BusinessRule, "amendment-too-late", "QuestionnaireResponse.status", "The practice is working on this already; answer its messages, or start a new consultation. If it is urgent call 111, or 999 in an emergency.")
	case a.Until.IsZero() || a.Now.After(a.Until):
		return refuse(fhir.BusinessRule, "amendment-window-closed", "QuestionnaireResponse.status", "The time to amend this form is over; start a new consultation. If it is urgent call 111, or 999 in an emergency.")
	}
	return nil
}

func sameOrBothMissing(a, b fhir.Node) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() && b.IsZero()
	}
	return sameValue(a, b)
}

// response returns the amended response as it is stored.
func (a Amendment) response() (Authored, error) {
	r, err := a.Submission.response()
	if err != nil {
		return Authored{}, err
	}
	doc, err := parseDocument(r.JSON)
	if err != nil {
		return Authored{}, err
	}
	doc.setText("status", "amended")
	r.JSON = doc.bytes()
	return r, nil
}

// edit returns the Task with what the new version adds.
func (a Amendment) edit(task Task) (Authored, error) {
	doc, err := openDocument(a.Task.Root())
	if err != nil {
		return Authored{}, err
	}
	if root := a.Task.Root(); IsFiled(root) {
		doc.setExtensions(append(otherExtensions(root, FiledURL), filedExtension(false)))
	}
	push(doc, "extension", a.Triage.outcomes()...)
	doc.setText("priority", a.Triage.Priority)
	doc.setText("lastModified", dateTime(a.Now))
	if graver(a.status(), task.BusinessStatus) {
		doc.setWire("businessStatus", businessStatus(a.status()))
	}
	if err := a.hasten(doc); err != nil {
		return Authored{}, err
	}
	push(doc, "input", inputReference("questionnaire-response", a.version()))
	push(doc, "input", a.newFlags()...)
	return Authored{"Task", a.Task.ID(), doc.bytes()}, nil
}

// status returns the business status that the new version would have by itself.
func (a Amendment) status() string { return a.businessStatus().Coding[0].Code }

// graver reports whether a business status of a consultation comes before another.
func graver(a, b string) bool {
	order := []string{DivertedEmergency, IdentityNotVerified, PossibleDuplicate, AwaitingScan, New}
	i, j := slices.Index(order, a), slices.Index(order, b)
	return i >= 0 && j >= 0 && i < j
}

// hasten brings the due time forward.
func (a Amendment) hasten(doc *document) error {
	period := a.Task.Root().Child("restriction").Child("period")
	due, err := time.Parse(time.RFC3339, period.Child("end").Text())
	if a.Due.IsZero() || err == nil && !a.Due.Before(due) {
		return nil
	}
	restriction, inner := &document{}, &document{}
	if n := a.Task.Root().Child("restriction"); !n.IsZero() {
		if restriction, err = openDocument(n); err != nil {
			return err
		}
	}
	if !period.IsZero() {
		if inner, err = openDocument(period); err != nil {
			return err
		}
	}
	inner.setText("end", dateTime(a.Due))
	restriction.set("period", inner.bytes())
	doc.set("restriction", restriction.bytes())
	return nil
}

// newFlags returns the red flags that the Task does not have yet.
func (a Amendment) newFlags() []wireInput {
	var known []Coded
	for n := range a.Task.Root().Each("input") {
		if codeIn(n.Child("type"), TaskIOSystem) != "red-flag" {
			continue
		}
		c := Coded{Display: n.Child("value").Child("text").Text()}
		if coding := n.Child("value").Child("coding"); !coding.IsZero() {
			c = readCoded(coding)
		}
		known = append(known, c)
	}
	return slices.DeleteFunc(a.Triage.flagInputs(), func(in wireInput) bool {
		c := Coded{Display: in.Concept.Text}
		if len(in.Concept.Coding) > 0 {
			c = in.Concept.Coding[0]
		}
		return slices.ContainsFunc(known, func(k Coded) bool { return sameCoded(k, c) })
	})
}
