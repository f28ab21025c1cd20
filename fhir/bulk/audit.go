package bulk

import (
	"cmp"
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/access"
	"github.com/openconsult/openconsult/fhir/interaction"
	"github.com/openconsult/openconsult/fhir/store"
)

// note records what g has done. With an error it must not be done.
func (e *Engine) note(ctx context.Context, g access.Grant, from interaction.Origin, t store.Trail) error {
	if !e.Store.Audits() {
		return nil
	}
	terms := g.Terms()
	t.Request, t.Origin, t.Client, t.Organizations = from.Request, from.Address, g.Client(), terms.Organizations
	if t.Agent = terms.RequestAgent; t.Agent == "" && terms.User.Type != "" {
		t.Agent = terms.User.String()
	}
	return e.Engine.Note(ctx, t)
}

// denied is the outcome of a refusal, of
// https://hl7.org/fhir/R4/valueset-audit-event-outcome.html.
const denied = 8

// A caller is who asks for something, and from where.
type caller struct {
	grant access.Grant
	from  interaction.Origin
}

// turnedAway records that c may not do what is called i, if err says so, and returns
// err.
func (e *Engine) turnedAway(ctx context.Context, c caller, i string, err error) error {
	if o := fhir.AsOutcome(err); o == nil || o.Class != fhir.Denied {
		return err
	}
	return cmp.Or(e.note(ctx, c.grant, c.from, store.Trail{Interaction: i, Outcome: denied}), err)
}
