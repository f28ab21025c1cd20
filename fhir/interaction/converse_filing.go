package interaction

import (
	"context"

	"github.com/openconsult/openconsult/fhir"
	"github.com/openconsult/openconsult/fhir/consultation"
)

// preconditions asks what a change of a Task needs beside what Decide looks at.
func (k *talk) preconditions(ctx context.Context, p *part, old *consultation.Task, next consultation.Task) error {
	if !consultation.Files(old, next) {
		return nil
	}
	f := consultation.Filing{Task: next, Unverified: consultation.IsUnverified(p.proposal.resource.Root()), Current: map[string]int{}, Base: k.base()}
	for _, q := range k.parts {
		if q.Key.Type == "Provenance" && q.proposal != nil && q.err == nil {
			f.Provenances = append(f.Provenances, q.proposal.resource.Root())
		}
	}
	var ask []fhir.Key
	for what := range consultation.Sources(f.Provenances, k.base()) {
		if r, ok := fhir.ParseReference(what); ok {
			ask = append(ask, r.Key)
		}
	}
	if len(ask) > 0 {
		found, err := k.at.Current(ctx, uniqueNames(ask))
		if err != nil {
			return err
		}
		for key, v := range found {
			f.Current[key.String()] = v.Number
		}
	}
	return f.Allowed()
}
