package interaction

import (
	"errors"
	"strconv"

	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/consultation"
	"github.com/openconsult/openconsult/fhir/store"
)

// transitionRefused is recorded, in the place of what was asked for, when a Task is not moved
// from one status to another.
const transitionRefused access.Interaction = "transition-refused"

// lineOf returns the line of audit of p. That a Task was not moved says from where to where, of
// which version and whose it is.
func (t *transaction) lineOf(p *part) *store.Trail {
	line := t.trail(p.interaction, p.about())
	var r *consultation.Refusal
	if line == nil || p.current == nil || !errors.As(p.err, &r) || r.From == "" || r.From == r.To {
		return line
	}
	line.Interaction, line.Version, line.Patients = string(transitionRefused), p.current.Number, t.store.PatientsOf(p.current)
	line.Detail = with(line.Detail, "from", string(r.From))
	line.Detail = with(line.Detail, "to", string(r.To))
	if p.Expect > store.Anything {
		line.Detail = with(line.Detail, "if-match", `W/"`+strconv.Itoa(int(p.Expect))+`"`)
	}
	why := string(r.Outcome.Issues[0].Code)
	if detail := r.Outcome.Issues[0].Detail; detail != "" {
		why = detail
	}
	line.Detail = with(line.Detail, issueDetail, t.kindOf(p)+string(r.From)+" -> "+string(r.To)+" refused: "+why)
	return line
}

// kindOf returns of which kind the Task of p is, with a space behind; empty when that is not known.
func (t *transaction) kindOf(p *part) string {
	if p.proposal == nil || p.proposal.old == nil {
		return ""
	}
	kind, err := consultation.KindOf(p.proposal.old.resource.Root())
	if kind == "" || err != nil {
		return ""
	}
	return string(kind) + " "
}
