package consultation

import (
	"strings"

	"github.com/openconsult/openconsult/fhir"
)

// A Refusal is why a Task may not be created or changed so, and what the caller may do
// instead. As an error it is its Outcome, which [fhir.AsOutcome] finds.
type Refusal struct {
	Outcome *fhir.Outcome
	From    Status // of the Task as it is; empty when it was to be created
	To      Status // that was asked for
	Allowed []Move // for a Task that was to be created, what it may begin as
}

// Error returns the text of the Outcome.
func (r *Refusal) Error() string { return r.Outcome.Error() }

// Unwrap returns the Outcome.
func (r *Refusal) Unwrap() error { return r.Outcome }

func invalidTransition(kind Kind, from, to Status) *fhir.Outcome {
	text := "No " + string(kind) + " Task goes from " + string(from) + " to " + string(to) + " by a client."
	switch {
	case from == "":
		text = "No " + string(kind) + " Task is created as " + string(to) + " by a client."
	case to == StatusCancelled && onlyAborts(kind, from):
		text += " Create an abort Task to ask for it."
	}
	return refuse(fhir.BusinessRule, "invalid-transition", "Task.status", "%s", text)
}

// onlyAborts says whether an abort Task leads from a status to cancelled.
func onlyAborts(kind Kind, from Status) bool {
	m, ok := machine().find(kind, from, StatusCancelled)
	return ok && m.requires == "abort-accepted"
}

func wrongRole(expression string, by Roles) *fhir.Outcome {
	who := strings.ReplaceAll((by &^ System).String(), "+", " or ")
	o := fhir.Errorf(fhir.Denied, fhir.Forbidden, expression, "Only the %s of the Task may do this; ask them to, or do one of the moves that are yours.", who)
	o.Issues[0].Detail = "transition-not-permitted-for-role"
	return o
}
